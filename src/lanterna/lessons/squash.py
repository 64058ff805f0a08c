"""Lesson 8. Sigmoid against ReLU: does ReLU learn better because it is simple?

The same digit network with up to eight hidden layers: how many steps it needs to read 95 % of test digits,
how large each layer's gradient is at the start, and how many units are dead at the end. A sigmoid's
derivative is at most a quarter, so that the gradient shrinks with every layer on its way back (Hochreiter
1991). A ReLU's is 1 when it is on and 0 when it is off, which may be for good (a dead unit).

Tanh tests the "because it is simple": it is a stretched sigmoid, 2 sigmoid(2 x) - 1, and no simpler, but its
derivative reaches 1 and its outputs are centred on 0 (Glorot and Bengio 2010). The suited sigmoid has the
same shape as the other one, but starts as suits its shape: with four times the weights, as its derivative is
a quarter of tanh's, and with biases that cancel the mean of its inputs, 0.5.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from lanterna.devices import without_dynamo
from lanterna.images.digits import Digits, mnist
from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.loop import one_thread
from lanterna.lessons.progress import track
from lanterna.lessons.text import counted, listed, of_runs, percent
from lanterna.networks.digits import dense
from lanterna.techniques.technique import Settings
from lanterna.techniques.train.algorithm import accuracy, in_unit_range

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from lanterna.lessons.lesson import Verdict
    from lanterna.networks.network import Network

Activation = Literal["sigmoid", "tanh", "relu", "suited sigmoid"]

ACTIVATIONS: tuple[Activation, ...] = ("relu", "sigmoid", "tanh", "suited sigmoid")
_GAINS: dict[Activation, float] = {"relu": 2**0.5, "sigmoid": 1.0, "tanh": 1.0, "suited sigmoid": 4.0}
_MEAN = 0.5  # of a sigmoid's outputs
# Each activation's derivative, computed from its output.
_DERIVATIVES: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.Sigmoid: lambda out: out * (1 - out),
    nn.Tanh: lambda out: 1 - out * out,
    nn.ReLU: lambda out: (out > 0).float(),
}
_BATCH, _TEST_EVERY, _TEST_DIGITS = 64, 25, 1000
_SOONER = 0.8  # of the other's steps: with at most this share an activation clearly learns sooner
_DEAD = 0.01  # a unit whose derivative is always smaller passes almost no gradient


class Saturation(Settings):
    """Train one network with sigmoid, tanh and ReLU units, at several depths."""

    verb: ClassVar[str] = "learn squash"

    depths: tuple[Annotated[int, Field(ge=1, le=8)], ...] = Field(
        default=(1, 2, 4, 8), min_length=1, max_length=8, description="Numbers of hidden layers, 1 to 8 each."
    )
    units: int = Field(default=64, ge=4, le=512, description="Units of each hidden layer.")
    steps: int = Field(default=3000, ge=25, le=20_000, description="Steps of training, at most.")
    rate: float = Field(default=0.002, gt=0, le=0.1, description="The learning rate.")
    goal: float = Field(default=0.95, gt=0.1, lt=1, description="The share of test digits to read correctly.")
    runs: int = Field(default=3, ge=1, le=9, description="Networks to train with different seeds.")


@dataclass(frozen=True)
class TrainingRun:
    """The result of training one network.

    `steps` until the goal, or all of them if it was not `reached`; `gradients` of each layer's weights on the
    first batch (root mean square), relative to the output layer's; the share of `dead` units at the end.
    """

    steps: int
    reached: bool
    gradients: Sequence[float]
    dead: float


def network(settings: Saturation, activation: Activation, depth: int, seed: int) -> Network:
    """Return a digit network with Xavier initialisation (Glorot and Bengio 2010), times a gain."""
    suited = activation == "suited sigmoid"
    net = dense([settings.units] * depth, "sigmoid" if activation == "suited sigmoid" else activation)
    generator = torch.Generator().manual_seed(seed)
    first, *others = (module for module in net.modules() if isinstance(module, nn.Linear))
    for layer in (first, *others):
        gain = 1.0 if suited and layer is others[-1] else _GAINS[activation]
        nn.init.xavier_normal_(layer.weight, gain, generator=generator)
        nn.init.zeros_(layer.bias)
        if suited and layer is not first:
            layer.bias.data = -_MEAN * layer.weight.data.sum(1)
    return net


def trained(settings: Saturation, activation: Activation, depth: int, seed: int) -> TrainingRun:
    """Train until the goal is reached, or for all steps."""
    net, digits, test = network(settings, activation, depth, seed), mnist("train"), mnist("test")
    test = Digits(test.images[:_TEST_DIGITS], test.labels[:_TEST_DIGITS])
    optimiser = without_dynamo(torch.optim.Adam)(net.parameters(), settings.rate, fused=True)
    generator = torch.Generator().manual_seed(seed)
    gradients: list[float] = []
    reached = False
    for step in range(1, settings.steps + 1):
        chosen = torch.randint(0, len(digits.labels), (_BATCH,), generator=generator)
        optimiser.zero_grad()
        loss = F.cross_entropy(net(in_unit_range(digits.images[chosen])), digits.labels[chosen])
        torch.autograd.backward(loss)
        gradients = gradients or _gradients(net)
        optimiser.step()
        if step % _TEST_EVERY == 0 and accuracy(net, test) >= settings.goal:
            reached = True
            break
    return TrainingRun(step, reached, gradients, dead(net, test))


def _gradients(net: Network) -> list[float]:
    layers = [module for module in net.modules() if isinstance(module, nn.Linear)]
    sizes = [
        layer.weight.grad.square().mean().sqrt().item() for layer in layers if layer.weight.grad is not None
    ]
    return [size / sizes[-1] for size in sizes]


def dead(net: Network, digits: Digits) -> float:
    """Return the share of hidden units that pass almost no gradient for any digit."""
    flags = []
    with torch.no_grad():
        for name, out in net.run(in_unit_range(digits.images)):
            derivative = _DERIVATIVES.get(type(net.layer(name)))
            if derivative:
                flags.append((derivative(out) < _DEAD).all(0).float())
    return torch.cat(flags).mean().item()


@one_thread()
def experiment(settings: Saturation) -> Outcome:
    """Train each activation at each depth, and take medians over seeds.

    With depths 1 to 8 and five seeds (two to four minutes) ReLU needs 29 to 49 % of sigmoid's steps wherever
    sigmoid reaches the goal, tanh 35 to 61 %. With 6 layers one sigmoid network of five reaches it, with 7
    and 8 none.
    """
    depths = sorted(set(settings.depths))
    seeds = range(settings.seed, settings.seed + settings.runs)
    runs = {
        (activation, depth): [trained(settings, activation, depth, seed) for seed in seeds]
        for depth, activation in track([*product(depths, ACTIVATIONS)], "training networks")
    }
    steps = {key: statistics.median(run.steps for run in group) for key, group in runs.items()}
    reached = {key: sum(run.reached for run in group) for key, group in runs.items()}
    dead_units = {key: statistics.median(run.dead for run in group) for key, group in runs.items()}
    gradients = {
        key: [statistics.median(layer) for layer in zip(*(run.gradients for run in group), strict=True)]
        for key, group in runs.items()
    }

    def sooner(activation: Activation) -> list[int]:
        return [depth for depth in depths if steps[activation, depth] <= _SOONER * steps["sigmoid", depth]]

    deepest = depths[-1]
    verdict, words = _conclusion(
        settings, depths, sooner("relu"), sooner("tanh"), gradients["sigmoid", deepest][0],
        any_reached=any(reached.values()),
    )  # fmt: skip
    if (
        reached["suited sigmoid", deepest] > settings.runs / 2
        and reached["sigmoid", deepest] <= settings.runs / 2
    ):
        suited = _needed(settings, runs["suited sigmoid", deepest], spread=True)
        words += (
            f" Nor because of the sigmoid's shape: the same sigmoid learns in {suited} steps if its weights "
            "start larger and its biases cancel the mean of its inputs (the suited sigmoid). What stops it "
            "at depth is the start."
        )
    relu, tanh, sigmoid = (runs[activation, deepest] for activation in ("relu", "tanh", "sigmoid"))
    words = (
        f"With {counted(deepest, 'hidden layer')} ReLU needs {_needed(settings, relu, spread=True)} steps, "
        f"tanh {_needed(settings, tanh, spread=True)} and sigmoid {_needed(settings, sigmoid)} until "
        f"{percent(settings.goal)} of the first {_TEST_DIGITS:,} test digits are read. {words}"
    )
    numbers = {
        f"{activation}, {depth}: {what}": float(value)
        for activation, depth in runs
        for what, value in (
            ("steps", steps[activation, depth]), ("reached", reached[activation, depth] / settings.runs),
            ("gradient", gradients[activation, depth][0]), ("dead", dead_units[activation, depth]),
        )
    }  # fmt: skip
    numbers["sigmoid's steps relative to ReLU's, at least"] = min(
        steps["sigmoid", depth] / steps["relu", depth] for depth in depths
    )
    finding = Finding(verdict, words + of_runs(settings.runs), numbers, tuple(seeds))
    layers = range(1, deepest + 2)
    charts = [
        Chart(f"Steps until {percent(settings.goal)} are read correctly", "hidden layers",
              f"steps, {settings.steps} at most",
              _lines(depths, steps), whole_across=True),
        Chart(f"Gradients at the start, {counted(deepest, 'hidden layer')}", "layer",
              "gradient, relative to the last layer's",
              [Line(activation, layers, gradients[activation, deepest]) for activation in ACTIVATIONS],
              log_up=True, whole_across=True),
        Chart("Dead units at the end", "hidden layers", "share of all units", _lines(depths, dead_units),
              whole_across=True),
    ]  # fmt: skip
    rows = [
        ("hidden layers", "activation", "steps", "runs that reached the goal",
         "first layer's gradient, times smaller than the last's", "dead units"),
        *(
            (
                str(depth), activation, f"{steps[activation, depth]:.0f}",
                f"{reached[activation, depth]} of {settings.runs}",
                _times(gradients[activation, depth][0]), percent(dead_units[activation, depth], 1),
            )
            for activation, depth in runs
        ),
    ]  # fmt: skip
    return Outcome(finding, charts, rows)


def _conclusion(
    settings: Saturation, depths: list[int], relu: list[int], tanh: list[int], arrives: float,
    *, any_reached: bool,
) -> tuple[Verdict, str]:  # fmt: skip
    """Return the verdict, given the depths at which ReLU and tanh clearly learn sooner than sigmoid.

    `arrives` is the share of the gradient that reaches the first layer through all layers of sigmoids.
    """
    if not any_reached:
        return (
            "holds only when",
            f"No network reached {percent(settings.goal)}: allow more steps to compare them.",
        )
    if not relu:
        return "does not hold", "ReLU does not learn clearly sooner than sigmoid."
    where = "at every depth" if relu == depths else f"with {listed(relu)} hidden layers only"
    words = f"ReLU learns sooner than sigmoid {where}, in at least a fifth fewer steps"
    if tanh:
        words += ". But not because it is simple: so does tanh, which is a stretched sigmoid and no simpler"
        if tanh != depths:
            words += f" (with {listed(tanh)} hidden layers)"
        words += (
            f". What differs is how much of the gradient arrives: with sigmoids, before the first step, the "
            f"first layer's is {_times(arrives)} times smaller than the last layer's, and a layer cannot "
            "learn from a correction that does not reach it"
        )
    return "holds" if relu == depths and not tanh else "holds only when", f"{words}."


def _needed(settings: Saturation, runs: Sequence[TrainingRun], *, spread: bool = False) -> str:
    """Return the steps that trainings needed: the median, and the range if asked, or how many got there."""
    steps = sorted(run.steps for run in runs)
    reached = sum(run.reached for run in runs)
    if not reached:
        return f"more than {settings.steps}"
    median = f"{statistics.median(steps):.0f}"
    if reached < len(runs):
        return f"{median} or more ({reached} of {len(runs)} get there)"
    return f"{median} ({steps[0]} to {steps[-1]})" if spread and steps[0] < steps[-1] else median


def _lines(depths: list[int], values: dict[tuple[Activation, int], float]) -> list[Line]:
    style: Literal["line", "marks"] = "line" if len(depths) > 1 else "marks"
    return [
        Line(activation, depths, [values[activation, depth] for depth in depths], style)
        for activation in ACTIVATIONS
    ]


def _times(share: float) -> str:
    """Return how many times smaller a share is than 1, with two digits: `2.6`, `1,000`, `300,000`."""
    factor = float(f"{1 / share:.2g}") if share else math.inf
    return f"{factor:,.{1 if factor < 10 else 0}f}" if math.isfinite(factor) else "∞"


LESSON = Lesson(
    "squash", "Sigmoid against ReLU", "Does ReLU learn better because it is simple?",
    "ReLU has replaced the sigmoid: it learns better, because it is simple.",
    "src/lanterna/networks/digits.py", Saturation, experiment, needs=("mnist",),
    quote=grierson("RELU is loads better than sigmoid because it's simple."),
    explanation="""
        Eight people stand in a line, and a correction is whispered from the last to the first. If
        each of them passes it on at a quarter of the loudness, the first hears nothing and learns
        nothing.

        A deep network is such a line. After every attempt, a correction travels back from its last
        layer to its first, and each layer's activation function makes it louder or quieter, depending
        on how steep the function is. The sigmoid, a smooth step from 0 to 1, is never steeper than
        one in four. Tanh, a sigmoid stretched to run from −1 to 1, is as steep as one in one at its
        middle. ReLU replaces every negative number by 0 and leaves the others alone, so where it is
        on, the correction passes at full strength. But where it is off, nothing passes at all, and a
        unit that is off for every picture is dead.

        The weights that the network starts with make the whisper louder or quieter too, so a fair
        comparison has to look at both. And is it the simplicity that helps? Tanh is no simpler than
        the sigmoid: if it does well, something else is behind it.
    """,
    seen="""
        Each block of squares is a layer's output before any learning, and the lamp below it how much
        of a correction arrives there on the way back. With sigmoids the lamps go out towards the first
        layer. With tanh and with ReLU they stay lit. And with four times the first weights, and biases
        that cancel the mean, the sigmoid's lamps stay lit as well.
    """,
)  # fmt: skip
