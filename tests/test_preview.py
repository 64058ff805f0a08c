"""What the terminal is sent is decoded back to pixels by decoders of the tests' own."""

import base64
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading

import numpy as np
import pytest
from PIL import Image

from lanterna import shelf
from lanterna.images import open_picture
from lanterna.images.drawing import as_image
from lanterna.surfaces.cli import preview
from lanterna.surfaces.cli.preview import Screen, fitted, half_blocks, kitty, sixel


@pytest.fixture(scope="module")
def cat():
    return open_picture(shelf.need("photographs") / "chelsea.png", longest=320)


# Decoders


def decode_kitty(text):
    """The picture of one transmission, and its keys."""
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    keys = dict(key.split("=") for key in pieces[0][0].split(","))
    assert [dict(key.split("=") for key in k.split(","))["m"] for k, _ in pieces] == [
        *["1"] * (len(pieces) - 1),
        "0",
    ]
    assert all(len(piece) <= 4096 for _, piece in pieces)
    return Image.open(io.BytesIO(base64.standard_b64decode("".join(p for _, p in pieces)))), keys


def decode_sixel(text):
    """The picture of sixels `(H, W, 3)`; pixels never drawn are magenta."""
    body = re.fullmatch(r"\x1bPq(.*)\x1b\\", text, re.S).group(1)
    width, height = map(int, re.match(r'"1;1;(\d+);(\d+)', body).groups())
    pixels = np.full((height, width, 3), (255, 0, 255))
    palette, colour, x, y = {}, None, 0, 0
    body = body[body.index("#") :]
    for token in re.findall(r"#\d+;2;\d+;\d+;\d+|#\d+|!\d+.|[$-]|[?-~]", body):
        if token.startswith("#") and ";" in token:
            number, _, *levels = map(int, token[1:].split(";"))
            palette[number] = [round(level * 2.55) for level in levels]
        elif token.startswith("#"):
            colour = palette[int(token[1:])]
        elif token == "$":
            x = 0
        elif token == "-":
            x, y = 0, y + 6
        else:
            count, sign = (int(token[1:-1]), token[-1]) if token.startswith("!") else (1, token)
            for bit in range(6):
                if (ord(sign) - 63) >> bit & 1:
                    assert y + bit < height
                    assert x + count <= width
                    pixels[y + bit, x : x + count] = colour
            x += count
    return pixels


def xterm(number):
    """The colour of a number of xterm's 256."""
    if number >= 232:
        return [8 + 10 * (number - 232)] * 3
    number -= 16
    return [0 if level == 0 else 55 + 40 * level for level in (number // 36, number // 6 % 6, number % 6)]


def decode_blocks(text):
    """The picture of half blocks `(H, W, 3)`."""
    rows = []
    for line in text.split("\n"):
        upper, lower, above, below = [], [], None, None
        for codes, sign in re.findall(r"\x1b\[([\d;]*)[mK]|(▀)", line):
            if sign:
                upper.append(above)
                lower.append(below)
            elif codes.startswith("38;2;"):
                numbers = list(map(int, codes.split(";")))
                above, below = numbers[2:5], numbers[7:10]
                assert numbers[5:7] == [48, 2]
            elif codes.startswith("38;5;"):
                _, _, first, ground, five, second = map(int, codes.split(";"))
                assert (ground, five) == (48, 5)
                above, below = xterm(first), xterm(second)
        rows += [upper, lower]
    return np.array(rows)


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


def in_a_terminal(argv, *, rows=24, columns=80, letter=(0, 0), **environment):
    """Run a program with a terminal as its standard error. Gives what it wrote there, and its exit code."""
    ours, theirs = pty.openpty()
    size = (rows, columns, columns * letter[0], rows * letter[1])
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size))
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TMUX", "COLORTERM", "TERM_PROGRAM")}
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, env=kept | environment
    )
    os.close(theirs)
    written = []

    def listen():
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # the other side has been closed
                return
            if not data:
                return
            written.append(data)

    listener = threading.Thread(target=listen)
    listener.start()
    process.communicate(timeout=120)
    listener.join()
    os.close(ours)
    return b"".join(written).decode().replace("\r\n", "\n"), process.returncode


def drawings(text, rows):
    """What was drawn each time: between the ways up to its first row."""
    return text.split(f"\x1b[{rows}A")[1:]


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
