"""The charts of a lesson as one picture, drawn by matplotlib in the colours of every page."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING

from PIL import Image

from lanterna.images.drawing import AMBER, BLUE, DIM, LIGHT, NIGHT, as_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

    from lanterna.lessons.lesson import Chart, Lesson, Outcome

_SIZE = (6.4, 4.8)  # inches of one chart, 100 dots each
_MORE = ((127, 209, 164), (227, 138, 196), (185, 164, 255))


def draw(lesson: Lesson, outcome: Outcome) -> Tensor:
    """The charts side by side beneath the question, and the finding beneath them, `(3, H, W)` in [0, 1]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(outcome.charts)
    figure = Figure(figsize=(_SIZE[0] * count, _SIZE[1] + 1.5), dpi=150, facecolor=_hex(NIGHT))
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(1, count, left=0.09, right=0.97, top=0.83, bottom=0.27, wspace=0.28)
    for place, chart in enumerate(outcome.charts):
        _axes(figure.add_subplot(grid[0, place]), chart)
    figure.text(0.03, 0.94, lesson.question, color=_hex(LIGHT), size=15, family="serif")
    told = textwrap.fill(f"{outcome.finding.verdict}: {outcome.finding.words}", 84 * count)
    figure.text(0.03, 0.03, told, color=_hex(DIM), size=10, linespacing=1.4)
    file = io.BytesIO()
    figure.savefig(file, format="png", facecolor=_hex(NIGHT))
    with Image.open(file) as image:
        return as_picture(image)


def _axes(axes: Axes, chart: Chart) -> None:
    colours = [_hex(each) for each in (AMBER, BLUE, LIGHT, *_MORE)]
    for number, line in enumerate(chart.lines):
        marks = {"line": "-", "dashed": "--", "marks": ""}[line.style]
        axes.plot(
            line.xs, line.ys, linestyle=marks, marker="o" if line.style == "marks" else "", markersize=4,
            label=line.name, color=colours[number % len(colours)], linewidth=1.8,
        )  # fmt: skip
    axes.set_facecolor(_hex(NIGHT))
    axes.set_title(chart.title, color=_hex(LIGHT), size=11, loc="left")
    axes.set_xlabel(chart.across, color=_hex(DIM))
    axes.set_ylabel(chart.up, color=_hex(DIM))
    if chart.log_across:
        axes.set_xscale("log")
    if chart.log_up:
        axes.set_yscale("log")
    axes.tick_params(colors=_hex(DIM), which="both")
    axes.grid(color="#2b2f3a", linewidth=0.8)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if any(line.name for line in chart.lines):
        axes.legend(frameon=False, labelcolor=_hex(DIM), fontsize=9)


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
