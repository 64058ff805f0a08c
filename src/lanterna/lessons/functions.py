"""Lesson 13. A function made of functions: any curve from n ReLUs, and how the error falls with n.

A sum of n ReLU units is a piecewise linear curve with n corners; the more corners, the closer it gets
(Cybenko 1989, for sigmoids). Here the corners are evenly spaced and the weights found by least squares, so
that nothing depends on training. The error for a twice differentiable curve then falls as 1 / n² (de Boor, "A
Practical Guide to Splines", chapter 3), but not for a curve with a jump.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from lanterna.errors import UsageError
from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.text import counted, percent, scientific
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lanterna.lessons.lesson import Verdict

    Array = NDArray[np.float64]

_PLACES = 2001
_SMOOTH = 1.6  # the power of n by which the error of a smooth curve falls, at least
_EXACT = 1e-9  # a smaller error is rounding


class Functions(Settings):
    """Approximate a curve with n ReLU units."""

    verb: ClassVar[str] = "learn functions"

    curve: Literal["waves", "bump", "step", "own"] = Field(
        default="waves", description="The curve to approximate."
    )
    own: tuple[Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)], ...] = Field(
        default=(), max_length=200, description="Heights of your own curve, from left to right."
    )
    neurons: int = Field(default=128, ge=1, le=512, description="Neurons, at most.")


def target(settings: Functions, xs: Array) -> Array:
    """Return the curve at places in [0, 1].

    Errors: `UsageError` if the reader's own curve has fewer than two heights.
    """
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


def terms(settings: Functions, neurons: int, xs: Array) -> Array:
    """Return the terms of the best sum of ReLU units with evenly spaced corners, `(places, 2 + neurons)`.

    They are a constant, a straight line, and each unit times its weight.
    """
    corners = np.linspace(0, 1, neurons + 2)[1:-1]
    basis = np.concatenate([np.ones((len(xs), 1)), xs[:, None], np.maximum(0, xs[:, None] - corners)], 1)
    weights = np.linalg.lstsq(basis, target(settings, xs), rcond=None)[0]
    weighted: Array = basis * weights
    return weighted


def approximation(settings: Functions, neurons: int, xs: Array) -> Array:
    """Return the sum of the terms."""
    total: Array = terms(settings, neurons, xs).sum(1)
    return total


def error(settings: Functions, neurons: int) -> float:
    """Return the root mean squared error over the curve."""
    xs = np.linspace(0, 1, _PLACES)
    return float(np.sqrt(np.mean((approximation(settings, neurons, xs) - target(settings, xs)) ** 2)))


def experiment(settings: Functions) -> Outcome:
    """Measure the error with 1, 2, 4 … neurons."""
    sizes = [2**power for power in range(settings.neurons.bit_length())]
    errors = [max(error(settings, size), 1e-12) for size in sizes]
    late = [pair for pair in zip(sizes, errors, strict=True) if pair[0] >= 8]
    if len(late) < 2:
        late = list(zip(sizes, errors, strict=True))
    (first, before), (last, after) = late[0], late[-1]
    power = math.log(before / after) / math.log(last / first) if last > first else 0.0
    verdict, words = _conclusion(settings, sizes, errors, power)
    xs = np.linspace(0, 1, 401)
    few = sizes[min(3, len(sizes) - 1)]
    curves = Chart(
        "The curve and its approximations", "x", "y",
        [
            Line("target", xs.tolist(), target(settings, xs).tolist()),
            Line(counted(few, "neuron"), xs.tolist(), approximation(settings, few, xs).tolist()),
            Line(counted(sizes[-1], "neuron"), xs.tolist(),
                 approximation(settings, sizes[-1], xs).tolist(), "dashed"),
        ],
    )  # fmt: skip
    parts = terms(settings, few, xs)
    pieces = Chart(
        f"How {counted(few, 'neuron')} build it: a straight line, then one corner after another", "x", "y",
        [Line("", xs.tolist(), parts[:, : count + 2].sum(1).tolist()) for count in range(few + 1)],
    )  # fmt: skip
    fall = Chart(
        "Error by number of neurons", "neurons", "error", [Line("", sizes, errors)],
        log_across=True, log_up=True, whole_across=True,
    )  # fmt: skip
    numbers = {"error with one": errors[0], f"error with {sizes[-1]}": errors[-1], "power": power}
    return Outcome(Finding(verdict, words, numbers, ()), [curves, pieces, fall])


def _conclusion(
    settings: Functions, sizes: list[int], errors: list[float], power: float
) -> tuple[Verdict, str]:
    if errors[0] < _EXACT:
        return "holds", "This curve is a straight line and needs no corners: one neuron is as good as many."
    if len(sizes) < 2:
        return "holds only when", (
            f"One neuron has an error of {errors[0]:.3f}. Allow more neurons to compare."
        )
    words = (
        f"The error falls from {scientific(errors[0], 2)} with one neuron to {scientific(errors[-1], 2)} "
        f"with {sizes[-1]}. In the end it falls as n to the power of {-power:.1f}: twice as many neurons "
        f"leave {percent(2**-power)} of it. "
    )
    if errors[-1] > 0.9 * errors[0]:
        return "does not hold", (
            f"With one neuron the error is {errors[0]:.3f}, and with {sizes[-1]} it is still "
            f"{errors[-1]:.3f}."
        )
    if power > _SMOOTH:
        return "holds", words + "That is how quickly a smooth curve is approximated."
    if settings.curve in ("step", "own"):
        return "holds only when", (
            words + "Where a curve jumps or has sharp corners, the approximation improves slowly."
        )
    return "holds only when", (
        words + "So few corners cannot follow every wave yet: with more neurons the error falls faster."
    )


LESSON = Lesson(
    "functions", "A function made of functions", "Can neurons make any curve?",
    "A network is a function made of functions, and with enough neurons it gets close to any curve.",
    "src/lanterna/lessons/functions.py", Functions, experiment, quick=True,
    quote=grierson(
        "This is all just a simple function, that is part of a larger function - the NN is just a function "
        "approximator made up of lots of other functions."
    ),
    explanation="""
        A carpenter's folding ruler is made of straight pieces, and still you can lay it along a
        curve. The more hinges it has, the closer it fits.

        A ReLU neuron is a hinge. Up to some point its output is 0, and from there on it rises in a
        straight line. Add it to a straight line, and the line gets a corner at that point; the
        neuron's weight decides whether it bends up or down there, and how sharply. Add eight neurons,
        and you get a line with eight corners. Anything that turns one number into another is called a
        function, so this is one large function made of many tiny ones, and a network is nothing else.

        How close does it get? For a smooth curve, twice as many neurons leave only about a quarter of
        the error. For a curve that jumps like the edge of a cliff, progress is much slower, since no
        straight piece is quite steep enough. Here the best weights are calculated directly. Whether
        training would find them is another question.
    """,
    seen="""
        Each neuron gives the line one corner. With a few you can see the straight pieces, with many
        you cannot. A smooth curve is soon matched; where it jumps or turns sharply, even many neurons
        leave a visible gap.
    """,
)  # fmt: skip
