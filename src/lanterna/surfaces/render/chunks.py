"""Split a film whose frames are carried over into chunks, and join them without visible seams.

Each frame starts from the one before it, so the frames of a shot are rendered in order. At a cut nothing is
carried over, so shots are independent. A long shot is split into overlapping chunks, which cross-fade over
the shared frames. The flicker there, relative to the rest of the film, is measured.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice, pairwise, zip_longest
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F

from lanterna.images.motion import flicker
from lanterna.images.pictures import open_picture, save_picture
from lanterna.surfaces.render.folder import CHUNKS
from lanterna.surfaces.render.task import Task

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pydantic import JsonValue
    from torch import Tensor

    from lanterna.images.film_reading import FilmReader
    from lanterna.surfaces.render.folder import Folder
    from lanterna.surfaces.render.plan import Source

_SIDE = 32  # pixels: enough to find cuts
_MIN_CUT = 0.1  # mean difference of two frames at a cut
_MIN_CUT_RATIO = 4.0  # the same, relative to the median of the frames around it
_AROUND = 12  # frames
_MAX_SEAMS = 8  # that are measured: each needs the optical flow of some frames


@dataclass(frozen=True)
class Chunk:
    """Frames `first` to `last - 1` of a film; the first `overlap` of them are in the previous chunk too."""

    number: int
    first: int
    last: int
    overlap: int

    @property
    def name(self) -> str:
        """Its name in the run's folder."""
        return f"{CHUNKS}/{self.first:05}-to-{self.last - 1:05}"


