"""The charts of a lesson as one picture, in the colours of every page."""

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

# Pixels: of a chart, beside and between charts, above and beneath each, and from line to line of words.
_WIDE, _TALL, _LEFT, _RIGHT, _APART, _ABOVE, _BELOW, _LINE = 800, 600, 135, 45, 150, 65, 110, 31
_PIXELS = 200  # a picture this small is drawn with its pixels to be seen
_FINER = 3  # lines are drawn in so many times the pixels, so that their edges are smooth
_SAMPLE, _BETWEEN = 40, 30  # pixels of a line beside its name, and from one name to the next
_GRID: Colour = (43, 47, 58)
_COLOURS = (AMBER, BLUE, LIGHT, (127, 209, 164), (227, 138, 196), (185, 164, 255))


def draw(lesson: Lesson, outcome: Outcome, *, words: bool = True) -> Tensor:
    """The charts side by side beneath the question, and the finding beneath them, `(3, H, W)` in [0, 1].

    Without `words` the charts alone, for where question and finding stand beside them.
    """
    count = len(outcome.charts)
    columns = 2 if count == 4 else min(count, 3)
    named = max((len(_rows(chart)) for chart in outcome.charts if isinstance(chart, Chart)), default=0)
    told = textwrap.wrap(outcome.finding.words, 84 * columns) if words else []
    head, above = 75 if words else 0, _ABOVE + _LINE * named
    foot = head + -(-count // columns) * (above + _TALL + _BELOW)
    width = _LEFT + columns * (_WIDE + _APART) - _APART + _RIGHT
    page = Image.new("RGB", (width, foot + (75 + _LINE * len(told) if words else 0)), NIGHT)
    pen = ImageDraw.Draw(page)
    for place, chart in enumerate(outcome.charts):
        x = _LEFT + place % columns * (_WIDE + _APART)
        y = head + place // columns * (above + _TALL + _BELOW) + above
        pen.text((x, y - 20 - _LINE * named), truncate(chart.title, font(25), _WIDE), LIGHT, font(25), "ls")
        if isinstance(chart, Picture):
            _picture(page, x, y, chart)
        else:
            _chart(page, x, y, chart)
    if words:
        pen.text((36, 24), lesson.question, LIGHT, font(36))
        pen.text((36, foot - 10), outcome.finding.verdict.capitalize(), AMBER, font(27))
    for number, line in enumerate(told):
        pen.text((36, foot + 45 + _LINE * number), line, LIGHT, font(23))
    return as_picture(page)


def _picture(page: Image.Image, x: int, y: int, shown: Picture) -> None:
    image = as_image(shown.picture)
    sampling = Image.Resampling.NEAREST if max(image.size) < _PIXELS else Image.Resampling.BICUBIC
    image = ImageOps.contain(image, (_WIDE, _TALL + _BELOW - 40), sampling)
    page.paste(image, (x + (_WIDE - image.width) // 2, y + (_TALL + _BELOW - 40 - image.height) // 2))


def _chart(page: Image.Image, x: int, y: int, chart: Chart) -> None:
    pen, over = ImageDraw.Draw(page), chart.surface
    xs = [over.left, over.right] if over else [each for line in chart.lines for each in line.xs]
    ys = [over.bottom, over.top] if over else [each for line in chart.lines for each in line.ys]
    spare = 0.0 if over else 0.05
    across = Axis(xs, log=chart.log_across, whole=chart.whole_across, spare=spare)
    up = Axis(ys, log=chart.log_up, whole=False, spare=spare)

    plot = Image.new("RGB", (_WIDE * _FINER, _TALL * _FINER), NIGHT)
    if over:
        heights = np.asarray(over.heights)[::-1]
        light = np.uint8(255 * (heights - heights.min()) / (np.ptp(heights) or 1.0))
        grey = Image.fromarray(light).resize(plot.size, Image.Resampling.BILINEAR)
        plot = ImageOps.colorize(grey, NIGHT, DIM, SHADE)
    fine = ImageDraw.Draw(plot)
    for value, text in across.written.items():
        at = across.share(value) * _WIDE
        if not over:
            fine.line([at * _FINER, 0, at * _FINER, plot.height], _GRID, _FINER)
        pen.line([x + at, y + _TALL, x + at, y + _TALL + 8], DIM)
        _write(pen, x + at, y + _TALL + 14, text, "ma")
    for value, text in up.written.items():
        at = (1 - up.share(value)) * _TALL
        if not over:
            fine.line([0, at * _FINER, plot.width, at * _FINER], _GRID, _FINER)
        pen.line([x - 8, y + at, x, y + at], DIM)
        _write(pen, x - 14, y + at, text, "rm")

    def pixel(a: float, b: float) -> tuple[float, float]:  # not without end beyond a surface
        return min(max(across.share(a), -9), 9) * plot.width, (1 - min(max(up.share(b), -9), 9)) * plot.height

    if chart.arrows:
        _arrows(fine, chart.arrows, pixel)
    for number, line in enumerate(chart.lines):
        points = zip(line.xs, line.ys, strict=True)
        for there, run in groupby(points, lambda point: across.has(point[0]) and up.has(point[1])):
            if there:
                _stroke(fine, [pixel(*point) for point in run], line, number)
    page.paste(plot.reduce(_FINER), (x, y))

    pen.text((x + _WIDE / 2, y + _TALL + 50), chart.across, DIM, font(22), "ma")
    climbing = Image.new("L", (_TALL, 30))
    ImageDraw.Draw(climbing).text((_TALL / 2, 15), chart.up, 255, font(22), "mm")
    climbing = climbing.transpose(Image.Transpose.ROTATE_90)
    widest = max(font(22).getlength(text.replace("^", "")) for text in up.written.values())
    page.paste(DIM, (x - min(round(widest) + 55, _LEFT - 5), y), climbing)
    rows = _rows(chart)
    for height, row in enumerate(rows):
        along, at = x, y - 8 - _LINE * (len(rows) - height)
        for number, line, wide in row:
            sample = Image.new("RGB", (_SAMPLE * _FINER, _LINE * _FINER), NIGHT)
            ends = (3, 60, 117) if line.style != "marks" else (60,)
            _stroke(ImageDraw.Draw(sample), [(end, _LINE * _FINER / 2) for end in ends], line, number)
            page.paste(sample.reduce(_FINER), (along, at))
            pen.text((along + _SAMPLE + 6, at + _LINE / 2), line.name, DIM, font(21), "lm")
            along += wide


def _rows(chart: Chart) -> list[list[tuple[int, Line, int]]]:
    """The lines with names that stand above a chart, row by row, each with its number and pixels across."""
    rows: list[list[tuple[int, Line, int]]] = []
    for number, line in enumerate(chart.lines):
        wide = round(_SAMPLE + 6 + font(21).getlength(line.name) + _BETWEEN)
        if line.name and (not rows or sum(each[2] for each in rows[-1]) + wide > _WIDE + _BETWEEN):
            rows.append([])
        if line.name:
            rows[-1].append((number, line, wide))
    return rows


def _write(pen: ImageDraw.ImageDraw, x: float, y: float, text: str, anchor: str) -> None:
    """A number beside an axis, with its exponent raised."""
    base, _, power = text.partition("^")
    wide = font(22).getlength(base)
    left = x - (wide + font(16).getlength(power)) * {"m": 0.5, "r": 1.0}[anchor[0]]
    pen.text((left, y), base, DIM, font(22), f"l{anchor[1]}")
    pen.text((left + wide + 1, y - 6), power, DIM, font(16), f"l{anchor[1]}")


def _stroke(fine: ImageDraw.ImageDraw, points: list[tuple[float, float]], line: Line, number: int) -> None:
    colour, radius = _COLOURS[number % len(_COLOURS)], 5.5 * _FINER
    if line.style == "marks":
        for x, y in points:
            fine.circle((x, y), radius, colour, NIGHT, _FINER)
    else:
        for part in _dashes(points) if line.style == "dashed" else (points,):
            fine.line(part, colour, 4 * _FINER, "curve")


def _dashes(points: list[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """The parts of a way that are drawn where it is dashed."""
    on, off = 15.0 * _FINER, 8.0 * _FINER
    left, drawn, dash = on, True, points[:1]
    for start, end in pairwise(points):
        way, gone = math.dist(start, end), 0.0
        while way - gone > left:
            gone += left
            cut = (start[0] + (end[0] - start[0]) * gone / way, start[1] + (end[1] - start[1]) * gone / way)
            if drawn:
                yield [*dash, cut]
            drawn, dash = not drawn, [cut]
            left = on if drawn else off
        left -= way - gone
        dash.append(end)
    if drawn:
        yield dash


def _arrows(
    fine: ImageDraw.ImageDraw,
    arrows: Sequence[tuple[float, float, float, float]],
    pixel: Callable[[float, float], tuple[float, float]],
) -> None:
    """Arrows that point where the numbers go, and are the longer the larger those are."""
    most = max(math.hypot(across, up) for _, _, across, up in arrows) or 1.0
    for x, y, across, up in arrows:
        start, towards = (complex(*pixel(*point)) for point in ((x, y), (x + across, y + up)))
        length = 80 * _FINER * math.hypot(across, up) / most
        if length:
            along = (towards - start) / abs(towards - start)
            tip, head = start + along * length, along * min(13.0 * _FINER, length)
            corners = (tip, tip - head * (1 + 0.35j), tip - head * (1 - 0.35j))
            fine.line([(each.real, each.imag) for each in (start, tip - head)], BLUE, 3 * _FINER)
            fine.polygon([(each.real, each.imag) for each in corners], BLUE)
