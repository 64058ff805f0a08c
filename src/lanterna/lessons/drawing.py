"""The charts of a lesson as one picture, drawn by matplotlib in the colours of every page."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING

from PIL import Image

from lanterna.images.drawing import AMBER, BLUE, DIM, LIGHT, NIGHT, SHADE, as_picture
from lanterna.lessons.lesson import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

    from lanterna.lessons.lesson import Chart, Lesson, Outcome

_SIZE = (6.4, 4.8)  # inches of one chart, 100 dots each
_PIXELS = 200  # a picture this small is drawn with its pixels to be seen
_MORE = ((127, 209, 164), (227, 138, 196), (185, 164, 255))


def draw(lesson: Lesson, outcome: Outcome, *, words: bool = True) -> Tensor:
    """The charts side by side beneath the question, and the finding beneath them, `(3, H, W)` in [0, 1].

    Without `words` the charts alone, for where question and finding stand beside them.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(outcome.charts)
    columns = 2 if count == 4 else min(count, 3)
    rows = -(-count // columns)
    finding = f"{outcome.finding.verdict}: {outcome.finding.words}"
    told = textwrap.wrap(finding, 84 * columns) if words else []
    # Inches above and beneath the charts.
    head, foot = (0.85, 0.95 + 0.21 * len(told)) if words else (0.45, 0.65)
    height = _SIZE[1] * rows + head + foot - 0.8
    width = _SIZE[0] * columns
    figure = Figure(figsize=(width, height), dpi=150, facecolor=_hex(NIGHT))
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        rows, columns, left=0.65 / width, right=1 - 0.25 / width, top=1 - head / height,
        bottom=foot / height, wspace=0.2, hspace=0.28,
    )  # fmt: skip
    for place, chart in enumerate(outcome.charts):
        axes = figure.add_subplot(grid[divmod(place, columns)])
        if isinstance(chart, Picture):
            _picture(axes, chart)
        else:
            _axes(axes, chart)
    left = 0.2 / width
    if words:
        figure.text(left, 1 - 0.4 / height, lesson.question, color=_hex(LIGHT), size=15, family="serif")
    figure.text(left, 0.15 / height, "\n".join(told), color=_hex(DIM), size=10, linespacing=1.4)
    file = io.BytesIO()
    figure.savefig(file, format="png", facecolor=_hex(NIGHT))
    with Image.open(file) as image:
        return as_picture(image)


def _picture(axes: Axes, chart: Picture) -> None:
    shown = chart.picture.permute(1, 2, 0).numpy()
    axes.imshow(shown, interpolation="nearest" if max(shown.shape) < _PIXELS else "auto")
    axes.set_title(chart.title, color=_hex(LIGHT), size=11, loc="left")
    axes.set_axis_off()


def _axes(axes: Axes, chart: Chart) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import MaxNLocator

    if chart.surface:
        light = LinearSegmentedColormap.from_list("light", [_hex(each) for each in (NIGHT, SHADE, DIM)])
        over = chart.surface
        axes.imshow(
            over.heights, cmap=light, origin="lower", aspect="auto",
            extent=(over.left, over.right, over.bottom, over.top),
        )  # fmt: skip
    if chart.arrows:
        x, y, across, up = zip(*chart.arrows, strict=True)
        axes.quiver(x, y, across, up, color=_hex(BLUE), angles="xy", width=0.004)
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
    if chart.whole_across:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(colors=_hex(DIM), which="both")
    axes.grid(color="#2b2f3a", linewidth=0.8)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if any(line.name for line in chart.lines):
        axes.legend(frameon=False, labelcolor=_hex(DIM), fontsize=9)


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
