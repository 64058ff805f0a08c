"""Reading handwriting: a page, photographed or drawn, to its digits in reading order.

The page is cleaned and cut into pieces by `lanterna.images.ink`, each piece is made to look as the training
digits do, and the network reads it. Where two digits touch or one is in pieces, the network's own judgement
decides between the ways to cut or join.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, overload

import torch
from pydantic import Field
from torch import Tensor

from lanterna.errors import UsageError
from lanterna.images import open_picture
from lanterna.images.decoding import open_image
from lanterna.images.digits import mnist
from lanterna.images.ink import WORKING_SIZE, Page, find_drawing, find_ink
from lanterna.images.normalise import Normalised, normalise
from lanterna.techniques.read.choosing import choose_pieces, digit_page_odds
from lanterna.techniques.read.scorer import Scorer, scorer_of
from lanterna.techniques.technique import Settings
from lanterna.techniques.train.technique import open_or_train

if TYPE_CHECKING:
    from collections.abc import Callable

    from lanterna.images.decoding import Source
    from lanterna.images.segments import Segment
    from lanterna.networks.network import Network
    from lanterna.techniques.train.algorithm import TrainFrame

_ORIENTATION = 274  # the EXIF tag
_DOUBTFUL = 0.6
_SLIM = 0.7  # times as wide as high: what is less is one digit and not cut
_WIDE = 0.9  # on a pad: a digit that is not finished yet reads badly, and is no two digits for that


class Read(Settings):
    """Read the handwritten digits on a page, drawn or photographed."""

    verb: ClassVar[str] = "read"

    network: str = Field(default="conv", min_length=1, description="Which trained network reads.")
    surface: Literal["page", "pad"] = Field(
        default="page",
        description="page, on which ink is told from paper, or pad: light ink on black, as a pad gives it.",
    )
    cut: bool = Field(default=True, description="Cut digits that touch apart.")
    nearest: int = Field(
        default=0,
        ge=0,
        le=100,
        description="How many of the nearest training digits to give with each reading.",
    )


@dataclass(frozen=True)
class Neighbour:
    """A training digit that the network sees as much the same: its place among the 50,000, its label, its
    distance in the network's last features, and its picture `(1, 28, 28)`.
    """

    index: int
    label: int
    distance: float
    image: Tensor


@dataclass(frozen=True)
class Reading:
    """One digit that was read.

    `probabilities` are the network's for 0 to 9, calibrated, if it is a digit at all; `confidence` is the
    chance that it is a digit and read right; `box` is x0, y0, x1, y1 in pixels of the picture given; `image`
    `(1, 28, 28)` is what the network saw. `why` holds the nearest training digits where they were asked for.
    """

    digit: int
    probabilities: tuple[float, ...]
    confidence: float
    box: tuple[float, float, float, float]
    row: int
    image: Tensor
    note: str = ""
    why: tuple[Neighbour, ...] = ()

    @property
    def runner_up(self) -> int:
        """The second likeliest digit."""
        return sorted(range(10), key=lambda digit: -self.probabilities[digit])[1]

    @property
    def doubtful(self) -> bool:
        """Whether it is better looked at by a person."""
        return self.confidence < _DOUBTFUL


@dataclass(frozen=True)
class ReadPage(Sequence[Reading]):
    """The digits of one page in reading order; `notes` in words; and every step that led to them."""

    readings: tuple[Reading, ...]
    notes: tuple[str, ...]
    page: Page
    segments: tuple[Segment, ...]
    seen: Normalised
    size: tuple[int, int] = field(default=(0, 0))

    @overload
    def __getitem__(self, index: int) -> Reading: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Reading]: ...
    def __getitem__(self, index: int | slice) -> Reading | Sequence[Reading]:
        """One reading, or several."""
        return self.readings[index]

    def __len__(self) -> int:
        return len(self.readings)

    @property
    def rows(self) -> list[list[Reading]]:
        """The readings row by row."""
        last = self.readings[-1].row + 1 if self.readings else 0
        return [[reading for reading in self.readings if reading.row == row] for row in range(last)]

    @property
    def text(self) -> str:
        """The page as written: a line for each row, a question mark after a doubtful digit."""
        return "\n".join("".join(f"{r.digit}{'?' if r.doubtful else ''}" for r in row) for row in self.rows)


def read(
    source: Source | Tensor,
    settings: Read | None = None,
    *,
    network: Network | None = None,
    device: str = "auto",
    watch: Callable[[TrainFrame], object] | None = None,
) -> ReadPage:
    """Read the digits on a page.

    `source` is a picture file (path, bytes, stream) or a picture `(3, H, W)` in [0, 1]. `network` is used
    where given, else the trained network that the settings name; where none was trained yet, the fast one is
    trained first, which takes seconds; `watch` is called with each frame of that.

    Errors: `UsageError` where the picture cannot be read; `MissingError` where the network cannot be had.
    """
    settings = settings or Read()
    picture, size = _picture(source)
    if network is None:
        network = open_or_train(settings.network, device=device, watch=watch)
    check_reads_digits(network)
    judge = scorer_of(network.eval())
    pad = settings.surface == "pad"
    page = find_drawing(picture, size) if pad else find_ink(picture, size)
    least = (_WIDE if pad else _SLIM) if settings.cut else math.inf
    segments = choose_pieces(page.segments, judge, least)
    seen = normalise([torch.from_numpy(segment.ink) for segment in segments])
    judged = judge(seen.images)
    best = judged.probabilities.max(1)
    odds = digit_page_odds(segments, best.values * judged.likeness)
    confidence = best.values * judged.likeness * odds
    neighbours = _neighbours(judge, judged.features, settings.nearest)
    readings = tuple(
        Reading(
            digit=int(best.indices[n]),
            probabilities=tuple(judged.probabilities[n].tolist()),
            confidence=float(confidence[n]),
            box=_within(page.place(segment), size),
            row=segment.row,
            image=seen.images[n],
            note=segment.note,
            why=neighbours[n],
        )
        for n, segment in enumerate(segments)
    )
    return ReadPage(readings, tuple(_notes(readings)), page, tuple(segments), seen, size)


def check_reads_digits(network: Network) -> None:
    """Errors: `UsageError` for a network that names photographs."""
    if network.input_spec.channels != 1:
        raise UsageError(f"{network.name} names photographs and reads no digits: use conv or dense")


def _picture(source: Source | Tensor) -> tuple[Tensor, tuple[int, int]]:
    """A picture at working size, and the width and height of the original."""
    if isinstance(source, Tensor):
        if source.dim() != 3 or source.shape[0] != 3 or 0 in source.shape:
            raise UsageError(f"a picture has the shape (3, height, width), got {tuple(source.shape)}")
        return source.float().cpu(), (source.shape[2], source.shape[1])
    if not isinstance(source, (str, Path, bytes)):
        source = source.read()
    with open_image(source) as file:
        width, height = file.size
        try:
            on_its_side = file.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
        except Exception:
            on_its_side = False  # broken EXIF is ignored, as it is where the picture is opened
    return open_picture(source, longest=WORKING_SIZE), (height, width) if on_its_side else (width, height)


def _neighbours(judge: Scorer, features: Tensor, count: int) -> list[tuple[Neighbour, ...]]:
    if not count or not len(features):
        return [()] * len(features)
    indices, distances = judge.nearest(features, count)
    training = mnist("train")
    return [
        tuple(
            Neighbour(i, int(training.labels[i]), d, training.images[i].float() / 255)
            for i, d in zip(row.tolist(), far.tolist(), strict=True)
        )
        for row, far in zip(indices, distances, strict=True)
    ]


def _within(
    box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    width, height = size
    return max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))


def _notes(readings: Sequence[Reading]) -> list[str]:
    if not readings:
        return ["no digits were found on this page"]
    doubtful = sum(reading.doubtful for reading in readings)
    notes = []
    if doubtful > 0.5 * len(readings):
        notes.append(
            "these may not be digits: most of what was found does not look like the digits of training"
        )
    elif doubtful:
        notes.append(f"{doubtful} of {len(readings)} readings are doubtful")
    if touching := sum(reading.note == "touching" for reading in readings):
        notes.append(f"{touching} digits touch another: where to cut them apart is a guess")
    return notes
