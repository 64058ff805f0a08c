"""Lesson 7. Fitting a curve: a noisy sine, polynomials of more and more degrees, and a small tanh network.

The polynomial is fitted by least squares in Chebyshev's basis, in which high degrees stay well conditioned.
Test points lie where no training point lies, and have no noise.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from pydantic import Field

from lanterna.devices import without_dynamo
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.loop import one_thread
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lanterna.lessons.lesson import Verdict

    Array = NDArray[np.float64]

_SEEDS = 9
_NETWORKS = 3  # of those seeds, with which a network is trained as well
_HARM = 1.5  # times the least test error, at least, where a curve follows the noise
_STEPS = 1500  # of the network


class Curve(Settings):
    """Fit a noisy sine."""

    verb: ClassVar[str] = "learn curve"

    points: int = Field(default=20, ge=6, le=500, description="Noisy points to learn from.")
    noise: float = Field(default=0.25, ge=0, le=2, description="How far points lie off the sine.")
    degree: int = Field(default=14, ge=1, le=40, description="The largest degree of a polynomial.")
    neurons: int = Field(default=8, ge=1, le=256, description="Tanh neurons of the network.")


def sample(settings: Curve, seed: int) -> tuple[Array, Array]:
    """Points and what was measured there."""
    chance = np.random.default_rng(seed)
    xs = np.sort(chance.uniform(-1, 1, settings.points))
    return xs, sine(xs) + chance.normal(0, settings.noise, settings.points)


def sine(xs: Array) -> Array:
    """What is true."""
    return np.sin(math.pi * xs)


def errors(settings: Curve, degree: int, seed: int) -> tuple[float, float]:
    """Root mean square error of a polynomial where it was fitted, and where it was not."""
    xs, ys = sample(settings, seed)
    fitted = np.polynomial.Chebyshev.fit(xs, ys, degree, domain=[-1, 1])
    between = np.linspace(xs[0], xs[-1], 400)
    return _off(fitted(xs), ys), _off(fitted(between), sine(between))


def networks(settings: Curve, seeds: Sequence[int]) -> tuple[list[float], list[float], list[float]]:
    """The same errors for a network with each seed, and what the first draws between its points.

    All are trained at once, as tensors with a row for each, and nothing of one reaches another.
    """
    samples = [sample(settings, seed) for seed in seeds]
    xs, ys = (np.stack(each) for each in zip(*samples, strict=True))  # (seeds, points)
    between = np.linspace(xs[:, 0], xs[:, -1], 400, axis=1)
    starts = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        starts.append(torch.randn(3, settings.neurons, generator=generator))
    scale = torch.tensor([3.0, 1.0, 1 / math.sqrt(settings.neurons)])
    inner, bias, outer = (
        part.clone().requires_grad_() for part in (torch.stack(starts, 1) * scale[:, None, None])
    )
    optimiser = without_dynamo(torch.optim.Adam)([inner, bias, outer], 0.02, fused=True)

    def drawn(at: Array) -> torch.Tensor:
        x = torch.from_numpy(at).float()[..., None]  # (seeds, places, 1)
        units: torch.Tensor = torch.tanh(x * inner[:, None] + bias[:, None]) * outer[:, None]
        return units.sum(-1)

    wanted = torch.from_numpy(ys).float()
    for _ in range(_STEPS):
        optimiser.zero_grad()
        torch.autograd.backward((drawn(xs) - wanted).square().mean(1).sum())
        optimiser.step()
    with torch.no_grad():
        fitted, drawing = drawn(xs).numpy(), drawn(between).numpy()
    return (
        [_off(one, other) for one, other in zip(fitted, ys, strict=True)],
        [_off(one, sine(other)) for one, other in zip(drawing, between, strict=True)],
        drawing[0].tolist(),
    )


def _off(found: Array, wanted: Array) -> float:
    return float(np.sqrt(np.mean((found - wanted) ** 2)))


@one_thread()
def experiment(settings: Curve) -> Outcome:
    """Errors for every degree, medians of some seeds; and the network's."""
    seeds = range(settings.seed, settings.seed + _SEEDS)
    degrees = list(range(1, min(settings.degree, settings.points - 1) + 1))
    pairs = [[errors(settings, degree, seed) for seed in seeds] for degree in degrees]
    training = [float(np.median([pair[0] for pair in each])) for each in pairs]
    test = [float(np.median([pair[1] for pair in each])) for each in pairs]
    best = degrees[int(np.argmin(test))]
    nets = networks(settings, seeds[:_NETWORKS])
    net_training, net_test = (float(np.median(each)) for each in nets[:2])
    falls = all(after <= before * 1.02 + 1e-9 for before, after in pairwise(training))
    rises = test[-1] > _HARM * min(test)
    words = (
        f"Where it is fitted, the error falls {'with every degree' if falls else 'with most degrees'}, from "
        f"{training[0]:.2f} of a line to {training[-1]:.2f}. Where it is not, it is {test[0]:.2f} of a line, "
        f"least at degree {best} ({min(test):.2f})"
    )
    if best < degrees[-1]:
        words += f", and {test[-1]:.2f} at degree {degrees[-1]}"
    if rises:
        words += ": there the curve follows the noise."
    elif best == degrees[-1]:
        words += ": no degree up to this one follows the noise."
    else:
        words += ". With so little noise, or so many points, high degrees do no harm here."
    words += (
        f" A network of {settings.neurons} tanh is off by {net_training:.2f} where it is fitted, and by "
        f"{net_test:.2f} where it is not."
    )
    numbers = {
        "best degree": float(best), "least test error": min(test), "test error of a line": test[0],
        "test error of the highest degree": test[-1],
        "training error of the highest degree": training[-1],
        "network's training error": net_training, "network's test error": net_test,
    }  # fmt: skip
    xs, ys = sample(settings, settings.seed)
    between = np.linspace(xs[0], xs[-1], 400)
    truth = [
        Line("the truth", between.tolist(), sine(between).tolist(), "dashed"),
        Line("points", xs.tolist(), ys.tolist(), "marks"),
    ]

    def fit(degree: int) -> Line:
        low, high = min(*ys, -1) - 0.8, max(*ys, 1) + 0.8  # what leaves this leaves the picture
        name = "a line" if degree == 1 else f"degree {degree}"
        return Line(name, between.tolist(), _fit(settings, degree)(between).clip(low, high).tolist())

    network = Line(f"{settings.neurons} tanh neurons", between.tolist(), nets[2])
    by_degree = Chart(
        f"Medians of {_SEEDS} samples", "degree", "error",
        [Line("where it is not fitted", degrees, test), Line("where it is fitted", degrees, training)],
        log_up=True, whole_across=True,
    )  # fmt: skip
    charts = [
        Chart("Too much freedom, and too little", "x", "y", [fit(degrees[-1]), fit(1), *truth]),
        Chart("Freedom enough", "x", "y", [fit(best), network, *truth]),
        by_degree,
    ]
    verdict: Verdict = "holds" if falls and rises else "holds only when"
    return Outcome(Finding(verdict, words, numbers, tuple(seeds)), charts)


def _fit(settings: Curve, degree: int) -> np.polynomial.Chebyshev:
    xs, ys = sample(settings, settings.seed)
    return np.polynomial.Chebyshev.fit(xs, ys, degree, domain=[-1, 1])


LESSON = Lesson(
    "curve", "Fitting a curve", "Is the curve that fits best the best one?",
    "More freedom always fits the points better, and from some point on fits the truth worse.",
    "src/lanterna/lessons/curve.py", Curve, experiment, quick=True,
)  # fmt: skip
