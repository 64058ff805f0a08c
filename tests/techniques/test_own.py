"""A technique from an installed package appears in all surfaces, and nothing else changes."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image
from playwright.sync_api import expect

from declared import clear_registry
from hostile import photograph
from lanterna import notebook, open_picture, read_recipe
from lanterna.errors import UsageError
from lanterna.surfaces.cli import main
from lanterna.techniques import registry
from places import ROOT
from served import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


TONES = '''
from pydantic import Field
from lanterna.techniques.technique import Frame, Input, Output, Report, Result, Settings, Technique, Work

class Tones(Settings):
    """Say how light a picture is."""
    digits: int = Field(default=2, ge=0, le=6, description="How many decimals.")

def tones(job):
    def frames():
        picture = job.picture("picture")
        yield Frame(1, 1, {"light": round(picture.mean().item(), job.settings.digits)}, picture)
    def results(frame, settings):
        return [Result(frame.picture.flip(2), "mirrored")]
    def report(frame):
        light = frame.numbers["light"]
        return Report({"file": job.display_name("picture"), "light": light}, [f"{light:.0%} light"])
    return Work(frames(), results, report=report)

TONES = Technique(
    name="tones", title="Tones", help="How light a picture is.", settings=Tones, run=tones,
    inputs=(Input("picture", "the picture to measure", required=True),),
    output=Output.WORDS, outputs=("mirrored",), switches={"exact": ("To the last decimal.", {"digits": 6})},
)
'''
"""A technique with textual output, which draws a picture on request."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder into which the example is installed as a package, with a technique that answers in words."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for file, name in (("add_technique.toml", "pyproject.toml"), ("add_technique.py", "add_technique.py")):
        (source / name).write_text((ROOT / "examples" / file).read_text())
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--target", target, source],
        check=True,
    )  # fmt: skip
    (target / "tones.py").write_text(TONES)
    metadata = target / "tones-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: tones\nVersion: 1.0\nSummary: Say how light a picture is.\n")
    (metadata / "entry_points.txt").write_text(f"[{registry.GROUP}]\ntones = tones:TONES\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(target)
        patch.setenv("PYTHONPATH", str(target))
        clear_registry()
        yield target
    clear_registry()


@pytest.fixture
def folder(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a picture."""
    del installed
    monkeypatch.chdir(tmp_path)
    photograph().resize((48, 36)).save("cat.png")
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_the_command_line_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "strokes   Paint a picture with broad strokes." in capsys.readouterr().out
    assert main(["strokes", "--help"]) == 0
    help_page = capsys.readouterr().out
    for words in (
        "PICTURE",
        "--preset",
        "fine, broad",
        "--radius",
        "Width of the strokes",
        "--seed",
        "--json",
    ):
        assert words in help_page
    assert main(["strokes", "cat.png", "--rounds", "3", "--preset", "fine", "-o", "out.png", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["picture"], document["finished"], document["width"]) == ("out.png", True, 48)
    assert document["settings"] == {"seed": 0, "radius": 2, "rounds": 3}
    before, after = open_picture("cat.png"), open_picture("out.png")
    assert after.diff().abs().mean() < before.diff().abs().mean()  # it is smoother
    for words, code, message in (
        (["cat.png", "--radius", "0"], 2, "--radius: expected at least 1"),
        (["cat.png", "--nonsense", "1"], 2, "unknown option"),
        (["gone.png"], 2, "gone.png does not exist"),
        (["cat.png", "--preset", "brod"], 2, "did you mean broad?"),
        (["cat.png", "-o", "out.png"], 2, "already exists"),
        (["cat.png", "--resume"], 2, "unknown option"),
    ):
        assert main(["strokes", *words]) == code
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1


@pytest.mark.slow
def test_rerun_and_render_make_its_pictures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["strokes", "cat.png", "--radius", "3", "-o", "out.png", "--quiet"]) == 0
    recipe = read_recipe("out.png")
    assert (recipe.verb, recipe.output, recipe.settings["radius"]) == ("strokes", "strokes", 3)
    assert main(["rerun", "out.png", "-o", "again.png", "--quiet"]) == 0
    assert torch.equal(open_picture("again.png"), open_picture("out.png"))
    assert main(["rerun", "out.png", "--set", "radius=9", "-o", "other.png", "--quiet"]) == 0
    assert not torch.equal(open_picture("other.png"), open_picture("out.png"))
    capsys.readouterr()
    assert main(["recipe", "out.png", "--json"]) == 0
    command = json.loads(capsys.readouterr().out)["command"]
    assert command == "lanterna strokes cat.png --radius=3 -o out.png"
    assert main([*shlex.split(command)[1:-1], "by-hand.png", "--quiet"]) == 0
    assert torch.equal(open_picture("by-hand.png"), open_picture("out.png"))

    assert main(["render", "cat.png", "strokes", "--rounds", "1", "--sweep", "radius=1,3", "-o", "many",
                 "--workers", "1", "--quiet"]) == 0  # fmt: skip
    assert sorted(each.name for each in (folder / "many").glob("*.png")) == [
        "cat-radius-1.png", "cat-radius-3.png",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_technique_of_words_answers_for_each_picture(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As lines, as JSON documents, with pictures that can be rerun, and with `render` as a folder."""
    assert main(["tones", "--help"]) == 0
    help_page = capsys.readouterr().out
    for words in ("PICTURE", "--digits", "--exact", "To the last decimal.", "--output -o PATH", "--json"):
        assert words in help_page
    assert "--preview" not in help_page
    assert main(["tones", "cat.png"]) == 0
    light = open_picture("cat.png").mean().item()
    assert capsys.readouterr().out == f"{light:.0%} light\n"

    (folder / "photos").mkdir()
    for name in ("one.png", "two.png"):
        (folder / "photos" / name).write_bytes((folder / "cat.png").read_bytes())
    assert main(["tones", "photos", "--exact", "-o", "drawn", "--json"]) == 0
    documents = json.loads(capsys.readouterr().out)
    files = [str(Path("photos") / name) for name in ("one.png", "two.png")]
    assert [each["file"] for each in documents] == files
    assert documents[0]["light"] == pytest.approx(light, abs=1e-6)
    assert torch.equal(open_picture("drawn/two.png"), open_picture("cat.png").flip(2))
    assert [each.path for each in read_recipe("drawn/two.png").inputs] == [files[1]]
    assert main(["rerun", "drawn/two.png", "-o", "again.png", "--quiet"]) == 0
    assert torch.equal(open_picture("again.png"), open_picture("drawn/two.png"))

    (folder / "photos" / "bad.png").write_bytes(b"no picture")
    assert main(["tones", "photos", "cat.png"]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[::2] == [f"{name}:" for name in (*files, "cat.png")]
    assert "bad.png" in printed.err
    assert printed.err.endswith("lanterna: 1 of 4 pictures could not be read\n")
    assert main(["tones", "photos/bad.png"]) == 2

    words = ["render", "photos", "tones", "--sweep", "digits=0,6", "-o", "many", "--workers", "1", "--quiet"]
    assert main(words) == 1
    assert "bad-digits-0: " in capsys.readouterr().err
    answers = {each.name: json.loads(each.read_text()) for each in (folder / "many").glob("[ot]*.json")}
    assert answers.pop("two-digits-6.json") == documents[1]
    assert answers["one-digits-0.json"] == {"file": files[0], "light": round(light)}
    (report,) = notebook.make("tones", "cat.png").reports
    assert report.document == {"file": str(folder / "cat.png"), "light": round(light, 2)}


def test_the_studio_has_it(folder: Path, browser: Browser) -> None:
    """Its room, its form, its preview, and its picture in the gallery."""
    studio = Server(folder)
    try:
        declared = {each["kind"]: each for each in studio("GET", "/api/techniques")["techniques"]}["strokes"]
        assert (declared["room"], declared["plain"], declared["live"]) == (
            "strokes", ["radius", "rounds"], ["radius"],
        )  # fmt: skip
        picture = studio.send(folder / "cat.png")["id"]
        job = studio.start("strokes", settings={"rounds": 2}, inputs=[("picture", picture)])
        done = studio.wait(job)
        assert (done["state"], done["error"], done["step"]) == ("done", None, 2)
        (entry,) = (each for each in studio("GET", "/api/gallery") if each["job"] == job)
        assert (entry["kind"], entry["room"]) == ("strokes", "strokes")
        assert entry["recipe"]["command"].startswith("lanterna strokes ")
        assert Image.open(io.BytesIO(studio.file(entry["id"]))).size == (48, 36)
        page = browser.new_page()
        page.goto(studio.address)
        page.get_by_role("link", name="Strokes", exact=True).click()
        address = page.url.partition("#")[0]
        page.goto(f"{address}#/strokes?in.picture={picture}&rounds=40&radius=3")
        expect(page.get_by_role("heading", name="Strokes")).to_be_visible()
        expect(page.get_by_text("Width of the strokes, in pixels.")).to_be_visible()
        expect(page.get_by_role("slider", name="Rounds")).to_be_visible()
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_role("img", name="Strokes: the")).to_be_visible()  # the preview or the result
        expect(page.locator(".facts")).to_contain_text("done")
        page.get_by_role("link", name="Gallery").click()
        expect(page.get_by_text("Strokes").first).to_be_visible()
        expect(page.locator(".tile")).to_have_count(2)
        page.close()
        code, words = studio.error(
            "POST", "/api/jobs", {"kind": "strokes", "inputs": [{"role": "guide", "picture": picture}]}
        )
        assert code in (400, 422)
        assert "takes no picture as 'guide'" in words
    finally:
        studio.close()


@pytest.mark.usefixtures("folder")
def test_the_notebook_and_the_site_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    work = notebook.make("strokes", "cat.png", radius=3, rounds=2)
    assert work.picture is not None
    assert main(["strokes", "cat.png", "--radius", "3", "--rounds", "2", "-o", "out.png", "--quiet"]) == 0
    assert (work.picture - open_picture("out.png")).abs().max() < 0.003
    with pytest.raises(UsageError, match="its settings seed, radius, rounds"):
        notebook.make("strokes", "cat.png", nonsense=1)

    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    page = import_module("generated.settings").all_settings()
    section = page[page.index("### Strokes") :]
    for words in ("lanterna strokes PICTURE -o RESULT", "Width of the strokes, in pixels.", "`--rounds`"):
        assert words in section
