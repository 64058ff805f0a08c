"""A pseudo-terminal for tests: run programs in it, and decode their drawings to pixels."""

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
    """Decode one transmission of the Kitty protocol; return the picture and its keys."""
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    keys = dict(key.split("=") for key in chunks[0][0].split(","))
    assert [dict(key.split("=") for key in k.split(","))["m"] for k, _ in chunks] == [
        *["1"] * (len(chunks) - 1),
        "0",
    ]
    assert all(len(chunk) <= 4096 for _, chunk in chunks)
    return Image.open(io.BytesIO(base64.standard_b64decode("".join(p for _, p in chunks)))), keys


def decode_blocks(text):
    """Decode half blocks to a picture `(H, W, 3)`."""
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


# A drawing of this size exceeds the 64 KB that the system buffers, so the program must wait for the reader.
LARGE = {"rows": 100, "columns": 300}


@contextlib.contextmanager
def terminal(rows, columns, letter, stop_at, stop):
    """Open a terminal and the list of its output; call `stop` as soon as `stop_at` was written."""
    primary, secondary = pty.openpty()
    size = (rows, columns, columns * letter[0], rows * letter[1])
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", *size))
    written, stopped = [], []

    def listen():
        while True:
            try:
                data = os.read(primary, 65536)
            except OSError:  # the other end was closed
                return
            if not data:
                return
            written.append(data)
            if stop_at and not stopped and stop_at in b"".join(written[-3:]):
                stopped.append(True)
                stop()

    listener = threading.Thread(target=listen)
    listener.start()
    yield secondary, written
    listener.join()
    os.close(primary)


# Variables of the user's environment. With PYTHONUNBUFFERED a signal would truncate the output.
_UNSET = ("NO_COLOR", "TMUX", "STY", "COLORTERM", "TERM_PROGRAM", "PYTHONUNBUFFERED")


def text_of(written):
    return b"".join(written).decode().replace("\r\n", "\n")


def run_in_terminal(argv, *, rows=24, columns=80, letter=(0, 0), stop_at=None, **environment):
    """Run a program with a terminal as its standard error; return its output there and its exit code.

    It receives SIGINT, as from Ctrl-C, as soon as it has written `stop_at`. In a `LARGE` terminal it is still
    drawing then, however slow this process is.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in _UNSET}
    with terminal(rows, columns, letter, stop_at, lambda: process.send_signal(signal.SIGINT)) as (
        descriptor,
        written,
    ):
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=descriptor,
            env=inherited | environment,
        )
        os.close(descriptor)
        process.communicate(timeout=600)
    return text_of(written), process.returncode


def call_in_terminal(run, *, rows=24, columns=80, letter=(0, 0), stop_at=None, **environment):
    """Call a function in this process with a terminal as standard error; return its output and its result."""
    interrupt = partial(os.kill, os.getpid(), signal.SIGINT)
    with (
        terminal(rows, columns, letter, stop_at, interrupt) as (descriptor, written),
        pytest.MonkeyPatch.context() as patch,
        os.fdopen(descriptor, "w", encoding="utf-8") as stream,
    ):
        for name in _UNSET:
            patch.delenv(name, raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr("sys.stderr", stream)
        result = run()
    return text_of(written), result


def drawings(text, rows):
    """Split the output into drawings, at the escape sequences that move the cursor up to the first row."""
    return text.split(f"\x1b[{rows}A")[1:]
