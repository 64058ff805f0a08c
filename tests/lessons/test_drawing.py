"""The charts of lessons: the ticks of an axis, and where things are drawn."""

import math

import pytest
import torch

from lanterna.images.drawing import AMBER, BLUE, NIGHT
from lanterna.lessons import LESSONS
from lanterna.lessons.axis import Axis
from lanterna.lessons.drawing import draw
from lanterna.lessons.lesson import Chart, Finding, Line, Outcome, Surface


@pytest.mark.parametrize(
    ("values", "kind", "ticks"),
    [
        ([0, 1], {}, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([-10, 10], {}, ["-10.0", "-7.5", "-5.0", "-2.5", "0.0", "2.5", "5.0", "7.5", "10.0"]),
        ([0.97, 0.98], {}, ["0.970", "0.972", "0.974", "0.976", "0.978", "0.980"]),
        ([1e-9, 2e-9], {}, ["1e-09", "1.2e-09", "1.4e-09", "1.6e-09", "1.8e-09", "2e-09"]),
        ([0, 3e6], {}, ["0", "5e+05", "1e+06", "1.5e+06", "2e+06", "2.5e+06", "3e+06"]),
        ([1, 2, 3], {"integers": True}, ["1", "2", "3"]),
        ([5], {"integers": True}, ["5"]),
        ([1, 2, 4, 128], {"integers": True, "log": True}, ["1", "2", "4", "128"]),
        ([1e-16, 1], {"log": True}, [f"10^{power}" for power in range(-16, 1, 2)]),
        ([2, 256], {"log": True}, ["2", "5", "10", "20", "50", "100", "200"]),
        ([0, -1, 0.2, 0.3, math.nan], {"log": True}, ["0.2", "0.3"]),
        ([math.nan, math.inf], {}, ["0.6", "0.8", "1.0", "1.2", "1.4"]),
    ],
)
def test_ticks_are_round_numbers(values, kind, ticks):
    axis = Axis(values, **{"log": False, "integers": False, **kind})
    assert list(axis.ticks.values()) == ticks
    assert all(0 <= axis.position(value) <= 1 for value in axis.ticks)
    positions = [axis.position(value) for value in sorted(values) if axis.has(value)]
    assert positions == sorted(positions)


def drawn(chart):
    outcome = Outcome(Finding("holds", "It is so.", {}), [chart])
    return (draw(LESSONS["descent"], outcome, words=False) * 255).round().int()


def spots(picture, colour, margin=8):
    """Return the rows and columns of pixels that nearly have a colour."""
    return torch.nonzero((picture - torch.tensor(colour)[:, None, None]).abs().amax(0) < margin)


def test_a_line_joins_its_points_and_marks_lie_on_them():
    picture = drawn(Chart("T", "x", "y", [Line("", [0, 1], [0, 1]), Line("", [0, 1], [1, 0], "marks")]))
    rows, columns = spots(picture, AMBER).T
    slope = (
        (rows - rows.float().mean()) @ (columns - columns.float().mean()) / columns.float().var() / len(rows)
    )
    assert slope == pytest.approx(-600 / 800, rel=0.01)  # up and to the right, over all of the chart
    marks = spots(picture, BLUE).float()
    left, right = (
        marks[marks[:, 1] < marks[:, 1].mean()].mean(0),
        marks[marks[:, 1] > marks[:, 1].mean()].mean(0),
    )
    top, bottom = (rows[columns == end].float().mean() for end in (columns.max(), columns.min()))
    assert (left - torch.stack([top, columns.min()])).abs().max() < 4
    assert (right - torch.stack([bottom, columns.max()])).abs().max() < 4


def test_a_dashed_line_is_two_thirds_drawn_and_named_above():
    lines = [Line("", [0, 100], [0, 0]), Line("dashes", list(range(101)), [1] * 101, "dashed")]
    picture = drawn(Chart("T", "x", "y", lines))
    rows, columns = spots(picture, BLUE).T
    middle = rows.mode().values
    solid = (spots(picture, AMBER)[:, 1].unique()).numel()
    assert columns[rows == middle].unique().numel() / solid == pytest.approx(15 / 23, abs=0.04)
    assert (rows < middle - 30).any()


@pytest.mark.parametrize("style", ["line", "dashed", "marks"])
@pytest.mark.parametrize("log", [False, True])
def test_values_that_cannot_be_drawn_are_skipped(style, log):
    odd = [0.0, -1.0, math.nan, math.inf, -math.inf, 1e300, 1.0, 2.0]
    for xs, ys in ((odd, odd), ([], []), ([1.0], [1.0]), (range(8), odd)):
        assert drawn(Chart("T", "x", "y", [Line("odd", xs, ys, style)], log_up=log)).shape[0] == 3


def test_lines_are_clipped_to_the_surface():
    surface = Surface([[0.0, 1.0], [2.0, 3.0]], -1, 1, -1, 1)
    lines = [Line("", [-5, 5, 1e30], [0, 0, 1e30], "dashed")]
    picture = drawn(Chart("T", "x", "y", lines, surface=surface, arrows=[(0, 0, 0, 1), (0.5, 0, 0, 0)]))
    columns = spots(picture, AMBER)[:, 1]
    assert (columns.min(), columns.max()) >= (135, 935 - 30)
    assert columns.max() < 935
    rows, columns = spots(picture, BLUE, 30).T
    assert rows.max() - rows.min() == pytest.approx(80, abs=4)  # up from the middle
    assert columns.float().mean() == pytest.approx(135 + 400, abs=2)
    corners = picture[:, [75, 655], :][:, :, [140, 930]].sum(0)
    assert corners[1, 0] < corners[1, 1] < corners[0, 0] < corners[0, 1]  # brighter where higher
    assert corners[1, 0] == pytest.approx(sum(NIGHT), abs=6)


def test_a_line_of_one_point_is_drawn():
    picture = drawn(Chart("", "epoch", "accuracy", [Line("", [1], [0.95])], whole_across=True))
    blank = drawn(Chart("", "epoch", "accuracy", [Line("", [1], [math.nan])], whole_across=True))
    amber = [
        (each - torch.tensor(AMBER)[:, None, None]).abs().sum(0).lt(24).sum() for each in (picture, blank)
    ]
    assert amber[0] > amber[1] + 20
