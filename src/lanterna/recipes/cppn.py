"""Pictures without a picture: what a network paints that has learned nothing.

A network from a position to a colour, its weights drawn at random (compositional pattern producing networks:
Stanley, "Compositional Pattern Producing Networks: A Novel Abstraction of Development", 2007; with layers of
many neurons and a latent vector: Ha, "Generating Abstract Patterns with TensorFlow", 2016). Neurons have
different activations, as Stanley's have: a sine repeats, a bell is symmetric, a tanh divides.

We depart from both in one thing. Every neuron's sum is brought to mean 0 and deviation `spread` over the
frame, found on a coarse grid of positions, so that no neuron is stuck and no picture is flat, whatever the
seed. Colours are chosen in Oklab (Ottosson 2020), where equal steps look equal: the network's three outputs
are lightness and a place in a palette that the seed draws.

    save_picture(random_picture(Cppn(seed=7)), "seven.png")
    for frame in random_loop(Cppn(seed=7), 120): ...       # a film whose last frame meets its first
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from lanterna.images.drawing import contact_sheet
from lanterna.networks.coordinates import ACTIVATIONS
from lanterna.recipes.recipe import Frame, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

Activation = Literal["sine", "tanh", "bell", "relu", "line"]
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    **ACTIVATIONS,
    "bell": lambda x: 2 * torch.exp(-x * x) - 1,
    "line": lambda x: x,
}
_TILE = 2**15  # positions that are painted at a time
_GRID = 48  # positions along each side, from which means and deviations are found

PRESETS: dict[str, dict[str, Any]] = {
    # Ha's: tanh throughout, three layers and more of 32.
    "ha": {"activations": ("tanh",), "layers": 4, "neurons": 32, "spread": 1.4},
    # Stanley's: few neurons, each of its own kind.
    "stanley": {"activations": ("sine", "bell", "tanh", "line"), "layers": 4, "neurons": 8, "spread": 1.2},
    "ripples": {"activations": ("sine",), "layers": 3, "neurons": 12, "spread": 1.8},
    "silk": {"activations": ("tanh", "sine"), "layers": 8, "neurons": 12, "spread": 1.1},
    "mask": {"mirror": True},
    "rosette": {"repeats": 6, "mirror": True},
    "ink": {"colours": "grey"},
}


class Cppn(Recipe):
    """Let a network paint that has learned nothing."""

    verb: ClassVar[str] = "random"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    width: int = Field(default=768, ge=8, le=32_768, description="Pixels across.")
    height: int = Field(default=768, ge=8, le=32_768, description="Pixels down.")
    layers: int = Field(default=5, ge=1, le=32, description="Hidden layers: more make more intricate forms.")
    neurons: int = Field(default=16, ge=2, le=256, description="Neurons of each layer.")
    activations: tuple[Activation, ...] = Field(
        default=("sine", "tanh", "bell"), min_length=1, description="What neurons do to their sums: one each."
    )
    spread: float = Field(default=1.3, gt=0, le=10, description="How far sums vary: more is wilder.")
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
    reach: float = Field(default=0.6, gt=0, le=4, description="How far a loop goes from where it begins.")


@dataclass
class _Network:
    """Weights `(inputs, outputs)`, biases and, for each neuron, what its activation is."""

    weights: list[Tensor]
    biases: list[Tensor]
    kinds: list[Tensor]
    palette: _Palette


@dataclass
class _Palette:
    """Hues in degrees where the second output is lowest and highest, and how strong colours are."""

    first: float
    last: float
    chroma: float
    dark: float
    light: float


def random_picture(recipe: Cppn | None = None, *, size: tuple[int, int] | None = None) -> Tensor:
    """The picture of a recipe's seed, `(3, H, W)` in [0, 1], at the recipe's size or another (height, width).

    The same seed is the same picture at every size; pixels are painted tile by tile, so that memory is that
    of the result and little more.
    """
    recipe = recipe or Cppn()
    return _painted(_drawn(recipe), recipe, size or (recipe.height, recipe.width))


def random_loop(recipe: Cppn, frames: int = 120) -> Generator[Frame, None, None]:
    """A round trip through weight space: the picture of the seed, others near it, and back, in `frames`.

    All weights go round one circle at an even pace, in a plane that the seed draws; the frame after the last
    would be the first. `reach` is its radius, where a weight's own deviation is 1.
    """
    network = _drawn(recipe)
    generator = torch.Generator().manual_seed(recipe.seed + 2**32)
    sides = [
        [torch.randn(each.shape, generator=generator) * each.std().clamp_min(1e-6) for each in layers]
        for layers in 2 * [network.weights + network.biases]
    ]
    count = len(network.weights)
    for number in range(frames):
        angle = 2 * math.pi * number / frames
        along, across = recipe.reach * (1 - math.cos(angle)), recipe.reach * math.sin(angle)
        moved = [
            each + along * one + across * other
            for each, one, other in zip(network.weights + network.biases, *sides, strict=True)
        ]
        there = _Network(moved[:count], moved[count:], network.kinds, network.palette)
        picture = _painted(there, recipe, (recipe.height, recipe.width))
        yield Frame(number + 1, frames, {"angle": 360 * number / frames}, picture)


def random_sheet(
    recipe: Cppn, seeds: Sequence[int], *, columns: int = 4, side: int = 240
) -> Generator[Frame, None, None]:
    """A contact sheet of seeds, small; after each a frame with the sheet so far, `(3, H, W)`."""
    tiles: list[tuple[Tensor, str]] = []
    tall = max(1, round(side * recipe.height / recipe.width))
    for number, seed in enumerate(seeds, start=1):
        picture = random_picture(recipe.changed({"seed": seed}), size=(tall, side))
        tiles.append((picture, f"{seed}"))
        page = contact_sheet(
            tiles, columns=columns, side=side, height=tall, places=len(seeds), title="Seeds", gap=12
        )
        yield Frame(number, len(seeds), picture=page)


def _drawn(recipe: Cppn) -> _Network:
    """A network from the recipe's seed."""
    generator = torch.Generator().manual_seed(recipe.seed)
    widths = [_inputs(recipe), *recipe.layers * [recipe.neurons], 3]
    weights, biases, kinds = [], [], []
    for number, (before, after) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
        weights.append(torch.randn(before, after, generator=generator) / math.sqrt(before))
        biases.append(0.5 * torch.randn(after, generator=generator))
        # Dealt out, not drawn: as many of each.
        order = torch.randperm(after, generator=generator)
        kinds.append(order % len(recipe.activations))
        if number == 0 and recipe.latent:
            other = torch.Generator().manual_seed(recipe.seed + 2**33)
            ways = torch.randn(16, after, generator=other)[: len(recipe.latent)]
            biases[0] = biases[0] + torch.tensor(recipe.latent) @ ways
    first, turn, chroma, dark, light = torch.rand(5, generator=generator).tolist()
    hue = 360 * first if recipe.hue is None else recipe.hue
    palette = _Palette(hue, hue + (turn * 2 - 1) * 220, 0.09 + 0.1 * chroma, 0.1 + 0.2 * dark, 0.85 + 0.12 * light)
    return _Network(weights, biases, kinds, palette)


