"""The showcase has every technique and preset, its commands make its pictures, and it continues."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections import Counter
from dataclasses import replace
from html import unescape

import pytest
import torch
from playwright.sync_api import expect

from browsing import AXE
from places import ROOT

sys.path.append(str(ROOT / "scripts"))
import showcase

from lanterna.errors import LanternaError
from lanterna.surfaces.cli import main
from lanterna.techniques.registry import all_techniques
from lanterna.techniques.technique import Output

PICTURES, PAINTINGS = ("cat.png", "town.png"), ("strokes.png", "glass.png", "own.jpg")


def test_every_technique_and_preset_is_shown_and_new_ones_appear_by_themselves(monkeypatch):
    dream = all_techniques()["dream"]
    fog = replace(dream, name="fog", presets={**dream.presets, "mist": {"steps": 3}})
    monkeypatch.setattr(showcase, "all_techniques", lambda: {**all_techniques(), "fog": fog})
    cells = list(showcase.plan(PICTURES, PAINTINGS, {}))
    assert max(Counter(cell.name for cell in cells).values()) == 1
    shown = {cell.technique.name for cell in cells}
    assert {*all_techniques(), "fog"} - shown == {"teach", "imagine-own"}  # they need a folder of pictures
    for technique in (*(all_techniques()[name] for name in shown - {"fog"}), fog):
        own = [cell for cell in cells if cell.technique.name == technique.name]
        if technique.output is Output.PICTURE and not technique.film_flag:
            assert set(technique.presets) <= {cell.preset for cell in own}
            if not technique.default_preset and technique.name not in showcase.TARGETS:
                # At defaults, under the name of a preset if one has them.
                assert any(cell.settings == technique.settings() for cell in own), technique.name
    mist = [cell for cell in cells if cell.preset == "mist"]
    assert [cell.settings.steps for cell in mist] == [3, 3]
    assert [cell.files["picture"] for cell in mist] == [("inputs/cat.png",), ("inputs/town.png",)]
    # Each painting is the style of a picture, and each picture has a style.
    pairs = [cell.shown for cell in cells if cell.technique.name == "instant"]
    assert pairs == [["cat", "strokes"], ["town", "glass"], ["cat", "own"]]


def test_a_quick_showcase_makes_nothing_larger():
    full, quick = (
        {cell.name: cell for cell in showcase.plan(PICTURES, PAINTINGS, changes)}
        for changes in ({}, showcase.QUICK)
    )
    assert full.keys() == quick.keys()
    for name in full:
        before, now = full[name].settings.model_dump(), quick[name].settings.model_dump()
        for setting, value in now.items():
            if isinstance(before[setting], int | float):
                assert value <= before[setting], (name, setting)
    assert all(cell.settings.size for cell in quick.values() if cell.technique.name == "dream")


@pytest.fixture(scope="module")
def made(session_home, tmp_path_factory):
    """A quick showcase of a lesson, a film, and a sheet that needs another technique's painting."""
    folder = tmp_path_factory.mktemp("showcase")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANTERNA_HOME", str(session_home))
        assert run(folder) == 0
    return folder


def run(folder, *more):
    chosen = ["--only", "learn-functions,grid,dream-film", "--size", "64"]
    return showcase.main(["--quick", *chosen, "-o", str(folder), *more])


def figures(folder):
    entries = json.loads((folder / "showcase.json").read_text())
    return {name: entry["figures"][0] for name, entry in entries.items()}


def pixels(path):
    return showcase._frames(path)


@pytest.mark.slow
def test_each_picture_is_made_again_by_its_command(made, tmp_path, monkeypatch):
    monkeypatch.chdir(made)
    page = (made / "index.html").read_text(encoding="utf-8")
    commands = [unescape(re.sub("<.*?>", "", text)) for text in re.findall("<code>(.*?)</code>", page)]
    assert commands == [figure["command"] for figure in figures(made).values()]
    assert len(commands) == 4
    for command in commands:
        *words, file = shlex.split(command)[1:]
        again = tmp_path / file
        assert main([*words, str(again), "--quiet"]) == 0
        for one, other in zip(pixels(made / file), pixels(again), strict=True):
            assert torch.equal(one, other), command


