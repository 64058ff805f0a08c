"""Lesson 10. Normalised in size and orientation: how far a digit may be off before a network cannot read it.

MNIST's digits were scaled into a box of 20 pixels and centred by their mass (LeCun et al. 1998, section III).
Here test digits are shifted, turned and scaled off that, and read as they are, or cleaned up first as
Lanterna does on a page (`lanterna.images.normalise`); by a dense network and by convolutions, each trained on
digits as they come and on digits changed as by another hand.
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
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.progress import told
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
_UNITS = {"shifted": "pixels to the side", "turned": "degrees", "scaled": "times as large"}
_LOSS = 0.1  # of accuracy: what makes a difference
_KINDS: tuple[Kind, ...] = ("dense", "conv")


class Normalised(Settings):
    """Read digits that are not where, and as large, and as upright as MNIST's are."""

    verb: ClassVar[str] = "learn normalised"

    change: Literal["shifted", "turned", "scaled"] = Field(
        default="shifted", description="What is done to the test digits."
    )
    digits: int = Field(default=500, ge=50, le=10_000, description="Test digits that are read.")
    fraction: float = Field(
        default=0.2, ge=0.02, le=1, description="How much of MNIST the networks learn from."
    )


def changed(images: Tensor, how: str, amount: float) -> Tensor:
    """Digits `(N, 1, 28, 28)` uint8, all shifted, turned or scaled."""
    turn = math.radians(amount) if how == "turned" else 0.0
    scale = 1 / amount if how == "scaled" else 1.0
    cos, sin = scale * math.cos(turn), scale * math.sin(turn)
    aside = -2 * amount / 28 if how == "shifted" else 0.0
    maps = torch.tensor([[cos, -sin, aside], [sin, cos, 0.0]]).expand(len(images), 2, 3)
    grid = F.affine_grid(maps, [len(images), 1, 28, 28], align_corners=False)
    return F.grid_sample(images.float(), grid, align_corners=False).round().to(torch.uint8)


def cleaned(images: Tensor) -> Tensor:
    """The same digits cut out and made as the training digits are."""
    patches = []
    for image in images[:, 0].float() / 255:
        rows, columns = (image > 0.5).any(1).nonzero().flatten(), (image > 0.5).any(0).nonzero().flatten()
        if not len(rows):
            patches.append(torch.ones(4, 4))  # nothing is left of it
            continue
        patches.append(image[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1])
    return (normalise(patches).images * 255).round().to(torch.uint8)


@lru_cache(maxsize=8)  # the same four answer whatever is done to the test digits
def trained(fraction: float, seed: int, kind: Kind, *, augmented: bool) -> Network:
    """A network of that kind, with and without digits changed as by another hand."""
    wanted = {
        **Train.presets["fast" if kind == "conv" else "fast-dense"], "fraction": fraction, "seed": seed,
        "epochs": 3,
        "augmentation": "hand" if augmented else "none", "hold_out": 0,
    }  # fmt: skip
    (last,) = deque(train(Train.checked(wanted), device="cpu"), maxlen=1)
    return last.network


def experiment(settings: Normalised) -> Outcome:
    """Accuracy of four networks on digits that are more and more off, as they are and cleaned up."""
    test = mnist("test")
    images, labels = test.images[: settings.digits], test.labels[: settings.digits]
    amounts = _AMOUNTS[settings.change]
    raw = [changed(images, settings.change, amount) for amount in amounts]
    clean = [cleaned(each) for each in raw]
    found: dict[str, list[float]] = {}
    for kind, augmented in told([*product(_KINDS, (False, True))], "training networks"):
        network = trained(settings.fraction, settings.seed, kind, augmented=augmented)
        name = f"{kind}, augmented" if augmented else kind
        found[name] = [accuracy(network, Digits(each, labels)) for each in raw]
        found[f"{name}, cleaned"] = [accuracy(network, Digits(each, labels)) for each in clean]
    usual = amounts.index(1 if settings.change == "scaled" else 0)
    off = [place for place in range(len(amounts)) if place != usual]
    lost = {name: values[usual] - min(values[place] for place in off) for name, values in found.items()}
    raw_lost, clean_lost = lost["dense"], lost["dense, cleaned"]
    holds = raw_lost > clean_lost + _LOSS
    learned = found["conv, augmented"]
    far = next((amounts[place] for place in off if learned[place] < learned[usual] - _LOSS), None)
    verdict: Verdict = "holds" if holds else "does not hold"
    words = (
        f"At its worst the dense network loses {raw_lost:.0%} of digits that are {settings.change}, "
        f"convolutions {lost['conv']:.0%}; trained on changed digits {lost['dense, augmented']:.0%} and "
        f"{lost['conv, augmented']:.0%}. Cleaned up first: {clean_lost:.0%} and {lost['conv, cleaned']:.0%}. "
    )
    if holds:
        words += "It is mostly necessary; convolutions that learned from changed digits lose a tenth "
        words += "nowhere here." if far is None else f"only at {far:g} {_UNITS[settings.change]}."
    else:
        words += "Here the clean-up does not help"
        words += ": it sets leaning digits upright and turns none." if settings.change == "turned" else "."
    lines = [
        Line(name, amounts, values, "dashed" if name.endswith("cleaned") else "line")
        for name, values in found.items()
        if "augmented" not in name or "cleaned" not in name
    ]
    chart = Chart(
        f"{settings.digits} test digits, {settings.change}", _UNITS[settings.change], "read right", lines
    )
    numbers = {f"lost, {name}": value for name, value in lost.items()}
    return Outcome(Finding(verdict, words, numbers, (settings.seed,)), [chart])


LESSON = Lesson(
    "normalised", "Normalised in size and place", "Does a digit have to be where the others were?",
    "Digits are normalised in size and orientation before they are read, and that is mostly necessary.",
    "src/lanterna/images/normalise.py", Normalised, experiment, needs=("mnist",),
)  # fmt: skip
