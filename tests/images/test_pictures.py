"""Opening of pictures: every kind of file from cameras, scanners and untrusted sources."""

import io
import os
import socket
import struct
import sys
import threading
import tracemalloc

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image, ImageCms

from hostile import encoded, make_hostile_files, many_scans, png
from lanterna.errors import UsageError
from lanterna.images import open_picture
from scenes import as_levels, scene

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.mark.parametrize(
    ("form", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("TIFF", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 8),
        ("JPEG", {"quality": 95, "subsampling": 0}, 8),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 8),
        ("AVIF", {"quality": 95}, 8),
        ("GIF", {}, 40),
    ],
)
def test_every_format_is_decoded_correctly(form, options, tolerance):
    picture = open_picture(encoded(scene(), form, **options))
    assert picture.shape == (3, 64, 96)
    assert picture.dtype == torch.float32
    assert picture.is_contiguous()
    difference = np.abs(as_levels(picture) - np.asarray(scene()))
    assert np.quantile(difference, 0.98) <= tolerance  # the block's edge may ring


def test_the_same_picture_from_a_path_its_bytes_and_streams(tmp_path):
    data = encoded(scene(), "PNG")
    path = tmp_path / "scene.png"
    path.write_bytes(data)
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        threading.Thread(target=lambda: (pipe.write(data), pipe.close())).run()
    with os.fdopen(reading, "rb") as pipe:  # cannot seek, like standard input
        opened = [open_picture(source) for source in (path, str(path), data, io.BytesIO(data), pipe)]
    assert all(torch.equal(picture, opened[0]) for picture in opened)


def test_the_content_determines_the_format(tmp_path):
    path = tmp_path / "photograph.jpg"
    path.write_bytes(encoded(scene(), "PNG"))
    assert np.array_equal(as_levels(open_picture(path)).round(), np.asarray(scene()))


def test_grey_one_bit_and_palette_pictures():
    grey = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    picture = open_picture(encoded(grey, "PNG"))
    assert torch.equal(picture[0], torch.arange(256).reshape(16, 16) / 255)
    assert torch.equal(picture[0], picture[1])
    assert torch.equal(picture[0], picture[2])

    checks = Image.fromarray((np.indices((8, 8)).sum(0) % 2 * 255).astype(np.uint8)).convert("1")
    for form in ("PNG", "TIFF"):
        assert torch.equal(
            open_picture(encoded(checks, form))[1], torch.from_numpy(np.indices((8, 8)).sum(0) % 2)
        )

    few = Image.new("P", (2, 1))
    few.putpalette([*RED, *BLUE])
    few.putpixel((1, 0), 1)
    assert as_levels(open_picture(encoded(few, "PNG"))).tolist() == [[list(RED), list(BLUE)]]
    # A transparent palette entry becomes white, in PNG and in GIF.
    for form in ("PNG", "GIF"):
        assert as_levels(open_picture(encoded(few, form, transparency=1))).tolist() == [
            [list(RED), list(WHITE)]
        ]


def test_transparency_becomes_white():
    drawing = Image.new("RGBA", (3, 1), (0, 0, 0, 0))
    drawing.putpixel((1, 0), (0, 0, 0, 255))
    drawing.putpixel((2, 0), (0, 0, 0, 128))
    for form in ("PNG", "TIFF"):
        levels = as_levels(open_picture(encoded(drawing, form)))[0, :, 0].round()
        assert levels.tolist() == [255, 0, 127]
    assert as_levels(open_picture(encoded(drawing, "WEBP", lossless=True)))[0, :, 0].round().tolist() == [
        255,
        0,
        127,
    ]
    grey = Image.new("LA", (1, 1), (0, 0))
    assert as_levels(open_picture(encoded(grey, "PNG"))).tolist() == [[list(WHITE)]]


def test_sixteen_bit_greys_retain_their_depth():
    values = np.array([[0, 1, 255, 256, 32_768, 65_535]], dtype=np.uint16)
    for form in ("PNG", "TIFF"):
        picture = open_picture(encoded(Image.fromarray(values), form))
        assert torch.allclose(picture[0] * 65_535, torch.from_numpy(values.astype(np.float32)), atol=0.01)


def test_sixteen_bit_colour_is_read_by_its_upper_eight_bits():
    values = np.array([[[0, 257, 32_896], [65_535, 300, 1]]], dtype=">u2")
    picture = open_picture(png(2, 1, 16, 2, b"\x00" + values.tobytes()))
    assert as_levels(picture).round().tolist() == (values >> 8).tolist()


