"""The gradient of an objective over a picture of any size: at once where it fits, else window by window.

A network's answer to one place depends on what lies around it. So a window is a core, whose gradient is
kept, with a margin, which is only looked at. Seams do not stay: the grid of cores lies elsewhere at every
step. And the grid of a network's strides lies under a window as it would lie under the whole picture, so
that the gradient in a core is that of the whole picture but for what reaches over the margin.
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
"""Sides of windows and margins are multiples of this, the most pixels a step of these networks spans."""

_LUMA = (0.299, 0.587, 0.114)  # how bright red, green and blue look (ITU-R BT.601)


class Span(NamedTuple):
    """One side of a window: which pixels of the picture it looks at, and which part of it counts where."""

    looked_at: Tensor
    kept: slice
    place: Tensor


@dataclass(frozen=True)
class Tiling:
    """How a picture is looked at: in windows of at most `side` pixels, each with `margin` around its core.

    `exact`: every window is exactly `side` × `side`, for networks that can see nothing else.
    """

    side: int = 768
    margin: int = 128
    exact: bool = False

    def spans(self, length: int, shift: int) -> list[Span]:
        """One side of all windows over `length` pixels, the grid moved by `shift` pixels.

        Where all of it fits into one window, the picture is turned round by `shift`, what leaves at one end
        coming in at the other (the "jitter" of DeepDream). Else the windows' grid is moved, and beyond the
        picture's end lies its mirror image.
        """
        if length <= self.side and not self.exact:
            whole = math.ceil(length / STRIDE) * STRIDE
            looked_at = (torch.arange(whole) - shift) % length
            return [Span(looked_at, slice(0, length), looked_at[:length])]
        core = self.side - 2 * self.margin
        spans = []
        for start in range(shift % core - core, length, core):
            first, end = max(start, 0), min(start + core, length)
            if first < end:
                looked_at = _mirrored(torch.arange(start - self.margin, start + core + self.margin), length)
                kept = slice(first - start + self.margin, end - start + self.margin)
                spans.append(Span(looked_at, kept, torch.arange(first, end)))
        return spans

    def reach(self, length: int) -> int:
        """In how many places the grid can lie over `length` pixels; 0 where all fits into one window."""
        return 0 if length <= self.side and not self.exact else self.side - 2 * self.margin


def gradient(
    network: Network, picture: Tensor, objective: Objective, tiling: Tiling, shift: tuple[int, int]
) -> tuple[Tensor, float]:
    """Give the gradient of an objective with respect to a picture `(3, H, W)`, and its value.

    The first is `(3, H, W)`, up to a factor that is the same everywhere; the second the mean over windows.
    `shift` moves the grid down and to the right. A network of one channel sees the picture's brightness; the
    gradient is then the same for all three colours.
    """
    _, height, width = picture.shape
    total = torch.zeros_like(picture)
    values: list[Tensor] = []
    pairs = [
        (down, across) for down in tiling.spans(height, shift[0]) for across in tiling.spans(width, shift[1])
    ]
    for batch in _batches(pairs, tiling):
        pieces = [picture[:, down.looked_at][:, :, across.looked_at] for down, across in batch]
        seen = match_channels(torch.stack(pieces), network).requires_grad_()
        value = objective.measure(seen, objectives.read(network, seen, objective.layers))
        (gradients,) = torch.autograd.grad(value.sum(), seen)
        values += value.detach()
        for part, (down, across) in zip(gradients, batch, strict=True):
            total[:, down.place[:, None], across.place] = part[:, down.kept, across.kept]
    return total, torch.stack(values).mean().item()


def match_channels(pictures: Tensor, network: Network) -> Tensor:
    """Give pictures `(N, 3, H, W)` as many channels as the network takes."""
    if network.input_spec.channels == 3:
        return pictures
    return torch.einsum("nchw,c->nhw", pictures, pictures.new_tensor(_LUMA)).unsqueeze(1)


def _batches(pairs: list[tuple[Span, Span]], tiling: Tiling) -> Iterator[list[tuple[Span, Span]]]:
    """Small windows of one size go through the network together, large ones one by one."""
    count = max(1, (224 // tiling.side) ** 2) if tiling.exact else 1
    for start in range(0, len(pairs), count):
        yield pairs[start : start + count]


def _mirrored(indices: Tensor, length: int) -> Tensor:
    """Indices from before 0 to beyond `length` as those of a picture that goes on as its mirror image."""
    period = max(1, 2 * (length - 1))
    turned = indices % period
    return torch.where(turned < length, turned, period - turned)
