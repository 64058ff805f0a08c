"""Films whose frames go on from one another, made in pieces: shots, and long shots in overlapping parts.

What the last frame dreamed moves on into the next, so that a film is made one frame after another. Where the
picture cuts nothing moves on: there a film falls into shots, which are made side by side. A long shot is made
in parts that overlap: over those frames one part's picture goes over into the next one's, so that no seam is
seen. How unsteady it is there, beside the same film elsewhere, is measured.
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

    from lanterna.images.film_reading import Film
    from lanterna.surfaces.render.folder import Folder
    from lanterna.surfaces.render.plan import Source

_SIDE = 32  # pixels: a cut is seen on a small picture too
_CUT, _TIMES = 0.1, 4.0  # how far apart two frames are at a cut: at least, and times what is usual around it
_AROUND = 12  # frames
_MEASURED = 8  # seams, at most: each takes the flow of some frames


@dataclass(frozen=True)
class Chunk:
    """Frames `first` to `last` of a film, without the last one; `overlap` are in the piece before too."""

    number: int
    first: int
    last: int
    overlap: int

    @property
    def name(self) -> str:
        """What it is called in the folder of its run."""
        return f"{CHUNKS}/{self.first:05}-to-{self.last - 1:05}"


def find_cuts(frames: Iterable[Tensor]) -> list[int]:
    """Where a film cuts: the numbers of the frames `(3, H, W)` that are the first of another shot."""
    small = (F.interpolate(frame[None], (_SIDE, _SIDE), mode="area")[0] for frame in frames)
    apart = [0.0, *((after - before).abs().mean().item() for before, after in pairwise(small))]
    found = []
    for number, distance in enumerate(apart):
        near = sorted(apart[max(1, number - _AROUND) : number] + apart[number + 1 : number + 1 + _AROUND])
        usual = near[len(near) // 2] if near else 0.0
        if distance > max(_CUT, _TIMES * usual):
            found.append(number)
    return found


def split_chunks(count: int, shots: Sequence[int], length: int, overlap: int) -> list[Chunk]:
    """A film of `count` frames, cut at `shots`, in pieces of about `length` frames."""
    found: list[Chunk] = []
    for first, last in pairwise([0, *shots, count]):
        parts = max(1, round((last - first) / length))
        ends = [first + round((last - first) * part / parts) for part in range(parts + 1)]
        for part, (start, end) in enumerate(pairwise(ends)):
            shared = min(overlap, start - ends[part - 1]) if part else 0
            found.append(Chunk(len(found), start - shared, end, shared))
    return found


def read_chunks(plan: Mapping[str, Any], count: int) -> list[Chunk]:
    """The pieces that the plan of a run has for a film of `count` frames; none where it has no such."""
    try:
        found = [Chunk(number, *map(int, each)) for number, each in enumerate(plan["pieces"])]
    except (KeyError, TypeError, ValueError):
        return []
    before = Chunk(-1, 0, 0, 0)
    for piece in found:
        fits = piece.first + piece.overlap == before.last < piece.last
        if not fits or piece.overlap < 0 or piece.first < before.first:
            return []
        before = piece
    return found if before.last == count else []


@dataclass(frozen=True)
class FilmRun:
    """A film whose frames go on from one another, made in the pieces `cut`: what one run makes."""

    open_source: Source
    film: Film
    cut: Sequence[Chunk]
    settings: Mapping[str, JsonValue]

    @property
    def names(self) -> Sequence[str]:
        """What each frame is called."""
        return self.open_source.names

    @property
    def count(self) -> int:
        """How many tasks there are."""
        return len(self.cut)

    @property
    def plan(self) -> dict[str, JsonValue]:
        """What tells this run from another."""
        cut: list[JsonValue] = [[piece.first, piece.last, piece.overlap] for piece in self.cut]
        return {"settings": [dict(self.settings)], "pieces": cut}

    def missing(self, folder: Folder) -> list[int]:
        """The numbers of pieces that are still to be made, for frames that the folder does not have yet."""
        wanted = self._frames_missing(folder)
        return [
            piece.number
            for piece in self.cut
            if any(number in wanted for number in range(piece.first, piece.last))
            and not folder.done(piece.name)
        ]

    def tasks(self, wanted: Sequence[int]) -> Iterator[Task]:
        """The tasks of the numbers `wanted`, which rise, with their frames; the film is read once."""
        frames = enumerate(self.film)
        kept: dict[int, Tensor] = {}
        for piece in (self.cut[number] for number in wanted):
            kept = {number: frame for number, frame in kept.items() if number >= piece.first}
            while piece.last - 1 not in kept:
                number, frame = next(frames)
                if number >= piece.first:
                    kept[number] = frame
            numbers = range(piece.first, piece.last)
            given = tuple(self.open_source.of_the_film(number, kept[number]) for number in numbers)
            yield Task(piece.number, piece.name, self.settings, given)

    def put_together(self, folder: Folder) -> float | None:
        """Make the frames that are missing from their pieces. Gives how unsteady it is where two meet."""
        made = [folder.paths(name)[0] for name in self.names]
        missing = self._frames_missing(folder)
        for number, picture in self.frames(folder, missing):
            begun = time.perf_counter()
            save_picture(picture, made[number], force=True)
            size = made[number].stat().st_size
            folder.record(number, self.names[number], [size], time.perf_counter() - begun)
        unsteady = measure_seams(self.cut, made, self.film) if missing else None
        folder.remove_pieces()
        return unsteady

    def frames(self, folder: Folder, wanted: Collection[int]) -> Iterator[tuple[int, Tensor]]:
        """The frames `wanted` by number, `(3, H, W)` in [0, 1]; each piece goes over into the next."""
        before: list[Path] = []
        for piece, after in zip_longest(self.cut, self.cut[1:]):
            files = folder.paths(piece.name, piece.last - piece.first)
            shared = after.overlap if after else 0
            for at in range(len(files) - shared):
                if piece.first + at not in wanted:
                    continue
                picture = open_picture(files[at])
                if at < piece.overlap:
                    share = (at + 1) / (piece.overlap + 1)
                    picture = open_picture(before[at - piece.overlap]).lerp(picture, share)
                yield piece.first + at, picture
            before = files

    def _frames_missing(self, folder: Folder) -> set[int]:
        return {number for number, name in enumerate(self.names) if not folder.done(name)}


def measure_seams(cut: Sequence[Chunk], made: Sequence[Path], film: Film) -> float | None:
    """How unsteady frames are where two pieces of a shot meet, times what they are a little later.

    1 is a seam that nobody finds. None where there is no seam. The measure is `flicker`.
    """
    wanted: dict[int, bool] = {}  # the numbers of frames, and whether each is at a seam
    met = [piece for piece in cut if piece.overlap][:_MEASURED]
    for piece in met:
        start, end = piece.first, piece.first + piece.overlap + 1
        apart = end - start
        for place, (one, other) in enumerate(((start - 1, end), (end, end + apart + 1))):
            for number in range(max(1, one), min(other, piece.last - 1)):
                wanted.setdefault(number, place == 0)
    if not wanted:
        return None
    at_seams: list[float] = []
    elsewhere: list[float] = []
    last: Tensor | None = None
    for number, original in enumerate(islice(film, max(wanted) + 1)):
        if last is not None and number in wanted:
            pair = [open_picture(made[number - 1]), open_picture(made[number])]
            size = pair[0].shape[1:]
            fitted = [F.interpolate(each[None], size, mode="area")[0] for each in (last, original)]
            (at_seams if wanted[number] else elsewhere).append(flicker(pair, fitted))
        last = original
    if not at_seams or not elsewhere:
        return None
    return (sum(at_seams) / len(at_seams)) / max(sum(elsewhere) / len(elsewhere), 1e-9)
