"""Lesson 7. Fitting a curve: a noisy sine, polynomials of growing degree, and a small tanh network.

The polynomials are fitted by least squares in the Chebyshev basis, which stays well conditioned at high
degrees. The test points lie between the training points and have no noise.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from pydantic import Field

from lanterna.devices import without_dynamo
from lanterna.lessons.lecture import mital
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.loop import one_thread
from lanterna.lessons.text import counted
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lanterna.lessons.lesson import Verdict

    Array = NDArray[np.float64]

_SEEDS = 25
_NETWORK_SEEDS = 5  # the first of those seeds, with which a network is trained as well
_OVERFIT = 1.5  # times the lowest test error: from here on a curve follows the noise
_STEPS = 1500  # of the network


class Curve(Settings):
    """Fit a noisy sine."""

    verb: ClassVar[str] = "learn curve"

    points: int = Field(default=20, ge=6, le=500, description="Noisy points to learn from.")
    noise: float = Field(default=0.25, ge=0, le=2, description="How far the points scatter around the sine.")
    degree: int = Field(default=14, ge=1, le=40, description="The highest degree of a polynomial.")
    neurons: int = Field(default=8, ge=1, le=256, description="Tanh neurons of the network.")


def sample(settings: Curve, seed: int) -> tuple[Array, Array]:
    """Draw noisy points of the sine."""
    rng = np.random.default_rng(seed)
    xs = np.sort(rng.uniform(-1, 1, settings.points))
    return xs, sine(xs) + rng.normal(0, settings.noise, settings.points)


def sine(xs: Array) -> Array:
    """Return the true curve."""
    return np.sin(math.pi * xs)


def errors(settings: Curve, degree: int, seed: int) -> tuple[float, float]:
    """Return a polynomial's root mean squared error on the training points, and on the true curve between."""
    xs, ys = sample(settings, seed)
    polynomial = np.polynomial.Chebyshev.fit(xs, ys, degree, domain=[-1, 1])
    between = np.linspace(xs[0], xs[-1], 400)
    return _rmse(polynomial(xs), ys), _rmse(polynomial(between), sine(between))


def networks(settings: Curve, seeds: Sequence[int]) -> tuple[list[float], list[float], list[float]]:
    """Return both errors of a network for each seed, and the curve that the first one draws.

    All networks are trained together, stacked into batched tensors, and do not influence each other.
    """
    samples = [sample(settings, seed) for seed in seeds]
    xs, ys = (np.stack(parts) for parts in zip(*samples, strict=True))  # (seeds, points)
    between = np.linspace(xs[:, 0], xs[:, -1], 400, axis=1)
    initial = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        initial.append(torch.randn(3, settings.neurons, generator=generator))
    scale = torch.tensor([3.0, 1.0, 1 / math.sqrt(settings.neurons)])
    inner, bias, outer = (
        part.clone().requires_grad_() for part in (torch.stack(initial, 1) * scale[:, None, None])
    )
    optimiser = without_dynamo(torch.optim.Adam)([inner, bias, outer], 0.02, fused=True)

    def forward(at: Array) -> torch.Tensor:
        x = torch.from_numpy(at).float()[..., None]  # (seeds, places, 1)
        units: torch.Tensor = torch.tanh(x * inner[:, None] + bias[:, None]) * outer[:, None]
        return units.sum(-1)

    target = torch.from_numpy(ys).float()
    for _ in range(_STEPS):
        optimiser.zero_grad()
        torch.autograd.backward((forward(xs) - target).square().mean(1).sum())
        optimiser.step()
    with torch.no_grad():
        fitted, curves = forward(xs).numpy(), forward(between).numpy()
    return (
        [_rmse(prediction, target) for prediction, target in zip(fitted, ys, strict=True)],
        [_rmse(curve, sine(at)) for curve, at in zip(curves, between, strict=True)],
        curves[0].tolist(),
    )


def _middle(values: Sequence[float]) -> str:
    """Return the median, and between which values the middle half lies."""
    quartiles = np.quantile(values, [0.25, 0.5, 0.75])
    low, middle, high = (f"{value:.{2 if value < 10 else 0}f}" for value in quartiles)
    return f"{middle} ({low} to {high})"


def _rmse(prediction: Array, target: Array) -> float:
    return float(np.sqrt(np.mean((prediction - target) ** 2)))


