"""A terminal of the tests' own: programs run in it, and what they draw there is decoded back to pixels."""

import base64
import contextlib
import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
from functools import partial

import numpy as np
import pytest
from PIL import Image


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
        rows += [upper, lower]
    return np.array(rows)


# So many letters are more than the 64 KB that the system takes from a program before they are read.
LARGE = {"rows": 100, "columns": 300}


@contextlib.contextmanager
def terminal(rows, columns, letter, stop_at, stop):
    """A terminal to write to, and the list of what comes; `stop` is called as soon as `stop_at` has come."""
    ours, theirs = pty.openpty()
    size = (rows, columns, columns * letter[0], rows * letter[1])
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size))
    written, stopped = [], []

    def listen():
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # the other side has been closed
                return
            if not data:
                return
            written.append(data)
            if stop_at and not stopped and stop_at in b"".join(written[-3:]):
                stopped.append(True)
                stop()

    listener = threading.Thread(target=listen)
    listener.start()
    yield theirs, written
    listener.join()
    os.close(ours)


# Of whoever runs the tests. Without a buffer Python loses what a signal cuts off.
NOT_OURS = ("NO_COLOR", "TMUX", "STY", "COLORTERM", "TERM_PROGRAM", "PYTHONUNBUFFERED")


def text_of(written):
    return b"".join(written).decode().replace("\r\n", "\n")


def run_in_terminal(argv, *, rows=24, columns=80, letter=(0, 0), stop_at=None, **environment):
    """Run a program with a terminal as its standard error. Gives what it wrote there, and its exit code.

    It is sent SIGINT, as Ctrl-C does, as soon as it has written `stop_at`. In a terminal that is `LARGE` it
    is still drawing then, however slow this process is.
    """
    kept = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    with terminal(rows, columns, letter, stop_at, lambda: process.send_signal(signal.SIGINT)) as (
        place,
        said,
    ):
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=place, env=kept | environment
        )
        os.close(place)
        process.communicate(timeout=600)
    return text_of(said), process.returncode


def call_in_terminal(run, *, rows=24, columns=80, letter=(0, 0), stop_at=None, **environment):
    """Call a function as `in_a_terminal` runs a program, in this process. Gives what it returned, too."""
    interrupt = partial(os.kill, os.getpid(), signal.SIGINT)
    with (
        terminal(rows, columns, letter, stop_at, interrupt) as (place, said),
        pytest.MonkeyPatch.context() as patch,
        os.fdopen(place, "w", encoding="utf-8") as stream,
    ):
        for name in NOT_OURS:
            patch.delenv(name, raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr("sys.stderr", stream)
        returned = run()
    return text_of(said), returned


def drawings(text, rows):
    """What was drawn each time: between the ways up to its first row."""
    return text.split(f"\x1b[{rows}A")[1:]
