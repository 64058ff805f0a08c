"""Lesson 9. The digit network: pixels in, fewer of them and grey; hidden units; ten numbers out.

A hidden unit adds up values from different parts of the picture: every pixel times that unit's weight for it,
plus a bias. So a unit's weights are a picture too, shown before and after training. The price of fewer pixels
and of no colour is measured on test digits: white on black, or in a random pen colour on paper of a random
colour, seen in colour and in grey, and by how much darker the pen is than its paper.
"""

from __future__ import annotations

import math
import statistics
from itertools import pairwise, product
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from lanterna.errors import UsageError
from lanterna.images.digits import Digits, mnist
from lanterna.images.drawing import contact_sheet, enlarge, signed_picture, signed_sheet
from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Picture
from lanterna.lessons.loop import descend, one_thread
from lanterna.lessons.progress import track
from lanterna.lessons.text import of_runs, percent
from lanterna.techniques.technique import Settings
from lanterna.techniques.train.algorithm import in_unit_range

if TYPE_CHECKING:
    from lanterna.lessons.lesson import Verdict

View = Literal["white on black", "in colour", "in grey"]
_VIEWS: tuple[View, ...] = ("white on black", "in colour", "in grey")
_GREY = (0.299, 0.587, 0.114)  # luma of red, green and blue (ITU-R BT.601)
_MIN_CONTRAST = 0.5  # distance of pen and paper in red, green and blue
_MAX_TINT = 0.4  # how dark the red, green or blue of paper may be
_CONTRASTS = (-0.3, -0.1, 0.0, 0.1, 0.2, 0.4, 1.0)  # how much darker a pen is than its paper
_BARELY_LIGHTER = (-0.1, 0.0)
_BATCH, _RATE = 100, 0.005
_SMALL_LOSS = 0.02  # of accuracy: what fewer pixels may cost and still be worth it
_UNITS_SHOWN = 36
_SIDE = 240  # pixels of a tile in the picture of the sums


