"""Find possible digits in ink: connected pieces, joined where a digit is broken, and sorted into rows.

Whether a segment is one digit, or several that touch, is for the network to decide: `find_cuts` proposes
where to cut, `merge_segments` undoes a cut.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lanterna.images.components import components

Array = NDArray[np.float32]
Box = tuple[int, int, int, int]

_MAX_PIECES = 40_000  # more than there are digits on a page that a person has written
_LOWEST = 8  # pixels: what is lower is no digit
_SAME_ROW = 0.35  # of the lower box's height: what boxes of one row share at least


@dataclass(frozen=True)
class Segment:
    """A possible digit on the level page: its `box` (x0, y0, x1, y1), its `ink` `(h, w)`, from 0 for paper to
    1 for full ink, its `row`, and a `note` if it was cut from touching digits. `certainty` is the probability
    that it was rightly cut, or rightly left whole.
    """

    box: Box
    ink: Array
    row: int = 0
    note: str = ""
    certainty: float = 1.0

    @property
    def width(self) -> int:
        """The width in pixels."""
        return self.box[2] - self.box[0]

    @property
    def height(self) -> int:
        """The height in pixels."""
        return self.box[3] - self.box[1]


class Segments(NamedTuple):
    """The possible `digits` on a page in reading order, the `marks` that are too small or too flat for one,
    such as points and dashes, and how many pieces of ink were `dropped` because there were too many.
    """

    digits: list[Segment]
    marks: list[Segment]
    dropped: int


class _Piece(NamedTuple):
    box: Box
    ink: Array
    points: NDArray[np.int64]  # a sample of its outline, (P, 2) as x, y
    stroke: float


def ink_levels(ink: Array, noise: float) -> tuple[float, float, float]:
    """Return the page's ink level and two hysteresis thresholds: weak ink counts if it touches strong ink."""
    min_ink = max(4.5 * noise, 0.05)
    strong = ink[ink > min_ink]
    level = float(np.percentile(strong, 85)) if len(strong) else 1.0
    return level, max(0.75 * min_ink, 0.3 * level), max(min_ink, 0.48 * level)


def find_segments(ink: Array, noise: float) -> Segments:
    """Find possible digits on a level page `(H, W)`, with rows numbered from 0."""
    _, weak, strong = ink_levels(ink, noise)
    pieces, dropped = _pieces(ink, weak, strong)
    if not pieces:
        return Segments([], [], dropped)
    tall = _typical_height(pieces)
    joined = [_merge(group) for group in _group(pieces, tall)]
    digits = [segment for segment in joined if _may_be_digit(segment, tall)]
    marks = [segment for segment in joined if _may_be_mark(segment, tall)]
    return Segments(sort_into_rows(digits), marks, dropped)


def _pieces(ink: Array, weak: float, strong: float) -> tuple[list[_Piece], int]:
    """Return the page's pieces of ink, the largest first, and how many more there are."""
    found = components(ink > weak)
    if not len(found.areas):
        return [], 0
    strongest = np.zeros(len(found.areas) + 1, np.float32)
    ys, xs = np.nonzero(found.labels)
    np.maximum.at(strongest, found.labels[ys, xs], ink[ys, xs])
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    min_size = max(5.0, 0.0035 * max(ink.shape))
    valid = (strongest[1:] >= strong) & (sides.max(1) >= min_size) & (found.areas >= min_size)
    candidates = np.nonzero(valid)[0]
    candidates = candidates[np.argsort(-found.areas[candidates], kind="stable")]
    pieces = []
    for label in candidates[:_MAX_PIECES]:
        x0, y0, x1, y1 = (int(v) for v in found.boxes[label])
        mask = found.labels[y0:y1, x0:x1] == label + 1
        piece = _piece(np.where(mask, ink[y0:y1, x0:x1], 0), mask, (x0, y0, x1, y1), weak)
        if piece is not None:
            pieces.append(piece)
    return pieces, max(0, len(candidates) - _MAX_PIECES)


