"""The door in for films: a video, an animation or a folder of pictures, one at a time in memory."""

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
    guarded,
    is_folder,
    open_image_unguarded,
    regular_file,
)
from lanterna.images.films import CAREFULLY
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
"""Pictures a second where a film does not say: a folder."""

_FILMS = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".gif")
_WANTED = "an MP4, MOV, WebM, MKV, animated WebP, AVIF, GIF or PNG, or a folder of pictures"
_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".gif", ".heic", ".heif"}
# FFmpeg reads hundreds of kinds, of which some are lists of other files to open. These are what films are.
_CODECS = {"h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "mjpeg", "prores", "dnxhd", "ffv1"}
_STARTS_OF_MOV = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_PICTURE_BRANDS = (b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix", b"heim", b"heis")


@dataclass(frozen=True)
class FilmReader:
    """A film that can be read from the beginning as often as wanted; nothing of it stays in memory.

    Iterating gives its `count` pictures, `(3, height, width)` float32 in [0, 1], sRGB, the right way up.
    `fps` is the average where pictures do not stand equally long. A `width` of 0 is one that is not known.
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
        """The pictures from number `start` on, the first of which is 0.

        A video or an animation is decoded from its beginning, as each picture is told by those before it.

        Errors: `UsageError`, one line, where the file turns out to be broken, a picture larger or smaller
        than the first, or `start` is negative.
        """
        if start < 0:
            raise UsageError(f"{self.path}: the first picture of a film is 0, got {start}")
        for number, frame in enumerate(self._read(start), start):
            height, width = frame.shape[1:]
            if self.width and (width, height) != (self.width, self.height):
                size = f"{self.width} × {self.height}"
                raise UsageError(
                    f"{self.path}: picture {number} is {width} × {height}, the first is {size}: "
                    "all pictures of a film are of one size"
                )
            yield frame


def is_film(path: Path) -> bool:
    """Whether a path is a film by its name or a folder of frames; an animated WebP is taken for a picture."""
    try:
        return path.suffix.lower() in _FILMS or path.is_dir()
    except OSError:  # too long a name; whoever opens it says so
        return False


def open_film(path: str | Path) -> FilmReader:
    """Open a film: a video, an animation, or a folder of pictures in the order of the numbers in their names.

    - MP4, MOV, WebM and MKV need PyAV (the extra `video`). A telephone's rotation is honoured, sound and
      transparency are dropped, pixels are taken as square; where a video is silent on its colours they are
      BT.709 from 720 lines on and BT.601 below, and HDR is not made darker. Every picture is read, however
      long it stands. A WebM or MKV that was cut short is as long as what is there.
    - Animated WebP, AVIF, GIF and PNG: the file is in memory, compressed, while it is read. Transparency
      becomes white. `fps` is told by how long the first picture stands.
    - A folder: every picture in it that `open_picture` takes, hidden ones left out; 25 a second.

    The content decides what a file is, never its name. The first picture is decoded to see that it can be.

    Errors: `UsageError`, one line, where `path` is no film, is broken, or has over 200 million pixels a
    picture or sides that are too long; `MissingError` where a video is given and PyAV is not installed.
    """
    path = Path(path)
    if is_folder(path):
        return _folder(path)
    with regular_file(path, _WANTED) as file:
        start = file.read(12)
    if start.startswith((b"GIF8", b"\x89PNG")) or start[8:] == b"WEBP":
        return _animation(path)
    if start[4:8] == b"ftyp" and start[8:] in _PICTURE_BRANDS:
        return _animation(path)
    if start.startswith(b"\x1aE\xdf\xa3"):
        return _video(path, "matroska")
    if start[4:8] in _STARTS_OF_MOV:
        return _video(path, "mov")
    raise UsageError(f"{path} is not a film: give {_WANTED}")


def read_film_recipe(path: Path) -> Recipe:
    """The recipe in a film that Lanterna saved; no picture of it is decoded.

    Errors: as `read_record`, and `MissingError` as `open_film`.
    """
    with regular_file(path, _WANTED) as file:
        start = file.read(12)
    matroska = start.startswith(b"\x1aE\xdf\xa3")
    if not matroska and (start[4:8] not in _STARTS_OF_MOV or start[8:] in _PICTURE_BRANDS):
        return read_recipe(path)
    _need_av(path)
    with _opened_video(path, "matroska" if matroska else "mov") as (container, _):
        noted = {key.lower(): text for key, text in container.metadata.items()}.get("comment", "")
    if not noted.startswith("{"):
        raise UsageError(f"{path} carries no recipe: only films that Lanterna saved do")
    return from_json(noted, str(path))


def _need_av(path: Path) -> None:
    if find_spec("av") is None:
        raise MissingError(f"{path}: videos need PyAV: pip install 'lanterna[video]' gets it")


def _folder(path: Path) -> FilmReader:
    pictures = pictures_in(path)
    _, height, width = open_picture(pictures[0]).shape
    return FilmReader(
        path, width, height, DEFAULT_FPS, len(pictures), lambda k: map(open_picture, pictures[k:])
    )


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder, hidden ones left out, in the order of the numbers in their names.

    Errors: `UsageError` where it cannot be read, or there are none.
    """
    try:
        names = [each for each in folder.iterdir() if each.suffix.lower() in _PICTURES]
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from error
    pictures = sorted((each for each in names if not each.name.startswith(".")), key=_by_number)
    if not pictures:
        raise UsageError(f"{folder} has no pictures in it: give {_WANTED}")
    return pictures


def _by_number(path: Path) -> tuple[list[tuple[int, str]], str]:
    """`frame9` is before `frame10`, and both before `frame10b`."""
    parts = re.findall(r"(\d+)|(\D+)", path.name.lower())
    return [(int(digits or 0), letters) for digits, letters in parts], path.name


def _animation(path: Path) -> FilmReader:
    with guarded(str(path)), open_image_unguarded(path) as file:
        # A PNG may have a picture for programs that do not know animations, which is not of the film.
        unseen = int(bool(getattr(file, "default_image", False)))
        count = getattr(file, "n_frames", 1) - unseen
        file.seek(unseen)
        first = _upright(file)
        duration = float(file.info.get("duration") or 0)
    # Browsers show what stands a hundredth of a second or less for a tenth.
    fps = 1000 / duration if duration > 10 else 10.0
    _, height, width = first.shape
    return FilmReader(path, width, height, fps, count, functools.partial(_animated, path, unseen))


def _animated(path: Path, unseen: int, start: int) -> Iterator[Tensor]:
    name = str(path)
    with contextlib.ExitStack() as stack:
        with guarded(name):
            file = stack.enter_context(open_image_unguarded(path))
            count = getattr(file, "n_frames", 1)
        for number in range(unseen + start, count):
            with guarded(name):
                file.seek(number)
                frame = _upright(file)
            yield frame


def _upright(file: Image.Image) -> Tensor:
    file.load()
    return to_tensor(flatten_alpha(to_srgb(to_standard_mode(file), file.info.get("icc_profile"))))


def _video(path: Path, form: str) -> FilmReader:
    _need_av(path)
    with _opened_video(path, form) as (container, stream):
        fps = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
        # MP4 says how many there are, though not more than it has bytes; WebM's are counted, undecoded.
        said = min(stream.frames, path.stat().st_size)
        count = said or sum(1 for packet in container.demux(stream) if packet.size)
    first = next(_decoded(path, form, 0), None)
    if first is None:
        raise UsageError(f"{path} has no picture that can be decoded: give {_WANTED}")
    _, height, width = first.shape
    return FilmReader(path, width, height, fps, count, functools.partial(_decoded, path, form))


@contextlib.contextmanager
def _opened_video(path: Path, form: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    import av

    # FFmpeg is given the bytes, not the path, in which it would see addresses and commands.
    with regular_file(path, _WANTED) as file:
        try:
            with av.open(file, "r", format=form, metadata_errors="ignore") as container:
                if not container.streams.video:
                    raise UsageError(f"{path} has no video in it: give {_WANTED}")
                stream = container.streams.video[0]
                codec = stream.codec_context
                if codec is None or codec.name not in _CODECS:
                    known = "H.264, HEVC, VP9, AV1 or ProRes"
                    raise UsageError(f"{path}: its codec is not read: convert it to {known} first")
                check_size(str(path), codec.width, codec.height)
                codec.options = {"max_pixels": str(PIXEL_LIMIT)}  # whatever the header says
                codec.thread_type = "AUTO"
                yield container, stream
        except av.FFmpegError as error:
            reason = error.strerror or type(error).__name__
            raise UsageError(f"{path} is broken or cut short: {reason}") from error


def _decoded(path: Path, form: str, start: int) -> Iterator[Tensor]:
    with _opened_video(path, form) as (container, stream):
        for frame in itertools.islice(container.decode(stream), start, None):
            yield _video_frame(frame)


def _video_frame(frame: VideoFrame) -> Tensor:
    silent = frame.colorspace == 2  # in the tables of ITU-T H.273
    colours = "ITU709" if silent and frame.height >= 720 else None
    values = torch.from_numpy(
        frame.to_ndarray(format="rgb24", src_colorspace=colours, interpolation=CAREFULLY)
    )  # (H, W, 3)
    turned = torch.rot90(values, round(frame.rotation / 90), (0, 1))  # both count against the clock
    return turned.permute(2, 0, 1).to(torch.float32, memory_format=torch.contiguous_format).div_(255)
