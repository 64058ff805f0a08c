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

from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.recipes.recipe import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lanterna.lessons.lesson import Verdict

    Array = NDArray[np.float64]

_SEEDS = 9
_STEPS = 1500  # of the network


class Curve(Recipe):
    """Fit a noisy sine."""

    verb: ClassVar[str] = "learn curve"

    points: int = Field(default=20, ge=6, le=500, description="Noisy points to learn from.")
    noise: float = Field(default=0.25, ge=0, le=2, description="How far points lie off the sine.")
    degree: int = Field(default=14, ge=1, le=40, description="The largest degree of a polynomial.")
    neurons: int = Field(default=8, ge=1, le=256, description="Tanh neurons of the network.")


def sample(recipe: Curve, seed: int) -> tuple[Array, Array]:
    """Points and what was measured there."""
    chance = np.random.default_rng(seed)
    xs = np.sort(chance.uniform(-1, 1, recipe.points))
    return xs, sine(xs) + chance.normal(0, recipe.noise, recipe.points)


def sine(xs: Array) -> Array:
    """What is true."""
    return np.sin(math.pi * xs)


def errors(recipe: Curve, degree: int, seed: int) -> tuple[float, float]:
    """Root mean square error of a polynomial where it was fitted, and where it was not."""
    xs, ys = sample(recipe, seed)
    fitted = np.polynomial.Chebyshev.fit(xs, ys, degree, domain=[-1, 1])
    between = np.linspace(xs[0], xs[-1], 400)
    return _off(fitted(xs), ys), _off(fitted(between), sine(between))


def network_errors(recipe: Curve, seed: int) -> tuple[float, float, Array]:
    """The same for the network, and what it draws."""
    xs, ys = sample(recipe, seed)
    generator = torch.Generator().manual_seed(seed)
    inner = (3 * torch.randn(recipe.neurons, 1, generator=generator)).requires_grad_()
    bias = torch.randn(recipe.neurons, generator=generator).requires_grad_()
    outer = (torch.randn(1, recipe.neurons, generator=generator) / math.sqrt(recipe.neurons)).requires_grad_()
    optimiser = torch.optim.Adam([inner, bias, outer], 0.02)

    def drawn(at: Array) -> torch.Tensor:
        x = torch.from_numpy(at).float()[:, None]
        return (torch.tanh(x @ inner.T + bias) @ outer.T)[:, 0]

    wanted = torch.from_numpy(ys).float()
    for _ in range(_STEPS):
        optimiser.zero_grad()
        torch.autograd.backward((drawn(xs) - wanted).square().mean())
        optimiser.step()
    between = np.linspace(xs[0], xs[-1], 400)
    with torch.no_grad():
        return (
            _off(drawn(xs).numpy(), ys),
            _off(drawn(between).numpy(), sine(between)),
            drawn(between).numpy(),
        )


def _off(found: Array, wanted: Array) -> float:
    return float(np.sqrt(np.mean((found - wanted) ** 2)))


def experiment(recipe: Curve) -> Outcome:
    """Errors for every degree, medians of some seeds; and the network's."""
    seeds = range(recipe.seed, recipe.seed + _SEEDS)
    degrees = list(range(1, min(recipe.degree, recipe.points - 1) + 1))
    pairs = [[errors(recipe, degree, seed) for seed in seeds] for degree in degrees]
    training = [float(np.median([pair[0] for pair in each])) for each in pairs]
    test = [float(np.median([pair[1] for pair in each])) for each in pairs]
    best = degrees[int(np.argmin(test))]
    net_training, net_test, drawing = network_errors(recipe, recipe.seed)
    falls = all(after <= before * 1.02 for before, after in pairwise(training))
    rises = test[-1] > 1.5 * min(test)
    words = (
        f"Where it is fitted, the error falls with every degree, from {training[0]:.2f} to "
        f"{training[-1]:.2f}. "
        f"Where it is not, it is least at degree {best} ({min(test):.2f}), and {test[-1]:.2f} at degree "
        f"{degrees[-1]}: there the curve follows the noise. {recipe.neurons} tanh neurons end at "
        f"{net_training:.2f} and {net_test:.2f}."
    )
    if not rises:
        words += " With so little noise, or so many points, high degrees do no harm here."
    numbers = {
        "best degree": float(best), "least test error": min(test),
        "test error of the highest degree": test[-1],
        "training error of the highest degree": training[-1], "network's test error": net_test,
    }  # fmt: skip
    xs, ys = sample(recipe, recipe.seed)
    between = np.linspace(xs[0], xs[-1], 400)
    fits = Chart(
        "Three fits of one sample", "x", "y",
        [
            *(
                Line(f"degree {degree}", between.tolist(), _fit(recipe, degree)(between).clip(-3, 3).tolist())
                for degree in dict.fromkeys((degrees[-1], best))
            ),
            Line(f"{recipe.neurons} tanh neurons", between.tolist(), drawing.tolist(), "dashed"),
            Line("points", xs.tolist(), ys.tolist(), "marks"),
        ],
    )  # fmt: skip
    by_degree = Chart(
        f"Medians of {_SEEDS} samples", "degree", "error",
        [Line("where it is not fitted", degrees, test), Line("where it is fitted", degrees, training)],
        log_up=True,
    )  # fmt: skip
    verdict: Verdict = "holds" if falls and rises else "holds only when"
    return Outcome(Finding(verdict, words, numbers, tuple(seeds)), [fits, by_degree])


def _fit(recipe: Curve, degree: int) -> np.polynomial.Chebyshev:
    xs, ys = sample(recipe, recipe.seed)
    return np.polynomial.Chebyshev.fit(xs, ys, degree, domain=[-1, 1])


LESSON = Lesson(
    "curve", "Fitting a curve", "Is the curve that fits best the best one?",
    "More freedom always fits the points better, and from some point on fits the truth worse.",
    "src/lanterna/lessons/curve.py", Curve, experiment, quick=True,
)  # fmt: skip
