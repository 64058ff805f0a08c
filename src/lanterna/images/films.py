"""The door out for films: pictures one after another to one file, one at a time in memory."""

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

CAREFULLY = 0x4 | 0x2000 | 0x4000 | 0x40000
"""How FFmpeg converts colours: bicubic, from every pixel, rounded. Its usual way darkens by a level."""


def default_film_path(name: str) -> Path:
    """Where a film goes if nobody says: MP4 where it can be written, as everybody can play it."""
    return Path(f"{name}.mp4" if find_spec("av") else f"{name}.webp")


def check_film_path(path: str | Path, *, force: bool = False) -> None:
    """Whether a film can be saved there, to be asked before long work.

    Errors: `UsageError` where the suffix is none that films are saved as, or the place is taken;
    `MissingError` where MP4 or WebM is asked for and PyAV is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        kind = f"{path.suffix} films" if path.suffix else "a film without a suffix"
        raise UsageError(f"{path}: Lanterna does not save {kind}: use {', '.join(SUFFIXES)}")
    refuse_to_overwrite(path, force=force)
    if path.suffix.lower() in _BY_PYAV and find_spec("av") is None:
        raise MissingError(
            f"{path}: {path.suffix} needs PyAV: pip install 'lanterna[video]' gets it, .webp needs nothing"
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
    """Save a film, whole or not at all, by the suffix of `path`: WebP, AVIF, MP4 (H.264), WebM (VP9), GIF.

    `frames` are `count` pictures `(3, H, W)` in [0, 1], all of one size, asked for one at a time, so that
    they may be computed as they are written. The last one stands for another `hold` seconds, and also for
    those that are missing where `frames` ends before `count`. MP4 and WebM have even sides: the last row or
    column is doubled where it must be.

    `quality` is 1 to 100, which is each format's own: at 80 nobody sees a difference. AVIF is the smallest
    and takes the longest (about 0.1 s for a frame of 768 × 432 on 2 cores), WebP opens in the most places.

    `recipe` is the recipe that the film carries; `lanterna recipe` shows it.

    In memory are the compressed film and what the encoder looks at: one frame (WebP), some 25 (AVIF, WebM)
    or 50 (MP4, which is written as it grows, like WebM). A GIF has 256 colours, no quality, and keeps one
    byte a pixel of every frame until it is written.

    Errors: as `check_film_place`; `UsageError` where there are no frames or they differ in size;
    `LanternaError` where the folder cannot be written.
    """
    path = Path(path)
    check_film_path(path, force=force)
    pictures = _alike(frames)
    begun = next(pictures, None)
    if begun is None or count < 1:
        raise UsageError(f"{path}: a film has at least one frame, got none")
    whole = itertools.chain([begun], itertools.islice(pictures, count - 1))
    with atomic_write(path) as temporary:
        try:
            if path.suffix.lower() in _BY_PYAV:
                _save_with_pyav(whole, temporary, fps, hold, quality, recipe)
            else:
                _save_with_pillow(whole, temporary, count, fps, hold, quality, recipe)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise LanternaError(f"{path} cannot be written: {error}") from error


def _alike(frames: Iterable[Tensor]) -> Iterator[Tensor]:
    shape = None
    for frame in frames:
        shape = shape or frame.shape
        if frame.shape != shape or frame.ndim != 3 or len(frame) != 3:
            raise UsageError(f"every frame of a film is {tuple(shape)}, got {tuple(frame.shape)}")
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
    begun = as_image(next(frames))
    if path.suffix.lower() == ".gif":
        rest: Any = (as_image(frame).quantize(256) for frame in frames)
        noted: dict[str, Any] = {"comment": recipes.to_json(recipe).encode()} if recipe else {}
        begun.quantize(256).save(path, save_all=True, append_images=rest, duration=durations, loop=0, **noted)
        return
    rest = [_Rest(frames, count - 1, begun)] if count > 1 else []
    if path.suffix.lower() == ".avif":
        # Faster than 6 loses 2 dB at the same size, and a frame that is dreamed takes longer than this.
        options: dict[str, Any] = {"speed": 6}
    else:
        options = {"loop": 0, "method": 4, "kmin": 25, "kmax": 50}
    if recipe:
        options["xmp"] = recipes.to_xmp(recipe)
    begun.save(path, save_all=True, append_images=rest, duration=durations, quality=quality, **options)


class _Rest:
    """What Pillow takes for an image of several frames: each is drawn when Pillow comes to it.

    Pillow makes a list of what it appends before it writes the first of them, so a generator of images would
    all be in memory. Of an image in a mode that the format has not it asks a conversion, which is where we
    come in. WebP counts to `n_frames`, AVIF goes on until there is an EOFError.
    """

    mode = "to come"
    has_transparency_data = False

    def __init__(self, frames: Iterator[Tensor], count: int, before: Image.Image) -> None:
        self.frames, self.n_frames, self.shown = frames, count, before

    def seek(self, number: int) -> None:
        if number >= self.n_frames:
            raise EOFError
        frame = next(self.frames, None)
        if frame is not None:
            self.shown = as_image(frame)

    def convert(self, _: str) -> Image.Image:
        return self.shown


def _save_with_pyav(
    frames: Iterator[Tensor], path: Path, fps: float, hold: float, quality: int, recipe: Recipe | None
) -> None:
    import av

    rate = Fraction(fps).limit_denominator(1000)
    form = path.suffix.lower()[1:]
    if form == "mp4":
        codec, container = "libx264", {"movflags": "faststart"}
        # x264's constant rate factor: 18 cannot be told from the original, 28 can.
        options = {"crf": str(round(38 - quality / 4)), "preset": "slow"}
    else:
        codec, container = "libvpx-vp9", {}
        # VP9's goes up to 63; it holds only where no bit rate is given.
        options = {"crf": str(round(64 - quality / 2)), "b": "0", "cpu-used": "2", "row-mt": "1"}
    with av.open(str(path), "w", format=form, options=container) as film:
        if recipe:
            film.metadata["comment"] = recipes.to_json(recipe)
        stream = cast("av.VideoStream", film.add_stream(codec, rate=rate, options=options))
        stream.pix_fmt = "yuv420p"  # the only one that every player shows
        # Players guess the colours of a film that says nothing of them by its height, so it says BT.709,
        # which is 1 in the tables of ITU-T H.273, and that black is 16, which is 1 for FFmpeg.
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
        for number, (frame, last) in enumerate(_with_last(frames)):
            _, height, width = frame.shape
            even = F.pad(frame[None], (0, width % 2, 0, height % 2), mode="replicate")[0]
            image = av.VideoFrame.from_ndarray(np.asarray(as_image(even)), format="rgb24")
            if number == 0:
                stream.width, stream.height = image.width, image.height
            image = image.reformat(
                format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG", interpolation=CAREFULLY
            )
            for _ in range(1 + round(hold * fps) if last else 1):
                image.pts = None
                film.mux(stream.encode(image))
        film.mux(stream.encode())


def _with_last(frames: Iterator[Tensor]) -> Iterator[tuple[Tensor, bool]]:
    """Each frame, and whether it is the last."""
    held = next(frames)
    for frame in frames:
        yield held, False
        held = frame
    yield held, True
