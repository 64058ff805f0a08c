"""Strokes of a pen to ink."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_SIDE, _PEN, _EDGE = 96, 8, 8  # pixels of the canvas, of the pen, and around the canvas


def draw_strokes(strokes: Sequence[Sequence[int]], side: int = 256) -> Tensor:
    """Draw strokes on a canvas of `side` units, and return their ink `(h, w)` in [0, 1], cropped.

    A stroke is x, y, x, y …; a single point is a dot. The result is what `normalise` takes.
    """
    scale = _SIDE / side
    page = Image.new("L", (_SIDE + 2 * _EDGE, _SIDE + 2 * _EDGE))
    pen = ImageDraw.Draw(page)
    for stroke in strokes:
        points = [
            (x * scale + _EDGE, y * scale + _EDGE) for x, y in zip(stroke[::2], stroke[1::2], strict=True)
        ]
        pen.line(points, 255, _PEN, joint="curve")
        for x, y in (points[0], points[-1]):
            pen.ellipse((x - _PEN / 2, y - _PEN / 2, x + _PEN / 2, y + _PEN / 2), 255)
    ink = page.crop(page.getbbox())
    return torch.frombuffer(bytearray(ink.tobytes()), dtype=torch.uint8).view(ink.height, ink.width) / 255
