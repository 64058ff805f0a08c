"""The JPEG that is as good as a painting: how large is a network's file, honestly?"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from lanterna.images.drawing import as_image, as_picture
from lanterna.techniques.paint.pixels import psnr

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Jpeg:
    """A JPEG of a picture: Pillow's `quality`, whether colours are kept at half the size, bytes, and dB.

    `least`: it is the smallest there is, of quality 1, and better than what was asked for.
    """

    quality: int
    halved: bool
    bytes: int
    psnr: float
    least: bool = False


def jpeg_of_equal_psnr(picture: Tensor, goal: float) -> Jpeg | None:
    """The smallest JPEG of a picture `(3, H, W)` whose PSNR is `goal` dB or more; None where none is as good.

    Colours at half the size and at full size are both tried, each at the lowest quality that will do.
    """
    found = [
        each for each in (_least(picture, goal, halved=True), _least(picture, goal, halved=False)) if each
    ]
    return min(found, key=lambda each: each.bytes, default=None)


def _least(picture: Tensor, goal: float, *, halved: bool) -> Jpeg | None:
    image = as_image(picture)
    low, high = 1, 100
    best = _jpeg(image, picture, high, halved=halved)
    if best.psnr < goal:
        return None
    while low < high:  # more quality, less error
        middle = (low + high) // 2
        tried = _jpeg(image, picture, middle, halved=halved)
        if tried.psnr >= goal:
            best, high = tried, middle
        else:
            low = middle + 1
    return best


def _jpeg(image: Image.Image, picture: Tensor, quality: int, *, halved: bool) -> Jpeg:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=2 if halved else 0, optimize=True)
    with Image.open(file) as again:
        error = (as_picture(again) - picture).square().mean().item()
    return Jpeg(quality, halved, len(file.getvalue()), psnr(error), least=quality == 1)
