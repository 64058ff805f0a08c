"""Lesson 17. How DeepDream works: the gradient as a picture, octaves, and what each layer adds.

Ask a layer how a photograph would have to change for the layer to respond more strongly. The answer, the
gradient of its energy with respect to the pixels, is itself a picture. Add a little of it, and ask again
(Mordvintsev, Olah and Tyka 2015). At one size this adds forms of one size only, those of the layer's window;
octaves do the same on smaller copies first. How coarse the added forms are is measured by their wavelength.

`ascend` is all of it. The technique (`lanterna.techniques.dream`) also smooths the gradient, gives it the
colours of photographs, and dreams large pictures in tiles.
"""

from __future__ import annotations

import itertools
import statistics
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field

from lanterna.images.drawing import contact_sheet
from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Picture
from lanterna.lessons.photographs import photograph
from lanterna.lessons.progress import track
from lanterna.lessons.subjects import SUBJECTS
from lanterna.networks import open_network
from lanterna.networks.inference import optimize_for_inference
from lanterna.probes import objectives
from lanterna.techniques.octaves import octave_sizes, resized
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.lessons.lesson import Verdict
    from lanterna.networks import Network

Layer = Literal["block3", "block5", "block7", "block9", "block12", "block14"]
LAYERS: tuple[Layer, ...] = ("block3", "block5", "block7", "block9", "block12", "block14")
_RATIO = 1.5  # of the sizes of two octaves
_JITTER = 16  # pixels
_CLEARLY = 1.2  # times longer waves


class DeepDream(Settings):
    """Dream by hand: one octave against several, and one layer after another."""

    verb: ClassVar[str] = "learn dream"

    photographs: tuple[Literal["chelsea", "coffee", "astronaut"], ...] = Field(
        default=("chelsea", "coffee", "astronaut"), min_length=1, max_length=3,
        description="The photographs; the pictures show the first one.",
    )  # fmt: skip
    layer: Layer = Field(default="block9", description="The layer that should respond more strongly.")
    octaves: int = Field(default=4, ge=2, le=6, description="Sizes to dream at, compared with one size.")
    steps: int = Field(default=8, ge=1, le=100, description="Steps at each size.")
    rate: float = Field(default=0.012, gt=0, le=0.2, description="The mean change of a pixel in one step.")
    size: int = Field(default=256, ge=96, le=512, description="Pixels along a side.")


def gradient(network: Network, picture: Tensor, layer: str) -> Tensor:
    """Return how the picture should change for the layer to respond more strongly, `(3, H, W)`."""
    pixels = picture[None].clone().requires_grad_()
    (found,) = torch.autograd.grad(objectives.energy(layer)(network, pixels).sum(), pixels)
    return found[0]


def ascend(
    network: Network, start: Tensor, layer: str, sizes: list[tuple[int, int]], steps: int, rate: float,
    seed: int,
) -> Tensor:  # fmt: skip
    """Dream on `start` `(3, H, W)` at each of the sizes, from small to large."""
    generator = torch.Generator().manual_seed(seed)
    picture = added = torch.zeros_like(start)
    for size in sizes:
        small = resized(start, size)
        picture = (small + resized(added, size)).clamp(0, 1)  # with what was dreamed before
        for _ in range(steps):
            # A random shift, so that the network's grid leaves no pattern.
            shift = torch.randint(-_JITTER, _JITTER + 1, (2,), generator=generator)
            there, back = shift.tolist(), (-shift).tolist()
            change = gradient(network, picture.roll(there, (1, 2)), layer).roll(back, (1, 2))
            picture = (picture + rate * change / change.abs().mean().clamp_min(1e-12)).clamp(0, 1)
        added = picture - small
    return picture


def spectrum(change: Tensor) -> tuple[Tensor, Tensor]:
    """Return the frequencies of a change `(3, H, W)` in waves per pixel, and the power at each."""
    grey = change.mean(0)
    power = torch.fft.rfft2(grey).abs().square()
    power[0, 0] = 0  # an even change has no wavelength
    down, across = torch.fft.fftfreq(grey.shape[0]), torch.fft.rfftfreq(grey.shape[1])
    return (down[:, None].square() + across.square()).sqrt(), power


def wavelength(change: Tensor) -> float:
    """Return the typical wavelength of a change in pixels: one over its mean frequency, by power."""
    frequencies, power = spectrum(change)
    return (power.sum() / (frequencies * power).sum().clamp_min(1e-12)).item()


class Dreamed(NamedTuple):
    """A dream, the wavelength of what was added, and how many times stronger the layer responds."""

    picture: Tensor
    change: Tensor
    wavelength: float
    stronger: float


def dreamed(settings: DeepDream, network: Network, start: Tensor, layer: str, octaves: int) -> Dreamed:
    """Dream with some octaves, taking the same number of steps for any number of them."""
    sizes = octave_sizes(settings.size, settings.size, settings.size, octaves, _RATIO)
    steps = settings.steps * settings.octaves // len(sizes)
    picture = ascend(network, start, layer, sizes, steps, settings.rate, settings.seed)
    energy = objectives.energy(layer)
    with torch.no_grad():
        stronger = (energy(network, picture[None]) / energy(network, start[None])).item()
    change = picture - start
    return Dreamed(picture, change, wavelength(change), stronger)


