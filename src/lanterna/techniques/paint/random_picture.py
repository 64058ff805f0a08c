"""Pictures without a picture: what a network paints that has learned nothing.

A network from a position to a colour, its weights drawn at random (compositional pattern producing networks:
Stanley, "Compositional Pattern Producing Networks: A Novel Abstraction of Development", 2007; with layers of
many neurons and a latent vector: Ha, "Generating Abstract Patterns with TensorFlow", 2016). Neurons have
different activations, as Stanley's have: a sine repeats, a bell is symmetric, a tanh divides.

We depart from both in one thing. Every neuron's sum is brought to mean 0 and deviation `spread` over the
frame, found on a coarse grid of positions, so that no neuron is stuck and no picture is flat, whatever the
seed. Colours are chosen in Oklab (Ottosson 2020), where equal steps look equal: the network's three outputs
are lightness and a place in a palette that the seed draws.

    save_picture(random_picture(RandomPicture(seed=7)), "seven.png")
    for frame in random_loop(RandomPicture(seed=7), 120): ...  # a film whose last frame meets its first
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from lanterna.networks.coordinates import ACTIVATIONS
from lanterna.techniques.technique import Frame, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Activation = Literal["sine", "tanh", "bell", "relu", "line"]
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    **ACTIVATIONS,
    "bell": lambda x: 2 * torch.exp(-x * x) - 1,
    "line": lambda x: x,
}
_TILE = 2**15  # positions that are painted at a time
_GRID = 48  # positions along each side, from which means and deviations are found
_STEEP = 0.6  # deviation of the logarithm of how steep neurons are

PRESETS: dict[str, dict[str, Any]] = {
    "glass": {"layers": 12, "spread": 1.05},
    # Ha's: tanh throughout, layers of 32.
    "ha": {"activations": ("tanh",), "layers": 6, "neurons": 32, "spread": 1.6},
    # Stanley's: few neurons, each of its own kind.
    "stanley": {"activations": ("sine", "bell", "tanh", "line"), "layers": 4, "neurons": 8, "spread": 1.0},
    "ripples": {"activations": ("sine",), "layers": 2, "neurons": 8, "spread": 2.5},
    "mask": {"mirror": True},
    "rosette": {"repeats": 5, "mirror": True, "layers": 6, "spread": 0.7},
    "ink": {"colours": "grey", "spread": 1.0},
}


class RandomPicture(Settings):
    """Let a network paint that has learned nothing."""

    verb: ClassVar[str] = "random"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    width: int = Field(default=768, ge=8, le=32_768, description="Pixels across.")
    height: int = Field(default=768, ge=8, le=32_768, description="Pixels down.")
    layers: int = Field(default=10, ge=1, le=32, description="Hidden layers: more make more intricate forms.")
    neurons: int = Field(default=10, ge=2, le=256, description="Neurons of each layer.")
    activations: tuple[Activation, ...] = Field(
        default=("tanh", "tanh", "sine"), min_length=1, description="What neurons do to their sums: one each."
    )
    spread: float = Field(default=0.9, gt=0, le=10, description="How far sums vary: more is wilder.")
    zoom: float = Field(default=1.0, gt=0, le=1000, description="2 shows the middle half of what there is.")
    mirror: bool = Field(default=False, description="Whether left is as right.")
    repeats: int = Field(default=1, ge=1, le=24, description="How often it repeats around the middle.")
    radius: bool = Field(default=True, description="Whether the network is told how far from the middle.")
    latent: tuple[float, ...] = Field(
        default=(), max_length=16, description="Numbers that change the picture, each in its own way: 0 not."
    )
    colours: Literal["palette", "rgb", "grey"] = Field(
        default="palette", description="palette: a few hues that the seed draws; rgb: any; grey: none."
    )
    hue: float | None = Field(
        default=None, ge=0, lt=360, description="Where the palette begins: 30 red, 70 amber, 260 blue."
    )
    samples: int = Field(
        default=3, ge=1, le=8, description="Places across and down of each pixel whose colours are averaged."
    )
    reach: float = Field(default=0.1, gt=0, le=4, description="How far a loop goes from where it begins.")


@dataclass
class _Network:
    """Weights `(inputs, outputs)`; for each neuron its bias and how steep it is.

    `middle` (x, y) is the place from which the radius is measured.
    """

    weights: list[Tensor]
    biases: list[Tensor]
    slopes: list[Tensor]
    middle: tuple[float, float]
    palette: _Palette


@dataclass
class _Palette:
    """Hues in degrees where the second output is lowest and highest, and how strong colours are."""

    first: float
    last: float
    chroma: float
    dark: float
    light: float


def random_picture(settings: RandomPicture | None = None, *, size: tuple[int, int] | None = None) -> Tensor:
    """The picture of a seed, `(3, H, W)` in [0, 1], at the size of the settings or another (height, width).

    The same seed is the same picture at every size of the same shape. Pixels are painted tile by tile, so
    that memory is that of the result and little more.
    """
    settings = settings or RandomPicture()
    return _painted(_drawn(settings), settings, size or (settings.height, settings.width))


def random_loop(settings: RandomPicture, frames: int = 120, *, done: int = 0) -> Generator[Frame, None, None]:
    """A round trip through weight space: the picture of the seed, others near it, and back, in `frames`.

    All weights go round one circle at an even pace, in a plane that the seed draws; the frame after the last
    would be the first. `reach` is its radius, where a weight's own deviation is 1. Frames that are `done` are
    left out.
    """
    network = _drawn(settings)
    generator = torch.Generator().manual_seed(settings.seed + 2**32)
    sides = [
        [torch.randn(each.shape, generator=generator) * each.std().clamp_min(1e-6) for each in layers]
        for layers in 2 * [network.weights + network.biases]
    ]
    count = len(network.weights)
    for number in range(done, frames):
        angle = 2 * math.pi * number / frames
        along, across = settings.reach * (1 - math.cos(angle)), settings.reach * math.sin(angle)
        moved = [
            each + along * one + across * other
            for each, one, other in zip(network.weights + network.biases, *sides, strict=True)
        ]
        there = replace(network, weights=moved[:count], biases=moved[count:])
        picture = _painted(there, settings, (settings.height, settings.width))
        yield Frame(number + 1, frames, {"angle": 360 * number / frames}, picture)


def _drawn(settings: RandomPicture) -> _Network:
    """A network from the seed of the settings."""
    generator = torch.Generator().manual_seed(settings.seed)
    widths = [3 if settings.radius else 2, *settings.layers * [settings.neurons], 3]
    weights, biases, slopes = [], [], []
    for number, (before, after) in enumerate(itertools.pairwise(widths)):
        weights.append(torch.randn(before, after, generator=generator) / math.sqrt(before))
        biases.append(0.5 * torch.randn(after, generator=generator))
        slopes.append(torch.exp(_STEEP * torch.randn(after, generator=generator)))
        if number == 0 and settings.latent:
            other = torch.Generator().manual_seed(settings.seed + 2**33)
            ways = torch.randn(16, after, generator=other)[: len(settings.latent)]
            biases[0] = biases[0] + torch.tensor(settings.latent) @ ways
    middle = torch.rand(2, generator=generator) * 1.6 - 0.8
    first, turn, chroma, dark, light = torch.rand(5, generator=generator).tolist()
    hue = 360 * first if settings.hue is None else settings.hue
    palette = _Palette(
        hue, hue + (turn * 2 - 1) * 180, 0.07 + 0.08 * chroma, 0.12 + 0.18 * dark, 0.86 + 0.1 * light
    )
    return _Network(weights, biases, slopes, (middle[0].item(), middle[1].item()), palette)


def _told(settings: RandomPicture, middle: tuple[float, float], x: Tensor, y: Tensor) -> Tensor:
    """What the network is told of places, `(N, 2 or 3)`; x and y are -1 to 1 along the shorter side."""
    if settings.repeats > 1:
        middle = 0.0, 0.0
    elif settings.mirror:
        middle = 0.0, middle[1]
    radius = torch.hypot(x - middle[0], y - middle[1])
    if settings.repeats > 1:
        angle = torch.atan2(y, x) * settings.repeats
        x, y = radius * torch.cos(angle), radius * torch.sin(angle)
    if settings.mirror:
        # Rounded at the axis, where there would be a crease.
        if settings.repeats > 1:
            y = torch.sqrt(y * y + 0.003)
        else:
            x = torch.sqrt(x * x + 0.003)
    return torch.stack([x, y, radius] if settings.radius else [x, y], 1)


class _Ready:
    """A network whose sums are brought to mean 0 and deviation 1 over the frame."""

    def __init__(self, network: _Network, settings: RandomPicture, sides: tuple[float, float]) -> None:
        self.network, self.settings = network, settings
        steps = (torch.arange(_GRID) + 0.5) / _GRID * 2 - 1
        y, x = torch.meshgrid(steps * sides[0], steps * sides[1], indexing="ij")
        self.scales: list[tuple[Tensor, Tensor]] = []
        outputs = _told(settings, network.middle, x.flatten(), y.flatten())
        for layer in range(len(network.weights)):
            sums = outputs @ network.weights[layer]
            self.scales.append((sums.mean(0), 1 / sums.std(0).clamp_min(1e-4)))
            outputs = self._after(sums, layer)

    def __call__(self, told: Tensor) -> Tensor:
        """Three outputs `(N, 3)` of mean near 0 and deviation near 1."""
        for layer, weights in enumerate(self.network.weights):
            told = self._after(told @ weights, layer)
        return told

    def _after(self, sums: Tensor, layer: int) -> Tensor:
        mean, scale = self.scales[layer]
        sums = (sums - mean) * scale
        if layer == len(self.network.weights) - 1:
            return sums
        sums = sums * self.settings.spread * self.network.slopes[layer] + self.network.biases[layer]
        # The first neurons have the first activation, and so on, as many of each: all are drawn alike.
        names, count = self.settings.activations, sums.shape[1]
        for kind, name in enumerate(names):
            these = sums[:, kind * count // len(names) : (kind + 1) * count // len(names)]
            these.copy_(_ACTIVATIONS[name](these))
        return sums


def _painted(network: _Network, settings: RandomPicture, size: tuple[int, int]) -> Tensor:
    height, width = size
    shorter = min(size)
    sides = height / shorter / settings.zoom, width / shorter / settings.zoom
    ready = _Ready(network, settings, (height / shorter, width / shorter))
    result = torch.empty(3, height * width)
    fine = settings.samples
    offsets = (torch.arange(fine) + 0.5) / fine
    for first in range(0, height * width, _TILE // fine**2):
        number = torch.arange(first, min(first + _TILE // fine**2, height * width))
        row = (number // width)[:, None, None] + offsets[None, :, None]  # (N, fine, 1)
        column = (number % width)[:, None, None] + offsets[None, None, :]
        y = ((row / height * 2 - 1) * sides[0]).expand(-1, -1, fine).flatten()
        x = ((column / width * 2 - 1) * sides[1]).expand(-1, fine, -1).flatten()
        colours = _coloured(ready(_told(settings, network.middle, x, y)), settings, network.palette)
        result[:, number] = colours.view(len(number), fine**2, 3).mean(1).T
    return result.view(3, height, width)


def _coloured(outputs: Tensor, settings: RandomPicture, palette: _Palette) -> Tensor:
    """Colours `(N, 3)` of the network's outputs."""
    level = torch.sigmoid(1.7 * outputs)  # (N, 3), about evenly spread over 0 to 1
    if settings.colours == "rgb":
        return level
    lightness = palette.dark + (palette.light - palette.dark) * level[:, 0]
    if settings.colours == "grey":
        zero = torch.zeros_like(lightness)
        return _from_oklab(lightness, zero, zero)
    hue = torch.deg2rad(palette.first + (palette.last - palette.first) * level[:, 1])
    # Colours that are nearly black or white have no room for much chroma.
    chroma = (
        palette.chroma * (0.35 + 0.9 * level[:, 2]) * (4 * lightness * (1 - lightness)).clamp(0, 1).sqrt()
    )
    return _from_oklab(lightness, chroma * hue.cos(), chroma * hue.sin())


def _from_oklab(lightness: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """sRGB colours `(N, 3)` in [0, 1] of Oklab's."""
    cones = torch.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    mix = cones.new_tensor(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = (mix @ cones**3).clamp(0, 1).T
    return torch.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(1e-8) ** (1 / 2.4) - 0.055
    )
