"""Lesson 6. Gradient descent: a cost with several valleys, steps too small, right and too large, and what
momentum and Adam do about it.

The cost is x² / 10 + sin(2.2 x): a bowl with waves in it. Momentum is Polyak's (1964), Adam that of Kingma
and Ba (2014), algorithm 1.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.recipes.recipe import Recipe

if TYPE_CHECKING:
    from lanterna.lessons.lesson import Verdict

Way = Literal["plain", "momentum", "adam"]
_WAVE = 2.2
_FLAT = 0.02  # a slope on which a walk rests
_FAR = 1e3  # where a walk has flown away
_WALKS = 40
_RATES = (0.003, 0.1, 1.5)  # too small, right, too large
_WAYS: tuple[Way, ...] = ("plain", "momentum", "adam")


class Descent(Recipe):
    """Go down a cost that has several valleys."""

    verb: ClassVar[str] = "learn descent"

    start: float = Field(default=6.0, ge=-10, le=10, description="Where the walk begins.")
    steps: int = Field(default=80, ge=1, le=2000, description="Steps of a walk.")
    rate: float = Field(default=0.1, gt=0, le=10, description="The learning rate of the three ways compared.")


def cost(x: float) -> float:
    """How high it is."""
    return x * x / 10 + math.sin(_WAVE * x)


def slope(x: float) -> float:
    """How steep it is."""
    return x / 5 + _WAVE * math.cos(_WAVE * x)


def walk(start: float, rate: float, steps: int, way: Way = "plain") -> list[float]:
    """Where a walk is after each step, until it has flown away."""
    x, speed, square, places = start, 0.0, 0.0, [start]
    for step in range(1, steps + 1):
        down = slope(x)
        if way == "momentum":
            speed = 0.9 * speed + down
            x -= rate * speed
        elif way == "adam":
            speed = 0.9 * speed + 0.1 * down
            square = 0.999 * square + 0.001 * down * down
            x -= rate * (speed / (1 - 0.9**step)) / (math.sqrt(square / (1 - 0.999**step)) + 1e-8)
        else:
            x -= rate * down
        places.append(x)
        if abs(x) > _FAR:
            break
    return places


def is_at_rest(x: float) -> bool:
    """Whether a walk has come to the bottom of a valley, and is not on a crest."""
    return abs(slope(x)) < _FLAT and cost(x) < min(cost(x - 0.1), cost(x + 0.1))


def lowest() -> float:
    """The lowest cost there is, to a thousandth."""
    return min(cost(place / 1000) for place in range(-10_000, 10_001))


def experiment(recipe: Descent) -> Outcome:
    """Walks with each rate, from one place and from many; how often each way ends in the lowest valley."""
    walks = {rate: walk(recipe.start, rate, recipe.steps) for rate in _RATES}
    best, chance = lowest(), random.Random(recipe.seed)
    starts = [chance.uniform(-10, 10) for _ in range(_WALKS)]
    rest, mean = {}, {}
    for rate in _RATES:
        ends = [walk(start, rate, recipe.steps)[-1] for start in starts]
        rest[rate] = sum(is_at_rest(x) for x in ends) / _WALKS
        mean[rate] = sum(min(cost(x), 20.0) for x in ends) / _WALKS
    reached: dict[Way, float] = {}
    for way in _WAYS:
        ends = [cost(walk(start, recipe.rate, recipe.steps, way)[-1]) for start in starts]
        reached[way] = sum(end < best + 0.05 for end in ends) / _WALKS
    small, right, large = _RATES
    holds = rest[right] > 0.9 and max(rest[small], rest[large]) < 0.5 and reached["plain"] < 0.9
    verdict: Verdict = "holds" if holds else "holds only when"
    words = (
        f"Of {_WALKS} walks of {recipe.steps} steps from anywhere {rest[small]:.0%} have come to rest with a "
        f"rate of {small:g}, {rest[right]:.0%} with {right:g}, {rest[large]:.0%} with {large:g}. "
    )
    if mean[large] < mean[right]:
        words += (
            f"But what leaps about is lower in the mean, {mean[large]:.2f} against {mean[right]:.2f}: it "
            "gets out of high valleys. "
        )
    words += (
        f"{reached['plain']:.0%} of plain walks with {recipe.rate:g} end in the lowest valley, "
        f"{reached['momentum']:.0%} with momentum, {reached['adam']:.0%} with Adam: where one ends depends "
        "on where one begins."
    )
    numbers = {
        "at rest, too small": rest[small], "at rest, right": rest[right], "at rest, too large": rest[large],
        "mean cost, right": mean[right], "mean cost, too large": mean[large],
        **{f"lowest valley, {way}": share for way, share in reached.items()},
    }  # fmt: skip
    ground = [place / 20 for place in range(-200, 201)]
    landscape = Chart(
        "The cost, and where plain walks end", "x", "cost",
        [
            Line("cost", ground, [cost(x) for x in ground]),
            Line("ends", *_ends([walk(start, recipe.rate, recipe.steps)[-1] for start in starts]), "marks"),
        ],
    )  # fmt: skip
    down = Chart(
        f"Costs on the way from {recipe.start:g}", "step", "cost",
        [
            Line(f"rate {rate:g}", list(range(len(places))), [min(cost(x), 20.0) for x in places])
            for rate, places in walks.items()
        ],
    )  # fmt: skip
    return Outcome(Finding(verdict, words, numbers, (recipe.seed,)), [landscape, down])


def _ends(places: list[float]) -> tuple[list[float], list[float]]:
    there = [x for x in places if abs(x) <= 10]
    return there, [cost(x) for x in there]


LESSON = Lesson(
    "descent", "Gradient descent", "How large should a step be?",
    "Small steps take long, large ones overshoot, and either may end in a valley that is not the lowest.",
    "src/lanterna/lessons/descent.py", Descent, experiment, quick=True,
)  # fmt: skip