class DigitNetwork(Settings):
    """Train the lecture's network on digits with fewer pixels, in colour and in grey, and show its units.

    `sides` range from 2 to 28; they need not divide 28.
    """

    verb: ClassVar[str] = "learn digit"

    sides: tuple[int, ...] = Field(
        default=(28, 14, 7, 4), min_length=1, max_length=6, description="Pixels along a side, 2 to 28."
    )
    units: int = Field(default=36, ge=4, le=512, description="Hidden units.")
    digits: int = Field(default=10_000, ge=500, le=50_000, description="Digits to learn from.")
    epochs: int = Field(default=5, ge=1, le=30, description="Passes over these digits.")
    digit: int = Field(default=4, ge=0, le=9999, description="The test digit whose sums are shown.")
    runs: int = Field(default=4, ge=1, le=9, description="Networks of each kind, with different seeds.")

    @field_validator("sides")
    @classmethod
    def _in_range(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not all(2 <= side <= 28 for side in value):
            raise UsageError(f"sides: expected 2 to 28 pixels, got {', '.join(map(str, value))}")
        return tuple(sorted(dict.fromkeys(value), reverse=True))


class Trained(NamedTuple):
    """A trained network, its first layer, that layer's weights `before` training, and its test results.

    `correct` says of each test digit whether it was read correctly, `(10000,)`.
    """

    first: nn.Linear
    network: nn.Sequential
    before: Tensor
    correct: Tensor

    @property
    def accuracy(self) -> float:
        """The share of test digits that were read correctly."""
        return self.correct.float().mean().item()


def preprocess(digits: Digits, view: View, side: int, seed: int) -> Tensor:
    """Return digits as a network's input, `(N, C, side, side)` in [0, 1]."""
    images = in_unit_range(digits.images)
    if view != "white on black":
        images = coloured(images, seed)
    if view == "in grey":
        images = torch.einsum("nchw,c->nhw", images, torch.tensor(_GREY))[:, None]
    return images if side == images.shape[-1] else F.interpolate(images, (side, side), mode="area")


def coloured(images: Tensor, seed: int) -> Tensor:
    """Write digits `(N, 1, H, W)` in random colours on light paper. Return the negatives, `(N, 3, H, W)`.

    Each digit has its own pen and paper, whose colours differ by `_MIN_CONTRAST` or more. They are negatives
    because the networks expect light ink on dark paper.
    """
    paper, pen = inks(len(images), seed)
    return 1 - torch.lerp(paper[..., None, None], pen[..., None, None], images)


def inks(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw the colours of papers and pens, `(count, 3)` each in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    paper = 1 - _MAX_TINT * torch.rand(count, 3, generator=generator)
    pen = torch.rand(count, 3, generator=generator)
    while len(close := ((pen - paper).norm(dim=1) < _MIN_CONTRAST).nonzero().flatten()):
        pen[close] = torch.rand(len(close), 3, generator=generator)
    return paper, pen


def trained(settings: DigitNetwork, view: View, side: int, seed: int) -> Trained:
    """Train the lecture's network, with one fully connected hidden layer and ten outputs."""
    digits = mnist("train")
    digits = Digits(digits.images[: settings.digits], digits.labels[: settings.digits])
    images = preprocess(digits, view, side, seed).flatten(1)
    torch.manual_seed(seed)
    first = nn.Linear(images.shape[1], settings.units)
    network = nn.Sequential(first, nn.ReLU(), nn.Linear(settings.units, 10))
    before = first.weight.detach().clone()
    order = torch.cat([torch.randperm(len(images)) for _ in range(settings.epochs)])

    def loss_fn(step: int) -> Tensor:
        chosen = order[step * _BATCH : (step + 1) * _BATCH]
        return F.cross_entropy(network(images[chosen]), digits.labels[chosen])

    descend(network.parameters(), loss_fn, -(-len(order) // _BATCH), _RATE)
    test = mnist("test")
    with torch.no_grad():
        answers = network(preprocess(test, view, side, _test_seed(seed)).flatten(1)).argmax(1)
    return Trained(first, network, before, answers == test.labels)


def _test_seed(seed: int) -> int:
    """Return the seed of the test digits' colours: other than those of the training digits."""
    return seed + 1000


def weighted_sums(first: nn.Linear, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return what each pixel `(P,)` adds to each hidden unit, `(units, P)`, and the sums with the biases."""
    terms = first.weight.detach() * pixels
    return terms, terms.sum(1) + first.bias.detach()


@one_thread()
def experiment(settings: DigitNetwork) -> Outcome:
    """Measure accuracy against pixels, in colour and in grey; show the units of the largest network."""
    seeds = range(settings.seed, settings.seed + settings.runs)
    networks = {
        (view, side, seed): trained(settings, view, side, seed)
        for view, side, seed in track([*product(_VIEWS, settings.sides, seeds)], "training networks")
    }
    accuracies = {
        (view, side): [networks[view, side, seed].accuracy for seed in seeds]
        for view, side in product(_VIEWS, settings.sides)
    }
    largest = settings.sides[0]
    first, network, before, _ = networks["white on black", largest, settings.seed]
    by_contrast = {
        view: _by_contrast([(networks[view, largest, seed].correct, seed) for seed in seeds])
        for view in _VIEWS[1:]
    }

    test = mnist("test")
    chosen = Digits(
        test.images[settings.digit : settings.digit + 1], test.labels[settings.digit : settings.digit + 1]
    )
    pixels = preprocess(chosen, "white on black", largest, settings.seed).flatten()
    terms, sums = weighted_sums(first, pixels)
    with torch.no_grad():
        gap = (sums - first(pixels)).abs().max().item()
        answer = int(network(pixels).argmax())

    lines = [
        Line(view, settings.sides, [statistics.median(accuracies[view, side]) for side in settings.sides])
        for view in _VIEWS
    ]
    contrast = [
        Line(
            view,
            [(low + high) / 2 for low, high in shares],
            [statistics.median(values) for values in shares.values()],
        )
        for view, shares in by_contrast.items()
    ]
    weights = [
        Picture(
            f"Weights of {min(_UNITS_SHOWN, settings.units)} units {when}",
            signed_sheet(values[:_UNITS_SHOWN].reshape(-1, largest, largest)),
            f"one square for each hidden unit, {words}: ink on amber pixels switches the unit on, ink on "
            "blue pixels switches it off",
        )
        for when, values, words in (
            ("before training", before, "all noise"),
            ("after training", first.weight.detach(), "with strokes, gaps and rings"),
        )
    ]  # fmt: skip
    charts: list[Chart | Picture] = [
        Chart("All 10,000 test digits", "pixels along a side", "read correctly", lines, whole_across=True),
        Chart(
            "Pens and papers",
            "how much darker the pen is than its paper (1: black on white)",
            "read correctly",
            contrast,
        ),
        _sums_picture(settings, pixels, terms, sums, first),
        *weights,
    ]
    verdict, words, smallest = _conclusion(settings, accuracies, by_contrast)
    words += (
        f" Test digit {settings.digit}, a {int(chosen.labels)}, is read as {answer}. Every hidden unit adds "
        f"up its {len(pixels)} pixels times weights, and a bias"
        f"{' (torch has the same sums, but for rounding)' if gap <= 1e-3 else ''}."
    )
    trained_weights = first.weight.detach()
    barely = {view: statistics.median(shares[_BARELY_LIGHTER]) for view, shares in by_contrast.items()}
    numbers = {f"{view}, {side}": statistics.median(group) for (view, side), group in accuracies.items()} | {
        **{f"{view}, pen barely lighter": share for view, share in barely.items()},
        "gap of the sums": gap, "weights, most pixels": float(largest**2 * settings.units),
        "weights, fewest worthwhile pixels": float(smallest**2 * settings.units),
        "fewest worthwhile pixels a side": float(smallest),
        "roughness of the weights, before to after": _roughness(before, largest)
        / _roughness(trained_weights, largest),
    }  # fmt: skip
    if gap > 1e-3:
        verdict = "does not hold"
    return Outcome(Finding(verdict, words + of_runs(settings.runs), numbers, tuple(seeds)), charts)


def _by_contrast(results: list[tuple[Tensor, int]]) -> dict[tuple[float, float], list[float]]:
    """Return the share of digits read correctly, for each range of how much darker a pen is than its paper.

    `results` are which test digits were read correctly, and the seed of the network; the shares are in order.
    """
    shares: dict[tuple[float, float], list[float]] = {each: [] for each in pairwise(_CONTRASTS)}
    for correct, seed in results:
        paper, pen = inks(len(correct), _test_seed(seed))
        darker = (paper - pen) @ torch.tensor(_GREY)
        for low, high in shares:
            shares[low, high].append(correct[(darker >= low) & (darker < high)].float().mean().item())
    return shares


def _conclusion(
    settings: DigitNetwork,
    accuracies: dict[tuple[View, int], list[float]],
    by_contrast: dict[View, dict[tuple[float, float], list[float]]],
) -> tuple[Verdict, str, int]:
    """Return the verdict, its reasons and the fewest pixels a side that cost little accuracy."""
    sides = settings.sides
    medians = {key: statistics.median(values) for key, values in accuracies.items()}
    plain = [medians["white on black", side] for side in sides]
    smallest = [side for side, share in zip(sides, plain, strict=True) if plain[0] - share <= _SMALL_LOSS][-1]
    words = (
        f"With {sides[0]} × {sides[0]} pixels the network reads "
        f"{_ranged(accuracies['white on black', sides[0]])} of digits. "
    )
    if smallest != sides[0]:
        lost = 100 * max(plain[0] - plain[sides.index(smallest)], 0)
        words += (
            f"{smallest} × {smallest} pixels lose {lost:.1f} percentage points and save "
            f"{percent(1 - (smallest / sides[0]) ** 2)} of the first layer's weights. "
        )
    elif len(sides) > 1:
        words += f"Fewer pixels lose more than {100 * _SMALL_LOSS:.0f} percentage points. "
    if sides[-1] != smallest:
        words += f"With only {sides[-1]} × {sides[-1]} pixels it reads {percent(plain[-1], 1)}. "
    colour, grey = (accuracies[view, sides[0]] for view in _VIEWS[1:])
    barely = {view: shares[_BARELY_LIGHTER] for view, shares in by_contrast.items()}
    words += (
        f"With random pen and paper colours it reads {_ranged(colour)} in colour and {_ranged(grey)} in "
        "grey, which needs a third of the weights. "
    )
    cost = statistics.median(colour) - statistics.median(grey)
    hidden = statistics.median(barely["in colour"]) - statistics.median(barely["in grey"])
    costs = sum(with_colours > without for with_colours, without in zip(colour, grey, strict=True))
    if cost > _SMALL_LOSS:
        words += "So grey costs accuracy"
        words += "" if costs == len(grey) else f" in {costs} of {len(grey)} trainings"
    elif cost < -_SMALL_LOSS:
        words += "So grey is easier to learn"
    else:
        words += "So over all digits grey costs next to nothing"
    if hidden > _SMALL_LOSS:
        words += ", above all" if cost > _SMALL_LOSS else ", except"
        words += (
            " where the pen is barely lighter than its paper: there it reads "
            f"{_ranged(barely['in grey'])} in grey and {_ranged(barely['in colour'])} in colour"
        )
    words += "."
    worth_it = smallest != sides[0]
    free = cost <= _SMALL_LOSS and hidden <= _SMALL_LOSS
    return (
        "holds" if worth_it and free else "holds only when" if worth_it else "does not hold",
        words,
        smallest,
    )


def _ranged(shares: list[float]) -> str:
    """Return the median of shares in percent, and their range."""
    median, low, high = (100 * each for each in (statistics.median(shares), min(shares), max(shares)))
    return f"{median:.1f} % ({low:.1f} to {high:.1f})" if high - low > 0.05 else f"{median:.1f} %"


def _sums_picture(
    settings: DigitNetwork, pixels: Tensor, terms: Tensor, sums: Tensor, first: nn.Linear
) -> Picture:
    """Show the digit, the weights of the three most active units, and what each pixel adds to them."""
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
        "three rows: the digit, times the weights of a unit, is what each pixel adds to the unit's sum",
    )  # fmt: skip


def _roughness(weights: Tensor, side: int) -> float:
    """Return how much neighbouring weights differ, relative to any two weights."""
    pictures = weights.reshape(-1, side, side)
    steps = (pictures[:, 1:] - pictures[:, :-1]).square().mean()
    return (steps / (2 * pictures.var())).item()


LESSON = Lesson(
    "digit", "The digit network", "What does it cost to use fewer pixels and no colour?",
    "Digits go in small and grey, hidden units add up values from different parts of the picture, and ten "
    "numbers come out.",
    "src/lanterna/networks/digits.py", DigitNetwork, experiment, needs=("mnist",),
    quote=grierson(
        "We might want to downsample the image first, and convert it to greyscale. We don't need colour to "
        "work out what number it is."
    ),
    explanation="""
        Walk away from a poster and look back. At ten steps you can still read the large numbers on
        it, though you see far less than the printer put there. At fifty steps they have run together.
        Somewhere in between is the smallest picture that still says everything you need.

        A network reads a digit as a stack of stencils. Each hidden unit lays its own stencil over the
        picture: ink on the amber parts counts for it, ink on the blue parts against it. It multiplies
        every pixel by the stencil's number there, its weight, and adds up all the results. Ten more
        units add up what the hidden units found, one for each digit from 0 to 9, and the largest sum
        is the answer. Nobody draws the stencils. They start as noise, and training turns them into
        strokes, gaps and rings.

        With half as many pixels along each side, a stencil has only a quarter as many numbers to
        learn. A colour picture needs three numbers for each pixel, a grey one needs one. What matters
        is that the ink still stands out from the paper.
    """,
    seen="""
        A drawing lights up some units of each layer and leaves others dark. Each of them only adds up
        numbers, every one multiplied by a weight. When you cut a unit, everything after it has one
        number less to add up, and sometimes that is enough to change the answer.
    """,
)  # fmt: skip
