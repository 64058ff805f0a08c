"""Saving of films: a sequence of frames to one file, with one frame at a time in memory."""

from __future__ import annotations

import itertools
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch.nn.functional as F

from lanterna.errors import LanternaError, MissingError, UsageError
from lanterna.files import atomic_write, refuse_to_overwrite
from lanterna.images import recipe as recipes
from lanterna.images.drawing import as_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from PIL import Image
    from torch import Tensor

    from lanterna.images.recipe import Recipe

SUFFIXES = (".webp", ".avif", ".mp4", ".webm", ".gif")
_BY_PYAV = (".mp4", ".webm")

SWSCALE_FLAGS = 0x4 | 0x2000 | 0x4000 | 0x40000
"""FFmpeg's colour conversion: bicubic, full chroma, accurate rounding. Its default darkens by one level."""


def default_film_path(name: str) -> Path:
    """Return a film's default file name: MP4, which every player opens, if it can be written; else WebP."""
    return Path(f"{name}.mp4" if find_spec("av") else f"{name}.webp")


def check_film_path(path: str | Path, *, force: bool = False) -> None:
    """Check that a film can be saved at `path`, before any long work.

    Errors: `UsageError` if the suffix is not supported or the path is taken; `MissingError` if MP4 or WebM is
    requested and PyAV is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        kind = f"{path.suffix} films" if path.suffix else "a film without a suffix"
        raise UsageError(f"{path}: Lanterna does not save {kind}: use {', '.join(SUFFIXES)}")
    refuse_to_overwrite(path, force=force)
    if path.suffix.lower() in _BY_PYAV and find_spec("av") is None:
        raise MissingError(
            f"{path}: {path.suffix} needs PyAV: run pip install 'lanterna[video]', or use .webp"
        )


def save_film(
    frames: Iterable[Tensor],
    path: str | Path,
    *,
    count: int,
    fps: float = 25.0,
    hold: float = 0.0,
    quality: int = 80,
    recipe: Recipe | None = None,
    force: bool = False,
) -> None:
    """Save a film atomically, by the suffix of `path`: WebP, AVIF, MP4 (H.264), WebM (VP9), GIF.

    `frames` are `count` pictures `(3, H, W)` in [0, 1], all of one size, consumed one at a time, so that they
    may be computed while they are written. The last frame is held for another `hold` seconds, and also
    replaces missing frames if `frames` ends before `count`. The sides of MP4 and WebM are even: the last row
    or column is doubled if necessary.

    `quality` is 1 to 100, on each format's own scale: at 80 no difference is visible. AVIF is the smallest
    and the slowest (about 0.1 s for a frame of 768 × 432 on 2 cores), WebP the most widely supported.

    `recipe` is the recipe that the film carries; `lanterna recipe` shows it.

    The compressed film is in memory, and the frames that the encoder buffers: one (WebP), some 25 (AVIF,
    WebM) or 50 (MP4); MP4 and WebM are written while they are encoded. A GIF has 256 colours, no quality,
    and holds one byte per pixel of every frame until it is written.

    Errors: as `check_film_path`; `UsageError` if there are no frames or they differ in size; `LanternaError`
    if the folder cannot be written.
    """
    path = Path(path)
    check_film_path(path, force=force)
    pictures = _check_shapes(frames)
    first = next(pictures, None)
    if first is None or count < 1:
        raise UsageError(f"{path}: a film has at least one frame, got none")
    pictures = itertools.chain([first], itertools.islice(pictures, count - 1))
    with atomic_write(path) as temporary:
        try:
            if path.suffix.lower() in _BY_PYAV:
                _save_with_pyav(pictures, temporary, fps, hold, quality, recipe)
            else:
                _save_with_pillow(pictures, temporary, count, fps, hold, quality, recipe)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise LanternaError(f"{path} cannot be written: {error}") from error


def _check_shapes(frames: Iterable[Tensor]) -> Iterator[Tensor]:
    shape = None
    for frame in frames:
        shape = shape or frame.shape
        if frame.shape != shape or frame.ndim != 3 or len(frame) != 3:
            raise UsageError(f"every frame of a film must be {tuple(shape)}, got {tuple(frame.shape)}")
        yield frame


def _save_with_pillow(
    frames: Iterator[Tensor],
    path: Path,
    count: int,
    fps: float,
    hold: float,
    quality: int,
    recipe: Recipe | None,
) -> None:
    durations = [round(1000 / fps)] * count
    durations[-1] += round(1000 * hold)
    first = as_image(next(frames))
    if path.suffix.lower() == ".gif":
        rest: Any = (as_image(frame).quantize(256) for frame in frames)
        comment: dict[str, Any] = {"comment": recipes.to_json(recipe).encode()} if recipe else {}
        first.quantize(256).save(
            path, save_all=True, append_images=rest, duration=durations, loop=0, **comment
        )
        return
    rest = [_LazyFrames(frames, count - 1, first)] if count > 1 else []
    if path.suffix.lower() == ".avif":
        # Speeds above 6 lose 2 dB at the same size, and dreaming a frame takes longer than encoding it.
        options: dict[str, Any] = {"speed": 6}
    else:
        options = {"loop": 0, "method": 4, "kmin": 25, "kmax": 50}
    if recipe:
        options["xmp"] = recipes.to_xmp(recipe)
    first.save(path, save_all=True, append_images=rest, duration=durations, quality=quality, **options)


class _LazyFrames:
    """A multi-frame image for Pillow whose frames are computed when Pillow reads them.

    Pillow turns `append_images` into a list before it writes the first one, so all images of a generator
    would be in memory. It calls `convert` on an image whose mode the format does not support, which is where
    the next frame is supplied. WebP counts to `n_frames`, AVIF continues until an EOFError.
    """

    mode = "lazy"  # a mode that no format supports
    has_transparency_data = False

    def __init__(self, frames: Iterator[Tensor], count: int, first: Image.Image) -> None:
        self.frames, self.n_frames, self.current = frames, count, first

    def seek(self, number: int) -> None:
        if number >= self.n_frames:
            raise EOFError
        frame = next(self.frames, None)
        if frame is not None:
            self.current = as_image(frame)

    def convert(self, _: str) -> Image.Image:
        return self.current


def _save_with_pyav(
    frames: Iterator[Tensor], path: Path, fps: float, hold: float, quality: int, recipe: Recipe | None
) -> None:
    import av

    rate = Fraction(fps).limit_denominator(1000)
    form = path.suffix.lower()[1:]
    if form == "mp4":
        codec, container = "libx264", {"movflags": "faststart"}
        # x264's constant rate factor: 18 is visually lossless, 28 is not.
        options = {"crf": str(round(38 - quality / 4)), "preset": "slow"}
    else:
        codec, container = "libvpx-vp9", {}
        # VP9's goes up to 63; it applies only with a bit rate of 0.
        options = {"crf": str(round(64 - quality / 2)), "b": "0", "cpu-used": "2", "row-mt": "1"}
    with av.open(str(path), "w", format=form, options=container) as film:
        if recipe:
            film.metadata["comment"] = recipes.to_json(recipe)
        stream = cast("av.VideoStream", film.add_stream(codec, rate=rate, options=options))
        stream.pix_fmt = "yuv420p"  # the only one that every player supports
        # Players guess an unspecified colour space from the height, so the film states BT.709, which is 1 in
        # the tables of ITU-T H.273, and limited range, which is 1 for FFmpeg.
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
        for number, (frame, last) in enumerate(_with_last(frames)):
            _, height, width = frame.shape
            even = F.pad(frame[None], (0, width % 2, 0, height % 2), mode="replicate")[0]
            image = av.VideoFrame.from_ndarray(np.asarray(as_image(even)), format="rgb24")
            if number == 0:
                stream.width, stream.height = image.width, image.height
            image = image.reformat(
                format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG", interpolation=SWSCALE_FLAGS
            )
            for _ in range(1 + round(hold * fps) if last else 1):
                image.pts = None
                film.mux(stream.encode(image))
        film.mux(stream.encode())


def _with_last(frames: Iterator[Tensor]) -> Iterator[tuple[Tensor, bool]]:
    """Yield each frame, and whether it is the last."""
    previous = next(frames)
    for frame in frames:
        yield previous, False
        previous = frame
    yield previous, True
