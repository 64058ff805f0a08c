"""Lesson 9. The digit network: pixels in, fewer of them and grey; hidden units; ten numbers out.

A hidden unit adds up values from different parts of the picture: each pixel times a weight of its own, all of
them together, and a bias. So its weights are a picture themselves, which is looked at before and after
training. What fewer pixels and no colour cost and save is measured on test digits: as they are, white on
black; and written with a pen of any colour on paper of any colour, seen in colour and in grey.
"""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from lanterna.errors import UsageError
from lanterna.images.digits import Digits, mnist
from lanterna.images.drawing import contact_sheet, enlarge, signed_picture, signed_sheet
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Picture
from lanterna.lessons.loop import descend, one_thread
from lanterna.lessons.progress import told
from lanterna.techniques.technique import Settings
from lanterna.techniques.train.algorithm import in_unit_range

if TYPE_CHECKING:
    from lanterna.lessons.lesson import Verdict

Seen = Literal["white on black", "in colour", "in grey"]
_SEEN: tuple[Seen, ...] = ("white on black", "in colour", "in grey")
_GREY = (0.299, 0.587, 0.114)  # how light red, green and blue are (ITU-R BT.601)
_APART = 0.5  # the least distance of pen and paper in red, green and blue
_TINT = 0.4  # how dark red, green or blue of a paper may be
_BATCH, _RATE = 100, 0.005
_LITTLE = 0.02  # of accuracy: what downsampling may cost and still be a good bargain
_SHOWN = 36  # hidden units on a sheet
_SIDE = 240  # pixels of a picture that is added up


