"""A circuit as a picture: gates on wires, above each wire its value, beneath it its slope."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from lanterna.images.drawing import AMBER, DIM, LIGHT, NIGHT, SHADE, as_picture, font
from lanterna.lessons.lesson import Picture

if TYPE_CHECKING:
    from lanterna.lessons.scalars import Value

_COLUMN, _ROW, _RADIUS = 160, 140, 34  # pixels
_MOST = 8  # columns, and rows, that can still be read


def label(wire: Value, place: int) -> str:
    """What a wire is called: an input by its name, the output of a gate by its place."""
    return wire.name or f"w{place}"


def wiring(output: Value, expression: str) -> list[Picture]:
    """The circuit from left to right as one picture, or as none where it is too large to be read."""
    places = _places(output)
    columns = 1 + max(x for x, _ in places.values())
    rows = 1 + max(y for _, y in places.values())
    if columns > _MOST or rows > _MOST:
        return []
    image = Image.new("RGB", (_COLUMN * columns, int(_ROW * rows)), NIGHT)
    draw = ImageDraw.Draw(image)
    at = {wire: (_COLUMN * (x + 0.5), _ROW * (y + 0.5)) for wire, (x, y) in places.items()}
    for wire in places:
        for each in wire.inputs:
            draw.line((at[each], at[wire]), DIM, 2)
    for place, wire in enumerate(output.wires()):
        x, y = at[wire]
        draw.circle((x, y), _RADIUS, SHADE, DIM, 2)
        gate = wire.made_by.replace("×", "*") or label(wire, place)  # these letters have no ×
        draw.text((x, y), gate, LIGHT, font(24 if len(gate) < 5 else 18), "mm")
        draw.text((x, y - _RADIUS - 5), f"{wire.number:.3g}", LIGHT, font(22), "mb")
        draw.text((x, y + _RADIUS + 5), f"{wire.slope:.3g}", AMBER, font(22), "mt")
    words = "; ".join(
        f"{label(wire, place)}, {wire.made_by or 'input'}: value {wire.number:.4g}, slope {wire.slope:.4g}"
        for place, wire in enumerate(output.wires())
    )
    return [Picture(f"{expression}: values above, slopes beneath", as_picture(image), words)]


def _places(output: Value) -> dict[Value, tuple[int, float]]:
    """Column and row of each wire: a gate right of all of its inputs, and half way between them."""
    places: dict[Value, tuple[int, float]] = {}
    taken: defaultdict[int, list[float]] = defaultdict(list)
    for wire in output.wires():
        if wire.inputs:
            column = 1 + max(places[each][0] for each in wire.inputs)
            row = sum(places[each][1] for each in wire.inputs) / len(wire.inputs)
        else:
            column, row = 0, 0.0
        # Down to where there is room.
        while any(abs(row - other) < 1 for other in taken[column]):
            row += 0.5
        taken[column].append(row)
        places[wire] = (column, row)
    return places
