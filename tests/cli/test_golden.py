"""What the command line says, word for word: every help, and the line that answers each wrong use.

`GOLDEN=write make quick` writes the files in `golden` anew; look at what changed before you commit it.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from hostile import encoded, photograph
from lanterna.surfaces.cli import main, verbs
from lanterna.surfaces.cli.dispatch import make_app

GOLDEN = Path(__file__).parent / "golden"

ERRORS = """
    nonsense
    drem cat.png
    --nonsense
    train nonsense
    train conv --epochs 0
    train conv --epochs many
    train conv --resume --devices 2
    read
    read missing.png
    classify missing.png
    classify cat.png --top 0
    classify notes.txt
    teach missing
    teach empty
    look
    look missing.png
    look cat.png -o cat.png --force
    feature --channel 1
    feature relu1 --size 0
    dream
    dream missing.png
    dream cat.png --layer nonsense
    dream cat.png --steps 0
    dream cat.png --steps 1 --steps
    dream cat.png --preset nonsense
    dream cat.png --nonsense 1
    dream cat.png --network nonsense
    dream cat.png --network os:abort --class cat
    dream cat.png -o taken.png
    dream cat.png -o cat.png --force
    dream cat.png -o out.xyz
    dream cat.png --mask missing.png
    dream cat.png --resume
    dream cat.png --film out.xyz
    dream cat.png --device nonsense
    style cat.png
    style cat.png --style missing.png
    style cat.png --instant
    style cat.png --style cat.png --instant --built-in 99
    style cat.png --style cat.png --print 30cm
    paint
    paint missing.png
    paint cat.png --steps 0
    paint cat.png --network nonsense
    paint render missing.safetensors
    paint render notes.txt
    render missing.png dream -o out
    render cat.png nonsense -o out
    render cat.png dream
    render cat.png dream -o out --sweep steps
    render cat.png dream -o out --engine nonsense
    page -o empty --texture notes.txt
    page -o taken.png
    page --picture notes.txt
    page -o new
    networks missing.safetensors
    learn nonsense
    learn gates --set nonsense=1
    learn gates --set tries=0
    networks nonsense
    recipe cat.png
    recipe missing.png
    rerun cat.png
    rerun missing.png
    shelf fetch nonsense
    shelf import missing.whl
    studio --port 99999
    studio --port nonsense
    studio --allow nonsense
    class --open
    class --forget
    class --open --forget
    class --open missing.sqlite
    class notes.txt --forget
    class empty --open
    class --photo missing.png
    class --forget --port 0
    class --open --names
    studio --host ..
    doctor nonsense
"""


def asked() -> list[list[str]]:
    """Every help there is: of the program, of each verb, and of the verbs within a verb."""
    found = [["--help"]]
    for verb in verbs():
        inside = [name for name in make_app()[verb] if not name.startswith("-")]
        found += [[verb, "--help"], *([verb, name, "--help"] for name in inside)]
    return found


@pytest.fixture
def here(tmp_path: Path, photographed: bytes, empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a picture, a text, an empty folder and a place that is taken; nothing on the shelf."""
    del empty_home
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LANTERNA_OFFLINE", "1")
    for name in ("cat.png", "taken.png"):
        (tmp_path / name).write_bytes(photographed)
    (tmp_path / "notes.txt").write_text("no picture\n")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def photographed() -> bytes:
    """A small picture, as a PNG."""
    return encoded(photograph(), "PNG")


def check(name: str, message: str) -> None:
    """Compare what was said with the golden file, or write that."""
    place = GOLDEN / f"{name}.txt"
    if os.environ.get("GOLDEN") == "write":
        place.parent.mkdir(exist_ok=True)
        place.write_text(message, encoding="utf-8")
    assert words_of(message) == words_of(place.read_text(encoding="utf-8"))


def words_of(text: str) -> list[str]:
    """The words of a text, wherever its lines end: a library counts some characters as wider at times."""
    return re.sub("[│╭╮╰╯─]", " ", text).split()


@pytest.mark.parametrize("words", asked(), ids=" ".join)
def test_help_is_unchanged(words: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del here
    assert main(words) == 0
    message = re.sub(r"[ \t]+$", "", capsys.readouterr().out, flags=re.MULTILINE)
    check("-".join(["help", *words[:-1]]), message)


def test_errors_are_unchanged(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = []
    for command in map(str.strip, ERRORS.strip().splitlines()):
        code = main(shlex.split(command))
        message = capsys.readouterr()
        assert code in (1, 2, 3), command
        assert message.err.count("\n") == 1, command
        lines.append(f"$ lanterna {command}\n{message.err.strip()}\n[{code}]\n")
    check("errors", "\n".join(lines).replace(str(here), "HERE"))
    assert sorted(each.name for each in here.iterdir()) == [
        "cat.png", "empty", "empty-home", "notes.txt", "taken.png",
    ]  # fmt: skip
