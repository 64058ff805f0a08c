"""Lesson 5. Chains and layers: what two layers can do that one cannot.

One layer draws a straight line between two classes, so that it cannot tell XOR's corners apart (Minsky and
Papert, "Perceptrons", 1969), nor a ring from what is inside it. With a bend between two layers it can.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import nn

from lanterna.devices import without_dynamo
from lanterna.errors import UsageError
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Surface
from lanterna.lessons.loop import one_thread
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lanterna.lessons.lesson import Verdict

Coordinate = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]

_POINTS, _STEPS, _SEEDS = 200, 400, 5
_FEWEST = 4  # points of one's own
_SIDE = 48  # places along each side at which the networks are asked
_MORE = 0.1  # by how much of all points two layers have to be better
_ENOUGH = 0.95


class Layers(Settings):
    """Tell two classes of points apart."""

    verb: ClassVar[str] = "learn layers"

    points: Literal["xor", "rings", "moons", "two heaps", "own"] = Field(
        default="rings", description="What is to be told apart: the moons lie along a curve."
    )
    own: tuple[Coordinate, ...] = Field(
        default=(), max_length=600,
        description="Points of your own: x, y and class of each in turn, between -2 and 2, a class 0 or 1.",
    )  # fmt: skip
    hidden: int = Field(default=8, ge=1, le=256, description="Units of the hidden layer.")
    bend: Literal["relu", "tanh", "sigmoid", "none"] = Field(
        default="relu", description="What stands between the two layers; none: they are one."
    )

    @field_validator("own", mode="before")
    @classmethod
    def _in_a_row(cls, given: Any) -> Any:  # noqa: ANN401
        """A list for each point is read as well: all of them in a row."""
        if (
            isinstance(given, list | tuple)
            and given
            and all(isinstance(each, list | tuple) for each in given)
        ):
            return [number for each in given for number in each]
        return given

    @field_validator("own")
    @classmethod
    def _in_threes(cls, own: tuple[float, ...]) -> tuple[float, ...]:
        if len(own) % 3 or not {0.0, 1.0}.issuperset(own[2::3]):
            raise ValueError("expected x, y and class, 0 or 1, of every point")
        return own


def sample(settings: Layers, seed: int) -> tuple[Tensor, Tensor]:
    """Points `(N, 2)` and which class each is of, `(N,)`. One's own are the same for every seed.

    Errors: `UsageError` where one's own are too few, or of one class.
    """
    if settings.points == "own":
        which = torch.tensor(settings.own[2::3]).long()
        if len(which) < _FEWEST or len(set(settings.own[2::3])) < 2:
            raise UsageError(
                f"own: expected {_FEWEST} points or more, some of each class, got {len(which)}: "
                "give x, y and class of each in turn"
            )
        return torch.tensor(settings.own).view(-1, 3)[:, :2], which
    generator = torch.Generator().manual_seed(seed)
    which = torch.arange(_POINTS) % 2
    noise = 0.1 * torch.randn(_POINTS, 2, generator=generator)
    turn = 2 * math.pi * torch.rand(_POINTS, generator=generator)
    if settings.points == "rings":
        radius = torch.where(which == 0, 0.35, 1.0)[:, None]
        return radius * torch.stack([turn.cos(), turn.sin()], 1) + noise, which
    if settings.points == "moons":
        half = turn / 2
        upper = torch.stack([half.cos() - 0.5, half.sin() - 0.25], 1)
        return torch.where(which[:, None] == 0, upper, -upper) + noise, which
    if settings.points == "xor":
        corner = torch.randint(0, 2, (_POINTS,), generator=generator)
        signs = 2.0 * torch.stack([corner, corner ^ which], 1) - 1
        return 0.7 * signs + 2 * noise, which
    return (1.4 * which - 0.7)[:, None] * torch.ones(2) + 2 * noise, which


def network(settings: Layers, layers: int, seed: int) -> nn.Sequential:
    """One layer, or two with a bend between them."""
    generator = torch.Generator().manual_seed(seed)
    bends = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "none": nn.Identity}
    made = nn.Sequential(nn.Linear(2, 1)) if layers == 1 else nn.Sequential(
        nn.Linear(2, settings.hidden), bends[settings.bend](), nn.Linear(settings.hidden, 1)
    )  # fmt: skip
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(
                torch.randn(parameter.shape, generator=generator) / math.sqrt(parameter.shape[-1])
            )
    return made


def trained(settings: Layers, layers: int, seeds: Sequence[int]) -> list[nn.Sequential]:
    """A network for each seed, which has learned a sample of the points.

    All are trained at once, as tensors with a row for each, and nothing of one reaches another.
    """
    made = [network(settings, layers, seed) for seed in seeds]
    points, which = (
        torch.stack(each) for each in zip(*(sample(settings, seed) for seed in seeds), strict=True)
    )
    rows = [
        torch.stack(each).detach().requires_grad_()
        for each in zip(*map(nn.Module.parameters, made), strict=True)
    ]
    optimiser = without_dynamo(torch.optim.Adam)(rows, 0.03, fused=True)
    for _ in range(_STEPS):
        optimiser.zero_grad()
        values = points  # (seeds, points, 2), then a column for each unit
        for place in range(0, len(rows), 2):
            values = torch.baddbmm(
                rows[place + 1][:, None], made[0][place - 1](values) if place else values, rows[place].mT
            )
        wrong = F.binary_cross_entropy_with_logits(values[..., 0], which.float(), reduction="none")
        torch.autograd.backward(wrong.mean(1).sum())
        optimiser.step()
    with torch.no_grad():
        for row, each in enumerate(made):
            for parameter, learned in zip(each.parameters(), rows, strict=True):
                parameter.copy_(learned[row])
    return made


def accuracy(settings: Layers, networks: Sequence[nn.Sequential], seeds: Sequence[int]) -> float:
    """The share of fresh points that networks tell apart, the median of the seeds of which each is one's.

    Of one's own points, the share of those.
    """
    shares: list[float] = []
    for made, seed in zip(networks, seeds, strict=True):
        fresh, wanted = sample(settings, seed + 10_000)
        with torch.no_grad():
            shares.append(((made(fresh)[:, 0] > 0) == wanted.bool()).float().mean().item())
    return statistics.median(shares)


@one_thread()
def experiment(settings: Layers) -> Outcome:
    """Accuracy of one layer and of two with 1, 2, 4 … hidden units, medians of some seeds."""
    seeds = range(settings.seed, settings.seed + _SEEDS)
    sizes = sorted({2**power for power in range(settings.hidden.bit_length())} | {settings.hidden})

    single = trained(settings, 1, seeds)
    double = [trained(settings.changed({"hidden": size}), 2, seeds) for size in sizes]
    one = accuracy(settings, single, seeds)
    two = [accuracy(settings, each, seeds) for each in double]
    enough = next((size for size, share in zip(sizes, two, strict=True) if share > _ENOUGH), None)
    holds = two[-1] > one + _MORE
    connections, biases = 3 * settings.hidden, settings.hidden + 1
    units = "hidden unit" if settings.hidden == 1 else "hidden units"
    whose = "your points" if settings.points == "own" else "fresh points"
    verdict: Verdict = "holds" if holds else "holds only when"
    words = (
        f"One layer, 2 connections and a bias, gets {one:.0%} of {whose} right; two with {settings.hidden} "
        f"{units}, {connections} connections and {biases} biases, {two[-1]:.0%}. "
    )
    words += (
        f"{enough} hidden unit{'' if enough == 1 else 's'} {'is' if enough == 1 else 'are'} enough for 95 %."
        if enough
        else f"No size up to {settings.hidden} comes to 95 %."
    )
    if settings.bend == "none":
        words += " Without a bend between them two layers are one: a product of matrices is a matrix."
    elif not holds and one > _ENOUGH:
        words += " These points are told apart by a straight line, so that a second layer adds nothing."
    elif not holds:
        words += " Two layers do hardly more than one here: try more hidden units."
    numbers = {
        "one layer": one, "two layers": two[-1], "enough": float(enough or 0),
        "connections": float(connections), "links": float(connections + biases),
    }  # fmt: skip
    by_size = Chart(
        f"Told apart, medians of {_SEEDS} seeds", "hidden units", "share",
        [Line("two layers", sizes, two), Line("one layer", sizes, [one] * len(sizes), "dashed")],
        log_across=True, whole_across=True,
    )  # fmt: skip
    charts = [
        _answers(settings, single[0], "One layer answers"),
        _answers(settings, double[-1][0], f"Two layers answer, {settings.hidden} {units}"),
        by_size,
    ]
    return Outcome(Finding(verdict, words, numbers, tuple(seeds)), charts)


def _answers(settings: Layers, made: nn.Sequential, title: str) -> Chart:
    """The points, and as light beneath them how sure the network is of the second class everywhere."""
    points, which = sample(settings, settings.seed)
    reach = points.abs().max().item() + 0.2
    side = torch.linspace(-reach, reach, _SIDE)
    with torch.no_grad():
        sure = made(torch.cartesian_prod(side, side).flip(1))[:, 0].sigmoid()  # row by row, from below
    lines = [
        Line(name, points[which == each, 0].tolist(), points[which == each, 1].tolist(), "marks")
        for each, name in enumerate(("one class", "the other, light where it is answered"))
    ]
    surface = Surface(sure.view(_SIDE, _SIDE).tolist(), -reach, reach, -reach, reach)
    return Chart(title, "x", "y", lines, surface=surface)


LESSON = Lesson(
    "layers", "Chains and layers", "What can two layers do that one cannot?",
    "Every node is joined to every node of the next layer, and with more layers more can be told apart.",
    "src/lanterna/lessons/layers.py", Layers, experiment, quick=True,
)  # fmt: skip
