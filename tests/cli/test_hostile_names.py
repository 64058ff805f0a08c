"""Names from strangers reach the terminal as text: they move no cursor, and fake no line."""

import pytest

from lanterna import open_picture, save_picture, shelf
from lanterna.surfaces.cli import main
from lanterna.surfaces.cli.common import console, say, show

NAME = "cat\x1b]0;owned\x07\x1b[2J\r\nlanterna: all is well\u202e.png"
pytestmark = pytest.mark.usefixtures("real_shelf")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a small photograph of a hostile name."""
    (tmp_path / "photos").mkdir()
    for place in (tmp_path / NAME, tmp_path / "photos" / NAME):
        save_picture(open_picture(shelf.need("photographs") / "chelsea.png", longest=48), place)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["classify", NAME],
        ["classify", "photos"],
        ["dream", NAME, "--size", "32", "--steps", "1", "--octaves", "1", "-o", "new" + NAME],
        ["paint", NAME, "--size", "24", "--steps", "2", "-o", "new" + NAME],
        ["render", "photos", "dream", "--set", "size=32", "--set", "steps=1", "-o", "out" + NAME[:-4]],
        ["recipe", NAME],
        ["rerun", NAME],
        ["read", NAME, "--network", "none" + NAME],
        ["networks", NAME],
        ["style", NAME, "--style", "gone" + NAME],
        ["teach", "photos" + NAME],
    ],
    ids=lambda words: words[0],
)
def test_a_hostile_name_is_shown_as_text(words, here, capsys):
    assert main(words) in (0, 1, 2, 3)
    output = capsys.readouterr()
    message = output.out + output.err
    assert [letter for letter in message if not letter.isprintable() and letter != "\n"] == []
    assert not any(line.startswith("lanterna: all is well") for line in message.splitlines())
    assert here.exists()


def test_what_prints_prints_safely(capsys):
    show(NAME, "plain")
    say(NAME)
    console(stdout=True).print(NAME)
    out, err = capsys.readouterr()
    assert out.splitlines()[1] == "plain"
    assert len(err.splitlines()) == 1
    assert "\x1b" not in out + err