def test_32_bit_greys_of_any_range():
    ramp = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    expected = torch.from_numpy(ramp)
    for scale in (1, 255, 65_535):  # common ranges are recognised
        assert torch.allclose(
            open_picture(encoded(Image.fromarray(ramp * scale), "TIFF"))[0], expected, atol=1e-6
        )
    for low, span in ((-5, 10), (-3e38, 6e38), (0, 1e9)):  # any other is stretched
        values = (np.float64(low) + ramp.astype(np.float64) * span).astype(np.float32)
        assert torch.allclose(open_picture(encoded(Image.fromarray(values), "TIFF"))[0], expected, atol=1e-5)
    whole = Image.fromarray((ramp * 65_535).round().astype(np.int32))
    assert torch.allclose(open_picture(encoded(whole, "TIFF"))[0], expected, atol=1e-4)
    odd = ramp.copy()
    odd[0, 1], odd[0, 2] = np.nan, np.inf
    picture = open_picture(encoded(Image.fromarray(odd), "TIFF"))
    assert picture[0, 0, :3].tolist() == [0, 0, 1]


def test_tiff_greys_where_zero_is_white():
    values = np.array([[0, 65_535]], dtype=np.uint16)
    picture = open_picture(encoded(Image.fromarray(values), "TIFF", tiffinfo={262: 0}))
    assert picture[0].tolist() == [[1, 0]]


def test_cmyk_with_and_without_a_profile():
    inks = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    for form in ("JPEG", "TIFF"):
        red, green, blue = as_levels(open_picture(encoded(inks, form)))[8, 8]
        assert red > 200
        assert max(green, blue) < 60


