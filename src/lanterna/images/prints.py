"""Printing: conversion of lengths to pixels, and PNG files with 16 bits per channel.

Pillow writes colours with 8 bits, so the file is written here by the PNG specification (third edition, W3C
2025), with each row as its difference from the row above (filter "Up"), which compresses well and is fast.
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
"""The default resolution in dots per inch: that of a good print viewed from nearby."""

_INCH = {"cm": 2.54, "mm": 25.4, "in": 1.0}
_ROWS = 256  # rows compressed at a time, to avoid copies of a large picture


@dataclass(frozen=True)
class Print:
    """A print's size: pixels of the longer side, and dots per inch."""

    pixels: int
    dpi: float

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse the longer side: `30cm@300dpi`, `8in`, `297 mm @ 200 dpi`. Errors: `UsageError`."""
        number = r"(\d{1,5}(?:\.\d{1,4})?)"
        match = re.fullmatch(rf"\s*{number}\s*(cm|mm|in)\s*(?:@\s*{number}\s*dpi\s*)?", text, re.ASCII)
        if not match:
            raise UsageError(f"print: expected a longer side such as 30cm@300dpi or 8in, got {text[:60]!r}")
        length, dpi = float(match[1]) / _INCH[match[2]], float(match[3] or DPI)
        return cls(round(length * dpi), dpi)


def write_deep_png(
    file: BinaryIO, picture: Tensor, *, dpi: float | None, profile: bytes, text: bytes
) -> None:
    """Write a picture `(3, H, W)` in [0, 1] as a PNG with 16 bits per channel.

    `profile` is the ICC profile; `text` the content of an iTXt chunk, or empty.
    """
    _, height, width = picture.shape
    file.write(b"\x89PNG\r\n\x1a\n")
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    _chunk(file, b"iCCP", b"sRGB\0\0" + zlib.compress(profile))
    if dpi:
        per_metre = round(dpi / 0.0254)
        _chunk(file, b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1))
    if text:
        _chunk(file, b"iTXt", text)
    compressor = zlib.compressobj(6)
    above = np.zeros((1, width * 6), np.uint8)
    for top in range(0, height, _ROWS):
        values = picture[:, top : top + _ROWS].permute(1, 2, 0).cpu().double().clamp(0, 1)
        levels = (values * 65_535).round().numpy().astype(">u2")  # (rows, W, 3)
        rows = levels.reshape(len(levels), -1).view(np.uint8)
        lines = np.full((len(rows), 1 + rows.shape[1]), 2, np.uint8)  # 2: the difference from the row above
        lines[:, 1:] = rows - np.concatenate([above, rows[:-1]])
        above = rows[-1:]
        _chunk(file, b"IDAT", compressor.compress(lines.tobytes()))
    _chunk(file, b"IDAT", compressor.flush())
    _chunk(file, b"IEND", b"")


def _chunk(file: BinaryIO, kind: bytes, content: bytes) -> None:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    file.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum))
