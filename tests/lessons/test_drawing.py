"""The charts of lessons: which numbers stand beside an axis, and what is drawn where."""

import math

import pytest
import torch

from lanterna.images.drawing import AMBER, BLUE, NIGHT
from lanterna.lessons import LESSONS
from lanterna.lessons.axis import Axis
from lanterna.lessons.drawing import draw
from lanterna.lessons.lesson import Chart, Finding, Line, Outcome, Surface


@pytest.mark.parametrize(
    ("values", "kind", "written"),
    [
        ([0, 1], {}, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([-10, 10], {}, ["-10.0", "-7.5", "-5.0", "-2.5", "0.0", "2.5", "5.0", "7.5", "10.0"]),
        ([0.97, 0.98], {}, ["0.970", "0.972", "0.974", "0.976", "0.978", "0.980"]),
        ([1e-9, 2e-9], {}, ["1e-09", "1.2e-09", "1.4e-09", "1.6e-09", "1.8e-09", "2e-09"]),
        ([0, 3e6], {}, ["0", "5e+05", "1e+06", "1.5e+06", "2e+06", "2.5e+06", "3e+06"]),
        ([1, 2, 3], {"whole": True}, ["1", "2", "3"]),
        ([5], {"whole": True}, ["5"]),
        ([1, 2, 4, 128], {"whole": True, "log": True}, ["1", "2", "4", "128"]),
        ([1e-16, 1], {"log": True}, [f"10^{power}" for power in range(-16, 1, 2)]),
        ([2, 256], {"log": True}, ["2", "5", "10", "20", "50", "100", "200"]),
        ([0, -1, 0.2, 0.3, math.nan], {"log": True}, ["0.2", "0.3"]),
        ([math.nan, math.inf], {}, ["0.6", "0.8", "1.0", "1.2", "1.4"]),
    ],
)
def test_round_numbers_stand_beside_an_axis(values, kind, written):
    axis = Axis(values, **{"log": False, "whole": False, **kind})
    assert list(axis.written.values()) == written
    assert all(0 <= axis.share(value) <= 1 for value in axis.written)
    shares = [axis.share(value) for value in sorted(values) if axis.has(value)]
    assert shares == sorted(shares)


def drawn(chart):
    outcome = Outcome(Finding("holds", "It is so.", {}), [chart])
    return (draw(LESSONS["descent"], outcome, words=False) * 255).round().int()


def spots(picture, colour, margin=8):
    """Where a picture has nearly that colour: rows and columns."""
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


def test_a_dashed_line_is_two_thirds_there_and_its_name_stands_above():
    lines = [Line("", [0, 100], [0, 0]), Line("dashes", list(range(101)), [1] * 101, "dashed")]
    picture = drawn(Chart("T", "x", "y", lines))
    rows, columns = spots(picture, BLUE).T
    middle = rows.mode().values
    there = (spots(picture, AMBER)[:, 1].unique()).numel()
    assert columns[rows == middle].unique().numel() / there == pytest.approx(15 / 23, abs=0.04)
    assert (rows < middle - 30).any()


@pytest.mark.parametrize("style", ["line", "dashed", "marks"])
@pytest.mark.parametrize("log", [False, True])
def test_what_has_no_place_is_not_drawn_and_stops_nothing(style, log):
    odd = [0.0, -1.0, math.nan, math.inf, -math.inf, 1e300, 1.0, 2.0]
    for xs, ys in ((odd, odd), ([], []), ([1.0], [1.0]), (range(8), odd)):
        assert drawn(Chart("T", "x", "y", [Line("odd", xs, ys, style)], log_up=log)).shape[0] == 3


def test_what_leaves_a_surface_leaves_the_chart():
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
    assert corners[1, 0] < corners[1, 1] < corners[0, 0] < corners[0, 1]  # light where it is high
    assert corners[1, 0] == pytest.approx(sum(NIGHT), abs=6)
