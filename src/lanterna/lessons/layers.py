"""Lesson 5. Chains and layers: what two layers can do that one cannot.

One layer can only separate two classes with a straight line. It cannot solve XOR (Minsky and Papert,
"Perceptrons", 1969), nor separate a ring from the points inside it. Two layers with an activation between
them can.
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
from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Surface
from lanterna.lessons.loop import one_thread
from lanterna.lessons.text import counted, percent
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lanterna.lessons.lesson import Verdict

Coordinate = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]

_POINTS, _STEPS, _SEEDS = 200, 400, 15
_EACH_UP_TO = 8  # hidden units: every number up to this is tried, above it each power of two
_MIN_POINTS = 4  # of a reader's own
_SIDE = 48  # pixels along a side of the picture of a network's answers
_MARGIN = 0.1  # of accuracy: how much better two layers have to be
_ENOUGH = 0.95  # accuracy
_COIN = 0.05  # of accuracy: this close to a half is guessing
_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "none": nn.Identity}


class Layers(Settings):
    """Separate two classes of points."""

    verb: ClassVar[str] = "learn layers"

    points: Literal["xor", "rings", "moons", "two heaps", "own"] = Field(
        default="rings", description="The points to separate: two rings, two crescents, XOR, two heaps."
    )
    own: tuple[Coordinate, ...] = Field(
        default=(), max_length=600,
        description="Your own points: x, y and class of each in turn; -2 to 2, the class 0 or 1.",
    )  # fmt: skip
    hidden: int = Field(default=8, ge=1, le=256, description="Units of the hidden layer.")
    activation: Literal["relu", "tanh", "sigmoid", "none"] = Field(
        default="relu", description="The activation between the two layers; with none they act as one layer."
    )

    @field_validator("own", mode="before")
    @classmethod
    def _flattened(cls, given: Any) -> Any:  # noqa: ANN401
        """Accept a list of three numbers for each point as well."""
        if (
            isinstance(given, list | tuple)
            and given
            and all(isinstance(point, list | tuple) for point in given)
        ):
            return [number for point in given for number in point]
        return given

    @field_validator("own")
    @classmethod
    def _complete(cls, own: tuple[float, ...]) -> tuple[float, ...]:
        if len(own) % 3 or not {0.0, 1.0}.issuperset(own[2::3]):
            raise ValueError("expected x, y and class, 0 or 1, of every point")
        return own


def sample(settings: Layers, seed: int) -> tuple[Tensor, Tensor]:
    """Draw points `(N, 2)` and their classes `(N,)`. A reader's own points are the same for every seed.

    Errors: `UsageError` if the reader's own points are too few, or all of one class.
    """
    if settings.points == "own":
        classes = torch.tensor(settings.own[2::3]).long()
        if len(classes) < _MIN_POINTS or len(set(settings.own[2::3])) < 2:
            raise UsageError(
                f"own: expected {_MIN_POINTS} points or more, some of each class, got {len(classes)}: "
                "give x, y and class of each in turn"
            )
        return torch.tensor(settings.own).view(-1, 3)[:, :2], classes
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(_POINTS) % 2
    noise = 0.1 * torch.randn(_POINTS, 2, generator=generator)
    angle = 2 * math.pi * torch.rand(_POINTS, generator=generator)
    if settings.points == "rings":
        radius = torch.where(classes == 0, 0.35, 1.0)[:, None]
        return radius * torch.stack([angle.cos(), angle.sin()], 1) + noise, classes
    if settings.points == "moons":
        half = angle / 2
        upper = torch.stack([half.cos() - 0.5, half.sin() - 0.25], 1)
        return torch.where(classes[:, None] == 0, upper, -upper) + noise, classes
    if settings.points == "xor":
        corner = torch.randint(0, 2, (_POINTS,), generator=generator)
        signs = 2.0 * torch.stack([corner, corner ^ classes], 1) - 1
        return 0.7 * signs + 2 * noise, classes
    return (1.4 * classes - 0.7)[:, None] * torch.ones(2) + 2 * noise, classes


def network(settings: Layers, layers: int, seed: int) -> nn.Sequential:
    """Return one layer, or two with an activation between them."""
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Linear(2, 1)) if layers == 1 else nn.Sequential(
        nn.Linear(2, settings.hidden), _ACTIVATIONS[settings.activation](), nn.Linear(settings.hidden, 1)
    )  # fmt: skip
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(
                torch.randn(parameter.shape, generator=generator) / math.sqrt(parameter.shape[-1])
            )
    return net


def trained(settings: Layers, layers: int, seeds: Sequence[int]) -> list[nn.Sequential]:
    """Train a network for each seed, on its own sample of the points."""
    nets = [network(settings, layers, seed) for seed in seeds]
    _train(nets, [sample(settings, seed) for seed in seeds])
    return nets


def trained_sizes(
    settings: Layers, sizes: Sequence[int], seeds: Sequence[int]
) -> dict[int, list[nn.Sequential]]:
    """Train networks of two layers, one for each number of hidden units and seed."""
    nets = {size: [network(settings.changed({"hidden": size}), 2, seed) for seed in seeds] for size in sizes}
    samples = [sample(settings, seed) for seed in seeds]
    small = [size for size in sizes if size <= _EACH_UP_TO]
    for group in (small, *([size] for size in sizes if size > _EACH_UP_TO)):
        if group:
            _train([net for size in group for net in nets[size]], samples * len(group))
    return nets


def _train(nets: Sequence[nn.Sequential], samples: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Train each network on its own points, all together in batched tensors, independently of each other.

    Smaller networks are filled up with hidden units that are always 0.
    """
    points, classes = (torch.stack(parts) for parts in zip(*samples, strict=True))
    widths = torch.tensor([len(next(net.parameters())) for net in nets])
    used = (torch.arange(int(widths.max())) < widths[:, None])[:, None].float()  # (networks, 1, units)
    widest = nets[int(widths.argmax())]
    stacked = [parameter.new_zeros(len(nets), *parameter.shape) for parameter in widest.parameters()]
    for row, net in enumerate(nets):
        for parameter, filled in zip(net.parameters(), stacked, strict=True):
            filled[row][tuple(map(slice, parameter.shape))] = parameter.detach()
    for filled in stacked:
        filled.requires_grad_()
    optimiser = without_dynamo(torch.optim.Adam)(stacked, 0.03, fused=True)
    for _ in range(_STEPS):
        optimiser.zero_grad()
        values = torch.baddbmm(stacked[1][:, None], points, stacked[0].mT)  # (networks, points, hidden)
        if len(stacked) > 2:
            values = torch.baddbmm(stacked[3][:, None], nets[0][1](values) * used, stacked[2].mT)
        loss = F.binary_cross_entropy_with_logits(values[..., 0], classes.float(), reduction="none")
        torch.autograd.backward(loss.mean(1).sum())
        optimiser.step()
    with torch.no_grad():
        for row, net in enumerate(nets):
            for parameter, learned in zip(net.parameters(), stacked, strict=True):
                parameter.copy_(learned[row][tuple(map(slice, parameter.shape))])