def _inputs(recipe: Cppn) -> int:
    return 3 if recipe.radius else 2


def _told(recipe: Cppn, x: Tensor, y: Tensor) -> Tensor:
    """What the network is told of places, `(N, 2 or 3)`; x and y are -1 to 1 along the shorter side."""
    radius = torch.hypot(x, y)
    if recipe.repeats > 1:
        angle = torch.atan2(y, x) * recipe.repeats
        x, y = radius * torch.cos(angle), radius * torch.sin(angle)
    if recipe.mirror:
        # Rounded at the axis, where there would be a crease.
        if recipe.repeats > 1:
            y = torch.sqrt(y * y + 0.003)
        else:
            x = torch.sqrt(x * x + 0.003)
    return torch.stack([x, y, radius] if recipe.radius else [x, y], 1)


class _Ready:
    """A network whose sums are brought to mean 0 and deviation 1 over the frame."""

    def __init__(self, network: _Network, recipe: Cppn, sides: tuple[float, float]) -> None:
        self.network, self.recipe = network, recipe
        steps = (torch.arange(_GRID) + 0.5) / _GRID * 2 - 1
        y, x = torch.meshgrid(steps * sides[0], steps * sides[1], indexing="ij")
        self.scales: list[tuple[Tensor, Tensor]] = []
        outputs = _told(recipe, x.flatten(), y.flatten())
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
        sums = sums * self.recipe.spread + self.network.biases[layer]
        result = torch.empty_like(sums)
        for kind, name in enumerate(self.recipe.activations):
            of_kind = self.network.kinds[layer] == kind
            result[:, of_kind] = _ACTIVATIONS[name](sums[:, of_kind])
        return result


def _painted(network: _Network, recipe: Cppn, size: tuple[int, int]) -> Tensor:
    height, width = size
    shorter = min(size)
    sides = height / shorter / recipe.zoom, width / shorter / recipe.zoom
    ready = _Ready(network, recipe, (height / shorter, width / shorter))
    result = torch.empty(3, height * width)
    fine = recipe.samples
    offsets = (torch.arange(fine) + 0.5) / fine
    for first in range(0, height * width, _TILE // fine**2):
        number = torch.arange(first, min(first + _TILE // fine**2, height * width))
        row = (number // width)[:, None, None] + offsets[None, :, None]  # (N, fine, 1)
        column = (number % width)[:, None, None] + offsets[None, None, :]
        y, x = torch.broadcast_tensors((row / height * 2 - 1) * sides[0], (column / width * 2 - 1) * sides[1])
        colours = _coloured(ready(_told(recipe, x.flatten(), y.flatten())), recipe, network.palette)
        result[:, number] = colours.view(len(number), fine**2, 3).mean(1).T
    return result.view(3, height, width)


def _coloured(outputs: Tensor, recipe: Cppn, palette: _Palette) -> Tensor:
    """Colours `(N, 3)` of the network's outputs."""
    level = torch.sigmoid(1.7 * outputs)  # (N, 3), about evenly spread over 0 to 1
    if recipe.colours == "rgb":
        return level
    lightness = palette.dark + (palette.light - palette.dark) * level[:, 0]
    if recipe.colours == "grey":
        zero = torch.zeros_like(lightness)
        return _from_oklab(lightness, zero, zero)
    hue = torch.deg2rad(palette.first + (palette.last - palette.first) * level[:, 1])
    # Colours that are nearly black or white have no room for much chroma.
    chroma = palette.chroma * (0.35 + 0.9 * level[:, 2]) * (4 * lightness * (1 - lightness)).clamp(0, 1).sqrt()
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
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(1e-8) ** (1 / 2.4) - 0.055)
