"""Lesson 15. Regression in two dimensions: from the sine of lesson 7 to a picture, in five small changes.

A network that has learned a curve takes a number x and returns y. A picture is no different: the network
takes a position and returns a colour. Five changes lead from one to the other, and none of them is in the
training loop. The lecture's source is session 2 of Mital's "Creative Applications of Deep Learning"; the last
change is Tancik et al. (2020), equation 5.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from lanterna.images.drawing import enlarge
from lanterna.lessons.lecture import mital
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Picture
from lanterna.lessons.loop import descend
from lanterna.lessons.photographs import photograph
from lanterna.lessons.text import counted, listed
from lanterna.techniques.paint.pixels import psnr
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from lanterna.lessons.lesson import Verdict

Photograph = Literal["astronaut", "chelsea", "coffee"]
_BATCH, _RATE = 2000, 0.01
_POINTS = 20  # of the sine
_CHANGES = (
    "the sine: x to y", "1. y is a row of the picture", "2. x and y to grey", "3. grey to three colours",
    "4. more layers, with ReLUs", "5. positions as waves",
)  # fmt: skip


class PaintingSteps(Settings):
    """Turn a network that fits a sine into one that paints a picture."""

    verb: ClassVar[str] = "learn painting"

    photograph: Photograph = Field(default="coffee", description="The picture to paint.")
    size: int = Field(default=96, ge=16, le=256, description="Its side in pixels.")
    neurons: int = Field(default=64, ge=2, le=512, description="Neurons of each layer.")
    layers: int = Field(default=4, ge=2, le=8, description="Hidden layers, from change 4 on.")
    waves: int = Field(default=128, ge=4, le=1024, description="Waves that encode a position, in change 5.")
    steps: int = Field(default=500, ge=10, le=5000, description="Training steps after each change.")


class Fit(NamedTuple):
    """A trained network's outputs at its training inputs, and the losses during training."""

    outputs: Tensor
    losses: list[float]


