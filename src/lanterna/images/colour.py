"""Conversion of the colours in picture files to sRGB: palettes, profiles, transparency, 16-bit greys."""

from __future__ import annotations

import functools
import io

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import TiffImageFile
from torch import Tensor

Values = npt.NDArray[np.float32]

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF tags
_KINDS = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}


def to_standard_mode(picture: Image.Image) -> Image.Image:
    """Convert a picture to mode L, RGB, RGBA, CMYK or LAB, or to F for greys of more than 8 bits.

    F is in [0, 1]: 16 bits divided by 65,535, and 32-bit numbers scaled by `_to_unit_range`. Pillow reads
    only the upper 8 bits of 16-bit colours, so only greys retain their depth.
    """
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return Image.fromarray(_deep_grey(picture))
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    if picture.mode == "1":
        return picture.convert("L")
    return picture if picture.mode in ("L", "RGB", "CMYK", "LAB") else picture.convert("RGB")


def _deep_grey(picture: Image.Image) -> Values:
    values: Values = np.asarray(picture).astype(np.float32)
    if picture.mode in ("I", "F"):
        return _to_unit_range(values)
    bits, white_is_zero = 16, False
    if isinstance(picture, TiffImageFile):
        bits = picture.tag_v2.get(_BITS_PER_SAMPLE, (16,))[0]
        white_is_zero = picture.tag_v2.get(_PHOTOMETRIC) == 0
    values /= 2**bits - 1
    return 1 - values if white_is_zero else values


def _to_unit_range(values: Values) -> Values:
    """Scale 32-bit greys, whose range no file states, to [0, 1].

    The range is assumed to be the smallest common one that holds them; otherwise they are stretched.
    """
    values = np.nan_to_num(values, nan=0, posinf=1, neginf=0)
    low, high = float(values.min()), float(values.max())
    if low >= 0:
        for white in (1, 255, 65_535):
            if high <= white:
                return (values / white).astype(np.float32)
    # Halved first: the difference of two large floats of opposite sign overflows.
    half = values / 2 - np.float32(low / 2)
    return (half / max(high / 2 - low / 2, 1e-30)).astype(np.float32)


def to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert a picture to sRGB by its embedded ICC profile; without a valid one it is assumed to be sRGB.

    Takes the modes that `to_standard_mode` returns; alpha is unchanged. The intent is relative colorimetric
    with black point compensation, as in browsers. Greys in mode F are assumed to be sRGB: the colour engine
    has no such mode.
    """
    if picture.mode == "F":
        return picture
    alpha = picture.getchannel("A") if picture.mode == "RGBA" else None
    colours = picture.convert("RGB") if alpha is not None else picture
    if profile or colours.mode == "LAB":
        colours = _convert(colours, profile)
    if colours.mode not in ("L", "RGB"):
        colours = colours.convert("RGB")
    if alpha is not None:
        colours.putalpha(alpha)
    return colours


def _convert(picture: Image.Image, profile: bytes | None) -> Image.Image:
    try:
        if profile and picture.mode != "LAB":
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        else:
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        mode = _KINDS[source.profile.xcolor_space]
        if mode == "RGB" and picture.mode == "L":
            picture = picture.convert("RGB")
        transform = ImageCms.buildTransform(
            source,
            ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if mode != picture.mode or (mode in ("L", "RGB") and _is_identity(transform, mode)):
            return picture
        converted = ImageCms.applyTransform(picture, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, KeyError):
        # A broken profile, or one for another colour space: the pixels are still usable.
        return picture if picture.mode != "LAB" else picture.getchannel("L")
    return converted if converted is not None else picture


def _is_identity(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether a profile is sRGB itself, as in most photographs, tested on a few hundred colours."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    if mode == "L":
        probe = levels[None, :].repeat(3, axis=0)
    else:
        probe = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(27, 27, 3)
    before = Image.fromarray(probe)
    after = ImageCms.applyTransform(before, transform)
    if after is None:
        return False
    difference = np.asarray(after).astype(int) - np.asarray(before.convert("RGB")).astype(int)
    return bool(np.abs(difference).max() <= 1)


def flatten_alpha(picture: Image.Image) -> Image.Image:
    """Return a picture as L or RGB: transparency becomes white, the most common background of drawings."""
    if picture.mode != "RGBA":
        return picture
    page = Image.new("RGB", picture.size, (255, 255, 255))
    page.paste(picture, mask=picture.getchannel("A"))
    return page


def to_tensor(picture: Image.Image) -> Tensor:
    """Convert an L, RGB or F picture to float32 `(3, H, W)` in [0, 1]."""
    values = torch.from_numpy(np.array(picture))
    if picture.mode == "F":
        return values.clamp_(0, 1).expand(3, -1, -1).contiguous()
    if picture.mode == "L":
        return values.float().div_(255).expand(3, -1, -1).contiguous()
    return values.permute(2, 0, 1).to(torch.float32, memory_format=torch.contiguous_format).div_(255)


@functools.cache
def srgb_profile() -> bytes:
    """Return the sRGB profile of saved pictures; its date is fixed, so equal pictures are equal files."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = b"".join(number.to_bytes(2) for number in (2000, 1, 1, 0, 0, 0))
    return bytes(profile)
