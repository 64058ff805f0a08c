"""Estimate a style transfer's time, memory and tile size before it begins.

Every step does the same work per pixel: measure two steps on a small picture on this machine, then count
pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lanterna.techniques.dream.estimate import measure_step
from lanterna.techniques.style.algorithm import Stylize, steps_at, style, style_sizes
from lanterna.techniques.style.descent import history_size
from lanterna.techniques.style.layers import choose_layers
from lanterna.techniques.style.loss import pixels_processed, receptive_radius
from lanterna.techniques.technique import Estimate

if TYPE_CHECKING:
    from lanterna.networks import Network

_SAMPLE = 384  # pixels along each side of the measured picture, at most
_COPIES = 12  # of the whole picture in memory, besides the history of L-BFGS
_BASELINE = 400 * 2**20  # bytes: Python, torch and a network
_TILES = (4096, 3072, 2048, 1536, 1024, 768, 512)


@dataclass(frozen=True)
class StyleEstimate(Estimate):
    """An estimate with the side of the largest tiles that fit the memory, in pixels."""

    tile: int = 0


def worth_estimating(size: tuple[int, int], settings: Stylize) -> bool:
    """Return whether painting a picture of `size` (height, width) takes longer than estimating it."""
    sizes = style_sizes(*size, settings)
    work = sum(
        height * width * steps_at(index, len(sizes), settings) for index, (height, width) in enumerate(sizes)
    )
    return work > 3 * _side(sizes[-1]) ** 2


def estimate_style(
    size: tuple[int, int], settings: Stylize, network: Network, limit: int = 3 * 2**30
) -> StyleEstimate:
    """Estimate painting a picture of `size` (height, width) in tiles that fit in `limit` bytes.

    If even the smallest tiles take more, estimate those. Measuring takes about a second. Expect the result
    to be within a factor of two: other load on the machine and its memory decide the rest
    (`benchmarks/style.py` measures both). Errors: those of `style`.
    """
    sizes = style_sizes(*size, settings)
    content_layer, balance = choose_layers(network, settings.content_layer, settings.style_layers)
    margin = receptive_radius(network, frozenset({content_layer, *balance.layers}))
    side = _side(sizes[-1])
    random = torch.rand(3, side, side, generator=torch.Generator().manual_seed(0))
    # One size only: the sample is less than `ratio` times the smallest size.
    work = style(
        random, settings.changed({"size": side, "ratio": 4, "steps": 4, "weights": ()}),
        styles=[random], network=network,
    )  # fmt: skip
    step, saved = measure_step(work)
    seconds_per_pixel, bytes_per_pixel = step / side**2, 1.5 * saved / side**2
    height, width = sizes[-1]
    weights = sum(weight.nbytes for weight in network.parameters())
    picture = 12 * height * width  # bytes
    features = 4 * height * width  # bytes of the content: 512 channels, half precision, 1/8 of each side
    fixed = _BASELINE + 2 * weights + (_COPIES + 2 * history_size(picture)) * picture + features
    for tile in _TILES:
        largest = min(tile**2, height * width)
        memory = int(fixed + bytes_per_pixel * largest)
        if memory <= limit:
            break
    seconds = sum(
        seconds_per_pixel * pixels_processed(each_size, tile, margin) * steps_at(index, len(sizes), settings)
        for index, each_size in enumerate(sizes)
    )
    return StyleEstimate(seconds, memory, tile=tile)


def _side(size: tuple[int, int]) -> int:
    """Return the side of the square that is measured for a picture of `size`, at most its longer side."""
    return min(_SAMPLE, max(64, *size))
