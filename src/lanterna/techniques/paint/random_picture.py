"""Random pictures: what an untrained network paints.

A compositional pattern producing network (CPPN) with random weights maps positions to colours (Stanley,
"Compositional Pattern Producing Networks: A Novel Abstraction of Development", 2007; with wide layers and a
latent vector: Ha, "Generating Abstract Patterns with TensorFlow", 2016). As in Stanley's networks, neurons
have different activations: a sine repeats, a bell is symmetric, a tanh divides.

Differences from both: every neuron's pre-activation is normalised to mean 0 and std `spread` over the frame,
measured on a coarse grid of positions, so that no neuron saturates and no picture is flat, whatever the seed.
Colours are chosen in Oklab (Ottosson 2020), in which equal steps look equal: the network's three outputs are
lightness, and hue and chroma in a palette that the seed draws.

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
from lanterna.techniques.octaves import resized
from lanterna.techniques.technique import Frame, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Activation = Literal["sine", "tanh", "bell", "relu", "line"]
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    **ACTIVATIONS,
    "bell": lambda x: 2 * torch.exp(-x * x) - 1,
    "line": lambda x: x,
}
_TILE = 2**15  # positions rendered at a time
_COARSE = 192  # pixels along the longer side of the first, coarse picture
_GRID = 48  # positions along each side of the grid for means and stds
_LOG_GAIN_STD = 0.6  # std of the logarithm of neurons' gains

PRESETS: dict[str, dict[str, Any]] = {
    "glass": {"layers": 12, "spread": 1.05},
    # Ha's: tanh throughout, layers of 32.
    "ha": {"activations": ("tanh",), "layers": 6, "neurons": 32, "spread": 1.6},
    # Stanley's: few neurons with different activations.
    "stanley": {"activations": ("sine", "bell", "tanh", "line"), "layers": 4, "neurons": 8, "spread": 1.0},
    "ripples": {"activations": ("sine",), "layers": 2, "neurons": 8, "spread": 2.5},
    "mask": {"mirror": True},
    "rosette": {"repeats": 5, "mirror": True, "layers": 6, "spread": 0.7},
    "ink": {"colours": "grey", "spread": 1.0},
}


class RandomPicture(Settings):
    """Let an untrained network paint a picture."""

    verb: ClassVar[str] = "random"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    width: int = Field(default=768, ge=8, le=32_768, description="The width in pixels.")
    height: int = Field(default=768, ge=8, le=32_768, description="The height in pixels.")
    layers: int = Field(default=10, ge=1, le=32, description="Hidden layers: more make forms more intricate.")
    neurons: int = Field(default=10, ge=2, le=256, description="Neurons in each hidden layer.")
    activations: tuple[Activation, ...] = Field(
        default=("tanh", "tanh", "sine"),
        min_length=1,
        description="The activations, shared out equally among the neurons.",
    )
    spread: float = Field(
        default=0.9, gt=0, le=10, description="The standard deviation of pre-activations: higher is wilder."
    )
    zoom: float = Field(
        default=1.0, gt=0, le=1000, description="How far to zoom in: 2 shows the middle half of the frame."
    )
    mirror: bool = Field(default=False, description="Mirror the picture left to right.")
    repeats: int = Field(
        default=1, ge=1, le=24, description="How many times the picture repeats around its centre."
    )
    radius: bool = Field(default=True, description="Give the network the distance from a centre as an input.")
    latent: tuple[float, ...] = Field(
        default=(),
        max_length=16,
        description="Latent numbers, each of which changes the picture in its own way; 0 changes nothing.",
    )
    colours: Literal["palette", "rgb", "grey"] = Field(
        default="palette", description="palette: a few hues that the seed draws; rgb: any; grey: none."
    )
    hue: float | None = Field(
        default=None, ge=0, lt=360, description="Where the palette begins: 30 red, 70 amber, 260 blue."
    )
    samples: int = Field(
        default=3, ge=1, le=8, description="Samples per pixel, across and down, whose colours are averaged."
    )
    reach: float = Field(default=0.1, gt=0, le=4, description="How far a loop moves from its first picture.")


@dataclass
class _Network:
    """Weights `(inputs, outputs)`, biases and gains of each layer; `centre` (x, y) is that of the radius."""

    weights: list[Tensor]
    biases: list[Tensor]
    gains: list[Tensor]
    centre: tuple[float, float]
    palette: _Palette


@dataclass
class _Palette:
    """Hues in degrees at the ends of the second output's range, chroma, and the range of lightness."""

    first: float
    last: float
    chroma: float
    dark: float
    light: float


