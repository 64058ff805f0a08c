"""Lesson 4. A neuron: weights, a sum, a bias, a squash. A negative bias makes it harder to activate.

The sigmoid is a switch between 0 and 1 with a smooth middle: it is halfway where the weighted sum makes up
for the bias. What a bias does is measured on the first units of a digit network, trained here: all their
biases are moved together, and it is counted how often test digits switch a unit on.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field

from lanterna.images.digits import mnist
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.techniques.technique import Settings
from lanterna.techniques.train.algorithm import in_unit_range, train
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.lessons.lesson import Verdict

_BIASES = (-6.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0)
_ON = 0.5  # the output of a unit that is switched on


class Neuron(Settings):
    """Move a neuron's bias, and see how often it is switched on."""

    verb: ClassVar[str] = "learn neuron"

    bias: float = Field(default=-2.0, ge=-10, le=10, description="The bias that is compared with none.")
    weight: float = Field(
        default=1.0, gt=0, le=20, description="The weight: the larger, the harder the switch."
    )
    digits: int = Field(
        default=1000, ge=50, le=10_000, description="Test digits that are shown to the units."
    )


def output(total: Tensor, weight: float, bias: float) -> Tensor:
    """What a neuron gives: its squashed sum."""
    return torch.sigmoid(weight * total + bias)


def sums(settings: Neuron) -> Tensor:
    """The weighted sums of the first units of a digit network with sigmoids, for each digit: `(N, units)`."""
    wanted = {"network": "dense", "activation": "sigmoid", "hidden": (64,), "epochs": 2, "fraction": 0.3,
              "learning_rate": 0.01, "augmentation": "none", "seed": settings.seed}  # fmt: skip
    (last,) = deque(train(Train.checked(wanted), device="cpu"), maxlen=1)
    images = in_unit_range(mnist("test").images[: settings.digits])
    with torch.no_grad():
        found: Tensor = next(out for name, out in last.network.eval().run(images) if name == "hidden1")
    return found


def experiment(settings: Neuron) -> Outcome:
    """The switch with and without the bias; and how often real units are on as their biases move."""
    totals = torch.linspace(-10, 10, 201)
    curves = [
        Line(f"bias {bias:g}", totals.tolist(), output(totals, settings.weight, bias).tolist())
        for bias in dict.fromkeys((settings.bias, 0.0, -settings.bias))
    ]
    real = sums(settings)
    on = {
        bias: (torch.sigmoid(real + bias) > _ON).float().mean().item() for bias in (*_BIASES, settings.bias)
    }
    shares = [on[bias] for bias in _BIASES]
    here, none = on[settings.bias], on[0.0]
    lower = settings.bias < 0
    holds = all(one <= other for one, other in pairwise(shares)) and shares[0] < none / 2
    holds = holds and (here < none if lower else here >= none)
    verdict: Verdict = "holds" if holds else "does not hold"
    halfway = -settings.bias / settings.weight + 0.0
    words = (
        f"With a bias of {settings.bias:g} the neuron is halfway at a sum of {halfway:g} in place of 0. On "
        f"{settings.digits} test digits, the 64 first units of a digit network are on {none:.0%} of the time "
        f"as trained, {here:.0%} with {abs(settings.bias):g} {'less' if lower else 'more'}: "
        f"{'harder' if lower else 'easier'} to activate, by a factor of {none / max(here, 1e-9):.1f}."
    )
    charts = [
        Chart(f"One neuron, weight {settings.weight:g}", "sum of its inputs", "output", curves),
        Chart("First units of a digit network", "added to every bias", "on, of all digits and units",
              [Line("", _BIASES, shares)]),
    ]  # fmt: skip
    numbers = {"on, as trained": none, "on, with the bias": here, "halfway at": halfway}
    return Outcome(Finding(verdict, words, numbers, (settings.seed,)), charts)


LESSON = Lesson(
    "neuron", "A neuron", "What does a bias do?",
    "A neuron weighs inputs, adds a bias, and squashes; a negative bias makes it harder to activate.",
    "src/lanterna/networks/digits.py", Neuron, experiment, needs=("mnist",),
)  # fmt: skip
