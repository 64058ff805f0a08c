"""Lesson 6. Gradient descent: a cost with several valleys; learning rates that are too small, right and too
large; momentum and Adam; and how many examples each step should use.

The cost of one parameter is x² / 10 + sin(2.2 x): a bowl with waves in it. The cost of two parameters is the
mean squared error of a line fitted to points, a long valley. Momentum is Polyak's (1964), Adam that of Kingma
and Ba (2014), algorithm 1. Using a few examples a step is stochastic approximation (Robbins and Monro 1951).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from lanterna.lessons.lecture import mital
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Surface
from lanterna.lessons.text import counted, percent, scientific
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lanterna.lessons.lesson import Verdict

    Array = NDArray[np.float64]

Optimiser = Literal["plain", "momentum", "adam"]
_OPTIMISERS: tuple[Optimiser, ...] = ("plain", "momentum", "adam")
_WAVE = 2.2
_FLAT = 0.02  # a derivative this small counts as level
_FAR = 1e3  # a run this far out has diverged
_RUNS, _DRAWN = 2000, 40  # from random places, and how many of their ends are drawn
_RATES = (0.003, 0.1, 1.5)  # too small, right, too large
_EXAMPLES = 256
_SAMPLES = 9  # of the points that a line is fitted to
_BATCHES = (1, 16, _EXAMPLES)
_LINE = (0.8, -0.5)  # slope and intercept of the line that the points scatter around
_START = np.array([1.5, 2.5])
_CLOSE = 0.1  # of the lowest cost: close enough to count the steps so far
_BATCH_STEPS = 500  # with each batch size


class Descent(Settings):
    """Descend a cost that has several valleys."""

    verb: ClassVar[str] = "learn descent"

    start: float = Field(default=6.0, ge=-10, le=10, description="The x where a run starts.")
    steps: int = Field(default=80, ge=1, le=2000, description="Steps of a run.")
    rate: float = Field(default=0.1, gt=0, le=10, description="The learning rate of the three optimisers.")


def cost(x: Array) -> Array:
    """Return the cost of one parameter."""
    return x * x / 10 + np.sin(_WAVE * x)


def derivative(x: Array) -> Array:
    """Return the cost's derivative."""
    return x / 5 + _WAVE * np.cos(_WAVE * x)


