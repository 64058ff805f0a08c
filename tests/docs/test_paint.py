"""What docs/paint.md says can be done: its Python and its commands run, and its pictures are there."""

import re
import shlex

import pytest
from PIL import Image

from lanterna import open_painting, open_picture, save_picture, shelf
from lanterna.images.film_reading import open_film
from lanterna.recipes.cppn import Cppn
from lanterna.recipes.paint import Paint
from places import DOCS

PAGE = (DOCS / "paint.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    lanterna (paint .+)$", PAGE, re.MULTILINE)
MADE = {"--grid": "grid.png", "--sheet": "random-sheet.png", "--random": "random.png", "--race": "race.png"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The pictures that the page speaks of, small, in a folder to work in."""
    for name, source in ("cat.jpg", "chelsea.png"), ("cup.jpg", "coffee.png"):
        save_picture(open_picture(shelf.need("photographs") / source, longest=96), tmp_path / name)
    mask = Image.new("L", (40, 30))
    mask.paste(255, (10, 10, 20, 20))
    mask.save(tmp_path / "mask.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def smaller(words):
    """The same command with less to do."""
    if "render" in words:
        shorter = {"2000": "64", "4000x3000": "80x60", "30cm@300dpi": "2cm@100dpi"}
        words = [shorter.get(word, word) for word in words]
        return [*words, *(["--frames", "2", "--size", "32"] if "--morph" in words else [])]
    if "neurons" in words:
        return [*words, "--side", "16"]
    if "--random" in words:
        return [*words, "--width", "48", "--height", "48", *(["--frames", "4"] if "--loop" in words else [])]
    return [*words, "--size", "48", "--steps", "40"]


def test_the_commands_of_the_page_make_what_they_say_one_after_the_other(here):
    from lanterna.surfaces.cli import main

    assert len(COMMANDS) > 18
    for line in COMMANDS:
        words = smaller(shlex.split(line))
        assert main([*words, "--quiet"]) == 0, line
        films = [
            words[words.index(option) + 1] for option in ("--film", "--morph", "--loop") if option in words
        ]
        for film in films:
            assert open_film(here / film).count > 1, line
        if "-o" in words:
            place = words[words.index("-o") + 1]
        elif "--morph" in words or "--loop" in words:
            continue
        else:
            usual = (
                "render.png" if "render" in words else "neurons.png" if "neurons" in words else "paint.png"
            )
            place = next((made for option, made in MADE.items() if option in words), usual)
        assert max(open_picture(here / place).shape) >= 48, line
        if not {"render", "neurons", "--random", "--race"} & set(words):
            assert open_painting((here / place).with_suffix(".safetensors")).pictures >= 1


def test_the_python_learns_and_turns(here, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/paint.md", "exec"), {})
    decibels, parameters = capsys.readouterr().out.split(" dB, ")
    assert float(decibels) > 20
    assert int(parameters.split()[0]) > 1000
    assert open_picture(here / "turned.png").shape == (3, 300, 400)


def test_its_pictures_are_there_and_light():
    named = re.findall(r"!\[[^]]+\]\((.+?)\)", PAGE)
    assert len(named) == 5
    for name in named:
        assert (DOCS / name).stat().st_size < 250_000
        assert open_picture(DOCS / name).shape[0] == 3


def test_the_settings_and_presets_it_names_are_there():
    presets = set(re.findall(r"--preset (\w+)", PAGE))
    assert presets <= set(Paint.presets) | set(Cppn.presets)
    learning, _, random = PAGE.partition("## Pictures without a picture")
    for text, kind in (learning, Paint), (random, Cppn):
        told = re.findall(r"`--(\w+)`", text)
        assert told
        known = {*kind.model_fields, "mask", "keep", "race", "resume", "preset", "loop"}
        assert set(told) <= known
