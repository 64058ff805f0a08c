"""The layout of a page: rows, words, columns and the cells of tables, and the signs between digits.

All boxes are in pixels of the levelled page. A point or a dash is recognised by its place and proportions,
other signs by the symbol network (`symbols.py`).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lanterna.images.segments import number_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lanterna.images.cells import Table
    from lanterna.images.segments import Box

UNREAD = "[?]"
"""The text of a sign that is not read."""

# In digit heights:
_SPACE, _COLUMN = 0.75, 2.4  # the gaps between words, and between columns
_AROUND = 3.0  # the reach within which digits are of one size
_NEAR, _FAR = 1.3, 2.4  # the gap between a speck, or a sign, and the digits that it belongs to
_POINT, _DASH = 0.33, 0.3  # the size of a point, and the height of a dash
_WIDER = 2.0  # a space is wider than the typical gap, however widely a hand writes


class Item(NamedTuple):
    """Something on the page: its box, its text, empty for a small mark that is still to be interpreted, the
    number of the segment that it was read from, -1 if from several, and whether a mark is a round dot.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    text: str = ""
    number: int = -1
    round: bool = False

    @property
    def high(self) -> float:
        """The height in pixels."""
        return self.y1 - self.y0

    @property
    def wide(self) -> float:
        """The width in pixels."""
        return self.x1 - self.x0

    @property
    def is_digit(self) -> bool:
        """Whether it was read as a digit."""
        return self.text.isdigit()


Word = list[Item]
Field = list[Word]


class Line(NamedTuple):
    """A line of the page: its `fields` are the cells of a table's row, or what wide gaps separate."""

    fields: list[Field]
    middle: float

    def text(self, shown: Callable[[Item], str]) -> str:
        """Return the line as text: words separated by spaces, fields by tabs."""
        words = [["".join(map(shown, word)) for word in field] for field in self.fields]
        return "\t".join(" ".join(field) for field in words)


def arrange(items: Sequence[Item], tables: Sequence[Table]) -> list[Line]:
    """Arrange items into the lines of the page, from the top. Marks that are near no digit are left out."""
    lines = []
    outside = list(items)
    cells_of = []
    for table in tables:
        inside, outside = _cells(outside, table)
        cells_of.append(inside)
    gap = typical_gap(outside, *(cell for inside in cells_of for cell in inside))
    for table, inside in zip(tables, cells_of, strict=True):
        if not any(item.is_digit for cell in inside for item in cell):
            continue
        rows, columns = table.shape
        grid: list[list[Field]] = [[[] for _ in range(columns)] for _ in range(rows)]
        for cell, row, column in zip(inside, table.rows, table.columns, strict=True):
            signs = [[item] for item in cell if item.text and item.text in "+×÷="]  # a cell of its own
            rows_of_cell = [_words(each, gap) for each in _rows(cell)] or [signs]
            grid[row][column] += [word for words in rows_of_cell for word in words]
        of_row = np.array(table.rows)
        lines += [
            Line(fields, float(table.boxes[of_row == row, 1::2].mean())) for row, fields in enumerate(grid)
        ]
    lines += _align([_fields(_words(row, gap)) for row in _rows(outside)])
    return sorted(lines, key=lambda line: line.middle)


def number_words(boxes: Sequence[Box]) -> list[int]:
    """Return the number of the word that each box belongs to."""
    items = [Item(*box, "0", number) for number, box in enumerate(boxes)]
    gap = typical_gap(items)
    numbers = [0] * len(items)
    words = [word for row in _digit_rows(items) for word in _words(row, gap)]
    for place, word in enumerate(words):
        for item in word:
            numbers[item.number] = place
    return numbers


def typical_gap(*groups: Sequence[Item]) -> float:
    """Return the median gap between neighbouring digits of the same group, in digit heights.

    It is at most half of the gap between columns, so that columns are never taken for a wide hand.
    """
    rows = [row for items in groups for row in _digit_rows([item for item in items if item.is_digit])]
    gaps = [gap for row in rows for gap in _gaps(row)]
    return min(float(np.median(gaps)), _COLUMN / _WIDER) if len(gaps) > 3 else 0.0


def _gaps(row: Sequence[Item]) -> list[float]:
    return [(b.x0 - a.x1) / max(a.high, b.high) for a, b in pairwise(row)]


def _boxes(items: Sequence[Item]) -> np.ndarray:
    return np.array([item[:4] for item in items], float).reshape(-1, 4)


def _digit_rows(digits: Sequence[Item]) -> list[list[Item]]:
    numbers = number_rows(_boxes(digits))
    rows: list[list[Item]] = [[] for _ in range(max(numbers, default=-1) + 1)]
    for digit, number in zip(digits, numbers, strict=True):
        rows[number].append(digit)
    return [sorted(row, key=lambda item: item.x0) for row in rows]


