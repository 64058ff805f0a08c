"""Classify the kernels of a network's first layer as edges, bars or blobs.

Hubel and Wiesel (1962) found cells that respond to edges and bars of one orientation; networks learn such
kernels in their first layer, whatever their task (Krizhevsky, Sutskever and Hinton 2012, figure 3). A small
kernel may resemble one by chance, so the criterion is calibrated on kernels of noise.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from lanterna.errors import UsageError

if TYPE_CHECKING:
    from lanterna.networks.network import Network

Shape = Literal["edge", "bar", "blob"]

_STDS = (0.5, 0.7, 1.0, 1.4)  # in pixels
_LENGTHS = (1.0, 1.6, 3.0)  # ratio of the std along an edge or bar to the std across it
_ORIENTATIONS = 12
_NOISE_KERNELS = 2000


@dataclass(frozen=True)
class KernelFits:
    """The first layer's kernels, and how well the best edge, bar or blob fits each.

    `weights` `(K, C, S, S)`; `explained` `(K,)`, the share of a kernel's energy (sum of squares) that its
    best template explains; `shapes`, the shapes of these templates. `chance` `(2000,)` is the explained share
    of kernels of Gaussian noise, sorted, and `threshold` its 99th percentile.
    """

    weights: Tensor
    explained: Tensor
    shapes: tuple[Shape, ...]
    chance: Tensor

    @property
    def threshold(self) -> float:
        """The explained share above which a kernel counts as the shape of its best template."""
        return self.chance[int(0.99 * len(self.chance))].item()

    @property
    def found(self) -> tuple[Shape | None, ...]:
        """The shape of each kernel, or None if it fits no better than noise."""
        return tuple(
            shape if share > self.threshold else None
            for shape, share in zip(self.shapes, self.explained.tolist(), strict=True)
        )


def first_kernels(network: Network) -> KernelFits:
    """Fit templates to the kernels of a network's first convolution.

    Errors: `UsageError` if the network does not begin with a convolution of 3 × 3 to 15 × 15.
    """
    layer = next((part for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear)), None)
    if not isinstance(layer, nn.Conv2d) or not 3 <= min(layer.kernel_size) <= max(layer.kernel_size) <= 15:
        raise UsageError(
            f"{network.name} does not begin with a convolution: it has no first-layer kernels to show"
        )
    return fit_kernels(layer.weight.detach().float().cpu())


def fit_kernels(weights: Tensor, seed: int = 0) -> KernelFits:
    """Fit templates to kernels `(K, C, S, S)`, and to noise of the same size."""
    generator = torch.Generator().manual_seed(seed)
    explained, shapes = fit_templates(weights)
    chance, _ = fit_templates(torch.randn(_NOISE_KERNELS, *weights.shape[1:], generator=generator))
    return KernelFits(weights, explained, shapes, chance.sort().values)


def fit_templates(weights: Tensor) -> tuple[Tensor, tuple[Shape, ...]]:
    """Return the share of each kernel's energy that its best template explains, and that template's shape.

    `weights` is `(K, C, S, S)`. A template may have any strength in each of the C channels: for a template t
    of length 1, the least-squares fit to the kernel W `(C, S²)` is (W t) tᵀ, and explains |W t|² of |W|².
    """
    vectors, shapes = templates(weights.shape[-1])
    flat = weights.flatten(2)  # (K, C, S²)
    energies = (flat @ vectors.T).square().sum(1)  # (K, templates)
    best = energies.max(1)
    explained = best.values / flat.square().sum((1, 2)).clamp_min(1e-20)
    return explained, tuple(shapes[int(index)] for index in best.indices)


@cache
def templates(side: int) -> tuple[Tensor, tuple[Shape, ...]]:
    """Return all templates of `side` × `side` pixels, each of length 1 `(T, side²)`, and their shapes.

    `edge`: the first derivative of a Gaussian across its orientation, `bar`: the second (similar to Gabor
    functions of about one period); 12 orientations, 4 widths, 3 lengths. `blob`: a Gaussian, or a difference
    of Gaussians with a ratio of 1.6 (Marr and Hildreth 1980); 4 widths. Each is centred at every half pixel
    of the middle half of the kernel.
    """
    axis = torch.arange(side) - (side - 1) / 2
    reach = math.floor((side - 1) / 2) / 2
    offsets = torch.arange(-reach, reach + 0.1, 0.5).tolist()
    vectors: list[Tensor] = []
    shapes: list[Shape] = []
    for down, across, std in itertools.product(offsets, offsets, _STDS):
        y, x = torch.meshgrid(axis - down, axis - across, indexing="ij")
        narrow = torch.exp(-(x.square() + y.square()) / (2 * std**2))
        wide = torch.exp(-(x.square() + y.square()) / (2 * (1.6 * std) ** 2)) / 1.6**2
        vectors += [narrow, narrow - wide]
        shapes += ["blob", "blob"]
        for step, length in itertools.product(range(_ORIENTATIONS), _LENGTHS):
            angle = math.pi * step / _ORIENTATIONS
            u = x * math.cos(angle) + y * math.sin(angle)
            v = y * math.cos(angle) - x * math.sin(angle)
            gaussian = torch.exp(-u.square() / (2 * std**2) - v.square() / (2 * (length * std) ** 2))
            vectors += [u * gaussian, (1 - u.square() / std**2) * gaussian]
            shapes += ["edge", "bar"]
    stacked = torch.stack(vectors).flatten(1)
    return stacked / stacked.norm(dim=1, keepdim=True), tuple(shapes)
