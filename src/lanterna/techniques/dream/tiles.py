"""Compute the gradient of an objective for a picture of any size, tile by tile if it is large.

A network's output at one position depends on its surroundings. So a tile is a core, whose gradient is used,
with a margin, which is only input. The grid of cores is shifted at every step, so that no seams remain. Tiles
are aligned with the network's strides, so that the gradient in a core equals that of the full picture, except
for the influence of pixels beyond the margin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from lanterna.probes import objectives

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lanterna.networks import Network
    from lanterna.probes.objectives import Objective

STRIDE = 32
"""Sides of tiles and margins are multiples of this, the largest total stride of these networks."""

_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)


class Span(NamedTuple):
    """A tile along one axis.

    `source` are the indices of the picture's pixels that it consists of, `core` is the part whose gradient is
    used, and `target` are the indices of the picture's pixels that the core belongs to.
    """

    source: Tensor
    core: slice
    target: Tensor


@dataclass(frozen=True)
class Tiling:
    """A division of pictures into tiles of at most `side` × `side` pixels, with a `margin` around each core.

    If `exact`, every tile has exactly `side` × `side` pixels, for networks that accept no other size.
    """

    side: int = 768
    margin: int = 128
    exact: bool = False

    def spans(self, length: int, shift: int) -> list[Span]:
        """Return the tiles along an axis of `length` pixels, with the grid shifted by `shift`.

        If one tile is enough, the picture is rolled by `shift` (the "jitter" of DeepDream). Otherwise the
        grid is shifted, and the picture is continued by its mirror image.
        """
        if length <= self.side and not self.exact:
            padded = math.ceil(length / STRIDE) * STRIDE
            source = (torch.arange(padded) - shift) % length
            return [Span(source, slice(0, length), source[:length])]
        core = self.side - 2 * self.margin
        spans = []
        for start in range(shift % core - core, length, core):
            first, end = max(start, 0), min(start + core, length)
            if first < end:
                source = _mirrored(torch.arange(start - self.margin, start + core + self.margin), length)
                used = slice(first - start + self.margin, end - start + self.margin)
                spans.append(Span(source, used, torch.arange(first, end)))
        return spans

    def period(self, length: int) -> int:
        """Return the number of shifts of the grid over `length` pixels; 0 if one tile is enough."""
        return 0 if length <= self.side and not self.exact else self.side - 2 * self.margin


def gradient(
    network: Network, picture: Tensor, objective: Objective, tiling: Tiling, shift: tuple[int, int]
) -> tuple[Tensor, float]:
    """Return the gradient of an objective with respect to a picture `(3, H, W)`, and the objective's value.

    The gradient is `(3, H, W)`, up to a constant factor; the value is the mean over tiles. `shift` moves the
    grid down and to the right. A network with one input channel gets the picture's luma.
    """
    _, height, width = picture.shape
    total = torch.zeros_like(picture)
    values: list[Tensor] = []
    pairs = [
        (down, across) for down in tiling.spans(height, shift[0]) for across in tiling.spans(width, shift[1])
    ]
    for batch in _batches(pairs, tiling):
        tiles = [picture[:, down.source][:, :, across.source] for down, across in batch]
        images = match_channels(torch.stack(tiles), network).requires_grad_()
        value = objective.measure(images, objectives.layer_outputs(network, images, objective.layers))
        (gradients,) = network.gradients(value.sum(), [images])
        values += value.detach()
        for tile, (down, across) in zip(gradients, batch, strict=True):
            total[:, down.target[:, None], across.target] = tile[:, down.core, across.core]
    return total, torch.stack(values).mean().item()


def match_channels(pictures: Tensor, network: Network) -> Tensor:
    """Convert pictures `(N, 3, H, W)` to the number of channels of the network's input."""
    if network.input_spec.channels == 3:
        return pictures
    return torch.einsum("nchw,c->nhw", pictures, pictures.new_tensor(_LUMA)).unsqueeze(1)


def _batches(pairs: list[tuple[Span, Span]], tiling: Tiling) -> Iterator[list[tuple[Span, Span]]]:
    """Group tiles: small ones of one size go through the network together, large ones one by one."""
    count = max(1, (224 // tiling.side) ** 2) if tiling.exact else 1
    for start in range(0, len(pairs), count):
        yield pairs[start : start + count]


def _mirrored(indices: Tensor, length: int) -> Tensor:
    """Map indices below 0 and from `length` on into a picture that is continued by its mirror image."""
    period = max(1, 2 * (length - 1))
    wrapped = indices % period
    return torch.where(wrapped < length, wrapped, period - wrapped)
