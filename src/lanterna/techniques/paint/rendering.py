"""Render a painting again: at any size, beyond its frame, and between the pictures it has learned.

The network of several pictures takes a code of a few numbers for each, and can interpolate between codes.
`grid` shows interpolated pictures on a sheet, `morph` as a film.
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
"""Limit of a rendered picture's pixels, equal to the limit of a picture that can be opened."""

_SHEET = 2400  # approximate default pixels along the longer side of a grid
_GAP = 4


class View(Settings):
    """The view of a painting to render, and its size."""

    verb: ClassVar[str] = "paint render"

    size: str | None = Field(
        default=None,
        description="Width and height in pixels, such as 4000x3000, or the longer side; by default its own.",
    )
    beyond: float = Field(
        default=0.0,
        gt=-0.5,
        le=100,
        description="How far to extend the frame on each side, as a share of it.",
    )
    zoom: float = Field(
        default=1.0, gt=0, le=1e6, description="How far to zoom in: 2 shows half of the frame."
    )
    centre: tuple[float, float] = Field(
        default=(0.5, 0.5), description="The centre of the view: across and down, as shares of the frame."
    )
    turn: float = Field(
        default=0.0, ge=-360_000, le=360_000, description="How far to rotate the view, in degrees clockwise."
    )

    @field_validator("size", mode="before")
    @classmethod
    def _parse_size(cls, size: object) -> object:
        if size is None:
            return None
        text = str(size).strip().lower().replace("×", "x")
        if not re.fullmatch(r"[1-9][0-9]{0,5}(x[1-9][0-9]{0,5})?", text, re.ASCII):
            raise ValueError("expected a width and height such as 4000x3000, or the longer side")
        return text

    @field_validator("centre")
    @classmethod
    def _check_centre(cls, centre: tuple[float, float]) -> tuple[float, float]:
        if not all(abs(share) <= 1000 for share in centre):
            raise ValueError("expected two shares of the frame, such as 0.3 0.6")
        return centre

    def pixels(self, painting: Painting) -> tuple[int, int]:
        """Return height and width in pixels. Errors: `UsageError` if that is too large."""
        return self._pixels(painting, self.size)

    def _pixels(self, painting: Painting, size: str | None) -> tuple[int, int]:
        height, width = painting.size
        if size and "x" in size:
            width, height = (int(side) for side in size.split("x"))
        elif size:
            scale = int(size) / max(height, width)
            height, width = (max(1, round(side * scale)) for side in (height, width))
        if height * width > MAX_PIXELS:
            raise UsageError(f"size: expected at most {MAX_PIXELS:,} pixels, got {width} × {height}")
        return height, width

    def render(self, painting: Painting, size: tuple[int, int], which: Sequence[float]) -> Tensor:
        """Render this view, `(3, H, W)`."""
        return painting.render(
            size, beyond=self.beyond, zoom=self.zoom, centre=self.centre, turn=self.turn, which=which
        )

    def tiles(self, painting: Painting, size: tuple[int, int]) -> Iterator[tuple[slice, Tensor]]:
        """Yield this view in tiles, as `Painting.tiles` does."""
        return painting.tiles(size, beyond=self.beyond, zoom=self.zoom, centre=self.centre, turn=self.turn)


class Render(View):
    """Render a painting again, at any size."""

    which: tuple[float, ...] = Field(
        default=(),
        max_length=100,
        description="Which of several pictures, from 0; 1.5 is between two. Or a weight for each.",
    )
    print: str | None = Field(
        default=None,
        description="The longer side on paper, such as 30cm@300dpi or 8in, instead of size; saves 16 bits.",
    )

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.print is not None:
            Print.read(self.print)
            if self.size is not None:
                raise ValueError("print sets the size: leave size out")
        return self

    def pixels(self, painting: Painting) -> tuple[int, int]:
        """Return height and width in pixels, those of the print if one is set."""
        return self._pixels(painting, self.size if self.print is None else str(Print.read(self.print).pixels))


class Grid(View):
    """A sheet of pictures interpolated between those of a painting; `size` is that of each."""

    between: int = Field(
        default=3, ge=0, le=50, description="How many pictures between two that were learned."
    )


class Morph(View):
    """A film from picture to picture, and back to the first."""

    frames: int = Field(
        default=48, ge=2, le=10_000, description="The number of frames from one picture to the next."
    )
    fps: float = Field(default=24.0, ge=1, le=60, description="Frames per second.")

    def count(self, painting: Painting) -> int:
        """Return the total number of frames. Errors: `UsageError` if the painting has only one picture."""
        return _count_pictures(painting) * self.frames


