"""A picture in the terminal, redrawn in place while it changes.

Drawn as real pixels if the terminal is known to support kitty's graphics protocol
(https://sw.kovidgoyal.net/kitty/graphics-protocol), otherwise as half blocks, two pixels a character.
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
from lanterna.surfaces.cli.common import on_terminal, progress, say, stoppable

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.techniques.technique import Frame

Protocol = Literal["kitty", "half blocks"]
Show = Callable[["Tensor", str], None]

_MIN_INTERVAL = 0.25  # seconds between two redraws
_LINE_EVERY = 10.0  # seconds between two lines of progress where there is no terminal for a bar
_MAX_SHARE = 0.1  # of the time that is spent on drawing
_KITTY_SIDE = 1024
_MAX_PAYLOAD = 4096  # bytes in one command of the kitty protocol


class Screen(NamedTuple):
    """A terminal's size in characters, and the size of a character in pixels if the terminal reports it."""

    columns: int
    rows: int
    cell: tuple[float, float] | None


def why_not() -> str | None:
    """Return why this terminal cannot show a picture, or None if it can."""
    if not sys.stderr.isatty():
        return "standard error is not a terminal"
    if os.environ.get("NO_COLOR"):
        return "NO_COLOR is set"
    if os.environ.get("TERM", "dumb") == "dumb" and os.name != "nt":
        return "TERM is dumb"
    # macOS's Terminal and GNU screen had only 256 colours for a long time; newer ones set COLORTERM.
    limited = os.environ.get("TERM_PROGRAM") == "Apple_Terminal" or "STY" in os.environ
    if limited and os.environ.get("COLORTERM") not in ("truecolor", "24bit"):
        return "this terminal has only 256 colours, unless COLORTERM=truecolor is set"
    try:
        "▀".encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return f"the encoding {sys.stderr.encoding} has no block characters"
    return None


def choose() -> Protocol:
    """Choose how to draw, by the terminal's environment variables. Only terminals known to work get kitty."""
    term, program = os.environ.get("TERM", ""), os.environ.get("TERM_PROGRAM", "")
    if os.environ.get("TMUX") or term.startswith(("tmux", "screen")):  # these do not pass pictures on
        return "half blocks"
    known = os.environ.get("KITTY_WINDOW_ID") or term == "xterm-kitty" or program in ("ghostty", "WezTerm")
    return "kitty" if known else "half blocks"


