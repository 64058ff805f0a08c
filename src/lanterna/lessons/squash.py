"""Lesson 8. Sigmoid against ReLU: does ReLU learn better because it is simple?

The same digit network with one hidden layer, two, four: how many steps it takes until it reads nine tenths
of test digits, and how large the gradient of its first layer is at the start beside that of its last. A
sigmoid's slope is a quarter at most, so that the gradient shrinks with every layer that it goes back through
(Hochreiter 1991); a ReLU's is 1 where it is on, and 0 where it is off, which may be for good (a dead unit).
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from lanterna.images.digits import Digits, mnist
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.networks.digits import dense
from lanterna.recipes.recipe import Recipe
from lanterna.recipes.training import accuracy, in_unit_range

if TYPE_CHECKING:
    from lanterna.lessons.lesson import Verdict
    from lanterna.networks.stages import Network

    Squash = Literal["sigmoid", "relu"]

_BATCH, _EVERY, _TEST = 64, 25, 1000


class Squashing(Recipe):
    """Train one network with sigmoids and with ReLUs, at several depths."""

    verb: ClassVar[str] = "learn squash"

    depths: tuple[int, ...] = Field(
        default=(1, 2, 4), min_length=1, max_length=6, description="How many hidden layers."
    )
    units: int = Field(default=64, ge=4, le=512, description="Units of each hidden layer.")
    steps: int = Field(default=1500, ge=25, le=20_000, description="Steps of training, at most.")
    goal: float = Field(
        default=0.9, gt=0.1, lt=1, description="The share of test digits that is to be read right."
    )
    runs: int = Field(default=3, ge=1, le=9, description="How many seeds each is trained with.")


def network(recipe: Squashing, squash: Squash, depth: int, seed: int) -> Network:
    """A digit network whose weights keep the size of what goes through (Glorot and Bengio 2010)."""
    made = dense([recipe.units] * depth, squash)
    generator = torch.Generator().manual_seed(seed)
    for part in made.modules():
        if isinstance(part, nn.Linear):
            gain = 2**0.5 if squash == "relu" else 1.0
            nn.init.xavier_normal_(part.weight, gain, generator=generator)
            nn.init.zeros_(part.bias)
    return made


def steps_needed(recipe: Squashing, squash: Squash, depth: int, seed: int) -> tuple[int, float, float]:
    """Steps until the goal (all of them where it is not reached), the gradient of the first layer at the
    start beside the last one's, and the share of dead units at the end.
    """
    made, digits = network(recipe, squash, depth, seed), mnist("train")
    test = mnist("test")
    test = Digits(test.images[:_TEST], test.labels[:_TEST])
    optimiser = torch.optim.Adam(made.parameters(), 1e-3)
    generator = torch.Generator().manual_seed(seed)
    layers = [part for part in made.modules() if isinstance(part, nn.Linear)]
    ratio, needed = 0.0, recipe.steps
    for step in range(recipe.steps):
        chosen = torch.randint(0, len(digits.labels), (_BATCH,), generator=generator)
        made.train()
        optimiser.zero_grad()
        loss = F.cross_entropy(made(in_unit_range(digits.images[chosen])), digits.labels[chosen])
        torch.autograd.backward(loss)
        if step == 0:
            first, last = (layer.weight.grad for layer in (layers[0], layers[-1]))
            assert first is not None
            assert last is not None
            ratio = (first.square().mean().sqrt() / last.square().mean().sqrt()).item()
        optimiser.step()
        if (step + 1) % _EVERY == 0 and accuracy(made, test) >= recipe.goal:
            needed = step + 1
            break
    return needed, ratio, dead(made, test)


def dead(made: Network, digits: Digits) -> float:
    """The share of hidden units that no digit switches on: nothing goes through them, forward or back."""
    with torch.no_grad():
        outputs = [
            out for name, out in made.eval().run(in_unit_range(digits.images)) if name.startswith("relu")
        ]
    if not outputs:
        return 0.0
    return torch.cat([(out <= 0).all(0).float() for out in outputs]).mean().item()


def experiment(recipe: Squashing) -> Outcome:
    """Both squashes at each depth, medians over seeds."""
    seeds = range(recipe.seed, recipe.seed + recipe.runs)
    squashes: tuple[Squash, ...] = ("sigmoid", "relu")
    needed: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {}
    gone = 0.0
    for squash in squashes:
        rows = [[steps_needed(recipe, squash, depth, seed) for seed in seeds] for depth in recipe.depths]
        needed[squash] = [statistics.median(each[0] for each in row) for row in rows]
        ratios[squash] = [statistics.median(each[1] for each in row) for row in rows]
        gone = max(gone, max(each[2] for row in rows for each in row))
    quicker = all(relu < sigmoid for relu, sigmoid in zip(needed["relu"], needed["sigmoid"], strict=True))
    shrinks = ratios["sigmoid"][-1] < ratios["relu"][-1] / 3
    verdict: Verdict = (
        "holds" if quicker and not shrinks else "holds only when" if quicker else "does not hold"
    )
    deepest = recipe.depths[-1]
    late = " (all there were)" if needed["sigmoid"][-1] >= recipe.steps else ""
    words = (
        f"At a depth of {recipe.depths[0]} ReLU reads {recipe.goal:.0%} after {needed['relu'][0]:.0f} steps, "
        f"sigmoid after {needed['sigmoid'][0]:.0f}; at a depth of {deepest}, after "
        f"{needed['relu'][-1]:.0f} and {needed['sigmoid'][-1]:.0f}{late}. "
    )
    if quicker and shrinks:
        words += (
            f"It does learn sooner, but not because it is simple: at {deepest} layers the first layer's "
            f"gradient is {ratios['sigmoid'][-1]:.2g} of the last one's with sigmoids and "
            f"{ratios['relu'][-1]:.2g} with ReLUs. "
            "What a layer cannot hear, it cannot learn from."
        )
    words += f" Dead units: {gone:.0%} at most."
    numbers = {"dead": gone}
    for what, values in (("steps", needed), ("gradient", ratios)):
        for squash in squashes:
            for depth, value in zip(recipe.depths, values[squash], strict=True):
                numbers[f"{squash}, {depth}: {what}"] = value
    charts = [
        Chart(f"Until {recipe.goal:.0%} are read right", "hidden layers", "steps",
              [Line(squash, recipe.depths, needed[squash]) for squash in squashes]),
        Chart("At the start", "hidden layers", "gradient of the first layer, of the last one's",
              [Line(squash, recipe.depths, ratios[squash]) for squash in squashes], log_up=True),
    ]  # fmt: skip
    return Outcome(Finding(verdict, words, numbers, tuple(seeds)), charts)


LESSON = Lesson(
    "squash", "Sigmoid against ReLU", "Does ReLU learn better because it is simple?",
    "ReLU has taken the place of the sigmoid: it learns better, because it is simple.",
    "src/lanterna/networks/digits.py", Squashing, experiment, needs=("mnist",),
)  # fmt: skip
