"""Reading handwriting: from a photographed or drawn page to its digits in reading order.

`lanterna.images.ink` cleans the page and segments it, each segment is normalised to look like the training
digits, and the network reads it. If digits may touch or be broken, the network's scores decide where to cut
or join. What is no digit is a sign or is left out (`symbols.py`), and `layout.py` arranges the text.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, overload

import torch
from pydantic import Field
from torch import Tensor

from lanterna.errors import UsageError
from lanterna.images import open_picture
from lanterna.images.cells import find_tables
from lanterna.images.decoding import open_image
from lanterna.images.digits import mnist
from lanterna.images.ink import WORKING_SIZE, Page, find_drawing, find_ink
from lanterna.images.normalise import Normalised, normalise
from lanterna.images.pictures import select_page
from lanterna.images.segments import ink_levels
from lanterna.images.sheet import find_sheet
from lanterna.networks.digits import CLASSES, SIDE
from lanterna.techniques.read.layout import UNREAD, Item, arrange, number_words
from lanterna.techniques.read.refinement import (
    UPRIGHT,
    ReadSegments,
    SegmentReader,
    digit_probability,
    refine_segments,
    squeezed_patches,
    upright_scores,
)
from lanterna.techniques.read.scorer import Scorer, scorer_for
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

_GOOD = 0.75  # the mean score of digits: below it a sheet is looked for, above it a page is turned
_LIKELY = 0.7  # the mean score of digits: grain scores less
_CLEARLY = 0.08  # how much better the mean score of another way must be
_MANY_POINTS = 12
_SIGN, _SURE_SIGN = 0.8, 0.95  # the probability of a sign that is read, and of one that may be a digit
_ROUND, _FILLED = 1.35, 0.65  # of a dot: its longer side divided by the shorter, and its share of the box
_GRAINS, _TINY = 5, 16  # at least so many segments, and less high in pixels, are grain
_MUCH_LARGER = 5  # than the working size: 60 pixels are 12 there
_ROUGHEST = 0.1  # the noise of paper; photographs of other things have more
_LEAST_SHARE = 0.7  # of the ink on a page with a single digit
_MAX_ASPECT = 0.7  # width divided by height up to which a segment is one digit and not cut
_MAX_ASPECT_ON_PAD = 0.9  # higher, because an unfinished digit scores badly without being two digits


class Read(Settings):
    """Read the handwritten digits on a page, drawn or photographed."""

    verb: ClassVar[str] = "read"

    network: str = Field(default="conv", min_length=1, description="Which trained network to read with.")
    surface: Literal["page", "pad"] = Field(
        default="page",
        description="page: ink on paper; pad: light ink on a black drawing pad.",
    )
    page: int = Field(
        default=1, ge=1, le=10_000, description="Which page of a TIFF of several pages to read."
    )
    cut: bool = Field(default=True, description="Whether to cut touching digits apart.")
    nearest: int = Field(
        default=0,
        ge=0,
        le=100,
        description="How many of the nearest training digits to report for each reading.",
    )


@dataclass(frozen=True)
class Neighbour:
    """A training digit similar to the one read.

    `index` is its index among the 50,000 training digits, `distance` its distance in the space of the
    network's last features, and `image` its picture `(1, 28, 28)`.
    """

    index: int
    label: int
    distance: float
    image: Tensor


@dataclass(frozen=True)
class Reading:
    """One digit that was read.

    `probabilities` are the network's calibrated probabilities of 0 to 9, assuming that it is a digit.
    `confidence` is the probability that it is a digit and read correctly. `box` is x0, y0, x1, y1 in pixels
    of the given picture. `row` is its line of the text, `column` its cell or column in that line. `image`
    `(1, 28, 28)` is the network's input. `neighbours` are the nearest training digits, if requested.
    """

    digit: int
    probabilities: tuple[float, ...]
    confidence: float
    box: tuple[float, float, float, float]
    row: int
    image: Tensor
    column: int = 0
    note: str = ""
    neighbours: tuple[Neighbour, ...] = ()

    @property
    def runner_up(self) -> int:
        """The second most likely digit."""
        return sorted(range(10), key=lambda digit: -self.probabilities[digit])[1]

    @property
    def doubtful(self) -> bool:
        """Whether a person should check it."""
        return self.confidence < _DOUBTFUL


@dataclass(frozen=True)
class Sign:
    """A sign between digits; its `text` is `[?]` if it is not read. The other fields are as in `Reading`."""

    text: str
    box: tuple[float, float, float, float]
    row: int
    column: int = 0


@dataclass(frozen=True)
class ReadPage(Sequence[Reading]):
    """The digits of one page in reading order, with `notes` for the user and all intermediate results.

    `text` has a line for each row, a question mark after each doubtful digit, spaces between words, and tabs
    between columns and the cells of tables.
    """

    readings: tuple[Reading, ...]
    signs: tuple[Sign, ...]
    text: str
    notes: tuple[str, ...]
    page: Page
    segments: tuple[Segment, ...]
    size: tuple[int, int] = (0, 0)

    @overload
    def __getitem__(self, index: int) -> Reading: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Reading]: ...
    def __getitem__(self, index: int | slice) -> Reading | Sequence[Reading]:
        """Return one reading, or several."""
        return self.readings[index]

    def __len__(self) -> int:
        return len(self.readings)

    @cached_property
    def normalised(self) -> Normalised:
        """The digits' normalisation, step by step."""
        return normalise(squeezed_patches(self.segments))

    @property
    def rows(self) -> list[list[Reading]]:
        """The readings, by row."""
        last = self.readings[-1].row + 1 if self.readings else 0
        return [[reading for reading in self.readings if reading.row == row] for row in range(last)]


