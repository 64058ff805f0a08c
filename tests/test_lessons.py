"""Each lesson's finding holds with a margin, falls where its mechanism is broken, and answers odd wishes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from lanterna.errors import UsageError
from lanterna.images import open_picture, read_record
from lanterna.images.digits import mnist
from lanterna.lessons import (
    LESSONS,
    curve,
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
from lanterna.lessons.scalars import Value, circuit
from lanterna.networks import open_network
from lanterna.surfaces.cli import main
from lanterna.surfaces.rerun import MAKINGS

ROOT = Path(__file__).parent.parent


def finding(name: str, **wishes):
    lesson = LESSONS[name]
    return lesson.experiment(lesson.recipe.checked(wishes)).finding


@pytest.mark.parametrize("seed", [0, 100, 200])
def test_the_rule_costs_the_same_for_any_number_of_inputs(seed):
    found = finding("gates", seed=seed)
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
        "tanh(a * b)",
        "sigmoid(a - b)",
        "relu(a)",
    ):
        assert apart_from_torch(expression, {"a": x, "b": y}) < 1e-9


def test_the_circuit_agrees_with_nudges_and_shows_each_wire():
    outcome = LESSONS["circuits"].experiment(Circuits(expression="relu(a * b) + c ** 2", numbers=(2, 3, -1)))
    assert outcome.finding.verdict == "holds"
    told = {row[0]: row[1:] for row in outcome.rows}
    assert told["a"] == ("input", "2", "3", "3")
    assert told["c"] == ("input", "-1", "-2", "-2")
    output, nudged = checked_by_nudges(Circuits(expression="a * a", numbers=(4,)))
    assert output.wires()[0].slope == 8.0  # both ways add up
    assert nudged[0] == pytest.approx(8.0)


@pytest.mark.parametrize("gate", ["__mul__", "sigmoid"])
def test_a_gate_with_a_wrong_sign_is_found(monkeypatch, gate):
    right = getattr(Value, gate)

    def wrong(*inputs):
        made = right(*inputs)
        return Value(made.number, made.made_by, made.inputs, [-local for local in made.locals])

    monkeypatch.setattr(Value, gate, wrong)
    monkeypatch.setitem(scalars.SQUASHES, "sigmoid", Value.sigmoid)
    assert finding("circuits", others=0).verdict == "does not hold"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("a +", "expected such as"),
        ("a.b", "expected + - * /"),
        ("open('x')", "expected + - * /"),
        ("[a for a in b]", "expected + - * /"),
        ("z * a", "'z' has no number"),
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


@pytest.mark.parametrize("seed", [0, 50, 100])
def test_more_freedom_fits_the_points_and_then_not_the_truth(seed):
    numbers = finding("curve", seed=seed).numbers
    assert 3 <= numbers["best degree"] <= 7
    assert numbers["least test error"] < 0.2
    assert numbers["test error of the highest degree"] > 3 * numbers["least test error"]
    assert numbers["training error of the highest degree"] < 0.2
    assert numbers["network's test error"] < 0.35


def test_without_noise_or_with_many_points_freedom_does_no_harm():
    assert finding("curve", noise=0, points=200).verdict == "holds only when"
    assert finding("curve", points=500, degree=9).verdict == "holds only when"


def test_a_fit_is_numpys_least_squares():
    recipe = Curve(points=15)
    xs, ys = curve.sample(recipe, 3)
    plain = np.polyval(np.polyfit(xs, ys, 4), xs)
    assert curve.errors(recipe, 4, 3)[0] == pytest.approx(
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


def test_walks_are_torchs_optimisers():
    for way, made in (
        ("plain", lambda x: torch.optim.SGD([x], 0.1)),
        ("momentum", lambda x: torch.optim.SGD([x], 0.1, momentum=0.9)),
        ("adam", lambda x: torch.optim.Adam([x], 0.1)),
    ):
        x = torch.tensor(6.0, dtype=torch.float64, requires_grad=True)
        optimiser, places = made(x), [6.0]
        for _ in range(30):
            optimiser.zero_grad()
            torch.autograd.backward(x * x / 10 + torch.sin(2.2 * x))
            optimiser.step()
            places.append(x.item())
        assert descent.walk(6.0, 0.1, 30, way) == pytest.approx(places, abs=1e-9)


def test_uphill_does_not_hold(monkeypatch):
    right = descent.slope
    monkeypatch.setattr(descent, "slope", lambda x: -right(x))
    assert finding("descent").verdict != "holds"


@pytest.mark.parametrize(("points", "most"), [("xor", 0.7), ("rings", 0.7), ("moons", 0.92)])
def test_two_layers_tell_apart_what_one_cannot(points, most):
    found = finding("layers", points=points)
    assert found.verdict == "holds"
    assert found.numbers["one layer"] < most
    assert found.numbers["two layers"] > 0.97


def test_two_layers_are_one_without_a_bend():
    found = finding("layers", points="xor", bend="none")
    assert found.verdict == "holds only when"
    assert found.numbers["two layers"] < 0.7
    assert "two layers are one" in found.words
    assert finding("layers", points="two heaps").verdict == "holds only when"


def test_counting_the_connections_of_two_layers():
    for hidden in (1, 5):
        made = layers.network(layers.Layers(hidden=hidden), 2, 0)
        counted = sum(parameter.numel() for parameter in made.parameters())
        assert counted == finding("layers", hidden=hidden, points="two heaps").numbers["links"]


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


def test_without_the_bend_no_curve_is_approached(monkeypatch):
    monkeypatch.setattr(functions.np, "maximum", lambda _, values: values)
    assert finding("functions").verdict == "does not hold"


@pytest.fixture(scope="module")
def shelved(real_shelf):
    """The real shelf, which lessons on digits need."""
    return real_shelf


@pytest.mark.usefixtures("shelved")
def test_digits_that_are_off_are_misread_unless_cleaned_up():
    lost = finding("normalised", digits=300, fraction=0.15).numbers
    assert lost["lost, dense"] > 0.6
    assert 0.2 < lost["lost, conv"] < lost["lost, dense"] - 0.2  # convolutions care less where a digit is
    assert lost["lost, conv, augmented"] < lost["lost, conv"]
    assert max(lost["lost, dense, cleaned"], lost["lost, conv, cleaned"]) < 0.05
    turned = finding("normalised", change="turned", digits=300, fraction=0.15)
    assert turned.verdict == "does not hold"
    assert "turns none" in turned.words


@pytest.mark.usefixtures("shelved")
@pytest.mark.parametrize("seed", [0, 1])
def test_a_negative_bias_makes_units_harder_to_activate(monkeypatch, seed):
    found = finding("neuron", digits=300, seed=seed)
    assert found.verdict == "holds"
    assert found.numbers["on, with the bias"] < 0.7 * found.numbers["on, as trained"]
    assert found.numbers["halfway at"] == 2.0
    assert (
        finding("neuron", digits=300, bias=2).numbers["on, with the bias"] > found.numbers["on, as trained"]
    )
    right = neuron.sums
    monkeypatch.setattr(neuron, "sums", lambda recipe: -1e3 * right(recipe).sign())  # nothing a bias can move
    assert finding("neuron", digits=300).verdict == "does not hold"


@pytest.mark.usefixtures("shelved")
def test_relu_learns_sooner_because_its_gradient_arrives():
    found = finding("squash", depths=[1, 3], runs=1, steps=800)
    assert found.verdict == "holds only when"
    for depth in (1, 3):
        assert found.numbers[f"relu, {depth}: steps"] < 0.8 * found.numbers[f"sigmoid, {depth}: steps"]
    # Each sigmoid takes three quarters of the gradient, at least.
    shrinks = found.numbers["sigmoid, 3: gradient"] / found.numbers["sigmoid, 1: gradient"]
    keeps = found.numbers["relu, 3: gradient"] / found.numbers["relu, 1: gradient"]
    assert shrinks < 1 / 8
    assert keeps > 1 / 3


@pytest.mark.usefixtures("shelved")
def test_a_sigmoid_that_passes_gradients_on_is_no_worse(monkeypatch):
    right = squash.network
    monkeypatch.setattr(squash, "network", lambda recipe, _, depth, seed: right(recipe, "relu", depth, seed))
    assert finding("squash", depths=[1, 2], runs=1, steps=200, units=32).verdict == "does not hold"


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


@pytest.mark.usefixtures("shelved")
def test_without_the_clean_up_it_does_not_help(monkeypatch):
    monkeypatch.setattr(normalised, "cleaned", lambda images: images)
    assert finding("normalised", digits=200, fraction=0.05).verdict == "does not hold"


@pytest.mark.usefixtures("shelved")
def test_digits_are_changed_as_it_says():
    images = mnist("test").images[:20]
    assert torch.equal(normalised.changed(images, "shifted", 3)[..., 3:], images[..., :-3])
    assert torch.equal(normalised.changed(images, "turned", 90), images.rot90(1, (2, 3)))
    half = normalised.changed(images, "scaled", 0.5)
    assert half[:, :, :7].max() == half[..., 21:].max() == 0


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
    record = read_record("learn-circuits.png")
    assert (record.verb, record.made, record.settings["numbers"]) == ("learn", "circuits", [3.0, 4.0])
    # The same picture from its own record.
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
        module, _, kind = MAKINGS["learn", name].recipe.partition(":")
        assert (module, kind) == (lesson.recipe.__module__, lesson.recipe.__name__)
        assert lesson.recipe.verb == f"learn {name}"
        assert (ROOT / lesson.where).is_file()
