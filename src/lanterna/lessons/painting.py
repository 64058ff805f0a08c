"""Lesson 15. Regression in two dimensions: from the sine of lesson 7 to a picture, in five small changes.

A network that learned a curve is given numbers x and answers with y. A picture is no different: it is given
a position, and answers with a colour. From one to the other it takes five changes, and none of them is in the
loop that learns. The lecture's source is session 2 of Mital's "Creative Applications of Deep Learning"; the
last change is Tancik et al. (2020), equation 5.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from lanterna.images.drawing import enlarge
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Picture
from lanterna.lessons.loop import descend
from lanterna.lessons.photographs import photograph
from lanterna.techniques.paint.pixels import psnr
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from lanterna.lessons.lesson import Verdict

Photograph = Literal["astronaut", "chelsea", "coffee"]
_BATCH, _RATE = 2000, 0.01
_POINTS = 20  # of the sine, and of the picture's middle row
_CHANGES = (
    "the sine: x to y", "1. y is a row of the picture", "2. x and y to grey", "3. grey to three colours",
    "4. more layers, of ReLUs", "5. positions as waves",
)  # fmt: skip


class PaintingSteps(Settings):
    """Go from fitting a sine to painting a picture."""

    verb: ClassVar[str] = "learn painting"

    photograph: Photograph = Field(default="coffee", description="The picture that is painted.")
    size: int = Field(default=96, ge=16, le=256, description="Its side, in pixels.")
    neurons: int = Field(default=64, ge=2, le=512, description="Neurons of each layer.")
    layers: int = Field(default=4, ge=2, le=8, description="Layers, once there are more.")
    waves: int = Field(default=128, ge=4, le=1024, description="Waves that tell a position, at last.")
    steps: int = Field(default=500, ge=10, le=5000, description="Steps of learning, after each change.")


class Fit(NamedTuple):
    """What a network has learned: its answers where it was asked, and its losses on the way."""

    answers: Tensor
    losses: list[float]


def network(inputs: int, widths: list[int], outputs: int, bend: type[nn.Module]) -> nn.Sequential:
    """Layers with a bend after each but the last."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise([inputs, *widths]):
        layers += [nn.Linear(before, after), bend()]
    return nn.Sequential(*layers, nn.Linear([inputs, *widths][-1], outputs))


def fit(made: nn.Module, x: Tensor, y: Tensor, settings: PaintingSteps) -> Fit:
    """Learn `y` `(N, outputs)` at `x` `(N, inputs)`: the same for a curve and for a picture."""
    generator = torch.Generator().manual_seed(settings.seed)

    def wrong(_: int) -> Tensor:
        some = torch.randint(0, len(x), (_BATCH,), generator=generator) if len(x) > _BATCH else slice(None)
        loss: Tensor = (made(x[some]) - y[some]).square().mean()
        return loss

    losses = descend(made.parameters(), wrong, settings.steps, _RATE)
    with torch.no_grad():
        return Fit(made(x), losses)


def positions(size: int) -> Tensor:
    """Where each pixel is, `(size², 2)`: across and down, from -1 to 1, row by row."""
    along = (torch.arange(size) + 0.5) / size * 2 - 1
    down, across = torch.meshgrid(along, along, indexing="ij")
    return torch.stack([across, down], -1).reshape(-1, 2)


def as_waves(x: Tensor, count: int, size: int, seed: int) -> Tensor:
    """Positions told by the sines and cosines of random waves over the picture, `(N, 2 * count)`."""
    waves = torch.randn(2, count, generator=torch.Generator().manual_seed(seed)) * size / 24
    turns = math.pi * x @ waves
    return torch.cat([turns.sin(), turns.cos()], 1)


