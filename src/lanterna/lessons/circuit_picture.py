"""A circuit as a picture: its gates from left to right, each value above its node, the gradient below."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from lanterna.images.drawing import AMBER, DIM, LIGHT, NIGHT, SHADE, as_picture, font
from lanterna.lessons.lesson import Picture

if TYPE_CHECKING:
    from lanterna.lessons.scalars import Value

_COLUMN, _ROW, _RADIUS = 160, 140, 34  # pixels
_MAX_CELLS = 8  # columns, and rows, that can still be read


def label(value: Value, index: int) -> str:
    """Return the name of a value: an input's own, or the number of the gate that computes it."""
    return value.name or f"w{index}"


def circuit_pictures(output: Value, expression: str) -> list[Picture]:
    """Draw the circuit from left to right. Return one picture, or none if the circuit is too large to
    read.
    """
    cells = _layout(output)
    columns = 1 + max(x for x, _ in cells.values())
    rows = 1 + max(y for _, y in cells.values())
    if columns > _MAX_CELLS or rows > _MAX_CELLS:
        return []
    image = Image.new("RGB", (_COLUMN * columns, int(_ROW * rows)), NIGHT)
    draw = ImageDraw.Draw(image)
    centres = {value: (_COLUMN * (x + 0.5), _ROW * (y + 0.5)) for value, (x, y) in cells.items()}
    for value in cells:
        for source in value.inputs:
            draw.line((centres[source], centres[value]), DIM, 2)
    for index, value in enumerate(output.nodes()):
        x, y = centres[value]
        draw.circle((x, y), _RADIUS, SHADE, DIM, 2)
        sign = value.operation.replace("×", "*") or label(value, index)  # the font has no ×
        draw.text((x, y), sign, LIGHT, font(24 if len(sign) < 5 else 18), "mm")
        draw.text((x, y - _RADIUS - 5), f"{value.data:.3g}", LIGHT, font(22), "mb")
        draw.text((x, y + _RADIUS + 5), f"{value.grad:.3g}", AMBER, font(22), "mt")
    words = "; ".join(
        f"{label(value, index)}, {value.operation or 'input'}: "
        f"value {value.data:.4g}, gradient {value.grad:.4g}"
        for index, value in enumerate(output.nodes())
    )
    return [Picture(f"{expression}: values above, gradients below", as_picture(image), words)]


def _layout(output: Value) -> dict[Value, tuple[int, float]]:
    """Return the column and row of each value: right of all its inputs, and vertically between them."""
    cells: dict[Value, tuple[int, float]] = {}
    taken: defaultdict[int, list[float]] = defaultdict(list)
    for value in output.nodes():
        if value.inputs:
            column = 1 + max(cells[source][0] for source in value.inputs)
            row = sum(cells[source][1] for source in value.inputs) / len(value.inputs)
        else:
            column, row = 0, 0.0
        # Move down until there is room.
        while any(abs(row - other) < 1 for other in taken[column]):
            row += 0.5
        taken[column].append(row)
        cells[value] = (column, row)
    return cells
