"""Lesson 8. Sigmoid against ReLU: does ReLU learn better because it is simple?

The same digit network with up to eight hidden layers: how many steps it takes until it reads 95 % of test
digits, how large the gradient of each layer is at the start, and how many units are dead at the end. A
sigmoid's slope is a quarter at most, so that the gradient shrinks with every layer that it goes back through
(Hochreiter 1991); a ReLU's is 1 where it is on, and 0 where it is off, which may be for good (a dead unit).

Tanh puts "because it is simple" to the test: it is a sigmoid stretched, 2 sigmoid(2 x) - 1, no simpler, but
its slope is 1 at most and its output lies around 0 (Glorot and Bengio 2010).
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from lanterna.devices import without_dynamo
from lanterna.images.digits import Digits, mnist
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.loop import one_thread
from lanterna.lessons.progress import told
from lanterna.networks.digits import dense
from lanterna.techniques.technique import Settings
from lanterna.techniques.train.algorithm import accuracy, in_unit_range

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from lanterna.lessons.lesson import Verdict
    from lanterna.networks.network import Network

Squash = Literal["sigmoid", "tanh", "relu"]

_SQUASHES: tuple[Squash, ...] = ("relu", "sigmoid", "tanh")
# The slope of each squash, from what it puts out.
_SLOPES: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.Sigmoid: lambda out: out * (1 - out),
    nn.Tanh: lambda out: 1 - out * out,
    nn.ReLU: lambda out: (out > 0).float(),
}
_BATCH, _EVERY, _TEST = 64, 25, 1000
_CLEARLY = 0.8  # the share of another's steps, at most, with which one learns sooner than it
_NOTHING = 0.01  # a slope through which next to nothing comes back


class Squashing(Settings):
    """Train one network with sigmoids, tanhs and ReLUs, at several depths."""

    verb: ClassVar[str] = "learn squash"

    depths: tuple[Annotated[int, Field(ge=1, le=8)], ...] = Field(
        default=(1, 2, 4, 8), min_length=1, max_length=8, description="How many hidden layers, 1 to 8 each."
    )
    units: int = Field(default=64, ge=4, le=512, description="Units of each hidden layer.")
    steps: int = Field(default=3000, ge=25, le=20_000, description="Steps of training, at most.")
    rate: float = Field(default=0.002, gt=0, le=0.1, description="The learning rate.")
    goal: float = Field(
        default=0.95, gt=0.1, lt=1, description="The share of test digits that is to be read right."
    )
    runs: int = Field(default=3, ge=1, le=9, description="How many seeds each is trained with.")


@dataclass(frozen=True)
class Run:
    """How one training went.

    `steps` until the goal, all there were where it was not `reached`; `gradients` of each layer's weights on
    the first batch (root mean square), as shares of the output layer's; `dead`, the share of units at the
    end.
    """

    steps: int
    reached: bool
    gradients: Sequence[float]
    dead: float


def network(settings: Squashing, squash: Squash, depth: int, seed: int) -> Network:
    """A digit network whose weights keep the size of what goes through (Glorot and Bengio 2010)."""
    made = dense([settings.units] * depth, squash)
    generator = torch.Generator().manual_seed(seed)
    for part in made.modules():
        if isinstance(part, nn.Linear):
            gain = 2**0.5 if squash == "relu" else 1.0
            nn.init.xavier_normal_(part.weight, gain, generator=generator)
            nn.init.zeros_(part.bias)
    return made


def trained(settings: Squashing, squash: Squash, depth: int, seed: int) -> Run:
    """Train until the goal, or until there are no more steps."""
    made, digits, test = network(settings, squash, depth, seed), mnist("train"), mnist("test")
    test = Digits(test.images[:_TEST], test.labels[:_TEST])
    optimiser = without_dynamo(torch.optim.Adam)(made.parameters(), settings.rate, fused=True)
    generator = torch.Generator().manual_seed(seed)
    gradients: list[float] = []
    reached = False
    for step in range(1, settings.steps + 1):
        chosen = torch.randint(0, len(digits.labels), (_BATCH,), generator=generator)
        optimiser.zero_grad()
        loss = F.cross_entropy(made(in_unit_range(digits.images[chosen])), digits.labels[chosen])
        torch.autograd.backward(loss)
        gradients = gradients or _gradients(made)
        optimiser.step()
        if step % _EVERY == 0 and accuracy(made, test) >= settings.goal:
            reached = True
            break
    return Run(step, reached, gradients, dead(made, test))


def _gradients(made: Network) -> list[float]:
    layers = [part for part in made.modules() if isinstance(part, nn.Linear)]
    sizes = [
        layer.weight.grad.square().mean().sqrt().item() for layer in layers if layer.weight.grad is not None
    ]
    return [size / sizes[-1] for size in sizes]


def dead(made: Network, digits: Digits) -> float:
    """The share of hidden units whose slope is next to nothing on every digit: no gradient goes through."""
    gone = []
    with torch.no_grad():
        for name, out in made.run(in_unit_range(digits.images)):
            slope = _SLOPES.get(type(made.layer(name)))
            if slope:
                gone.append((slope(out) < _NOTHING).all(0).float())
    return torch.cat(gone).mean().item()


@one_thread()
def experiment(settings: Squashing) -> Outcome:
    """Each squash at each depth, medians over seeds.

    With depths 1 to 8 and five seeds (two to four minutes) ReLU needs 29 to 49 % of sigmoid's steps where
    sigmoid comes there, tanh 35 to 61 %; with 6 layers one sigmoid network of five does, with 7 and 8 none.
    """
    depths = sorted(set(settings.depths))
    seeds = range(settings.seed, settings.seed + settings.runs)
    runs = {
        (squash, depth): [trained(settings, squash, depth, seed) for seed in seeds]
        for depth, squash in told([*product(depths, _SQUASHES)], "training networks")
    }
    steps = {key: statistics.median(run.steps for run in each) for key, each in runs.items()}
    reached = {key: sum(run.reached for run in each) for key, each in runs.items()}
    gone = {key: statistics.median(run.dead for run in each) for key, each in runs.items()}
    gradients = {
        key: [statistics.median(layer) for layer in zip(*(run.gradients for run in each), strict=True)]
        for key, each in runs.items()
    }

    def sooner(squash: Squash) -> list[int]:
        return [depth for depth in depths if steps[squash, depth] <= _CLEARLY * steps["sigmoid", depth]]

    verdict, words = _told(settings, depths, sooner("relu"), sooner("tanh"), any(reached.values()))
    deepest = depths[-1]
    first = {squash: gradients[squash, deepest][0] for squash in _SQUASHES}
    most = {squash: max(gone[squash, depth] for depth in depths) for squash in _SQUASHES}
    ends = dict.fromkeys((depths[0], deepest))
    words = " ".join([
        *(f"At a depth of {depth} {_steps(settings, steps, depth)}." for depth in ends),
        words,
        f"At the start {_share(first['sigmoid'])} of the last layer's gradient reaches the first of "
        f"{deepest + 1} through sigmoids, {_share(first['tanh'])} through tanh, {_share(first['relu'])} "
        "through ReLU.",
        f"Dead units at the end, at most: {most['relu']:.0%} of ReLU's, {most['sigmoid']:.0%} of sigmoid's, "
        f"{most['tanh']:.0%} of tanh's.",
    ])  # fmt: skip
    numbers = {
        f"{squash}, {depth}: {what}": float(value)
        for squash, depth in runs
        for what, value in (
            ("steps", steps[squash, depth]), ("reached", reached[squash, depth] / settings.runs),
            ("gradient", gradients[squash, depth][0]), ("dead", gone[squash, depth]),
        )
    }  # fmt: skip
    numbers["sigmoid's steps to ReLU's, at least"] = min(
        steps["sigmoid", depth] / steps["relu", depth] for depth in depths
    )
    finding = Finding(verdict, words, numbers, tuple(seeds))
    layers = range(1, deepest + 2)
    charts = [
        Chart(f"Until {settings.goal:.0%} are read right", "hidden layers",
              f"steps, {settings.steps} at most",
              _lines(depths, steps), whole_across=True),
        Chart(f"Gradient at the start, {deepest} hidden", "layer", "size, as a share of the last layer's",
              [Line(squash, layers, gradients[squash, deepest]) for squash in _SQUASHES],
              log_up=True, whole_across=True),
        Chart("Dead units at the end", "hidden layers", "share of all", _lines(depths, gone),
              whole_across=True),
    ]  # fmt: skip
    rows = [
        ("hidden layers", "squash", "steps", "seeds that came there", "first layer's gradient", "dead"),
        *(
            (
                str(depth), squash, f"{steps[squash, depth]:.0f}",
                f"{reached[squash, depth]} of {settings.runs}", f"{gradients[squash, depth][0]:.2g}",
                f"{gone[squash, depth]:.1%}",
            )
            for squash, depth in runs
        ),
    ]  # fmt: skip
    return Outcome(finding, charts, rows)


def _told(
    settings: Squashing, depths: list[int], relu: list[int], tanh: list[int], any_reached: bool
) -> tuple[Verdict, str]:
    """The verdict, from the depths at which ReLU, and tanh, learn clearly sooner than sigmoid."""
    if not any_reached:
        return (
            "holds only when",
            f"Nothing came to {settings.goal:.0%}: there have to be more steps to compare.",
        )
    if not relu:
        return "does not hold", "ReLU does not learn clearly sooner than sigmoid."
    where = "at every depth" if relu == depths else f"at depths of {', '.join(map(str, relu))} only"
    words = f"ReLU learns sooner than sigmoid {where}, by a fifth of the steps at least"
    if tanh:
        words += ", but not because it is simple: so does tanh, a stretched sigmoid and no simpler"
        if tanh != depths:
            words += f", at depths of {', '.join(map(str, tanh))}"
        words += (
            ". What differs is how much gradient arrives: what a layer does not hear, it cannot learn from"
        )
    return "holds" if relu == depths and not tanh else "holds only when", f"{words}."


def _steps(settings: Squashing, steps: dict[tuple[Squash, int], float], depth: int) -> str:
    needed = {
        squash: f"{steps[squash, depth]:.0f}"
        if steps[squash, depth] < settings.steps
        else f"more than {settings.steps}"
        for squash in _SQUASHES
    }
    return f"ReLU needs {needed['relu']} steps, tanh {needed['tanh']}, sigmoid {needed['sigmoid']}"


def _lines(depths: list[int], values: dict[tuple[Squash, int], float]) -> list[Line]:
    style: Literal["line", "marks"] = "line" if len(depths) > 1 else "marks"
    return [Line(squash, depths, [values[squash, depth] for depth in depths], style) for squash in _SQUASHES]


def _share(value: float) -> str:
    """A share in words: 20 %, 3 thousandths, 3 millionths."""
    if value >= 0.01:
        return f"{value:.0%}"
    for name, unit in (("thousandths", 1e-3), ("millionths", 1e-6), ("billionths", 1e-9)):
        if value >= unit:
            return f"{value / unit:.0f} {name}"
    return "nothing"


LESSON = Lesson(
    "squash", "Sigmoid against ReLU", "Does ReLU learn better because it is simple?",
    "ReLU has taken the place of the sigmoid: it learns better, because it is simple.",
    "src/lanterna/networks/digits.py", Squashing, experiment, needs=("mnist",),
)  # fmt: skip
