"""Hostile files: named like pictures, but with other, damaged or malicious content. All must be refused."""

import functools
import gzip
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def encoded(image, image_format, **options):
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, depth, kind, rows, *chunks):
    """Encode a PNG by hand, for variants that Pillow does not write."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + end


def tiff(**changes):
    """Encode a grey TIFF of 4 × 4 pixels by hand, with changed tags."""
    tags = {"width": 4, "height": 4, "bits": 8, "compression": 1, "photometric": 1}
    tags |= {"offset": 200, "samples": 1, "rows": 4, "bytes": 16}
    numbers = dict(zip(tags, (256, 257, 258, 259, 262, 273, 277, 278, 279), strict=True))
    tags |= changes
    entries = b"".join(struct.pack("<HHII", numbers[name], 4, 1, value) for name, value in tags.items())
    start = b"II*\x00" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return start.ljust(200, b"\0") + bytes(range(16))


def many_scans(count, hidden=b""):
    """Encode a progressive JPEG with `count` copies of its last scan, each a pass over the full picture.

    `hidden` is inserted after each copy; decoders skip it.
    """
    data = encoded(photograph(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + (data[last:-2] + hidden) * count + data[-2:]


def with_canvas(width, height):
    """Encode an animated WebP of a few pixels with this canvas size."""
    data = encoded(photograph(), "WEBP", save_all=True, append_images=[photograph().rotate(180)])
    canvas = data.index(b"VP8X") + 12
    sides = b"".join(struct.pack("<I", side - 1)[:3] for side in (width, height))
    return data[:canvas] + sides + data[canvas + 6 :]


def photograph(width=64, height=48):
    """Make a picture with some detail, so that its files are long enough to be truncated."""
    noise = np.random.default_rng(0).normal(0, 12, (height, width, 3))
    y, x = np.mgrid[0:height, 0:width]
    levels = np.stack([x * 255 / width, y * 255 / height, (x + y) % 64 * 4], axis=-1) + noise
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


@functools.cache
def real_files():
    """Return a valid file of each format and of unusual variants, by name: the seeds of the fuzz test."""
    picture = photograph()
    exif = Image.Exif()
    exif[274] = 6
    grey = Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 20)
    animation = {"save_all": True, "append_images": [picture.rotate(90), picture.rotate(180)]}
    return {
        "rgb.png": encoded(picture, "PNG"),
        "alpha.png": encoded(picture.convert("RGBA"), "PNG"),
        "palette.png": encoded(picture.quantize(16), "PNG", transparency=3),
        "deep.png": encoded(grey, "PNG"),
        "plain.jpg": encoded(picture, "JPEG", exif=exif),
        "progressive.jpg": encoded(picture, "JPEG", progressive=True),
        "inks.jpg": encoded(picture.convert("CMYK"), "JPEG"),
        "two.jpg": encoded(picture, "MPO", **animation),
        "lossy.webp": encoded(picture, "WEBP", exif=exif),
        "lossless.webp": encoded(picture.convert("RGBA"), "WEBP", lossless=True),
        "moving.webp": encoded(picture, "WEBP", **animation),
        "still.avif": encoded(picture, "AVIF"),
        "plain.tiff": encoded(picture, "TIFF"),
        "packed.tiff": encoded(picture, "TIFF", compression="tiff_lzw", exif=exif),
        "jpeg.tiff": encoded(picture, "TIFF", compression="jpeg"),
        "fax.tiff": encoded(picture.convert("1"), "TIFF", compression="group4"),
        "float.tiff": encoded(picture.convert("F"), "TIFF"),
        "moving.gif": encoded(picture, "GIF", **animation),
    }


def _false_content():
    """Return content that is no picture, by a name that claims it is."""
    other = photograph().convert("RGB")
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n"
    return {
        "empty.png": b"",
        "one-byte.png": b"\x89",
        "text.png": b"Dear reader,\nthis is a letter and not a picture.\n" * 40,
        "zeros.png": bytes(5000),
        "noise.jpg": np.random.default_rng(1).bytes(5000),
        "page.png": b"<!doctype html><title>404</title>not found",
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>',
        "drawing.png": b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a SYSTEM "file:///etc/passwd">]><s>&a;</s>',
        "postscript.png": postscript,
        "document.jpg": b"%PDF-1.7\n1 0 obj <<>> endobj\ntrailer <<>>\n%%EOF",
        "archive.png": b"PK\x03\x04" + bytes(200),
        "packed.png": gzip.compress(b"picture" * 100),
        "program.png": b"\x7fELF" + bytes(200),
        "script.png": b"#!/bin/sh\nexit 1\n",
        "pickle.png": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        "settings.png": b'{"verb": "read"}',
        "portable.png": encoded(other, "PPM"),
        "icon.png": encoded(other, "ICO"),
        "later.jpg": encoded(other, "JPEG2000"),
        "targa.png": encoded(other, "TGA"),
    }


def _broken_pictures():
    """Return damaged or malicious pictures, by name."""
    good_rows = b"".join(b"\0" + bytes(range(8)) for _ in range(8))
    good = png(8, 8, 8, 0, good_rows)
    jpeg = encoded(photograph(), "JPEG")
    huge_jpeg = jpeg.replace(struct.pack(">HH", 48, 64), struct.pack(">HH", 65_000, 65_000), 1)
    gif = encoded(photograph(), "GIF")
    webp = encoded(photograph(), "WEBP")
    avif = encoded(photograph(), "AVIF")
    extent = avif.index(b"ispe") + 8
    return {
        "bomb.png": png(50_000, 50_000, 8, 0, bytes(1000)),
        "bomb-1-bit.png": png(2**31 - 1, 2**31 - 1, 1, 0, bytes(1000)),
        "bomb.jpg": huge_jpeg,
        "bomb.gif": gif[:6] + struct.pack("<HH", 65_535, 65_535) + gif[10:],
        "bomb.tiff": tiff(width=60_000, height=60_000),
        "long.png": png(70_000, 1, 8, 0, bytes(70_001)),
        "tall.png": png(1, 200_000_000, 8, 0, bytes(1000)),
        "scans.jpg": many_scans(1200),
        "scans-behind-no-marker.jpg": many_scans(1200, b"\xff\x02\xff\xff"),
        "bomb.webp": with_canvas(16_383, 16_383),
        "bomb-canvas.webp": with_canvas(2**24, 1),
        "bomb.avif": avif[:extent] + struct.pack(">II", 65_000, 65_000) + avif[extent + 8 :],
        "bomb-rows.tiff": tiff(width=2**31, height=4),
        "text-bomb.png": png(
            8, 8, 8, 0, good_rows, chunk(b"zTXt", b"lanterna\0\0" + zlib.compress(bytes(4 * 10**6)))
        ),
        "no-width.png": png(0, 8, 8, 0, good_rows),
        "no-height.png": png(8, 0, 8, 0, good_rows),
        "odd-depth.png": png(8, 8, 7, 0, good_rows),
        "odd-kind.png": png(8, 8, 8, 5, good_rows),
        "too-few-rows.png": png(8, 8, 8, 0, good_rows[:20]),
        "wrong-sum.png": good[:29] + b"\0\0\0\0" + good[33:],
        "no-pixels.png": good[:33] + chunk(b"IEND", b""),
        "bad-rows.png": good.replace(zlib.compress(good_rows), b"x" * len(zlib.compress(good_rows))),
        "no-palette.png": png(8, 8, 8, 3, good_rows)[:60],
        "header-only.jpg": jpeg[:20],
        "start-only.jpg": b"\xff\xd8\xff",
        "start-and-end.jpg": b"\xff\xd8\xff\xd9",
        "header-only.gif": gif[:13],
        "no-frames.gif": b"GIF89a\x08\x00\x08\x00\x00\x00\x00;",
        "lying-riff.webp": webp[:8] + b"WAVE" + webp[12:],
        "header-only.webp": webp[:24],
        "header-only.avif": avif[:40],
        "far-away.tiff": tiff(offset=2**31),
        "odd-compression.tiff": tiff(compression=7_777),
        "many-samples.tiff": tiff(samples=60_000),
        "own-directory.tiff": b"II*\0" + struct.pack("<I", 2**32 - 1),
        "no-tags.tiff": b"II*\0" + struct.pack("<IH", 8, 0) + bytes(4),
        "no-size.tiff": tiff(width=0),
    }


@functools.cache
def hostile_contents() -> dict[str, bytes]:
    """Return all files with invalid content, by name."""
    contents = _false_content() | _broken_pictures()
    for name, data in real_files().items():
        stem, suffix = name.split(".")
        contents[f"{stem}-cut-short.{suffix}"] = data[: len(data) // 4]
        contents[f"{stem}-cut-early.{suffix}"] = data[:30]
    return contents


def make_hostile_files(folder: Path) -> list[Path]:
    """Fill `folder` with files that must all be refused; return their paths."""
    contents = hostile_contents()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    paths = [folder / name for name in contents]

    (folder / "folder.png").mkdir()
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "nowhere.png").symlink_to(folder / "gone.png")
    os.mkfifo(folder / "pipe.png")
    names = ["folder.png", "loop.png", "nowhere.png", "pipe.png", "missing.png", "text.png/inside.png"]
    return [
        *paths,
        *(folder / name for name in names),
        folder / f"{'long' * 80}.png",
        folder / "zero\0byte.png",
    ]


# Mutations: each changes the bytes of a file near a position.


def flip(data, position, rng):
    for _ in range(rng.choice((1, 1, 3, 20))):
        data[(position + rng.randrange(64)) % len(data)] ^= 1 << rng.randrange(8)


def cut(data, position, _):
    del data[position:]


def drop(data, position, rng):
    del data[position : position + rng.choice(LENGTHS)]


def double(data, position, rng):
    data[position:position] = data[position : position + rng.choice(LENGTHS)]


def zero(data, position, rng):
    end = min(len(data), position + rng.choice(LENGTHS))
    data[position:end] = bytes(end - position)


def swap(data, position, rng):
    other = rng.choice(list(real_files().values()))
    end = position + rng.choice(LENGTHS)
    data[position:end] = other[position:end]


def size(data, position, rng):
    byte_format = rng.choice((">I", "<I", ">H", "<H"))
    number = rng.choice((0, 1, 255, 65_535, 2**31 - 1, 2**31, 2**32 - 1, rng.randrange(2**16)))
    new = struct.pack(byte_format, number % 256 ** struct.calcsize(byte_format))
    data[position : position + len(new)] = new


LENGTHS = (1, 2, 4, 16, 200)
CHANGES = {change.__name__: change for change in (flip, cut, drop, double, zero, swap, size)}
