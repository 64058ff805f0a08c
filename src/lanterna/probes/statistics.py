"""What a picture's style is to a network: which features it has, and which of them go together, wherever.

Gatys, Ecker and Bethge, "A Neural Algorithm of Artistic Style" (2015), describe a style by the Gram matrices
of a few stages. Others compare means and covariances, by how far one normal distribution must be moved to
become the other. Both need no more than a stage's first two moments, and these are sums over positions: they
can be gathered tile by tile, and weighed by a mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable


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
    """The moments of what a stage put out for one picture, `(1, C, H, W)`, in float32.

    `mask`, `(H, W)`, says how much each position counts.
    """
    flat = features[0].flatten(1).float()  # (C, positions)
    if mask is None:
        return Moments(flat.sum(1), flat @ flat.T, flat.new_tensor(float(flat.shape[1])))
    weighed = flat * mask.reshape(1, -1)
    return Moments(weighed.sum(1), weighed @ flat.T, mask.sum())


def gram_distance(target: Moments) -> Callable[[Moments], Tensor]:
    """How far moments are from a target's by their Gram matrices: 0 the same.

    The squared distance of Gatys et al. 2015, equation 4, in units of the target's own squared length: so it
    is the same for any size of picture and scale of features, and stages can be weighed as they are.
    """
    wanted = target.gram
    unit = wanted.square().sum().clamp_min(1e-12)
    return lambda found: (found.gram - wanted).square().sum() / unit


def wasserstein_distance(target: Moments) -> Callable[[Moments], Tensor]:
    """How far moments are from a target's as normal distributions: 0 the same.

    The squared 2-Wasserstein distance: |μ − ν|² + tr(A + B − 2 (B^½ A B^½)^½), means μ and ν, covariances A
    and B (Olkin and Pukelsheim 1982), in units of the target's mean squared feature. Of B only what has
    eigenvalues above a ten-thousandth of the largest is looked at: what lies below is rounding.
    """
    mean, covariance = target.mean, target.covariance
    values, axes = torch.linalg.eigh(covariance.double())
    kept = values > 1e-4 * values[-1].clamp_min(1e-12)
    root = (axes[:, kept] * values[kept].sqrt()).T.to(mean.dtype)  # (K, C): B = rootᵀ root
    unit = target.gram.trace().clamp_min(1e-12)

    def distance(found: Moments) -> Tensor:
        shared = root @ found.covariance @ root.T  # has the eigenvalues of B^½ A B^½
        moved = (found.mean - mean).square().sum()
        spread = found.covariance.trace() + covariance.trace() - 2 * _trace_of_root(shared)
        total: Tensor = (moved + spread) / unit
        return total

    return distance


def _trace_of_root(matrix: Tensor) -> Tensor:
    """tr(M^½) of a symmetric matrix without negative eigenvalues.

    Its slope is ½ M^-½. Autograd's way through `eigh` divides by differences of eigenvalues, which may be
    nothing: so the slope is written down, as a product that has it.
    """
    with torch.no_grad():
        values, axes = torch.linalg.eigh((matrix + matrix.T) / 2)
        roots = values.clamp_min(1e-8 * float(values[-1].clamp_min(1e-12))).sqrt()
        half = 0.5 * (axes / roots) @ axes.T
        rest = roots.sum() - (half * matrix).sum()
    total: Tensor = (half * matrix).sum() + rest
    return total
