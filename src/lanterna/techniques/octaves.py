"""Pictures at several sizes, and gradients by the size of what they would change."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 64
"""Pixels along the shorter side of the smallest octave."""


def octave_sizes(height: int, width: int, longest: int, octaves: int, ratio: float) -> list[tuple[int, int]]:
    """Up to `octaves` sizes (height, width), each `ratio` times the one before, the last `longest` pixels.

    Those below `SMALLEST` are left out.
    """
    sizes = []
    for number in range(octaves):
        scale = longest / max(height, width) / ratio**number
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        if number == 0 or min(size) >= SMALLEST:
            sizes.append(size)
    return sizes[::-1]


def resized(picture: Tensor, size: tuple[int, ...]) -> Tensor:
    """`(C, H, W)` at another size: bicubic, and without what would alias."""
    if tuple(picture.shape[1:]) == tuple(size):
        return picture
    return F.interpolate(picture[None], size, mode="bicubic", antialias=True)[0]


def resized_mask(mask: Tensor, size: tuple[int, ...]) -> Tensor:
    """A mask `(1, H, W)` at another size: within [0, 1], and 0 where it was 0 all around."""
    if tuple(mask.shape[1:]) == tuple(size):
        return mask
    return F.interpolate(mask[None], size, mode="bilinear", antialias=True)[0]


def smoothed(slope: Tensor, how: str) -> Tensor:
    """A gradient `(3, H, W)` with its scales weighed anew, by a Laplacian pyramid of up to five levels.

    `gaussian`: each level counts twice as much as the finer one before it. `laplacian`: every level is
    brought to the same strength, so that no size of form drowns the others (the notebook's "Laplacian pyramid
    gradient normalization").
    """
    if how == "none":
        return slope
    levels: list[Tensor] = []
    rest = slope[None]
    while len(levels) < 4 and min(rest.shape[2:]) >= 8:
        coarse = F.interpolate(rest, scale_factor=0.5, mode="bilinear", antialias=True)
        level = F.interpolate(coarse, rest.shape[2:], mode="bilinear")
        levels.append(torch.sub(rest, level, out=level))  # written over: large pictures fill the memory
        rest = coarse
    levels.append(rest)
    weights = [2.0**number for number in range(len(levels))]
    if how == "laplacian":
        weights = [math.sqrt(level.numel()) / max(level.norm().item(), 1e-12) for level in levels]
    total = levels.pop() * weights.pop()
    while levels:
        level = levels.pop().mul_(weights.pop())
        total = level.add_(F.interpolate(total, level.shape[2:], mode="bilinear"))
    return total[0]
