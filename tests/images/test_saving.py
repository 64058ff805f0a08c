"""Saving of pictures: atomic, never over another file, and without private metadata."""

import io

import pytest
import torch
from PIL import Image, ImageCms

from hostile import encoded
from lanterna.errors import LanternaError, UsageError
from lanterna.images import open_picture, save_picture
from scenes import as_levels, scene


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "avif", "tif", "tiff", "PNG"])
def test_a_saved_picture_is_the_same_picture(tmp_path, suffix):
    picture = open_picture(encoded(scene(), "PNG"))
    path = tmp_path / f"saved.{suffix}"
    save_picture(picture, path)
    again = open_picture(path)
    if suffix.lower() in ("png", "tif", "tiff"):
        assert torch.equal(again, picture)
    assert (again - picture).abs().mean() < 0.012
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif", "tiff"])
def test_a_saved_picture_is_tagged_as_srgb_and_reproducible(tmp_path, suffix):
    picture = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))
    for name in ("a", "b"):
        save_picture(picture, tmp_path / f"{name}.{suffix}")
    data = (tmp_path / f"a.{suffix}").read_bytes()
    assert data == (tmp_path / f"b.{suffix}").read_bytes()
    with Image.open(io.BytesIO(data)) as file:
        if suffix == "png":
            assert file.info["srgb"] == 0
        elif suffix == "avif":
            assert b"colrnclx\x00\x01\x00\x0d" in data  # BT.709 primaries, sRGB curve
        else:
            assert "sRGB" in ImageCms.getProfileDescription(
                ImageCms.ImageCmsProfile(io.BytesIO(file.info["icc_profile"]))
            )


def test_a_photographs_metadata_are_not_copied(tmp_path):
    exif = Image.Exif()
    exif[271] = "Camera maker"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    data = encoded(scene(), "JPEG", exif=exif, comment=b"at home", xmp=b"<x>52.5,13.4</x>")
    picture = open_picture(data)
    for suffix in ("png", "jpg", "webp", "avif", "tiff"):
        path = tmp_path / f"saved.{suffix}"
        save_picture(picture, path)
        with Image.open(path) as file:
            assert not file.getexif().get_ifd(0x8825)
            assert 271 not in file.getexif()
        for private in (b"Camera maker", b"at home", b"52.5,13.4"):
            assert private not in path.read_bytes()


def test_nothing_is_overwritten_unless_forced(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"precious")
    with pytest.raises(UsageError, match="--force"):
        save_picture(torch.zeros(3, 4, 4), path)
    assert path.read_bytes() == b"precious"
    save_picture(torch.zeros(3, 4, 4), path, force=True)
    assert open_picture(path).shape == (3, 4, 4)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UsageError, match="folder"):
        save_picture(torch.zeros(3, 4, 4), tmp_path / "folder.png", force=True)


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (torch.zeros(4, 4), r"\(3, height, width\), got \(4, 4\)"),
        (torch.zeros(1, 4, 4), r"\(3, height, width\)"),
        (torch.zeros(1, 3, 4, 4), r"\(3, height, width\)"),
        (torch.zeros(3, 0, 4), r"\(3, height, width\)"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "uint8"),
        (torch.full((3, 4, 4), torch.nan), "NaN"),
        (torch.full((3, 4, 4), torch.inf), "infinite"),
    ],
)
def test_invalid_tensors_are_not_saved(tmp_path, picture, words):
    with pytest.raises(UsageError, match=words):
        save_picture(picture, tmp_path / "picture.png")
    assert not list(tmp_path.iterdir())


def test_values_out_of_range_are_clipped_and_any_float_dtype_is_accepted(tmp_path):
    picture = torch.tensor([-0.5, 0.5, 1.5], dtype=torch.bfloat16).view(3, 1, 1).requires_grad_()
    save_picture(picture, tmp_path / "picture.png")
    assert as_levels(open_picture(tmp_path / "picture.png")).tolist() == [[[0, 128, 255]]]


@pytest.mark.parametrize("name", ["picture.xyz", "picture", "picture.gif", ".png", "picture.png/"])
def test_the_error_for_an_unknown_suffix_lists_the_supported_ones(tmp_path, name):
    if name.endswith("/"):
        (tmp_path / "picture.png").mkdir()
    with pytest.raises(UsageError, match=r"\.png, \.jpg, \.webp, \.avif or \.tiff|folder"):
        save_picture(torch.zeros(3, 4, 4), f"{tmp_path}/{name}")


def test_quality_and_size_limits(tmp_path):
    picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    for suffix in ("jpg", "webp", "avif"):
        save_picture(picture, tmp_path / f"low.{suffix}", quality=20)
        save_picture(picture, tmp_path / f"high.{suffix}", quality=95)
        assert (tmp_path / f"low.{suffix}").stat().st_size < (tmp_path / f"high.{suffix}").stat().st_size
    with pytest.raises(UsageError, match="1 to 100"):
        save_picture(picture, tmp_path / "bad.jpg", quality=0)
    with pytest.raises(UsageError, match="16,383"):
        save_picture(torch.zeros(3, 1, 16_384), tmp_path / "wide.webp")
    assert not (tmp_path / "wide.webp").exists()


def test_unwritable_folders_and_impossible_names_are_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"a file, not a folder")
    for name in ("file/picture.png", f"{'x' * 300}.png", "zero\0byte.png"):
        with pytest.raises(LanternaError):
            save_picture(torch.zeros(3, 4, 4), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
