"""Lesson 15. Regression in two dimensions: from the sine of lesson 7 to a picture, in six small changes.

A network that has learned a curve takes a number x and returns y. A picture is no different: the network
takes a position and returns a colour. Six changes lead from one to the other, one at a time, and none of them
is in the training loop. Each result is compared with its own target: the row with the row, grey with the grey
picture. So only the last four, which all paint the picture in colour, can be compared with each other. The
lecture's source is session 2 of Mital's "Creative Applications of Deep Learning"; the last change is Tancik
et al. (2020), equation 5.
"""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from lanterna.images.drawing import enlarge
from lanterna.lessons.lecture import mital
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Picture
from lanterna.lessons.loop import descend
from lanterna.lessons.photographs import photograph
from lanterna.lessons.progress import track
from lanterna.lessons.subjects import SUBJECTS
from lanterna.lessons.text import counted, listed, of_runs
from lanterna.techniques.paint.pixels import psnr
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from lanterna.lessons.lesson import Verdict

Photograph = Literal["astronaut", "chelsea", "coffee"]
_BATCH, _RATE = 2000, 0.01
_POINTS = 20  # of the sine
_SIDE = 384  # pixels of a picture on the page
_CLEAR = 6  # dB: a quarter of the squared error
_CHANGES = (
    "1. y is a row of the picture", "2. x and y to grey", "3. grey to three colours", "4. more layers",
    "5. ReLU instead of tanh", "6. positions as waves",
)  # fmt: skip
_COLOUR = 2  # from this change on, all have the same target: the picture in colour


class PaintingSteps(Settings):
    """Turn a network that fits a sine into one that paints a picture."""

    verb: ClassVar[str] = "learn painting"

    photograph: Photograph = Field(default="coffee", description="The picture to paint.")
    size: int = Field(default=96, ge=16, le=256, description="Its side in pixels.")
    neurons: int = Field(default=64, ge=2, le=512, description="Neurons of each layer.")
    layers: int = Field(default=4, ge=2, le=8, description="Hidden layers, from change 4 on.")
    waves: int = Field(default=128, ge=4, le=1024, description="Waves that encode a position, in change 6.")
    steps: int = Field(default=500, ge=10, le=5000, description="Training steps after each change.")
    runs: int = Field(default=3, ge=1, le=9, description="Trainings of each network, with different seeds.")


class Fit(NamedTuple):
    """A trained network's outputs at its training inputs, what they should be, and the losses on the way."""

    outputs: Tensor
    target: Tensor
    losses: list[float]

    @property
    def db(self) -> float:
        """The PSNR of the outputs, against the network's own target, in dB."""
        return psnr((self.outputs.clamp(0, 1) - self.target).square().mean().item())