def render(painting: Painting, settings: Render | None = None) -> Generator[Frame, None, None]:
    """Render a painting, `(3, H, W)` in [0, 1], yielding the picture after each tile.

    Errors: `UsageError` if `which` is out of range or the size is too large.
    """
    settings = settings or Render()
    which = settings.which[0] if len(settings.which) == 1 else settings.which or None
    mixture = painting.mixture(which)
    height, width = settings.pixels(painting)
    picture = torch.empty(3, height, width)
    count = -(-height * width // TILE)
    for step, (pixels, positions) in enumerate(settings.tiles(painting, (height, width)), start=1):
        with torch.no_grad():
            weights = None if mixture is None else mixture.to(positions.device).expand(len(positions), -1)
            colours = painting.network(positions, weights)
        picture.view(3, -1)[:, pixels] = colours.T.clamp(0, 1).cpu()
        yield Frame(step, count, picture=picture)


def grid(painting: Painting, settings: Grid | None = None) -> Generator[Frame, None, None]:
    """Render a sheet that interpolates the pictures of a painting, yielding it as it grows, `(3, H, W)`.

    The learned pictures stand in rows and columns, marked by an amber frame; those between are bilinear
    mixtures of the four around them. The first pictures fill up an incomplete last row.

    Errors: `UsageError` if the painting has only one picture or the sheet would be too large.
    """
    settings = settings or Grid()
    pictures = _count_pictures(painting)
    columns = math.ceil(math.sqrt(pictures)) if pictures > 3 else pictures
    rows = -(-pictures // columns)
    stride = settings.between + 1
    across, down = (columns - 1) * stride + 1, (rows - 1) * stride + 1
    height, width = settings.pixels(painting)
    if settings.size is None:
        share = min(1.0, _SHEET / max(across * width, down * height))
        height, width = (max(8, round(side * share)) for side in (height, width))
    size = down * (height + _GAP) + _GAP, across * (width + _GAP) + _GAP
    if size[0] * size[1] > MAX_PIXELS:
        raise UsageError(f"size: expected a grid of at most {MAX_PIXELS:,} pixels, got {size[1]} × {size[0]}")
    sheet = _fill(NIGHT, *size)
    for index in range(down * across):
        row, column = divmod(index, across)
        top, left = row * (height + _GAP) + _GAP, column * (width + _GAP) + _GAP
        if row % stride == 0 and column % stride == 0:
            sheet[:, top - _GAP : top + height + _GAP, left - _GAP : left + width + _GAP] = _fill(AMBER, 1, 1)
        weights = _bilinear_weights(row / stride, column / stride, columns, pictures)
        sheet[:, top : top + height, left : left + width] = settings.render(
            painting, (height, width), weights
        )
        yield Frame(index + 1, down * across, picture=sheet)


def morph(
    painting: Painting, settings: Morph | None = None, *, done: int = 0
) -> Generator[Frame, None, None]:
    """Render the frames of a film from picture to picture and back to the first, skipping those `done`.

    Each transition is eased (t² (3 − 2t)). The film loops: the frame after its last would be its first.
    Errors: `UsageError` if the painting has only one picture or the size is too large.
    """
    settings = settings or Morph()
    count, size = settings.count(painting), settings.pixels(painting)
    pictures = painting.pictures
    for index in range(done, count):
        first, step = divmod(index, settings.frames)
        share = step / settings.frames
        eased = share * share * (3 - 2 * share)
        weights = pictures * [0.0]
        weights[first], weights[(first + 1) % pictures] = 1 - eased, eased
        yield Frame(index + 1, count, picture=settings.render(painting, size, weights))


def render_all(painting: Painting, max_pixels: int) -> Tensor:
    """Render all pictures of a painting side by side, `(3, H, W)`, in about `max_pixels`.

    A single picture is rendered at its own size.
    """
    height, width = painting.size
    if painting.pictures == 1:
        return painting.render()
    columns = math.ceil(math.sqrt(painting.pictures))
    rows = -(-painting.pictures // columns)
    share = min(1.0, math.sqrt(max_pixels / (rows * columns * height * width)))
    height, width = (max(1, round(side * share)) for side in (height, width))
    sheet = _fill(NIGHT, rows * height, columns * width)
    for index in range(painting.pictures):
        top, left = index // columns * height, index % columns * width
        sheet[:, top : top + height, left : left + width] = painting.render((height, width), which=index)
    return sheet


def _count_pictures(painting: Painting) -> int:
    if painting.pictures == 1:
        raise UsageError(
            "this painting has only one picture: expected one of several, from lanterna paint A.png B.png"
        )
    return painting.pictures


def _bilinear_weights(row: float, column: float, columns: int, pictures: int) -> list[float]:
    """Return the weight of each picture at a position between them."""
    weights = pictures * [0.0]
    for y, down in ((int(row), 1 - row % 1), (int(row) + 1, row % 1)):
        for x, across in ((int(column), 1 - column % 1), (int(column) + 1, column % 1)):
            if down * across:
                weights[(y * columns + x) % pictures] += down * across
    return weights


def _fill(colour: tuple[int, int, int], height: int, width: int) -> Tensor:
    return (torch.tensor(colour).view(3, 1, 1) / 255).expand(3, height, width).clone()
