"""Lesson 13. A function made of functions: any curve from n bent lines, and how the error falls with n.

A sum of n relu units is a curve of straight pieces with n corners; the more, the nearer (Cybenko 1989, of
sigmoids). Here the corners are set evenly and their weights found by least squares, so that nothing hangs on
how long one trains. A twice differentiable curve is then approached as 1 / n² (de Boor, "A Practical Guide to
Splines", chapter 3); one with a jump is not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.recipes.recipe import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lanterna.lessons.lesson import Verdict

    Array = NDArray[np.float64]

_PLACES = 2001
_SMOOTH = 1.6  # the power of n, at least, by which the error of a smooth curve falls


class Functions(Recipe):
    """Approximate a curve by n bent lines."""

    verb: ClassVar[str] = "learn functions"

    curve: Literal["waves", "bump", "step", "own"] = Field(default="waves", description="What is approached.")
    own: tuple[float, ...] = Field(
        default=(), max_length=200, description="Heights of a curve of your own, from left to right."
    )
    neurons: int = Field(default=128, ge=1, le=512, description="Neurons, at most.")


def wanted(recipe: Functions, xs: Array) -> Array:
    """The curve at places between 0 and 1."""
    if recipe.curve == "own" and len(recipe.own) > 1:
        drawn: Array = np.interp(xs, np.linspace(0, 1, len(recipe.own)), np.array(recipe.own))
        return drawn
    if recipe.curve == "bump":
        bump: Array = np.exp(-(((xs - 0.5) / 0.12) ** 2))
        return bump
    if recipe.curve == "step":
        return (xs > 0.4321).astype(np.float64)
    waves: Array = np.sin(5 * math.pi * xs) + 0.5 * np.sin(2 * math.pi * xs)
    return waves


def approached(recipe: Functions, neurons: int, xs: Array) -> Array:
    """The best sum of so many relu units with corners set evenly, a line beneath them."""
    corners = np.linspace(0, 1, neurons + 2)[1:-1]
    at = np.concatenate([np.ones((len(xs), 1)), xs[:, None], np.maximum(0, xs[:, None] - corners)], 1)
    weights = np.linalg.lstsq(at, wanted(recipe, xs), rcond=None)[0]
    found: Array = at @ weights
    return found


def error(recipe: Functions, neurons: int) -> float:
    """Root mean square error over the curve."""
    xs = np.linspace(0, 1, _PLACES)
    return float(np.sqrt(np.mean((approached(recipe, neurons, xs) - wanted(recipe, xs)) ** 2)))


def experiment(recipe: Functions) -> Outcome:
    """The error with 1, 2, 4 … neurons."""
    sizes = [2**power for power in range(recipe.neurons.bit_length()) if 2**power <= recipe.neurons]
    errors = [max(error(recipe, size), 1e-12) for size in sizes]
    late = [(size, value) for size, value in zip(sizes, errors, strict=True) if size >= 8] or list(
        zip(sizes, errors, strict=True)
    )
    (first, before), (last, after) = late[0], late[-1]
    power = math.log(before / after) / math.log(last / first) if last > first else 0.0
    falls = after < before or after < 1e-9
    verdict: Verdict = (
        "holds" if falls and power > _SMOOTH else "holds only when" if falls else "does not hold"
    )
    words = (
        f"The error falls from {errors[0]:.3f} with one neuron to {errors[-1]:.1e} with {sizes[-1]}, at last "
        f"as n to the power of {-power:.1f}. "
    )
    words += (
        "A smooth curve is approached quickly: twice the neurons, a quarter of the error."
        if power > _SMOOTH
        else "Where a curve jumps or has sharp corners, a sum of bent lines comes near slowly."
    )
    xs = np.linspace(0, 1, 401)
    few = sizes[min(3, len(sizes) - 1)]
    shown = Chart(
        "The curve, and what is made of bent lines", "x", "y",
        [
            Line("wanted", xs.tolist(), wanted(recipe, xs).tolist()),
            Line(f"{few} neurons", xs.tolist(), approached(recipe, few, xs).tolist()),
            Line(f"{sizes[-1]} neurons", xs.tolist(), approached(recipe, sizes[-1], xs).tolist(), "dashed"),
        ],
    )  # fmt: skip
    fall = Chart(
        "How near it comes", "neurons", "error", [Line("", sizes, errors)], log_across=True, log_up=True
    )
    numbers = {"error with one": errors[0], f"error with {sizes[-1]}": errors[-1], "power": power}
    return Outcome(Finding(verdict, words, numbers, ()), [shown, fall])


LESSON = Lesson(
    "functions", "A function made of functions", "Can any curve be made of neurons?",
    "A network is a function made of functions, and with enough neurons it comes near to any curve.",
    "src/lanterna/lessons/functions.py", Functions, experiment, quick=True,
)  # fmt: skip
