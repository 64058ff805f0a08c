"""Pictures to be printed: how many pixels a length is, and PNG files with 16 bits a channel.

Pillow writes colours with 8 bits, so the file is put together here: the PNG specification (third edition,
W3C 2025), with each row as its difference to the row above ("Up"), which packs well and is one subtraction.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Self

import numpy as np

from lanterna.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

DPI = 300.0
"""Dots per inch, where none are given: what a good printer shows from near."""

_INCH = {"cm": 2.54, "mm": 25.4, "in": 1.0}
_ROWS = 256  # rows that are packed at a time, so that a large picture is never in the memory thrice


@dataclass(frozen=True)
class Print:
    """A print: pixels along the longer side, and dots per inch."""

    pixels: int
    dpi: float

    @classmethod
    def read(cls, text: str) -> Self:
        """`30cm@300dpi`, `8in`, `297 mm @ 200 dpi`: the longer side. Errors: `UsageError`."""
        number = r"(\d{1,5}(?:\.\d{1,4})?)"
        found = re.fullmatch(rf"\s*{number}\s*(cm|mm|in)\s*(?:@\s*{number}\s*dpi\s*)?", text, re.ASCII)
        if not found:
            raise UsageError(f"print: expected a longer side such as 30cm@300dpi or 8in, got {text[:60]!r}")
        length, dpi = float(found[1]) / _INCH[found[2]], float(found[3] or DPI)
        return cls(round(length * dpi), dpi)


def write_deep_png(
    file: BinaryIO, picture: Tensor, *, dpi: float | None, profile: bytes, text: bytes
) -> None:
    """Write a picture `(3, H, W)` in [0, 1] as a PNG of 16 bits a channel.

    `profile` is the ICC profile; `text` the content of an iTXt chunk, or nothing.
    """
    _, height, width = picture.shape
    file.write(b"\x89PNG\r\n\x1a\n")
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    _chunk(file, b"iCCP", b"sRGB\0\0" + zlib.compress(profile))
    if dpi:
        metre = round(dpi / 0.0254)
        _chunk(file, b"pHYs", struct.pack(">IIB", metre, metre, 1))
    if text:
        _chunk(file, b"iTXt", text)
    pack = zlib.compressobj(6)
    above = np.zeros((1, width * 6), np.uint8)
    for top in range(0, height, _ROWS):
        values = picture[:, top : top + _ROWS].permute(1, 2, 0).cpu().double().clamp(0, 1)
        levels = (values * 65_535).round().numpy().astype(">u2")  # (rows, W, 3)
        rows = levels.reshape(len(levels), -1).view(np.uint8)
        lines = np.full((len(rows), 1 + rows.shape[1]), 2, np.uint8)  # 2: the difference to the row above
        lines[:, 1:] = rows - np.concatenate([above, rows[:-1]])
        above = rows[-1:]
        _chunk(file, b"IDAT", pack.compress(lines.tobytes()))
    _chunk(file, b"IDAT", pack.flush())
    _chunk(file, b"IEND", b"")


def _chunk(file: BinaryIO, kind: bytes, content: bytes) -> None:
    check = zlib.crc32(content, zlib.crc32(kind))
    file.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check))
