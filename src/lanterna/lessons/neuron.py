"""Lesson 4. A neuron: weights, a sum, a bias, an activation. A negative bias makes it harder to activate.

The sigmoid is a switch between 0 and 1 with a smooth transition, half on where the weighted sum cancels the
bias. The experiment trains a digit network, shifts the biases of its first layer, and counts how often test
digits switch its units on.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field

from lanterna.images.digits import mnist
from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.text import percent
from lanterna.techniques.technique import Settings
from lanterna.techniques.train.algorithm import in_unit_range, train
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.lessons.lesson import Verdict

_BIASES = (-6.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0)
_ON = 0.5  # a unit with a larger output is on


class Neuron(Settings):
    """Shift a neuron's bias and see how often it is on."""

    verb: ClassVar[str] = "learn neuron"

    bias: float = Field(default=-2.0, ge=-10, le=10, description="The bias to compare with no bias.")
    weight: float = Field(
        default=1.0, gt=0, le=20, description="The weight: the larger, the sharper the switch."
    )
    digits: int = Field(default=1000, ge=50, le=10_000, description="Test digits to show to the units.")


def output(total: Tensor, weight: float, bias: float) -> Tensor:
    """Return a neuron's output for the sum of its inputs."""
    return torch.sigmoid(weight * total + bias)


def pre_activations(settings: Neuron) -> Tensor:
    """Train a digit network with sigmoids. Return its first layer's weighted sums, `(digits, units)`."""
    requested = {"network": "dense", "activation": "sigmoid", "hidden": (64,), "epochs": 2, "fraction": 0.3,
                 "learning_rate": 0.01, "augmentation": "none", "seed": settings.seed}  # fmt: skip
    (last,) = deque(train(Train.checked(requested), device="cpu"), maxlen=1)
    images = in_unit_range(mnist("test").images[: settings.digits])
    with torch.no_grad():
        sums: Tensor = next(out for name, out in last.network.eval().run(images) if name == "hidden1")
    return sums


def experiment(settings: Neuron) -> Outcome:
    """Draw the switch with and without the bias, and count how often real units are on as biases shift."""
    totals = torch.linspace(-10, 10, 201)
    curves = [
        Line(f"bias {bias:g}", totals.tolist(), output(totals, settings.weight, bias).tolist())
        for bias in dict.fromkeys((settings.bias, 0.0, -settings.bias))
    ]
    sums = pre_activations(settings)
    on = {
        bias: (torch.sigmoid(sums + bias) > _ON).float().mean().item() for bias in (*_BIASES, settings.bias)
    }
    shares = [on[bias] for bias in _BIASES]
    shifted, trained = on[settings.bias], on[0.0]
    lower = settings.bias < 0
    holds = all(before <= after for before, after in pairwise(shares)) and shares[0] < trained / 2
    holds = holds and (shifted < trained if lower else shifted >= trained)
    verdict: Verdict = "holds" if holds else "does not hold"
    halfway = -settings.bias / settings.weight + 0.0
    words = (
        f"With a bias of {settings.bias:g} the neuron's output is 0.5 at a sum of {halfway:g} instead of 0. "
        f"On {settings.digits} test digits, the 64 units of a digit network's first layer are on "
        f"{percent(trained)} of the time after training. {'Lower' if lower else 'Raise'} all their biases by "
        f"{abs(settings.bias):g}, and they are on {percent(shifted)} of the time"
        f"{f', {trained / shifted:.1f} times less often' if 0 < shifted < trained else ''}."
    )
    charts = [
        Chart(f"One neuron, weight {settings.weight:g}", "sum of its inputs", "output", curves),
        Chart("First layer of a digit network", "added to every bias", "share of the time a unit is on",
              [Line("", _BIASES, shares)]),
    ]  # fmt: skip
    numbers = {"on, as trained": trained, "on, with the bias": shifted, "sum for an output of 0.5": halfway}
    return Outcome(Finding(verdict, words, numbers, (settings.seed,)), charts)


LESSON = Lesson(
    "neuron", "A neuron", "What does a bias do?",
    "A neuron weighs its inputs, adds a bias and applies an activation. A negative bias makes it harder to "
    "activate.",
    "src/lanterna/networks/digits.py", Neuron, experiment, needs=("mnist",),
    quote=grierson(
        "Also, you might want to make it harder for the network to get activated. This is useful to help "
        "make sure the nodes in the network only activate when there's a strong response."
    ),
    explanation="""
        Should you go to the party tonight? Your best friend is going: that counts for a lot. The
        music will be good: that counts a little. It is raining: that counts against it. You add it
        all up, and if it comes to enough, you go.

        A neuron decides in the same way. It multiplies each of its inputs by a weight, which says how
        much that input counts and whether it counts for or against, and adds up the results. Then it
        adds one more number that is always the same, the bias. You could call it your mood before
        anyone has said a word. If you are tired, your bias is negative, and it takes strong reasons
        to get you out of the house.

        Last, the sum goes through an activation function. The sigmoid works like a dimmer: a very
        negative sum gives almost 0, a very positive one almost 1, and in between the light fades up
        smoothly. A negative bias does not change the fade. It only moves it, so that the neuron needs
        more before it lights up.
    """,
    seen="""
        The weight decided how sharply the lamp switches, and the bias decided where. With a negative
        bias the same sum lit the lamp less, and it took a larger one to bring it to half its
        brightness. You changed none of the inputs, only how much it takes to convince the neuron.
    """,
)  # fmt: skip