@pytest.mark.slow
def test_what_is_there_is_not_made_again_and_an_error_ends_nothing(made, monkeypatch, capsys):
    stamps = {name: (made / each["file"]).stat().st_mtime_ns for name, each in figures(made).items()}
    page = (made / "index.html").read_text(encoding="utf-8")
    begin, asked = showcase.execute.begin, []

    def failing(job, *rest):
        asked.append(job.technique.name)
        if job.technique.name == "learn-functions":
            raise LanternaError("no sums <today>")
        return begin(job, *rest)

    monkeypatch.setattr(showcase.execute, "begin", failing)
    assert run(made) == 0
    assert asked == []
    (made / figures(made)["learn-functions"]["file"]).unlink()
    (made / "grid_paint_several.png").unlink()
    assert run(made) == 1
    assert asked == ["learn-functions", "grid"]
    assert "learn-functions failed: no sums <today>" in capsys.readouterr().err
    assert '<p class="error" role="note">A function made of functions: no sums &lt;today&gt;</p>' in (
        made / "index.html"
    ).read_text(encoding="utf-8")
    monkeypatch.undo()
    assert run(made) == 0  # what failed is tried again
    kept = {name for name, each in figures(made).items()
            if (made / each["file"]).stat().st_mtime_ns == stamps[name]}  # fmt: skip
    assert kept == stamps.keys() - {"learn-functions", "grid_paint_several"}
    seconds = re.compile(r"\d+(\.\d)? s")
    assert seconds.sub("", (made / "index.html").read_text(encoding="utf-8")) == seconds.sub("", page)


@pytest.mark.slow
def test_an_earlier_showcase_is_beside_it_in_the_browser(made, tmp_path, browser):
    new = tmp_path / "new"
    assert run(new, "--against", str(made), "--size", "80") == 0
    assert figures(new)["learn-functions"]["before"]["same"]
    assert not figures(new)["dream-film_chelsea"]["before"]["same"]
    for width in (1280, 390):
        for scheme in ("dark", "light"):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.goto((new / "index.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.add_script_tag(content=AXE)
            found = page.evaluate("axe.run().then(({violations}) => violations.map((each) => each.id))")
            assert found == []
            page.close()
    page = browser.new_page()
    page.goto((new / "index.html").as_uri())
    count = page.locator("figure a:visible").count()
    page.get_by_label("only pictures that differ").check()
    assert page.locator("figure a:visible").count() == count - 1  # the lesson is the same
    links = page.locator("figure a:visible")
    links.first.focus()
    page.keyboard.press("Enter")
    large = page.locator("dialog img")
    for number in (0, 1, 2):
        assert large.get_attribute("src") == links.nth(number).evaluate("link => link.href")
        page.wait_for_function("document.querySelector('dialog img').naturalWidth > 0")
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")
    expect(links.nth(2)).to_be_focused()
    page.close()


def test_a_folder_with_other_files_and_unknown_names_are_refused(tmp_path, capsys):
    (tmp_path / "letter.txt").write_text("dear")
    for words, error in (
        (["-o", str(tmp_path)], "expected a showcase"),
        (["-o", str(tmp_path / "new"), "--only", "dreams"], "no technique 'dreams': there are classify"),
        (["-o", str(tmp_path / "new"), "--against", str(tmp_path)], "expected a showcase"),
        (["-o", str(tmp_path / "new"), "--paintings", str(tmp_path)], "has no pictures"),
        (["-o", str(tmp_path / "new"), "--pictures", "chelsea,my/chelsea.jpg"], "two pictures are called"),
        (["-o", str(tmp_path / "new"), "--pictures", "nobody.jpg"], "nobody.jpg"),
    ):
        assert showcase.main(words) == 2
        text = capsys.readouterr().err
        assert error in text
        assert text.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.txt", "new"]
