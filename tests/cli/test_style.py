"""`lanterna style` from the command line to a file, and back from the file to the command line."""

import io
import json
import shlex
import shutil
from itertools import islice
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

import lanterna
from declared import replace_presets
from lanterna.errors import MissingError, UsageError
from lanterna.images import open_picture, read_recipe, save_picture
from lanterna.images.films import save_film
from lanterna.surfaces.cli import main
from lanterna.techniques.octaves import resized
from lanterna.techniques.style import technique as declared
from lanterna.techniques.style.algorithm import Stylize, style
from lanterna.techniques.style.instant import Instant, instant
from terminals import LARGE, call_in_terminal

SMALL = ["--size", "64", "--steps", "2"]
# Not the deep layers, which take longest.
SHALLOW = {"style_layers": ("relu1_1", "relu2_1"), "content_layer": "relu2_2"}
FINE = ["--style-layers", *SHALLOW["style_layers"], "--content-layer", SHALLOW["content_layer"]]
BROAD = ["--brush", "4", "--size", "64"]  # painted at once, a small picture is enlarged: least for this brush

pytestmark = pytest.mark.usefixtures("cached_networks")


@pytest.fixture(scope="module")
def pictures(real_shelf, tmp_path_factory):
    """The cat, two paintings, and masks of other shapes."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, source in ("cat", "chelsea.png"), ("coffee", "coffee.png"), ("stars", "hubble_deep_field.jpg"):
        save_picture(open_picture(real_shelf / "photographs" / source, longest=120), folder / f"{name}.png")
    for name, box in ("left.png", (0, 0, 14, 39)), ("right half.png", (15, 0, 29, 39)):
        mask = Image.new("L", (30, 40))
        ImageDraw.Draw(mask).rectangle(box, fill=255)
        mask.save(folder / name)
    return folder


@pytest.fixture(autouse=True)
def here(pictures, tmp_path, monkeypatch):
    """A folder to work in with `pictures`; a preset."""
    monkeypatch.chdir(shutil.copytree(pictures, tmp_path / "here"))
    replace_presets(monkeypatch, Stylize, {"oil": {"strength": 2.0, "detail": 0.5}})
    return tmp_path / "here"


def paint(*words):
    return main(["style", *words])


def pixels(path):
    return open_picture(path)


# From the command line to a file and back


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["--style", "coffee.png", *SMALL], {"strength": 1.0}),
        (["--style", "coffee.png", "stars.png", "--weights", "2", "1", "--mask", "right half.png",
          "--content-mask", "left.png", *SMALL, *FINE], {"weights": [2, 1]}),
        (["--style", "stars.png", "--start-from", "coffee.png", "--seed", "3", "--keep-colours", "light",
          "--brush", "0.5", *SMALL, *FINE], {"seed": 3, "keep_colours": "light", "brush": 0.5}),
        (["--style", "stars.png", "--preset", "oil", "--detail", "1.5", "--start", "noise", "--optimiser",
          "adam", *SMALL, *FINE], {"strength": 2.0, "detail": 1.5, "start": "noise", "optimiser": "adam"}),
        (["--instant", "--style", "coffee.png", "--strength", "0", *BROAD], {"strength": 0.0}),
        (["--instant", "--style", "coffee.png", "stars.png", "--weights", "1", "0.5", *BROAD],
         {"weights": [1, 0.5]}),
        (["--instant", "--built-in", "19", "3", *BROAD], {"built_in": [19, 3]}),
    ],
)  # fmt: skip
def test_rerun_reproduces_it_bit_for_bit(words, kept, capsys):
    assert paint("cat.png", *words, "-o", "one.png", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["picture"] == "one.png"
    assert document["finished"] is True
    assert (document["width"], document["height"]) == (64, 43)
    assert document["settings"] == read_recipe("one.png").settings
    assert {name: document["settings"][name] for name in kept} == kept
    assert pixels("one.png").shape == (3, 43, 64)
    apart = (pixels("one.png") - resized(pixels("cat.png"), (43, 64))).abs().mean()
    assert (apart > 0.005) == (document["settings"]["strength"] > 0)

    assert main(["rerun", "one.png", "-o", "two.png"]) == 0
    assert torch.equal(pixels("one.png"), pixels("two.png"))
    assert main(["recipe", "one.png", "--json"]) == 0
    _, *by_hand = shlex.split(json.loads(capsys.readouterr().out)["command"])
    assert main([*by_hand[:-1], "three.png"]) == 0
    assert torch.equal(pixels("one.png"), pixels("three.png"))


@pytest.mark.slow
def test_the_recipe_lists_inputs_and_each_can_be_changed(capsys):
    words = [
        "--style", "coffee.png", "stars.png", "--mask", "left.png", "--content-mask", "right half.png",
        "--start-from", "stars.png",
    ]  # fmt: skip
    assert paint("cat.png", *SMALL, *FINE, *words, "-o", "one.png") == 0
    assert [(note.path, note.role) for note in read_recipe("one.png").inputs] == [
        ("cat.png", ""), ("coffee.png", "style"), ("stars.png", "style"), ("left.png", "mask"),
        ("right half.png", "content-mask"), ("stars.png", "start-from"),
    ]  # fmt: skip
    changes = ['style=["stars.png", "coffee.png"]', "mask=right half.png", "content-mask=left.png"]
    for number, change in enumerate([*changes, "start-from=coffee.png", "input=coffee.png"]):
        assert main(["rerun", "one.png", "--set", change, "-o", f"{number}.png"]) == 0
        assert not torch.equal(pixels("one.png"), pixels(f"{number}.png")), change
    assert main(["rerun", "one.png", "--set", "style=stars.png", "-o", "other.png"]) == 2
    assert "style: expected as many files as in the recipe, got 1 for 2" in capsys.readouterr().err


@pytest.mark.slow
def test_each_painting_fills_its_mask_and_the_others_the_rest():
    """The stars are dark and the coffee is red, so where they are is seen in how light and red it is."""
    for styles, dark, red in (
        (("stars.png", "coffee.png"), slice(0, 29), slice(35, 64)),
        (("coffee.png", "stars.png"), slice(35, 64), slice(0, 29)),
    ):
        words = ["--style", *styles, "--mask", "left.png", "--size", "64", "--steps", "25", "--strength", "3"]
        assert paint("cat.png", *words, *FINE, "-o", "made.png", "--force") == 0
        picture = pixels("made.png")
        assert picture[:, :, dark].mean() < 0.6 * picture[:, :, red].mean(), styles
        redness = (picture[0] - picture[2]).clamp(0)
        assert redness[:, red].mean() > 2 * redness[:, dark].mean(), styles


@pytest.mark.slow
def test_what_is_painted_at_once_is_what_python_paints():
    assert paint("cat.png", "--instant", "--style", "coffee.png", "--strength", "0.7", *BROAD) == 0
    settings = Instant(strength=0.7, brush=4, size=64)
    *_, frame = instant(pixels("cat.png"), settings, styles=[pixels("coffee.png")])
    assert (frame.picture - pixels("style.png")).abs().max() <= 0.51 / 255


def test_lanterna_style_is_the_recipe():
    assert lanterna.style is style
    assert lanterna.Stylize is Stylize


@pytest.mark.slow
def test_standard_input_the_default_path_and_how_to_paint_larger(here, monkeypatch, capsys):
    data = (here / "cat.png").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert paint("-", "--style", "stars.png", *SMALL, *FINE) == 0
    assert "style.png: 64 × 43 pixels" in capsys.readouterr().err
    assert main(["rerun", "style.png", "--set", "input=cat.png"]) == 0
    assert torch.equal(pixels("style.png"), pixels("style-again.png"))
    capsys.readouterr()
    assert paint("cat.png", "--style", "stars.png", *SMALL, *FINE) == 2
    assert "--force" in capsys.readouterr().err
    assert paint("cat.png", "--style", "stars.png", *SMALL, *FINE, "--force", "--quiet") == 0
    assert capsys.readouterr() == ("", "")

    monkeypatch.setattr("lanterna.techniques.style.algorithm.LONGEST", 100)
    monkeypatch.setattr("lanterna.techniques.style.technique.LONGEST", 100)
    assert paint("cat.png", "--style", "stars.png", *FINE, "--steps", "1", "--force") == 0
    assert "100 × 67 pixels" in (message := capsys.readouterr().err)
    assert "--size 120" in message


@pytest.mark.slow
def test_long_work_is_announced_and_fits_in_memory(monkeypatch, capsys):
    """Work so small that estimating it would be most of it is not estimated."""
    monkeypatch.setattr("lanterna.surfaces.cli.run_picture._LONG_WORK", 0)
    monkeypatch.setattr("lanterna.techniques.style.estimate._SAMPLE", 64)
    monkeypatch.setattr("lanterna.techniques.style.technique.free_memory", lambda _: 1)
    words = ["cat.png", "--style", "stars.png", *FINE, "--size", "96", "--force"]
    assert paint(*words, "--steps", "1") == 0
    assert "of memory" not in capsys.readouterr().err
    assert paint(*words, "--steps", "3") == 0
    message = capsys.readouterr().err
    assert "of memory" in message
    assert "using tiles of 512 pixels" in message
    assert read_recipe("style.png").settings["tile"] == 512
    assert paint(*words, "--steps", "3", "--tile", "768") == 0
    assert read_recipe("style.png").settings["tile"] == 768  # as the person said
    # What is resumed later must have the same tiles, however much memory is free then.
    assert paint(*words, "--steps", "3", "--checkpoint", "work.pt") == 0
    assert read_recipe("style.png").settings["tile"] > 768


@pytest.mark.slow
def test_a_print_is_as_large_as_the_paper_and_has_16_bits_again_and_again(here, capsys):
    words = ["--style", "stars.png", "--instant", "--brush", "4", "--print", "2cm@150dpi", "-o"]
    assert paint("cat.png", *words, "one.png") == 0
    assert main(["rerun", "one.png", "-o", "two.png"]) == 0
    capsys.readouterr()
    assert main(["recipe", "one.png", "--json"]) == 0
    _, *by_hand = shlex.split(json.loads(capsys.readouterr().out)["command"])
    assert "--print=2cm@150dpi" in by_hand
    assert main([*by_hand[:-1], "three.png"]) == 0
    first = (here / "one.png").read_bytes()
    assert first[24] == 16  # bits a channel, in the header
    for path in "two.png", "three.png":
        assert (here / path).read_bytes() == first
    with Image.open("one.png") as seen:
        assert seen.size == (118, 79)
        assert seen.info["dpi"] == pytest.approx((150, 150), abs=0.02)
    assert paint("cat.png", *words, "four.jpg") == 0
    with Image.open("four.jpg") as seen:
        assert seen.info["dpi"] == (150, 150)


# Stopping, and going on


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_resumed_is_unbroken_bit_for_bit(optimiser, monkeypatch):
    """Stopped in the first size, at its end, and in the second."""
    monkeypatch.setattr("lanterna.techniques.style.algorithm._COARSE", 100)
    photo, painting, place = pixels("cat.png"), pixels("stars.png"), Path("kept.pt")
    settings = Stylize(size=64, ratio=1.2, steps=4, optimiser=optimiser, start="noise", **SHALLOW)
    whole = list(style(photo, settings, styles=[painting]))
    sizes = [frame.picture.shape for frame in whole]
    change = sizes.index(sizes[-1])
    assert 2 < change < len(whole) - 2  # two sizes
    for count in (2, change, change + 2):
        frames = style(photo, settings, styles=[painting], checkpoint=place)
        list(islice(frames, count))
        frames.close()
        rest = list(style(photo, settings, styles=[painting], checkpoint=place, resume=True))
        assert [(frame.step, frame.numbers) for frame in rest] == [
            (frame.step, frame.numbers) for frame in whole[count - 1 :]
        ]
        assert torch.equal(rest[-1].picture, whole[-1].picture)


@pytest.mark.slow
def test_a_recipe_that_was_sent_in_still_counts_when_resumed():
    photo, painting, place = pixels("cat.png"), pixels("stars.png"), Path("kept.pt")
    settings = Stylize(size=64, steps=6, **SHALLOW)

    def begin(**keep):
        frames = style(photo, settings, styles=[painting], **keep)
        next(frames)
        frames.send(settings.changed({"strength": 20}))
        next(frames)
        return frames

    *_, last = begin()
    begin(checkpoint=place).close()
    *_, resumed = style(photo, settings, styles=[painting], checkpoint=place, resume=True)
    assert torch.equal(last.picture, resumed.picture)
    *_, plain = style(photo, settings, styles=[painting])
    assert not torch.equal(last.picture, plain.picture)


def test_work_is_not_taken_up_with_other_pictures_or_settings():
    photo, painting, place = pixels("cat.png"), pixels("stars.png"), Path("kept.pt")
    settings = Stylize(size=64, steps=3)
    frames = style(photo, settings, styles=[painting], checkpoint=place)
    list(islice(frames, 1))
    frames.close()
    mask = torch.ones(8, 8)
    for other in (
        {"photo": pixels("coffee.png")}, {"styles": [pixels("coffee.png")]}, {"masks": [mask]},
        {"content_mask": mask}, {"start": photo},
    ):  # fmt: skip
        with pytest.raises(UsageError, match="another picture"):
            style(
                **{"photo": photo, "styles": [painting], **other},
                settings=settings,
                checkpoint=place,
                resume=True,
            )
    with pytest.raises(UsageError, match="other settings"):
        style(photo, Stylize(size=64), styles=[painting], checkpoint=place, resume=True)
    with pytest.raises(MissingError):
        style(photo, settings, styles=[painting], checkpoint=Path("gone.pt"), resume=True)


@pytest.mark.slow
def test_ctrl_c_saves_the_picture_and_resuming_gives_the_same_result(here, monkeypatch):
    monkeypatch.setattr("lanterna.techniques.style.algorithm._COARSE", 100)
    long = ["cat.png", "--style", "stars.png", *FINE, "--size", "64", "--ratio", "1.2", "--steps", "3"]
    words = [*long, "-o", "stopped.png", "--checkpoint", "kept.pt", "--preview"]
    environment = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    message, code = call_in_terminal(lambda: paint(*words), stop_at="▀".encode(), **LARGE, **environment)
    assert code == 130, message
    assert "stopped after" in message
    assert "Traceback" not in message
    stopped = pixels("stopped.png")
    assert stopped.shape == (3, 43, 64)  # the whole size, though only the first had begun
    assert (here / "kept.pt").exists()

    assert paint(*long, "--checkpoint", "kept.pt", "-o", "other.png") == 2  # not by mistake anew
    assert paint(*long, "--checkpoint", "kept.pt", "-o", "stopped.png", "--resume", "--quiet") == 0
    assert not (here / "kept.pt").exists()
    assert paint(*long, "-o", "unbroken.png", "--quiet") == 0
    assert torch.equal(pixels("stopped.png"), pixels("unbroken.png"))
    assert not torch.equal(stopped, pixels("unbroken.png"))


# Sheets


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (["--strengths", "--style", "stars.png", "--steps", "1", *FINE],
         ["0.3, 0.5", "0.3, 1", "0.3, 2", "1, 0.5", "1, 1", "1, 2", "3, 0.5", "3, 1", "3, 2"]),
        (["--sheet", "--style", "stars.png", "--steps", "1", *FINE],
         ["oil"]),
        (["--instant", "--sheet", "--style", "stars.png", "--strength", "0.5", "--brush", "4"],
         ["0.2, 2", "0.2, 4", "0.35, 2", "0.35, 4", "0.5, 2", "0.5, 4"]),
    ],
)  # fmt: skip
def test_a_sheets_pictures_are_what_its_commands_make(words, labels, monkeypatch, capsys):
    for side in ("SHEET_SIDE", "_STRENGTHS_SIDE"):
        monkeypatch.setattr(declared, side, 64)
    monkeypatch.setattr("lanterna.techniques.style.instant.COARSEST", 128)
    assert paint("cat.png", *words, "--size", "64", "-o", "sheet.png", "--json") == 0
    shown = json.loads(capsys.readouterr().out)["sheet"]
    assert [each["label"] for each in shown] == labels
    sheet, rows = pixels("sheet.png"), min(3, len(labels))
    columns = 4 if labels == ["oil"] else len(labels) // rows
    assert sheet.shape == (3, 60 + rows * (43 + 39), 16 + columns * 80)
    for number in sorted({0, len(shown) - 1}):
        program, *by_hand = shlex.split(shown[number]["command"])
        assert program == "lanterna"
        assert main(by_hand) == 0
        y, x = 60 + number // columns * (43 + 39), 16 + number % columns * 80
        assert torch.equal(sheet[:, y : y + 43, x : x + 64], pixels(by_hand[-1])), by_hand
    capsys.readouterr()
    assert main(["recipe", "sheet.png", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["commands"] == [each["command"] for each in shown]
    assert main(["rerun", "sheet.png"]) == 0
    assert torch.equal(sheet, pixels("sheet-again.png"))
    _, *by_hand = shlex.split(document["command"])
    assert main([*by_hand[:-1], "by-hand.png"]) == 0
    assert torch.equal(sheet, pixels("by-hand.png"))


# What cannot be done

STYLE = ["cat.png", "--style", "stars.png"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone.png", "--style", "stars.png"], "gone.png"),
        (["cat.png"], "--style PATH, or add --instant"),
        (["cat.png", "--instant"], "or built-in styles"),
        (["cat.png", "--style", "gone.png"], "gone.png"),
        ([*STYLE, "--built-in", "3"], "--built-in is for instant: add --instant"),
        ([*STYLE, "--instant", "--built-in", "3"], "not both"),
        (["cat.png", "--instant", "--built-in", "26"], "less than 26"),
        ([*STYLE, "--instant", "--strength", "2"], "strength"),
        ([*STYLE, "--instant", "--detail", "2"], "--detail does not go with --instant: leave one"),
        ([*STYLE, "--instant", "--keep-colours", "light"], "--keep-colours does not go with"),
        ([*STYLE, "--instant", "--mask", "left.png"], "--mask is not for instant"),
        ([*STYLE, "--instant", "--preset", "oil"], "instant has no presets: leave 'oil' out"),
        ([*STYLE, "--instant", "--checkpoint", "kept.pt"], "leave --checkpoint out"),
        ([*STYLE, "--strength", "0"], "strength"),
        ([*STYLE, "--size", "32"], "size"),
        ([*STYLE, *SMALL, "--weights", "1", "2"], "--weights: expected one for each painting, got 2 for 1"),
        ([*STYLE, *SMALL, "--mask", "left.png", "left.png"], "--mask: expected at most one"),
        ([*STYLE, "--mask", "gone.png"], "gone.png"),
        ([*STYLE, "--start-from", "gone.png"], "gone.png"),
        ([*STYLE, "--style-layers", "relu9_9"], "relu5_1"),
        ([*STYLE, "--preset", "oils"], "did you mean oil"),
        ([*STYLE, "--network", "nobody"], "there is no network"),
        ([*STYLE, "--resume"], "--checkpoint"),
        ([*STYLE, "--sheet", "--checkpoint", "kept.pt"], "--checkpoint"),
        ([*STYLE, "--print", "large"], "30cm@300dpi"),
        ([*STYLE, "--print", "30cm", "--size", "100"], "--print: 30cm is 3543 pixels, and size is 100"),
        ([*STYLE, "--print", "3000cm"], "size"),
        ([*STYLE, "--print", "3cm", "-o", "style.webp"], ".jpg"),
        ([*STYLE, "-o", "style.gif"], ".gif"),
    ],
)  # fmt: skip
def test_errors_are_one_line(words, message, here, capsys):
    before = sorted(here.iterdir())
    assert paint(*words) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
    assert sorted(here.iterdir()) == before


def test_nothing_to_resume_is_missing(capsys):
    assert paint(*STYLE, *SMALL, "--checkpoint", "gone.pt", "--resume") == 3
    assert "gone.pt" in capsys.readouterr().err


def test_a_painting_of_one_colour_is_remarked_on(capsys):
    save_picture(torch.full((3, 64, 64), 0.2), "plain.png")
    remark = "a painting has one colour: it has no strokes"
    for painting, remarked in (("plain.png", True), ("stars.png", False)):
        assert paint("cat.png", "--style", painting, *SMALL, *FINE, "--force", "-o", "out.png") == 0
        assert (remark in capsys.readouterr().err) == remarked


def test_a_black_mask_is_remarked_on(capsys):
    save_picture(torch.zeros(3, 8, 8), "black.png")
    words = ["cat.png", "--style", "stars.png", "stars.png", *SMALL, *FINE, "-o", "out.png"]
    assert paint(*words, "--mask", "black.png") == 0
    assert "a mask is black: the style of its painting goes nowhere" in capsys.readouterr().err


def test_a_sheet_of_presets_has_no_preset(capsys):
    assert paint(*STYLE, "--sheet", "--preset", "oil") == 2
    assert "a sheet has no presets: leave 'oil' out" in capsys.readouterr().err


def test_an_animation_becomes_a_film(capsys):
    save_film([torch.rand(3, 64, 64) for _ in range(2)], "moving.gif", count=2, fps=2)
    assert paint("moving.gif", "--style", "stars.png", "-o", "still.png") == 2
    assert "the result is a film, not a picture: name it with --film still.mp4" in capsys.readouterr().err
    assert paint("moving.gif", "--style", "stars.png", "--strengths") == 2
    error = capsys.readouterr().err
    assert "moving.gif is an animation: give one picture, or leave --strengths out" in error
    assert "--film" not in error