def _piece(ink: Array, mask: NDArray[np.bool_], box: Box, weak: float) -> _Piece | None:
    """Return a component scaled to its own darkness, or None if it is a solid blot."""
    peak = float(np.percentile(ink[mask], 85))
    # A stroke's edge is at half of its own darkness, however light the pencil.
    body = ink > max(0.5 * peak, weak)
    padded = np.pad(body, 1)
    outline = body & ~(padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:])
    ys, xs = np.nonzero(outline)
    if not len(ys):
        return None
    stroke = 2 * float(body.sum()) / len(ys)
    height, width = mask.shape
    # A punched hole, a blot: as thick as it is long, and filled.
    solid = stroke > 0.38 * max(height, width) and body.sum() > 0.6 * height * width
    if solid and max(height, width) > 24 and max(height, width) < 1.8 * min(height, width):
        return None
    step = max(1, len(ys) // 150)
    points = np.stack([xs[::step] + box[0], ys[::step] + box[1]], 1)
    return _Piece(box, np.clip(ink / peak, 0, 1).astype(np.float32), points, stroke)


def _typical_height(pieces: list[_Piece]) -> float:
    """Return the height of the writing: the median of the pieces' heights, weighted by height."""
    heights = np.array([max(p.box[3] - p.box[1], 0.6 * (p.box[2] - p.box[0])) for p in pieces], float)
    order = np.argsort(heights)
    weights = np.cumsum(heights[order] ** 1.5)
    return float(heights[order][np.searchsorted(weights, weights[-1] / 2)])


def _group(pieces: list[_Piece], tall: float) -> list[list[_Piece]]:
    """Group the pieces of broken digits."""
    order = sorted(range(len(pieces)), key=lambda i: -pieces[i].ink.size)
    groups: list[list[_Piece]] = []
    boxes = np.zeros((len(pieces), 4))
    for index in order:
        piece = pieces[index]
        best, host = 1e9, -1
        near = _near(boxes[: len(groups)], piece.box, 0.35 * tall)
        for candidate in near:
            distance = _distance(piece, groups[candidate], boxes[candidate], tall)
            if distance < best:
                best, host = distance, int(candidate)
        if host < 0:
            boxes[len(groups)] = piece.box
            groups.append([piece])
        else:
            groups[host].append(piece)
            x0, y0, x1, y1 = piece.box
            b = boxes[host]
            boxes[host] = (min(b[0], x0), min(b[1], y0), max(b[2], x1), max(b[3], y1))
    return groups


def _near(boxes: NDArray[np.float64], box: Box, reach: float) -> NDArray[np.int64]:
    x0, y0, x1, y1 = box
    close = (boxes[:, 0] < x1 + reach) & (boxes[:, 2] > x0 - reach)
    return np.nonzero(close & (boxes[:, 1] < y1 + reach) & (boxes[:, 3] > y0 - reach))[0]


def _distance(piece: _Piece, group: list[_Piece], box: NDArray[np.float64], tall: float) -> float:
    """Return a piece's distance in pixels to a group; practically infinite if it cannot belong to it."""
    never = 1e9
    x0, y0, x1, y1 = piece.box
    height, width = y1 - y0, x1 - x0
    own_height = box[3] - box[1]
    together_height = max(box[3], y1) - min(box[1], y0)
    together_width = max(box[2], x1) - min(box[0], x0)
    shared = min(box[2], x1) - max(box[0], x0)
    within = x0 >= box[0] - 2 and x1 <= box[2] + 2 and y0 >= box[1] - 2 and y1 <= box[3] + 2
    both_tall = height > 0.7 * tall and own_height > 0.7 * tall
    if both_tall and shared < 0.6 * min(width, box[2] - box[0]):
        return never
    # The bar of a 5 may reach far to the right of its body.
    is_bar = shared > 0.35 * min(width, box[2] - box[0]) and y1 < (box[1] + box[3]) / 2
    widest = (1.5 if is_bar else 1.25) * max(tall, own_height)
    if together_height > 1.35 * max(tall, own_height) or together_width > widest:
        return never
    stroke = max(piece.stroke, group[0].stroke)
    gap = min(_gap(piece.points, other.points) for other in group)
    if _is_dot(piece, stroke):
        limit = 0.9 * stroke if not within else 1.5 * stroke
    elif within or shared > 0.35 * min(width, box[2] - box[0]):
        limit = 0.26 * tall
    else:
        limit = 0.17 * tall
    return gap if gap <= limit + 1.5 else never


def _is_dot(piece: _Piece, stroke: float) -> bool:
    x0, y0, x1, y1 = piece.box
    return max(x1 - x0, y1 - y0) < 1.8 * stroke


def _gap(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    difference = a[:, None, :] - b[None, :, :]
    return float(np.sqrt((difference**2).sum(-1).min()))


def _merge(group: list[_Piece]) -> Segment:
    """Merge the pieces of a broken digit into one segment, with the gaps between them bridged."""
    boxes = np.array([piece.box for piece in group])
    x0, y0 = (int(v) for v in boxes[:, :2].min(0))
    x1, y1 = (int(v) for v in boxes[:, 2:].max(0))
    ink = np.zeros((y1 - y0, x1 - x0), np.float32)
    for number, piece in enumerate(group):
        left, top, right, bottom = piece.box
        part = ink[top - y0 : bottom - y0, left - x0 : right - x0]
        np.maximum(part, piece.ink, out=part)
        if number and not _is_dot(piece, piece.stroke):  # the points of a division sign stay apart
            merged = np.concatenate([other.points for other in group[:number]])
            _bridge(ink, piece, merged, (x0, y0))
    return crop(ink, x0, y0)


def _bridge(ink: Array, piece: _Piece, merged: NDArray[np.int64], origin: tuple[int, int]) -> None:
    """Draw a stroke over the narrowest gap between a piece and the pieces merged before it."""
    difference = piece.points[:, None, :] - merged[None, :, :]
    first, second = np.unravel_index(int((difference**2).sum(-1).argmin()), difference.shape[:2])
    start, end = piece.points[first] - origin, merged[second] - origin
    reach = max(piece.stroke / 2 - 0.5, 0.5)
    ys, xs = np.mgrid[: ink.shape[0], : ink.shape[1]]
    along = (end - start).astype(float)
    share = ((xs - start[0]) * along[0] + (ys - start[1]) * along[1]) / max(float(along @ along), 1e-6)
    share = share.clip(0, 1)
    distance = np.hypot(xs - start[0] - share * along[0], ys - start[1] - share * along[1])
    np.maximum(ink, np.clip(reach - distance + 0.5, 0, 1), out=ink, casting="same_kind")


def crop(ink: Array, x0: int, y0: int) -> Segment:
    """Crop a segment to its ink above half strength."""
    ys, xs = np.nonzero(ink > 0.5)
    if not len(ys):
        return Segment((x0, y0, x0 + ink.shape[1], y0 + ink.shape[0]), ink)
    top, bottom, left, right = int(ys.min()), int(ys.max()) + 1, int(xs.min()), int(xs.max()) + 1
    return Segment((x0 + left, y0 + top, x0 + right, y0 + bottom), ink[top:bottom, left:right])


def _may_be_digit(segment: Segment, tall: float) -> bool:
    """Return whether a segment is neither a speck nor a dash, a line or a frame."""
    height, width = segment.height, segment.width
    speck = height < max(0.38 * tall, _LOWEST)
    dash = width > 2.2 * height and height < 0.5 * tall
    line = max(height, width) > 12 * min(height, width) and max(height, width) > 1.9 * tall
    frame = height > 3.2 * tall or width > 9 * max(tall, height)
    return not (speck or dash or line or frame)


def _may_be_mark(segment: Segment, tall: float) -> bool:
    """Return whether a segment that is no digit is as large as a point, and no larger than a dash."""
    return max(segment.height, 0.3 * segment.width) < 0.45 * tall and not _may_be_digit(segment, tall)


def sort_into_rows(segments: list[Segment]) -> list[Segment]:
    """Sort segments into reading order, and number their rows from the top."""
    numbers = number_rows(np.array([segment.box for segment in segments], float).reshape(-1, 4))
    order = sorted(range(len(segments)), key=lambda index: (numbers[index], segments[index].box[0]))
    return [replace(segments[index], row=numbers[index]) for index in order]


def number_rows(boxes: NDArray[np.float64]) -> list[int]:
    """Return the number of each box's row from the top; boxes are `(N, 4)`: x0, y0, x1, y1.

    From left to right, a box joins the row that it shares the largest part of its height with, or of its
    neighbour's height.
    """
    rows: list[list[int]] = []
    last = np.zeros((len(boxes), 2), np.int64)  # the last two boxes of each row
    heights = boxes[:, 3] - boxes[:, 1]
    for index in np.argsort(boxes[:, 0], kind="stable").tolist():
        near = last[: len(rows)]
        shared = np.minimum(boxes[near, 3], boxes[index, 3]) - np.maximum(boxes[near, 1], boxes[index, 1])
        shares = (shared / np.minimum(heights[near], heights[index]).clip(1)).max(1)
        chosen = int(shares.argmax()) if len(rows) else 0
        if len(rows) and shares[chosen] > _SAME_ROW:
            rows[chosen].append(index)
            last[chosen] = last[chosen, 1], index
        else:
            last[len(rows)] = index
            rows.append([index])
    rows.sort(key=lambda row: float(boxes[row, 1::2].mean()))
    numbers = [0] * len(boxes)
    for number, row in enumerate(rows):
        for index in row:
            numbers[index] = number
    return numbers


def find_cuts(segment: Segment) -> list[tuple[Segment, Segment]]:
    """Return the likeliest ways to cut a segment into left and right, in case it is two touching digits.

    Each cut follows a seam from top to bottom that crosses the least ink and may slant like handwriting
    (seams as in Avidan and Shamir 2007, "Seam carving for content-aware image resizing").
    """
    height, width = segment.ink.shape
    if width < 8 or height < 8:
        return []
    profile = (segment.ink > 0.5).sum(0).astype(float)
    smooth = np.convolve(np.pad(profile, 1, mode="edge"), (0.25, 0.5, 0.25), mode="valid")
    cuts: list[tuple[Segment, Segment]] = []
    seams: list[NDArray[np.int64]] = []
    # Free seams find gaps between slanted digits; nearly straight ones cut through merged strokes.
    reaches = np.repeat([max(3.0, 0.2 * height), max(3.0, 0.06 * height)], 9)
    for seam in _find_seams(segment.ink, np.tile(np.linspace(0.25, 0.75, 9) * width, 2), reaches):
        if all(float(np.abs(seam - other).mean()) > 0.03 * width for other in seams):
            seams.append(seam)
    inner = range(max(2, round(0.18 * width)), min(width - 2, round(0.82 * width)))
    seams.extend(np.full(height, column) for column in sorted(inner, key=lambda c: smooth[c])[:1])
    for seam in seams:
        is_left = np.arange(width)[None, :] < seam[:, None]
        parts = (np.where(is_left, segment.ink, 0), np.where(is_left, 0, segment.ink))
        if all((part > 0.5).any() for part in parts):
            left, right = (crop(_without_scraps(part), segment.box[0], segment.box[1]) for part in parts)
            cuts.append((replace(left, row=segment.row), replace(right, row=segment.row)))
    return cuts


def _without_scraps(ink: Array) -> Array:
    """Remove the scraps of the neighbouring digit that a cut left on this side."""
    found = components(ink > 0.3)
    scraps = np.nonzero(found.areas < 0.12 * found.areas.sum())[0] + 1
    return np.where(np.isin(found.labels, scraps), 0, ink) if len(scraps) else ink


def _find_seams(ink: Array, centres: NDArray[np.float64], reaches: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return, for every centre `(S,)`, the column of the seam near it at each row, `(S, H)`.

    The seams cross the least ink; all are found together by dynamic programming, row by row.
    """
    height, width = ink.shape
    distance = np.abs(np.arange(width) - centres[:, None])
    reach = reaches[:, None]
    penalty = (0.02 * distance / reach + np.where(distance > reach, 50.0, 0.0)).astype(np.float32)
    total = np.full((height, len(centres), width + 2), 1e9, np.float32)  # padded by a column on either side
    total[0, :, 1:-1] = ink[0] + penalty
    for row in range(1, height):
        above = total[row - 1]
        sideways = np.minimum(above[:, :-2], above[:, 2:]) + np.float32(0.02)
        total[row, :, 1:-1] = ink[row] + penalty + np.minimum(above[:, 1:-1], sideways)
    seams = np.empty((height, len(centres)), np.int64)
    seams[-1] = total[-1, :, 1:-1].argmin(1)
    for row in range(height - 2, -1, -1):
        near = seams[row + 1][:, None] + np.arange(3)  # the column and its neighbours, in padded columns
        seams[row] = seams[row + 1] - 1 + np.take_along_axis(total[row], near, 1).argmin(1)
    return seams.T


def merge_segments(a: Segment, b: Segment) -> Segment:
    """Merge two segments into one."""
    x0, y0 = min(a.box[0], b.box[0]), min(a.box[1], b.box[1])
    x1, y1 = max(a.box[2], b.box[2]), max(a.box[3], b.box[3])
    ink = np.zeros((y1 - y0, x1 - x0), np.float32)
    for segment in (a, b):
        left, top = segment.box[0] - x0, segment.box[1] - y0
        part = ink[top : top + segment.height, left : left + segment.width]
        np.maximum(part, segment.ink, out=part)
    return Segment((x0, y0, x1, y1), ink, a.row)
