"""Lesson 4. A neuron: several inputs times their weights, a sum, a bias, an activation.

The first part is arithmetic: each input times its weight, all added up with the bias, and the sum through
sigmoid, tanh and ReLU, with their slopes there. The slope decides how much of a correction passes back. The
second part trains digit networks, shifts the biases of their first layers, and counts how often test digits
switch the units on.
"""

from __future__ import annotations

import itertools
import statistics
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field

from lanterna.images.digits import mnist
from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.progress import track
from lanterna.lessons.text import listed, of_runs, percent
from lanterna.techniques.technique import Settings
from lanterna.techniques.train.algorithm import in_unit_range, train
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from lanterna.lessons.lesson import Verdict

_BIASES = (-6.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0)
_ON = 0.5  # a unit with a larger output is on
_MOST = 8  # inputs
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "ReLU": torch.relu,
}  # fmt: skip


class Neuron(Settings):
    """Add up a neuron's inputs, shift its bias, and see how often it is on."""

    verb: ClassVar[str] = "learn neuron"

    inputs: tuple[float, ...] = Field(
        default=(1.0, 0.6, 0.8), min_length=1, max_length=_MOST,
        description="Its inputs; those that have no weight do not count.",
    )  # fmt: skip
    weights: tuple[float, ...] = Field(
        default=(3.0, 1.0, -1.5), min_length=1, max_length=_MOST,
        description="The weight of each input: how much it counts, for (positive) or against.",
    )  # fmt: skip
    bias: float = Field(
        default=-2.0, ge=-10, le=10, description="Its bias, which real units are compared with, too."
    )
    digits: int = Field(default=1000, ge=50, le=10_000, description="Test digits to show to real units.")
    runs: int = Field(default=3, ge=1, le=9, description="Networks to train with different seeds.")


def output(total: Tensor, activation: str = "sigmoid") -> tuple[Tensor, Tensor]:
    """Return a neuron's output for its sum, and the activation's slope there, by backpropagation."""
    total = total.detach().requires_grad_()
    result = ACTIVATIONS[activation](total)
    (slope,) = torch.autograd.grad(result.sum(), total)
    return result.detach(), slope


def pre_activations(settings: Neuron, seed: int) -> Tensor:
    """Train a digit network with sigmoids. Return its first layer's weighted sums, `(digits, units)`."""
    requested = {"network": "dense", "activation": "sigmoid", "hidden": (64,), "epochs": 2, "fraction": 0.3,
                 "learning_rate": 0.01, "augmentation": "none", "seed": seed}  # fmt: skip
    (last,) = deque(train(Train.checked(requested), device="cpu"), maxlen=1)
    images = in_unit_range(mnist("test").images[: settings.digits])
    with torch.no_grad():
        sums: Tensor = next(out for name, out in last.network.eval().run(images) if name == "hidden1")
    return sums


def experiment(settings: Neuron) -> Outcome:
    """Add up one neuron, draw its activations and their slopes, and shift the biases of real units."""
    terms = [x * w for x, w in zip(settings.inputs, settings.weights, strict=False)]
    total = sum(terms) + settings.bias
    here = {name: output(torch.tensor(total), name) for name in ACTIVATIONS}
    seeds = range(settings.seed, settings.seed + settings.runs)
    sums = [pre_activations(settings, seed) for seed in track(seeds, "training networks")]
    on = {
        bias: [(torch.sigmoid(each + bias) > _ON).float().mean().item() for each in sums]
        for bias in (*_BIASES, settings.bias)
    }
    shares = [statistics.median(on[bias]) for bias in _BIASES]
    shifted, trained = (statistics.median(on[bias]) for bias in (settings.bias, 0.0))
    lower = settings.bias < 0
    holds = all(before <= after for before, after in pairwise(shares)) and shares[0] < trained / 2
    holds = holds and (shifted < trained if lower else shifted >= trained)
    verdict: Verdict = "holds" if holds else "does not hold"
    made, slopes = ([f"{pair[n].item():.2g}" for pair in here.values()] for n in (0, 1))
    words = (
        f"The inputs times their weights add up to {sum(terms):.3g}, and with the bias to {total:.3g}. "
        f"Sigmoid turns that into {made[0]}, tanh into {made[1]} and ReLU into {made[2]}; their slopes there "
        f"are {listed(slopes)}. On {settings.digits} test digits, the 64 units of a digit network's first "
        f"layer are on {_in_percent(on[0.0])} of the time after training. {'Lower' if lower else 'Raise'} "
        f"all their biases by {abs(settings.bias):g}, and they are on {_in_percent(on[settings.bias])} of "
        f"the time{f', {trained / shifted:.1f} times less often' if 0 < shifted < trained else ''}."
    )
    numbers = {"sum": total, "sum without the bias for a sigmoid of 0.5": -settings.bias + 0.0}
    for name, (value, slope) in here.items():
        numbers |= {f"{name}, output": value.item(), f"{name}, slope": slope.item()}
    numbers |= {"on, as trained": trained, "on, with the bias": shifted}
    finding = Finding(verdict, words + of_runs(settings.runs), numbers, tuple(seeds))
    return Outcome(finding, _charts(terms, settings.bias, total, here, on))


def _charts(
    terms: list[float], bias: float, total: float, here: dict[str, tuple[Tensor, Tensor]],
    on: dict[float, list[float]],
) -> list[Chart]:  # fmt: skip
    reach = max(5.0, abs(total))
    sums = torch.linspace(-reach, reach, 201)
    added = list(itertools.accumulate((*terms, bias), initial=0.0))
    activations, slopes = (
        [
            *(Line(name, sums.tolist(), output(sums, name)[n].tolist()) for name in ACTIVATIONS),
            Line("here", [total] * len(here), [pair[n].item() for pair in here.values()], "marks"),
        ]
        for n in (0, 1)
    )
    ranges = [
        Line(name, _BIASES, [of(on[bias]) for bias in _BIASES], "line" if name == "median" else "dashed")
        for name, of in (("median", statistics.median), ("lowest", min), ("highest", max))
    ]
    return [
        Chart("Adding up: each input times its weight, then the bias", "terms added", "sum so far",
              [Line("", range(len(added)), added)], whole_across=True),
        Chart("Activations", "sum", "output", activations),
        Chart("Their slopes", "sum", "slope", slopes),
        Chart("First layers of digit networks", "added to every bias", "share of the time a unit is on",
              ranges if len(on[0.0]) > 1 else ranges[:1]),
    ]  # fmt: skip


def _in_percent(shares: list[float]) -> str:
    """Return the median of shares in percent, and their range."""
    low, high = (f"{100 * share:.0f}" for share in (min(shares), max(shares)))
    return percent(statistics.median(shares)) + (f" ({low} to {high})" if low != high else "")


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
        negative sum gives almost 0, a very positive one almost 1. Tanh is the same dimmer, from −1 to
        1. ReLU gives 0 for every negative sum and leaves a positive one as it is. How steep the
        function is at the sum, its slope, matters for learning: where it is flat, moving a weight
        changes nothing.
    """,
    seen="""
        Each link carries an input times its weight, amber for and blue against, and the neuron adds
        them up with the bias. A more negative bias moves the sum to the left on all three curves,
        without any input having changed. Far out, sigmoid and tanh are flat, with a slope of almost 0.
        ReLU is flat only on the left; on the right its slope is always 1.
    """,
)  # fmt: skip
