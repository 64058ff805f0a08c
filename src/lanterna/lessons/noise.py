"""Lesson 19. From noise to a picture: flow matching on points of a ring, and what an exact solution would do.

A point of the plane stands for a picture: real ones lie on a ring, as pictures of digits are a thin part of
all pictures of 784 pixels, and noise is anywhere. The network learns by the rule of `lanterna imagine`, and
its own sampler follows the way. For so few training points the best possible prediction is known: their mean,
weighted by how likely each has led to the mixture (Karras et al. 2022, appendix B.3).
"""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field

from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.loop import descend, one_thread
from lanterna.lessons.text import percent
from lanterna.techniques.imagine.algorithm import follow
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from lanterna.lessons.lesson import Verdict

    Predict = Callable[[Tensor, float, Tensor], Tensor]  # places (N, 2), time, sides (N, 2) to points (N, 2)

_SEEDS = 3
_SAMPLES = 400
_BATCH = 256
_NEURONS = 64
_WAYS = 12  # that are drawn
_DROPPED = 0.1  # share of points that are shown without their side
_GUIDANCES = (0.0, 1.0, 2.0, 4.0)


class Noise(Settings):
    """Learn the way from noise to points of a ring, and follow it."""

    verb: ClassVar[str] = "learn noise"

    points: int = Field(default=40, ge=4, le=1000, description="Points of the ring to learn from.")
    steps: int = Field(default=16, ge=1, le=128, description="Steps from noise to a point.")
    guidance: float = Field(
        default=1.0, ge=0, le=10, description="How much the side that is asked for counts."
    )
    training: int = Field(default=600, ge=50, le=5000, description="Steps of training.")