def _cells(items: Iterable[Item], table: Table) -> tuple[list[list[Item]], list[Item]]:
    """Sort items into the cells of a table by their centres; return also those outside."""
    inside: list[list[Item]] = [[] for _ in table.boxes]
    outside: list[Item] = []
    x0, y0, x1, y1 = table.boxes.T
    for item in items:
        x, y = (item.x0 + item.x1) / 2, (item.y0 + item.y1) / 2
        hits = np.nonzero((x0 <= x) & (x < x1) & (y0 <= y) & (y < y1))[0]
        (inside[int(hits[0])] if len(hits) else outside).append(item)
    return inside, outside


def _rows(items: Sequence[Item]) -> list[list[Item]]:
    """Sort items into rows of digits, with the signs that belong to them."""
    rows = _digit_rows([item for item in items if item.is_digit])
    if not rows:
        return []
    rows, commas = _without_commas(rows)
    digits = [(digit, place) for place, row in enumerate(rows) for digit in row]
    boxes, places = _boxes([digit for digit, _ in digits]), [place for _, place in digits]
    marks: list[list[Item]] = [[] for _ in rows]
    for item in [*(item for item in items if not item.is_digit), *commas]:
        across = np.maximum(boxes[:, 0] - item.x1, item.x0 - boxes[:, 2]).clip(0)
        high, middle = boxes[:, 3] - boxes[:, 1], (item.y0 + item.y1) / 2
        level = (middle > boxes[:, 1] - 0.3 * high) & (middle < boxes[:, 3] + 0.35 * high)
        is_sign = item.text not in ("", UNREAD) or item.wide > 1.3 * item.high  # the others may be specks
        allowed = np.where(level & (across < (_FAR if is_sign else _NEAR) * high), across, np.inf)
        if np.isfinite(allowed).any():
            marks[places[int(allowed.argmin())]].append(item)
    return [_interpret(row, of_row) for row, of_row in zip(rows, marks, strict=True)]


def _without_commas(rows: list[list[Item]]) -> tuple[list[list[Item]], list[Item]]:
    """Return the rows without ones that are less than half as high as the digits around them, and those."""
    digits, commas = [], []
    for row in rows:
        typical = float(np.median([item.high for item in row]))
        small = [item for item in row if item.text == "1" and item.high < 0.5 * typical]
        digits.append([item for item in row if item not in small])
        commas += [item._replace(text="") for item in small]
    return digits, commas


def _interpret(digits: list[Item], marks: list[Item]) -> list[Item]:
    """Return a row with its marks interpreted as signs, from left to right."""
    digits = _slashes(digits)
    row = digits + [mark for mark in marks if mark.text]
    points, dashes = [], []
    for mark in marks:
        near = min(digits, key=lambda digit: max(digit.x0 - mark.x1, mark.x0 - digit.x1))
        high = near.high
        on_digit = any(d.x0 + 0.1 * d.wide < (mark.x0 + mark.x1) / 2 < d.x1 - 0.1 * d.wide for d in digits)
        if mark.text or on_digit:
            continue
        place = ((mark.y0 + mark.y1) / 2 - near.y0) / high
        short_dash = mark.wide > 1.3 * mark.high and 0.35 < place < 0.65
        if max(mark.wide, mark.high) < _POINT * high and mark.wide < 2 * mark.high and not short_dash:
            points.append((mark, near))
        elif mark.wide > 1.3 * mark.high and mark.high < 0.5 * high and mark.wide < 1.5 * high:
            dashes.append((mark, near))
        elif mark.high < 0.6 * high and mark.wide < _POINT * high:
            points.append((mark, near))
        else:
            row.append(mark._replace(text=UNREAD))
    while dashes:
        mark, near = dashes.pop()
        over = [point for point in points if _above(point[0], mark) and _is_close(point[0], mark, near.high)]
        under = [point for point in points if _above(mark, point[0]) and _is_close(point[0], mark, near.high)]
        twin = [dash for dash in dashes if _is_close(dash[0], mark, near.high)]
        place = ((mark.y0 + mark.y1) / 2 - near.y0) / near.high
        if over and under:
            points = [point for point in points if point not in (over[0], under[0])]
            row.append(_united("÷", mark, over[0][0], under[0][0]))
        elif twin:
            dashes.remove(twin[0])
            row.append(_united("=", mark, twin[0][0]))
        elif mark.high > _DASH * high:  # a dash that has grown together with one of its points
            row.append(mark._replace(text="÷" if over or under else UNREAD))
            points = [point for point in points if point not in over + under]
        elif 0.2 < place < 0.8:  # lower down it is what is left of an underline
            row.append(mark._replace(text="-"))
    while points:
        mark, near = points.pop()
        twin = [point for point in points if _is_close(point[0], mark, near.high)]
        place = ((mark.y0 + mark.y1) / 2 - near.y0) / near.high
        if twin:
            points.remove(twin[0])
            row.append(_united(":", mark, twin[0][0]))
        elif place > 0.68:
            low = mark.y1 > near.y1 + 0.1 * near.high
            tail = mark.high > 1.4 * mark.wide or (low and not mark.round)
            row.append(mark._replace(text="," if tail else "."))
    return sorted(row, key=lambda item: item.x0)


