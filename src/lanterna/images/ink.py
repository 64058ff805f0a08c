"""Segmentation of a page or drawing into possible digits, with every intermediate step for display."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lanterna.images.light import EvenedPage, even_light
from lanterna.images.lines import Line, cover_lines, find_lines
from lanterna.images.perspective import Points, flatten, project
from lanterna.images.rules import Rule, remove_rules
from lanterna.images.segments import Segment, Segments, find_segments, ink_levels
from lanterna.images.sheet import page_turn, rotate, sheet_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORKING_SIZE = 2000
"""Pixels of the longer side at which a page is processed; a smaller one is enlarged up to four times."""

_SMALL = 1200
_LEAST_ROW = 3  # digits: fewer do not show how far a page is turned


@dataclass(frozen=True)
class Page:
    """A page's ink and segments, step by step.

    `original` is the given picture, `picture` `(3, H, W)` the upright page at working size, which is
    `cut_out` of it and flattened if it is a sheet on a table, and turned left by `quarter_turns`;
    `evened` its lighting and ink; `sheet` bool `(H, W)`, the paper without the table around it; `turn` the
    page's rotation in degrees, counter-clockwise; `ruled` `(H', W')`, the levelled page's ink; `ink` the same
    without `lines` and `rules`; `segments` what was found on the levelled page; `back` `(3, 3)`, the map from
    the levelled page to pixels of the original picture.
    """

    original: Tensor
    picture: Tensor
    evened: EvenedPage
    sheet: Tensor
    turn: float
    ruled: Tensor
    ink: Tensor
    lines: list[Line]
    rules: list[Rule]
    segments: Segments
    back: NDArray[np.float64]
    quarter_turns: int = 0
    cut_out: bool = False

    def place(self, segment: Segment) -> tuple[float, float, float, float]:
        """Return a segment's box in pixels of the original picture: x0, y0, x1, y1."""
        ys, xs = np.nonzero(segment.ink > 0.5)
        if not len(ys):
            ys, xs = np.indices(segment.ink.shape).reshape(2, -1)
        return self._place(xs + segment.box[0] + 0.5, ys + segment.box[1] + 0.5)

    def place_box(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Return a box of the levelled page in pixels of the original picture."""
        x0, y0, x1, y1 = box
        x, y = np.array([x0, x1, x0, x1]), np.array([y0, y0, y1, y1])
        return self._place(x + 0.5 * np.sign(x0 + x1 - 2 * x), y + 0.5 * np.sign(y0 + y1 - 2 * y))

    def _place(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> tuple[float, float, float, float]:
        across, down = project(self.back, x, y)
        half = 0.5 * float(np.abs(self.back[0, :2]).sum())  # a pixel's own extent
        return (
            float(across.min()) - half,
            float(down.min()) - half,
            float(across.max()) + half,
            float(down.max()) + half,
        )


def find_ink(
    picture: Tensor,
    size: tuple[int, int] | None = None,
    *,
    quarter_turns: int = 0,
    corners: Points | None = None,
) -> Page:
    """Find possible digits in a picture `(3, H, W)` in [0, 1].

    `size` is the original's width and height if `picture` is a reduced copy: boxes are in the original's
    pixels. `corners` `(4, 2)`, clockwise from the upper left, are those of the part to cut out and flatten,
    and `quarter_turns` how often to turn it left after that.
    """
    width, height = size or (picture.shape[2], picture.shape[1])
    back = np.diag([width / picture.shape[2], height / picture.shape[1], 1.0])
    flat = picture
    if corners is not None:
        flat, unflattened = flatten(picture, corners)
        back = back @ unflattened
    upright, unturned = _turned(flat, quarter_turns)
    back = back @ unturned
    page = _working_size(upright)
    back = back @ np.diag([upright.shape[2] / page.shape[2], upright.shape[1] / page.shape[1], 1.0])
    evened = even_light(page)
    sheet = sheet_mask(evened.background)
    ink = evened.ink * sheet
    noise = evened.noise
    _, weak, strong = ink_levels(ink.numpy(), noise)
    level = _level(ink, page_turn(ink, weak), strong, noise)
    if level.turn and not _shows_its_turn(level):
        level = _level(ink, 0.0, strong, noise)
    return Page(
        picture, page, evened, sheet, level.turn, level.ruled, level.ink, level.lines, level.rules,
        level.segments, back @ level.back, quarter_turns, corners is not None,
    )  # fmt: skip


class _Level(NamedTuple):
    """A levelled page; its fields are as in `Page`, `back` is the map to the page that is not levelled."""

    turn: float
    ruled: Tensor
    ink: Tensor
    lines: list[Line]
    rules: list[Rule]
    segments: Segments
    back: NDArray[np.float64]


def _level(ink: Tensor, turn: float, strong: float, noise: float) -> _Level:
    """Turn a page's ink back by `turn` degrees, and find its lines and segments."""
    ruled, back = ink, np.eye(3)
    if abs(turn) > 0.3:
        ruled, level = rotate(ink, turn)
        back = np.vstack([level, (0, 0, 1)])
    mask = ruled.numpy() > strong  # the rules of lined paper are fainter, and are removed next
    lines = find_lines(mask)
    cleaned = ruled.masked_fill(torch.from_numpy(cover_lines(mask, lines)), 0)
    cleaned, rules = remove_rules(cleaned, noise)
    segments = find_segments(cleaned.numpy(), noise)
    return _Level(turn, ruled, cleaned, lines, rules, segments, back)


def _shows_its_turn(level: _Level) -> bool:
    """Return whether a page has lines, or a row of digits: any turn suits a single digit and its sign."""
    rows = Counter(segment.row for segment in level.segments.digits)
    return bool(level.lines or level.rules) or max(rows.values(), default=0) >= _LEAST_ROW


def _turned(picture: Tensor, quarter_turns: int) -> tuple[Tensor, NDArray[np.float64]]:
    """Turn a picture left by quarters; return it and the map `(3, 3)` back."""
    height, width = picture.shape[1:]
    back = {
        0: [[1, 0, 0], [0, 1, 0]],
        1: [[0, -1, width], [1, 0, 0]],
        2: [[-1, 0, width], [0, -1, height]],
        3: [[0, 1, 0], [-1, 0, height]],
    }[quarter_turns]
    turned = torch.rot90(picture, quarter_turns, (1, 2)).contiguous() if quarter_turns else picture
    return turned, np.array([*back, [0, 0, 1]], float)


def find_drawing(picture: Tensor, size: tuple[int, int] | None = None) -> Page:
    """Find possible digits in a drawing `(3, H, W)` of light ink on black, as drawn in the studio.

    There is no paper, so the steps that separate ink from paper are skipped; the result is that of a page.
    """
    original = size or (picture.shape[2], picture.shape[1])
    ink = picture.mean(0)
    height, width = ink.shape
    nothing = torch.zeros_like(picture)
    evened = EvenedPage(
        ink, nothing[0], ink, (1 / 3, 1 / 3, 1 / 3), dark=False, noise=0.0, background=nothing
    )
    segments = find_segments(ink.numpy(), 0.0)
    back = np.diag([original[0] / width, original[1] / height, 1.0])
    sheet = torch.ones(height, width, dtype=torch.bool)
    return Page(picture, picture, evened, sheet, 0.0, ink, ink, [], [], segments, back)


def _working_size(picture: Tensor) -> Tensor:
    longest = max(picture.shape[1:])
    if longest > WORKING_SIZE:
        scale = WORKING_SIZE / longest
    elif longest < _SMALL:
        scale = min(4.0, _SMALL / longest)
    else:
        return picture
    size = [max(1, round(side * scale)) for side in picture.shape[1:]]
    mode = "bilinear" if scale < 1 else "bicubic"
    resized = F.interpolate(picture[None], size=size, mode=mode, align_corners=False, antialias=scale < 1)
    clamped: Tensor = resized[0].clamp(0, 1)
    return clamped
