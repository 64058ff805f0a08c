"""What a picture's style is to a network: which features it has, and which of them go together, wherever.

Gatys, Ecker and Bethge, "A Neural Algorithm of Artistic Style" (2015), describe a style by the Gram matrices
of a few layers. Others compare means and covariances, by how far one normal distribution must be moved to
become the other. Both need no more than a layer's first two moments, and these are sums over positions: they
can be gathered tile by tile, and weighed by a mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.autograd.function import BackwardCFunction, FunctionCtx


@dataclass(frozen=True)
class Moments:
    """Sums over positions: the vectors over channels `(C,)`, their outer products `(C, C)`, the weights."""

    first: Tensor
    second: Tensor
    weight: Tensor

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.first + other.first, self.second + other.second, self.weight + other.weight)

    @property
    def mean(self) -> Tensor:
        """The mean vector, `(C,)`."""
        return self.first / self.weight.clamp_min(1e-6)

    @property
    def gram(self) -> Tensor:
        """The mean outer product, `(C, C)`: Gatys's Gram matrix (equation 3), divided by the positions."""
        return self.second / self.weight.clamp_min(1e-6)

    @property
    def covariance(self) -> Tensor:
        """The covariance, `(C, C)`."""
        return self.gram - torch.outer(self.mean, self.mean)


def moments(features: Tensor, mask: Tensor | None = None) -> Moments:
    """The moments of what a layer put out for one picture, `(1, C, H, W)`, in float32 or finer.

    `mask`, `(H, W)`, says how much each position counts. Features in bfloat16 are multiplied as they are,
    which is many times quicker, in blocks whose sums are added up in float32: within about 0.3 % of the
    largest.
    """
    flat = features.permute(0, 2, 3, 1).flatten(0, 2)  # (positions, C), no copy where channels come last
    weights = flat.new_ones(1, 1) if mask is None else mask.reshape(-1, 1).to(flat)
    first, second = _sums(flat, weights)
    return Moments(first, second, weights.expand(len(flat), 1).sum(dtype=first.dtype))


class _Sums(torch.autograd.Function):
    """The sums over positions, with a slope that is one product of matrices and no copy of the features.

    Takes features `(positions, C)` and weights, one for each position or one for all, which is 1.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, flat: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(flat, weights)
        weighed = flat * weights if len(weights) == len(flat) else flat
        ones = weights.expand(len(flat), 1)
        return _product(ones, flat)[0], _product(weighed, flat)

    @staticmethod
    def backward(ctx: BackwardCFunction, *slopes: Tensor) -> tuple[Tensor, None]:
        flat, weights = tuple(ctx.saved_tensors)
        first, second = (slope.to(flat) for slope in (slopes[0], slopes[1] + slopes[1].T))
        slope = torch.addmm(first, flat, second)
        return slope * weights if len(weights) == len(flat) else slope, None


_sums: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = _Sums.apply


def _product(left: Tensor, right: Tensor) -> Tensor:
    """leftᵀ right, `(P, A)` and `(P, B)` to `(A, B)`, in float32 or finer."""
    if right.dtype.itemsize >= 4:
        return left.T @ right
    blocks = len(right) // _BLOCK
    whole = blocks * _BLOCK
    parts = left[:whole].reshape(blocks, _BLOCK, left.shape[1]).mT @ right[:whole].reshape(
        blocks, _BLOCK, right.shape[1]
    )
    return parts.sum(0, dtype=torch.float32) + left[whole:].float().T @ right[whole:].float()


_BLOCK = 512  # positions whose products are summed in bfloat16's own precision


def gram_distance(target: Moments) -> Callable[[Moments], Tensor]:
    """How far moments are from a target's by their Gram matrices: 0 the same.

    The squared distance of Gatys et al. 2015, equation 4, in units of the target's own squared length: so it
    is the same for any size of picture and scale of features, and layers can be weighed as they are.
    """
    wanted = target.gram
    unit = wanted.square().sum().clamp_min(1e-12)
    return lambda found: (found.gram - wanted).square().sum() / unit


def wasserstein_distance(target: Moments) -> Callable[[Moments], Tensor]:
    """How far moments are from a target's as normal distributions: 0 the same.

    The squared 2-Wasserstein distance: |μ − ν|² + tr(A + B − 2 (B^½ A B^½)^½), means μ and ν, covariances A
    and B (Olkin and Pukelsheim 1982), in units of the target's mean squared feature. Of B^½ only what has
    eigenvalues above a thousandth of B's largest is looked at, and ε I is added under the root, ε a ten-
    millionth of the largest squared: so slopes stay finite, and are the same however the sums were gathered.
    """
    wanted = _exact(target)
    values, axes = torch.linalg.eigh(wanted.covariance)
    largest = values[-1].clamp_min(1e-12)
    axes, values = axes[:, values > 1e-3 * largest], values[values > 1e-3 * largest]
    root = (axes * values.sqrt()).T  # (K, C): B = rootᵀ root
    unit, floor = wanted.gram.trace().clamp_min(1e-12), 1e-7 * largest.square()
    least = wanted.covariance.trace() - 2 * (values.square() + floor).sqrt().sum()  # what is left at A = B

    def distance(moments: Moments) -> Tensor:
        found = _exact(moments)
        covariance = found.covariance
        shared = root @ covariance @ root.T  # has the eigenvalues of B^½ A B^½
        moved = (found.mean - wanted.mean).square().sum()
        spread = covariance.trace() - 2 * _trace_of_root(shared, floor) - least
        total: Tensor = (moved + spread) / unit
        return total.to(moments.first)

    return distance


def _exact(found: Moments) -> Moments:
    """In float64, on the CPU, for not every device has it: matrices of channels are small."""
    return Moments(*(each.cpu().double() for each in (found.first, found.second, found.weight)))


def _trace_of_root(matrix: Tensor, floor: Tensor) -> Tensor:
    """tr((M + ε I)^½) of a symmetric matrix without negative eigenvalues, ε the floor.

    Its slope is ½ (M + ε I)^-½. Autograd's way through `eigh` divides by differences of eigenvalues, which
    may be nothing: so the slope is written down, as a product that has it.
    """
    with torch.no_grad():
        values, axes = torch.linalg.eigh((matrix + matrix.T) / 2)
        roots = (values.clamp_min(0) + floor).sqrt()
        half = 0.5 * (axes / roots) @ axes.T
        rest = roots.sum() - (half * matrix).sum()
    total: Tensor = (half * matrix).sum() + rest
    return total