def random_picture(settings: RandomPicture | None = None, *, size: tuple[int, int] | None = None) -> Tensor:
    """Return the picture of a seed, `(3, H, W)` in [0, 1], at `size` (height, width) or the settings' size.

    A seed gives the same picture at every size of the same aspect ratio. Rendering tile by tile takes little
    more memory than the result.
    """
    settings = settings or RandomPicture()
    size = size or (settings.height, settings.width)
    result = torch.empty(3, *size)
    for _ in _render(_random_network(settings), settings, result):
        pass
    return result


def random_frames(settings: RandomPicture) -> Generator[Frame, None, None]:
    """Yield the picture of a seed as it becomes sharp: first coarse, all of it; then tile by tile."""
    network = _random_network(settings)
    picture = torch.empty(3, settings.height, settings.width)
    share = _COARSE / max(settings.height, settings.width)
    coarsely = share <= 0.5  # a small picture is done soon
    steps = coarsely - (-settings.height * settings.width // _tile(settings))
    if coarsely:
        coarse = torch.empty(3, max(1, round(settings.height * share)), max(1, round(settings.width * share)))
        for _ in _render(network, settings.changed({"samples": 1}), coarse):
            pass
        picture.copy_(resized(coarse, (settings.height, settings.width)).clamp(0, 1))
        yield Frame(1, steps, picture=picture)
    for done in _render(network, settings, picture):
        yield Frame(coarsely + done, steps, picture=picture)


def random_loop(settings: RandomPicture, frames: int = 120, *, done: int = 0) -> Generator[Frame, None, None]:
    """Yield `frames` along a closed loop in weight space that begins at the picture of the seed.

    All weights move around a circle at constant speed, in a plane that the seed draws; the frame after the
    last would be the first. `reach` is its radius, in units of the weights' std. Skip frames that are `done`.
    """
    network = _random_network(settings)
    generator = torch.Generator().manual_seed(settings.seed + 2**32)
    directions = [
        [torch.randn(each.shape, generator=generator) * each.std().clamp_min(1e-6) for each in parameters]
        for parameters in 2 * [network.weights + network.biases]
    ]
    count = len(network.weights)
    for index in range(done, frames):
        angle = 2 * math.pi * index / frames
        along, across = settings.reach * (1 - math.cos(angle)), settings.reach * math.sin(angle)
        moved = [
            parameter + along * first + across * second
            for parameter, first, second in zip(network.weights + network.biases, *directions, strict=True)
        ]
        moved_network = replace(network, weights=moved[:count], biases=moved[count:])
        picture = torch.empty(3, settings.height, settings.width)
        for _ in _render(moved_network, settings, picture):
            pass
        yield Frame(index + 1, frames, {"angle": 360 * index / frames}, picture)


def _random_network(settings: RandomPicture) -> _Network:
    """Draw a network from the settings' seed."""
    generator = torch.Generator().manual_seed(settings.seed)
    widths = [3 if settings.radius else 2, *settings.layers * [settings.neurons], 3]
    weights, biases, gains = [], [], []
    for index, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        weights.append(torch.randn(inputs, outputs, generator=generator) / math.sqrt(inputs))
        biases.append(0.5 * torch.randn(outputs, generator=generator))
        gains.append(torch.exp(_LOG_GAIN_STD * torch.randn(outputs, generator=generator)))
        if index == 0 and settings.latent:
            latent_generator = torch.Generator().manual_seed(settings.seed + 2**33)
            directions = torch.randn(16, outputs, generator=latent_generator)[: len(settings.latent)]
            biases[0] = biases[0] + torch.tensor(settings.latent) @ directions
    centre = torch.rand(2, generator=generator) * 1.6 - 0.8
    first, hue_range, chroma, dark, light = torch.rand(5, generator=generator).tolist()
    hue = 360 * first if settings.hue is None else settings.hue
    palette = _Palette(
        hue, hue + (hue_range * 2 - 1) * 180, 0.07 + 0.08 * chroma, 0.12 + 0.18 * dark, 0.86 + 0.1 * light
    )
    return _Network(weights, biases, gains, (centre[0].item(), centre[1].item()), palette)


def _inputs(settings: RandomPicture, centre: tuple[float, float], x: Tensor, y: Tensor) -> Tensor:
    """Return the network's inputs, `(N, 2 or 3)`; x and y are -1 to 1 along the shorter side."""
    if settings.repeats > 1:
        centre = 0.0, 0.0
    elif settings.mirror:
        centre = 0.0, centre[1]
    radius = torch.hypot(x - centre[0], y - centre[1])
    if settings.repeats > 1:
        angle = torch.atan2(y, x) * settings.repeats
        x, y = radius * torch.cos(angle), radius * torch.sin(angle)
    if settings.mirror:
        # Smooth at the axis, to avoid a crease.
        if settings.repeats > 1:
            y = torch.sqrt(y * y + 0.003)
        else:
            x = torch.sqrt(x * x + 0.003)
    return torch.stack([x, y, radius] if settings.radius else [x, y], 1)


class _NormalisedNetwork:
    """A network with pre-activations normalised to mean 0 and std 1 over the frame."""

    def __init__(self, network: _Network, settings: RandomPicture, sides: tuple[float, float]) -> None:
        self.network, self.settings = network, settings
        steps = (torch.arange(_GRID) + 0.5) / _GRID * 2 - 1
        y, x = torch.meshgrid(steps * sides[0], steps * sides[1], indexing="ij")
        self.statistics: list[tuple[Tensor, Tensor]] = []  # mean and 1 / std of each layer
        outputs = _inputs(settings, network.centre, x.flatten(), y.flatten())
        for layer in range(len(network.weights)):
            sums = outputs @ network.weights[layer]
            self.statistics.append((sums.mean(0), 1 / sums.std(0).clamp_min(1e-4)))
            outputs = self._activate(sums, layer)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return three outputs `(N, 3)` of mean near 0 and std near 1."""
        x = inputs
        for layer, weights in enumerate(self.network.weights):
            x = self._activate(x @ weights, layer)
        return x

    def _activate(self, sums: Tensor, layer: int) -> Tensor:
        mean, scale = self.statistics[layer]
        sums = (sums - mean) * scale
        if layer == len(self.network.weights) - 1:
            return sums
        sums = sums * self.settings.spread * self.network.gains[layer] + self.network.biases[layer]
        # Equal groups of neurons have the activations in order; their weights are equally distributed.
        names, count = self.settings.activations, sums.shape[1]
        for index, name in enumerate(names):
            group = sums[:, index * count // len(names) : (index + 1) * count // len(names)]
            group.copy_(_ACTIVATIONS[name](group))
        return sums


def _tile(settings: RandomPicture) -> int:
    """Return how many pixels are rendered at a time."""
    return _TILE // settings.samples**2


def _render(network: _Network, settings: RandomPicture, result: Tensor) -> Generator[int, None, None]:
    """Render into `result` `(3, H, W)`, yielding the number of tiles that are done."""
    height, width = result.shape[1:]
    shorter = min(height, width)
    sides = height / shorter / settings.zoom, width / shorter / settings.zoom
    normalised = _NormalisedNetwork(network, settings, (height / shorter, width / shorter))
    samples, tile = settings.samples, _tile(settings)
    offsets = (torch.arange(samples) + 0.5) / samples
    for done, first in enumerate(range(0, height * width, tile), start=1):
        pixels = torch.arange(first, min(first + tile, height * width))
        row = (pixels // width)[:, None, None] + offsets[None, :, None]  # (N, samples, 1)
        column = (pixels % width)[:, None, None] + offsets[None, None, :]
        y = ((row / height * 2 - 1) * sides[0]).expand(-1, -1, samples).flatten()
        x = ((column / width * 2 - 1) * sides[1]).expand(-1, samples, -1).flatten()
        outputs = normalised(_inputs(settings, network.centre, x, y))
        colours = _to_colours(outputs, settings, network.palette)
        result.view(3, -1)[:, pixels] = colours.view(len(pixels), samples**2, 3).mean(1).T
        yield done


def _to_colours(outputs: Tensor, settings: RandomPicture, palette: _Palette) -> Tensor:
    """Map the network's outputs `(N, 3)` to sRGB colours `(N, 3)`."""
    level = torch.sigmoid(1.7 * outputs)  # (N, 3), roughly uniform in [0, 1]
    if settings.colours == "rgb":
        return level
    lightness = palette.dark + (palette.light - palette.dark) * level[:, 0]
    if settings.colours == "grey":
        zero = torch.zeros_like(lightness)
        return _from_oklab(lightness, zero, zero)
    hue = torch.deg2rad(palette.first + (palette.last - palette.first) * level[:, 1])
    # Near black and white the gamut has little room for chroma.
    chroma = (
        palette.chroma * (0.35 + 0.9 * level[:, 2]) * (4 * lightness * (1 - lightness)).clamp(0, 1).sqrt()
    )
    return _from_oklab(lightness, chroma * hue.cos(), chroma * hue.sin())


def _from_oklab(lightness: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Convert Oklab to sRGB colours `(N, 3)` in [0, 1]."""
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
