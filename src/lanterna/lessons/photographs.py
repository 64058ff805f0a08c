"""The photographs that lessons work on: the middle of one, as a square."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanterna import shelf
from lanterna.images.pictures import open_picture
from lanterna.techniques.octaves import resized

if TYPE_CHECKING:
    from torch import Tensor

_FACE = (0, 100, 256)  # where the astronaut's is: top, left and side, in pixels


def photograph(name: str, size: int) -> Tensor:
    """The middle of a photograph of the shelf, of the astronaut her face: `(3, size, size)` in [0, 1]."""
    whole = open_picture(shelf.need("photographs") / f"{name}.png")
    side = min(whole.shape[1:])
    top, left = ((length - side) // 2 for length in whole.shape[1:])
    if name == "astronaut":
        top, left, side = _FACE
    return resized(whole[:, top : top + side, left : left + side], (size, size)).clamp(0, 1)