def ring(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw points of a ring of radius 1, `(N, 2)`, and their sides: left or right, `(N, 2)`."""
    angles = 2 * math.pi * torch.rand(count, generator=generator)
    points = torch.stack([angles.cos(), angles.sin()], 1)
    return points, F.one_hot((points[:, 0] > 0).long(), 2).float()


def learned(settings: Noise, points: Tensor, sides: Tensor, seed: int) -> Predict:
    """Train a network of two hidden layers, and return what it predicts."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [(_NEURONS, 8), (_NEURONS, _NEURONS), (2, _NEURONS)]
    weights = [torch.randn(size, generator=generator) / math.sqrt(size[1]) for size in sizes]
    biases = [torch.zeros(size[0]) for size in sizes]
    for tensor in (*weights, *biases):
        tensor.requires_grad_()

    def predict(x: Tensor, times: Tensor, side: Tensor) -> Tensor:
        inputs = [x, times, (math.pi * times).cos(), (math.pi * times).sin(), times.square(), side]
        h = torch.cat(inputs, 1)  # (N, 8)
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            h = F.silu(F.linear(h, weight, bias))
        return F.linear(h, weights[-1], biases[-1])

    def loss(_: int) -> Tensor:
        chosen = torch.randint(len(points), (_BATCH,), generator=generator)
        times = torch.rand(_BATCH, 1, generator=generator)
        noise = torch.randn(_BATCH, 2, generator=generator)
        shown = (torch.rand(_BATCH, 1, generator=generator) > _DROPPED).float()
        predicted = predict(torch.lerp(noise, points[chosen], times), times, sides[chosen] * shown)
        return (predicted - points[chosen]).square().mean()

    descend([*weights, *biases], loss, settings.training, 0.01)

    @torch.no_grad()
    def at(x: Tensor, time: float, side: Tensor) -> Tensor:
        return predict(x, torch.full((len(x), 1), time), side)

    return at


def exact(points: Tensor) -> Predict:
    """Return the best possible prediction for these training points, whatever the side."""

    def at(x: Tensor, time: float, _: Tensor) -> Tensor:
        apart = torch.cdist(x, time * points).square() / (2 * max(1 - time, 1e-3) ** 2)
        return (-apart).softmax(1) @ points

    return at


def drawn(predict: Predict, side: Tensor, steps: int, guidance: float, seed: int) -> list[Tensor]:
    """Follow the way from noise; return the points `(N, 2)` at its beginning and after each step."""
    start = torch.randn(len(side), 2, generator=torch.Generator().manual_seed(seed + 1000))

    def velocity(x: Tensor, time: float) -> Tensor:
        anywhere = predict(x, time, torch.zeros_like(side))
        point = anywhere if not guidance else torch.lerp(anywhere, predict(x, time, side), guidance)
        return (point - x) / max(1 - time, 1e-3)

    return [start, *follow(velocity, start, steps)]


def off_the_ring(points: Tensor) -> float:
    """Return the median distance of points from the ring."""
    return float((points.norm(dim=1) - 1).abs().median())


def nearest(points: Tensor, known: Tensor) -> float:
    """Return the median distance of points to the nearest training point."""
    return float(torch.cdist(points, known).amin(1).median())


@one_thread()
def experiment(settings: Noise) -> Outcome:
    """Measure how far from the ring samples end, how near to copies, and what guidance changes."""
    counts = sorted({1, 2, 4, 8, settings.steps})
    side = F.one_hot(torch.arange(_SAMPLES) % 2, 2).float()
    seeds = range(settings.seed, settings.seed + _SEEDS)
    off: dict[int, list[float]] = {count: [] for count in counts}
    right: dict[float, list[float]] = {each: [] for each in _GUIDANCES}
    spread: dict[float, list[float]] = {each: [] for each in _GUIDANCES}
    copies, exact_copies, new = list[float](), list[float](), list[float]()
    shown: tuple[Tensor, list[Tensor]] | None = None
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        points, sides = ring(settings.points, generator)
        network = learned(settings, points, sides, seed)
        for count in counts:
            way = drawn(network, side, count, settings.guidance, seed)
            off[count].append(off_the_ring(way[-1]))
        way = drawn(network, side, settings.steps, settings.guidance, seed)
        copies.append(nearest(F.normalize(way[-1]), points))  # moved onto the ring, as new points are on it
        exact_copies.append(nearest(drawn(exact(points), side, 32, 0, seed)[-1], points))
        new.append(nearest(ring(_SAMPLES, generator)[0], points))
        for each in _GUIDANCES:
            ends = drawn(network, side, settings.steps, each, seed)[-1]
            right[each].append(((ends[:, 0] > 0) == (side[:, 1] > 0)).float().mean().item())
            spread[each].append(ends[side[:, 1] > 0, 1].std().item())
        shown = shown or (points, way)
    assert shown is not None
    one, many = median(off[1]), median(off[settings.steps])
    copied, known, fresh = median(copies), median(exact_copies), median(new)
    steps_help = settings.steps > 1 and 3 * many < one
    copies_nothing = known < 0.3 * fresh and copied > 0.5 * fresh
    words = (
        f"One step from noise ends {_ranged(off[1])} inside the ring, near the mean of the points that were "
        f"asked for; {settings.steps} steps end {_ranged(off[settings.steps])} from it. The best possible "
        f"prediction ends on training points: {_ranged(exact_copies)} from the nearest. The network's "
        f"samples are {_ranged(copies)} from the nearest, new points of the ring {_ranged(new)}"
        + (": it fills the gaps instead of copying. " if copies_nothing else ". ")
        + f"With guidance 0, {percent(median(right[0.0]))} are on the side that was asked for, with 1 "
        f"{percent(median(right[1.0]))}, with 4 {percent(median(right[4.0]))}, but then they spread over "
        f"{median(spread[4.0]):.2f} instead of {median(spread[1.0]):.2f}. (Medians of {_SEEDS} trainings, "
        "and their range in brackets.)"
    )
    numbers = {
        "off the ring, 1 step": one, f"off the ring, {settings.steps} steps": many,
        "from a training point, network": copied, "from a training point, exact": known,
        "from a training point, new points": fresh,
        **{f"on the right side, guidance {each:g}": median(right[each]) for each in _GUIDANCES},
        **{f"spread, guidance {each:g}": median(spread[each]) for each in _GUIDANCES},
    }  # fmt: skip
    verdict: Verdict = (
        "holds" if steps_help and copies_nothing
        else "holds only when" if steps_help or copies_nothing else "does not hold"
    )  # fmt: skip
    charts = [
        _ways(*shown),
        Chart(
            "How far from the ring samples end", "steps from noise", "distance",
            [Line("network", counts, [median(off[count]) for count in counts])],
            log_across=True, log_up=True, whole_across=True,
        ),
        Chart(
            "What guidance changes", "guidance", "share, and spread",
            [
                Line("on the side asked for", _GUIDANCES, [median(right[each]) for each in _GUIDANCES]),
                Line("spread along the ring", _GUIDANCES, [median(spread[each]) for each in _GUIDANCES]),
            ],
        ),
    ]  # fmt: skip
    return Outcome(Finding(verdict, words, numbers, tuple(seeds)), charts)


def _ways(points: Tensor, way: Sequence[Tensor]) -> Chart:
    """Draw some ways from noise to the ring."""
    places = torch.stack(list(way))[:, :_WAYS]  # (steps + 1, ways, 2)
    lines = [
        Line(f"way {number + 1}", places[:, number, 0].tolist(), places[:, number, 1].tolist())
        for number in range(places.shape[1])
    ]
    ends = way[-1]
    return Chart(
        "From noise to the ring", "x", "y",
        [
            Line("samples", ends[:, 0].tolist(), ends[:, 1].tolist(), "marks"),
            Line("training points", points[:, 0].tolist(), points[:, 1].tolist(), "marks"),
            *lines[:3],
        ],
    )  # fmt: skip


def _ranged(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


LESSON = Lesson(
    "noise", "From noise to a picture", "How does noise become a picture that nobody drew?",
    "Many small steps lead from noise to something new among the pictures, where one step gives their mean.",
    "src/lanterna/techniques/imagine/algorithm.py", Noise, experiment, quick=True,
    quote=grierson("Lots of people are very excited about using deep learning to generate images."),
    explanation="""
        Somebody in fog asks the way to a village. Far away nobody can say which house is meant, so they
        point to the middle of the village. After a few steps the fog is thinner and they ask again; now
        one street is nearer than the others. At the end they stand before one house. Had they walked to
        the middle at once, without asking again, they would stand in an empty square.

        A network learns to answer that question. In training, a picture is mixed with noise, and the
        network guesses the picture. Through much noise its best guess is a mean of all pictures, which
        looks like none of them. So it is believed for one small step only, and asked again.

        Guidance compares two answers: the way to any picture, and the way to the kind that was asked
        for. Going further in the direction from the first to the second makes the kind clearer, and
        the pictures more alike.

        With perfect answers, every way would end at a picture from training. The network is too smooth
        for that: between pictures it knows, it leads to new ones.
    """,
)  # fmt: skip