def read(
    source: Source | Tensor,
    settings: Read | None = None,
    *,
    network: Network | None = None,
    device: str = "auto",
    watch: Callable[[TrainFrame], object] | None = None,
) -> ReadPage:
    """Read the digits on a page.

    `source` is a picture file (path, bytes, stream) or a picture `(3, H, W)` in [0, 1]. By default the
    network named in the settings is used. If it is `conv` or `dense` and does not exist yet, it is trained
    first, which takes seconds; `watch` is called with each frame of that training.

    Errors: `UsageError` if the picture cannot be read; `MissingError` if the network does not exist.
    """
    settings = settings or Read()
    picture, size, count = _load_picture(source, settings.page)
    if network is None:
        network = open_or_train(settings.network, device=device, watch=watch)
    check_reads_digits(network)
    scorer = scorer_for(network.eval())
    pad = settings.surface == "pad"
    page = find_drawing(picture, size) if pad else _upright_page(picture, size, scorer)
    max_aspect = (_MAX_ASPECT_ON_PAD if pad else _MAX_ASPECT) if settings.cut else math.inf
    reader = SegmentReader(scorer)
    segments = refine_segments(page.segments.digits, reader, max_aspect)
    seen = reader(segments)
    marks = [] if pad else page.segments.marks
    if not pad and _is_grain(segments, seen.trust):
        segments, marks, seen = [], [], reader([])
    best = seen.probabilities.argmax(1).tolist()
    texts = list(map(str, best)) if pad else _texts(segments, seen, reader)
    trust = seen.probabilities.amax(1) * seen.similarity if pad else seen.trust
    items = [
        Item(*segment.box, text, n) for n, (segment, text) in enumerate(zip(segments, texts, strict=True))
    ]
    lines = arrange(
        [*items, *_marks(marks, segments, reader)],
        find_tables(page.lines, (page.ink.shape[0], page.ink.shape[1])),
    )
    places = [
        (item, row, column)
        for row, line in enumerate(lines)
        for column, words in enumerate(line.fields)
        for word in words
        for item in word
    ]
    digits = [(item.number, row, column) for item, row, column in places if item.is_digit]
    order = [number for number, _, _ in digits]
    signs_are_fine = torch.tensor([text not in (*"0123456789", UNREAD) for text in texts], dtype=torch.bool)
    page_probability = digit_probability(
        number_words([segment.box for segment in segments]), trust.masked_fill(signs_are_fine, 1)
    )
    certainty = torch.tensor([segment.certainty for segment in segments])
    confidence = trust * page_probability * certainty
    if not pad and not _looks_like_page(page, len(order)):
        confidence = confidence.clamp_max(_DOUBTFUL / 2)
    neighbours = _neighbours(scorer, seen.features[order], settings.nearest)
    readings = tuple(
        Reading(
            digit=best[n],
            probabilities=tuple(seen.probabilities[n].tolist()),
            confidence=float(confidence[n]),
            box=_clip(page.place(segments[n]), size),
            row=row,
            column=column,
            image=seen.images[n],
            note=segments[n].note,
            neighbours=neighbours[place],
        )
        for place, (n, row, column) in enumerate(digits)
    )
    signs = tuple(
        Sign(item.text, _clip(page.place_box(item[:4]), size), row, column)
        for item, row, column in places
        if not item.is_digit
    )
    doubtful = {n for n, reading in zip(order, readings, strict=True) if reading.doubtful}
    text = "\n".join(
        line.text(lambda item: item.text + ("?" if item.number in doubtful else "")) for line in lines
    )
    placed = {item.number for item, _, _ in places}
    left_out = sum(text == UNREAD and n not in placed for n, text in enumerate(texts))
    return ReadPage(
        readings,
        signs,
        text,
        tuple(_notes(page, readings, signs, left_out, (settings.page, count), size)),
        page,
        tuple(segments[n] for n in order),
        size,
    )