def network(inputs: int, widths: list[int], outputs: int, activation: type[nn.Module]) -> nn.Sequential:
    """Return linear layers with an activation after each but the last."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise([inputs, *widths]):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers, nn.Linear([inputs, *widths][-1], outputs))


def fit(net: nn.Module, x: Tensor, y: Tensor, settings: PaintingSteps) -> Fit:
    """Learn to map `x` `(N, inputs)` to `y` `(N, outputs)`, be it a curve or a picture."""
    generator = torch.Generator().manual_seed(settings.seed)

    def loss_fn(_: int) -> Tensor:
        batch = torch.randint(0, len(x), (_BATCH,), generator=generator) if len(x) > _BATCH else slice(None)
        loss: Tensor = (net(x[batch]) - y[batch]).square().mean()
        return loss

    losses = descend(net.parameters(), loss_fn, settings.steps, _RATE)
    with torch.no_grad():
        return Fit(net(x), losses)


def positions(size: int) -> Tensor:
    """Return every pixel's x and y from -1 to 1, row by row, `(size², 2)`."""
    side = (torch.arange(size) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(side, side, indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2)


def as_waves(x: Tensor, count: int, size: int, seed: int) -> Tensor:
    """Encode positions as sines and cosines of random waves over the picture, `(N, 2 * count)`."""
    waves = torch.randn(2, count, generator=torch.Generator().manual_seed(seed)) * size / 24
    phases = math.pi * x @ waves
    return torch.cat([phases.sin(), phases.cos()], 1)


def steps(settings: PaintingSteps, target: Tensor) -> list[tuple[Fit, Tensor]]:
    """Return the fit after each change, the sine first, and the picture it paints, `(3, size, size)`."""
    torch.manual_seed(settings.seed)
    size, one, many = settings.size, [settings.neurons], [settings.neurons] * settings.layers
    grey = target.mean(0)
    x = torch.linspace(-1, 1, _POINTS)[:, None]
    sine = fit(network(1, one, 1, nn.Tanh), x, torch.sin(math.pi * x), settings)

    row_x = positions(size)[:size, :1]
    row = fit(network(1, one, 1, nn.Tanh), row_x, grey[size // 2][:, None], settings)

    xy, colours = positions(size), target.flatten(1).T
    plain = fit(network(2, one, 1, nn.Tanh), xy, grey.flatten()[:, None], settings)
    coloured = fit(network(2, one, 3, nn.Tanh), xy, colours, settings)
    deep = fit(network(2, many, 3, nn.ReLU), xy, colours, settings)
    encoded = as_waves(xy, settings.waves, size, settings.seed)
    waves = fit(network(2 * settings.waves, many, 3, nn.ReLU), encoded, colours, settings)

    blank = torch.full((3, size, size), 0.5)
    streaks = row.outputs.T[None].expand(3, size, size)
    squares = [
        result.outputs.T.reshape(-1, size, size).expand(3, size, size)
        for result in (plain, coloured, deep, waves)
    ]
    pictures = [blank, streaks, *squares]
    return [
        (result, picture.clamp(0, 1))
        for result, picture in zip((sine, row, plain, coloured, deep, waves), pictures, strict=True)
    ]


def experiment(settings: PaintingSteps) -> Outcome:
    """Measure how close each picture gets, and what each change gains."""
    target = photograph(settings.photograph, settings.size)
    results = steps(settings, target)
    scores = [psnr((picture - target).square().mean().item()) for _, picture in results[1:]]
    gains = [after - before for before, after in itertools.pairwise(scores)]
    sine_error = math.sqrt(results[0][0].losses[-1])
    best = max(range(len(gains)), key=gains.__getitem__)
    rises = all(gain > 0 for gain in gains) and scores[-1] > scores[0] + 6
    verdict: Verdict = (
        "holds"
        if rises and sine_error < 0.1
        else "holds only when"
        if scores[-1] > scores[0]
        else "does not hold"
    )
    words = (
        f"The loop that learns the sine, with an error of {sine_error:.3f}, learns the picture too: one row "
        f"of it ({scores[0]:.1f} dB), x and y in grey ({scores[1]:.1f}), in colour ({scores[2]:.1f}), with "
        f"{counted(settings.layers, 'layer')} of ReLUs ({scores[3]:.1f}), and with positions as waves "
        f"({scores[4]:.1f}). Change {best + 2} gains most, {gains[best]:.1f} dB."
    )
    if not rises:
        worse = [str(index + 2) for index, gain in enumerate(gains) if gain <= 0]
        if len(worse) > 1:
            words += f" With these settings changes {listed(worse)} make it worse."
        elif worse:
            words += f" With these settings change {worse[0]} makes it worse."
    sheet: list[Chart | Picture] = [
        Picture(
            f"{name}: {db:.1f} dB",
            enlarge(picture, 384),
            f"the {settings.photograph} as the network paints it after this change",
        )
        for name, db, (_, picture) in zip(_CHANGES[1:], scores, results[1:], strict=True)
    ]
    every = max(1, settings.steps // 100)
    losses = [
        Line(name, range(0, settings.steps, every), result.losses[::every])
        for name, (result, _) in zip(_CHANGES, results, strict=True)
    ]
    chart = Chart("One loop for all of them", "step", "mean squared error", losses, log_up=True)
    numbers = {f"dB, {name}": db for name, db in zip(_CHANGES[1:], scores, strict=True)}
    numbers["error of the sine"] = sine_error
    return Outcome(Finding(verdict, words, numbers, (settings.seed,)), [chart, *sheet])


LESSON = Lesson(
    "painting", "Regression in two dimensions", "How far is it from a curve to a painting?",
    "A network that paints does what a network that fits a curve does: given x and y, it returns a colour.",
    "src/lanterna/networks/coordinates.py", PaintingSteps, experiment, needs=("photographs",),
    quote=mital(
        "So given any position in an image, the network will need to learn what color to paint."
    ),
    explanation="""
        You describe a photograph to a friend on the phone, but the friend may only ask one kind of
        question: what colour is it at this spot, so far from the left and so far from the top? If you
        can answer that for every spot, your friend can paint the whole picture.

        A network that paints is you on the phone. Two numbers go in, a position, and three come out:
        how much red, green and blue. It learns exactly as in lesson 7, where one number went in and
        one came out. Nothing about the training changes. Instead of a curve over a line, it now fits
        a colour over a plane.

        At first it paints fog, because a small network prefers to change its answer gently from spot
        to spot. More layers help, and so does a better way to say where you are: instead of two
        numbers, many stripe patterns laid over the picture, from broad to fine, and for each how
        bright it is at this spot. Fine stripes make fine details easy. How close the picture gets is
        measured in decibels (dB): 3 dB more means that the squared error has halved.
    """,
)  # fmt: skip