class DigitNetwork(Settings):
    """Train the lecture's network on digits with fewer pixels, in colour and in grey, and look at its units.

    `sides` divide 28 or are divided by none of it: any from 2 to 28.
    """

    verb: ClassVar[str] = "learn digit"

    sides: tuple[int, ...] = Field(
        default=(28, 14, 7, 4), min_length=1, max_length=6, description="Pixels along a side, 2 to 28."
    )
    units: int = Field(default=36, ge=4, le=512, description="Hidden units.")
    digits: int = Field(default=10_000, ge=500, le=50_000, description="Digits to learn from.")
    epochs: int = Field(default=5, ge=1, le=30, description="Times that each of them is seen.")
    digit: int = Field(default=4, ge=0, le=9999, description="Which test digit is added up.")

    @field_validator("sides")
    @classmethod
    def _of_a_digit(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not all(2 <= side <= 28 for side in value):
            raise UsageError(f"sides: expected 2 to 28 pixels, got {', '.join(map(str, value))}")
        return tuple(sorted(dict.fromkeys(value), reverse=True))


class Trained(NamedTuple):
    """A network, its first layer, whose weights were `before`, and the share of test digits it reads."""

    first: nn.Linear
    network: nn.Sequential
    before: Tensor
    accuracy: float


def seen(digits: Digits, how: Seen, side: int, seed: int) -> Tensor:
    """Digits as a network sees them, `(N, C, side, side)` in [0, 1]; each with a pen and paper of its own."""
    images = in_unit_range(digits.images)
    if how != "white on black":
        images = coloured(images, seed)
    if how == "in grey":
        images = torch.einsum("nchw,c->nhw", images, torch.tensor(_GREY))[:, None]
    return images if side == images.shape[-1] else F.interpolate(images, (side, side), mode="area")


def coloured(images: Tensor, seed: int) -> Tensor:
    """Digits `(N, 1, H, W)` with a pen of any colour on paper of any light one, `(N, 3, H, W)`, negative.

    Networks see ink light and paper dark. A pen is told from its paper by `_APART` at least.
    """
    generator = torch.Generator().manual_seed(seed)
    paper = 1 - _TINT * torch.rand(len(images), 3, generator=generator)
    pen = torch.rand(len(images), 3, generator=generator)
    while len(near := ((pen - paper).norm(dim=1) < _APART).nonzero().flatten()):
        pen[near] = torch.rand(len(near), 3, generator=generator)
    return 1 - torch.lerp(paper[..., None, None], pen[..., None, None], images)


def trained(settings: DigitNetwork, how: Seen, side: int) -> Trained:
    """The lecture's network, trained on digits seen so: all pixels to all units, all units to ten numbers."""
    digits = mnist("train")
    digits = Digits(digits.images[: settings.digits], digits.labels[: settings.digits])
    images = seen(digits, how, side, settings.seed).flatten(1)
    torch.manual_seed(settings.seed)
    first = nn.Linear(images.shape[1], settings.units)
    network = nn.Sequential(first, nn.ReLU(), nn.Linear(settings.units, 10))
    before = first.weight.detach().clone()
    order = torch.cat([torch.randperm(len(images)) for _ in range(settings.epochs)])

    def wrong(step: int) -> Tensor:
        chosen = order[step * _BATCH : (step + 1) * _BATCH]
        return F.cross_entropy(network(images[chosen]), digits.labels[chosen])

    descend(network.parameters(), wrong, -(-len(order) // _BATCH), _RATE)
    test = mnist("test")
    with torch.no_grad():
        answers = network(seen(test, how, side, settings.seed + 1).flatten(1)).argmax(1)
    return Trained(first, network, before, (answers == test.labels).float().mean().item())


def added_up(first: nn.Linear, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """What each pixel `(P,)` adds to each hidden unit, `(units, P)`; and their sums with the biases."""
    terms = first.weight.detach() * pixels
    return terms, terms.sum(1) + first.bias.detach()


@one_thread()
def experiment(settings: DigitNetwork) -> Outcome:
    """Accuracy against pixels, in colour and in grey; and the units of the network with the most pixels."""
    found = {
        (how, side): trained(settings, how, side)
        for how, side in told([*product(_SEEN, settings.sides)], "training networks")
    }
    right = {how: [found[how, side].accuracy for side in settings.sides] for how in _SEEN}
    largest = settings.sides[0]
    first, network, before, _ = found["white on black", largest]

    test = mnist("test")
    one = Digits(
        test.images[settings.digit : settings.digit + 1], test.labels[settings.digit : settings.digit + 1]
    )
    pixels = seen(one, "white on black", largest, settings.seed).flatten()
    terms, sums = added_up(first, pixels)
    with torch.no_grad():
        gap = (sums - first(pixels)).abs().max().item()
        answer = int(network(pixels).argmax())

    lines = [Line(how, settings.sides, values) for how, values in right.items()]
    weights = [
        Picture(
            f"Weights of {min(_SHOWN, settings.units)} units {when}",
            signed_sheet(values[:_SHOWN].reshape(-1, largest, largest)),
            f"a square for each hidden unit, {words}: amber pixels speak for it, blue ones against it",
        )
        for when, values, words in (
            ("before training", before, "noise"),
            ("after training", first.weight.detach(), "strokes, gaps and rings"),
        )
    ]  # fmt: skip
    charts: list[Chart | Picture] = [
        Chart("All 10,000 test digits", "pixels along a side", "read right", lines, whole_across=True),
        _adding(settings, pixels, terms, sums, first),
        *weights,
    ]
    verdict, words, bargain = _said(settings, right)
    words += (
        f" Test digit {settings.digit}, a {int(one.labels)}, is read as {answer}: every hidden unit is the "
        f"sum of {len(pixels)} pixels times weights and a bias"
        f"{f', to within {gap:.0e}' if gap else ''}."
    )
    numbers = {f"{how}, {side}": found[how, side].accuracy for how, side in found} | {
        "gap of the sums": gap, "weights, most pixels": float(largest**2 * settings.units),
        "weights, at the bargain": float(bargain**2 * settings.units), "side of the bargain": float(bargain),
        "rougher before": _roughness(before, largest) / _roughness(first.weight.detach(), largest),
    }  # fmt: skip
    if gap > 1e-3:
        verdict = "does not hold"
    return Outcome(Finding(verdict, words, numbers, (settings.seed,)), charts)


def _said(settings: DigitNetwork, right: dict[Seen, list[float]]) -> tuple[Verdict, str, int]:
    """Whether fewer pixels and no colour are a good bargain; and the fewest that are, along a side."""
    plain, colour, grey = (right[how] for how in _SEEN)
    sides = settings.sides
    bargain = [side for side, share in zip(sides, plain, strict=True) if plain[0] - share <= _LITTLE][-1]
    words = (
        f"With {sides[0]} pixels a side {plain[0]:.1%} of digits are read right. "
        + (
            f"{bargain} pixels lose {max(plain[0] - plain[sides.index(bargain)], 0):.1%} and save "
            f"{1 - (bargain / sides[0]) ** 2:.0%} of the first weights; "
            if bargain != sides[0]
            else "Fewer cost more than a few; "
            if len(sides) > 1
            else ""
        )
        + f"{sides[-1]} pixels read {plain[-1]:.1%}. "
    )
    cost = colour[0] - grey[0]
    words += (
        f"Pens and papers of any colour: {colour[0]:.1%} in colour, {grey[0]:.1%} in grey, which has a third "
        "of the weights"
    )
    if cost > _LITTLE:
        words += ", and loses those whose pen is as light as the paper."
    elif cost < -_LITTLE:
        words += ", and is easier to learn."
    else:
        words += ": about the same."
    cheap = bargain != sides[0]
    verdict: Verdict = (
        "holds" if cheap and cost <= _LITTLE else "holds only when" if cheap else "does not hold"
    )
    return verdict, words, bargain


def _adding(settings: DigitNetwork, pixels: Tensor, terms: Tensor, sums: Tensor, first: nn.Linear) -> Picture:
    """The digit, and for the units it excites the most: their weights, and what each pixel adds."""
    side = math.isqrt(len(pixels))
    digit = pixels.reshape(1, side, side)
    chosen = sums.argsort(descending=True)[:3].tolist()
    tiles: list[tuple[Tensor, str]] = []
    for unit in chosen:
        weights = first.weight.detach()[unit]
        tiles += [
            (enlarge(digit.expand(3, -1, -1), _SIDE), f"digit {settings.digit}"),
            (enlarge(signed_picture(weights.reshape(side, side)), _SIDE), f"times weights of unit {unit}"),
            (
                enlarge(signed_picture(terms[unit].reshape(side, side)), _SIDE),
                f"adds up to {sums[unit]:.1f}",
            ),
        ]
    return Picture(
        "Adding up values from different parts", contact_sheet(tiles, columns=3, side=_SIDE, gap=12),
        "three rows: the digit, times the weights of a unit, is what each pixel adds to it",
    )  # fmt: skip


def _roughness(weights: Tensor, side: int) -> float:
    """How much neighbouring weights differ, beside how much any two do."""
    pictures = weights.reshape(-1, side, side)
    steps = (pictures[:, 1:] - pictures[:, :-1]).square().mean()
    return (steps / (2 * pictures.var())).item()


LESSON = Lesson(
    "digit", "The digit network", "What do fewer pixels and no colour cost?",
    "Digits go in small and grey; hidden units add up values from different parts of the picture, and ten "
    "numbers come out.",
    "src/lanterna/networks/digits.py", DigitNetwork, experiment, needs=("mnist",),
)  # fmt: skip
