"""Resize pictures and masks, and weigh the scales of a gradient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

MIN_SIDE = 64
"""Minimum length of an octave's shorter side, in pixels."""


def octave_sizes(height: int, width: int, longest: int, octaves: int, ratio: float) -> list[tuple[int, int]]:
    """Return up to `octaves` sizes (height, width), each `ratio` times the one before.

    The longer side of the last is `longest` pixels. Sizes below `MIN_SIDE` are left out.
    """
    sizes = []
    for number in range(octaves):
        scale = longest / max(height, width) / ratio**number
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        if number == 0 or min(size) >= MIN_SIDE:
            sizes.append(size)
    return sizes[::-1]


def resized(picture: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize `(C, H, W)`, bicubic and antialiased."""
    if tuple(picture.shape[1:]) == tuple(size):
        return picture
    return F.interpolate(picture[None], size, mode="bicubic", antialias=True)[0]


def resized_mask(mask: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize a mask `(1, H, W)`, bilinear: it stays in [0, 1], and 0 wherever its neighbourhood was 0."""
    if tuple(mask.shape[1:]) == tuple(size):
        return mask
    return F.interpolate(mask[None], size, mode="bilinear", antialias=True)[0]


def smoothed(gradient: Tensor, how: str) -> Tensor:
    """Reweigh the scales of a gradient `(3, H, W)` with a Laplacian pyramid of up to five levels.

    `gaussian`: each level counts twice as much as the finer one before it. `laplacian`: every level is
    normalised to the same root mean square, so that no scale drowns the others (the "Laplacian pyramid
    gradient normalization" of the DeepDream notebook).
    """
    if how == "none":
        return gradient
    levels: list[Tensor] = []
    remainder = gradient[None]
    while len(levels) < 4 and min(remainder.shape[2:]) >= 8:
        coarse = F.interpolate(remainder, scale_factor=0.5, mode="bilinear", antialias=True)
        level = F.interpolate(coarse, remainder.shape[2:], mode="bilinear")
        levels.append(torch.sub(remainder, level, out=level))  # in place, to save memory
        remainder = coarse
    levels.append(remainder)
    weights = [2.0**number for number in range(len(levels))]
    if how == "laplacian":
        weights = [math.sqrt(level.numel()) / max(level.norm().item(), 1e-12) for level in levels]
    total = levels.pop() * weights.pop()
    while levels:
        level = levels.pop().mul_(weights.pop())
        total = level.add_(F.interpolate(total, level.shape[2:], mode="bilinear"))
    return total[0]
