"""Lesson 10. Normalised in size and orientation: how far off may a digit be until a network misreads it?

MNIST's digits were scaled into a box of 20 pixels and centred by their mass (LeCun et al. 1998, section III).
Here test digits are shifted, scaled and rotated, and read either directly or after the normalisation that
Lanterna applies to a page (`lanterna.images.normalise`). Dense and convolutional networks read them, trained
with and without augmentation, from several seeds.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field

from lanterna.images.digits import Digits, mnist
from lanterna.images.normalise import normalise
from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.progress import track
from lanterna.lessons.text import listed, of_runs
from lanterna.techniques.technique import Settings
from lanterna.techniques.train.algorithm import accuracy, train
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.lessons.lesson import Verdict
    from lanterna.networks.network import Network

Kind = Literal["dense", "conv"]
Change = Literal["shifted", "scaled", "turned"]
_AMOUNTS: dict[Change, tuple[float, ...]] = {
    "shifted": (0, 1, 2, 3, 4, 6), "scaled": (0.5, 0.65, 0.8, 1, 1.2, 1.4), "turned": (0, 10, 20, 30, 45),
}  # fmt: skip
_UNITS: dict[Change, str] = {"shifted": "pixels to the side", "turned": "degrees", "scaled": "times the size"}
_MARGIN = 0.1  # of accuracy: a smaller loss makes no difference
_KINDS: tuple[Kind, ...] = ("dense", "conv")


class Normalised(Settings):
    """Read digits that are out of place, too small or large, or rotated."""

    verb: ClassVar[str] = "learn normalised"

    change: tuple[Change, ...] = Field(
        default=("shifted", "scaled", "turned"), min_length=1, max_length=3,
        description="What happens to the test digits.",
    )  # fmt: skip
    digits: int = Field(default=500, ge=50, le=10_000, description="Test digits to read.")
    fraction: float = Field(default=0.2, ge=0.02, le=1, description="The share of MNIST to learn from.")
    runs: int = Field(default=3, ge=1, le=9, description="Networks of each kind, with different seeds.")


def changed(images: Tensor, how: str, amount: float) -> Tensor:
    """Shift, rotate or scale digits, `(N, 1, 28, 28)` uint8."""
    angle = math.radians(amount) if how == "turned" else 0.0
    scale = 1 / amount if how == "scaled" else 1.0
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    shift = -2 * amount / 28 if how == "shifted" else 0.0
    theta = torch.tensor([[cos, -sin, shift], [sin, cos, 0.0]]).expand(len(images), 2, 3)
    grid = F.affine_grid(theta, [len(images), 1, 28, 28], align_corners=False)
    return F.grid_sample(images.float(), grid, align_corners=False).round().to(torch.uint8)


def cleaned(images: Tensor) -> Tensor:
    """Crop the digits and normalise them as the training digits were."""
    patches = []
    for image in images[:, 0].float() / 255:
        rows, columns = (image > 0.5).any(1).nonzero().flatten(), (image > 0.5).any(0).nonzero().flatten()
        if not len(rows):
            patches.append(torch.ones(4, 4))  # the digit has left the picture
            continue
        patches.append(image[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1])
    return (normalise(patches).images * 255).round().to(torch.uint8)


@lru_cache(maxsize=36)  # the networks of the largest number of runs serve all settings of the test digits
def trained(fraction: float, seed: int, kind: Kind, *, augmented: bool) -> Network:
    """Train a network, with or without augmentation."""
    requested = {
        **Train.presets["fast" if kind == "conv" else "fast-dense"], "fraction": fraction, "seed": seed,
        "epochs": 3,
        "augmentation": "hand" if augmented else "none", "hold_out": 0,
    }  # fmt: skip
    (last,) = deque(train(Train.checked(requested), device="cpu"), maxlen=1)
    return last.network


def experiment(settings: Normalised) -> Outcome:
    """Measure accuracy on digits that are more and more off, raw and normalised: medians over seeds."""
    seeds = range(settings.seed, settings.seed + settings.runs)
    changes = tuple(dict.fromkeys(settings.change))
    test = mnist("test")
    images, labels = test.images[: settings.digits], test.labels[: settings.digits]
    batches = {
        (change, amount, clean): Digits(cleaned(off) if clean else off, labels)
        for change in changes
        for amount in _AMOUNTS[change]
        for off in [changed(images, change, amount)]
        for clean in (False, True)
    }
    accuracies: dict[tuple[str, Change], list[list[float]]] = {}  # of each seed
    for seed, kind, augmented in track([*product(seeds, _KINDS, (False, True))], "training networks"):
        network = trained(settings.fraction, seed, kind, augmented=augmented)
        for change, clean in product(changes, (False, True)):
            name = f"{kind}{', augmented' if augmented else ''}{', normalised' if clean else ''}"
            values = [accuracy(network, batches[change, amount, clean]) for amount in _AMOUNTS[change]]
            accuracies.setdefault((name, change), []).append(values)
    lost = {key: [_lost(key[1], values) for values in group] for key, group in accuracies.items()}
    helped = [
        change
        for change in changes
        if statistics.median(lost["dense", change])
        > statistics.median(lost["dense, normalised", change]) + _MARGIN
    ]
    verdict: Verdict = (
        "holds" if helped == list(changes) else "holds only when" if helped else "does not hold"
    )
    words = [_said(change, lost) for change in changes]
    if helped:
        words.append(f"So normalising matters when digits are {listed(helped)}.")
    if unhelped := [change for change in changes if change not in helped]:
        words.append(f"When they are {listed(unhelped)}, it does not help.")
    if "turned" in unhelped:
        words.append("It straightens slanted digits, but does not undo a rotation.")
    charts = [
        Chart(
            f"{settings.digits} test digits, {change}", _UNITS[change], "read correctly",
            [
                Line(
                    name, _AMOUNTS[change], [statistics.median(each) for each in zip(*group, strict=True)],
                    "dashed" if name.endswith("normalised") else "line",
                )
                for (name, each_change), group in accuracies.items()
                if each_change == change and not ("augmented" in name and "normalised" in name)
            ],
        )
        for change in changes
    ]  # fmt: skip
    numbers = {f"lost, {name}, {change}": statistics.median(group) for (name, change), group in lost.items()}
    return Outcome(Finding(verdict, " ".join(words) + of_runs(settings.runs), numbers, tuple(seeds)), charts)


def _lost(change: Change, values: list[float]) -> float:
    """Return how much accuracy is lost at worst, compared with digits that were not changed."""
    unchanged = values[_AMOUNTS[change].index(1 if change == "scaled" else 0)]
    return unchanged - min(values)


def _said(change: Change, lost: dict[tuple[str, Change], list[float]]) -> str:
    def points(name: str) -> str:
        losses = [100 * each for each in lost[name, change]]
        middle = f"{statistics.median(losses):.0f}"
        return middle if len(losses) == 1 else f"{middle} ({min(losses):.0f} to {max(losses):.0f})"

    return (
        f"When digits are {change}, the dense network loses up to {points('dense')} percentage points and "
        f"the convolutional one {points('conv')}; trained with augmentation, "
        f"{points('dense, augmented')} and {points('conv, augmented')}; without it, but "
        f"with the digits normalised first, {points('dense, normalised')} and {points('conv, normalised')}."
    )


LESSON = Lesson(
    "normalised", "Normalised in size and position", "Does a digit have to be where the training digits "
    "were?",
    "Digits are normalised in size and orientation before they are read, and that is mostly necessary.",
    "src/lanterna/images/normalise.py", Normalised, experiment, needs=("mnist",),
    quote=grierson(
        "This is one reason why the dataset is normalised in terms of size and orientation."
    ),
    explanation="""
        In a passport photo everybody's face is the same size, upright and in the middle. That is no
        matter of taste. Because the eyes are always in the same place, even a simple machine can
        compare two photos point by point.

        The handwritten digits that networks learn from have been through such a booth. Each was
        scaled to fit the same box, and its ink was centred. A fully connected network relies on it:
        it has learned a weight for every single pixel, and if a digit slides three pixels to the
        right, its ink lands on weights that were learned for blank paper.

        There are three ways out. Put every new digit through the booth before reading it: that is
        normalising. Or move, turn and resize the digits at random while the network learns, so that
        nothing surprises it later: that is augmentation. Or build a convolutional network, which
        slides the same small windows over the whole picture, so that it finds a stroke almost
        wherever it is. The booth has its limits: it centres a digit and straightens one that leans,
        but it does not turn one that lies on its side.
    """,
    seen="""
        Move the digit a little and you see the same digit, but the network reads another one: its
        weights were learned for ink elsewhere. Normalised first, it is read in every place and at
        every size. Once you turn it on its side, neither reading is right.
    """,
)  # fmt: skip
