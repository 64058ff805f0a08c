"""Safe opening of untrusted picture files with Pillow: allowed formats, limited sizes, errors in one line."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import re
import stat
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image, UnidentifiedImageError

from lanterna.errors import LanternaError, UsageError
from lanterna.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from PIL.ImageFile import ImageFile

Source = str | Path | bytes | BinaryIO

PIXEL_LIMIT = 200_000_000
"""The maximum number of pixels of a picture: that of the largest phone cameras (16,320 × 12,240)."""

SIDE_LIMIT = 65_536
"""The maximum side in pixels, as in AVIF: millions of rows take long to decode however short they are."""

SCAN_LIMIT = 100
"""The maximum number of scans of a JPEG, as in libtiff: each passes over all pixels. Editors write ten."""

SCANNED_LIMIT = 12 * PIXEL_LIMIT
"""The maximum number of pixels times scans of a JPEG, which takes half a minute to decode."""

BYTE_LIMIT = 2**31
"""The maximum size of a file in bytes: 200 million pixels of 16-bit RGBA, uncompressed, are 1.6 GB."""

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP")
SUFFIXES = {
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".tif", ".tiff", ".gif", ".bmp"),
    *(".heic", ".heif"),
}
"""The suffixes of files in a folder that are taken for pictures; a file's content determines its format."""

UNREAD = {
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2", ".psd", ".xcf", ".jp2", ".jxl"),
    *(".svg", ".eps", ".pdf", ".tga", ".ico", ".hdr", ".exr"),
}
"""The suffixes of pictures that are not read, and named when a folder has some."""

_NAMES = "PNG, JPEG, WebP, AVIF, TIFF, GIF, BMP or HEIC"
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
# A JPEG's markers that have a length, and its end; decoders skip any other byte that follows FF in a scan.
_JPEG_MARKER, _SCAN, _END = re.compile(rb"\xff([\xc0-\xcf\xd9-\xef\xfe])"), 0xDA, 0xD9

# Pillow's pixel limit and Python's warning filters apply to the whole process. They are changed only while
# this lock is held, so that threads decoding at the same time do not restore each other's changes.
_lock = threading.RLock()

# Pillow logs oddities in hostile TIFFs, and Python prints log messages that have no handler.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def source_name(source: Source) -> str:
    """Return a source's name for messages: its path, or what it is."""
    if isinstance(source, (str, Path)):
        return str(source)
    return "standard input" if getattr(source, "name", "") == "<stdin>" else "the picture"


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is one that systems add for themselves: `.DS_Store`, `__MACOSX`."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db")


def is_picture_name(name: str) -> bool:
    """Return whether a file in a folder is taken for a picture, by its name."""
    return not is_hidden(name) and _suffix(name) in SUFFIXES


def describe_unread(names: Iterable[str]) -> str:
    """Describe the pictures among the names that cannot be read; empty if there are none."""
    unread = sorted(name for name in names if not is_hidden(name) and _suffix(name) in UNREAD)
    if not unread:
        return ""
    more = f" and {len(unread) - 3} more" if len(unread) > 3 else ""
    return f"left out: {', '.join(unread[:3])}{more}: save as PNG or JPEG first"


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122  (a folder may have a million)


def is_folder(path: Path) -> bool:
    """Return whether an untrusted path is a folder; an impossible path is not."""
    try:
        return path.is_dir()
    except OSError:  # too long a name
        return False


@contextlib.contextmanager
def open_image(source: Source) -> Iterator[ImageFile]:
    """Open a picture without decoding its pixels; errors in the block are reported as the picture's.

    The content determines the format, never the name. Errors: `UsageError`, one line, if `source` is missing,
    no regular file, empty, too large, not a picture of an allowed format, broken or truncated.
    """
    name = source_name(source)
    with guarded(name), open_image_unguarded(source) as picture:
        yield picture


