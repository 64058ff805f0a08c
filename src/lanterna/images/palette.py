"""Colours of one picture for the forms of another."""

from __future__ import annotations

import torch
from torch import Tensor

# Rows: brightness, then two axes of colour (YIQ, the American television standard of 1953).
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
_TURNS = 12  # rotations of colour space in which histograms are matched


def transfer_colours(picture: Tensor, colours: Tensor) -> Tensor:
    """The brightness of `picture` with the colours of `colours`, both `(3, H, W)` in [0, 1].

    "Luminance-only transfer" in Gatys et al., "Preserving Color in Neural Artistic Style Transfer" (2016).
    """
    axes = picture.new_tensor(_YIQ)
    mixed = torch.einsum("rc,chw->rhw", axes, colours)
    mixed[0] = torch.einsum("c,chw->hw", axes[0], picture)
    return torch.einsum("rc,chw->rhw", torch.linalg.inv(axes), mixed).clamp(0, 1)


def match_statistics(picture: Tensor, like: Tensor) -> Tensor:
    """`picture` with its colours' mean and covariance made those of `like`; both `(3, H, W)` in [0, 1].

    The straightest linear map that does it: A^-½ (A^½ B A^½)^½ A^-½ for covariances A of the picture and B
    wanted (Pitié and Kokaram 2007, "The linear Monge-Kantorovitch linear colour mapping"). Gatys et al. 2016
    try two others; this one moves colours least.
    """
    here, there = picture.flatten(1).cpu().double(), like.flatten(1).cpu().double()
    root, inverse = _roots(torch.cov(here))
    middle, _ = _roots(root @ torch.cov(there) @ root)
    moved = inverse @ middle @ inverse @ (here - here.mean(1, keepdim=True)) + there.mean(1, keepdim=True)
    return moved.reshape(picture.shape).to(picture).clamp(0, 1)


def match_histogram(picture: Tensor, like: Tensor) -> Tensor:
    """`picture` with the colours of `like`, as many of each; both `(3, H, W)` in [0, 1].

    Histograms are matched along the three axes of colour space, turned anew a dozen times (Pitié, Kokaram and
    Dahyot, "N-dimensional probability density function transfer", 2005).
    """
    generator = torch.Generator().manual_seed(0)
    here, there = picture.flatten(1), like.to(picture).flatten(1)
    for turn in range(_TURNS):
        axes = torch.eye(3) if turn == 0 else torch.linalg.qr(torch.randn(3, 3, generator=generator)).Q
        axes = axes.to(picture)
        along, wanted = axes @ here, (axes @ there).sort(dim=1).values
        ranks = along.argsort(dim=1).argsort(dim=1)
        nearest = (ranks.double() * (wanted.shape[1] - 1) / max(1, along.shape[1] - 1)).round().long()
        here = axes.T @ wanted.gather(1, nearest)
    return here.reshape(picture.shape).clamp(0, 1)


def _roots(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The square root of a covariance, and that root's inverse."""
    values, axes = torch.linalg.eigh(covariance)
    roots = values.clamp_min(1e-12).sqrt()
    return axes * roots @ axes.T, axes / roots @ axes.T