@one_thread()
def experiment(settings: Curve) -> Outcome:
    """Measure both errors for every degree, as medians over seeds, and for the network."""
    seeds = range(settings.seed, settings.seed + _SEEDS)
    degrees = list(range(1, min(settings.degree, settings.points - 1) + 1))
    pairs = [[errors(settings, degree, seed) for seed in seeds] for degree in degrees]
    training = [float(np.median([pair[0] for pair in row])) for row in pairs]
    tests = [[pair[1] for pair in row] for row in pairs]
    test = [float(np.median(row)) for row in tests]
    best = degrees[int(np.argmin(test))]
    nets = networks(settings, seeds[:_NETWORK_SEEDS])
    net_training, net_test = (float(np.median(values)) for values in nets[:2])
    falls = all(after <= before * 1.02 + 1e-9 for before, after in pairwise(training))
    rises = test[-1] > _OVERFIT * min(test)
    words = (
        f"On the training points the error falls {'with every degree' if falls else 'with most degrees'}, "
        f"from {training[0]:.2f} for a straight line to {training[-1]:.2f}. Between them, on the true curve, "
        f"it is {test[0]:.2f} for a straight line and lowest at degree {best}, "
        f"{_middle(tests[degrees.index(best)])}"
    )
    if best < degrees[-1]:
        words += f"; at degree {degrees[-1]} it is {_middle(tests[-1])}"
    if rises:
        words += ": by then the curve follows the noise."
    elif best == degrees[-1]:
        words += ": no degree up to this one follows the noise."
    else:
        words += ". With so little noise, or so many points, high degrees do no harm."
    words += (
        f" A network of {counted(settings.neurons, 'tanh neuron')} has an error of {net_training:.2f} on the "
        f"training points and {_middle(nets[1])} between them. (Medians of {_SEEDS} samples, of "
        f"{_NETWORK_SEEDS} for the network; half of the samples lie in the range in brackets.)"
    )
    numbers = {
        "best degree": float(best), "lowest test error": min(test), "test error of a line": test[0],
        "test error of the highest degree": test[-1],
        "training error of the highest degree": training[-1],
        "network's training error": net_training, "network's test error": net_test,
    }  # fmt: skip
    xs, ys = sample(settings, settings.seed)
    between = np.linspace(xs[0], xs[-1], 400)
    truth = [
        Line("true curve", between.tolist(), sine(between).tolist(), "dashed"),
        Line("training points", xs.tolist(), ys.tolist(), "marks"),
    ]

    def fit(degree: int) -> Line:
        low, high = min(*ys, -1) - 0.8, max(*ys, 1) + 0.8  # the curve is clipped to this range
        name = "a line" if degree == 1 else f"degree {degree}"
        return Line(name, between.tolist(), _fit(settings, degree)(between).clip(low, high).tolist())

    network = Line(counted(settings.neurons, "tanh neuron"), between.tolist(), nets[2])
    by_degree = Chart(
        f"Errors, medians of {_SEEDS} samples", "degree", "error",
        [Line("test error", degrees, test), Line("training error", degrees, training)],
        log_up=True, whole_across=True,
    )  # fmt: skip
    charts = [
        Chart("Too much freedom, and too little", "x", "y", [fit(degrees[-1]), fit(1), *truth]),
        Chart("Just enough freedom", "x", "y", [fit(best), network, *truth]),
        by_degree,
    ]
    verdict: Verdict = "holds" if falls and rises else "holds only when"
    return Outcome(Finding(verdict, words, numbers, tuple(seeds)), charts)


def _fit(settings: Curve, degree: int) -> np.polynomial.Chebyshev:
    xs, ys = sample(settings, settings.seed)
    return np.polynomial.Chebyshev.fit(xs, ys, degree, domain=[-1, 1])


LESSON = Lesson(
    "curve", "Fitting a curve", "Is the curve that fits best the best one?",
    "More freedom always fits the points better, but from some point on it fits the truth worse.",
    "src/lanterna/lessons/curve.py", Curve, experiment, quick=True,
    quote=mital("But we really don't want to add too many powers."),
    explanation="""
        Two students prepare for an exam with twenty practice questions. One works out the idea behind
        them. The other learns all twenty answers by rote, misprints included. On the practice sheet
        the second one is unbeatable. In the exam, where the questions are new, the first one wins.

        A curve drawn through measured points has the same choice. The points never lie exactly on the
        truth, because every measurement is a little off; this scatter is called noise. A straight
        line is too stiff to follow the truth. A curve with very many bends can pass through every
        single point, noise and all, and swing wildly in between. It has learned the misprints. This
        is called overfitting.

        How many bends a curve may have is set here by its degree: degree 1 is a straight line, and
        each further degree allows one bend more. As the degree rises, the error on the practice
        points only falls. The error in between, on the true curve, first falls and then rises again.
        Only that second error shows whether anything has been understood.
    """,
    seen="""
        With more neurons the curve comes closer and closer to the points, but from some number on it
        moves away from the curve they are scattered around. The chart shows both errors: one goes
        down, the other turns and comes back up. Add points or reduce the noise, and the turn comes
        later.
    """,
)  # fmt: skip
