"""What docs/dream.md says can be done: its Python and its commands run, and its pictures are there."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from lanterna import open_picture, save_picture, shelf
from lanterna.images.film_reading import open_film
from lanterna.images.films import save_film
from lanterna.recipes.dream import Dream
from lanterna.recipes.results import open_or_train
from places import DOCS

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (DOCS / "dream.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"(?:^    |`)(lanterna dream [^`\n]+)", PAGE, re.MULTILINE)
SMALL = ["--size", "64", "--steps", "1"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pictures that the page speaks of, small, in a folder to work in."""
    photographs = shelf.need("photographs")
    save_picture(open_picture(photographs / "chelsea.png", longest=96), tmp_path / "cat.jpg")
    save_picture(open_picture(photographs / "coffee.png", longest=96), tmp_path / "cup.jpg")
    for name, box in ("mask.png", (0, 0, 15, 40)), ("other.png", (15, 0, 30, 40)):
        mask = Image.new("L", (30, 40))
        mask.paste(255, box)
        mask.save(tmp_path / name)
    cat = open_picture(tmp_path / "cat.jpg")
    save_film([cat[:, :60, shift : shift + 80] for shift in (0, 2, 4)], tmp_path / "clip.mp4", count=3)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_python_makes_a_dream(here, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/dream.md", "exec"), {})
    steps, excited = re.split(" steps, ", capsys.readouterr().out)
    first, _, last = steps.partition(" of ")
    assert first == last
    assert float(excited.split()[0]) > 1.2
    assert open_picture(here / "dream.png").shape == open_picture(here / "cat.jpg").shape


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_makes_its_picture(command, here):
    from lanterna.surfaces.cli import main

    _, *words = shlex.split(command)
    if "presets" in words:
        open_or_train("conv")
    if "--film" in words:
        assert main([*words, *SMALL, *([] if "clip.mp4" in words else ["--frames", "3"]), "--quiet"]) == 0
        assert open_film(here / words[words.index("--film") + 1]).count == 3
        return
    assert main([*words, *SMALL, "--quiet"]) == 0
    place = words[words.index("-o") + 1] if "-o" in words else "dream.png"
    assert max(open_picture(here / place).shape) >= 64


def test_its_pictures_are_there_and_light():
    named = re.findall(r"!\[[^]]+\]\((.+?)\)", PAGE)
    assert len(named) == 3
    for name in named:
        assert (DOCS / name).stat().st_size < 250_000
        assert open_picture(DOCS / name).shape[0] == 3


def test_the_presets_it_names_are_there():
    sentence = PAGE.partition("## Presets")[2].partition("## ")[0]
    named = set(re.findall(r"`(\w+)`", sentence)) | set(re.findall(r"--preset (\w+)", sentence))
    assert named <= set(Dream.presets)
    assert "twelve" in sentence
    assert len(Dream.presets) == 12
