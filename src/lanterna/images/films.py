"""The door out for films: pictures one after another to a WebP, an MP4 or a GIF, one at a time in memory."""

from __future__ import annotations

import itertools
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch.nn.functional as F

from lanterna.errors import LanternaError, MissingError, UsageError
from lanterna.files import refuse_to_overwrite, replacing
from lanterna.images.drawing import as_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from PIL import Image
    from torch import Tensor

SUFFIXES = (".webp", ".mp4", ".gif")


def check_film_place(path: str | Path, *, force: bool = False) -> None:
    """Whether a film can be saved there, to be asked before long work.

    Errors: `UsageError` where the suffix is none that films are saved as, or the place is taken;
    `MissingError` where MP4 is asked for and PyAV is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        kind = f"{path.suffix} films" if path.suffix else "a film without a suffix"
        raise UsageError(f"{path}: Lanterna does not save {kind}: use {', '.join(SUFFIXES)}")
    refuse_to_overwrite(path, force=force)
    if path.suffix.lower() == ".mp4" and find_spec("av") is None:
        raise MissingError(
            f"{path}: MP4 needs PyAV: pip install 'lanterna[video]' gets it, .webp needs nothing"
        )


def save_film(
    frames: Iterable[Tensor],
    path: str | Path,
    *,
    count: int,
    fps: float = 25.0,
    hold: float = 0.0,
    quality: int = 80,
    force: bool = False,
) -> None:
    """Save a film, whole or not at all, as WebP, MP4 (H.264) or GIF by the suffix of `path`.

    `frames` are `count` pictures `(3, H, W)` in [0, 1], all of one size, asked for one at a time, so that
    they may be computed as they are written. The last one stands for another `hold` seconds, and also for
    those that are missing where `frames` ends before `count`. `quality` is 1 to 100. An MP4 has even sides:
    the last row or column is doubled where it must be. A GIF has 256 colours and keeps one byte a pixel of
    every frame in memory until it is written; the other two keep what their encoder needs.

    Errors: as `check_film_place`; `UsageError` where there are no frames or they differ in size;
    `LanternaError` where the folder cannot be written.
    """
    path = Path(path)
    check_film_place(path, force=force)
    pictures = _alike(frames)
    begun = next(pictures, None)
    if begun is None or count < 1:
        raise UsageError(f"{path}: a film has at least one frame, got none")
    whole = itertools.chain([begun], itertools.islice(pictures, count - 1))
    with replacing(path) as temporary:
        try:
            if path.suffix.lower() == ".mp4":
                _save_mp4(whole, temporary, fps, hold, quality)
            else:
                _save_with_pillow(whole, temporary, count, fps, hold, quality)
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
    frames: Iterator[Tensor], path: Path, count: int, fps: float, hold: float, quality: int
) -> None:
    durations = [round(1000 / fps)] * count
    durations[-1] += round(1000 * hold)
    begun = as_image(next(frames))
    if path.suffix.lower() == ".gif":
        rest: Any = (as_image(frame).quantize(256) for frame in frames)
        begun.quantize(256).save(path, save_all=True, append_images=rest, duration=durations, loop=0)
        return
    rest = [_Rest(frames, count - 1, begun)] if count > 1 else []
    begun.save(
        path, save_all=True, append_images=rest, duration=durations, loop=0, quality=quality, method=4,
        kmin=25, kmax=50,
    )  # fmt: skip


class _Rest:
    """What Pillow takes for an image of several frames: each is drawn when Pillow comes to it.

    Pillow makes a list of what it appends before it writes the first of them, so a generator of images would
    all be in memory. Of an image in a mode that WebP has not it asks a conversion, which is where we come in.
    """

    mode = "to come"
    has_transparency_data = False

    def __init__(self, frames: Iterator[Tensor], count: int, before: Image.Image) -> None:
        self.frames, self.n_frames, self.shown = frames, count, before

    def seek(self, _: int) -> None:
        frame = next(self.frames, None)
        if frame is not None:
            self.shown = as_image(frame)

    def convert(self, _: str) -> Image.Image:
        return self.shown


def _save_mp4(frames: Iterator[Tensor], path: Path, fps: float, hold: float, quality: int) -> None:
    import av

    rate = Fraction(fps).limit_denominator(1000)
    # x264's constant rate factor: 18 cannot be told from the original, 28 can.
    options = {"crf": str(round(38 - quality / 4)), "preset": "slow"}
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as film:
        stream = film.add_stream("libx264", rate=rate, options=options)
        stream.pix_fmt = "yuv420p"  # the only one that every player shows
        for number, (frame, last) in enumerate(_with_last(frames)):
            _, height, width = frame.shape
            even = F.pad(frame[None], (0, width % 2, 0, height % 2), mode="replicate")[0]
            image = av.VideoFrame.from_ndarray(np.asarray(as_image(even)), format="rgb24")
            if number == 0:
                stream.width, stream.height = image.width, image.height
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