def descend(
    gradient: Callable[[Array], Array],
    start: Array,
    rate: float,
    steps: int,
    optimiser: Optimiser = "plain",
) -> Array:
    """Return the parameters after each step, `(steps + 1, *start.shape)`.

    Every optimiser updates each number by its own derivative, so that an array may hold one run of several
    parameters, or several runs of one. Numbers that have diverged stop moving.
    """
    x, mean, square = start, np.zeros_like(start), np.zeros_like(start)
    path = [start]
    for step in range(1, steps + 1):
        grad = gradient(x)
        if optimiser == "momentum":
            mean = 0.9 * mean + grad
            update = mean
        elif optimiser == "adam":
            mean = 0.9 * mean + 0.1 * grad
            square = 0.999 * square + 0.001 * grad * grad
            update = (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        else:
            update = grad
        x = np.where(np.abs(x) > _FAR, x, x - rate * update)
        path.append(x)
    return np.stack(path)


def run(start: float, rate: float, steps: int, optimiser: Optimiser = "plain") -> list[float]:
    """Return x after each step of one run, until it diverges."""
    path: list[float] = descend(derivative, np.array(start), rate, steps, optimiser).tolist()
    diverged = next((step for step, x in enumerate(path) if abs(x) > _FAR), steps)
    return path[: diverged + 1]


def is_at_rest(x: Array) -> Array:
    """Return 1 for runs that have come to rest at the bottom of a valley, 0 for the others."""
    is_lowest = cost(x) < np.minimum(cost(x - 0.1), cost(x + 0.1))
    return ((np.abs(derivative(x)) < _FLAT) & is_lowest).astype(np.float64)


def lowest() -> float:
    """Return the lowest cost, to a thousandth."""
    return float(cost(np.linspace(-10, 10, 20_001)).min())


def examples(seed: int) -> tuple[Array, Array]:
    """Draw points scattered around a line."""
    rng = np.random.default_rng(seed)
    xs = rng.uniform(0, 3, _EXAMPLES)
    return xs, _LINE[0] * xs + _LINE[1] + rng.normal(0, 0.3, _EXAMPLES)


def line_cost(line: Array, xs: Array, ys: Array) -> Array:
    """Return half the mean squared error of lines `(..., 2)`, each a slope and an intercept.

    The points are `(N,)`, or `(S, N)` for lines `(..., S, 2)` that each have their own.
    """
    errors = line[..., :1] * xs + line[..., 1:] - ys
    mean: Array = np.square(errors).mean(-1) / 2
    return mean


def line_gradient(line: Array, xs: Array, ys: Array) -> Array:
    """Return the gradient of `line_cost`, in the shape of `line`."""
    errors = line[..., :1] * xs + line[..., 1:] - ys
    return np.stack([(errors * xs).mean(-1), errors.mean(-1)], -1)


def samples(settings: Descent) -> tuple[Array, Array, Array]:
    """Draw several samples of points, `(S, N)` each for x and y; return the lowest cost of each as well."""
    drawn = [examples(settings.seed + number) for number in range(_SAMPLES)]
    xs, ys = (np.stack(parts) for parts in zip(*drawn, strict=True))
    lines = np.stack([best_line(*sample) for sample in drawn])
    return xs, ys, line_cost(lines, xs, ys)


def batched(settings: Descent, batch: int) -> Array:
    """Fit a line to each sample, with plain gradient descent on `batch` random examples a step."""
    xs, ys, _ = samples(settings)
    rng = np.random.default_rng(settings.seed)
    order = np.tile(np.arange(_EXAMPLES), (_SAMPLES, 1))

    def gradient(lines: Array) -> Array:
        chosen = rng.permuted(order, axis=1)[:, :batch]
        return line_gradient(lines, np.take_along_axis(xs, chosen, 1), np.take_along_axis(ys, chosen, 1))

    return descend(gradient, np.tile(_START, (_SAMPLES, 1)), settings.rate, _BATCH_STEPS)


def experiment(settings: Descent) -> Outcome:
    """Compare learning rates and optimisers on one parameter, then optimisers and batch sizes on two."""
    parts = [_valleys(settings), _two_parameters(settings), _batch_sizes(settings)]
    first = parts[0].finding
    words = " ".join(part.finding.words for part in parts)
    numbers = {name: value for part in parts for name, value in part.finding.numbers.items()}
    charts = [chart for part in parts for chart in part.charts]
    return Outcome(Finding(first.verdict, words, numbers, first.seeds), charts)


def _valleys(settings: Descent) -> Outcome:
    """Run from random places: learning rates too small, right and too large, and the valleys reached."""
    best, rng = lowest(), random.Random(settings.seed)
    starts = np.array([rng.uniform(-10, 10) for _ in range(_RUNS)])
    rest, mean = {}, {}
    for rate in _RATES:
        ends = descend(derivative, starts, rate, settings.steps)[-1]
        rest[rate] = float(is_at_rest(ends).mean())
        mean[rate] = float(np.minimum(cost(ends), 20.0).mean())
    ended = {
        optimiser: descend(derivative, starts, settings.rate, settings.steps, optimiser)[-1]
        for optimiser in _OPTIMISERS
    }
    reached = {optimiser: float((cost(ends) < best + 0.05).mean()) for optimiser, ends in ended.items()}
    small, right, large = _RATES
    holds = rest[right] > 0.9 and max(rest[small], rest[large]) < 0.5 and reached["plain"] < 0.9
    verdict: Verdict = "holds" if holds else "holds only when"
    words = (
        f"{_RUNS:,} runs start at random places. After {settings.steps} steps, {percent(rest[small])} of "
        f"them are at rest with a learning rate of {small:g}, {percent(rest[right])} with {right:g} and "
        f"{percent(rest[large])} with {large:g}. "
    )
    if rest[right] > 0.9 and mean[large] < mean[right]:
        words += (
            f"Yet the runs that keep jumping end lower on average, at a cost of {mean[large]:.2f} instead of "
            f"{mean[right]:.2f}, because they escape from high valleys. "
        )
    words += (
        f"With a rate of {settings.rate:g}, {percent(reached['plain'])} of plain runs find the lowest "
        f"valley, {percent(reached['momentum'])} with momentum and {percent(reached['adam'])} with Adam: "
        "where a run ends depends on where it starts."
    )
    numbers = {
        "at rest, too small": rest[small], "at rest, right": rest[right], "at rest, too large": rest[large],
        "mean cost, right": mean[right], "mean cost, too large": mean[large],
        **{f"lowest valley, {optimiser}": share for optimiser, share in reached.items()},
    }  # fmt: skip
    xs = np.linspace(-10, 10, 401)
    ends = ended["plain"][:_DRAWN]
    ends = ends[np.abs(ends) <= 10]
    landscape = Chart(
        "The cost of one parameter, and where plain runs end", "x", "cost",
        [Line("cost", xs.tolist(), cost(xs).tolist()),
         Line("ends", ends.tolist(), cost(ends).tolist(), "marks")],
    )  # fmt: skip
    down = Chart(
        f"Cost over the steps from {settings.start:g}", "step", "cost",
        [_costs(f"rate {rate:g}", run(settings.start, rate, settings.steps)) for rate in _RATES],
    )  # fmt: skip
    return Outcome(Finding(verdict, words, numbers, (settings.seed,)), [landscape, down])


def _costs(name: str, path: list[float]) -> Line:
    return Line(name, list(range(len(path))), np.minimum(cost(np.array(path)), 20.0).tolist())


def _two_parameters(settings: Descent) -> Outcome:
    """Fit a line with each optimiser, and draw the paths over the cost."""
    xs, ys, minima = samples(settings)
    start = np.tile(_START, (_SAMPLES, 1))
    paths = {
        optimiser: descend(
            lambda lines: line_gradient(lines, xs, ys), start, settings.rate, settings.steps, optimiser
        )
        for optimiser in _OPTIMISERS
    }
    needed = {optimiser: _steps_until(line_cost(path, xs, ys), minima) for optimiser, path in paths.items()}
    words = (
        f"Now two parameters: fit a line to {_EXAMPLES} points, with a rate of {settings.rate:g}. Plain "
        f"gradient descent gets close to the lowest cost {_after(needed['plain'])}, momentum "
        f"{_after(needed['momentum'])}, Adam {_after(needed['adam'])}."
    )
    numbers = {f"two parameters, {optimiser}: steps": _median(steps)
               for optimiser, steps in needed.items()}  # fmt: skip
    best = best_line(xs[0], ys[0])  # the chart shows the first sample
    slopes, intercepts = np.linspace(-2, 2, 64), np.linspace(-2, 3.5, 64)
    heights = np.log10(line_cost(np.stack(np.meshgrid(slopes, intercepts), -1), xs[0], ys[0]))
    chart = Chart(
        f"Two parameters: {settings.steps} steps with a rate of {settings.rate:g}", "slope", "intercept",
        [*(Line(name, path[:, 0, 0].tolist(), path[:, 0, 1].tolist()) for name, path in paths.items()),
         Line("lowest cost", [float(best[0])], [float(best[1])], "marks")],
        surface=Surface(heights.tolist(), -2, 2, -2, 3.5),
    )  # fmt: skip
    return Outcome(Finding("holds", words, numbers), [chart])


def _batch_sizes(settings: Descent) -> Outcome:
    """Fit the line with one example a step, a mini-batch or all examples."""
    xs, ys, minima = samples(settings)
    lines, results = [], []
    numbers: dict[str, float] = {}
    for batch in _BATCHES:
        costs = line_cost(batched(settings, batch), xs, ys)
        steps = _steps_until(costs, minima)
        noise = float(np.median((costs[-_BATCH_STEPS // 4 :] - minima).mean(0)))
        name = f"all {batch}" if batch == _EXAMPLES else f"{batch} at a time"
        used = [batch * step for step in range(1, _BATCH_STEPS + 1)]
        lines.append(Line(name, used, np.maximum(costs[1:, 0] - minima[0], 1e-9).tolist()))
        total = batch * _median(steps)
        numbers |= {
            f"batch of {batch}: steps": _median(steps),
            f"batch of {batch}: examples": total,
            f"batch of {batch}: final excess cost": noise,
        }
        needed = f"{_ranged(steps)} steps" if total else f"more than {_BATCH_STEPS} steps"
        used_up = f"{total:,.0f} in all, " if total else ""
        results.append(
            f"{needed} with {counted(batch, 'example')} a step ({used_up}ending {scientific(noise)} above "
            "the minimum)"
        )
    words = (
        f"Getting within {_CLOSE:g} of the lowest cost takes {', '.join(results)}. (Medians of {_SAMPLES} "
        "samples of points, and the range of the steps in brackets.)"
    )
    chart = Chart(
        "Batch sizes", "examples used", "cost above the minimum", lines,
        log_across=True, log_up=True,
    )  # fmt: skip
    return Outcome(Finding("holds", words, numbers), [chart])


def best_line(xs: Array, ys: Array) -> Array:
    """Return the line with the lowest cost, by least squares, `(2,)`."""
    return np.array(np.linalg.lstsq(np.stack([xs, np.ones_like(xs)], 1), ys, rcond=None)[0])


def _steps_until(costs: Array, minima: Array) -> list[int]:
    """Return the first step at which the cost of each sample is close to its minimum; 0 if there is none."""
    steps: list[int] = (costs < minima + _CLOSE).argmax(0).tolist()
    return steps


def _median(steps: list[int]) -> float:
    """Return the median, or 0 if not all samples get close."""
    return float(np.median(steps)) if all(steps) else 0.0


def _ranged(steps: list[int]) -> str:
    low, high = min(steps), max(steps)
    return f"{_median(steps):.0f}" + (f" ({low} to {high})" if low < high else "")


def _after(steps: list[int]) -> str:
    return f"after {_ranged(steps)} steps" if all(steps) else "at no point"


LESSON = Lesson(
    "descent", "Gradient descent", "How large should a step be?",
    "Small steps take long, large ones overshoot, and either may end in a valley that is not the lowest.",
    "src/lanterna/lessons/descent.py", Descent, experiment, quick=True,
    quote=mital(
        "To summarize, Gradient descent is a simple but very powerful method for finding smaller measures of "
        "error by following the negative direction of its gradient."
    ),
    explanation="""
        You are on a mountain in fog and want to get down. You cannot see the valley, but you can feel
        which way the ground falls. So you take a step that way, feel again, and take the next. This
        is gradient descent, and it is how nearly every network learns. Your height is the cost, a
        number for how wrong the network is, and your position is made of all the numbers that it can
        adjust.

        How far you step is set by the learning rate. Tiny steps are safe, but you may still be
        walking at midnight. With huge ones you leap from one side of the valley to the other and
        never arrive. And even good steps lead only to the bottom of the valley you happened to start
        in, while a deeper one may lie behind the next ridge.

        Two inventions help. With momentum you roll like a heavy ball, straight through small dips.
        Adam gives every number a step length of its own, according to the slopes it has met so far.
    """,
    seen="""
        With a small learning rate the ball creeps, with a large one it leaps out of the valley, and
        from another start it comes to rest in another valley. Momentum and Adam take different routes
        over the same hill. Where a run ends depends on where it begins, so one run alone proves
        little.
    """,
)  # fmt: skip
