"""Opening and saving of picture files. A picture is a float32 tensor `(3, H, W)` in [0, 1], sRGB."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from lanterna.errors import LanternaError, UsageError
from lanterna.files import atomic_write, refuse_to_overwrite
from lanterna.images import recipe as recipes
from lanterna.images.colour import flatten_alpha, srgb_profile, to_srgb, to_standard_mode, to_tensor
from lanterna.images.decoding import Source, check_size, open_image
from lanterna.images.prints import write_deep_png

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from lanterna.images.recipe import Recipe

_ROWS = 256  # rows converted to 8 bits at a time, to avoid copies of a large picture
_ORIENTATION, _XMP = 274, 700  # EXIF and TIFF tags
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# By suffix: the format, its maximum side in pixels, and the default quality.
_SAVED_AS = {
    ".png": ("PNG", 2**31 - 1, None),
    ".jpg": ("JPEG", 65_500, 92),
    ".jpeg": ("JPEG", 65_500, 92),
    ".webp": ("WEBP", 16_383, 90),
    ".avif": ("AVIF", 65_536, 80),
    ".tif": ("TIFF", 2**31 - 1, None),
    ".tiff": ("TIFF", 2**31 - 1, None),
}


def open_picture(source: Source, *, longest: int | None = None, page: int = 1) -> Tensor:
    """Open a picture file as float32 `(3, H, W)` in [0, 1], sRGB, with its EXIF orientation applied.

    `source` is a path, the bytes of a file or a binary stream: PNG, JPEG, WebP, AVIF, TIFF, the first frame
    of a GIF, HEIC with pillow-heif. `longest` is the maximum length of the longer side in pixels: a larger
    picture is reduced as cheaply as its format allows, a smaller one is unchanged. Grey pictures have three
    equal channels; transparency becomes white; colour profiles are converted, broken ones ignored. 16-bit
    greys retain their depth, 16-bit colours their upper 8 bits. `page` is that of a TIFF of several.

    Errors: `UsageError`, one line, if `source` cannot be read as a picture, has over 200 million pixels or a
    side of over 65,536, or is a JPEG of over 100 scans.
    """
    if longest is not None and longest < 1:
        raise UsageError(f"longest: a picture is at least 1 pixel long, got {longest}")
    with open_image(source) as file:
        select_page(file, page)
        size = _size_within(file.size, longest)
        if size != file.size:
            file.draft(None, size)  # a JPEG is decoded at a half, a quarter or an eighth of its size
        file.load()
        orientation = _orientation(file)
        picture = to_standard_mode(file)
        if size != file.size and max(picture.size) > max(size):
            size = _size_within(picture.size, longest)  # Pillow rotates a TIFF while loading it
            picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        picture = flatten_alpha(to_srgb(picture, file.info.get("icc_profile")))
        if orientation in _TURNS:
            picture = picture.transpose(_TURNS[orientation])
        return to_tensor(picture)


def select_page(file: Image.Image, page: int) -> int:
    """Go to a page of a TIFF; return how many pages the file has. Errors: `UsageError` if it has fewer."""
    count = getattr(file, "n_frames", 1) if file.format == "TIFF" else 1
    if page > count:
        pages = f"expected a page from 1 to {count}" if count > 1 else "this picture has no others"
        raise UsageError(f"page: {pages}, got {page}")
    if page > 1:
        file.seek(page - 1)
        check_size("the page", *file.size)
    return count


def _size_within(size: tuple[int, int], longest: int | None) -> tuple[int, int]:
    if longest is None or max(size) <= longest:
        return size
    width, height = (max(1, round(side * longest / max(size))) for side in size)
    return width, height


def _orientation(file: Image.Image) -> int:
    try:
        return int(file.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1  # broken EXIF is common, and does not affect the pixels


def check_picture_path(path: str | Path, *, force: bool = False) -> None:
    """Check that a picture can be saved at `path`, before any long work.

    Errors: `UsageError` if the suffix is not supported or the path is taken.
    """
    _format_of(Path(path))
    refuse_to_overwrite(Path(path), force=force)


def _format_of(path: Path) -> tuple[str, int, int | None]:
    if path.suffix.lower() not in _SAVED_AS:
        kind = f"{path.suffix} pictures" if path.suffix else "a picture without a suffix"
        raise UsageError(f"{path}: Lanterna does not save {kind}: use .png, .jpg, .webp, .avif or .tiff")
    return _SAVED_AS[path.suffix.lower()]


def save_picture(
    picture: Tensor,
    path: str | Path,
    *,
    recipe: Recipe | None = None,
    force: bool = False,
    quality: int | None = None,
    bits: Literal[8, 16] = 8,
    dpi: float | None = None,
) -> None:
    """Save a picture atomically as PNG, JPEG, WebP, AVIF or TIFF, by the suffix of `path`.

    `picture` is a float tensor `(3, H, W)` on any device; values outside [0, 1] are clipped, as techniques
    overshoot slightly. `recipe` is the recipe that the file carries; it is the only metadata, so none of a
    photograph's (place, camera, time) is copied. `quality` is 1 to 100, for JPEG (default 92), WebP (90) and
    AVIF (80). The file is tagged as sRGB. For prints: `bits` 16 per channel, in a PNG, and `dpi`, dots per
    inch, in a PNG, TIFF or JPEG; these embed the sRGB profile.

    Errors: `UsageError` if the tensor is no picture, the suffix is unknown or does not support an option, or
    the path is taken and `force` is not given; `LanternaError` if the folder cannot be written.
    """
    path = Path(path)
    form, max_side, default_quality = _format_of(path)
    refuse_to_overwrite(path, force=force)
    if bits != 8 and form != "PNG":
        raise UsageError(f"{path}: {bits} bits per channel can only be saved as .png")
    if dpi is not None:
        check_print_path(path)
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"quality: expected 1 to 100, got {quality}")
    if bits == 16:
        _check_picture(picture)
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            text = _itxt(recipes.to_json(recipe)) if recipe else b""
            write_deep_png(file, picture.detach(), dpi=dpi, profile=srgb_profile(), text=text)
        return
    image = Image.fromarray(_to_8_bits(picture))
    if max(image.size) > max_side:
        raise UsageError(f"{path}: {form} holds at most {max_side:,} pixels a side: save it as .png or .tiff")
    options = _options(form, recipe)
    if default_quality is not None:
        options["quality"] = quality or default_quality
    if dpi is not None:
        options |= {"dpi": (dpi, dpi), "icc_profile": srgb_profile()}
        if form == "PNG":  # a profile replaces the sRGB chunk
            options["pnginfo"] = _png_text(recipe)
    with atomic_write(path) as temporary:
        try:
            image.save(temporary, form, **options)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise LanternaError(f"{path} cannot be written as {form}: {error}") from error


def check_print_path(path: Path) -> None:
    """Raise `UsageError` if the format of `path` does not store a print's resolution."""
    if _format_of(path)[0] not in ("PNG", "TIFF", "JPEG"):
        raise UsageError(f"{path}: a print is saved as .png (with 16 bits per channel), .tiff or .jpg")


