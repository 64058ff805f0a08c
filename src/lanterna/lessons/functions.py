"""Lesson 13. A function made of functions: any curve from n bent lines, and how the error falls with n.

A sum of n relu units is a curve of straight pieces with n corners; the more, the nearer (Cybenko 1989, of
sigmoids). Here the corners are set evenly and their weights found by least squares, so that nothing hangs on
how long one trains. A twice differentiable curve is then approached as 1 / n² (de Boor, "A Practical Guide to
Splines", chapter 3); one with a jump is not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from lanterna.errors import UsageError
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lanterna.lessons.lesson import Verdict

    Array = NDArray[np.float64]

_PLACES = 2001
_SMOOTH = 1.6  # the power of n, at least, by which the error of a smooth curve falls
_NOTHING = 1e-9  # an error that is none


class Functions(Settings):
    """Approximate a curve by n bent lines."""

    verb: ClassVar[str] = "learn functions"

    curve: Literal["waves", "bump", "step", "own"] = Field(default="waves", description="What is approached.")
    own: tuple[Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)], ...] = Field(
        default=(), max_length=200, description="Heights of a curve of your own, from left to right."
    )
    neurons: int = Field(default=128, ge=1, le=512, description="Neurons, at most.")


def wanted(settings: Functions, xs: Array) -> Array:
    """The curve at places between 0 and 1. Errors: `UsageError` where one's own has too few heights."""
    if settings.curve == "own":
        if len(settings.own) < 2:
            raise UsageError(f"own: expected 2 heights or more of your own curve, got {len(settings.own)}")
        drawn: Array = np.interp(xs, np.linspace(0, 1, len(settings.own)), np.array(settings.own))
        return drawn
    if settings.curve == "bump":
        bump: Array = np.exp(-(((xs - 0.5) / 0.12) ** 2))
        return bump
    if settings.curve == "step":
        return (xs > 0.4321).astype(np.float64)
    waves: Array = np.sin(5 * math.pi * xs) + 0.5 * np.sin(2 * math.pi * xs)
    return waves


def parts(settings: Functions, neurons: int, xs: Array) -> Array:
    """What the best sum of so many relu units is made of, `(places, 2 + neurons)`: an offset, a line, and
    each unit with its weight. The corners are set evenly.
    """
    corners = np.linspace(0, 1, neurons + 2)[1:-1]
    at = np.concatenate([np.ones((len(xs), 1)), xs[:, None], np.maximum(0, xs[:, None] - corners)], 1)
    weights = np.linalg.lstsq(at, wanted(settings, xs), rcond=None)[0]
    weighted: Array = at * weights
    return weighted


def approached(settings: Functions, neurons: int, xs: Array) -> Array:
    """Their sum."""
    found: Array = parts(settings, neurons, xs).sum(1)
    return found


def error(settings: Functions, neurons: int) -> float:
    """Root mean square error over the curve."""
    xs = np.linspace(0, 1, _PLACES)
    return float(np.sqrt(np.mean((approached(settings, neurons, xs) - wanted(settings, xs)) ** 2)))


def experiment(settings: Functions) -> Outcome:
    """The error with 1, 2, 4 … neurons."""
    sizes = [2**power for power in range(settings.neurons.bit_length())]
    errors = [max(error(settings, size), 1e-12) for size in sizes]
    late = [pair for pair in zip(sizes, errors, strict=True) if pair[0] >= 8]
    if len(late) < 2:
        late = list(zip(sizes, errors, strict=True))
    (first, before), (last, after) = late[0], late[-1]
    power = math.log(before / after) / math.log(last / first) if last > first else 0.0
    verdict, words = _told(settings, sizes, errors, power)
    xs = np.linspace(0, 1, 401)
    few = sizes[min(3, len(sizes) - 1)]
    shown = Chart(
        "The curve, and what comes near it", "x", "y",
        [
            Line("wanted", xs.tolist(), wanted(settings, xs).tolist()),
            Line(f"{few} neurons", xs.tolist(), approached(settings, few, xs).tolist()),
            Line(f"{sizes[-1]} neurons", xs.tolist(), approached(settings, sizes[-1], xs).tolist(), "dashed"),
        ],
    )  # fmt: skip
    made = parts(settings, few, xs)
    pieces = Chart(
        f"What the {few} are: an offset and a line, then bend after bend", "x", "y",
        [Line("", xs.tolist(), made[:, : count + 2].sum(1).tolist()) for count in range(few + 1)],
    )  # fmt: skip
    fall = Chart(
        "How near it comes", "neurons", "error", [Line("", sizes, errors)],
        log_across=True, log_up=True, whole_across=True,
    )  # fmt: skip
    numbers = {"error with one": errors[0], f"error with {sizes[-1]}": errors[-1], "power": power}
    return Outcome(Finding(verdict, words, numbers, ()), [shown, pieces, fall])


def _told(settings: Functions, sizes: list[int], errors: list[float], power: float) -> tuple[Verdict, str]:
    if errors[0] < _NOTHING:
        return "holds", "This curve is a straight line, which needs no bend: one neuron is as near as many."
    if len(sizes) < 2:
        return "holds only when", f"One neuron is off by {errors[0]:.3f}: there have to be more to compare."
    words = (
        f"The error falls from {errors[0]:.2g} with one neuron to {errors[-1]:.2g} with {sizes[-1]}, at last "
        f"as n to the power of {-power:.1f}: twice the neurons leave {2**-power:.0%} of it. "
    )
    if errors[-1] > 0.9 * errors[0]:
        return "does not hold", (
            f"With one neuron the error is {errors[0]:.3f}, with {sizes[-1]} still {errors[-1]:.3f}."
        )
    if power > _SMOOTH:
        return "holds", words + "So quickly is a curve approached that is smooth."
    if settings.curve in ("step", "own"):
        return "holds only when", (
            words + "Where a curve jumps or has sharp corners, bent lines come near slowly."
        )
    return "holds only when", words + "So few bends do not follow each wave yet: with more it goes quicker."


LESSON = Lesson(
    "functions", "A function made of functions", "Can any curve be made of neurons?",
    "A network is a function made of functions, and with enough neurons it comes near to any curve.",
    "src/lanterna/lessons/functions.py", Functions, experiment, quick=True,
)  # fmt: skip
