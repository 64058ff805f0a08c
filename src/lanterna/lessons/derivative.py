"""Lesson 2. Derivative and gradient: nudge, measure, divide. A nudge can be too large, and too small.

The error of (f(x + h) - f(x)) / h is half of h times the second derivative, and what rounding leaves of the
difference, divided by h: the smaller the nudge, the more. Nudged both ways the first part falls with h².
(Press et al., "Numerical Recipes", section 5.7.)

Of a function of two numbers one nudges each: the two slopes are the gradient, an arrow. In the direction u a
short step rises by the gradient times u, which is most where u lies along it (Cauchy and Schwarz).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Surface
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
}


_GROUNDS: dict[str, Callable[[Array, Array], Array]] = {
    "hills": lambda x, y: np.sin(x) * np.cos(y),
    "bowl": lambda x, y: (x * x + y * y) / 8,
    "saddle": lambda x, y: (x * x - y * y) / 8,
}
_REACH = 5.0  # the ground goes from -5 to 5 both ways
_NUDGE = 1e-5  # of a gradient, in 64 bits and both ways: near the best of the first chart
_WAYS = 720  # directions that are tried, half a degree apart
_NEAR = 2.0  # degrees within which the direction that rises the most lies by the gradient
_LEVEL = 1e-6  # the length of a gradient that points nowhere


class Derivative(Settings):
    """Measure a derivative with nudges of every size, and a gradient."""

    verb: ClassVar[str] = "learn derivative"

    function: Literal["sine", "exponential", "sigmoid", "cube"] = Field(
        default="sine", description="Whose derivative is measured."
    )
    x: float = Field(default=1.0, ge=-5, le=5, description="Where it is measured.")
    points: int = Field(
        default=40, ge=1, le=400, description="Places around x that the error is the mean of."
    )
    ground: Literal["hills", "bowl", "saddle"] = Field(
        default="hills", description="The function of two numbers whose gradient is measured."
    )
    y: float = Field(default=0.5, ge=-5, le=5, description="Where, beside x, its gradient is measured.")
    step: float = Field(
        default=0.01, ge=1e-4, le=3, description="How far each direction is followed, to see what rises most."
    )


def error(settings: Derivative, kind: type[np.floating], nudge: float, *, both: bool) -> float:
    """How far the measured derivative is from the true one, as a share of it."""
    function, true = _FUNCTIONS[settings.function]
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
        width = kind(high - low)  # what the nudge has become by rounding
        if width == 0:
            return math.inf
        found = (function(high) - function(low)) / width
        total += abs(float(found) - float(true(np.float64(x)))) / max(abs(float(true(np.float64(x)))), 1e-9)
    return total / len(places)


def gradient(settings: Derivative, x: Array, y: Array) -> tuple[Array, Array]:
    """Both slopes of the ground at places, as nudges of x and of y measure them."""
    height = _GROUNDS[settings.ground]
    return (
        (height(x + _NUDGE, y) - height(x - _NUDGE, y)) / (2 * _NUDGE),
        (height(x, y + _NUDGE) - height(x, y - _NUDGE)) / (2 * _NUDGE),
    )


def rises(settings: Derivative) -> tuple[Array, Array]:
    """Directions in degrees, and how much the ground rises in each, divided by the step."""
    turns = np.arange(_WAYS) * 360 / _WAYS
    height, at = _GROUNDS[settings.ground], np.radians(turns)
    x, y = settings.x + settings.step * np.cos(at), settings.y + settings.step * np.sin(at)
    return turns, (height(x, y) - height(np.array(settings.x), np.array(settings.y))) / settings.step


def experiment(settings: Derivative) -> Outcome:
    """What a nudge of each size measures, and which of many directions rises the most."""
    parts = [_nudges(settings), _directions(settings)]
    holds = all(part.finding.verdict == "holds" for part in parts)
    finding = Finding(
        "holds" if holds else "holds only when",
        " ".join(part.finding.words for part in parts),
        {name: value for part in parts for name, value in part.finding.numbers.items()},
    )
    return Outcome(finding, [chart for part in parts for chart in part.charts])


def _nudges(settings: Derivative) -> Outcome:
    """The error at nudges from 1 down to 1e-16, one way and both, in 32 and in 64 bits."""
    nudges: Array = np.logspace(-16, 0, 65)
    lines, best = [], {}
    for name, kind, both in (
        ("64 bits, one way", np.float64, False),
        ("64 bits, both ways", np.float64, True),
        ("32 bits, one way", np.float32, False),
        ("32 bits, both ways", np.float32, True),
    ):
        found = [error(settings, kind, float(nudge), both=both) for nudge in nudges]
        kept = [(float(h), e) for h, e in zip(nudges, found, strict=True) if 0 < e < 10]
        lines.append(Line(name, [h for h, _ in kept], [e for _, e in kept]))
        best[name] = min(zip(nudges.tolist(), found, strict=True), key=lambda pair: pair[1])
    holds = all(line.ys and min(line.ys[0], line.ys[-1]) > 30 * min(line.ys) for line in lines)
    one, two, single = (best[name] for name in ("64 bits, one way", "64 bits, both ways", "32 bits, one way"))
    words = (
        f"In 64 bits the best nudge is about {one[0]:.0e}, wrong by {one[1]:.0e}; both ways {two[0]:.0e}, "
        f"wrong by {two[1]:.0e}. In 32 bits, in which networks compute, it is {single[0]:.0e} and wrong by "
        f"{single[1]:.0e}. "
    )
    words += (
        "A larger nudge measures the bend of the curve, a smaller one the rounding."
        if holds
        else "Here the curve hardly bends, or is next to level, so that not every nudge has its two sides."
    )
    numbers = {f"{name}: {what}": value for name, pair in best.items()
               for what, value in zip(("nudge", "error"), pair, strict=True)}  # fmt: skip
    title = f"Measuring the slope of the {settings.function} around {settings.x:g}"
    chart = Chart(title, "nudge h", "error, as a share", lines, True, True)
    return Outcome(Finding("holds" if holds else "holds only when", words, numbers), [chart])


def _directions(settings: Derivative) -> Outcome:
    """The gradient as an arrow on the ground, and how much each direction rises."""
    turns, found = rises(settings)
    across, up = (float(part) for part in gradient(settings, np.array(settings.x), np.array(settings.y)))
    length, turn = math.hypot(across, up), math.degrees(math.atan2(up, across)) % 360
    steepest = float(turns[found.argmax()])
    apart = abs((steepest - turn + 180) % 360 - 180)
    level = length < _LEVEL
    holds = not level and apart <= _NEAR
    here = f"({settings.x:g}, {settings.y:g})"
    words = (
        f"At {here} of the {settings.ground} it is level: there the gradient points nowhere."
        if level
        else f"The gradient of the {settings.ground} at {here} points to {turn:.1f}°, where 0° is along x; "
        f"of {_WAYS} directions followed for {settings.step:g} the one to {steepest:.1f}° rises the most, "
        f"{found.max():.3f} for each 1 of way, where the gradient is {length:.3f} long."
    )
    if not level and not holds:
        words += " So long a step leaves the place that the gradient speaks of."
    numbers = {"gradient: degrees": turn, "gradient: length": length, "steepest: degrees": steepest,
               "steepest: rise": float(found.max()), "degrees apart": apart}  # fmt: skip
    told = Line(
        "gradient's length times cosine", turns.tolist(),
        (length * np.cos(np.radians(turns - turn))).tolist(), "dashed",
    )  # fmt: skip
    charts = [
        _ground(settings, across, up),
        Chart("How much each direction rises", "direction, degrees", "rise, by the step",
              [Line(f"measured, a step of {settings.step:g}", turns.tolist(), found.tolist()), told,
               Line("along the gradient", [turn], [length], "marks")]),
    ]  # fmt: skip
    return Outcome(Finding("holds" if holds else "holds only when", words, numbers), charts)


def _ground(settings: Derivative, across: float, up: float) -> Chart:
    """The heights as light, an arrow for the gradient at places on it, and the way it points from (x, y)."""
    sides = np.linspace(-_REACH, _REACH, 64)
    heights = _GROUNDS[settings.ground](sides[None, :], sides[:, None])
    x, y = np.meshgrid(*2 * (np.linspace(-_REACH + 0.5, _REACH - 0.5, 10),))
    slopes = gradient(settings, x, y)
    here = Line("here", [settings.x], [settings.y], "marks")
    way = Line("along its gradient", [settings.x, settings.x + across], [settings.y, settings.y + up])
    return Chart(
        f"The {settings.ground} from above, light where they are high", "x", "y", [way, here],
        surface=Surface(heights.tolist(), -_REACH, _REACH, -_REACH, _REACH),
        arrows=[(float(a), float(b), float(c), float(d))
                for a, b, c, d in zip(x.flat, y.flat, slopes[0].flat, slopes[1].flat, strict=True)],
    )  # fmt: skip


LESSON = Lesson(
    "derivative", "Derivative and gradient", "How large should a nudge be?",
    "A derivative is the change of the output, divided by a tiny nudge of the input.",
    "src/lanterna/lessons/derivative.py", Derivative, experiment, quick=True,
)  # fmt: skip
