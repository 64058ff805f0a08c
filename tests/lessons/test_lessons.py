"""Each lesson's finding holds with a margin, falls where its mechanism is broken, and answers odd wanted."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as some

from lanterna.errors import UsageError
from lanterna.images import open_picture, read_recipe
from lanterna.images.digits import Digits, mnist
from lanterna.lessons import (
    LESSONS,
    Picture,
    curve,
    derivative,
    descent,
    edges,
    functions,
    gates,
    layers,
    neuron,
    normalised,
    scalars,
    squash,
)  # fmt: skip
from lanterna.lessons.circuits import Circuits, apart_from_torch, checked_by_nudges, random_circuit
from lanterna.lessons.curve import Curve
from lanterna.lessons.derivative import Derivative
from lanterna.lessons.drawing import draw
from lanterna.lessons.layers import Layers
from lanterna.lessons.scalars import Value, circuit
from lanterna.lessons.squash import Squashing
from lanterna.networks import open_network
from lanterna.surfaces.cli import main
from lanterna.techniques.registry import technique_of
from places import ROOT


def outcome(name: str, **wanted):
    lesson = LESSONS[name]
    return lesson.experiment(lesson.settings.checked(wanted))


def finding(name: str, **wanted):
    return outcome(name, **wanted).finding


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 100, 200])
def test_the_rule_costs_the_same_for_any_number_of_inputs(seed):
    found = finding("gates", seed=seed, tries=3)
    numbers = found.numbers
    assert found.verdict == "holds"
    assert numbers["rule, 256 inputs"] == pytest.approx(numbers["rule, 2 inputs"], abs=1)
    assert numbers["tries, 2 inputs"] > 2 * numbers["rule, 2 inputs"]
    # A step by nudges costs one evaluation an input, and one where one stands.
    steps = numbers["rule, 256 inputs"]
    assert numbers["nudges, 256 inputs"] == pytest.approx(257 * steps, rel=0.1)
    assert numbers["tries, 256 inputs"] < numbers["nudges, 256 inputs"] / 3


def test_the_rule_is_what_nudges_measure():
    inputs = [0.3, -1.2, 2.0, 0.7]
    assert gates.nudged_slope(gates.output, inputs) == pytest.approx(gates.slope(inputs), abs=1e-3)


def test_a_wrong_rule_does_not_hold(monkeypatch):
    monkeypatch.setattr(gates, "slope", lambda inputs: [-inputs[place ^ 1] for place in range(len(inputs))])
    found = finding("gates", gates=2, tries=1)
    assert found.verdict == "does not hold"
    assert "Not every way arrived" in found.words


@pytest.mark.parametrize("function", ["sine", "exponential", "sigmoid", "cube"])
def test_a_nudge_can_be_too_large_and_too_small(function):
    found = finding("derivative", function=function)
    assert found.verdict == "holds"
    eps = np.finfo(np.float64).eps
    best = {name: found.numbers[f"{name}: nudge"] for name in ("64 bits, one way", "64 bits, both ways")}
    # Theory: the square root and the cube root of what rounding leaves.
    assert math.sqrt(eps) / 30 < best["64 bits, one way"] < math.sqrt(eps) * 30
    assert eps ** (1 / 3) / 30 < best["64 bits, both ways"] < eps ** (1 / 3) * 30
    assert found.numbers["64 bits, both ways: error"] < found.numbers["64 bits, one way: error"] / 10
    assert found.numbers["32 bits, one way: error"] > 1e3 * found.numbers["64 bits, one way: error"]


GROUNDS = {
    "hills": lambda x, y: torch.sin(x) * torch.cos(y),
    "bowl": lambda x, y: (x * x + y * y) / 8,
    "saddle": lambda x, y: (x * x - y * y) / 8,
}


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize(("x", "y"), [(1.0, 0.5), (-2.0, 3.0), (4.0, -1.2)])
def test_the_gradient_is_the_direction_that_rises_the_most(ground, x, y):
    found = finding("derivative", ground=ground, x=x, y=y)
    place = [torch.tensor(each, dtype=torch.float64, requires_grad=True) for each in (x, y)]
    torch.autograd.backward(GROUNDS[ground](*place))
    across, up = (each.grad.item() for each in place)
    assert found.verdict == "holds"
    assert found.numbers["gradient: length"] == pytest.approx(math.hypot(across, up), abs=1e-8)
    assert math.cos(math.radians(found.numbers["gradient: degrees"]) - math.atan2(up, across)) > 1 - 1e-9
    assert found.numbers["degrees apart"] < 1
    assert found.numbers["steepest: rise"] == pytest.approx(math.hypot(across, up), abs=0.01)


def test_a_long_step_and_a_level_place_have_no_such_direction(monkeypatch):
    far = finding("derivative", step=3)
    assert far.verdict == "holds only when"
    assert far.numbers["degrees apart"] > 20
    level = finding("derivative", ground="bowl", x=0, y=0)
    assert level.verdict == "holds only when"
    assert "points nowhere" in level.words
    right = derivative.gradient
    monkeypatch.setattr(derivative, "gradient", lambda *given: [right(*given)[0], -right(*given)[1]])
    assert finding("derivative").numbers["degrees apart"] > 20
    assert finding("derivative").verdict == "holds only when"


@pytest.mark.slow
def test_the_ground_is_drawn_with_its_arrows():
    chart = LESSONS["derivative"].experiment(Derivative(points=1)).charts[1]
    heights = np.array(chart.surface.heights)
    assert heights.shape == (64, 64)
    assert heights[32, 42] > 0.9 > -0.9 > heights[32, 22]  # the hill at (π/2, 0), the hollow at (-π/2, 0)
    assert all(across * math.cos(x) * math.cos(y) > -1e-9 for x, y, across, _ in chart.arrows)
    blue = [drawn_in(chart, (92, 158, 255)), drawn_in(replace(chart, arrows=()), (92, 158, 255))]
    assert blue[0] > 1.5 * blue[1]


def drawn_in(chart, colour):
    """How many pixels of a chart are of a colour."""
    lesson, found = LESSONS["derivative"], finding("gates", gates=2, tries=1)
    picture = draw(lesson, replace(outcome("circuits", others=0), charts=[chart], finding=found))
    wanted = torch.tensor(colour)[:, None, None] / 255
    return int(((picture - wanted).abs().amax(0) < 0.1).sum())


def test_slopes_are_torchs_on_random_circuits():
    assert max(apart_from_torch(*random_circuit(seed)) for seed in range(1000, 1300)) < 1e-12


@settings(max_examples=60, deadline=None)
@given(some.floats(-3, 3), some.floats(0.1, 3))
def test_every_gate_is_torchs(x, y):
    for expression in (
        "a / b",
        "a ** 3 - b",
        "exp(a) * b",
        "log(b) + a",
        "tanh(a * b / 3)",  # further out, 1 - tanh² has few digits left
        "sigmoid(a - b)",
        "relu(a)",
    ):
        assert apart_from_torch(expression, {"a": x, "b": y}) < 1e-9


def test_the_circuit_agrees_with_nudges_and_shows_each_wire():
    made = outcome("circuits", expression="relu(a * b) + c ** 2", numbers=(2, 3, -1))
    assert made.finding.verdict == "holds"
    assert made.rows[0][-2:] == ("local slopes", "local, nudged")
    told = {row[0]: row[1:] for row in made.rows}
    assert told["a"] == ("input", "2", "3", "3", "", "")
    assert told["c"] == ("input", "-1", "-2", "-2", "", "")
    # A gate's local slopes do not know what is behind it; the wire's slope does.
    assert told["w2"] == ("×", "6", "1", "1", "a: 3, b: 2", "a: 3, b: 2")
    assert told["w5"] == ("^2", "1", "1", "1", "c: -2", "c: -2")
    output, nudged = checked_by_nudges(Circuits(expression="a * a", numbers=(4,)))
    assert output.wires()[0].slope == 8.0  # both ways add up
    assert nudged[0] == pytest.approx(8.0)


def test_the_circuit_is_a_picture_where_it_can_be_read():
    shown = outcome("circuits", expression="a * b", numbers=(2, 3), others=0).charts[0]
    assert isinstance(shown, Picture)
    assert "a, input: value 2, slope 3" in shown.words
    assert shown.picture.max() > 0.9 > 0.1 > shown.picture.min()
    long = outcome("circuits", expression="a" + "+a" * 30, numbers=(2,), others=0)
    assert not any(isinstance(each, Picture) for each in long.charts)


def test_a_corner_and_an_edge_are_told(monkeypatch):
    corner = finding("circuits", expression="relu(a)", numbers=(0,), others=3)
    assert corner.verdict == "holds only when"
    assert "corner" in corner.words
    with pytest.raises(UsageError, match="has no answer 1e-09 beside these numbers"):
        finding("circuits", expression="log(a)", numbers=(1e-10,))
    assert finding("circuits", expression="1 / a", numbers=(1e-5,), others=0).verdict == "holds"
    assert finding("circuits", expression="sigmoid(a)", numbers=(-800,)).verdict == "holds"
    with pytest.raises(UsageError, match="finite"):
        finding("circuits", numbers=["nan"])

    def last_one_counts(self):
        self.slope = 1.0
        for gate in reversed(self.wires()):
            for each, local in zip(gate.inputs, gate.locals, strict=True):
                each.slope = gate.slope * local

    monkeypatch.setattr(Value, "backward", last_one_counts)
    assert finding("circuits", expression="a * b + a", others=0).verdict == "does not hold"


@pytest.mark.parametrize("gate", ["__mul__", "sigmoid"])
def test_a_gate_with_a_wrong_sign_is_found(monkeypatch, gate):
    right = getattr(Value, gate)

    def wrong(*inputs):
        made = right(*inputs)
        return Value(made.number, made.made_by, made.inputs, [-local for local in made.locals])

    monkeypatch.setattr(Value, gate, wrong)
    monkeypatch.setitem(scalars.SQUASHES, "sigmoid", Value.sigmoid)
    made = outcome("circuits", others=0)
    assert made.finding.verdict == "does not hold"
    assert made.finding.numbers["gap of local slopes"] > 1
    sign = {"__mul__": "×", "sigmoid": "sigmoid"}[gate]
    assert {row[1] for row in made.rows[1:] if row[-2] != row[-1]} == {sign}  # it is seen at its own gate


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("a +", "expected such as"),
        ("a.b", "expected + - * /"),
        ("open('x')", "expected + - * /"),
        ("[a for a in b]", "expected + - * /"),
        ("z * a", "'z' has no number"),
        ("(b - a) ** 0.5", "has no answer"),
        ("a ** 11", "expected + - * /"),
        ("log(0 * a)", "has no answer"),
        ("a / (b - b)", "divides by 0"),
        ("exp(exp(exp(a * 9)))", "too large"),
        ("a" + "+a" * 200, "up to 200 characters"),
        ("(" * 120, "expected such as"),
    ],
)
def test_an_odd_expression_is_answered_in_one_line(expression, words):
    with pytest.raises(UsageError, match=words.replace("*", r"\*").replace("+", r"\+")) as told:
        circuit(expression, {"a": 2.0, "b": 1.0})
    assert "\n" not in str(told.value)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 50, 100])
def test_more_freedom_fits_the_points_and_then_not_the_truth(seed):
    numbers = finding("curve", seed=seed).numbers
    assert 3 <= numbers["best degree"] <= 7
    assert numbers["least test error"] < 0.2
    assert numbers["test error of the highest degree"] > 3 * numbers["least test error"]
    assert numbers["training error of the highest degree"] < 0.2
    assert numbers["test error of a line"] > 2.5 * numbers["least test error"]
    assert numbers["network's test error"] < 0.35


@pytest.mark.slow
def test_networks_are_trained_each_by_itself_and_are_a_line_without_their_bend(monkeypatch):
    settings = Curve()
    together, alone = curve.networks(settings, [0, 1]), curve.networks(settings, [1])
    assert together[1][1] == pytest.approx(alone[1][0], abs=0.02)
    monkeypatch.setattr(curve.torch, "tanh", lambda x: x)
    straight = curve.networks(settings, [1])[0][0]
    assert straight == pytest.approx(curve.errors(settings, 1, 1)[0], rel=0.01)


@pytest.mark.slow
def test_without_noise_or_with_many_points_freedom_does_no_harm():
    assert finding("curve", noise=0, points=200).verdict == "holds only when"
    assert finding("curve", points=500, degree=9).verdict == "holds only when"


def test_a_fit_is_numpys_least_squares():
    settings = Curve(points=15)
    xs, ys = curve.sample(settings, 3)
    plain = np.polyval(np.polyfit(xs, ys, 4), xs)
    assert curve.errors(settings, 4, 3)[0] == pytest.approx(
        float(np.sqrt(np.mean((plain - ys) ** 2))), rel=1e-6
    )


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_right_rate_comes_to_rest_and_others_do_not(seed):
    found = finding("descent", seed=seed)
    assert found.verdict == "holds"
    assert found.numbers["at rest, right"] > 0.95
    assert max(found.numbers["at rest, too small"], found.numbers["at rest, too large"]) < 0.2
    # The surprise: what never rests is lower in the mean, and momentum finds the lowest valley oftener.
    assert found.numbers["mean cost, too large"] < found.numbers["mean cost, right"] - 0.1
    assert found.numbers["lowest valley, momentum"] > found.numbers["lowest valley, plain"] + 0.1


OPTIMISERS = {
    "plain": lambda x: torch.optim.SGD([x], 0.1),
    "momentum": lambda x: torch.optim.SGD([x], 0.1, momentum=0.9),
    "adam": lambda x: torch.optim.Adam([x], 0.1),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", OPTIMISERS)
def test_walks_are_torchs_optimisers(way):
    def walked(start, cost):
        x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        optimiser, places = OPTIMISERS[way](x), [x.tolist()]
        for _ in range(30):
            optimiser.zero_grad()
            torch.autograd.backward(cost(x))
            optimiser.step()
            places.append(x.tolist())
        return places

    one = walked(6.0, lambda x: x * x / 10 + torch.sin(2.2 * x))
    assert descent.walk(6.0, 0.1, 30, way) == pytest.approx(one, abs=1e-9)
    xs, ys = map(torch.from_numpy, descent.examples(5))
    two = walked([1.0, 2.0], lambda line: F.mse_loss(line[0] * xs + line[1], ys) / 2)
    ours = descent.descend(
        lambda line: descent.line_slope(line, *descent.examples(5)), np.array([1.0, 2.0]), 0.1, 30, way
    )
    assert ours == pytest.approx(np.array(two), abs=1e-9)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_few_examples_a_step_are_quick_and_never_quiet(seed):
    made = outcome("descent", seed=seed)
    numbers = made.finding.numbers
    one, some, every = (f"batch of {batch}" for batch in (1, 16, 256))
    assert 0 < numbers[f"{one}: examples"] < numbers[f"{some}: examples"] / 5
    assert numbers[f"{some}: examples"] < numbers[f"{every}: examples"] / 5
    assert numbers[f"{one}: above the least"] > 3 * numbers[f"{some}: above the least"]
    assert numbers[f"{some}: above the least"] > 100 * numbers[f"{every}: above the least"]
    # Over the valley momentum is there first.
    assert 0 < 2 * numbers["two parameters, momentum: steps"] < numbers["two parameters, plain: steps"]
    least = next(line for line in made.charts[2].lines if line.name == "least cost")
    assert (*least.xs, *least.ys) == pytest.approx(np.polyfit(*descent.examples(seed), 1), abs=1e-9)
    heights = np.array(made.charts[2].surface.heights)
    up, across = np.unravel_index(heights.argmin(), heights.shape)
    assert (across / 63 * 4 - 2, up / 63 * 5.5 - 2) == pytest.approx((*least.xs, *least.ys), abs=0.15)


def test_without_the_slope_of_the_bias_no_batch_arrives(monkeypatch):
    right = descent.line_slope
    monkeypatch.setattr(descent, "line_slope", lambda *given: right(*given) * [1, 0])
    found = finding("descent")
    assert found.numbers["batch of 256: steps"] == found.numbers["two parameters, adam: steps"] == 0
    assert "all at once more than 500 steps" in found.words


def test_uphill_does_not_hold(monkeypatch):
    right = descent.slope
    monkeypatch.setattr(descent, "slope", lambda x: -right(x))
    assert finding("descent").verdict != "holds"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("points", "most", "hidden"), [("xor", 0.7, 4), ("rings", 0.7, 8), ("moons", 0.92, 8)]
)
def test_two_layers_tell_apart_what_one_cannot(points, most, hidden):
    found = finding("layers", points=points, hidden=hidden)
    assert found.verdict == "holds"
    assert found.numbers["one layer"] < most
    assert found.numbers["two layers"] > 0.97


@pytest.mark.slow
def test_two_layers_are_one_without_a_bend():
    found = finding("layers", points="xor", bend="none", hidden=2)
    assert found.verdict == "holds only when"
    assert found.numbers["two layers"] < 0.7
    assert "two layers are one" in found.words
    heaps = finding("layers", points="two heaps", hidden=1)
    assert heaps.verdict == "holds only when"
    assert "a straight line" in heaps.words


@pytest.mark.slow
def test_counting_the_connections_of_two_layers():
    for hidden in (1, 2):
        made = layers.network(Layers(hidden=hidden), 2, 0)
        counted = [parameter.numel() for parameter in made.parameters() if parameter.ndim == 2]
        numbers = finding("layers", hidden=hidden, points="two heaps").numbers
        assert numbers["connections"] == sum(counted)
        assert numbers["links"] == sum(parameter.numel() for parameter in made.parameters())


STRIPE = [[-1.5, 0, 0], [0, 0, 1], [1.5, 0, 0], [0, 1.5, 1], [0, -1.5, 1]]


@pytest.mark.slow
def test_points_of_ones_own_are_answered_everywhere():
    made = outcome("layers", points="own", own=STRIPE, hidden=8)
    assert made.finding.verdict == "holds"
    assert "of your points" in made.finding.words
    assert Layers(own=STRIPE) == Layers(own=list(chain(*STRIPE)))  # in a row, as a line of text has them

    def answers(chart):
        side = np.linspace(chart.surface.left, chart.surface.right, len(chart.surface.heights))
        at = {place: int(np.abs(side - place).argmin()) for place in (-1.5, 0, 1.5)}
        return [chart.surface.heights[at[y]][at[x]] > 0.5 for x, y, _ in STRIPE]

    wanted = [bool(each) for _, _, each in STRIPE]
    assert answers(made.charts[1]) == wanted != answers(made.charts[0])


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ([], "4 points or more, some of each class, got 0"),
        ([[0, 0, 1]] * 5, "some of each class, got 5"),
        ([0, 0], "expected x, y and class, 0 or 1, of every point"),
        ([[0, 0, 2], *STRIPE], "expected x, y and class, 0 or 1, of every point"),
        ([[0, 3, 1], *STRIPE], "at most 2, got 3"),
        ([["nan", 0, 1], *STRIPE], "finite number"),
        ([0, 0, 1] * 201, "at most 600"),
    ],
)
def test_odd_points_are_answered_in_one_line(own, words):
    with pytest.raises(UsageError, match=words) as told:
        outcome("layers", points="own", own=own)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("shape", ["waves", "bump"])
def test_smooth_curves_are_approached_as_the_square_of_the_neurons(shape):
    found = finding("functions", curve=shape)
    assert found.verdict == "holds"
    assert found.numbers["power"] == pytest.approx(2.0, abs=0.25)


def test_a_jump_is_approached_slowly_and_an_own_curve_as_it_is():
    assert finding("functions", curve="step").numbers["power"] == pytest.approx(0.5, abs=0.15)
    straight = finding("functions", curve="own", own=[0.0, 1.0], neurons=4)
    assert straight.numbers["error with 4"] < 1e-9  # a line needs no neuron
    drawn = finding("functions", curve="own", own=[0, 1, 0, 2, -1, 0], neurons=256)
    assert drawn.numbers["error with 256"] < 0.01 < 0.3 < drawn.numbers["error with one"]


def test_corners_where_the_neurons_have_theirs_are_met():
    made = outcome("functions", curve="own", own=[0, 1, 0, 2, -1, 0], neurons=4)
    assert made.finding.numbers["error with 4"] < 1e-9  # four corners inside, at fifths
    assert made.finding.verdict == "holds"
    bent = made.charts[1].lines  # after each bend
    assert bent[-1].ys == pytest.approx(
        np.interp(bent[-1].xs, np.arange(6) / 5, [0, 1, 0, 2, -1, 0]), abs=1e-9
    )
    assert [len(set(np.diff(line.ys, 2).round(6)) - {0.0}) > 0 for line in bent] == [False, *[True] * 4]


@pytest.mark.parametrize(
    ("wanted", "verdict", "words"),
    [
        ({"curve": "own", "own": [1, 1]}, "holds", "straight line"),
        ({"neurons": 1}, "holds only when", "more to compare"),
        ({"neurons": 4}, "holds only when", "with more it goes quicker"),
        ({"curve": "step"}, "holds only when", "slowly"),
    ],
)
def test_words_on_curves_stay_true(wanted, verdict, words):
    found = finding("functions", **wanted)
    assert found.verdict == verdict
    assert words in found.words


@pytest.mark.parametrize("own", [[], [1], [0, 1e3], ["inf", 0], [0] * 201])
def test_an_odd_curve_is_answered_in_one_line(own):
    with pytest.raises(UsageError, match="own") as told:
        finding("functions", curve="own", own=own)
    assert "\n" not in str(told.value)


def test_without_the_bend_no_curve_is_approached(monkeypatch):
    monkeypatch.setattr(functions.np, "maximum", lambda _, values: values)
    assert finding("functions").verdict == "does not hold"


@pytest.fixture(scope="module")
def shelved(real_shelf):
    """The real shelf, which lessons on digits need."""
    return real_shelf


FEW = 0.08  # of MNIST, which is enough to see the difference


@pytest.mark.slow
@pytest.mark.usefixtures("shelved")
def test_digits_that_are_off_are_misread_unless_cleaned_up():
    lost = finding("normalised", digits=100, fraction=FEW).numbers
    assert lost["lost, dense"] > 0.6
    assert 0.2 < lost["lost, conv"] < lost["lost, dense"] - 0.2  # convolutions care less where a digit is
    assert lost["lost, conv, augmented"] < lost["lost, conv"]
    assert max(lost["lost, dense, cleaned"], lost["lost, conv, cleaned"]) < 0.05
    turned = finding("normalised", change="turned", digits=100, fraction=FEW)
    assert turned.verdict == "does not hold"
    assert "turns none" in turned.words


@pytest.mark.slow
@pytest.mark.usefixtures("shelved")
@pytest.mark.parametrize("seed", [0, 1])
def test_a_negative_bias_makes_units_harder_to_activate(monkeypatch, seed):
    found = finding("neuron", digits=100, seed=seed)
    assert found.verdict == "holds"
    assert found.numbers["on, with the bias"] < 0.7 * found.numbers["on, as trained"]
    assert found.numbers["halfway at"] == 2.0
    assert (
        finding("neuron", digits=100, bias=2).numbers["on, with the bias"] > found.numbers["on, as trained"]
    )
    right = neuron.sums
    monkeypatch.setattr(
        neuron, "sums", lambda settings: -1e3 * right(settings).sign()
    )  # nothing a bias can move
    assert finding("neuron", digits=100).verdict == "does not hold"


@pytest.mark.slow
@pytest.mark.usefixtures("shelved")
@pytest.mark.parametrize("seed", [0, 1])
def test_relu_learns_sooner_but_so_does_a_stretched_sigmoid(seed):
    made = outcome("squash", depths=[3, 1], runs=1, steps=1500, goal=0.9, seed=seed)
    found = made.finding
    assert found.verdict == "holds only when"
    assert "not because it is simple" in found.words
    for depth in (1, 3):
        assert found.numbers[f"relu, {depth}: steps"] < 0.8 * found.numbers[f"sigmoid, {depth}: steps"]
        assert found.numbers[f"tanh, {depth}: steps"] < 0.8 * found.numbers[f"sigmoid, {depth}: steps"]
        assert found.numbers[f"relu, {depth}: reached"] == 1
    # Each sigmoid takes three quarters of the gradient, at least.
    shrinks = found.numbers["sigmoid, 3: gradient"] / found.numbers["sigmoid, 1: gradient"]
    keeps = found.numbers["relu, 3: gradient"] / found.numbers["relu, 1: gradient"]
    assert shrinks < 1 / 8
    assert keeps > 1 / 3
    assert [line.xs for line in made.charts[1].lines] == [
        range(1, 5)
    ] * 3  # three hidden layers, and the last
    assert len(made.rows) == 1 + 2 * 3


@pytest.mark.slow
@pytest.mark.usefixtures("shelved")
@pytest.mark.parametrize("seed", [0, 1])
def test_through_eight_layers_of_sigmoids_no_gradient_comes(seed):
    settings = Squashing(steps=25, goal=0.99)
    lost = squash.trained(settings, "sigmoid", 8, seed).gradients
    assert len(lost) == 9
    assert all(nearer > 2 * farther for farther, nearer in pairwise(lost))
    assert lost[0] < 1e-4
    assert min(squash.trained(settings, "relu", 8, seed).gradients) > 0.05
    assert min(squash.trained(settings, "tanh", 8, seed).gradients) > 0.05
    nothing = finding("squash", depths=[1], runs=1, steps=25, goal=0.99)
    assert nothing.verdict == "holds only when"
    assert "Nothing came to 99%" in nothing.words


@pytest.mark.usefixtures("shelved")
@pytest.mark.parametrize(
    ("kind", "off"), [("relu", -1e3), ("sigmoid", -1e3), ("sigmoid", 1e3), ("tanh", 1e3)]
)
def test_dead_units_are_counted(kind, off):
    made = squash.network(Squashing(units=8), kind, 2, 0)
    made.layer("hidden2").bias.data[:4] = off  # four of sixteen
    test = mnist("test")
    assert squash.dead(made, Digits(test.images[:200], test.labels[:200])) == 4 / 16


@pytest.mark.slow
@pytest.mark.usefixtures("shelved")
@pytest.mark.parametrize(
    ("exchanged", "verdict"), [({"sigmoid": "relu"}, "does not hold"), ({"tanh": "sigmoid"}, "holds")]
)
def test_where_squashes_are_exchanged_so_is_the_finding(monkeypatch, exchanged, verdict):
    right = squash.network

    def network(settings, kind, depth, seed):
        return right(settings, exchanged.get(kind, kind), depth, seed)

    monkeypatch.setattr(squash, "network", network)
    assert finding("squash", depths=[1], runs=1, steps=800, goal=0.9).verdict == verdict


def test_depths_are_bounded():
    with pytest.raises(UsageError, match="at most 8, got 9"):
        Squashing.checked({"depths": [1, 9]})


@pytest.mark.slow
@pytest.mark.usefixtures("shelved")
def test_first_layers_of_networks_that_saw_photographs_find_edges(monkeypatch):
    found = finding("edges", networks=["efficientnet-lite0", "vgg16"])
    assert found.verdict == "holds"
    assert found.numbers["vgg16, found"] >= 55
    assert found.numbers["efficientnet-lite0, found"] >= 24
    monkeypatch.setattr(edges, "opened", noisy)
    assert finding("edges", networks=["efficientnet-lite0", "vgg16"]).verdict == "does not hold"


def noisy(name):
    """A network whose first kernels are noise."""
    network = open_network(name)
    layer = next(part for part in network.modules() if isinstance(part, torch.nn.Conv2d))
    layer.weight.data.normal_(generator=torch.Generator().manual_seed(3))
    return network


@pytest.mark.slow
@pytest.mark.usefixtures("shelved")
def test_without_the_clean_up_it_does_not_help(monkeypatch):
    monkeypatch.setattr(normalised, "cleaned", lambda images: images)
    assert finding("normalised", digits=100, fraction=FEW).verdict == "does not hold"


@pytest.mark.usefixtures("shelved")
def test_digits_are_changed_as_it_says():
    images = mnist("test").images[:20]
    assert torch.equal(normalised.changed(images, "shifted", 3)[..., 3:], images[..., :-3])
    assert torch.equal(normalised.changed(images, "turned", 90), images.rot90(1, (2, 3)))
    half = normalised.changed(images, "scaled", 0.5)
    assert half[:, :, :7].max() == half[..., 21:].max() == 0


@pytest.mark.slow
def test_lessons_are_listed_and_done(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["learn"]) == 0
    listed = capsys.readouterr().out
    assert all(lesson.question in listed for lesson in LESSONS.values())
    assert main(["learn", "circuits", "--set", "expression=a * b", "--set", "numbers=3,4", "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "Holds. The output is 12." in told
    picture = open_picture("learn-circuits.png")
    assert picture.shape[1] > 600
    recipe = read_recipe("learn-circuits.png")
    assert (recipe.verb, recipe.output, recipe.settings["numbers"]) == ("learn", "circuits", [3.0, 4.0])
    # The same picture from its own recipe.
    assert main(["rerun", "learn-circuits.png", "-o", "again.png", "--quiet"]) == 0
    assert torch.equal(open_picture("again.png"), picture)
    capsys.readouterr()
    assert main(["recipe", "learn-circuits.png"]) == 0
    assert "lanterna learn circuits --set 'expression=a * b' --set numbers=3.0,4.0" in capsys.readouterr().out
    assert main(["learn", "circuits"]) == 2  # nothing is overwritten unasked
    assert main(["learn", "nonsense"]) == 2
    assert "there are gates, derivative" in capsys.readouterr().err
    assert main(["learn", "curve", "--set", "degree=400"]) == 2
    assert "degree" in capsys.readouterr().err
    assert main(["learn", "--json"]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == list(LESSONS)


def test_every_lesson_can_be_made_again():
    for name, lesson in LESSONS.items():
        declared = technique_of("learn", name)
        assert declared is not None
        assert declared.settings is lesson.settings
        assert lesson.settings.verb == f"learn {name}"
        assert (ROOT / lesson.where).is_file()
