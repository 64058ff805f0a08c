"""A picture in the terminal, redrawn in place while it changes.

In real pixels where the terminal is known to draw them by kitty's graphics protocol
(https://sw.kovidgoyal.net/kitty/graphics-protocol), else as half blocks, two pixels a letter.
"""

import base64
import contextlib
import io
import os
import shutil
import struct
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from lanterna.images.drawing import as_image
from lanterna.surfaces.cli.common import progress, say, stoppable

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.techniques.technique import Frame

How = Literal["kitty", "half blocks"]
Show = Callable[["Tensor", str], None]

_SHORTEST = 0.25  # seconds between two drawings
_SHARE = 0.1  # of the time, at most, goes into drawing
_KITTY_SIDE = 1024
_PIECE = 4096  # bytes of a picture in one command of the kitty protocol, at most


class Screen(NamedTuple):
    """A terminal's size in letters, and the width and height of a letter in pixels where it says so."""

    columns: int
    rows: int
    letter: tuple[float, float] | None


def why_not() -> str | None:
    """Why no picture can be shown in this terminal, or None."""
    if not sys.stderr.isatty():
        return "standard error is not a terminal"
    if os.environ.get("NO_COLOR"):
        return "NO_COLOR is set"
    if os.environ.get("TERM", "dumb") == "dumb" and os.name != "nt":
        return "this terminal is a dumb one"
    # macOS's Terminal and GNU screen long had 256 colours alone; those that have more say so.
    limited = os.environ.get("TERM_PROGRAM") == "Apple_Terminal" or "STY" in os.environ
    if limited and os.environ.get("COLORTERM") not in ("truecolor", "24bit"):
        return "this terminal shows 256 colours only; one that shows all says COLORTERM=truecolor"
    try:
        "▀".encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return f"{sys.stderr.encoding} has no letters to draw with"
    return None


def choose() -> How:
    """How this terminal draws pictures, by what it says of itself. Only what is sure is on the list."""
    term, program = os.environ.get("TERM", ""), os.environ.get("TERM_PROGRAM", "")
    if os.environ.get("TMUX") or term.startswith(("tmux", "screen")):  # these keep pictures to themselves
        return "half blocks"
    known = os.environ.get("KITTY_WINDOW_ID") or term == "xterm-kitty" or program in ("ghostty", "WezTerm")
    return "kitty" if known else "half blocks"


@contextlib.contextmanager
def watching(
    title: str,
    told: "Callable[[Frame], str]",
    rows: "Callable[[Frame], Sequence[str]]" = lambda _: (),
    *,
    shown: bool = False,
    quiet: bool,
) -> "Iterator[Callable[[Frame], None]]":
    """The picture in the terminal where that is wanted and can be, else a bar; what it gives shows frames.

    `title` says what is being done, `told` what there is to say of a frame, `rows` are lines that stay.
    """
    begun = time.perf_counter()
    reason = why_not() if shown else None
    if reason:
        say(f"no preview: {reason}", quiet=quiet)
    if shown and not reason and not quiet:
        with preview() as show:

            def watch(frame: "Frame") -> None:
                if frame.picture is not None:
                    seconds = time.perf_counter() - begun
                    show(frame.picture, f"{frame.step} of {frame.steps}, {seconds:.0f} s{told(frame)}")

            yield watch
        return
    with progress(title, quiet=quiet) as update:

        def watch_steps(frame: "Frame") -> None:
            for row in rows(frame):
                say(row, quiet=quiet)
            update(frame.step, frame.steps, f"{time.perf_counter() - begun:.0f} s{told(frame)}")

        yield watch_steps


def run_through(
    frames: "Generator[Frame, Any, None]",
    title: str,
    told: "Callable[[Frame], str]",
    *,
    shown: bool,
    quiet: bool,
) -> "Frame | None":
    """Work through `frames` as `watching` shows them, to the end or to Ctrl-C; the last one or None.

    Ctrl-C waits for a frame that has a picture to keep.
    """
    frame = None
    with stoppable() as should_stop, watching(title, told, shown=shown, quiet=quiet) as watch:
        for frame in frames:
            watch(frame)
            if should_stop() and frame.picture is not None:
                break
        frames.close()
    return frame


@contextlib.contextmanager
def preview() -> Iterator[Show]:
    """What it gives shows a picture `(3, H, W)` with a line of words beneath, a few times a second at most.

    The last picture is always shown, and stays when the block ends; the words go.
    """
    drawing = _Drawing(choose())
    try:
        yield drawing.show
    finally:
        drawing.finish()