def _upright_page(picture: Tensor, size: tuple[int, int], scorer: Scorer) -> Page:
    """Find the ink of a page; if it shows no upright digits, look for a sheet, and turn the page."""
    page = find_ink(picture, size)
    scores = upright_scores(page.segments.digits, scorer)
    if scores[0] > UPRIGHT:
        return page
    corners = find_sheet(picture) if max(scores) < _GOOD else None
    if corners is not None:
        sheet = find_ink(picture, size, corners=corners)
        scores_of_sheet = upright_scores(sheet.segments.digits, scorer)
        if max(scores_of_sheet) > max(max(scores) + _CLEARLY, _LIKELY):
            page, scores = sheet, scores_of_sheet
    turns = scores.index(max(scores))
    if scores[turns] > max(scores[0] + _CLEARLY, _GOOD):
        page = find_ink(picture, size, corners=corners if page.cut_out else None, quarter_turns=turns)
    return page


def _is_grain(segments: Sequence[Segment], trust: Tensor) -> bool:
    """Return whether segments are the grain of an empty picture: many, tiny, and unlike digits."""
    heights = [segment.height for segment in segments]
    return len(segments) >= _GRAINS and statistics.median(heights) < _TINY and float(trust.mean()) < _LIKELY


def _looks_like_page(page: Page, digits: int) -> bool:
    """Return whether a picture may be one of a page: smooth paper, and no single digit among much else."""
    if digits != 1:
        return page.evened.noise < _ROUGHEST
    ink = page.ink.numpy()
    written = ink > ink_levels(ink, page.evened.noise)[1]
    boxes = [segment.box for segment in (*page.segments.digits, *page.segments.marks)]
    found = sum(int(written[y0:y1, x0:x1].sum()) for x0, y0, x1, y1 in boxes)
    return page.evened.noise < _ROUGHEST and found > _LEAST_SHARE * int(written.sum())


def _texts(segments: Sequence[Segment], seen: ReadSegments, reader: SegmentReader) -> list[str]:
    """Return what each segment on a page is read as: a digit, a sign or `[?]`.

    Whatever is drawn on a pad is taken for a digit instead, as an unfinished one looks like none.
    """
    texts = list(map(str, seen.probabilities.argmax(1).tolist()))
    typical = statistics.median([segment.height for segment in segments] or [0])
    # A 1 may be bent like a bracket, but then it is no taller than other digits.
    tall = [segment.height > 1.08 * typical for segment in segments]
    unlike = seen.excluded | (seen.digit < 0.5)
    candidates = [n for n in range(len(segments)) if tall[n] or unlike[n]]
    read = reader([segments[n] for n in candidates], squeeze=False)
    for n, name, share in zip(candidates, read.names, read.sign.tolist(), strict=True):
        tall_bracket = tall[n] and name in "()" and share > _SIGN
        sign = share > _SURE_SIGN and float(seen.digit[n]) < 0.5
        if seen.excluded[n] or sign or tall_bracket:
            equals = _is_equals(segments[n])
            texts[n] = "=" if equals else name if share > _SIGN else UNREAD
    return texts


def _marks(marks: Sequence[Segment], segments: Sequence[Segment], reader: SegmentReader) -> list[Item]:
    """Return the page's small marks; larger ones may be signs, points and dashes depend on their place."""
    typical = statistics.median(segment.height for segment in segments) if segments else 0.0
    small = [mark for mark in marks if max(mark.width, mark.height) < 0.3 * typical]
    if len(small) > max(_MANY_POINTS, len(segments)):  # the dots of dotted paper, or specks
        marks = [mark for mark in marks if max(mark.width, mark.height) >= 0.3 * typical]
    larger = [mark for mark in marks if max(mark.width, mark.height) > 0.4 * typical]
    read = reader(larger, squeeze=False)
    texts = {
        id(mark): name
        for mark, name, share in zip(larger, read.names, read.sign.tolist(), strict=True)
        if share > _SIGN
    }
    return [
        Item(*mark.box, "=" if _is_equals(mark) else texts.get(id(mark), ""), round=_is_round(mark))
        for mark in marks
    ]


