"""Transfer of colours from one picture to another."""

from __future__ import annotations

import torch
from torch import Tensor

# Rows: luminance, then two axes of chrominance (YIQ, the American television standard of 1953).
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
_ROTATIONS = 12  # of colour space, in which histograms are matched


def transfer_colours(picture: Tensor, colours: Tensor) -> Tensor:
    """Combine the luminance of `picture` with the colours of `colours`, both `(3, H, W)` in [0, 1].

    "Luminance-only transfer" in Gatys et al., "Preserving Color in Neural Artistic Style Transfer" (2016).
    """
    axes = picture.new_tensor(_YIQ)
    mixed = torch.einsum("rc,chw->rhw", axes, colours)
    mixed[0] = torch.einsum("c,chw->hw", axes[0], picture)
    return torch.einsum("rc,chw->rhw", torch.linalg.inv(axes), mixed).clamp(0, 1)


def match_statistics(picture: Tensor, target: Tensor) -> Tensor:
    """Match the mean and covariance of a picture's colours to `target`'s; both `(3, H, W)` in [0, 1].

    The linear optimal transport: A^-½ (A^½ B A^½)^½ A^-½ for covariances A of the picture and B of the target
    (Pitié and Kokaram 2007, "The linear Monge-Kantorovitch linear colour mapping"). Gatys et al. 2016 try two
    other maps; this one changes colours least.
    """
    pixels, targets = picture.flatten(1).cpu().double(), target.flatten(1).cpu().double()
    root, inverse = _roots(torch.cov(pixels))
    middle, _ = _roots(root @ torch.cov(targets) @ root)
    centred = pixels - pixels.mean(1, keepdim=True)
    matched = inverse @ middle @ inverse @ centred + targets.mean(1, keepdim=True)
    return matched.reshape(picture.shape).to(picture).clamp(0, 1)


def match_histogram(picture: Tensor, target: Tensor) -> Tensor:
    """Match the colour distribution of a picture to `target`'s; both `(3, H, W)` in [0, 1].

    Histograms are matched along the three axes of colour space, in a dozen random rotations (Pitié, Kokaram
    and Dahyot, "N-dimensional probability density function transfer", 2005).
    """
    generator = torch.Generator().manual_seed(0)
    pixels, targets = picture.flatten(1), target.to(picture).flatten(1)
    for rotation in range(_ROTATIONS):
        axes = torch.eye(3) if rotation == 0 else torch.linalg.qr(torch.randn(3, 3, generator=generator)).Q
        axes = axes.to(picture)
        rotated, quantiles = axes @ pixels, (axes @ targets).sort(dim=1).values
        ranks = rotated.argsort(dim=1).argsort(dim=1)
        nearest = (ranks.double() * (quantiles.shape[1] - 1) / max(1, rotated.shape[1] - 1)).round().long()
        pixels = axes.T @ quantiles.gather(1, nearest)
    return pixels.reshape(picture.shape).clamp(0, 1)


def _roots(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Return the square root of a covariance matrix, and the root's inverse."""
    values, axes = torch.linalg.eigh(covariance)
    roots = values.clamp_min(1e-12).sqrt()
    return axes * roots @ axes.T, axes / roots @ axes.T
