"""What the terminal is sent is decoded back to pixels by decoders of the tests' own."""

import io
import sys
import time

import numpy as np
import pytest
from PIL import Image

from lanterna import shelf
from lanterna.images import open_picture
from lanterna.images.drawing import as_image
from lanterna.surfaces.cli import preview
from lanterna.surfaces.cli.preview import Screen, fitted, half_blocks, kitty
from lanterna.techniques.technique import Frame
from terminals import call_in_terminal, decode_blocks, decode_kitty, drawings


@pytest.fixture(scope="module")
def cat():
    return open_picture(shelf.need("photographs") / "chelsea.png", longest=320)


# Encoders


def test_kitty_gets_the_complete_picture(cat):
    image = as_image(cat)
    decoded, keys = decode_kitty(kitty(image, 40, 13))
    assert np.array_equal(np.asarray(decoded), np.asarray(image))
    assert {name: keys[name] for name in "afqCcr"} == {
        "a": "T", "f": "100", "q": "2", "C": "1", "c": "40", "r": "13",
    }  # fmt: skip


def test_half_blocks_are_the_picture(cat):
    image = as_image(cat).resize((60, 40))
    assert np.array_equal(decode_blocks(half_blocks(image)), np.asarray(image))


@pytest.mark.parametrize(("width", "height"), [(640, 480), (100, 900), (3000, 100), (5, 5)])
@pytest.mark.parametrize("letter", [None, (9.0, 18.0), (8.0, 20.0)])
def test_a_picture_is_fitted_and_keeps_its_shape(width, height, letter):
    screen = Screen(80, 24, letter)
    columns, rows = fitted(width, height, screen)
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
        ({"TERM": "xterm-256color"}, "half blocks"),
        ({"TERM": "foot"}, "half blocks"),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "kitty"),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, "half blocks"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, "half blocks"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, None),
        (
            {"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal", "COLORTERM": "truecolor"},
            "half blocks",
        ),
        ({"TERM": "screen-256color", "STY": "12.pts-0"}, None),
    ],
)
def test_a_terminal_is_recognised_by_its_environment(environment, how, monkeypatch):
    for name in ("TERM", "TERM_PROGRAM", "TMUX", "STY", "KITTY_WINDOW_ID", "COLORTERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), "utf-8"))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert (preview.why_not() is None) == (how is not None)
    if how:
        assert preview.choose() == how


# A real terminal


def test_where_there_is_no_terminal_a_line_is_printed_now_and_then(monkeypatch, capsys):
    frames = [Frame(step, 4, {"loss": 1 / step}) for step in (1, 2, 3, 4)]
    now = iter((0.0, 1.0, 11.0, 12.0, 30.0))  # when it began, and at each frame
    monkeypatch.setattr(preview.time, "perf_counter", lambda: next(now))
    describe = "{0.numbers[loss]:.1f}".format
    with preview.watching("learning", lambda frame: f", loss {describe(frame)}", quiet=False) as watch:
        for frame in frames:
            watch(frame)
    assert capsys.readouterr().err == "learning: 2 of 4, 11 s, loss 0.5\n"


STEPS = 80


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kitty", "half blocks"])
def test_pictures_are_redrawn_in_place_a_few_times_a_second(how, cat):
    term = "xterm-kitty" if how == "kitty" else "xterm-256color"

    def work():
        begun = time.monotonic()
        assert preview.why_not() is None, preview.why_not()
        with preview.preview() as show:
            for step in range(STEPS):
                show(cat * step / (STEPS - 1), f"step {step}")
                time.sleep(0.005)
        return time.monotonic() - begun

    text, seconds = call_in_terminal(work, letter=(8, 16), TERM=term, COLORTERM="truecolor")
    columns, rows = fitted(cat.shape[2], cat.shape[1], Screen(80, 24, (8, 16)))
    drawn = drawings(text, rows)
    assert 2 <= len(drawn) <= 4 * seconds + 2  # the first and the last, and in between four a second
    last = drawn[-1]
    assert f"step {STEPS - 1}" in last
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor comes back
    wanted = as_image(cat)
    if how == "kitty":
        pixels, keys = decode_kitty(last)
        assert (int(keys["c"]), int(keys["r"])) == (columns, rows)
        pixels = np.asarray(pixels)
    else:
        pixels = decode_blocks(last[: last.index("step")].removesuffix("\n"))
        assert pixels.shape[:2] == (rows * 2, columns)
    resized = wanted.resize(pixels.shape[1::-1], Image.Resampling.LANCZOS)
    assert np.abs(pixels.astype(int) - np.asarray(resized)).mean() < 6
    if how == "kitty":  # wherever a terminal leaves the cursor after a picture, the line beneath is found
        assert last.startswith("\x1b7")
        assert f"\x1b8\x1b[{rows}B\rstep {STEPS - 1}" in last
