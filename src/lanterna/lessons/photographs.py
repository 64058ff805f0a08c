"""The photographs that lessons work on, cropped to a square."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanterna import shelf
from lanterna.images.pictures import open_picture
from lanterna.techniques.octaves import resized

if TYPE_CHECKING:
    from torch import Tensor

_FACE = (0, 100, 256)  # of the astronaut: top, left and side, in pixels


def photograph(name: str, size: int) -> Tensor:
    """Return the centre of a photograph of the shelf as `(3, size, size)` in [0, 1].

    The astronaut is cropped to her face.
    """
    picture = open_picture(shelf.need("photographs") / f"{name}.png")
    side = min(picture.shape[1:])
    top, left = ((length - side) // 2 for length in picture.shape[1:])
    if name == "astronaut":
        top, left, side = _FACE
    return resized(picture[:, top : top + side, left : left + side], (size, size)).clamp(0, 1)
