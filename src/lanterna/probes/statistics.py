"""Style statistics: the first two moments of a layer's features over positions, and distances between them.

Gatys, Ecker and Bethge, "A Neural Algorithm of Artistic Style" (2015), describe a style by the Gram matrices
of a few layers. Others compare means and covariances by the Wasserstein distance of normal distributions.
Both need only the first two moments. These are sums over positions, so they can be accumulated tile by tile
and weighted by a mask.
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
    """Sums over positions: of the feature vectors `(C,)`, their outer products `(C, C)` and the weights."""

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
        """The mean outer product, `(C, C)`: Gatys's Gram matrix (equation 3) divided by the positions."""
        return self.second / self.weight.clamp_min(1e-6)

    @property
    def covariance(self) -> Tensor:
        """The covariance, `(C, C)`."""
        return self.gram - torch.outer(self.mean, self.mean)


def moments(features: Tensor, mask: Tensor | None = None) -> Moments:
    """Compute the moments of a layer's output `(1, C, H, W)` for one picture, in float32 or higher precision.

    `mask`, `(H, W)`, weights the positions. Features in bfloat16 are multiplied in bfloat16, which is many
    times faster, in blocks whose sums are accumulated in float32: within about 0.3 % of the largest.
    """
    flat = features.permute(0, 2, 3, 1).flatten(0, 2)  # (positions, C), no copy if channels are last
    weights = flat.new_ones(1, 1) if mask is None else mask.reshape(-1, 1).to(flat)
    first, second = _sums(flat, weights)
    return Moments(first, second, weights.expand(len(flat), 1).sum(dtype=first.dtype))


class _Sums(torch.autograd.Function):
    """Sums over positions, whose backward pass is one matrix product without a copy of the features.

    The inputs are features `(positions, C)` and weights, one per position or a single 1.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, flat: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(flat, weights)
        weighted = flat * weights if len(weights) == len(flat) else flat
        column = weights.expand(len(flat), 1)
        return _product(column, flat)[0], _product(weighted, flat)

    @staticmethod
    def backward(ctx: BackwardCFunction, *gradients: Tensor) -> tuple[Tensor, None]:
        flat, weights = tuple(ctx.saved_tensors)
        first, second = (gradient.to(flat) for gradient in (gradients[0], gradients[1] + gradients[1].T))
        gradient = torch.addmm(first, flat, second)
        return gradient * weights if len(weights) == len(flat) else gradient, None


_sums: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = _Sums.apply


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Compute leftᵀ right, `(P, A)` and `(P, B)` to `(A, B)`, in float32 or higher precision."""
    if right.dtype.itemsize >= 4:
        return left.T @ right
    blocks = len(right) // _BLOCK
    end = blocks * _BLOCK
    parts = left[:end].reshape(blocks, _BLOCK, left.shape[1]).mT @ right[:end].reshape(
        blocks, _BLOCK, right.shape[1]
    )
    return parts.sum(0, dtype=torch.float32) + left[end:].float().T @ right[end:].float()


_BLOCK = 512  # positions whose products are summed in bfloat16


def gram_distance(target: Moments) -> Callable[[Moments], Tensor]:
    """Return the distance of Gram matrices from the target's, as a function of moments.

    It is the squared distance of Gatys et al. 2015, equation 4, divided by the target's squared norm, so it
    does not depend on the picture's size or the scale of the features, and layers can be weighted directly.
    """
    target_gram = target.gram
    unit = target_gram.square().sum().clamp_min(1e-12)
    return lambda moments: (moments.gram - target_gram).square().sum() / unit


def wasserstein_distance(target: Moments) -> Callable[[Moments], Tensor]:
    """Return the Wasserstein distance from the target as normal distributions, as a function of moments.

    The squared 2-Wasserstein distance is |μ − ν|² + tr(A + B − 2 (B^½ A B^½)^½), with means μ and ν and
    covariances A and B (Olkin and Pukelsheim 1982), divided by the target's mean squared feature. B^½ is
    restricted to eigenvalues above a thousandth of B's largest, and ε I is added under the root, ε being 1e-7
    times the square of the largest. Gradients are then finite, and do not depend on how the sums were
    accumulated.
    """
    exact_target = _exact(target)
    values, vectors = torch.linalg.eigh(exact_target.covariance)
    largest = values[-1].clamp_min(1e-12)
    vectors, values = vectors[:, values > 1e-3 * largest], values[values > 1e-3 * largest]
    root = (vectors * values.sqrt()).T  # (K, C): B = rootᵀ root
    unit, epsilon = exact_target.gram.trace().clamp_min(1e-12), 1e-7 * largest.square()
    minimum = exact_target.covariance.trace() - 2 * (values.square() + epsilon).sqrt().sum()  # at A = B

    def distance(moments: Moments) -> Tensor:
        exact = _exact(moments)
        covariance = exact.covariance
        product = root @ covariance @ root.T  # has the eigenvalues of B^½ A B^½
        mean_term = (exact.mean - exact_target.mean).square().sum()
        covariance_term = covariance.trace() - 2 * _trace_of_root(product, epsilon) - minimum
        total: Tensor = (mean_term + covariance_term) / unit
        return total.to(moments.first)

    return distance


def _exact(moments: Moments) -> Moments:
    """Convert moments to float64 on the CPU, as not every device supports it; the matrices are small."""
    return Moments(*(sums.cpu().double() for sums in (moments.first, moments.second, moments.weight)))


def _trace_of_root(matrix: Tensor, epsilon: Tensor) -> Tensor:
    """Compute tr((M + ε I)^½) of a positive semidefinite matrix.

    Its gradient is ½ (M + ε I)^-½. Autograd through `eigh` divides by differences of eigenvalues, which may
    be zero, so the gradient is given explicitly, by a product that has it.
    """
    with torch.no_grad():
        values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
        roots = (values.clamp_min(0) + epsilon).sqrt()
        gradient = 0.5 * (vectors / roots) @ vectors.T
        constant = roots.sum() - (gradient * matrix).sum()
    trace: Tensor = (gradient * matrix).sum() + constant
    return trace
