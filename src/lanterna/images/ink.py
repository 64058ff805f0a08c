"""A page or drawing to the pieces that may be digits, with every step kept so that it can be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lanterna.images.light import EvenedPage, even_light
from lanterna.images.rules import Rule, remove_rules
from lanterna.images.segments import Segment, find_segments, ink_levels
from lanterna.images.sheet import page_turn, sheet_mask, turned

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORKING_SIZE = 2000
"""Pixels along the longer side at which a page is worked on; a smaller one is enlarged up to four times."""

_SMALL = 1200


@dataclass(frozen=True)
class Page:
    """What was found on a page, step by step.

    `picture` `(3, H, W)` at working size; `evened` its light and ink; `sheet` bool `(H, W)`, what is not
    table; `turn` the page's turn in degrees, counter-clockwise; `ink` `(H', W')`, the level page's ink
    without `rules`; `segments` what may be digits, on the level page; `back` `(2, 3)`, from the level page
    to pixels of the original picture.
    """

    picture: Tensor
    evened: EvenedPage
    sheet: Tensor
    turn: float
    ruled: Tensor
    ink: Tensor
    rules: list[Rule]
    segments: list[Segment]
    back: NDArray[np.float64]

    def place(self, segment: Segment) -> tuple[float, float, float, float]:
        """A segment's box in pixels of the original picture: x0, y0, x1, y1."""
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
    """Find what may be digits in a picture `(3, H, W)` in [0, 1].

    `size` is the width and height of the original where `picture` is a smaller copy of it: boxes are given
    in the original's pixels.
    """
    original = size or (picture.shape[2], picture.shape[1])
    picture = _working_size(picture)
    height, width = picture.shape[1:]
    evened = even_light(picture)
    sheet = sheet_mask(evened.background)
    ink = evened.ink * sheet
    noise = evened.noise
    _level, weak, _ = ink_levels(ink.numpy(), noise)
    turn = page_turn(ink, weak)
    ruled, back = turned(ink, turn) if abs(turn) > 0.3 else (ink, np.eye(3)[:2])
    cleaned, rules = remove_rules(ruled, noise)
    segments = find_segments(cleaned.numpy(), noise)
    scale = np.array([[original[0] / width], [original[1] / height]])
    return Page(picture, evened, sheet, turn, ruled, cleaned, rules, segments, back * scale)


def find_drawing(picture: Tensor, size: tuple[int, int] | None = None) -> Page:
    """Find what may be digits in a drawing `(3, H, W)` of light ink on black, as a pad gives it.

    There is no paper to tell from ink, so the steps for that are left out; what is found is as for a page.
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
    return Page(picture, evened, sheet, 0.0, ink, ink, [], segments, back)


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
    enlarged: Tensor = resized[0].clamp(0, 1)
    return enlarged
