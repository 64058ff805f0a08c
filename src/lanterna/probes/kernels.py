"""What the first layer looks for: its kernels, and how many of them are edges, bars or blobs.

Hubel and Wiesel (1962) found cells that answer to edges and bars of one direction; networks learn such
kernels in their first layer, whatever they are trained for (Krizhevsky, Sutskever and Hinton 2012, figure 3).
Whether a given kernel is one is a matter of a criterion, and with few numbers in a kernel much looks like
something by chance: so the same criterion is put to kernels of noise.
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

_SPREADS = (0.5, 0.7, 1.0, 1.4)  # standard deviations in pixels
_LENGTHS = (1.0, 1.6, 3.0)  # how many times longer along an edge or bar than across
_DIRECTIONS = 12
_NOISE = 2000  # kernels of noise


@dataclass(frozen=True)
class KernelFits:
    """The first layer's kernels, and how well the best edge, bar or blob explains each.

    `weights` `(K, C, S, S)`; `explained` `(K,)`, the share of a kernel's energy (sum of squares) in its best
    fit; `shapes`, what that fit is. `chance` `(2000,)` is the same share of kernels of Gaussian noise of the
    same size, sorted, and `threshold` the share that 99 of 100 of them stay below.
    """

    weights: Tensor
    explained: Tensor
    shapes: tuple[Shape, ...]
    chance: Tensor

    @property
    def threshold(self) -> float:
        """The explained share above which a kernel counts as what its best fit is."""
        return self.chance[int(0.99 * len(self.chance))].item()

    @property
    def found(self) -> tuple[Shape | None, ...]:
        """What each kernel is by this criterion, None where it is no better than noise."""
        return tuple(
            shape if share > self.threshold else None
            for shape, share in zip(self.shapes, self.explained.tolist(), strict=True)
        )


def first_kernels(network: Network) -> KernelFits:
    """The kernels of a network's first convolution, measured.

    Errors: `UsageError` for a network that does not begin with a convolution of 3 × 3 to 15 × 15.
    """
    layer = next((part for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear)), None)
    if not isinstance(layer, nn.Conv2d) or not 3 <= min(layer.kernel_size) <= max(layer.kernel_size) <= 15:
        raise UsageError(f"{network.name} does not begin with a convolution: it has no first kernels to show")
    return fit_kernels(layer.weight.detach().float().cpu())


def fit_kernels(weights: Tensor, seed: int = 0) -> KernelFits:
    """Fit an edge, bar or blob to each of `weights` `(K, C, S, S)`, and to noise of the same size."""
    generator = torch.Generator().manual_seed(seed)
    explained, shapes = fit_templates(weights)
    chance, _ = fit_templates(torch.randn(_NOISE, *weights.shape[1:], generator=generator))
    return KernelFits(weights, explained, shapes, chance.sort().values)


def fit_templates(weights: Tensor) -> tuple[Tensor, tuple[Shape, ...]]:
    """For each of `weights` `(K, C, S, S)` the largest share of its energy in one pattern, and which it is.

    The patterns are in `dictionary`. A pattern may have any strength in each of the C channels: with t of
    length 1, the least-squares fit to the kernel W `(C, S²)` is (W t) tᵀ, and explains |W t|² of |W|².
    """
    patterns, shapes = templates(weights.shape[-1])
    flat = weights.flatten(2)  # (K, C, S²)
    shares = (flat @ patterns.T).square().sum(1)  # (K, patterns)
    best = shares.max(1)
    explained = best.values / flat.square().sum((1, 2)).clamp_min(1e-20)
    return explained, tuple(shapes[int(index)] for index in best.indices)


@cache
def templates(side: int) -> tuple[Tensor, tuple[Shape, ...]]:
    """Every pattern of `side` × `side` that is tried, each of length 1 `(P, side²)`, and its name.

    `edge`: the first derivative of a Gaussian across its direction, `bar`: the second (these are what a Gabor
    of about one wave looks like); 12 directions, 4 widths, 3 lengths. `blob`: a round Gaussian, or one less
    another 1.6 times as wide (Marr and Hildreth 1980); 4 widths. Each centred at every half pixel of the
    kernel's middle half.
    """
    along = torch.arange(side) - (side - 1) / 2
    reach = math.floor((side - 1) / 2) / 2
    places = torch.arange(-reach, reach + 0.1, 0.5).tolist()
    patterns: list[Tensor] = []
    shapes: list[Shape] = []
    for down, across, spread in itertools.product(places, places, _SPREADS):
        y, x = torch.meshgrid(along - down, along - across, indexing="ij")
        round_one = torch.exp(-(x.square() + y.square()) / (2 * spread**2))
        wider = torch.exp(-(x.square() + y.square()) / (2 * (1.6 * spread) ** 2)) / 1.6**2
        patterns += [round_one, round_one - wider]
        shapes += ["blob", "blob"]
        for step, length in itertools.product(range(_DIRECTIONS), _LENGTHS):
            angle = math.pi * step / _DIRECTIONS
            u = x * math.cos(angle) + y * math.sin(angle)
            v = y * math.cos(angle) - x * math.sin(angle)
            bell = torch.exp(-u.square() / (2 * spread**2) - v.square() / (2 * (length * spread) ** 2))
            patterns += [u * bell, (1 - u.square() / spread**2) * bell]
            shapes += ["edge", "bar"]
    stacked = torch.stack(patterns).flatten(1)
    return stacked / stacked.norm(dim=1, keepdim=True), tuple(shapes)
