"""Pictures for prints: their size on paper and their files, checked with an independent PNG decoder."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from lanterna.errors import UsageError
from lanterna.images import make_recipe, open_picture, read_recipe, save_picture
from lanterna.images.colour import srgb_profile
from lanterna.images.prints import Print
from lanterna.techniques.style.instant import Instant


def decode(data):
    """Return a PNG's chunks by name and its 16-bit values `(H, W, 3)`; every filter is supported."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = {}, 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        kind, content = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        (check,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
        assert check == zlib.crc32(kind + content)
        chunks[kind] = chunks.get(kind, b"") + content
        place += 12 + length
    width, height, bits, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (bits, colour, rest) == (16, 2, [0, 0, 0])
    packed = zlib.decompress(chunks[b"IDAT"])
    line, lines, above = 6 * width, [], bytes(6 * width)
    for row in range(height):
        kind, *found = packed[row * (line + 1) : (row + 1) * (line + 1)]
        for index in range(line):
            left = found[index - 6] if index >= 6 else 0
            corner = above[index - 6] if index >= 6 else 0
            guess = left + above[index] - corner
            paeth = min((left, above[index], corner), key=lambda one, guess=guess: abs(guess - one))
            predicted = (0, left, above[index], (left + above[index]) // 2, paeth)[kind]
            found[index] = (found[index] + predicted) % 256
        above = bytes(found)
        lines.append(above)
    assert len(packed) == height * (line + 1)
    return chunks, np.frombuffer(b"".join(lines), ">u2").reshape(height, width, 3)


def test_a_print_has_16_bits_its_size_on_paper_and_the_profile(tmp_path, monkeypatch):
    monkeypatch.setattr("lanterna.images.prints._ROWS", 7)  # so that it is written in several parts
    picture = torch.rand(3, 33, 21, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.1
    picture[:, 0, 0] = torch.tensor([0.0, 1.0, 0.5])
    recipe = make_recipe("style", "instant", Instant(size=33))
    path = tmp_path / "print.png"
    save_picture(picture, path, recipe=recipe, bits=16, dpi=300)

    chunks, levels = decode(path.read_bytes())
    expected = (picture.double().clamp(0, 1) * 65_535).round().permute(1, 2, 0).numpy()
    assert (levels == expected).all()
    assert levels[0, 0].tolist() == [0, 65_535, 32_768]
    assert len(np.unique(levels)) > 1500  # of 2,079: more than 8 bits can represent
    assert zlib.decompress(chunks[b"iCCP"].split(b"\0\0", 1)[1]) == srgb_profile()
    assert b"sRGB" not in chunks  # not allowed together with a profile
    across, down, unit = struct.unpack(">IIB", chunks[b"pHYs"])
    assert (across, down, unit) == (11_811, 11_811, 1)  # per metre

    with Image.open(path) as image:
        assert image.size == (21, 33)
        assert image.info["icc_profile"] == srgb_profile()
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        assert np.abs(np.asarray(image).astype(int) - levels / 256).max() < 1
    assert (open_picture(path) - picture.clamp(0, 1)).abs().max() < 1 / 255
    assert read_recipe(path) == recipe


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff"])
def test_8_bit_files_store_their_resolution_too(tmp_path, suffix):
    path = tmp_path / f"print.{suffix}"
    recipe = make_recipe("style", "instant", Instant(size=16))
    save_picture(torch.zeros(3, 8, 8), path, dpi=200, recipe=recipe)
    with Image.open(path) as image:
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.01)
        assert image.info["icc_profile"] == srgb_profile()
    assert read_recipe(path) == recipe


@pytest.mark.parametrize(
    ("text", "pixels", "dpi"),
    [
        ("30cm@300dpi", 3543, 300), ("297mm@150dpi", 1754, 150), ("8in", 2400, 300),
        (" 4.5 in @ 72.5 dpi ", 326, 72.5),
    ],
)  # fmt: skip
def test_a_length_on_paper_is_converted_to_pixels(text, pixels, dpi):
    assert Print.read(text) == Print(pixels, dpi)


@pytest.mark.parametrize("text", ["", "30", "30cm@", "cm", "30cm@300", "-3cm", "20x30cm", "1e3cm", "٣cm"])
def test_an_invalid_length_is_refused(text):
    with pytest.raises(UsageError, match="30cm@300dpi"):
        Print.read(text)


def test_unsupported_options_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"16 bits per channel can only be saved as \.png"):
        save_picture(torch.zeros(3, 8, 8), tmp_path / "print.jpg", bits=16)
    with pytest.raises(UsageError, match=r"\.png .*\.tiff or \.jpg"):
        save_picture(torch.zeros(3, 8, 8), tmp_path / "print.webp", dpi=300)
    with pytest.raises(UsageError, match="NaN or infinite"):
        save_picture(torch.full((3, 8, 8), torch.nan), tmp_path / "print.png", bits=16)
    assert not list(tmp_path.iterdir())
