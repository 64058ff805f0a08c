"""Straight lines on a page: underlines, frames, tables, forms. They are found, and removed from the ink.

A line is a chain of thin straight pieces. Handwriting has straight strokes too, so a chain is a line only if
it is longer than any digit's stroke, or a side of a rectangle. Where a stroke crosses a line, the stroke
remains: a column of ink is removed only if it is no higher than the line is thick, as in the removal of staff
lines from written music (Dalitz et al. 2008, "A comparative study of staff removal algorithms").
"""

from __future__ import annotations

from itertools import compress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lanterna.images.components import Labels, components

Mask = NDArray[np.bool_]
Lengths = NDArray[np.int16]

_THICKEST = 0.008  # of the longer side
_SHORTEST = 0.012  # of the longer side: shorter pieces of a line are ignored
_LONG = 0.15  # of the longer side: no digit's stroke is as long
_LONGEST_STROKE = 2.3  # digit heights
_STEEPEST = 0.3  # vertical per horizontal
_SQUARE = 0.9  # of a rectangle's side that is straight
_WHOLE = 0.7  # of the connected ink's height and width that a rectangle takes up: the bowl of a 6 is smaller


class Line(NamedTuple):
    """A line: `at[i]` is its centre at column `start + i` (row, if `upright`), `thick` its width."""

    start: int
    at: NDArray[np.float64]
    thick: float
    upright: bool

    @property
    def end(self) -> int:
        """The column (row, if upright) after its last."""
        return self.start + len(self.at)

    def position(self, place: float) -> float:
        """Return its centre at a column (row, if upright), which may be a little beyond its ends."""
        return float(self.at[int(np.clip(round(place) - self.start, 0, len(self.at) - 1))])


def find_lines(mask: Mask) -> list[Line]:
    """Find the lines in a mask of ink `(H, W)`, level ones first."""
    down, across = (np.subtract(*_runs(each)[::-1]) for each in (mask, mask.T))
    level = _straight_strokes(mask, down, across.T, upright=False)
    upright = _straight_strokes(mask.T, across, down.T, upright=True)
    strokes = level + upright
    lengths = np.array([len(stroke.at) for stroke in strokes])
    is_line = lengths >= _LONG * max(mask.shape)
    is_line |= _sides_of_rectangles(level, upright, is_line, mask)
    rest = mask & ~cover_lines(mask, list(compress(strokes, is_line)))
    is_line |= lengths >= _LONGEST_STROKE * _writing_height(rest)
    return list(compress(strokes, is_line))


def cover_lines(mask: Mask, lines: list[Line]) -> Mask:
    """Return the pixels of lines in a mask of ink, without those of strokes that touch or cross them."""
    level = _cover(mask, [line for line in lines if not line.upright])
    return level | _cover((mask & ~level).T, [line for line in lines if line.upright]).T


def _writing_height(mask: Mask) -> float:
    """Return the typical height of what is written, infinite if there is nothing."""
    sides = components(mask).boxes
    width, height = sides[:, 2] - sides[:, 0], sides[:, 3] - sides[:, 1]
    written = (height > 5) & (width < 6 * height)
    heights = np.sort(height[written])
    if not len(heights):
        return float("inf")
    weights = np.cumsum(heights**1.5)
    return float(heights[np.searchsorted(weights, weights[-1] / 2)])