def _slashes(digits: list[Item]) -> list[Item]:
    """Replace ones that lean and are longer than the digits around them by slashes."""

    def is_slash(one: Item) -> bool:
        near = [
            digit.high
            for digit in digits
            if digit.text != "1" and max(digit.x0 - one.x1, one.x0 - digit.x1) < _AROUND * one.high
        ]
        leans = one.text == "1" and one.wide > 0.3 * one.high
        return leans and bool(near) and one.high > 1.17 * float(np.median(near))

    return [digit._replace(text="/") if is_slash(digit) else digit for digit in digits]


def _above(a: Item, b: Item) -> bool:
    return (a.y0 + a.y1) < (b.y0 + b.y1)


def _is_close(a: Item, b: Item, high: float) -> bool:
    """Return whether two marks are one above the other and belong to one sign."""
    sideways = abs(a.x0 + a.x1 - b.x0 - b.x1) / 2
    down = abs(a.y0 + a.y1 - b.y0 - b.y1) / 2
    return sideways < max(0.2 * high, 0.35 * min(a.wide, b.wide)) and 0.1 * high < down < 0.7 * high


def _united(text: str, *parts: Item) -> Item:
    x0, y0 = _boxes(parts)[:, :2].min(0).tolist()
    x1, y1 = _boxes(parts)[:, 2:].max(0).tolist()
    return Item(x0, y0, x1, y1, text)


def _words(row: Sequence[Item], gap: float) -> list[Word]:
    """Divide a row at the gaps between words."""
    if not row:
        return []
    high = float(np.median([item.high for item in row if item.is_digit] or [row[0].high]))
    own = _gaps([item for item in row if item.is_digit])
    if len(own) > 3:  # a heading may be written more narrowly than digits in boxes
        gap = min(gap, float(np.median(own)))
    least = max(_SPACE, _WIDER * gap) * high
    words = [[row[0]]]
    for before, item in pairwise(row):
        if item.x0 - before.x1 > least:
            words.append([])
        if not (words[-1] and item.text == words[-1][-1].text == UNREAD):  # one for a full word of letters
            words[-1].append(item)
    return words


def _fields(words: list[Word]) -> list[Field]:
    """Divide a line at the gaps between columns."""
    fields = [[words[0]]]
    for before, word in pairwise(words):
        high = float(np.median([item.high for item in (*before, *word)]))
        if word[0].x0 - before[-1].x1 > _COLUMN * high:
            fields.append([])
        fields[-1].append(word)
    return fields


def _align(lines: list[list[Field]]) -> list[Line]:
    """Give the fields of lines that are divided alike the same column; a missing one is empty.

    Lines above the first that is divided are headings, and have no columns.
    """
    first = next((number for number, line in enumerate(lines) if len(line) > 1), len(lines))
    headings, lines = lines[:first], lines[first:]
    spans = [_united("", *(item for word in field for item in word)) for line in lines for field in line]
    middles = [_middle(line) for line in lines]
    above = [Line(line, _middle(line)) for line in headings]
    several = sum(len(line) > 1 for line in lines)
    numbers = iter(number_rows(_boxes(spans)[:, [1, 0, 3, 2]]) if several > 1 else [])
    columns = [[next(numbers) for _ in line] for line in lines] if several > 1 else []
    if not columns or any(len(set(line)) < len(line) for line in columns):
        return above + [Line(line, middle) for line, middle in zip(lines, middles, strict=True)]
    count = max(max(line) for line in columns) + 1
    aligned = above
    for line, of_line, middle in zip(lines, columns, middles, strict=True):
        fields: list[Field] = [[] for _ in range(count)]
        for field, column in zip(line, of_line, strict=True):
            fields[column] = field
        aligned.append(Line(fields, middle))
    return aligned


def _middle(line: list[Field]) -> float:
    return float(_boxes([item for field in line for word in field for item in word])[:, 1::2].mean())
