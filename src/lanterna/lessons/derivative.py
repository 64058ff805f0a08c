"""Lesson 2. Derivative and gradient: nudge, measure, divide. A nudge can be too large, and too small.

The error of (f(x + h) - f(x)) / h has two parts: half of h times the second derivative, and the rounding
error of the difference divided by h, which grows as the nudge shrinks. With nudges to both sides the first
part falls with h² (Press et al., "Numerical Recipes", section 5.7).

For a function of two numbers, nudge each of them: the two derivatives are the gradient, an arrow. A short
step in the direction u rises by the dot product of the gradient and u, which is largest if u points along the
gradient (Cauchy and Schwarz).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Surface
from lanterna.lessons.text import scientific
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Function = Callable[[np.floating], np.floating]
    Array = NDArray[np.float64]

_FUNCTIONS: dict[str, tuple[Function, Function]] = {
    "sine": (np.sin, np.cos),
    "exponential": (np.exp, np.exp),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2),
    "cube": (lambda x: x * x * x, lambda x: 3 * x * x),
}  # each with its derivative


_LANDSCAPES: dict[str, Callable[[Array, Array], Array]] = {
    "hills": lambda x, y: np.sin(x) * np.cos(y),
    "bowl": lambda x, y: (x * x + y * y) / 8,
    "saddle": lambda x, y: (x * x - y * y) / 8,
}
_REACH = 5.0  # a landscape spans -5 to 5 in x and y
_NUDGE = 1e-5  # of a gradient, in 64 bits and to both sides: near the best of the first chart
_DIRECTIONS = 720  # half a degree apart
_MAX_ANGLE = 2.0  # degrees between the gradient and the steepest direction, for the claim to hold
_FLAT = 1e-6  # a gradient shorter than this has no direction


class Derivative(Settings):
    """Measure a derivative with nudges of every size, and a gradient."""

    verb: ClassVar[str] = "learn derivative"

    function: Literal["sine", "exponential", "sigmoid", "cube"] = Field(
        default="sine", description="The function whose derivative is measured."
    )
    x: float = Field(default=1.0, ge=-5, le=5, description="The place where it is measured.")
    points: int = Field(
        default=40, ge=1, le=400, description="Places around x over which the error is averaged."
    )
    ground: Literal["hills", "bowl", "saddle"] = Field(
        default="hills", description="The function of two numbers whose gradient is measured."
    )
    y: float = Field(default=0.5, ge=-5, le=5, description="Together with x, the place of the gradient.")
    step: float = Field(default=0.01, ge=1e-4, le=3, description="The length of a step in each direction.")


def error(settings: Derivative, kind: type[np.floating], nudge: float, *, both: bool) -> float:
    """Return the relative error of the measured derivative, averaged over the places around x."""
    function, derivative = _FUNCTIONS[settings.function]
    places = (
        np.linspace(settings.x - 0.05, settings.x + 0.05, settings.points)
        if settings.points > 1
        else [settings.x]
    )
    total = 0.0
    for place in places:
        x, h = kind(place), kind(nudge)
        low = x - h if both else x
        high = x + h
        width = kind(high - low)  # the nudge after rounding
        if width == 0:
            return math.inf
        measured = (function(high) - function(low)) / width
        true = float(derivative(np.float64(x)))
        total += abs(float(measured) - true) / max(abs(true), 1e-9)
    return total / len(places)


def gradient(settings: Derivative, x: Array, y: Array) -> tuple[Array, Array]:
    """Measure the gradient of the landscape at these places by nudging x and y."""
    height = _LANDSCAPES[settings.ground]
    return (
        (height(x + _NUDGE, y) - height(x - _NUDGE, y)) / (2 * _NUDGE),
        (height(x, y + _NUDGE) - height(x, y - _NUDGE)) / (2 * _NUDGE),
    )


def rises(settings: Derivative) -> tuple[Array, Array]:
    """Return directions in degrees, and how much a step in each of them rises, divided by its length."""
    degrees = np.arange(_DIRECTIONS) * 360 / _DIRECTIONS
    height, angles = _LANDSCAPES[settings.ground], np.radians(degrees)
    x, y = settings.x + settings.step * np.cos(angles), settings.y + settings.step * np.sin(angles)
    return degrees, (height(x, y) - height(np.array(settings.x), np.array(settings.y))) / settings.step


def experiment(settings: Derivative) -> Outcome:
    """Measure a derivative with nudges of all sizes, and compare the gradient with many directions."""
    parts = [_nudges(settings), _directions(settings)]
    holds = all(part.finding.verdict == "holds" for part in parts)
    finding = Finding(
        "holds" if holds else "holds only when",
        " ".join(part.finding.words for part in parts),
        {name: value for part in parts for name, value in part.finding.numbers.items()},
    )
    return Outcome(finding, [chart for part in parts for chart in part.charts])


def _nudges(settings: Derivative) -> Outcome:
    """Measure errors with nudges from 1 down to 1e-16, to one side and both, in 32 and in 64 bits."""
    nudges: Array = np.logspace(-16, 0, 65)
    lines, best = [], {}
    for name, kind, both in (
        ("64 bits, one side", np.float64, False),
        ("64 bits, both sides", np.float64, True),
        ("32 bits, one side", np.float32, False),
        ("32 bits, both sides", np.float32, True),
    ):
        errors = [error(settings, kind, float(nudge), both=both) for nudge in nudges]
        drawn = [(float(h), e) for h, e in zip(nudges, errors, strict=True) if 0 < e < 10]
        lines.append(Line(name, [h for h, _ in drawn], [e for _, e in drawn]))
        best[name] = min(zip(nudges.tolist(), errors, strict=True), key=lambda pair: pair[1])
    holds = all(line.ys and min(line.ys[0], line.ys[-1]) > 30 * min(line.ys) for line in lines)
    one, two, single = (
        best[name] for name in ("64 bits, one side", "64 bits, both sides", "32 bits, one side")
    )
    words = (
        f"In 64 bits the best nudge to one side is about {scientific(one[0])}, with a relative error of "
        f"{scientific(one[1])}. Nudging both sides, it is {scientific(two[0])}, with an error of "
        f"{scientific(two[1])}. In 32 bits, the precision of most networks, it is {scientific(single[0])} "
        f"to one side, with an error of {scientific(single[1])}. "
    )
    words += (
        "If the nudge is larger, the curve bends too much over its length; if it is smaller, rounding errors "
        "take over."
        if holds
        else "Here the function is almost straight, or almost flat, so that a nudge need not be both too "
        "large and too small."
    )
    numbers = {f"{name}: {what}": value for name, pair in best.items()
               for what, value in zip(("nudge", "error"), pair, strict=True)}  # fmt: skip
    title = f"The derivative of the {settings.function} around {settings.x:g}"
    chart = Chart(title, "nudge h", "relative error", lines, True, True)
    return Outcome(Finding("holds" if holds else "holds only when", words, numbers), [chart])


def _directions(settings: Derivative) -> Outcome:
    """Compare the gradient with how much a step in each direction rises."""
    degrees, measured = rises(settings)
    dx, dy = (float(part) for part in gradient(settings, np.array(settings.x), np.array(settings.y)))
    length, angle = math.hypot(dx, dy), math.degrees(math.atan2(dy, dx)) % 360
    steepest = float(degrees[measured.argmax()])
    difference = abs((steepest - angle + 180) % 360 - 180)
    flat = length < _FLAT
    holds = not flat and difference <= _MAX_ANGLE
    place = f"({settings.x:g}, {settings.y:g})"
    words = (
        f"The gradient of the {settings.ground} at {place} is zero: there it has no direction."
        if flat
        else f"The gradient of the {settings.ground} at {place} points to {angle:.1f}°, where 0° is "
        f"along x. Among {_DIRECTIONS} directions, a step of {settings.step:g} to {steepest:.1f}° rises "
        f"most: {measured.max():.3f} per unit of length. The gradient is {length:.3f} long."
    )
    if not flat and not holds:
        words += " Such a long step leaves the neighbourhood that the gradient describes."
    numbers = {"gradient: degrees": angle, "gradient: length": length, "steepest: degrees": steepest,
               "steepest: rise": float(measured.max()), "difference in degrees": difference}  # fmt: skip
    predicted = Line(
        "gradient's length times cosine", degrees.tolist(),
        (length * np.cos(np.radians(degrees - angle))).tolist(), "dashed",
    )  # fmt: skip
    charts = [
        _landscape(settings, dx, dy),
        Chart("How much each direction rises", "direction in degrees", "rise per unit of length",
              [Line(f"measured, a step of {settings.step:g}", degrees.tolist(), measured.tolist()), predicted,
               Line("along the gradient", [angle], [length], "marks")]),
    ]  # fmt: skip
    return Outcome(Finding("holds" if holds else "holds only when", words, numbers), charts)


def _landscape(settings: Derivative, dx: float, dy: float) -> Chart:
    """Draw the landscape with gradients as arrows, and the gradient at (x, y)."""
    side = np.linspace(-_REACH, _REACH, 64)
    heights = _LANDSCAPES[settings.ground](side[None, :], side[:, None])
    x, y = np.meshgrid(*2 * (np.linspace(-_REACH + 0.5, _REACH - 0.5, 10),))
    arrows = gradient(settings, x, y)
    place = Line("place", [settings.x], [settings.y], "marks")
    path = Line("its gradient", [settings.x, settings.x + dx], [settings.y, settings.y + dy])
    return Chart(
        f"The {settings.ground} from above, brighter where higher", "x", "y", [path, place],
        surface=Surface(heights.tolist(), -_REACH, _REACH, -_REACH, _REACH),
        arrows=[(float(a), float(b), float(c), float(d))
                for a, b, c, d in zip(x.flat, y.flat, arrows[0].flat, arrows[1].flat, strict=True)],
    )  # fmt: skip


LESSON = Lesson(
    "derivative", "Derivative and gradient", "How large should a nudge be?",
    "A derivative is the change of the output, divided by a tiny nudge of the input.",
    "src/lanterna/lessons/derivative.py", Derivative, experiment, quick=True,
    quote=grierson(
        "We do all this by adjusting the inputs by a small amount, and getting the derivative, which is the "
        "difference between input and output for different parameters of the system, scaled by a small "
        "amount (we move slowly towards the target..)"
    ),
    explanation="""
        You are on a hillside in thick fog, and you want to know how steep it is. Put one foot forward
        and feel how much higher or lower it lands. Divide that change in height by the length of your
        step: the result is the slope. Another word for it is the derivative.

        How long should the step be? If it is too long, the ground bends between your feet, and you
        measure an average over the whole stretch. If it is shorter than a grain of sand, you feel no
        difference at all. A computer has the same trouble. It stores about seven digits of a number,
        or about sixteen, and rounds off the rest, so the effect of a tiny step drowns in the
        rounding. The best step lies somewhere in between.

        On a hill you can step east or north. Measure both slopes, and the two numbers together make
        an arrow that points straight uphill. That arrow is the gradient. A network has a slope for
        each of the many numbers it can adjust.
    """,
    seen="""
        Shrinking the nudge brings the measured slope closer to the true one, until rounding takes over
        and the error grows again. On the hill, the arrow points straight up the slope wherever you
        are, and it is longest where the ground is steepest.
    """,
)  # fmt: skip
