"""Compare a painting's file with the JPEG of equal PSNR."""

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
    """A JPEG: Pillow's `quality`, whether chroma is subsampled, its size in bytes, and its PSNR in dB.

    `lowest`: it has the lowest quality, 1, and still exceeds the target PSNR.
    """

    quality: int
    subsampled: bool
    bytes: int
    psnr: float
    lowest: bool = False


def jpeg_of_equal_psnr(picture: Tensor, target: float) -> Jpeg | None:
    """Return the smallest JPEG of a picture `(3, H, W)` with a PSNR of at least `target` dB, or None.

    Try both subsampled and full chroma, each at the lowest quality that suffices.
    """
    candidates = [_lowest_quality(picture, target, subsampled=subsampled) for subsampled in (True, False)]
    return min((jpeg for jpeg in candidates if jpeg), key=lambda jpeg: jpeg.bytes, default=None)


def _lowest_quality(picture: Tensor, target: float, *, subsampled: bool) -> Jpeg | None:
    image = as_image(picture)
    low, high = 1, 100
    best = _encode(image, picture, high, subsampled=subsampled)
    if best.psnr < target:
        return None
    while low < high:  # bisect: PSNR rises with quality
        middle = (low + high) // 2
        candidate = _encode(image, picture, middle, subsampled=subsampled)
        if candidate.psnr >= target:
            best, high = candidate, middle
        else:
            low = middle + 1
    return best


def _encode(image: Image.Image, picture: Tensor, quality: int, *, subsampled: bool) -> Jpeg:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=2 if subsampled else 0, optimize=True)
    with Image.open(file) as decoded:
        error = (as_picture(decoded) - picture).square().mean().item()
    return Jpeg(quality, subsampled, len(file.getvalue()), psnr(error), lowest=quality == 1)
