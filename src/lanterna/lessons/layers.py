"""Lesson 5. Chains and layers: what two layers can do that one cannot.

One layer draws a straight line between two classes, so that it cannot tell XOR's corners apart (Minsky and
Papert, "Perceptrons", 1969), nor a ring from what is inside it. With a bend between two layers it can.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.recipes.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.lessons.lesson import Verdict

_POINTS, _STEPS, _SEEDS = 200, 400, 5


class Layers(Recipe):
    """Tell two classes of points apart."""

    verb: ClassVar[str] = "learn layers"

    points: Literal["xor", "rings", "moons", "two heaps"] = Field(
        default="rings", description="What is to be told apart."
    )
    hidden: int = Field(default=8, ge=1, le=256, description="Units of the hidden layer.")
    bend: Literal["relu", "tanh", "sigmoid", "none"] = Field(
        default="relu", description="What stands between the two layers; none: they are one."
    )


def sample(kind: str, seed: int) -> tuple[Tensor, Tensor]:
    """Points `(N, 2)` and which class each is of, `(N,)`."""
    generator = torch.Generator().manual_seed(seed)
    which = torch.arange(_POINTS) % 2
    noise = 0.1 * torch.randn(_POINTS, 2, generator=generator)
    turn = 2 * math.pi * torch.rand(_POINTS, generator=generator)
    if kind == "rings":
        radius = torch.where(which == 0, 0.35, 1.0)[:, None]
        return radius * torch.stack([turn.cos(), turn.sin()], 1) + noise, which
    if kind == "moons":
        half = turn / 2
        upper = torch.stack([half.cos() - 0.5, half.sin() - 0.25], 1)
        return torch.where(which[:, None] == 0, upper, -upper) + noise, which
    if kind == "xor":
        corner = torch.randint(0, 2, (_POINTS,), generator=generator)
        signs = 2.0 * torch.stack([corner, corner ^ which], 1) - 1
        return 0.7 * signs + 2 * noise, which
    return (1.4 * which - 0.7)[:, None] * torch.ones(2) + 2 * noise, which


def network(recipe: Layers, layers: int, seed: int) -> nn.Sequential:
    """One layer, or two with a bend between them."""
    generator = torch.Generator().manual_seed(seed)
    bends = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "none": nn.Identity}
    made = nn.Sequential(nn.Linear(2, 1)) if layers == 1 else nn.Sequential(
        nn.Linear(2, recipe.hidden), bends[recipe.bend](), nn.Linear(recipe.hidden, 1)
    )  # fmt: skip
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(
                torch.randn(parameter.shape, generator=generator) / math.sqrt(parameter.shape[-1])
            )
    return made


def accuracy(recipe: Layers, layers: int, seed: int) -> float:
    """The share of fresh points told apart after learning from others."""
    points, which = sample(recipe.points, seed)
    made = network(recipe, layers, seed)
    optimiser = torch.optim.Adam(made.parameters(), 0.03)
    for _ in range(_STEPS):
        optimiser.zero_grad()
        torch.autograd.backward(F.binary_cross_entropy_with_logits(made(points)[:, 0], which.float()))
        optimiser.step()
    fresh, wanted = sample(recipe.points, seed + 10_000)
    with torch.no_grad():
        right: float = ((made(fresh)[:, 0] > 0) == wanted.bool()).float().mean().item()
    return right


def experiment(recipe: Layers) -> Outcome:
    """Accuracy of one layer and of two with 1, 2, 4 … hidden units, medians of some seeds."""
    seeds = range(recipe.seed, recipe.seed + _SEEDS)
    sizes = sorted({2**power for power in range(recipe.hidden.bit_length()) if 2**power <= recipe.hidden}
                   | {recipe.hidden})  # fmt: skip
    one = statistics.median(accuracy(recipe, 1, seed) for seed in seeds)
    two = [
        statistics.median(accuracy(recipe.changed({"hidden": size}), 2, seed) for seed in seeds)
        for size in sizes
    ]
    enough = next((size for size, value in zip(sizes, two, strict=True) if value > 0.95), None)
    holds = two[-1] > one + 0.1
    links = 3 * recipe.hidden + recipe.hidden + 1
    verdict: Verdict = "holds" if holds else "holds only when"
    words = (
        f"One layer, 3 numbers, tells {one:.0%} of fresh points apart; two with {recipe.hidden} hidden "
        f"units, {links} numbers, {two[-1]:.0%}. "
    )
    words += (
        f"{enough} of them {'is' if enough == 1 else 'are'} enough for 95 %."
        if enough
        else "None of these sizes comes to 95 %."
    )
    if recipe.bend == "none":
        words += " Without a bend between them two layers are one: a product of matrices is a matrix."
    elif not holds:
        words += " These points are told apart by a straight line, so that a second layer adds nothing."
    points, which = sample(recipe.points, recipe.seed)
    groups = [points[which == each].tolist() for each in (0, 1)]
    shown = Chart(
        f"The points: {recipe.points}", "x", "y",
        [Line(name, [x for x, _ in group], [y for _, y in group], "marks")
         for name, group in zip(("one class", "the other"), groups, strict=True)],
    )  # fmt: skip
    told = Chart(
        f"Told apart, medians of {_SEEDS} seeds", "hidden units", "share",
        [Line("two layers", sizes, two), Line("one layer", [sizes[0], sizes[-1]], [one, one], "dashed")],
    )  # fmt: skip
    numbers = {
        "one layer": one,
        "two layers": two[-1],
        "enough": float(enough or 0),
        "links": float(links),
    }
    return Outcome(Finding(verdict, words, numbers, tuple(seeds)), [shown, told])


LESSON = Lesson(
    "layers", "Chains and layers", "What can two layers do that one cannot?",
    "Every node is joined to every node of the next layer, and with more layers more can be told apart.",
    "src/lanterna/lessons/layers.py", Layers, experiment, quick=True,
)  # fmt: skip