class _Drawing:
    """The place on the terminal where one picture is drawn again and again."""

    def __init__(self, how: How) -> None:
        self.how = how
        self.due = 0.0
        self.waiting: tuple[Tensor, str] | None = None
        self.place: tuple[Screen, int, int] | None = None

    def show(self, picture: "Tensor", words: str) -> None:
        self.waiting = (picture, words)
        if time.monotonic() >= self.due:
            self._draw(picture, words)

    def finish(self) -> None:
        if self.waiting:
            self._draw(*self.waiting)
        if self.place:
            _write("\r\x1b[K\x1b[?25h")

    def _draw(self, picture: "Tensor", words: str) -> None:
        begun = time.monotonic()
        screen = _screen()
        if self.place and self.place[0] == screen:
            _, columns, rows = self.place
            top = f"\r\x1b[{rows}A"
        else:  # the first time, and where the window has been changed: make room
            columns, rows = fitted(picture.shape[-1], picture.shape[-2], screen)
            top = "\r\x1b[?25l" + "\n" * rows + f"\x1b[{rows}A"
            self.place = screen, columns, rows
        body = _body(self.how, as_image(picture), columns, rows, screen)
        _write(f"{top}{body}{words[: screen.columns - 1]}\x1b[K")
        self.waiting = None
        now = time.monotonic()
        self.due = now + max(_SHORTEST, (now - begun) / _SHARE)


def fitted(width: int, height: int, screen: Screen) -> tuple[int, int]:
    """How many columns and rows a picture fills, as large as the terminal allows with two rows to spare."""
    across, down = screen.letter or (1.0, 2.0)
    most = (screen.columns, max(1, screen.rows - 2))
    scale = min(most[0] * across / width, most[1] * down / height)
    sides = (round(width * scale / across), round(height * scale / down))
    columns, rows = (max(1, min(side, limit)) for side, limit in zip(sides, most, strict=True))
    return columns, rows


def _body(how: How, image: Image.Image, columns: int, rows: int, screen: Screen) -> str:
    """The picture, and the way to the beginning of the line beneath it."""
    if how == "half blocks":
        small = image.resize((columns, 2 * rows), Image.Resampling.BOX if image.width > columns else None)
        return half_blocks(small) + "\n"
    across, down = screen.letter or (10.0, 20.0)
    size = (columns * across, rows * down)
    share = min(1.0, _KITTY_SIDE / max(size), max(image.size) / max(size))  # the terminal enlarges it
    small = image.resize(
        (max(1, round(size[0] * share)), max(1, round(size[1] * share))), Image.Resampling.LANCZOS
    )
    # Where the cursor is left after a picture differs from terminal to terminal.
    return f"\x1b7{kitty(small, columns, rows)}\x1b8\x1b[{rows}B\r"


def kitty(image: Image.Image, columns: int, rows: int) -> str:
    """An RGB image as PNG in the kitty graphics protocol, drawn over so many letters.

    It has the process's own number, so that the next one replaces it and another run's stays.
    """
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    data = base64.standard_b64encode(file.getvalue()).decode()
    pieces = [data[start : start + _PIECE] for start in range(0, len(data), _PIECE)]
    first = f"a=T,f=100,i={os.getpid() % 2**24 + 1},q=2,C=1,c={columns},r={rows},"
    return "".join(
        f"\x1b_G{first if number == 0 else ''}m={int(number < len(pieces) - 1)};{piece}\x1b\\"
        for number, piece in enumerate(pieces)
    )


def half_blocks(image: Image.Image) -> str:
    """An RGB image of an even height as lines of ▀: the letter's colour above, its ground's below."""
    values = np.asarray(image)
    lines = []
    for upper, lower in zip(values[::2].tolist(), values[1::2].tolist(), strict=True):
        line, before = [], None
        for above, below in zip(upper, lower, strict=True):
            if (above, below) != before:
                line.append(f"\x1b[38;2;{_semicolons(above)};48;2;{_semicolons(below)}m")
                before = above, below
            line.append("▀")
        lines.append(f"{''.join(line)}\x1b[0m\x1b[K")
    return "\n".join(lines)


def _semicolons(colour: list[int]) -> str:
    return ";".join(map(str, colour))


def _screen() -> Screen:
    columns, rows = shutil.get_terminal_size()
    width = height = 0
    with contextlib.suppress(
        ImportError, OSError, ValueError
    ):  # Windows has neither; a test's stream no number
        import fcntl
        import termios

        size = fcntl.ioctl(sys.stderr.fileno(), termios.TIOCGWINSZ, bytes(8))
        here_rows, here_columns, width, height = struct.unpack("HHHH", size)
        rows, columns = here_rows or rows, here_columns or columns
    return Screen(columns, rows, (width / columns, height / rows) if width and height else None)


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