def steps(settings: PaintingSteps, target: Tensor) -> list[tuple[Fit, Tensor]]:
    """What was learned after each change, and the picture it makes, `(3, size, size)`; the sine first."""
    torch.manual_seed(settings.seed)
    size, one, many = settings.size, [settings.neurons], [settings.neurons] * settings.layers
    grey = target.mean(0)
    x = torch.linspace(-1, 1, _POINTS)[:, None]
    sine = fit(network(1, one, 1, nn.Tanh), x, torch.sin(math.pi * x), settings)

    across = positions(size)[:size, :1]
    row = fit(network(1, one, 1, nn.Tanh), across, grey[size // 2][:, None], settings)

    at, colours = positions(size), target.flatten(1).T
    plain = fit(network(2, one, 1, nn.Tanh), at, grey.flatten()[:, None], settings)
    coloured = fit(network(2, one, 3, nn.Tanh), at, colours, settings)
    deep = fit(network(2, many, 3, nn.ReLU), at, colours, settings)
    told = as_waves(at, settings.waves, size, settings.seed)
    waves = fit(network(2 * settings.waves, many, 3, nn.ReLU), told, colours, settings)

    blank = torch.full((3, size, size), 0.5)
    streaks = row.answers.T[None].expand(3, size, size)
    squares = [
        each.answers.T.reshape(-1, size, size).expand(3, size, size)
        for each in (plain, coloured, deep, waves)
    ]
    pictures = [blank, streaks, *squares]
    return [
        (each, made.clamp(0, 1))
        for each, made in zip((sine, row, plain, coloured, deep, waves), pictures, strict=True)
    ]


def experiment(settings: PaintingSteps) -> Outcome:
    """How near each picture comes, and what each change has brought."""
    target = photograph(settings.photograph, settings.size)
    made = steps(settings, target)
    near = [psnr((picture - target).square().mean().item()) for _, picture in made[1:]]
    gains = [after - before for before, after in itertools.pairwise(near)]
    sine_error = math.sqrt(made[0][0].losses[-1])
    best = max(range(len(gains)), key=gains.__getitem__)
    rises = all(gain > 0 for gain in gains) and near[-1] > near[0] + 6
    verdict: Verdict = (
        "holds"
        if rises and sine_error < 0.1
        else "holds only when"
        if near[-1] > near[0]
        else "does not hold"
    )
    words = (
        f"The loop that learns the sine to {sine_error:.3f} learns the picture: one row of it "
        f"({near[0]:.1f} dB), x and y in grey ({near[1]:.1f}), in colours ({near[2]:.1f}), with "
        f"{settings.layers} layers of ReLUs ({near[3]:.1f}), and told positions as waves ({near[4]:.1f}). "
        f"Change {best + 2} brings the most, {gains[best]:.1f} dB."
    )
    if not rises:
        behind = [str(place + 2) for place, gain in enumerate(gains) if gain <= 0]
        words += f" With these settings change {' and '.join(behind)} makes it worse." if behind else ""
    sheet: list[Chart | Picture] = [
        Picture(
            f"{name}: {db:.1f} dB",
            enlarge(picture, 384),
            f"the {settings.photograph} as the network paints it then",
        )
        for name, db, (_, picture) in zip(_CHANGES[1:], near, made[1:], strict=True)
    ]
    every = max(1, settings.steps // 100)
    losses = [
        Line(name, range(0, settings.steps, every), each.losses[::every])
        for name, (each, _) in zip(_CHANGES, made, strict=True)
    ]
    chart = Chart("One loop for all of them", "steps", "mean square error", losses, log_up=True)
    numbers = {f"dB, {name}": db for name, db in zip(_CHANGES[1:], near, strict=True)} | {"sine": sine_error}
    return Outcome(Finding(verdict, words, numbers, (settings.seed,)), [chart, *sheet])


LESSON = Lesson(
    "painting", "Regression in two dimensions", "How far is it from a curve to a painting?",
    "A network that paints does what one does that fits a curve: given x and y, it answers with a colour.",
    "src/lanterna/networks/coordinates.py", PaintingSteps, experiment, needs=("photographs",),
)  # fmt: skip
