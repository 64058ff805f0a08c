"""A circuit as a picture: gates on wires, above each wire its value, beneath it its slope."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from lanterna.images.drawing import AMBER, DIM, LIGHT, NIGHT, SHADE, as_picture, font
from lanterna.lessons.lesson import Picture

if TYPE_CHECKING:
    from lanterna.lessons.scalars import Value

_COLUMN, _ROW, _MARGIN, _RADIUS = 190, 110, 60, 32  # pixels
_MOST = 8  # columns, and rows, that can still be read


def label(wire: Value, place: int) -> str:
    """What a wire is called: an input by its name, the output of a gate by its place."""
    return wire.name or f"w{place}"


def wiring(output: Value, expression: str) -> list[Picture]:
    """The circuit from left to right, as a list of one picture; an empty one where it is too large to read."""
    places = _places(output)
    columns = 1 + max(x for x, _ in places.values())
    rows = 1 + max(y for _, y in places.values())
    if columns > _MOST or rows > _MOST:
        return []
    size = (int(_COLUMN * columns + 2 * _MARGIN), int(_ROW * rows + _MARGIN))
    image = Image.new("RGB", size, NIGHT)
    draw = ImageDraw.Draw(image)
    at = {
        wire: (_MARGIN + _RADIUS + _COLUMN * x, (_ROW + _MARGIN) / 2 + _ROW * y)
        for wire, (x, y) in places.items()
    }
    for wire in places:
        for each in wire.inputs:
            draw.line((at[each], at[wire]), DIM, 2)
    x, y = at[output]
    draw.line((x, y, x + 2 * _RADIUS + 70, y), DIM, 2)
    for place, wire in enumerate(output.wires()):
        x, y = at[wire]
        draw.circle((x, y), _RADIUS, SHADE, DIM, 2)
        draw.text((x, y), wire.made_by or label(wire, place), LIGHT, font(19), "mm")
        for number, colour, side in (wire.number, LIGHT, "ls"), (wire.slope, AMBER, "lt"):
            draw.text(
                (x + _RADIUS + 8, y + (-6 if side == "ls" else 8)), f"{number:.3g}", colour, font(20), side
            )
    words = "; ".join(
        f"{label(wire, place)}, {wire.made_by or 'input'}: value {wire.number:.4g}, slope {wire.slope:.4g}"
        for place, wire in enumerate(output.wires())
    )
    return [Picture(f"{expression}: values above, slopes beneath", as_picture(image), words)]


def _places(output: Value) -> dict[Value, tuple[int, float]]:
    """Column and row of each wire: a gate right of all of its inputs, and half way between them."""
    places: dict[Value, tuple[int, float]] = {}
    rows = 0
    taken: defaultdict[int, list[float]] = defaultdict(list)
    for wire in output.wires():
        if wire.inputs:
            column = 1 + max(places[each][0] for each in wire.inputs)
            row = sum(places[each][1] for each in wire.inputs) / len(wire.inputs)
        else:
            column, row = 0, float(rows)
            rows += 1
        while any(abs(row - other) < 1 for other in taken[column]):
            row += 0.5
        taken[column].append(row)
        places[wire] = (column, row)
    return places