def experiment(settings: DeepDream) -> Outcome:
    """Dream with one octave and with several on each photograph, and with each layer on the first."""
    network = optimize_for_inference(open_network("efficientnet-lite0"), LAYERS)
    names = tuple(dict.fromkeys(settings.photographs))
    starts = {name: photograph(name, settings.size) for name in names}
    pairs = {
        name: [
            dreamed(settings, network, start, settings.layer, octaves) for octaves in (1, settings.octaves)
        ]
        for name, start in zip(track(names, "dreaming"), starts.values(), strict=True)
    }
    first, subject = starts[names[0]], SUBJECTS[names[0]]
    by_layer = {
        layer: dreamed(settings, network, first, layer, settings.octaves)
        for layer in track(LAYERS, "dreaming with each layer")
    }
    one, several = ([pair[n].wavelength for pair in pairs.values()] for n in (0, 1))
    stronger = [pair[1].stronger for pair in pairs.values()]
    coarser = [b / a for a, b in zip(one, several, strict=True)]
    verdict: Verdict = (
        "holds"
        if min(coarser) > _CLEARLY and min(stronger) > 1
        else "holds only when"
        if min(stronger) > 1
        else "does not hold"
    )
    words = (
        f"After {settings.steps * settings.octaves} steps along the gradient, {settings.layer} responds "
        f"{_ranged(stronger)} times as strongly. At one size the added forms have a wavelength of "
        f"{_ranged(one)} pixels; with {settings.octaves} octaves and as many steps it is {_ranged(several)}, "
        f"{_ranged(coarser)} times as long."
    )
    if len(names) > 1:
        words += f" (Medians of {len(names)} photographs, and their range in brackets.)"
    numbers = {
        f"{SUBJECTS[name]}, {what}": value
        for name, (single, many) in pairs.items()
        for what, value in (
            ("wavelength, 1 octave", single.wavelength),
            (f"wavelength, {settings.octaves} octaves", many.wavelength),
            ("times as strong", many.stronger),
        )
    } | {f"wavelength, {layer}": result.wavelength for layer, result in by_layer.items()}
    charts: list[Chart | Picture] = [
        _sheet("The gradient is a picture", [
            (first, "the photograph"),
            (_as_picture(gradient(network, first, settings.layer)), "its gradient"),
        ], f"the {subject}, and in grey how each of its pixels should change for {settings.layer}", 2),
        _sheet("Octaves", [
            (each.picture, label)
            for each, label in [
                *((pair[0], "1 octave") for pair in pairs.values()),
                *((pair[1], f"{settings.octaves} octaves") for pair in pairs.values()),
            ]
        ], "each photograph dreamed at one size, and below at several, from small to large", len(names)),
        _sheet("What each layer adds", [(each.picture, layer) for layer, each in by_layer.items()],
               f"the {subject} dreamed with one layer after another, early to late", 3),
        Chart("How coarse the added forms are", "wavelength in pixels", "share of the change",
              [_line(f"{octaves}", [pair[n].change for pair in pairs.values()])
               for n, octaves in enumerate(("1 octave", f"{settings.octaves} octaves"))],
              log_across=True),
    ]  # fmt: skip
    return Outcome(Finding(verdict, words, numbers, (settings.seed,)), charts)


def _line(name: str, changes: list[Tensor]) -> Line:
    """Return the share of the changes' power in each half octave of wavelengths, the median of pictures."""
    edges = [2.0 ** (n / 2) for n in range(2, 14)]
    middles = [(low * high) ** 0.5 for low, high in itertools.pairwise(edges)]
    shares = []
    for change in changes:
        frequencies, power = spectrum(change)
        waves = 1 / frequencies.clamp_min(1e-6)
        shares.append(
            [
                (power[(waves >= low) & (waves < high)].sum() / power.sum().clamp_min(1e-12)).item()
                for low, high in itertools.pairwise(edges)
            ]
        )
    return Line(name, middles, [statistics.median(each) for each in zip(*shares, strict=True)])


def _as_picture(change: Tensor) -> Tensor:
    """Return a gradient as a picture: grey where nothing changes."""
    return (0.5 + change / (6 * change.std().clamp_min(1e-12))).clamp(0, 1)


def _sheet(title: str, tiles: list[tuple[Tensor, str]], words: str, columns: int) -> Picture:
    side = tiles[0][0].shape[-1]
    return Picture(title, contact_sheet(tiles, columns=columns, side=side, gap=8), words)


def _ranged(values: list[float]) -> str:
    """Return the median and the range."""
    low, middle, high = (f"{each:.1f}" for each in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low} to {high})" if low != high else middle


LESSON = Lesson(
    "dream", "How DeepDream works", "What does a network add to a picture when it dreams?",
    "A dream adds to a picture what a layer finds in it already, and octaves let it find that at every size.",
    "src/lanterna/lessons/dream.py", DeepDream, experiment, needs=("photographs", "efficientnet-lite0"),
    quote=grierson("Lots of people are very excited about using deep learning to generate images."),
    explanation="""
        Lie on your back and look at the clouds. One looks a little like a dog. Now suppose that you
        could push the cloud about, and every time you made it a bit more like a dog. After a while
        everybody would see one.

        DeepDream does that with a photograph. One layer of a network responds to it, here strongly,
        there hardly at all. For every pixel the gradient says whether it should be lighter or darker
        for the layer to respond more, so the gradient is itself a picture. Add a little of it to the
        photograph, ask again, and again. Nobody chooses what appears. Each layer adds what it has
        learned to respond to: early layers lines and ripples, later ones patterns, eyes and parts of
        animals.

        A layer looks through a window of a fixed size, so on its own it adds forms of one size.
        Octaves help: first dream on a small copy, in which the window covers a lot, then enlarge what
        was added and dream on, size by size. The large forms then hold smaller ones.
    """,
    seen="""
        The gradient is a picture: amber where a pixel should be lighter, blue where it should be
        darker. It is strongest where the layer already finds something, so every step makes that
        clearer. With one octave all the forms are as large as the layer's window. With three, the
        small copy gets large ones first, and the next sizes add smaller ones.
    """,
)  # fmt: skip