def accuracies(settings: Layers, networks: Sequence[nn.Sequential], seeds: Sequence[int]) -> list[float]:
    """Return the accuracy of networks, one for each seed, on new points, from the lowest to the highest.

    A reader's own points serve as the test points too.
    """
    shares: list[float] = []
    for net, seed in zip(networks, seeds, strict=True):
        points, classes = sample(settings, seed + 10_000)
        with torch.no_grad():
            shares.append(((net(points)[:, 0] > 0) == classes.bool()).float().mean().item())
    return sorted(shares)


@one_thread()
def experiment(settings: Layers) -> Outcome:
    """Measure the accuracy of one layer, and of two by their hidden units, best and median of 15 seeds.

    The best of many trainings shows what a network of this size can express, the median what training finds.
    """
    seeds = range(settings.seed, settings.seed + _SEEDS)
    powers = {2**power for power in range(settings.hidden.bit_length())}
    sizes = sorted({*range(1, min(settings.hidden, _EACH_UP_TO) + 1), *powers, settings.hidden})

    single = trained(settings, 1, seeds)
    double = trained_sizes(settings, sizes, seeds)
    shares = [accuracies(settings, double[size], seeds) for size in sizes]
    best, medians = [each[-1] for each in shares], [statistics.median(each) for each in shares]
    one, two = statistics.median(accuracies(settings, single, seeds)), medians[-1]
    can, finds = (
        next((size for size, share in zip(sizes, found, strict=True) if share > _ENOUGH), None)
        for found in (best, medians)
    )
    holds = two > one + _MARGIN
    connections, biases = 3 * settings.hidden, settings.hidden + 1
    units = counted(settings.hidden, "hidden unit")
    points = "your points" if settings.points == "own" else "new points"
    verdict: Verdict = "holds" if holds else "holds only when"
    words = (
        f"One layer, with 2 connections and a bias, gets {percent(one)} of {points} right"
        f"{', like tossing a coin' if abs(one - 0.5) < _COIN else ''}. Two layers with {units}, "
        f"{connections} connections and {biases} biases, get {percent(two)} right: the median of {_SEEDS} "
        f"trainings ({percent(shares[-1][0])} to {percent(best[-1])}). "
    )
    words += _enough(can, finds, units)
    if settings.activation == "none":
        words += (
            " Without an activation between them, two layers are no more than one: the product of two "
            "matrices is a matrix."
        )
    elif not holds and one > _ENOUGH:
        words += " A straight line separates these points, so a second layer adds nothing."
    elif not holds:
        words += " Here two layers do hardly better than one: try more hidden units."
    numbers = {
        "accuracy, one layer": one, "accuracy, two layers": two,
        "hidden units that can": float(can or 0), "hidden units at the median": float(finds or 0),
        "connections": float(connections), "parameters": float(connections + biases),
    }  # fmt: skip
    by_size = Chart(
        f"Accuracy of {_SEEDS} trainings", "hidden units", "accuracy",
        [Line("two layers, the best", sizes, best), Line("two layers, the median", sizes, medians),
         Line("one layer, the median", sizes, [one] * len(sizes), "dashed")],
        log_across=True, whole_across=True,
    )  # fmt: skip
    charts = [
        _answers(settings, single[0], "One layer's answers"),
        _answers(settings, double[settings.hidden][0], f"Two layers' answers, {units}"),
        by_size,
    ]
    return Outcome(Finding(verdict, words, numbers, tuple(seeds)), charts)


