"""Lesson 6. Gradient descent: a cost with several valleys, steps too small, right and too large, and what
momentum and Adam do about it; and how many examples each step should look at.

The cost of one number is x² / 10 + sin(2.2 x): a bowl with waves in it. That of two is the mean square error
of a line fitted to points, a long valley. Momentum is Polyak's (1964), Adam that of Kingma and Ba (2014),
algorithm 1; looking at a few examples a step is Robbins and Monro's (1951) stochastic approximation.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Surface
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lanterna.lessons.lesson import Verdict

    Array = NDArray[np.float64]

Way = Literal["plain", "momentum", "adam"]
_WAVE = 2.2
_FLAT = 0.02  # a slope on which a walk rests
_FAR = 1e3  # where a walk has flown away
_WALKS = 40
_RATES = (0.003, 0.1, 1.5)  # too small, right, too large
_WAYS: tuple[Way, ...] = ("plain", "momentum", "adam")
_EXAMPLES = 256
_BATCHES = (1, 16, _EXAMPLES)
_LINE = (0.8, -0.5)  # what the points were made with
_START = np.array([1.5, 2.5])
_CLOSE = 0.1  # a cost this much above the least is near enough to compare how long it took
_LONG = 500  # steps with each batch


class Descent(Settings):
    """Go down a cost that has several valleys."""

    verb: ClassVar[str] = "learn descent"

    start: float = Field(default=6.0, ge=-10, le=10, description="Where the walk begins.")
    steps: int = Field(default=80, ge=1, le=2000, description="Steps of a walk.")
    rate: float = Field(default=0.1, gt=0, le=10, description="The learning rate of the three ways compared.")


def cost(x: Array) -> Array:
    """How high it is."""
    return x * x / 10 + np.sin(_WAVE * x)


def slope(x: Array) -> Array:
    """How steep it is."""
    return x / 5 + _WAVE * np.cos(_WAVE * x)


def descend(
    slopes: Callable[[Array], Array], start: Array, rate: float, steps: int, way: Way = "plain"
) -> Array:
    """Where walks are after each step, `(steps + 1, *start.shape)`.

    Every way moves each number by its own slope, so that an array may be one walk of several parameters, or
    several walks of one. What has flown away stays where it is.
    """
    x, speed, square = start, np.zeros_like(start), np.zeros_like(start)
    places = [start]
    for step in range(1, steps + 1):
        down = slopes(x)
        if way == "momentum":
            speed = 0.9 * speed + down
            move = speed
        elif way == "adam":
            speed = 0.9 * speed + 0.1 * down
            square = 0.999 * square + 0.001 * down * down
            move = (speed / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        else:
            move = down
        x = np.where(np.abs(x) > _FAR, x, x - rate * move)
        places.append(x)
    return np.stack(places)


def walk(start: float, rate: float, steps: int, way: Way = "plain") -> list[float]:
    """Where one walk is after each step, until it has flown away."""
    places: list[float] = descend(slope, np.array(start), rate, steps, way).tolist()
    gone = next((at for at, x in enumerate(places) if abs(x) > _FAR), steps)
    return places[: gone + 1]


def is_at_rest(x: Array) -> Array:
    """Whether walks have come to the bottom of a valley, and are not on a crest; as 0 and 1."""
    lowest_here = cost(x) < np.minimum(cost(x - 0.1), cost(x + 0.1))
    return ((np.abs(slope(x)) < _FLAT) & lowest_here).astype(np.float64)


def lowest() -> float:
    """The lowest cost there is, to a thousandth."""
    return float(cost(np.linspace(-10, 10, 20_001)).min())


def examples(seed: int) -> tuple[Array, Array]:
    """Points about a line."""
    chance = np.random.default_rng(seed)
    xs = chance.uniform(0, 3, _EXAMPLES)
    return xs, _LINE[0] * xs + _LINE[1] + chance.normal(0, 0.3, _EXAMPLES)


def line_cost(line: Array, xs: Array, ys: Array) -> Array:
    """Half the mean square error of lines `(..., 2)`, each a factor and an offset."""
    off = line[..., :1] * xs + line[..., 1:] - ys
    mean: Array = np.square(off).mean(-1) / 2
    return mean


def line_slope(line: Array, xs: Array, ys: Array) -> Array:
    """Its gradient, `(2,)`."""
    off = line[0] * xs + line[1] - ys
    return np.array([(off * xs).mean(), off.mean()])


def batched(settings: Descent, batch: int) -> Array:
    """A plain walk over the two parameters, each step of which looks at `batch` examples."""
    xs, ys = examples(settings.seed)
    chance = np.random.default_rng(settings.seed)

    def slopes(line: Array) -> Array:
        some = chance.choice(_EXAMPLES, batch, replace=False)
        return line_slope(line, xs[some], ys[some])

    return descend(slopes, _START, settings.rate, _LONG)


def experiment(settings: Descent) -> Outcome:
    """Walks with each rate, from one place and from many; how often each way ends in the lowest valley; and
    two parameters, with each way, and with batches of each size.
    """
    parts = [_valleys(settings), _ways(settings), _batches(settings)]
    first = parts[0].finding
    words = " ".join(part.finding.words for part in parts)
    numbers = {name: value for part in parts for name, value in part.finding.numbers.items()}
    charts = [chart for part in parts for chart in part.charts]
    return Outcome(Finding(first.verdict, words, numbers, first.seeds), charts)


def _valleys(settings: Descent) -> Outcome:
    """One parameter: rates too small, right and too large, and where walks from anywhere end."""
    best, chance = lowest(), random.Random(settings.seed)
    starts = np.array([chance.uniform(-10, 10) for _ in range(_WALKS)])
    rest, mean = {}, {}
    for rate in _RATES:
        ends = descend(slope, starts, rate, settings.steps)[-1]
        rest[rate] = float(is_at_rest(ends).mean())
        mean[rate] = float(np.minimum(cost(ends), 20.0).mean())
    ended = {way: descend(slope, starts, settings.rate, settings.steps, way)[-1] for way in _WAYS}
    reached = {way: float((cost(ends) < best + 0.05).mean()) for way, ends in ended.items()}
    small, right, large = _RATES
    holds = rest[right] > 0.9 and max(rest[small], rest[large]) < 0.5 and reached["plain"] < 0.9
    verdict: Verdict = "holds" if holds else "holds only when"
    words = (
        f"Of {_WALKS} walks of {settings.steps} steps from anywhere {rest[small]:.0%} have come to rest with "
        f"a rate of {small:g}, {rest[right]:.0%} with {right:g}, {rest[large]:.0%} with {large:g}. "
    )
    if rest[right] > 0.9 and mean[large] < mean[right]:
        words += (
            f"But what leaps about is lower in the mean, {mean[large]:.2f} against {mean[right]:.2f}: it "
            "gets out of high valleys. "
        )
    words += (
        f"{reached['plain']:.0%} of plain walks with {settings.rate:g} end in the lowest valley, "
        f"{reached['momentum']:.0%} with momentum, {reached['adam']:.0%} with Adam: where one ends depends "
        "on where one begins."
    )
    numbers = {
        "at rest, too small": rest[small], "at rest, right": rest[right], "at rest, too large": rest[large],
        "mean cost, right": mean[right], "mean cost, too large": mean[large],
        **{f"lowest valley, {way}": share for way, share in reached.items()},
    }  # fmt: skip
    ground = np.linspace(-10, 10, 401)
    there = ended["plain"][np.abs(ended["plain"]) <= 10]
    landscape = Chart(
        "The cost of one number, and where plain walks end", "x", "cost",
        [Line("cost", ground.tolist(), cost(ground).tolist()),
         Line("ends", there.tolist(), cost(there).tolist(), "marks")],
    )  # fmt: skip
    down = Chart(
        f"Costs on the way from {settings.start:g}", "step", "cost",
        [_costs(f"rate {rate:g}", walk(settings.start, rate, settings.steps)) for rate in _RATES],
    )  # fmt: skip
    return Outcome(Finding(verdict, words, numbers, (settings.seed,)), [landscape, down])


def _costs(name: str, places: list[float]) -> Line:
    return Line(name, list(range(len(places))), np.minimum(cost(np.array(places)), 20.0).tolist())


def _ways(settings: Descent) -> Outcome:
    """Two parameters of a line: the walk of each way over the cost, from above."""
    xs, ys = examples(settings.seed)
    walks = {
        way: descend(lambda line: line_slope(line, xs, ys), _START, settings.rate, settings.steps, way)
        for way in _WAYS
    }
    best = best_line(xs, ys)
    least = float(line_cost(best, xs, ys))
    needed = {way: _until(line_cost(places, xs, ys), least) for way, places in walks.items()}
    words = (
        f"With two parameters, of a line through {_EXAMPLES} points, and a rate of {settings.rate:g} plain "
        f"steps are near the least cost {_after(needed['plain'])}, momentum {_after(needed['momentum'])}, "
        f"Adam {_after(needed['adam'])}."
    )
    numbers = {f"two parameters, {way}: steps": float(steps or 0) for way, steps in needed.items()}
    across, up = np.linspace(-2, 2, 64), np.linspace(-2, 3.5, 64)
    heights = np.log10(line_cost(np.stack(np.meshgrid(across, up), -1), xs, ys))
    chart = Chart(
        f"Two numbers: {settings.steps} steps with a rate of {settings.rate:g}", "factor", "offset",
        [*(Line(way, places[:, 0].tolist(), places[:, 1].tolist()) for way, places in walks.items()),
         Line("least cost", [float(best[0])], [float(best[1])], "marks")],
        surface=Surface(heights.tolist(), -2, 2, -2, 3.5),
    )  # fmt: skip
    return Outcome(Finding("holds", words, numbers), [chart])


def _batches(settings: Descent) -> Outcome:
    """Two parameters again: stochastic, mini-batch and full batch, step by step and example by example."""
    xs, ys = examples(settings.seed)
    least = float(line_cost(best_line(xs, ys), xs, ys))
    lines, told = [], []
    numbers: dict[str, float] = {}
    for batch in _BATCHES:
        costs = line_cost(batched(settings, batch), xs, ys)
        steps = _until(costs, least)
        noise = float(costs[-_LONG // 4 :].mean() - least)
        name = (
            "all at once" if batch == _EXAMPLES else "one at a time" if batch == 1 else f"{batch} at a time"
        )
        seen = [batch * step for step in range(1, _LONG + 1)]
        lines.append(Line(name, seen, np.maximum(costs[1:] - least, 1e-9).tolist()))
        numbers |= {
            f"batch of {batch}: steps": float(steps or 0),
            f"batch of {batch}: examples": float(batch * (steps or 0)),
            f"batch of {batch}: above the least": noise,
        }
        came = f"{steps} steps, {batch * steps} examples" if steps else f"more than {_LONG} steps"
        told.append(f"{name} {came}, at last {noise:.1g} above it")
    words = f"To come within {_CLOSE:g} of the least cost takes {'; '.join(told)}."
    chart = Chart(
        "Examples that a step looks at", "examples looked at", "cost above the least", lines,
        log_across=True, log_up=True,
    )  # fmt: skip
    return Outcome(Finding("holds", words, numbers), [chart])


def best_line(xs: Array, ys: Array) -> Array:
    """The line of the least cost, by least squares, `(2,)`."""
    return np.array(np.linalg.lstsq(np.stack([xs, np.ones_like(xs)], 1), ys, rcond=None)[0])


def _until(costs: Array, least: float) -> int | None:
    """The first step that is near the least cost, if any is."""
    return next((step for step, each in enumerate(costs) if each < least + _CLOSE), None)


def _after(steps: int | None) -> str:
    return f"after {steps} steps" if steps else "at no time"


LESSON = Lesson(
    "descent", "Gradient descent", "How large should a step be?",
    "Small steps take long, large ones overshoot, and either may end in a valley that is not the lowest.",
    "src/lanterna/lessons/descent.py", Descent, experiment, quick=True,
)  # fmt: skip