def _runs(mask: Mask) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return the first row, and the row after the last, of the run of ink down each column at each pixel."""
    height = len(mask)
    rows = np.arange(height, dtype=np.int16)[:, None]
    above = np.where(mask, np.int16(-1), rows)  # the last row without ink
    np.maximum.accumulate(above, axis=0, out=above)
    below = np.where(mask, np.int16(height), rows)[::-1]
    below = np.minimum.accumulate(below, axis=0)[::-1]
    return above + 1, below


def _straight_strokes(mask: Mask, high: Lengths, wide: Lengths, *, upright: bool) -> list[Line]:
    """Find the straight strokes along the rows of a mask: thin pieces, linked across what crosses them.

    `high` and `wide` are the lengths of the runs of ink down and across at each pixel.
    """
    longer = max(mask.shape)
    thickest = max(4, round(_THICKEST * longer))
    thin = mask & (high <= thickest) & (high < wide)  # a leaning upright line has short runs both ways
    found = components(thin)
    widths = found.boxes[:, 2] - found.boxes[:, 0]
    shortest = max(8, round(_SHORTEST * longer))
    pieces = []
    for label in np.nonzero(widths >= shortest)[0]:
        x0, y0, x1, y1 = found.boxes[label]
        inside = found.labels[y0:y1, x0:x1] == label + 1
        piece = _piece(inside, int(x0), int(y0), upright)
        if piece is not None:
            pieces.append(piece)
    return _link(pieces, mask)


def _piece(inside: Mask, x0: int, y0: int, upright: bool) -> Line | None:
    """Return a thin component as a piece of a line; None if it is bent, steep or as thick as long."""
    counts = inside.sum(0)
    thick = float(np.median(counts))
    if len(counts) < 3 * thick:
        return None
    centres = (inside * np.arange(len(inside))[:, None]).sum(0) / counts
    x = np.arange(len(counts))
    plain = counts <= 1.5 * thick + 1
    curve = np.polyfit(x[plain], centres[plain], 2 if plain.sum() > 120 else 1)
    off = np.abs(np.polyval(curve, x) - centres)
    plain &= off <= max(1.5, 0.5 * thick)
    if plain.mean() < 0.75:
        return None
    curve = np.polyfit(x[plain], centres[plain], len(curve) - 1)
    at = (np.polyval(curve, x) + y0).astype(np.float64)
    if abs(at[-1] - at[0]) > _STEEPEST * len(at):
        return None
    return Line(x0, at, thick, upright)


def _link(pieces: list[Line], mask: Mask) -> list[Line]:
    """Link pieces that continue each other, across ink that crosses them or a small gap."""
    pieces = sorted(pieces, key=lambda piece: piece.start)
    lines: list[Line] = []
    for piece in pieces:
        best, chosen = np.inf, -1
        for number in range(len(lines) - 1, -1, -1):
            off = _mismatch(lines[number], piece, mask)
            if off < best:
                best, chosen = off, number
        if chosen < 0:
            lines.append(piece)
        else:
            lines[chosen] = _joined(lines[chosen], piece)
    return lines


def _mismatch(line: Line, piece: Line, mask: Mask) -> float:
    """Return by how many pixels a piece misses the continuation of a line; infinite if it is none."""
    gap = piece.start - line.end
    thick = max(line.thick, piece.thick)
    if gap < -thick or gap > 0.06 * mask.shape[1] + 4 * thick or thick > 2.5 * min(line.thick, piece.thick):
        return np.inf
    tail, head = line.at[-60:], piece.at[:60]
    slope = (tail[-1] - tail[0]) / max(len(tail) - 1, 1) if len(tail) > 20 else 0.0
    other = (head[-1] - head[0]) / max(len(head) - 1, 1) if len(head) > 20 else slope
    ahead = line.at[-1] + (slope + other) / 2 * (gap + 1)
    off = abs(ahead - piece.at[0])
    if off > 1.5 + 0.5 * thick + 0.04 * max(gap, 0):
        return np.inf
    if gap > 0:
        xs = np.arange(line.end, piece.start)
        ys = np.rint(np.interp(xs, [line.end - 1, piece.start], [line.at[-1], piece.at[0]])).astype(int)
        blank = int((~mask[ys.clip(0, len(mask) - 1), xs]).sum())
        if blank > max(4.0, 1.2 * thick):
            return np.inf
    return float(off)


def _joined(line: Line, piece: Line) -> Line:
    lengths = np.array([len(line.at), len(piece.at)])
    start, end = line.start, max(line.end, piece.end)
    places = np.concatenate([np.arange(line.start, line.end), np.arange(piece.start, piece.end)])
    values = np.concatenate([line.at, piece.at])
    order = np.argsort(places, kind="stable")
    at = np.interp(np.arange(start, end), places[order], values[order])
    thick = float(np.average([line.thick, piece.thick], weights=lengths))
    return Line(start, at, thick, line.upright)


def _sides_of_rectangles(level: list[Line], upright: list[Line], long: Mask, mask: Mask) -> Mask:
    """Return which strokes, level ones first, are sides of a rectangle: pairs that meet at four corners.

    Short strokes that are only a part of the connected ink in the mask, such as a 6's bowl, are none.
    """
    sides = np.zeros(len(level) + len(upright), bool)
    meets = _meetings(level, upright)
    middles = [line.at.mean() for line in level]
    closed: list[tuple[list[int], float, float]] = []  # rectangles of short strokes: these, width, height
    for first, second in np.argwhere(np.triu(meets.T.astype(np.int32) @ meets, 1) >= 2):
        a, b = upright[first], upright[second]
        crossing = np.nonzero(meets[:, first] & meets[:, second])[0]
        rows = [int(row) for row in crossing if _spans(level[row], a.at.mean(), b.at.mean())]
        if len(rows) < 2:
            continue
        ends = [middles[row] for row in rows]
        width, height, least = abs(a.at.mean() - b.at.mean()), np.ptp(ends), 5 * max(a.thick, b.thick)
        if min(width, height) > least and all(_spans(side, min(ends), max(ends)) for side in (a, b)):
            strokes = [*rows, len(level) + int(first), len(level) + int(second)]
            if long[strokes].any():
                sides[strokes] = True
            else:
                closed.append((strokes, width, height))
    if not closed:
        return sides
    every = level + upright
    ink = components(mask & ~cover_lines(mask, list(compress(every, long))))
    pieces = [_pieces_under(line, ink.labels) for line in every]
    touched = [set().union(*(pieces[stroke] for stroke in strokes)) for strokes, *_ in closed]
    whole = {
        label
        for (_, width, height), labels in zip(closed, touched, strict=True)
        for label in labels
        if width > _WHOLE * np.ptp(ink.boxes[label - 1, ::2])
        and height > _WHOLE * np.ptp(ink.boxes[label - 1, 1::2])
    }
    for (strokes, *_), labels in zip(closed, touched, strict=True):
        sides[strokes] |= labels <= whole
    return sides


def _pieces_under(line: Line, labels: Labels) -> set[int]:
    """Return the labels of the ink under a line, at some places along it."""
    places = np.linspace(0, len(line.at) - 1, 5).round().astype(int)[1:-1]
    along, across = places + line.start, line.at[places].round().astype(int)
    rows, columns = (along, across) if line.upright else (across, along)
    under = labels[rows.clip(0, labels.shape[0] - 1), columns.clip(0, labels.shape[1] - 1)]
    return set(under.tolist()) - {0}


def _spans(line: Line, start: float, end: float) -> bool:
    """Return whether a line reaches from one corner to the other; the corners of an 8 or a 0 are round."""
    start, end = min(start, end), max(start, end)
    return min(line.end, end) - max(line.start, start) > _SQUARE * (end - start) - line.thick


def _meetings(level: list[Line], upright: list[Line]) -> Mask:
    """Return which level lines meet or cross which upright ones, `(L, U)`."""
    if not level or not upright:
        return np.zeros((len(level), len(upright)), bool)
    rows, columns = (np.array([line.at.mean() for line in lines]) for lines in (level, upright))
    x = np.array([[line.position(row) for line in upright] for row in rows])
    y = np.array([[line.position(column) for column in columns] for line in level])
    reach = 3 + np.add.outer([line.thick for line in level], [line.thick for line in upright])
    across, down = (np.array([[line.start, line.end] for line in lines]) for lines in (level, upright))
    inside = (x >= across[:, :1] - reach) & (x <= across[:, 1:] + reach)
    meetings: Mask = inside & (y >= down[:, 0] - reach) & (y <= down[:, 1] + reach)
    return meetings


def _cover(mask: Mask, lines: list[Line]) -> Mask:
    """Return the pixels of lines along the rows of a mask, without the strokes that touch or cross them."""
    covered = np.zeros_like(mask)
    if not lines:
        return covered
    top, bottom = _runs(mask)
    height, width = mask.shape
    for line in lines:
        half = line.thick / 2
        margin = round(half) + 2  # the ends fade
        xs = np.arange(max(line.start - margin, 0), min(line.end + margin, width))
        centres = line.at[(xs - line.start).clip(0, len(line.at) - 1)]
        longest = half + max(2.0, 0.6 * line.thick)  # from the centre; what is longer is a stroke
        reach = int(half + 2.5)
        for offset in range(-reach, reach + 1):
            rows = np.rint(centres).astype(int) + offset
            inside = (rows >= 0) & (rows < height)
            y, x, centre = rows[inside], xs[inside], centres[inside]
            above, below = centre - top[y, x] > longest, bottom[y, x] - 1 - centre > longest
            stroke = mask[y, x] & ((above & below) | (above & (y < centre)) | (below & (y > centre)))
            covered[y[~stroke], x[~stroke]] = True
    return covered