def network(inputs: int, widths: list[int], outputs: int, activation: type[nn.Module]) -> nn.Sequential:
    """Return linear layers with an activation after each but the last."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise([inputs, *widths]):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers, nn.Linear([inputs, *widths][-1], outputs))


def fit(net: nn.Module, x: Tensor, y: Tensor, steps: int, seed: int) -> Fit:
    """Learn to map `x` `(N, inputs)` to `y` `(N, outputs)`, be it a curve or a picture."""
    generator = torch.Generator().manual_seed(seed)

    def loss_fn(_: int) -> Tensor:
        batch = torch.randint(0, len(x), (_BATCH,), generator=generator) if len(x) > _BATCH else slice(None)
        loss: Tensor = (net(x[batch]) - y[batch]).square().mean()
        return loss

    losses = descend(net.parameters(), loss_fn, steps, _RATE)
    with torch.no_grad():
        return Fit(net(x), y, losses)


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


def fits(settings: PaintingSteps, picture: Tensor, seed: int) -> tuple[Fit, list[Fit]]:
    """Return the fit of a sine from 0 to 1, and the fit after each change."""
    torch.manual_seed(seed)
    size, one, many = settings.size, [settings.neurons], [settings.neurons] * settings.layers
    line = torch.linspace(-1, 1, _POINTS)[:, None]
    xy, colours, grey = positions(size), picture.flatten(1).T, picture.mean(0)
    waves = as_waves(xy, settings.waves, size, seed)
    cases = (
        (network(1, one, 1, nn.Tanh), line, (1 + torch.sin(math.pi * line)) / 2),
        (network(1, one, 1, nn.Tanh), xy[:size, :1], grey[size // 2][:, None]),
        (network(2, one, 1, nn.Tanh), xy, grey.flatten()[:, None]),
        (network(2, one, 3, nn.Tanh), xy, colours),
        (network(2, many, 3, nn.Tanh), xy, colours),
        (network(2, many, 3, nn.ReLU), xy, colours),
        (network(2 * settings.waves, many, 3, nn.ReLU), waves, colours),
    )
    sine, *changes = (fit(*case, settings.steps, seed) for case in cases)
    return sine, changes


def experiment(settings: PaintingSteps) -> Outcome:
    """Measure how close each network gets to its own target, and what each change gains."""
    picture = photograph(settings.photograph, settings.size)
    seeds = range(settings.seed, settings.seed + settings.runs)
    runs = [fits(settings, picture, seed) for seed in track(seeds, "training networks")]
    sine_error = statistics.median(math.sqrt(sine.losses[-1]) for sine, _ in runs)
    scores = [[changes[number].db for _, changes in runs] for number in range(len(_CHANGES))]
    medians = [statistics.median(each) for each in scores]
    gains = {  # only between networks with the same target
        number: medians[number] - medians[number - 1] for number in range(_COLOUR + 1, len(_CHANGES))
    }
    best = max(gains, key=lambda number: gains[number])
    gained = medians[-1] - medians[_COLOUR]
    verdict: Verdict = (
        "holds"
        if gained > _CLEAR and sine_error < 0.1
        else "holds only when"
        if gained > 0
        else "does not hold"
    )
    row, grey, colour, deep, rectified, waves = map(_in_db, scores)
    words = (
        f"The loop that learns the sine, with an error of {sine_error:.3f}, learns one row of the picture to "
        f"{row}, the picture in grey to {grey} and in colour to {colour}, each compared with what it should "
        f"be. In colour, {counted(settings.layers, 'layer')} instead of one reach {deep}, with ReLU instead "
        f"of tanh {rectified}, and with positions as waves {waves}. Change {best + 1} gains most, "
        f"{gains[best]:.1f} dB."
    )
    worse = [str(number + 1) for number, gain in gains.items() if gain <= 0]
    if worse:
        words += f" Change{'s' * (len(worse) > 1)} {listed(worse)} alone gained nothing here."
    sine, changes = runs[0]
    sheet: list[Chart | Picture] = [
        Picture(
            f"{name}: {result.db:.1f} dB",
            enlarge(_beside(result, settings.size), 2 * _SIDE),
            f"on the left the {SUBJECTS[settings.photograph]} as the network paints it after this change, on "
            "the right what it should paint",
        )
        for name, result in zip(_CHANGES, changes, strict=True)
    ]
    every = max(1, settings.steps // 100)
    losses = [
        Line(
            name,
            range(0, settings.steps, every),
            [psnr(loss) for loss in result.losses[::every]],
            "dashed" if result is sine else "line",
        )
        for name, result in zip(("the sine: x to y", *_CHANGES), (sine, *changes), strict=True)
    ]
    chart = Chart("One loop for all of them", "step", "dB, against its own target", losses)
    numbers = {
        f"dB, {name}{of}": value
        for name, values in zip(_CHANGES, scores, strict=True)
        for of, value in (
            ("", statistics.median(values)),
            (", lowest", min(values)),
            (", highest", max(values)),
        )
    }
    numbers["error of the sine"] = sine_error
    return Outcome(Finding(verdict, words + of_runs(settings.runs), numbers, tuple(seeds)), [chart, *sheet])


def _beside(result: Fit, size: int) -> Tensor:
    """Return what a network paints and, on its right, what it should, `(3, size, 2 * size + 2)`."""
    pair = [values.clamp(0, 1).T for values in (result.outputs, result.target)]  # (1 or 3, pixels) each
    squares = [values.reshape(len(values), -1, size).expand(3, size, size) for values in pair]
    return torch.cat([squares[0], torch.zeros(3, size, 2), squares[1]], 2)


def _in_db(values: list[float]) -> str:
    """Return the median and the range in dB."""
    low, high = (f"{each:.1f}" for each in (min(values), max(values)))
    return f"{statistics.median(values):.1f} dB{f' ({low} to {high})' if low != high else ''}"


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
    seen="""
        With x and y alone, the layer can paint only a slope from one colour to another. Every wave
        gives it one more stripe pattern to mix in, and broad ones soon make the large shapes. For the
        edges it needs fine stripes, and many of them.
    """,
)  # fmt: skip
