"""A painting shown again: at any size, past its frame, and between the pictures it has learned.

A network that was told which picture it paints (a few numbers for each, its code) can be told something
between two of them. `grid` shows what it paints there, `morph` goes through it.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from pydantic import Field, field_validator, model_validator

from lanterna.errors import UsageError
from lanterna.images.drawing import AMBER, NIGHT
from lanterna.images.prints import Print
from lanterna.techniques.paint.painting import TILE
from lanterna.techniques.technique import Frame, Settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from torch import Tensor

    from lanterna.techniques.paint.painting import Painting

MAX_PIXELS = 200_000_000
"""Pixels that are painted at most: as many as a picture may have that is opened."""

_SHEET = 2400  # pixels along the longer side of a grid, about, where no size is asked for
_GAP = 4


class View(Settings):
    """What of a painting is shown, and how large."""

    verb: ClassVar[str] = "paint render"

    size: str | None = Field(
        default=None,
        description="Width and height in pixels, such as 4000x3000, or the longer side; else its own.",
    )
    beyond: float = Field(
        default=0.0, gt=-0.5, le=100, description="How far past its frame, as a share of it on each side."
    )
    zoom: float = Field(default=1.0, gt=0, le=1e6, description="How much nearer: 2 shows half of it.")
    centre: tuple[float, float] = Field(
        default=(0.5, 0.5), description="What is in the middle: across and down, as shares of the frame."
    )
    turn: float = Field(
        default=0.0, ge=-360_000, le=360_000, description="How far it is turned, in degrees clockwise."
    )

    @field_validator("size", mode="before")
    @classmethod
    def _reads_size(cls, size: object) -> object:
        if size is None:
            return None
        text = str(size).strip().lower().replace("×", "x")
        if not re.fullmatch(r"[1-9][0-9]{0,5}(x[1-9][0-9]{0,5})?", text, re.ASCII):
            raise ValueError("expected a width and height such as 4000x3000, or the longer side")
        return text

    @field_validator("centre")
    @classmethod
    def _near(cls, centre: tuple[float, float]) -> tuple[float, float]:
        if not all(abs(share) <= 1000 for share in centre):
            raise ValueError("expected two shares of the frame, such as 0.3 0.6")
        return centre

    def pixels(self, painting: Painting) -> tuple[int, int]:
        """Height and width of what is painted. Errors: `UsageError` where that is too large."""
        return self._within(painting, self.size)

    def _within(self, painting: Painting, size: str | None) -> tuple[int, int]:
        height, width = painting.size
        if size and "x" in size:
            width, height = (int(side) for side in size.split("x"))
        elif size:
            scale = int(size) / max(height, width)
            height, width = (max(1, round(side * scale)) for side in (height, width))
        if height * width > MAX_PIXELS:
            raise UsageError(f"size: at most {MAX_PIXELS:,} pixels are painted, {width} × {height} are more")
        return height, width

    def seen(self, painting: Painting, size: tuple[int, int], which: Sequence[float]) -> Tensor:
        """Paint this view, `(3, H, W)`."""
        return painting.render(
            size, beyond=self.beyond, zoom=self.zoom, centre=self.centre, turn=self.turn, which=which
        )

    def tiles(self, painting: Painting, size: tuple[int, int]) -> Iterator[tuple[slice, Tensor]]:
        """This view in parts, as `Painting.tiles` gives them."""
        return painting.tiles(size, beyond=self.beyond, zoom=self.zoom, centre=self.centre, turn=self.turn)


class Render(View):
    """Paint a painting again, at any size."""

    which: tuple[float, ...] = Field(
        default=(),
        max_length=100,
        description="Which of several pictures, from 0: 1.5 is between two; or how much of each.",
    )
    print: str | None = Field(
        default=None,
        description="The longer side on paper, such as 30cm@300dpi, 8in, in place of size; saves 16 bits.",
    )

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.print is not None:
            Print.read(self.print)
            if self.size is not None:
                raise ValueError("print says how large it is: leave size out")
        return self

    def pixels(self, painting: Painting) -> tuple[int, int]:
        """Height and width of what is painted, of a print by its length."""
        return self._within(painting, self.size if self.print is None else str(Print.read(self.print).pixels))


class Grid(View):
    """A sheet of what a painting has between its pictures. `size` is that of each picture on it."""

    between: int = Field(default=3, ge=0, le=50, description="How many between two pictures.")


class Morph(View):
    """A film from picture to picture, and back to the first."""

    frames: int = Field(default=48, ge=2, le=10_000, description="Frames from a picture to the next.")
    fps: float = Field(default=24.0, ge=1, le=60, description="Frames a second.")

    def count(self, painting: Painting) -> int:
        """How many frames there are in all. Errors: `UsageError` where the painting is of one picture."""
        return _several(painting) * self.frames


def render(painting: Painting, settings: Render | None = None) -> Generator[Frame, None, None]:
    """Paint a painting as the settings say, `(3, H, W)` in [0, 1], yielding it after each of its parts.

    Errors: `UsageError` for a `which` that is not there, or a size that is too large.
    """
    settings = settings or Render()
    which = settings.which[0] if len(settings.which) == 1 else settings.which or None
    mixture = painting.mixture(which)
    height, width = settings.pixels(painting)
    picture = torch.empty(3, height, width)
    count = -(-height * width // TILE)
    for number, (pixels, positions) in enumerate(settings.tiles(painting, (height, width)), start=1):
        with torch.no_grad():
            weights = None if mixture is None else mixture.to(positions.device).expand(len(positions), -1)
            colours = painting.network(positions, weights)
        picture.view(3, -1)[:, pixels] = colours.T.clamp(0, 1).cpu()
        yield Frame(number, count, picture=picture)


def grid(painting: Painting, settings: Grid | None = None) -> Generator[Frame, None, None]:
    """Paint a sheet between the pictures of a painting, yielding it as it grows, `(3, H, W)`.

    The pictures stand in rows and columns, marked by an amber frame; what is between them is mixed of the
    four around it, by how near they are. Where the last row is not full it goes on with the first pictures.

    Errors: `UsageError` where the painting is of one picture, or the sheet would be too large.
    """
    settings = settings or Grid()
    several = _several(painting)
    columns = math.ceil(math.sqrt(several)) if several > 3 else several
    rows = -(-several // columns)
    stride = settings.between + 1
    across, down = (columns - 1) * stride + 1, (rows - 1) * stride + 1
    height, width = settings.pixels(painting)
    if settings.size is None:
        share = min(1.0, _SHEET / max(across * width, down * height))
        height, width = (max(8, round(side * share)) for side in (height, width))
    size = down * (height + _GAP) + _GAP, across * (width + _GAP) + _GAP
    if size[0] * size[1] > MAX_PIXELS:
        raise UsageError(f"size: a grid has at most {MAX_PIXELS:,} pixels, {size[1]} × {size[0]} are more")
    sheet = _filled(NIGHT, *size)
    for number in range(down * across):
        row, column = divmod(number, across)
        top, left = row * (height + _GAP) + _GAP, column * (width + _GAP) + _GAP
        if row % stride == 0 and column % stride == 0:
            sheet[:, top - _GAP : top + height + _GAP, left - _GAP : left + width + _GAP] = _filled(
                AMBER, 1, 1
            )
        weights = _mixed(row / stride, column / stride, columns, several)
        sheet[:, top : top + height, left : left + width] = settings.seen(painting, (height, width), weights)
        yield Frame(number + 1, down * across, picture=sheet)


def morph(
    painting: Painting, settings: Morph | None = None, *, done: int = 0
) -> Generator[Frame, None, None]:
    """Paint the frames of a film from picture to picture, and from the last to the first, after `done`.

    Each change begins and ends slowly (t² (3 − 2t)). The film may be looped: the frame after its last would
    be its first. Errors: `UsageError` where the painting is of one picture, or the size is too large.
    """
    settings = settings or Morph()
    count, size = settings.count(painting), settings.pixels(painting)
    several = painting.pictures
    for number in range(done, count):
        first, step = divmod(number, settings.frames)
        share = step / settings.frames
        eased = share * share * (3 - 2 * share)
        weights = several * [0.0]
        weights[first], weights[(first + 1) % several] = 1 - eased, eased
        yield Frame(number + 1, count, picture=settings.seen(painting, size, weights))


def render_all(painting: Painting, most: int) -> Tensor:
    """All pictures of a painting side by side, in about `most` pixels, `(3, H, W)`; one alone as it is."""
    height, width = painting.size
    if painting.pictures == 1:
        return painting.render()
    columns = math.ceil(math.sqrt(painting.pictures))
    rows = -(-painting.pictures // columns)
    share = min(1.0, math.sqrt(most / (rows * columns * height * width)))
    height, width = (max(1, round(side * share)) for side in (height, width))
    sheet = _filled(NIGHT, rows * height, columns * width)
    for number in range(painting.pictures):
        top, left = number // columns * height, number % columns * width
        sheet[:, top : top + height, left : left + width] = painting.render((height, width), which=number)
    return sheet


def _several(painting: Painting) -> int:
    if painting.pictures == 1:
        raise UsageError(
            "this painting is of one picture: lanterna paint learns several, and then there is a between"
        )
    return painting.pictures


def _mixed(row: float, column: float, columns: int, several: int) -> list[float]:
    """How much of each picture there is at a place between them, bilinear."""
    weights = several * [0.0]
    for y, down in ((int(row), 1 - row % 1), (int(row) + 1, row % 1)):
        for x, across in ((int(column), 1 - column % 1), (int(column) + 1, column % 1)):
            if down * across:
                weights[(y * columns + x) % several] += down * across
    return weights


def _filled(colour: tuple[int, int, int], height: int, width: int) -> Tensor:
    return (torch.tensor(colour).view(3, 1, 1) / 255).expand(3, height, width).clone()
