"""How long a style transfer will take and how much memory it will fill, told before it begins."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch.autograd.graph import saved_tensors_hooks

from lanterna.recipes.descent import history_of
from lanterna.recipes.foreseen import Foreseen
from lanterna.recipes.style import Stylize, stages_of, steps_at, style, style_sizes
from lanterna.recipes.style_loss import reach, tiles_of

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.networks import Network

_SAMPLE = 256  # pixels along each side of what is measured
_COPIES = 10  # of the whole picture at once, beside what the optimiser keeps
_ALREADY = 400 * 2**20  # bytes: Python, torch and a network


def style_foreseen(size: tuple[int, int], recipe: Stylize, network: Network, paintings: int = 1) -> Foreseen:
    """What painting a photograph of `size` (height, width) will take, from measuring for a second.

    Three steps at 256 × 256 pixels are measured; the rest is counting pixels and steps. Expect it within a
    factor of two: other work on the machine decides the rest. Errors: those of `style`.
    """
    noise = torch.rand(3, _SAMPLE, _SAMPLE, generator=torch.Generator().manual_seed(0))
    content, weights = stages_of(network, recipe)
    margin = reach(network, frozenset({content, *weights}))
    given = recipe.weights or (1.0,) * paintings
    short = recipe.changed({"size": _SAMPLE, "steps": 4, "ratio": 4.0, "weights": given})
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    work = style(noise, short, styles=[noise] * len(given), network=network)
    with saved_tensors_hooks(note, lambda tensor: tensor):  # the first step also prepares the convolutions
        next(work)
    each = []
    begun = time.perf_counter()
    for _ in islice(work, 2):
        each.append(time.perf_counter() - begun)
        begun = time.perf_counter()
    work.close()
    sizes = style_sizes(*size, recipe)
    pixels = sum(
        steps_at(number, len(sizes), recipe) * _looked_at(each_size, recipe.tile, margin)
        for number, each_size in enumerate(sizes)
    )
    height, width = sizes[-1]
    tile = min(recipe.tile**2, height * width)
    copies = _COPIES + (2 * history_of(height * width * 3) if recipe.optimiser == "lbfgs" else 3)
    stored = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    memory = _ALREADY + stored + copies * 12 * height * width + 1.5 * sum(kept.values()) / _SAMPLE**2 * tile
    return Foreseen(min(each) / _SAMPLE**2 * pixels, int(memory))


def _looked_at(size: tuple[int, int], tile: int, margin: int) -> float:
    """How many pixels the network sees at each step: in tiles once more for the sums, which cost a third."""
    tiles = list(tiles_of(torch.empty(3, *size, device="meta"), tile, margin))
    seen: int = sum(
        (part.down.whole.stop - part.down.whole.start) * (part.across.whole.stop - part.across.whole.start)
        for part in tiles
    )
    return seen * (4 / 3 if len(tiles) > 1 else 1)