@contextlib.contextmanager
def watching(
    title: str,
    describe: "Callable[[Frame], str]",
    rows: "Callable[[Frame], Sequence[str]]" = lambda _: (),
    *,
    shown: bool = False,
    quiet: bool,
) -> "Iterator[Callable[[Frame], None]]":
    """Yield a function that shows frames: as a picture in the terminal if requested, otherwise as a bar.

    `title` names the work, `describe` returns a frame's numbers as text, `rows` returns lines that stay.
    Where there is no terminal for a bar, a line is printed every ten seconds.
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
                    show(frame.picture, f"{frame.count}, {seconds:.0f} s{describe(frame)}")

            yield watch
        return
    due = 0.0 if on_terminal() else begun + _LINE_EVERY
    with progress(title, quiet=quiet) as update:

        def watch_steps(frame: "Frame") -> None:
            nonlocal due
            now = time.perf_counter()
            note = f"{now - begun:.0f} s{describe(frame)}"
            lines = list(rows(frame))
            if due and now > due and not lines and frame.step < frame.steps:
                lines = [f"{title}: {frame.count}, {note}"]
            for line in lines:
                say(line, quiet=quiet)
            due = now + _LINE_EVERY if due and lines else due
            part, step, steps = frame.count
            update(step, steps, f"{part}, {note}" if part else note)

        yield watch_steps


def run_through(
    frames: "Generator[Frame, Any, None]",
    title: str,
    describe: "Callable[[Frame], str]",
    *,
    shown: bool,
    quiet: bool,
) -> "Frame | None":
    """Run through `frames`, shown by `watching`, to the end or Ctrl-C; return the last one or None.

    Ctrl-C takes effect at the next frame that has a picture to save.
    """
    frame = None
    with stoppable() as should_stop, watching(title, describe, shown=shown, quiet=quiet) as watch:
        for frame in frames:
            watch(frame)
            if should_stop() and frame.picture is not None:
                break
        frames.close()
    return frame


@contextlib.contextmanager
def preview() -> Iterator[Show]:
    """Yield a function that shows a picture `(3, H, W)` above a line of text, a few times a second at most.

    The last picture is always shown, and stays when the block ends; the text is erased.
    """
    drawing = _Drawing(choose())
    try:
        yield drawing.show
    finally:
        drawing.finish()


class _Drawing:
    """An area of the terminal where a picture is redrawn in place."""

    def __init__(self, how: Protocol) -> None:
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
        else:  # the first time, or after the window was resized: make room
            columns, rows = fitted(picture.shape[-1], picture.shape[-2], screen)
            top = "\r\x1b[?25l" + "\n" * rows + f"\x1b[{rows}A"
            self.place = screen, columns, rows
        body = _body(self.how, as_image(picture), columns, rows, screen)
        _write(f"{top}{body}{words[: screen.columns - 1]}\x1b[K")
        self.waiting = None
        now = time.monotonic()
        self.due = now + max(_MIN_INTERVAL, (now - begun) / _MAX_SHARE)


def fitted(width: int, height: int, screen: Screen) -> tuple[int, int]:
    """Return the columns and rows of a picture: as large as the terminal allows, with two rows to spare."""
    cell_width, cell_height = screen.cell or (1.0, 2.0)
    limits = (screen.columns, max(1, screen.rows - 2))
    scale = min(limits[0] * cell_width / width, limits[1] * cell_height / height)
    sides = (round(width * scale / cell_width), round(height * scale / cell_height))
    columns, rows = (max(1, min(side, limit)) for side, limit in zip(sides, limits, strict=True))
    return columns, rows


def _body(how: Protocol, image: Image.Image, columns: int, rows: int, screen: Screen) -> str:
    """Return the escape codes that draw the picture and move to the start of the line below it."""
    if how == "half blocks":
        small = image.resize((columns, 2 * rows), Image.Resampling.BOX if image.width > columns else None)
        return half_blocks(small) + "\n"
    cell_width, cell_height = screen.cell or (10.0, 20.0)
    size = (columns * cell_width, rows * cell_height)
    share = min(1.0, _KITTY_SIDE / max(size), max(image.size) / max(size))  # the terminal enlarges it
    small = image.resize(
        (max(1, round(size[0] * share)), max(1, round(size[1] * share))), Image.Resampling.LANCZOS
    )
    # Terminals differ in where they leave the cursor after a picture.
    return f"\x1b7{kitty(small, columns, rows)}\x1b8\x1b[{rows}B\r"


def kitty(image: Image.Image, columns: int, rows: int) -> str:
    """Encode an RGB image in the kitty graphics protocol, drawn over this many columns and rows.

    Its id is the process's, so that the next picture replaces it and another run's stays.
    """
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    data = base64.standard_b64encode(file.getvalue()).decode()
    chunks = [data[start : start + _MAX_PAYLOAD] for start in range(0, len(data), _MAX_PAYLOAD)]
    first = f"a=T,f=100,i={os.getpid() % 2**24 + 1},q=2,C=1,c={columns},r={rows},"
    return "".join(
        f"\x1b_G{first if number == 0 else ''}m={int(number < len(chunks) - 1)};{chunk}\x1b\\"
        for number, chunk in enumerate(chunks)
    )


def half_blocks(image: Image.Image) -> str:
    """Draw an RGB image of even height as lines of ▀: foreground above, background below."""
    values = np.asarray(image)
    lines = []
    for upper, lower in zip(values[::2].tolist(), values[1::2].tolist(), strict=True):
        line, last = [], None
        for above, below in zip(upper, lower, strict=True):
            if (above, below) != last:
                line.append(f"\x1b[38;2;{_semicolons(above)};48;2;{_semicolons(below)}m")
                last = above, below
            line.append("▀")
        lines.append(f"{''.join(line)}\x1b[0m\x1b[K")
    return "\n".join(lines)


def _semicolons(colour: list[int]) -> str:
    return ";".join(map(str, colour))


def _screen() -> Screen:
    columns, rows = shutil.get_terminal_size()
    width = height = 0
    # Windows has no fcntl, and a stream in a test has no file number.
    with contextlib.suppress(ImportError, OSError, ValueError):
        import fcntl
        import termios

        size = fcntl.ioctl(sys.stderr.fileno(), termios.TIOCGWINSZ, bytes(8))
        own_rows, own_columns, width, height = struct.unpack("HHHH", size)
        rows, columns = own_rows or rows, own_columns or columns
    return Screen(columns, rows, (width / columns, height / rows) if width and height else None)


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