def find_cuts(frames: Iterable[Tensor]) -> list[int]:
    """Return the numbers of the frames `(3, H, W)` that begin a new shot."""
    small = (F.interpolate(frame[None], (_SIDE, _SIDE), mode="area")[0] for frame in frames)
    distances = [0.0, *((after - before).abs().mean().item() for before, after in pairwise(small))]
    cuts = []
    for number, distance in enumerate(distances):
        near = sorted(
            distances[max(1, number - _AROUND) : number] + distances[number + 1 : number + 1 + _AROUND]
        )
        median = near[len(near) // 2] if near else 0.0
        if distance > max(_MIN_CUT, _MIN_CUT_RATIO * median):
            cuts.append(number)
    return cuts


def split_chunks(count: int, shots: Sequence[int], length: int, overlap: int) -> list[Chunk]:
    """Split a film of `count` frames, with new shots at `shots`, into chunks of about `length` frames."""
    chunks: list[Chunk] = []
    for first, last in pairwise([0, *shots, count]):
        parts = max(1, round((last - first) / length))
        ends = [first + round((last - first) * part / parts) for part in range(parts + 1)]
        for part, (start, end) in enumerate(pairwise(ends)):
            shared = min(overlap, start - ends[part - 1]) if part else 0
            chunks.append(Chunk(len(chunks), start - shared, end, shared))
    return chunks


def read_chunks(plan: Mapping[str, Any], count: int) -> list[Chunk]:
    """Read the chunks of a film of `count` frames from a run's plan; empty if there are none that fit."""
    try:
        chunks = [Chunk(number, *map(int, each)) for number, each in enumerate(plan["pieces"])]
    except (KeyError, TypeError, ValueError):
        return []
    previous = Chunk(-1, 0, 0, 0)
    for chunk in chunks:
        fits = chunk.first + chunk.overlap == previous.last < chunk.last
        if not fits or chunk.overlap < 0 or chunk.first < previous.first:
            return []
        previous = chunk
    return chunks if previous.last == count else []


@dataclass(frozen=True)
class FilmRun:
    """A run that renders a film in chunks, with frames carried over."""

    source: Source
    film: FilmReader
    chunks: Sequence[Chunk]
    settings: Mapping[str, JsonValue]

    @property
    def names(self) -> Sequence[str]:
        """The names of the frames."""
        return self.source.names

    @property
    def count(self) -> int:
        """The number of tasks."""
        return len(self.chunks)

    @property
    def plan(self) -> dict[str, JsonValue]:
        """What identifies this run."""
        chunks: list[JsonValue] = [[chunk.first, chunk.last, chunk.overlap] for chunk in self.chunks]
        return {"settings": [dict(self.settings)], "pieces": chunks}

    def missing(self, folder: Folder) -> list[int]:
        """Return the numbers of the chunks that the folder's missing frames still need."""
        frames = self._missing_frames(folder)
        return [
            chunk.number
            for chunk in self.chunks
            if any(number in frames for number in range(chunk.first, chunk.last))
            and not folder.done(chunk.name)
        ]

    def tasks(self, numbers: Sequence[int]) -> Iterator[Task]:
        """Yield the tasks with these ascending numbers, with their frames. The film is read once."""
        frames = enumerate(self.film)
        window: dict[int, Tensor] = {}
        for chunk in (self.chunks[number] for number in numbers):
            window = {number: frame for number, frame in window.items() if number >= chunk.first}
            while chunk.last - 1 not in window:
                number, frame = next(frames)
                if number >= chunk.first:
                    window[number] = frame
            files = tuple(
                self.source.frame_file(number, window[number]) for number in range(chunk.first, chunk.last)
            )
            yield Task(chunk.number, chunk.name, self.settings, files)

    def assemble(self, folder: Folder) -> float | None:
        """Create the missing frames from their chunks, and return the flicker of the seams."""
        paths = [folder.paths(name)[0] for name in self.names]
        missing = self._missing_frames(folder)
        for number, picture in self.frames(folder, missing):
            begun = time.perf_counter()
            save_picture(picture, paths[number], force=True)
            size = paths[number].stat().st_size
            folder.record(number, self.names[number], [size], time.perf_counter() - begun)
        seam = measure_seams(self.chunks, paths, self.film) if missing else None
        folder.remove_chunks()
        return seam

    def frames(self, folder: Folder, numbers: Collection[int]) -> Iterator[tuple[int, Tensor]]:
        """Yield the frames with these numbers, `(3, H, W)` in [0, 1]; overlapping chunks cross-fade."""
        previous: list[Path] = []
        for chunk, following in zip_longest(self.chunks, self.chunks[1:]):
            files = folder.paths(chunk.name, chunk.last - chunk.first)
            shared = following.overlap if following else 0
            for index in range(len(files) - shared):
                if chunk.first + index not in numbers:
                    continue
                picture = open_picture(files[index])
                if index < chunk.overlap:
                    weight = (index + 1) / (chunk.overlap + 1)
                    picture = open_picture(previous[index - chunk.overlap]).lerp(picture, weight)
                yield chunk.first + index, picture
            previous = files

    def _missing_frames(self, folder: Folder) -> set[int]:
        return {number for number, name in enumerate(self.names) if not folder.done(name)}


def measure_seams(chunks: Sequence[Chunk], paths: Sequence[Path], film: FilmReader) -> float | None:
    """Return the `flicker` where two chunks of a shot meet, divided by that of the frames after it.

    1 is an invisible seam. None if there is no seam.
    """
    at_seam: dict[int, bool] = {}  # frames to measure by number, and whether each is at a seam
    for chunk in [chunk for chunk in chunks if chunk.overlap][:_MAX_SEAMS]:
        start, end = chunk.first, chunk.first + chunk.overlap + 1
        length = end - start
        for seam, first, last in ((True, start - 1, end), (False, end, end + length + 1)):
            for number in range(max(1, first), min(last, chunk.last - 1)):
                at_seam.setdefault(number, seam)
    if not at_seam:
        return None
    at_seams: list[float] = []
    elsewhere: list[float] = []
    previous: Tensor | None = None
    for number, original in enumerate(islice(film, max(at_seam) + 1)):
        if previous is not None and number in at_seam:
            pair = [open_picture(paths[number - 1]), open_picture(paths[number])]
            size = pair[0].shape[1:]
            originals = [F.interpolate(each[None], size, mode="area")[0] for each in (previous, original)]
            (at_seams if at_seam[number] else elsewhere).append(flicker(pair, originals))
        previous = original
    if not at_seams or not elsewhere:
        return None
    return (sum(at_seams) / len(at_seams)) / max(sum(elsewhere) / len(elsewhere), 1e-9)