def _is_round(mark: Segment) -> bool:
    """Return whether a mark is a dot without a tail: as wide as high, and filled."""
    alike = max(mark.width, mark.height) < _ROUND * min(mark.width, mark.height)
    return alike and float((mark.ink > 0.5).mean()) > _FILLED


def _is_equals(mark: Segment) -> bool:
    """Return whether a mark is two bars, one above the other; they may have been joined as pieces of one."""
    across = (mark.ink > 0.5).mean(1)
    third = len(across) // 3
    if third < 2 or mark.width < 1.2 * mark.height:
        return False
    top, middle, bottom = across[:third].max(), across[third:-third].min(), across[-third:].max()
    return bool(min(top, bottom) > 0.6 and middle < 0.35)


def check_reads_digits(network: Network) -> None:
    """Raise UsageError if the network is not one of digits: 1 × 28 × 28 pixels in, ten classes out."""
    if not network.input_spec.is_of_digits or len(network.classes) != CLASSES:
        spec, classes = network.input_spec, len(network.classes)
        raise UsageError(
            f"{network.name} cannot read digits: expected a network of 1 × {SIDE} × {SIDE} pixels and "
            f"{CLASSES} classes, this one has {spec.channels} × {spec.size} × {spec.size} and {classes}"
        )


def _load_picture(source: Source | Tensor, page: int = 1) -> tuple[Tensor, tuple[int, int], int]:
    """Open a picture at working size; return it, the original's size, and the number of the file's pages."""
    if isinstance(source, Tensor):
        if source.dim() != 3 or source.shape[0] != 3 or 0 in source.shape:
            raise UsageError(f"a picture has the shape (3, height, width), got {tuple(source.shape)}")
        return source.float().cpu(), (source.shape[2], source.shape[1]), 1
    if not isinstance(source, (str, Path, bytes)):
        source = source.read()
    with open_image(source) as file:
        count = select_page(file, page)
        width, height = file.size
        try:
            rotated = file.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
        except Exception:
            rotated = False  # broken EXIF is ignored, as in open_picture
    size = (height, width) if rotated else (width, height)
    return open_picture(source, longest=WORKING_SIZE, page=page), size, count


def _neighbours(scorer: Scorer, features: Tensor, count: int) -> list[tuple[Neighbour, ...]]:
    if not count or not len(features):
        return [()] * len(features)
    indices, distances = scorer.nearest(features, count)
    training = mnist("train")
    return [
        tuple(
            Neighbour(i, int(training.labels[i]), d, training.images[i].float() / 255)
            for i, d in zip(row.tolist(), distances_of_row.tolist(), strict=True)
        )
        for row, distances_of_row in zip(indices, distances, strict=True)
    ]


def _clip(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    width, height = size
    return max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))


def _notes(
    page: Page,
    readings: Sequence[Reading],
    signs: Sequence[Sign],
    left_out: int,
    pages: tuple[int, int],
    size: tuple[int, int],
) -> list[str]:
    notes = []
    number, count = pages
    if count > 1:
        notes.append(f"page {number} of {count} was read: --page chooses another")
    if page.quarter_turns:
        way = {1: "left", 2: "upside down", 3: "right"}[page.quarter_turns]
        notes.append(f"the page was turned {way} to read it")
    if page.cut_out:
        notes.append("a sheet was found in the picture: only what is on it was read")
    if max(size) > _MUCH_LARGER * WORKING_SIZE:
        notes.append(
            f"read at {WORKING_SIZE:,} pixels: cut the picture into parts if small digits are missing"
        )
    if not readings:
        notes.append("no digits were found on this page")
    doubtful = sum(reading.doubtful for reading in readings)
    if doubtful > 0.5 * len(readings):
        notes.append("these may not be digits: most of them do not look like the training digits")
    elif doubtful:
        notes.append(f"{doubtful} of {len(readings)} readings are doubtful")
    if touching := sum(reading.note == "touching" for reading in readings):
        notes.append(f"{touching} digits were touching others: they may have been cut in the wrong place")
    if unread := sum(sign.text == UNREAD for sign in signs):
        notes.append(f"{_count(unread, 'sign')} between digits could not be read: {UNREAD} in the text")
    if left_out:
        notes.append(f"{_count(left_out, 'mark')} that looked like no digit left out")
    if page.segments.dropped:
        notes.append(
            f"{page.segments.dropped} of the smallest marks were not read: there are too many on this page"
        )
    return notes


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)
