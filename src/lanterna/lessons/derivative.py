"""Lesson 2. Derivative: nudge, measure, divide. A nudge can be too large, and too small.

The error of (f(x + h) - f(x)) / h is half of h times the second derivative, and what rounding leaves of the
difference, divided by h: the smaller the nudge, the more. Nudged both ways the first part falls with h².
(Press et al., "Numerical Recipes", section 5.7.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.recipes.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Function = Callable[[np.floating], np.floating]

_FUNCTIONS: dict[str, tuple[Function, Function]] = {
    "sine": (np.sin, np.cos),
    "exponential": (np.exp, np.exp),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2),
    "cube": (lambda x: x * x * x, lambda x: 3 * x * x),
}


class Derivative(Recipe):
    """Measure a derivative with nudges of every size."""

    verb: ClassVar[str] = "learn derivative"

    function: Literal["sine", "exponential", "sigmoid", "cube"] = Field(
        default="sine", description="Whose derivative is measured."
    )
    x: float = Field(default=1.0, ge=-5, le=5, description="Where it is measured.")
    points: int = Field(
        default=40, ge=1, le=400, description="Places around x that the error is the mean of."
    )


def error(recipe: Derivative, kind: type[np.floating], nudge: float, *, both: bool) -> float:
    """How far the measured derivative is from the true one, as a share of it."""
    function, true = _FUNCTIONS[recipe.function]
    places = np.linspace(recipe.x - 0.05, recipe.x + 0.05, recipe.points)
    total = 0.0
    for place in places:
        x, h = kind(place), kind(nudge)
        low = x - h if both else x
        high = x + h
        width = kind(high - low)  # what the nudge has become by rounding
        if width == 0:
            return math.inf
        found = (function(high) - function(low)) / width
        total += abs(float(found) - float(true(np.float64(x)))) / max(abs(float(true(np.float64(x)))), 1e-9)
    return total / len(places)


def experiment(recipe: Derivative) -> Outcome:
    """The error at nudges from 1 down to 1e-16, one way and both, in 32 and in 64 bits."""
    nudges: NDArray[np.float64] = np.logspace(-16, 0, 65)
    lines, best = [], {}
    for name, kind, both in (
        ("64 bits, one way", np.float64, False),
        ("64 bits, both ways", np.float64, True),
        ("32 bits, one way", np.float32, False),
        ("32 bits, both ways", np.float32, True),
    ):
        found = [error(recipe, kind, float(nudge), both=both) for nudge in nudges]
        kept = [(float(h), e) for h, e in zip(nudges, found, strict=True) if 0 < e < 10]
        lines.append(Line(name, [h for h, _ in kept], [e for _, e in kept]))
        best[name] = min(kept, key=lambda pair: pair[1])
    worst = {name: (line.ys[0], line.ys[-1]) for name, line in zip(best, lines, strict=True)}
    holds = all(min(ends) > 30 * best[name][1] for name, ends in worst.items())
    one, two, single = (best[name] for name in ("64 bits, one way", "64 bits, both ways", "32 bits, one way"))
    words = (
        f"In 64 bits the best nudge is about {one[0]:.0e}, wrong by {one[1]:.0e}; both ways {two[0]:.0e}, "
        f"wrong by {two[1]:.0e}. In 32 bits, in which networks compute, it is {single[0]:.0e} and wrong by "
        f"{single[1]:.0e}. A larger nudge measures the bend of the curve, a smaller one the rounding."
    )
    numbers = {f"{name}: {what}": value for name, pair in best.items()
               for what, value in zip(("nudge", "error"), pair, strict=True)}  # fmt: skip
    title = f"Measuring the slope of the {recipe.function} around {recipe.x:g}"
    chart = Chart(title, "nudge h", "error, as a share", lines, True, True)
    return Outcome(Finding("holds" if holds else "holds only when", words, numbers), [chart])


LESSON = Lesson(
    "derivative", "Derivative and gradient", "How large should a nudge be?",
    "A derivative is the change of the output, divided by a tiny nudge of the input.",
    "src/lanterna/lessons/derivative.py", Derivative, experiment, quick=True,
)  # fmt: skip
