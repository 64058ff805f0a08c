"""What docs/teach.md says can be done: its commands and its Python run, one after the other."""

import random
import re
import shlex
from pathlib import Path

import pytest

from lanterna import open_picture, save_picture, shelf
from lanterna.networks.trained import is_trained
from lanterna.surfaces.cli import main
from places import ROOT

PAGE = (ROOT / "docs" / "teach.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    lanterna (.+)$", PAGE, re.MULTILINE)
SMALLER = {
    "dream": ["--size", "64", "--steps", "1", "--octaves", "1"],
    "feature": ["--size", "64", "--steps", "1"],
}


@pytest.fixture
def plants(tmp_path, monkeypatch):
    """The folder that the page speaks of: windows on the shelf's grass and other photographs, and a photo."""
    where = random.Random(0)
    for name, source in (("fern", "grass.png"), ("ivy", "gravel.png"), ("moss", "brick.png")):
        photograph = open_picture(shelf.need("photographs") / source)
        (tmp_path / "plants" / name).mkdir(parents=True)
        for number in range(5):
            top, left = where.randrange(400), where.randrange(400)
            window = photograph[:, top : top + 96, left : left + 96]
            save_picture(window, tmp_path / "plants" / name / f"{number}.jpg")
    save_picture(window, tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("plants", "private_home")
def test_the_page_can_be_followed(capsys):
    assert len(COMMANDS) == 8
    for line in COMMANDS:
        verb, *words = shlex.split(line.replace("--epochs 4", "--epochs 1"))
        quiet = [] if verb in ("classify", "networks") else ["--quiet"]
        assert main([verb, *words, *SMALLER.get(verb, []), *quiet]) == 0, line
        if "-o" in words and verb != "teach":
            assert Path(words[words.index("-o") + 1]).stat().st_size > 1000
    assert all(is_trained(name) for name in ("plants", "plants2", "tuned"))
    assert "moss" in capsys.readouterr().out
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/teach.md", "exec"), {})
    *_, count, name = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d of 3 right: fern ivy moss", count)
    assert name == "moss"