def _to_8_bits(picture: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Convert a picture to 8-bit values, `(H, W, 3)`."""
    _check_picture(picture)
    _, height, width = picture.shape
    levels = torch.empty(height, width, 3, dtype=torch.uint8)
    for rows, part in zip(torch.split(levels, _ROWS), torch.split(picture.detach(), _ROWS, 1), strict=True):
        values = part.cpu().float().clamp(0, 1).mul_(255).round_()
        rows.copy_(values.permute(1, 2, 0))
    array: np.ndarray[Any, np.dtype[np.uint8]] = levels.numpy()
    return array


def _check_picture(picture: Tensor) -> None:
    shape = tuple(picture.shape)
    if len(shape) != 3 or shape[0] != 3 or 0 in shape:
        raise UsageError(f"a picture has the shape (3, height, width), got {shape}")
    if not picture.is_floating_point():
        raise UsageError(f"a picture holds floats in [0, 1], got {picture.dtype}: divide it by 255 first")
    if not picture.isfinite().all():
        raise UsageError("the picture has values that are NaN or infinite: it was not saved")


def _options(form: str, recipe: Recipe | None) -> dict[str, Any]:
    packet = recipes.to_xmp(recipe) if recipe else None
    if form == "PNG":
        text = _png_text(recipe)
        text.add(b"sRGB", b"\x00")
        return {"pnginfo": text}
    if form == "TIFF":
        tags = ImageFileDirectory_v2()
        if packet:
            tags[_XMP] = packet
        return {"tiffinfo": tags, "compression": "tiff_deflate", "icc_profile": srgb_profile()}
    options: dict[str, Any] = {"xmp": packet} if packet else {}
    if form == "JPEG":
        options |= {"subsampling": 0, "optimize": True}
    # Without a profile an AVIF is tagged as sRGB.
    return options if form == "AVIF" else {**options, "icc_profile": srgb_profile()}


def _png_text(recipe: Recipe | None) -> PngInfo:
    text = PngInfo()
    if recipe:
        text.add_itxt(recipes.KEYWORD, recipes.to_json(recipe))
    return text


def _itxt(text: str) -> bytes:
    """Return an iTXt chunk as Pillow writes it: keyword, no compression, no language, no translation."""
    return f"{recipes.KEYWORD}\0\0\0\0\0{text}".encode()
