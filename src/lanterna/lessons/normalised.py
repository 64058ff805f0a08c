"""Lesson 10. Normalised in size and orientation: how far off may a digit be until a network misreads it?

MNIST's digits were scaled into a box of 20 pixels and centred by their mass (LeCun et al. 1998, section III).
Here test digits are shifted, rotated or scaled, and read either directly or after the normalisation that
Lanterna applies to a page (`lanterna.images.normalise`). A dense and a convolutional network read them, each
trained with and without augmentation.
"""

from __future__ import annotations

import math
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
from lanterna.techniques.technique import Settings
from lanterna.techniques.train.algorithm import accuracy, train
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.lessons.lesson import Verdict
    from lanterna.networks.network import Network

Kind = Literal["dense", "conv"]
_AMOUNTS: dict[str, tuple[float, ...]] = {
    "shifted": (0, 1, 2, 3, 4, 6), "turned": (0, 10, 20, 30, 45), "scaled": (0.5, 0.65, 0.8, 1, 1.2, 1.4),
}  # fmt: skip
_UNITS = {"shifted": "pixels to the side", "turned": "degrees", "scaled": "times the size"}
_MARGIN = 0.1  # of accuracy: a smaller loss makes no difference
_KINDS: tuple[Kind, ...] = ("dense", "conv")


class Normalised(Settings):
    """Read digits that are out of place, too small or large, or rotated."""

    verb: ClassVar[str] = "learn normalised"

    change: Literal["shifted", "turned", "scaled"] = Field(
        default="shifted", description="What happens to the test digits."
    )
    digits: int = Field(default=500, ge=50, le=10_000, description="Test digits to read.")
    fraction: float = Field(default=0.2, ge=0.02, le=1, description="The share of MNIST to learn from.")


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


@lru_cache(maxsize=8)  # the same four networks serve every change of the test digits
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
    """Measure four networks' accuracy on digits that are more and more off, raw and normalised."""
    test = mnist("test")
    images, labels = test.images[: settings.digits], test.labels[: settings.digits]
    amounts = _AMOUNTS[settings.change]
    raw = [changed(images, settings.change, amount) for amount in amounts]
    clean = [cleaned(batch) for batch in raw]
    accuracies: dict[str, list[float]] = {}
    for kind, augmented in track([*product(_KINDS, (False, True))], "training networks"):
        network = trained(settings.fraction, settings.seed, kind, augmented=augmented)
        name = f"{kind}, augmented" if augmented else kind
        accuracies[name] = [accuracy(network, Digits(batch, labels)) for batch in raw]
        accuracies[f"{name}, normalised"] = [accuracy(network, Digits(batch, labels)) for batch in clean]
    unchanged = amounts.index(1 if settings.change == "scaled" else 0)
    off = [index for index in range(len(amounts)) if index != unchanged]
    lost = {
        name: values[unchanged] - min(values[index] for index in off) for name, values in accuracies.items()
    }
    raw_lost, clean_lost = lost["dense"], lost["dense, normalised"]
    holds = raw_lost > clean_lost + _MARGIN
    best = accuracies["conv, augmented"]
    far = next((amounts[index] for index in off if best[index] < best[unchanged] - _MARGIN), None)
    verdict: Verdict = "holds" if holds else "does not hold"
    words = (
        f"When digits are {settings.change}, the dense network's accuracy falls by up to {_points(raw_lost)} "
        f"percentage points, the convolutional one's by {_points(lost['conv'])}. Trained with augmentation, "
        f"they lose {_points(lost['dense, augmented'])} and {_points(lost['conv, augmented'])}. If the "
        f"digits are normalised first, the networks without augmentation lose {_points(clean_lost)} and "
        f"{_points(lost['conv, normalised'])}. "
    )
    if holds:
        words += "So normalising is mostly necessary, but a convolutional network trained with augmentation "
        words += (
            "can do without: it never loses more than 10 points."
            if far is None
            else f"loses more than 10 points only at {far:g} {_UNITS[settings.change]}."
        )
    else:
        words += "Here normalising does not help"
        words += (
            ": it straightens slanted digits but does not undo a rotation."
            if settings.change == "turned"
            else "."
        )
    lines = [
        Line(name, amounts, values, "dashed" if name.endswith("normalised") else "line")
        for name, values in accuracies.items()
        if "augmented" not in name or "normalised" not in name
    ]
    chart = Chart(
        f"{settings.digits} test digits, {settings.change}",
        _UNITS[settings.change],
        "read correctly",
        lines,
    )
    numbers = {f"lost, {name}": value for name, value in lost.items()}
    return Outcome(Finding(verdict, words, numbers, (settings.seed,)), [chart])


def _points(loss: float) -> str:
    return f"{100 * loss:.0f}"


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
)  # fmt: skip