@contextlib.contextmanager
def open_image_unguarded(source: Source) -> Iterator[ImageFile]:
    """Open a picture as `open_image` does, without holding the lock of `guarded` throughout the block.

    Wrap the call, and each access to the pixels, in `guarded`.
    """
    name = source_name(source)
    with _open_source(source, name) as file, _read_header(file, _formats(file, name)) as picture:
        check_size(name, *picture.size)
        max_scans = min(SCAN_LIMIT, SCANNED_LIMIT // (picture.width * picture.height))
        if picture.format in ("JPEG", "MPO") and _count_scans(file) > max_scans:
            raise UsageError(f"{name} is a JPEG of more than {max_scans} scans: save it again first")
        yield picture


def check_size(name: str, width: int, height: int) -> None:
    """Raise `UsageError` if a picture is too large to be decoded."""
    if width * height > PIXEL_LIMIT:
        raise UsageError(_too_large(name))
    if max(width, height) > SIDE_LIMIT:
        raise UsageError(
            f"{name} is {width:,} × {height:,} pixels, expected sides of at most {SIDE_LIMIT:,}: crop it"
        )


@contextlib.contextmanager
def guarded(name: str) -> Iterator[None]:
    """Silence Pillow's warnings, and turn its exceptions into one-line errors about `name`."""
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about files that it reads well enough
        try:
            yield
        except LanternaError:
            raise
        except Image.DecompressionBombError as error:
            raise UsageError(_too_large(name)) from error
        except UnidentifiedImageError as error:
            raise UsageError(f"{name} is not a picture, or too broken to read: give {_NAMES}") from error
        except MemoryError as error:
            raise UsageError(f"{name} does not fit in memory: make it smaller first") from error
        except Exception as error:
            # Hostile files make Pillow's decoders raise nearly anything: struct.error, KeyError, zlib.error …
            reason = " ".join(str(error).split())[:100]
            raise UsageError(f"{name} is broken or truncated{f': {reason}' if reason else ''}") from error


def _too_large(name: str) -> str:
    return f"{name} has more than {PIXEL_LIMIT // 10**6} million pixels: make it smaller first"


def _count_scans(file: BinaryIO) -> int:
    """Count the scans of the first JPEG in a file, up to one more than the limit."""
    before, scans = file.tell(), 0
    file.seek(2)
    while scans <= SCAN_LIMIT and (marker := _next_marker(file)) not in (None, _END):
        scans += marker == _SCAN
        file.seek(int.from_bytes(file.read(2)) - 2, os.SEEK_CUR)
    file.seek(before)
    return scans


def _next_marker(file: BinaryIO) -> int | None:
    while piece := file.read(2**16):
        if found := _JPEG_MARKER.search(piece):
            file.seek(found.end() - len(piece), os.SEEK_CUR)
            return found[1][0]
        if piece.endswith(b"\xff") and len(piece) > 1:
            file.seek(-1, os.SEEK_CUR)
    return None


def _read_header(file: BinaryIO, formats: tuple[str, ...]) -> ImageFile:
    previous = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = PIXEL_LIMIT // 2  # Pillow raises at twice this, from the header alone
    try:
        return Image.open(file, formats=formats)
    finally:
        Image.MAX_IMAGE_PIXELS = previous


def _open_source(source: Source, name: str) -> BinaryIO:
    if isinstance(source, bytes):
        return _read_all(io.BytesIO(source), name)
    if not isinstance(source, (str, Path)):
        return _read_all(source, name)
    file = regular_file(source, "a picture file", ", or - to read standard input")
    if os.fstat(file.fileno()).st_size > BYTE_LIMIT:
        file.close()
        raise UsageError(f"{name} is larger than {BYTE_LIMIT // 2**30} GB: make it smaller first")
    return file


def regular_file(source: str | Path, expected: str, alternative: str = "") -> BinaryIO:
    """Open a file for reading. Errors: `UsageError`, one line that asks for `expected`."""
    name = source_name(source)
    try:
        status = Path(source).stat()
        if stat.S_ISDIR(status.st_mode):
            raise UsageError(f"{name} is a folder: give {expected}")
        # Opening a pipe could block for ever, and a device has no end.
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{name} is a device or a pipe: give {expected}{alternative}")
        if status.st_size == 0:
            raise UsageError(f"{name} is empty: give {expected}")
        return open_regular(source)
    except FileNotFoundError as error:
        raise UsageError(f"{name} does not exist: give the path of {expected}") from error
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror or _one_line(error)}") from error
    except ValueError as error:  # a zero byte in the path
        raise UsageError(f"{name!r} is not a path: {_one_line(error)}") from error


def _read_all(stream: BinaryIO, name: str) -> BinaryIO:
    """Read a stream, which may not support seeking, into memory."""
    try:
        data = stream.read(BYTE_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{name} cannot be read: {_one_line(error)}") from error
    if not isinstance(data, bytes):
        raise UsageError(f"{name} is open in text mode: open it in binary mode")
    if not data:
        raise UsageError(f"{name} is empty: give a picture file")
    if len(data) > BYTE_LIMIT:
        raise UsageError(f"{name} is larger than {BYTE_LIMIT // 2**30} GB: make it smaller first")
    return io.BytesIO(data)


def _formats(file: BinaryIO, name: str) -> tuple[str, ...]:
    """Return the allowed formats, with HEIC if the file claims to be one and pillow-heif is installed."""
    try:
        start = file.read(12)
        file.seek(0, os.SEEK_SET)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror or _one_line(error)}") from error
    if start.startswith(b"%PDF"):
        raise UsageError(
            f"{name} is a PDF: save its pages as PNG or TIFF first, for example with "
            "pip install pypdfium2, then pypdfium2 render FILE.pdf -o FOLDER"
        )
    if start[4:8] != b"ftyp" or start[8:12] not in _HEIC_BRANDS:
        return FORMATS
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError as error:
        if start[8:12] in (b"mif1", b"msf1"):  # these two may as well be AVIF
            return FORMATS
        raise UsageError(f"{name} is HEIC, which needs a package: pip install 'lanterna[heic]'") from error
    return (*FORMATS, "HEIF")


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if 0 < len(text) <= 100 else type(error).__name__
