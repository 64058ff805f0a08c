"""Segmentation of a page or drawing into possible digits, with every intermediate step for display."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lanterna.images.light import EvenedPage, even_light
from lanterna.images.lines import Line, cover_lines, find_lines
from lanterna.images.rules import Rule, remove_rules
from lanterna.images.segments import Segment, find_segments, ink_levels
from lanterna.images.sheet import page_turn, rotate, sheet_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORKING_SIZE = 2000
"""Pixels of the longer side at which a page is processed; a smaller one is enlarged up to four times."""

_SMALL = 1200


@dataclass(frozen=True)
class Page:
    """A page's ink and segments, step by step.

    `picture` `(3, H, W)` at working size; `evened` its lighting and ink; `sheet` bool `(H, W)`, the paper
    without the table around it; `turn` the page's rotation in degrees, counter-clockwise; `ruled` `(H', W')`,
    the levelled page's ink; `ink` the same without `lines` and `rules`; `segments` the possible digits on the
    levelled page; `back` `(2, 3)`, the affine map from the levelled page to pixels of the original picture.
    """

    picture: Tensor
    evened: EvenedPage
    sheet: Tensor
    turn: float
    ruled: Tensor
    ink: Tensor
    lines: list[Line]
    rules: list[Rule]
    segments: list[Segment]
    back: NDArray[np.float64]

    def place(self, segment: Segment) -> tuple[float, float, float, float]:
        """Return a segment's box in pixels of the original picture: x0, y0, x1, y1."""
        ys, xs = np.nonzero(segment.ink > 0.5)
        if not len(ys):
            ys, xs = np.indices(segment.ink.shape).reshape(2, -1)
        x, y = xs + segment.box[0] + 0.5, ys + segment.box[1] + 0.5
        across, down = self.back @ np.stack([x, y, np.ones(len(x))])
        half = 0.5 * float(np.abs(self.back[0, :2]).sum())  # a pixel's own extent
        return (
            float(across.min()) - half,
            float(down.min()) - half,
            float(across.max()) + half,
            float(down.max()) + half,
        )


def find_ink(picture: Tensor, size: tuple[int, int] | None = None) -> Page:
    """Find possible digits in a picture `(3, H, W)` in [0, 1].

    `size` is the original's width and height if `picture` is a reduced copy: boxes are in the original's
    pixels.
    """
    original = size or (picture.shape[2], picture.shape[1])
    picture = _working_size(picture)
    height, width = picture.shape[1:]
    evened = even_light(picture)
    sheet = sheet_mask(evened.background)
    ink = evened.ink * sheet
    noise = evened.noise
    _, weak, strong = ink_levels(ink.numpy(), noise)
    turn = page_turn(ink, weak)
    ruled, back = rotate(ink, turn) if abs(turn) > 0.3 else (ink, np.eye(3)[:2])
    mask = ruled.numpy() > strong  # the rules of lined paper are fainter, and are removed next
    lines = find_lines(mask)
    cleaned = ruled.masked_fill(torch.from_numpy(cover_lines(mask, lines)), 0)
    cleaned, rules = remove_rules(cleaned, noise)
    segments = find_segments(cleaned.numpy(), noise)
    scale = np.array([[original[0] / width], [original[1] / height]])
    return Page(picture, evened, sheet, turn, ruled, cleaned, lines, rules, segments, back * scale)


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
    back = np.eye(3)[:2] * np.array([[original[0] / width], [original[1] / height]])
    sheet = torch.ones(height, width, dtype=torch.bool)
    return Page(picture, evened, sheet, 0.0, ink, ink, [], [], segments, back)


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