def wide_profile():
    """Return a matrix profile like Display P3's, built from sRGB's by changing its primaries."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    primaries = {
        b"rXYZ": (0.5151, 0.2412, -0.0011),
        b"gXYZ": (0.2920, 0.6922, 0.0419),
        b"bXYZ": (0.1571, 0.0666, 0.7841),
    }
    for k in range(int.from_bytes(data[128:132])):
        tag, start, _ = struct.unpack_from(">4sII", data, 132 + 12 * k)
        if tag in primaries:
            struct.pack_into(">3i", data, start + 8, *(round(value * 65_536) for value in primaries[tag]))
    return bytes(data)


def p3_to_srgb(colour):
    """Convert Display P3 to sRGB by the matrices of the two standards, as an independent reference."""
    linear = np.asarray(colour) / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    matrix = [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]]
    linear = np.clip(np.array(matrix) @ linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 255


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF"])
def test_colour_profiles_are_converted_to_srgb(form):
    colour = (200, 120, 60)
    options = {"quality": 100} if form in ("JPEG", "WEBP", "AVIF") else {}
    data = encoded(Image.new("RGB", (16, 16), colour), form, icc_profile=wide_profile(), **options)
    assert np.abs(as_levels(open_picture(data))[8, 8] - p3_to_srgb(colour)).max() <= 3


def test_profiles_preserve_transparency_and_apply_to_grey_pictures():
    data = encoded(Image.new("RGBA", (2, 2), (200, 120, 60, 255)), "PNG", icc_profile=wide_profile())
    assert np.abs(as_levels(open_picture(data))[0, 0] - p3_to_srgb((200, 120, 60))).max() <= 2
    data = encoded(Image.new("RGBA", (2, 2), (200, 120, 60, 0)), "PNG", icc_profile=wide_profile())
    assert as_levels(open_picture(data))[0, 0].tolist() == list(WHITE)
    data = encoded(Image.new("L", (2, 2), 90), "PNG", icc_profile=wide_profile())
    assert as_levels(open_picture(data))[0, 0].round().tolist() == [90, 90, 90]


@pytest.mark.parametrize("damage", ["nonsense", "cut", "lab"])
def test_a_broken_or_foreign_profile_is_ignored(damage):
    profile = {
        "nonsense": b"no profile at all" * 20,
        "cut": wide_profile()[:200],
        "lab": ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
    }[damage]
    picture = open_picture(encoded(scene(), "PNG", icc_profile=profile))
    assert np.array_equal(as_levels(picture).round(), np.asarray(scene()))


def test_an_srgb_profile_changes_nothing():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = open_picture(encoded(scene(), "PNG", icc_profile=profile))
    assert np.array_equal(as_levels(picture).round(), np.asarray(scene()))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("longest", [None, 48])
def test_every_orientation_is_turned_upright(form, longest):
    upright = np.asarray(scene())
    # The stored pixels for each EXIF orientation, computed with numpy.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    for orientation, levels in stored.items():
        exif = Image.Exif()
        exif[274] = orientation
        quality = {"quality": 95} if form in ("JPEG", "WEBP", "AVIF") else {}
        data = encoded(Image.fromarray(np.ascontiguousarray(levels)), form, exif=exif, **quality)
        picture = open_picture(data, longest=longest)
        expected = scene() if longest is None else scene().resize((48, 32), Image.Resampling.BOX)
        difference = np.abs(as_levels(picture) - np.asarray(expected))
        assert np.median(difference) < 6, f"orientation {orientation}"


def test_broken_exif_is_ignored():
    data = encoded(scene(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f garbage")
    assert open_picture(data).shape == (3, 64, 96)


def test_the_first_frame_of_an_animation_is_opened():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    for form in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
        assert np.abs(as_levels(open_picture(data))[4, 4] - RED).max() < 12


def test_longest_reduces_large_pictures_and_not_small_ones():
    large = scene(1200, 900)
    for form in ("JPEG", "PNG", "WEBP"):
        data = encoded(large, form)
        assert open_picture(data, longest=300).shape == (3, 225, 300)
        assert open_picture(data, longest=5000).shape == (3, 900, 1200)
        smaller = as_levels(open_picture(data, longest=300))
        reference = np.asarray(large.resize((300, 225), Image.Resampling.BOX)).astype(float)
        assert np.median(np.abs(smaller - reference)) < 4
    assert open_picture(encoded(scene(900, 3), "PNG"), longest=90).shape == (3, 1, 90)
    deep = Image.fromarray((np.linspace(0, 65_535, 400).astype(np.uint16))[None, :].repeat(40, 0))
    picture = open_picture(encoded(deep, "PNG"), longest=100)
    assert picture.shape == (3, 10, 100)
    assert torch.allclose(picture[0, 5], torch.linspace(0, 1, 100), atol=0.01)
    with pytest.raises(UsageError, match="longest"):
        open_picture(encoded(scene(), "PNG"), longest=0)


def test_a_huge_photograph_is_reduced_before_it_is_converted_to_floats(tmp_path):
    path = tmp_path / "huge.jpg"
    Image.new("L", (12_000, 9_000), 200).save(path)
    tracemalloc.start()
    picture = open_picture(path, longest=1200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert picture.shape == (3, 900, 1200)
    assert peak < 40e6  # numpy's and Python's memory; the pixels as floats would take 1.3 GB


def test_every_hostile_file_is_refused_in_one_line(tmp_path, capfd):
    files = make_hostile_files(tmp_path)
    assert len(files) > 40
    for path in files:
        with pytest.raises(UsageError) as caught:
            open_picture(path)
        message = str(caught.value)
        assert "\n" not in message
        assert 20 < len(message) < 200 + len(str(path)), path.name
        assert path.name in message or "\0" in str(path), message
    assert capfd.readouterr() == ("", "")  # Pillow and its libraries print nothing either


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.png", "does not exist"),
        ("empty.png", "empty"),
        ("folder.png", "folder"),
        ("text.png", "not a picture"),
        ("pipe.png", "pipe"),
        ("bomb.png", "200 million pixels"),
        ("bomb.tiff", "200 million pixels"),
        ("bomb.gif", "200 million pixels"),
        ("tall.png", "1 × 200,000,000 pixels, expected sides of at most 65,536"),
        ("scans.jpg", "more than 100 scans"),
        ("plain-cut-short.jpg", "truncated"),
        ("loop.png", "cannot be read"),
    ],
)
def test_messages_describe_the_problem(tmp_path, name, words):
    make_hostile_files(tmp_path)
    with pytest.raises(UsageError, match=words):
        open_picture(tmp_path / name)


def test_a_bomb_is_refused_before_it_is_decoded():
    # The header states 400 million pixels and almost no data follow: decoding would find it truncated.
    with pytest.raises(UsageError, match="200 million"):
        open_picture(png(20_000, 20_000, 8, 0, bytes(100)))
    with pytest.raises(UsageError, match="truncated"):
        open_picture(png(2_000, 2_000, 8, 0, bytes(100)))


def test_only_the_scans_of_the_picture_itself_are_counted():
    """Not similar bytes in a camera's metadata, and not data after the picture, such as a short film."""
    data = many_scans(40)
    notes = b"\xff\xfe\x10\x02" + b"\xff\xda" * 2048
    first = data.index(b"\xff\xda")
    for variant in (
        data,
        data[:2] + notes + data[2:],
        data[:first] + notes + data[first:],
        data + b"\xff\xda" * 200,
    ):
        assert open_picture(variant).shape == (3, 48, 64)
    hidden = data[:first] + b"\xff\xfe\x00\x04\xff\xd9" + data[first:-2] + data[first:-2] * 3 + data[-2:]
    with pytest.raises(UsageError, match="scans"):
        open_picture(hidden)


def test_global_settings_are_restored(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    threads = [threading.Thread(target=open_picture, args=(encoded(scene(), "PNG"),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path in make_hostile_files(tmp_path)[:5]:
        with pytest.raises(UsageError):
            open_picture(path)
    assert before == Image.MAX_IMAGE_PIXELS


def test_devices_and_sockets_are_refused_without_waiting(tmp_path):
    for path in ("/dev/zero", "/dev/null"):
        with pytest.raises(UsageError, match="device"):
            open_picture(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(UsageError, match="device"):
            open_picture(tmp_path / "socket")


def test_heic_is_opened_if_pillow_heif_is_installed():
    pillow_heif.register_heif_opener()
    data = encoded(scene(), "HEIF", quality=95)
    assert np.median(np.abs(as_levels(open_picture(data)) - np.asarray(scene()))) < 6
    with pytest.raises(UsageError, match="truncated"):
        open_picture(data[: len(data) // 2])


def test_the_error_for_heic_names_the_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(200)
    with pytest.raises(UsageError, match=r"lanterna\[heic\]"):
        open_picture(data)
