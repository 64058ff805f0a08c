"""Estimate how long a style transfer will take, in how much memory, and in which tiles, before it begins.

It is the same small piece of work many times over, so two steps of it on a small picture are measured on this
machine, and the rest is counting pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lanterna.techniques.dream.estimate import measure_step
from lanterna.techniques.style.algorithm import Stylize, steps_at, style, style_sizes
from lanterna.techniques.style.descent import kept_steps
from lanterna.techniques.style.layers import layers_of
from lanterna.techniques.style.loss import pixels_seen, reach
from lanterna.techniques.technique import Estimate

if TYPE_CHECKING:
    from lanterna.networks import Network

_SAMPLE = 384  # pixels along each side of what is measured, at most
_COPIES = 12  # of the whole picture at once, beside the steps that L-BFGS keeps
_ALREADY = 400 * 2**20  # bytes: Python, torch and a network
_TILES = (4096, 3072, 2048, 1536, 1024, 768, 512)


@dataclass(frozen=True)
class StyleEstimate(Estimate):
    """What a style transfer will take, in tiles of `tile` pixels a side: the largest that keep to memory."""

    tile: int = 0


def worth_estimating(size: tuple[int, int], settings: Stylize) -> bool:
    """Whether painting a picture of `size` (height, width) is more work than estimating it would be."""
    sizes = style_sizes(*size, settings)
    work = sum(
        height * width * steps_at(number, len(sizes), settings)
        for number, (height, width) in enumerate(sizes)
    )
    return work > 3 * _side(sizes[-1]) ** 2


def estimate_style(
    size: tuple[int, int], settings: Stylize, network: Network, limit: int = 3 * 2**30
) -> StyleEstimate:
    """Estimate painting a picture of `size` (height, width) in tiles that keep to `limit` bytes.

    Where even the smallest tiles take more, it is for those. Measured for about a second; expect it
    within a factor of two: other work on the machine, and how its memory is used, decide the rest
    (`benchmarks/style.py` measures both). Errors: those of `style`.
    """
    sizes = style_sizes(*size, settings)
    content_layer, layer_weights = layers_of(network, settings.content_layer, settings.style_layers)
    margin = reach(network, frozenset({content_layer, *layer_weights}))
    side = _side(sizes[-1])
    random = torch.rand(3, side, side, generator=torch.Generator().manual_seed(0))
    # One size only: the ratio is larger than what lies between the sample and the smallest size.
    work = style(
        random, settings.changed({"size": side, "ratio": 4, "steps": 4, "weights": ()}),
        styles=[random], network=network,
    )  # fmt: skip
    step, kept = measure_step(work)
    a_pixel, kept_a_pixel = step / side**2, 1.5 * kept / side**2
    height, width = sizes[-1]
    weights = sum(weight.nbytes for weight in network.parameters())
    whole = 12 * height * width  # bytes of the picture
    features = 4 * height * width  # of the content: 512 channels in half precision at an eighth of the sides
    fixed = _ALREADY + 2 * weights + (_COPIES + 2 * kept_steps(whole)) * whole + features
    for tile in _TILES:
        largest = min(tile**2, height * width)
        memory = int(fixed + kept_a_pixel * largest)
        if memory <= limit:
            break
    seconds = sum(
        a_pixel * pixels_seen(each_size, tile, margin) * steps_at(number, len(sizes), settings)
        for number, each_size in enumerate(sizes)
    )
    return StyleEstimate(seconds, memory, tile=tile)


def _side(size: tuple[int, int]) -> int:
    """The side of the square that is measured for a picture of `size`: no longer than the picture's own."""
    return min(_SAMPLE, max(64, *size))
