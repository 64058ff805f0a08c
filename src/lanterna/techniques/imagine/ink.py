"""Find a person's own digit or drawing in a picture, and centre it as the training digits are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lanterna.errors import UsageError
from lanterna.images.ink import find_ink
from lanterna.networks.digits import SIDE

_BOX = 20  # pixels along the longer side of a digit, as in MNIST
_LARGE_BOX = 24  # of a drawing


def own_digit(picture: Tensor, name: str) -> Tensor:
    """Return the largest digit in a picture `(3, H, W)`, as light `(1, 28, 28)` in [0, 1].

    It is scaled to 20 pixels and its centre of mass moved to the middle (LeCun et al. 1998, section III-A).
    Unlike in `lanterna read`, it is not made upright: the slant belongs to its manner.

    Errors: `UsageError` if there is no ink.
    """
    segments = find_ink(picture).segments.digits
    if not segments:
        raise UsageError(f"{name}: expected a picture of a digit, found no ink in it")
    ink = max(segments, key=lambda segment: segment.ink.size).ink
    return _centred(torch.as_tensor(ink).float(), _BOX)


def drawing(picture: Tensor) -> Tensor | None:
    """Return all ink in a picture `(3, H, W)`, as light `(1, 28, 28)` in [0, 1]; None if there is none.

    It is scaled to 24 pixels and its centre of mass moved to the middle.
    """
    found = find_ink(picture).segments
    segments = [*found.digits, *found.marks]
    if not segments:
        return None
    left, top = (min(segment.box[side] for segment in segments) for side in (0, 1))
    right, bottom = (max(segment.box[side] for segment in segments) for side in (2, 3))
    ink = torch.zeros(bottom - top, right - left)
    for segment in segments:
        x, y = segment.box[0] - left, segment.box[1] - top
        part = ink[y : y + segment.height, x : x + segment.width]
        part.copy_(part.maximum(torch.as_tensor(segment.ink).float()))
    return _centred(ink, _LARGE_BOX)


def _centred(ink: Tensor, box: int) -> Tensor:
    """Scale ink `(h, w)` to `box` pixels, and move its centre of mass to the middle of `(1, 28, 28)`."""
    scale = box / max(ink.shape)
    size = [max(1, round(side * scale)) for side in ink.shape]
    small = F.interpolate(ink[None, None], size=size, mode="bilinear", antialias=True)[0, 0]
    small = (small / small.max().clamp_min(1e-6)).clamp(0, 1)
    weight = small.sum().clamp_min(1e-6)
    digit = torch.zeros(1, SIDE, SIDE)
    corner = []
    for axis, length in enumerate(small.shape):
        centre = (small.sum(1 - axis) * torch.arange(length)).sum() / weight
        corner.append(min(max(0, round(SIDE / 2 - 0.5 - centre.item())), SIDE - length))
    y, x = corner
    digit[0, y : y + size[0], x : x + size[1]] = small
    return digit
