"""The cells of tables, forms and sudokus: areas that lines enclose, with their rows and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lanterna.images.components import components
from lanterna.images.segments import number_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanterna.images.lines import Line

Boxes = NDArray[np.float64]

_REDUCTION = 3  # cells are found on a smaller picture
_SMALLEST = 12  # pixels
_FILLED = 0.6  # of its box: a cell in perspective is no rectangle
_FEWEST_SQUARES = 3  # of squared paper, each way
_BEYOND = 0.4  # of a square: how far the lines of squared paper run past the outermost squares
_APART = 0.5  # of a cell's shorter side: cells of one table are closer


class Table(NamedTuple):
    """A table: the `boxes` of its cells `(N, 4)`, x0, y0, x1, y1, and their `rows` and `columns`."""

    boxes: Boxes
    rows: list[int]
    columns: list[int]

    @property
    def shape(self) -> tuple[int, int]:
        """The number of rows and columns."""
        return max(self.rows) + 1, max(self.columns) + 1


def find_tables(lines: Sequence[Line], shape: tuple[int, int]) -> list[Table]:
    """Find tables of two cells or more on a page of `shape` (height, width), from the top down.

    Squared paper is no table: its lines run past its outermost squares to the edge of the paper.
    """
    boxes = _cells(lines, shape)
    tables = []
    for members in _neighbours(boxes):
        own = boxes[members]
        table = Table(own, number_rows(own), number_rows(own[:, [1, 0, 3, 2]]))
        if len(own) > 1 and not _is_squared_paper(table, lines):
            tables.append(table)
    return sorted(tables, key=lambda table: float(table.boxes[:, 1].min()))


def _is_squared_paper(table: Table, lines: Sequence[Line]) -> bool:
    sides = np.median(table.boxes[:, 2:] - table.boxes[:, :2], axis=0)
    if min(table.shape) < _FEWEST_SQUARES or sides.max() > 1.2 * sides.min():
        return False
    first, last = table.boxes[:, :2].min(0), table.boxes[:, 2:].max(0)
    for upright in (False, True):
        along, across = int(upright), int(not upright)
        beyond = [
            max(first[along] - line.start, 0) + max(line.end - last[along], 0)
            for line in lines
            if line.upright == upright and first[across] < line.at.mean() < last[across]
        ]
        if np.median(beyond) > _BEYOND * sides.min():
            return True
    return False


def _cells(lines: Sequence[Line], shape: tuple[int, int]) -> Boxes:
    if not lines:
        return np.zeros((0, 4))
    height, width = (-(-side // _REDUCTION) for side in shape)
    free = np.ones((height, width), bool)
    for line in lines:
        plane = free.T if line.upright else free
        reach = round(line.thick) + 3  # lines that should meet may end a little before
        places = np.arange(line.start - reach, line.end + reach)
        at = line.at[(places - line.start).clip(0, len(line.at) - 1)]
        along, across = (places // _REDUCTION).clip(0, plane.shape[1] - 1), (at / _REDUCTION).astype(int)
        for offset in (0, 1):  # two pixels wide, so that nothing passes between two corners
            plane[(across + offset).clip(0, plane.shape[0] - 1), along] = False
    found = components(free)
    boxes, sides = found.boxes, found.boxes[:, 2:] - found.boxes[:, :2]
    enclosed = (boxes[:, :2] > 0).all(1) & (boxes[:, 2:] < (width, height)).all(1)
    large = (sides * _REDUCTION >= _SMALLEST).all(1)
    filled = found.areas > _FILLED * sides.prod(1)
    cells: Boxes = boxes[enclosed & large & filled].astype(float) * _REDUCTION
    middles = (cells[:, :2] + cells[:, 2:]) / 2
    contains = (cells[:, None, :2] < middles).all(2) & (cells[:, None, 2:] > middles).all(2)
    innermost: Boxes = cells[contains.sum(1) == 1]  # contains only itself
    return innermost


def _neighbours(boxes: Boxes) -> list[NDArray[np.int64]]:
    """Return groups of boxes that are close to each other."""
    if not len(boxes):
        return []
    reach = _APART * (boxes[:, 2:] - boxes[:, :2]).min(1)
    allowed = np.minimum(reach[:, None], reach)
    gaps = np.maximum(boxes[:, None, :2] - boxes[:, 2:], boxes[:, :2] - boxes[:, None, 2:]).max(2)
    groups = np.arange(len(boxes))
    near = gaps < allowed
    while True:
        least = np.where(near, groups, len(boxes)).min(1)
        if (least == groups).all():
            return [np.nonzero(groups == group)[0] for group in np.unique(groups)]
        groups = least
