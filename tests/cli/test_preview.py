"""What the terminal is sent is decoded back to pixels by decoders of the tests' own."""

import re
import sys

import numpy as np
import pytest
from PIL import Image

from lanterna import shelf
from lanterna.images import open_picture
from lanterna.images.drawing import as_image
from lanterna.surfaces.cli import preview
from lanterna.surfaces.cli.preview import Screen, fitted, half_blocks, kitty, sixel
from terminals import decode_blocks, decode_kitty, decode_sixel, drawings, in_a_terminal, xterm


@pytest.fixture(scope="module")
def cat():
    return open_picture(shelf.need("photographs") / "chelsea.png", longest=320)


# Encoders


def test_kitty_gets_the_picture_whole(cat):
    image = as_image(cat)
    decoded, keys = decode_kitty(kitty(image, 40, 13))
    assert np.array_equal(np.asarray(decoded), np.asarray(image))
    assert {name: keys[name] for name in "afqCcr"} == {
        "a": "T", "f": "100", "q": "2", "C": "1", "c": "40", "r": "13",
    }  # fmt: skip


def test_sixels_are_the_picture_in_few_colours(cat):
    image = as_image(cat).crop((0, 0, 151, 100))  # neither side is a multiple of six
    decoded = decode_sixel(sixel(image))
    assert decoded.shape == (100, 151, 3)
    assert not (decoded == (255, 0, 255)).all(-1).any()
    wanted = np.asarray(image.quantize(128, dither=Image.Dither.NONE).convert("RGB")).astype(int)
    assert np.abs(decoded - wanted).max() <= 2  # levels are given in percent
    assert np.abs(decoded - np.asarray(image)).mean() < 5


def test_sixels_of_few_colours_are_exact():
    values = np.zeros((8, 30, 3), np.uint8)
    values[:, 10:] = (255, 0, 0)
    values[3:, 20:] = (255, 255, 255)
    text = sixel(Image.fromarray(values))
    assert np.array_equal(decode_sixel(text), values)
    assert "!10" in text
    assert len(text) < 2600  # runs: most of it is the palette


def test_half_blocks_are_the_picture_in_true_colour(cat):
    image = as_image(cat).resize((60, 40))
    assert np.array_equal(decode_blocks(half_blocks(image, true_colour=True)), np.asarray(image))


def test_in_256_colours_each_is_the_nearest_there_is(cat):
    image = as_image(cat).resize((60, 40))
    decoded = decode_blocks(half_blocks(image, true_colour=False))
    there_are = np.array([xterm(number) for number in range(16, 256)])
    off = ((np.asarray(image).astype(int)[:, :, None] - there_are) ** 2).sum(-1).min(-1)
    assert np.array_equal(((decoded - np.asarray(image).astype(int)) ** 2).sum(-1), off)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (100, 900), (3000, 100), (5, 5)])
@pytest.mark.parametrize("letter", [None, (9.0, 18.0), (8.0, 20.0)])
def test_a_picture_is_fitted_and_keeps_its_shape(width, height, letter):
    screen = Screen(80, 24, letter)
    columns, rows = fitted(width, height, screen, "true colour")
    assert columns == 80 or rows == 22
    assert columns <= 80
    assert rows <= 22
    across, down = letter or (1, 2)
    shape = columns * across / (rows * down)
    assert shape == pytest.approx(width / height, rel=0.6 / min(columns, rows))


# Which way a terminal draws


@pytest.mark.parametrize(
    ("environment", "how"),
    [
        ({"TERM": "xterm-256color"}, "256 colours"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "true colour"),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "kitty"),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1", "COLORTERM": "truecolor"}, "true colour"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, "256 colours"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "mlterm-256color"}, "sixel"),
        ({"TERM": "xterm-sixel"}, "sixel"),
    ],
)
def test_a_terminal_is_known_by_what_it_says(environment, how, monkeypatch):
    for name in ("TERM", "TERM_PROGRAM", "TMUX", "KITTY_WINDOW_ID", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(preview, "_screen", lambda: Screen(80, 24, (10, 20)))
    assert preview.choose() == how
    if how == "sixel":  # how large a picture would be cannot be said without the size of a letter
        monkeypatch.setattr(preview, "_screen", lambda: Screen(80, 24, None))
        assert preview.choose() == "256 colours"


# A real terminal


_SCRIPT = """
import sys, time, torch
from lanterna.images import open_picture
from lanterna.surfaces.cli.preview import preview, why_not
picture = open_picture(sys.argv[1], longest=320)
assert why_not() is None, why_not()
with preview() as show:
    for step in range(200):
        show(picture * step / 199, f"step {step}")
        time.sleep(0.005)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kitty", "sixel", "true colour"])
def test_pictures_are_redrawn_in_place_a_few_times_a_second(how, cat):
    terms = {"kitty": "xterm-kitty", "sixel": "foot", "true colour": "xterm-256color"}
    path = str(shelf.need("photographs") / "chelsea.png")
    text, code = in_a_terminal(
        [sys.executable, "-c", _SCRIPT, path], letter=(8, 16), TERM=terms[how], COLORTERM="truecolor"
    )
    assert code == 0, text
    columns, rows = fitted(cat.shape[2], cat.shape[1], Screen(80, 24, (8, 16)), how)
    drawn = drawings(text, rows)
    assert 2 <= len(drawn) <= 8  # of 200, in a second or so
    last = drawn[-1]
    assert "step 199" in last
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor comes back
    wanted = as_image(cat)
    if how == "kitty":
        pixels, keys = decode_kitty(last)
        assert (int(keys["c"]), int(keys["r"])) == (columns, rows)
        pixels = np.asarray(pixels)
    elif how == "sixel":
        pixels = decode_sixel(re.search(r"\x1bP.*?\x1b\\", last, re.S).group())
        assert pixels.shape[:2] == (rows * 16, columns * 8)
    else:
        pixels = decode_blocks(last[: last.index("step")].removesuffix("\n"))
        assert pixels.shape[:2] == (rows * 2, columns)
    resized = wanted.resize(pixels.shape[1::-1], Image.Resampling.LANCZOS)
    assert np.abs(pixels.astype(int) - np.asarray(resized)).mean() < 6
    if (
        how != "true colour"
    ):  # wherever a terminal leaves the cursor after a picture, the line beneath is found
        assert last.startswith("\x1b7")
        assert f"\x1b8\x1b[{rows}B\rstep 199" in last
