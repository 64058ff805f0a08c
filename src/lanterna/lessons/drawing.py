"""A lesson's charts as one picture, in Lanterna's colours."""

from __future__ import annotations

import math
import textwrap
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from lanterna.images.drawing import (
    AMBER,
    BLUE,
    DIM,
    LIGHT,
    NIGHT,
    SHADE,
    as_image,
    as_picture,
    font,
    truncate,
)
from lanterna.lessons.axis import Axis
from lanterna.lessons.lesson import Chart, Picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from lanterna.images.drawing import Colour
    from lanterna.lessons.lesson import Lesson, Line, Outcome

# In pixels: a chart's size, the margins around and between charts, and the height of a line of text.
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _GAP, _ABOVE, _BELOW, _LINE = 800, 600, 135, 45, 150, 65, 110, 31
_PIXELS = 200  # a smaller picture is enlarged without smoothing
_OVERSAMPLING = 3  # so that the edges of lines are smooth
_SAMPLE, _SPACE = 40, 30  # pixels: a legend's line sample, and the space between two entries
_GRID: Colour = (43, 47, 58)
_COLOURS = (AMBER, BLUE, LIGHT, (127, 209, 164), (227, 138, 196), (185, 164, 255))


def draw(lesson: Lesson, outcome: Outcome, *, words: bool = True) -> Tensor:
    """Draw the question, the charts side by side and the finding below them, as `(3, H, W)` in [0, 1].

    Without `words`, draw the charts only.
    """
    count = len(outcome.charts)
    columns = 2 if count == 4 else min(count, 3 if words else 2)  # a notebook is narrow
    legend = max((len(_legend(chart)) for chart in outcome.charts if isinstance(chart, Chart)), default=0)
    text = textwrap.wrap(outcome.finding.words, 84 * columns) if words else []
    head, above = 75 if words else 0, _ABOVE + _LINE * legend
    foot = head + -(-count // columns) * (above + _HEIGHT + _BELOW)
    width = _LEFT + columns * (_WIDTH + _GAP) - _GAP + _RIGHT
    page = Image.new("RGB", (width, foot + (75 + _LINE * len(text) if words else 0)), NIGHT)
    pen = ImageDraw.Draw(page)
    for index, chart in enumerate(outcome.charts):
        x = _LEFT + index % columns * (_WIDTH + _GAP)
        y = head + index // columns * (above + _HEIGHT + _BELOW) + above
        pen.text((x, y - 20 - _LINE * legend), truncate(chart.title, font(25), _WIDTH), LIGHT, font(25), "ls")
        if isinstance(chart, Picture):
            _picture(page, x, y, chart)
        else:
            _chart(page, x, y, chart)
    if words:
        pen.text((36, 24), lesson.question, LIGHT, font(36))
        pen.text((36, foot - 10), outcome.finding.label, AMBER, font(27))
    for number, line in enumerate(text):
        pen.text((36, foot + 45 + _LINE * number), line, LIGHT, font(23))
    return as_picture(page)


def _picture(page: Image.Image, x: int, y: int, chart: Picture) -> None:
    image = as_image(chart.picture)
    sampling = Image.Resampling.NEAREST if max(image.size) < _PIXELS else Image.Resampling.BICUBIC
    image = ImageOps.contain(image, (_WIDTH, _HEIGHT + _BELOW - 40), sampling)
    page.paste(image, (x + (_WIDTH - image.width) // 2, y + (_HEIGHT + _BELOW - 40 - image.height) // 2))


def _chart(page: Image.Image, x: int, y: int, chart: Chart) -> None:
    pen, surface = ImageDraw.Draw(page), chart.surface
    xs = [surface.left, surface.right] if surface else [x for line in chart.lines for x in line.xs]
    ys = [surface.bottom, surface.top] if surface else [y for line in chart.lines for y in line.ys]
    margin = 0.0 if surface else 0.05
    x_axis = Axis(xs, log=chart.log_across, integers=chart.whole_across, margin=margin)
    y_axis = Axis(ys, log=chart.log_up, integers=False, margin=margin)

    plot = Image.new("RGB", (_WIDTH * _OVERSAMPLING, _HEIGHT * _OVERSAMPLING), NIGHT)
    if surface:
        heights = np.asarray(surface.heights)[::-1]
        brightness = np.uint8(255 * (heights - heights.min()) / (np.ptp(heights) or 1.0))
        grey = Image.fromarray(brightness).resize(plot.size, Image.Resampling.BILINEAR)
        plot = ImageOps.colorize(grey, NIGHT, DIM, SHADE)
    fine = ImageDraw.Draw(plot)
    for value, text in x_axis.ticks.items():
        at = x_axis.position(value) * _WIDTH
        if not surface:
            fine.line([at * _OVERSAMPLING, 0, at * _OVERSAMPLING, plot.height], _GRID, _OVERSAMPLING)
        pen.line([x + at, y + _HEIGHT, x + at, y + _HEIGHT + 8], DIM)
        _tick_label(pen, x + at, y + _HEIGHT + 14, text, "ma")
    for value, text in y_axis.ticks.items():
        at = (1 - y_axis.position(value)) * _HEIGHT
        if not surface:
            fine.line([0, at * _OVERSAMPLING, plot.width, at * _OVERSAMPLING], _GRID, _OVERSAMPLING)
        pen.line([x - 8, y + at, x, y + at], DIM)
        _tick_label(pen, x - 14, y + at, text, "rm")

    def pixel(a: float, b: float) -> tuple[float, float]:
        # Clamped, as a point may be far outside a surface.
        right, top = (min(max(place, -9), 9) for place in (x_axis.position(a), y_axis.position(b)))
        return right * plot.width, (1 - top) * plot.height

    if chart.arrows:
        _arrows(fine, chart.arrows, pixel)
    for number, line in enumerate(chart.lines):
        points = zip(line.xs, line.ys, strict=True)
        for valid, group in groupby(points, lambda point: x_axis.has(point[0]) and y_axis.has(point[1])):
            if valid:
                _stroke(fine, [pixel(*point) for point in group], line, number)
    page.paste(plot.reduce(_OVERSAMPLING), (x, y))

    pen.text((x + _WIDTH / 2, y + _HEIGHT + 50), chart.across, DIM, font(22), "ma")
    upright = Image.new("L", (_HEIGHT, 30))
    ImageDraw.Draw(upright).text((_HEIGHT / 2, 15), chart.up, 255, font(22), "mm")
    upright = upright.transpose(Image.Transpose.ROTATE_90)
    widest = max(font(22).getlength(text.replace("^", "")) for text in y_axis.ticks.values())
    page.paste(DIM, (x - min(round(widest) + 55, _LEFT - 5), y), upright)
    rows = _legend(chart)
    for index, row in enumerate(rows):
        left, at = x, y - 8 - _LINE * (len(rows) - index)
        for number, line, width in row:
            sample = Image.new("RGB", (_SAMPLE * _OVERSAMPLING, _LINE * _OVERSAMPLING), NIGHT)
            ends = (3, 60, 117) if line.style != "marks" else (60,)
            _stroke(ImageDraw.Draw(sample), [(end, _LINE * _OVERSAMPLING / 2) for end in ends], line, number)
            page.paste(sample.reduce(_OVERSAMPLING), (left, at))
            pen.text((left + _SAMPLE + 6, at + _LINE / 2), line.name, DIM, font(21), "lm")
            left += width


def _legend(chart: Chart) -> list[list[tuple[int, Line, int]]]:
    """Return the legend's rows: for each named line its number, the line and its entry's width in pixels."""
    rows: list[list[tuple[int, Line, int]]] = []
    for number, line in enumerate(chart.lines):
        width = round(_SAMPLE + 6 + font(21).getlength(line.name) + _SPACE)
        if line.name and (not rows or sum(entry[2] for entry in rows[-1]) + width > _WIDTH + _SPACE):
            rows.append([])
        if line.name:
            rows[-1].append((number, line, width))
    return rows


def _tick_label(pen: ImageDraw.ImageDraw, x: float, y: float, text: str, anchor: str) -> None:
    """Write a number next to an axis, its exponent raised."""
    base, _, power = text.partition("^")
    width = font(22).getlength(base)
    left = x - (width + font(16).getlength(power)) * {"m": 0.5, "r": 1.0}[anchor[0]]
    pen.text((left, y), base, DIM, font(22), f"l{anchor[1]}")
    pen.text((left + width + 1, y - 6), power, DIM, font(16), f"l{anchor[1]}")


def _stroke(fine: ImageDraw.ImageDraw, points: list[tuple[float, float]], line: Line, number: int) -> None:
    colour, radius = _COLOURS[number % len(_COLOURS)], 5.5 * _OVERSAMPLING
    if line.style == "marks" or len(points) == 1:
        for x, y in points:
            fine.circle((x, y), radius, colour, NIGHT, _OVERSAMPLING)
    else:
        for part in _dashes(points) if line.style == "dashed" else (points,):
            fine.line(part, colour, 4 * _OVERSAMPLING, "curve")


def _dashes(points: list[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """Cut a line into dashes and yield those that are drawn."""
    on, off = 15.0 * _OVERSAMPLING, 8.0 * _OVERSAMPLING
    left, drawn, dash = on, True, points[:1]
    for start, end in pairwise(points):
        length, done = math.dist(start, end), 0.0
        while length - done > left:
            done += left
            share = done / length
            cut = (start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share)
            if drawn:
                yield [*dash, cut]
            drawn, dash = not drawn, [cut]
            left = on if drawn else off
        left -= length - done
        dash.append(end)
    if drawn:
        yield dash


def _arrows(
    fine: ImageDraw.ImageDraw,
    arrows: Sequence[tuple[float, float, float, float]],
    pixel: Callable[[float, float], tuple[float, float]],
) -> None:
    """Draw a vector field: the longest arrow has a fixed length, the others are shorter in proportion."""
    longest = max(math.hypot(dx, dy) for _, _, dx, dy in arrows) or 1.0
    for x, y, dx, dy in arrows:
        start, target = (complex(*pixel(*point)) for point in ((x, y), (x + dx, y + dy)))
        length = 80 * _OVERSAMPLING * math.hypot(dx, dy) / longest
        if length:
            direction = (target - start) / abs(target - start)
            tip, head = start + direction * length, direction * min(13.0 * _OVERSAMPLING, length)
            corners = (tip, tip - head * (1 + 0.35j), tip - head * (1 - 0.35j))
            fine.line([(point.real, point.imag) for point in (start, tip - head)], BLUE, 3 * _OVERSAMPLING)
            fine.polygon([(corner.real, corner.imag) for corner in corners], BLUE)
