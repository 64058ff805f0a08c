"""The charts of a lesson as one picture, drawn by matplotlib in the colours of every page."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING

from PIL import Image

from lanterna.images.drawing import AMBER, BLUE, DIM, LIGHT, NIGHT, SHADE, as_picture
from lanterna.lessons.lesson import Chart, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

    from lanterna.lessons.lesson import Lesson, Outcome

_SIZE = (6.4, 4.8)  # inches of one chart, 100 dots each
_LEFT, _RIGHT, _BETWEEN = 0.9, 0.3, 1.0  # inches beside and between the charts
_LONGEST = 64  # letters of a title, and of a line of names above a chart
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
    told = textwrap.wrap(outcome.finding.words, 84 * columns) if words else []
    named = max(0 if isinstance(chart, Picture) else _lines(chart) for chart in outcome.charts)
    # Inches above and beneath the charts.
    head, foot = 0.95 + 0.22 * named, 1.15 + 0.2 * len(told)
    if not words:
        head, foot = head - 0.45, 0.65
    height = _SIZE[1] * rows + head + foot - 0.8
    width = _SIZE[0] * columns
    figure = Figure(figsize=(width, height), dpi=150, facecolor=_hex(NIGHT))
    FigureCanvasAgg(figure)
    wide = (width - _LEFT - _RIGHT - _BETWEEN * (columns - 1)) / columns
    charted = any(isinstance(chart, Chart) for chart in outcome.charts)  # pictures have no axes
    grid = figure.add_gridspec(
        rows, columns, left=_LEFT / width, right=1 - _RIGHT / width, top=1 - head / height,
        bottom=foot / height, wspace=_BETWEEN / wide, hspace=0.36 if charted else 0.14,
    )  # fmt: skip
    for place, chart in enumerate(outcome.charts):
        axes = figure.add_subplot(grid[divmod(place, columns)])
        if isinstance(chart, Picture):
            _picture(axes, chart)
        else:
            _axes(axes, chart, named)
    left, verdict = 0.25 / width, outcome.finding.verdict.capitalize()
    if words:
        figure.text(left, 1 - 0.42 / height, lesson.question, color=_hex(LIGHT), size=15, family="serif")
        figure.text(
            left, (0.3 + 0.2 * len(told)) / height, verdict, color=_hex(AMBER), size=11, family="serif"
        )
    figure.text(left, 0.18 / height, "\n".join(told), color=_hex(LIGHT), size=10, linespacing=1.4)
    file = io.BytesIO()
    figure.savefig(file, format="png", facecolor=_hex(NIGHT))
    with Image.open(file) as image:
        return as_picture(image)


def _picture(axes: Axes, chart: Picture) -> None:
    shown = chart.picture.permute(1, 2, 0).numpy()
    axes.imshow(shown, interpolation="nearest" if max(shown.shape) < _PIXELS else "auto")
    axes.set_title(_short(chart.title), color=_hex(LIGHT), size=11, loc="left")
    axes.set_axis_off()


def _axes(axes: Axes, chart: Chart, named: int) -> None:
    """A chart; above it stay `named` lines for names, so that the titles of all stand in one row."""
    _ground(axes, chart)
    colours = [_hex(each) for each in (AMBER, BLUE, LIGHT, *_MORE)]
    for number, line in enumerate(chart.lines):
        marks = {"line": "-", "dashed": "--", "marks": ""}[line.style]
        axes.plot(
            line.xs, line.ys, linestyle=marks, marker="o" if line.style == "marks" else "", markersize=5,
            label=line.name, color=colours[number % len(colours)], linewidth=1.8, markeredgecolor=_hex(NIGHT),
            markeredgewidth=0.6,
        )  # fmt: skip
    axes.set_facecolor(_hex(NIGHT))
    axes.set_xlabel(chart.across, color=_hex(DIM))
    axes.set_ylabel(chart.up, color=_hex(DIM))
    _scales(axes, chart)
    axes.tick_params(colors=_hex(DIM), which="both")
    if not chart.surface:
        axes.grid(color="#2b2f3a", linewidth=0.8)
    for spine in axes.spines.values():
        spine.set_visible(False)
    # Names stand between the title and the chart, where they are over nothing.
    names = [line.name for line in chart.lines if line.name]
    lines = _lines(chart)
    if names:
        axes.legend(
            frameon=False, labelcolor=_hex(DIM), fontsize=9, loc="lower left", bbox_to_anchor=(-0.02, 0.99),
            ncols=-(-len(names) // lines), columnspacing=1.4, handlelength=1.6, borderpad=0.2,
        )  # fmt: skip
    axes.set_title(
        _short(chart.title), color=_hex(LIGHT), size=11, loc="left", pad=8 + 16 * named, parse_math=False
    )


def _lines(chart: Chart) -> int:
    """How many lines the names above a chart need, each with its mark."""
    return -(-sum(len(line.name) + 6 for line in chart.lines if line.name) // _LONGEST)


def _ground(axes: Axes, chart: Chart) -> None:
    """What lies beneath the lines: a surface as light, and arrows."""
    from matplotlib.colors import LinearSegmentedColormap

    if chart.surface:
        light = LinearSegmentedColormap.from_list("light", [_hex(each) for each in (NIGHT, SHADE, DIM)])
        over = chart.surface
        axes.imshow(
            over.heights, cmap=light, origin="lower", aspect="auto", interpolation="bilinear",
            extent=(over.left, over.right, over.bottom, over.top),
        )  # fmt: skip
        axes.autoscale(enable=False)  # what leaves the surface leaves the chart
    if chart.arrows:
        x, y, across, up = zip(*chart.arrows, strict=True)
        axes.quiver(x, y, across, up, color=_hex(BLUE), angles="xy", width=0.004)


def _scales(axes: Axes, chart: Chart) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    if chart.log_across:
        axes.set_xscale("log")
    if chart.log_up:
        axes.set_yscale("log")
    if chart.whole_across and chart.log_across:  # as many as there are, and written out
        axes.set_xticks(sorted({x for line in chart.lines for x in line.xs}))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    elif chart.whole_across:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _short(title: str) -> str:
    return title if len(title) <= _LONGEST else title[: _LONGEST - 1] + "…"


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