def _enough(can: int | None, finds: int | None, units: str) -> str:
    """Say how many hidden units reach 95 %: in the best training, and in half of all."""
    if can is None:
        return f"No training with up to {units} reaches 95 %."
    if can == finds:
        return f"{counted(can, 'hidden unit')} {'is' if can == 1 else 'are'} enough for 95 %."
    half = f"{finds} do in half of all trainings" if finds else f"up to {units}, less than half of all do"
    return (
        f"{counted(can, 'hidden unit')} can reach 95 %, as the best training shows; {half}. What a network "
        "can express is one thing, what training finds is another."
    )


def _answers(settings: Layers, net: nn.Sequential, title: str) -> Chart:
    """Draw the points over the network's answers: the brighter, the surer it is of the second class."""
    points, classes = sample(settings, settings.seed)
    reach = points.abs().max().item() + 0.2
    side = torch.linspace(-reach, reach, _SIDE)
    with torch.no_grad():
        chance = net(torch.cartesian_prod(side, side).flip(1))[:, 0].sigmoid()  # row by row, from the bottom
    lines = [
        Line(name, points[classes == each, 0].tolist(), points[classes == each, 1].tolist(), "marks")
        for each, name in enumerate(("first class", "second class (bright area)"))
    ]
    surface = Surface(chance.view(_SIDE, _SIDE).tolist(), -reach, reach, -reach, reach)
    return Chart(title, "x", "y", lines, surface=surface)


LESSON = Lesson(
    "layers", "Chains and layers", "What can two layers do that one cannot?",
    "Every node is connected to every node of the next layer, and with more layers a network can separate "
    "more.",
    "src/lanterna/lessons/layers.py", Layers, experiment, quick=True,
    quote=grierson(
        "All this means is that every node in one layer is connected to every node in the next layer"
    ),
    explanation="""
        Scatter some orange and some blue dots on a sheet of paper, and try to part the colours with
        one straight cut of the scissors. If the orange ones lie on the left and the blue ones on the
        right, that is easy. If the blue ones form a ring around the orange ones, no straight cut will
        ever do it. And one straight cut is all that a single layer can make.

        Now make several cuts, and let somebody else look at where a dot ended up: on the inner side
        of this cut, and of that one, and of that one? Then it must be orange. With enough cuts you
        can fence in almost any shape. That is what two layers do. Each unit of the first, hidden
        layer makes one cut, and the second layer weighs up their answers.

        There is one condition: each unit has to bend its answer a little, with an activation
        function. If it does not, all the cuts add up to one straight cut again, and the second layer
        was for nothing.
    """,
    seen="""
        One layer can only draw a straight border, and on the rings that is hardly better than
        guessing. Two layers bend the border around the inner ring. It is not only the extra
        connections that do it: choose no activation, and two layers draw a straight border again.
    """,
)  # fmt: skip
