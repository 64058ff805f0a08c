"""What `make` makes in a cell: any technique, from files or open pictures, saved with its recipe."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import torch
from PIL import Image
from pydantic import Field

from declared import clear_registry
from lanterna import MissingError, UsageError, notebook, open_painting, open_picture, read_recipe
from lanterna.images import save_picture
from lanterna.images.film_reading import open_film
from lanterna.networks.trained import open_trained
from lanterna.surfaces.cli import main
from lanterna.techniques import registry
from lanterna.techniques.registry import all_techniques
from lanterna.techniques.technique import Frame, Input, Settings, Technique

pytestmark = pytest.mark.usefixtures("here")

HUES = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class Stripes(Settings):
    """Stripes of what was given."""

    tall: int = Field(default=2, ge=1, le=9, description="Pixels of each stripe.")


def run_stripes(job):
    """A stripe of each picture in the order of the inputs; of masks their lightness."""
    given = [picture for each in STRIPES.inputs for picture in job.pictures(each.name)]
    colours = [each.mean((-2, -1)).expand(3) for each in given]
    stripes = [colour.view(3, 1, 1).expand(3, job.settings.tall, 4) for colour in colours]
    yield Frame(1, 1, picture=torch.cat(stripes, 1))


STRIPES = Technique(
    name="stripes", title="Stripes", help="A stripe for each picture.", settings=Stripes, run=run_stripes,
    presets={"tall": {"tall": 5}},
    inputs=(Input("picture", "the first stripe", required=True), Input("more", "further ones", many=True),
            Input("grey-one", "a grey one", grey=True)),
)  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a picture of each hue to work in, where somebody's package adds a technique."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(registry.BUILT_IN, "stripes", f"{__name__}:STRIPES")
    clear_registry()
    for name, hue in HUES.items():
        Image.new("RGB", (12, 8), hue).save(f"{name}.png")
    yield tmp_path
    clear_registry()


def stripes_of(work, tall=2):
    """The colours that a picture of stripes has, as names; a grey one as how light it is."""
    rows = (work.picture[:, ::tall, 0].T * 255).round().int().tolist()
    names = {hue: name for name, hue in HUES.items()}
    return [names.get(tuple(row), row[0]) for row in rows]


def rerun_matches(path):
    assert main(["rerun", str(path), "-o", "again.png", "--force", "--quiet"]) == 0
    return torch.equal(open_picture(path), open_picture("again.png"))


def test_inputs_come_in_their_order_or_by_name(here):
    everything = ["red", "green", "blue", 85]
    for work in (
        notebook.make("stripes", "red.png", ["green.png", "blue.png"], "red.png"),
        notebook.make("stripes", here / "red.png", grey_one="red.png", more=("green.png", "blue.png")),
        notebook.make("stripes", more=["green.png", "blue.png"], grey_one="blue.png", picture="red.png"),
        notebook.make("stripes", open_picture("red.png"), ["green.png", open_picture("blue.png")],
                      torch.full((8, 12), 1 / 3)),
        notebook.make("stripes", "red.png", ["green.png", "blue.png"], open_picture("green.png")),
    ):  # fmt: skip
        assert stripes_of(work) == everything
    assert stripes_of(notebook.make("stripes", "red.png", "blue.png", None)) == ["red", "blue"]
    assert stripes_of(notebook.make("stripes", "red.png", None, None)) == ["red"]
    assert notebook.make("stripes", "red.png", preset="tall").picture.shape == (3, 5, 4)
    assert notebook.make("stripes", "red.png", preset="tall", tall=3).picture.shape == (3, 3, 4)


def test_results_are_saved_with_their_recipe(here, monkeypatch):
    work = notebook.make("stripes", "red.png", "blue.png", grey_one="green.png", tall=3)
    assert stripes_of(work, 3) == ["red", "blue", 85]
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")  # the recipe is of the files that were there when it began
    work.save(here / "made.png")
    monkeypatch.chdir(here)
    assert [(note.path, note.role) for note in read_recipe("made.png").inputs] == [
        ("red.png", ""), ("blue.png", "more"), ("green.png", "grey-one"),
    ]  # fmt: skip
    assert rerun_matches("made.png")
    with pytest.raises(UsageError, match=r"made\.png"):
        work.save("made.png")
    work.save(here / "made.png", "stripes", force=True)
    with pytest.raises(UsageError, match="no output 'sheet': it has stripes"):
        work.save("sheet.png", "sheet")
    # A picture that is in no file cannot be found again: there is no recipe that would say so.
    notebook.make("stripes", open_picture("red.png"), "blue.png").save("open.png")
    with pytest.raises(UsageError, match="carries no recipe"):
        read_recipe("open.png")
    notebook.watch(Frame(1, 1, picture=torch.rand(3, 4, 4)) for _ in range(1)).save("watched.png")
    with pytest.raises(UsageError, match="carries no recipe"):
        read_recipe("watched.png")


@pytest.mark.parametrize(
    ("given", "settings", "message"),
    [
        (["drem"], {}, r"unknown technique 'drem': the techniques are .*\bdream, .*\bstyle, .*\bstripes$"),
        (["stripes", "red.png"], {"talll": 3}, "'talll': its inputs are picture, more, grey_one, .* tall$"),
        (["random"], {"picture": "red.png"}, "'picture': its inputs are none, its settings .* zoom"),
        (["stripes", "red.png"], {"tall": 30}, "tall: .* 9, got 30"),
        (["stripes", "red.png"], {"preset": "wide"}, "no preset 'wide': there are tall"),
        (["stripes", *["red.png"] * 4], {}, r"3 inputs \(picture, more, grey_one\), got 4"),
        (["random", "red.png"], {}, r"0 inputs \(none\), got 1"),
        (["stripes", "red.png"], {"picture": "blue.png"}, "picture twice"),
        (["stripes"], {}, "needs a picture: the first stripe"),
        (["stripes", ["red.png", "blue.png"]], {}, "takes one picture as picture, got 2"),
        (["stripes", 3], {}, "picture: expected a file or a picture .* got int"),
        (["stripes", torch.zeros(4, 4)], {}, r"expected .* got Tensor torch.float32 \(4, 4\)"),
        (["stripes", torch.zeros(3, 4, 4, dtype=torch.uint8)], {}, "expected .* floats"),
        (["stripes", "gone.png"], {}, r"gone\.png"),
        (["style-film", torch.zeros(3, 8, 8), "red.png"], {}, "expected a film, an animation"),
        (["render", torch.zeros(3, 8, 8)], {}, "takes painting as a file"),
    ],
)  # fmt: skip
def test_errors_are_one_line(given, settings, message):
    with pytest.raises(UsageError, match=message) as caught:
        notebook.make(*given, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("empty_home")
def test_missing_weights_are_an_error(monkeypatch):
    monkeypatch.setenv("LANTERNA_OFFLINE", "1")
    with pytest.raises(MissingError, match="efficientnet-lite0"):
        notebook.make("dream", "red.png")


def test_techniques_lists_inputs_presets_and_settings():
    assert re.findall(r"^- `(\S+)`: .", str(notebook.techniques()), re.MULTILINE) == list(all_techniques())
    for name, technique in all_techniques().items():
        printed_text = notebook.techniques(name)
        assert technique.help in str(printed_text)
        assert printed_text._repr_markdown_() == str(printed_text)
        known = [each.name.replace("-", "_") for each in technique.inputs]
        known += [*technique.presets, *technique.settings.model_fields]
        assert re.findall(r"^- `(\S+)`", str(printed_text), re.MULTILINE) == known
    with pytest.raises(UsageError, match="unknown technique 'drem'"):
        notebook.techniques("drem")
    assert "techniques(" in inspect.getdoc(notebook.make)


def test_a_film_is_saved_as_one():
    notebook.make("random-loop", frames=3, width=32, height=16).save("loop.webp")
    assert open_film("loop.webp").count == 3
    assert read_recipe("loop.webp").output == "random-loop"


@pytest.mark.slow
def test_a_painting_is_saved_beside_its_picture(here):
    work = notebook.make("paint-film", ["red.png", "blue.png"], size=16, steps=4)
    work.save("paint.png")
    assert open_painting(here / "paint.safetensors").pictures == 2
    work.save("learned.webp", "film")
    assert open_film("learned.webp").count > 1
    (here / "other.safetensors").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"other\.safetensors"):
        work.save("other.png")
    assert not (here / "other.png").exists()
    large = notebook.make("render", "paint.safetensors", size=64)
    assert max(large.picture.shape) == 64


@pytest.mark.slow
def test_all_kinds_of_techniques_run(real_shelf):
    for name, source in ("cat", "chelsea"), ("cup", "coffee"):
        save_picture(open_picture(real_shelf / f"photographs/{source}.png", longest=96), f"{name}.jpg")
    dreamed = notebook.make("dream", "cat.jpg", layer="block5", size=48, octaves=1, steps=2)
    assert dreamed.frame.numbers["energy"] > 1
    assert torch.equal(dreamed.picture, dreamed.frame.picture)
    dreamed.save("dream.png")
    assert rerun_matches("dream.png")
    styled = notebook.make("style", open_picture("cat.jpg"), style=[open_picture("cup.jpg"), "red.png"],
                           mask=torch.ones(4, 4), size=64, steps=2)  # fmt: skip
    assert styled.picture.shape[2] == 64
    assert notebook.make("dream-sheet", "cat.jpg", sheet="layers", layer=["block5"], side=48, steps=1).results


@pytest.mark.slow
@pytest.mark.usefixtures("private_home")
def test_a_network_is_saved_under_its_name(real_shelf):
    photographs = real_shelf / "photographs"
    given, labels = [], []
    for name in ("grass", "gravel"):
        photograph = open_picture(photographs / f"{name}.png")
        for number in range(5):
            save_picture(photograph[:, 80 * number : 80 * number + 64, :64], f"{name}-{number}.png")
            given.append(f"{name}-{number}.png")
            labels.append(name)
    work = notebook.make("teach", given, labels=labels, title="ground")
    assert work.results[0].words in repr(work)
    assert open_trained("ground").classes == ("grass", "gravel")
    with pytest.raises(UsageError, match="there is already a network 'ground'"):
        notebook.make("teach", given, labels=labels, title="ground")
    with pytest.raises(UsageError, match="takes picture as a file"):
        notebook.make("teach", [open_picture(each) for each in given], labels=labels, title="other")
    for place, label in zip(map(Path, given), labels, strict=True):
        (Path("Ground Floor") / label).mkdir(parents=True, exist_ok=True)
        place.rename(Path("Ground Floor") / label / place.name)
    again = notebook.make("teach", "Ground Floor")
    assert again.results[0].numbers == work.results[0].numbers
    assert open_trained("ground-floor").classes == ("grass", "gravel")
