"""Reading of films: a video, an animation or a folder of pictures, with one frame at a time in memory."""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lanterna.errors import MissingError, UsageError
from lanterna.images.colour import flatten_alpha, to_srgb, to_standard_mode, to_tensor
from lanterna.images.decoding import (
    PIXEL_LIMIT,
    check_size,
    describe_unread,
    guarded,
    is_folder,
    is_picture_name,
    open_image_unguarded,
    regular_file,
)
from lanterna.images.films import SWSCALE_FLAGS
from lanterna.images.pictures import open_picture
from lanterna.images.recipe import from_json, read_recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av import VideoFrame, VideoStream
    from av.container import InputContainer
    from PIL import Image
    from torch import Tensor

    from lanterna.images.recipe import Recipe

DEFAULT_FPS = 25.0
"""Frames per second of a film that does not state them, such as a folder."""

_FILMS = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".gif")
_EXPECTED = "an MP4, MOV, WebM, MKV, animated WebP, AVIF, GIF or PNG, or a folder of pictures"
# FFmpeg reads hundreds of formats, some of which are lists of other files to open. These are videos.
_CODECS = {"h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "mjpeg", "prores", "dnxhd", "ffv1"}
_STARTS_OF_MOV = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_PICTURE_BRANDS = (b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix", b"heim", b"heis")


@dataclass(frozen=True)
class FilmReader:
    """A film that can be iterated repeatedly, each time from the beginning; frames are not held in memory.

    Iterating yields its `count` frames, `(3, height, width)` float32 in [0, 1], sRGB, the right way up.
    `fps` is the average if frames have different durations. A `width` of 0 means that the size is unknown.
    """

    path: Path
    width: int
    height: int
    fps: float
    count: int
    _read: Callable[[int], Iterator[Tensor]] = field(repr=False, compare=False)

    def __iter__(self) -> Iterator[Tensor]:
        return self.frames()

    def frames(self, start: int = 0) -> Iterator[Tensor]:
        """Yield the frames from number `start`; the first frame is 0.

        A video or an animation is decoded from its beginning, as a frame depends on those before it.

        Errors: `UsageError`, one line, if the file is broken, a frame differs in size from the first, or
        `start` is negative.
        """
        if start < 0:
            raise UsageError(f"{self.path}: the first frame of a film is 0, got {start}")
        for number, frame in enumerate(self._read(start), start):
            height, width = frame.shape[1:]
            if self.width and (width, height) != (self.width, self.height):
                size = f"{self.width} × {self.height}"
                raise UsageError(
                    f"{self.path}: frame {number} is {width} × {height}, the first is {size}: "
                    "all frames of a film must have the same size"
                )
            yield frame


def is_film(path: Path) -> bool:
    """Return whether a path is a folder or has a film's suffix; an animated WebP counts as a picture."""
    try:
        return path.suffix.lower() in _FILMS or path.is_dir()
    except OSError:  # too long a name; opening it reports that
        return False


def open_film(path: str | Path) -> FilmReader:
    """Open a film: a video, an animation, or a folder of pictures in the order of the numbers in their names.

    - MP4, MOV, WebM and MKV need PyAV (the extra `video`). A phone's rotation is applied, sound and
      transparency are dropped, pixels are assumed to be square. If a video does not state its colour space,
      BT.709 is assumed from 720 lines and BT.601 below; HDR is not tone-mapped. Every frame is read, whatever
      its duration. A truncated WebM or MKV ends where its data end.
    - Animated WebP, AVIF, GIF and PNG: the compressed file is in memory while it is read. Transparency
      becomes white. `fps` is derived from the duration of the first frame.
    - A folder: every picture in it that `open_picture` reads, except hidden ones, at 25 frames per second.

    The content determines the format, never the name. The first frame is decoded as a check.

    Errors: `UsageError`, one line, if `path` is no film or broken, or if its frames have over 200 million
    pixels or too long a side; `MissingError` if a video is given and PyAV is not installed.
    """
    path = Path(path)
    if is_folder(path):
        return _open_folder(path)
    with regular_file(path, _EXPECTED) as file:
        start = file.read(12)
    if start.startswith((b"GIF8", b"\x89PNG")) or start[8:] == b"WEBP":
        return _open_animation(path)
    if start[4:8] == b"ftyp" and start[8:] in _PICTURE_BRANDS:
        return _open_animation(path)
    if start.startswith(b"\x1aE\xdf\xa3"):
        return _open_video(path, "matroska")
    if start[4:8] in _STARTS_OF_MOV:
        return _open_video(path, "mov")
    raise UsageError(f"{path} is not a film: give {_EXPECTED}")


def read_film_recipe(path: Path) -> Recipe:
    """Return the recipe in a film that Lanterna saved, without decoding a frame.

    Errors: as `read_recipe`, and `MissingError` as `open_film`.
    """
    with regular_file(path, _EXPECTED) as file:
        start = file.read(12)
    matroska = start.startswith(b"\x1aE\xdf\xa3")
    if not matroska and (start[4:8] not in _STARTS_OF_MOV or start[8:] in _PICTURE_BRANDS):
        return read_recipe(path)
    _require_av(path)
    with _video_stream(path, "matroska" if matroska else "mov") as (container, _):
        comment = {key.lower(): text for key, text in container.metadata.items()}.get("comment", "")
    if not comment.startswith("{"):
        raise UsageError(f"{path} carries no recipe: only films that Lanterna saved do")
    return from_json(comment, str(path))


def _require_av(path: Path) -> None:
    if find_spec("av") is None:
        raise MissingError(f"{path}: videos need PyAV: run pip install 'lanterna[video]'")


def _open_folder(path: Path) -> FilmReader:
    pictures = pictures_in(path)
    _, height, width = open_picture(pictures[0]).shape
    return FilmReader(
        path, width, height, DEFAULT_FPS, len(pictures), lambda k: map(open_picture, pictures[k:])
    )


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures in a folder, without hidden ones, in natural order (`frame9` before `frame10`).

    Errors: `UsageError` if the folder cannot be read or has no pictures.
    """
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from error
    pictures = sorted((folder / name for name in names if is_picture_name(name)), key=_natural_key)
    if not pictures:
        unread = describe_unread(names)
        raise UsageError(f"{folder} has no pictures in it: {unread or f'give {_EXPECTED}'}")
    return pictures


def _natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Return a sort key by which `frame9` precedes `frame10`, and both precede `frame10b`."""
    parts = re.findall(r"(\d+)|(\D+)", path.name.lower())
    return [(int(digits or 0), letters) for digits, letters in parts], path.name


def _open_animation(path: Path) -> FilmReader:
    with guarded(str(path)), open_image_unguarded(path) as file:
        # A PNG may have an image for programs without animation, which is not part of the film.
        skipped = int(bool(getattr(file, "default_image", False)))
        count = getattr(file, "n_frames", 1) - skipped
        file.seek(skipped)
        first = _decode_picture(file)
        duration = float(file.info.get("duration") or 0)
    # Browsers show a frame of a hundredth of a second or less for a tenth.
    fps = 1000 / duration if duration > 10 else 10.0
    _, height, width = first.shape
    return FilmReader(path, width, height, fps, count, functools.partial(_decode_animation, path, skipped))


def _decode_animation(path: Path, skipped: int, start: int) -> Iterator[Tensor]:
    name = str(path)
    with contextlib.ExitStack() as stack:
        with guarded(name):
            file = stack.enter_context(open_image_unguarded(path))
            count = getattr(file, "n_frames", 1)
        for number in range(skipped + start, count):
            with guarded(name):
                file.seek(number)
                frame = _decode_picture(file)
            yield frame


def _decode_picture(file: Image.Image) -> Tensor:
    file.load()
    return to_tensor(flatten_alpha(to_srgb(to_standard_mode(file), file.info.get("icc_profile"))))


def _open_video(path: Path, form: str) -> FilmReader:
    _require_av(path)
    with _video_stream(path, form) as (container, stream):
        fps = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
        # MP4 states its number of frames, which cannot exceed its bytes; WebM's packets are counted.
        stated = min(stream.frames, path.stat().st_size)
        count = stated or sum(1 for packet in container.demux(stream) if packet.size)
    first = next(_decode_video(path, form, 0), None)
    if first is None:
        raise UsageError(f"{path} has no frame that can be decoded: give {_EXPECTED}")
    _, height, width = first.shape
    return FilmReader(path, width, height, fps, count, functools.partial(_decode_video, path, form))


@contextlib.contextmanager
def _video_stream(path: Path, form: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    import av

    # FFmpeg gets the bytes, not the path, in which it would interpret URLs and protocols.
    with regular_file(path, _EXPECTED) as file:
        try:
            with av.open(file, "r", format=form, metadata_errors="ignore") as container:
                if not container.streams.video:
                    raise UsageError(f"{path} has no video in it: give {_EXPECTED}")
                stream = container.streams.video[0]
                codec = stream.codec_context
                if codec is None or codec.name not in _CODECS:
                    known = "H.264, HEVC, VP9, AV1 or ProRes"
                    raise UsageError(f"{path}: its codec is not supported: convert it to {known} first")
                check_size(str(path), codec.width, codec.height)
                codec.options = {"max_pixels": str(PIXEL_LIMIT)}  # whatever the header says
                codec.thread_type = "AUTO"
                yield container, stream
        except av.FFmpegError as error:
            reason = error.strerror or type(error).__name__
            raise UsageError(f"{path} is broken or truncated: {reason}") from error


def _decode_video(path: Path, form: str, start: int) -> Iterator[Tensor]:
    with _video_stream(path, form) as (container, stream):
        for frame in itertools.islice(container.decode(stream), start, None):
            yield _to_tensor(frame)


def _to_tensor(frame: VideoFrame) -> Tensor:
    unspecified = frame.colorspace == 2  # in the tables of ITU-T H.273
    colours = "ITU709" if unspecified and frame.height >= 720 else None
    values = torch.from_numpy(
        frame.to_ndarray(format="rgb24", src_colorspace=colours, interpolation=SWSCALE_FLAGS)
    )  # (H, W, 3)
    upright = torch.rot90(values, round(frame.rotation / 90), (0, 1))  # both are counter-clockwise
    return upright.permute(2, 0, 1).to(torch.float32, memory_format=torch.contiguous_format).div_(255)
