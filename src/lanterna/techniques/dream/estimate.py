"""Estimate how long a dream will take and how much memory it will fill, before it begins.

A dream is the same small piece of work many times over, so three steps of it on a small picture are measured
on this machine, and the rest is counting pixels.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd.graph import saved_tensors_hooks

from lanterna.techniques.dream.algorithm import LONGEST, Dream, dream, tiling_for
from lanterna.techniques.dream.targets import Target
from lanterna.techniques.octaves import octave_sizes
from lanterna.techniques.technique import Estimate

if TYPE_CHECKING:
    from collections.abc import Generator

    from torch import Tensor

    from lanterna.networks import Network
    from lanterna.techniques.dream.tiles import Tiling
    from lanterna.techniques.technique import Frame

_SAMPLE = 384  # pixels along each side of what is measured
_COPIES = 11  # of the whole picture at once, measured at 4,000 × 3,000
_ALREADY = 400 * 2**20  # bytes: Python, torch and a network


def worth_estimating(size: tuple[int, int], settings: Dream) -> bool:
    """Whether dreaming with a picture of `size` (height, width) is more work than estimating it would be."""
    return settings.steps * sum(height * width for height, width in _sizes(size, settings)) > 3 * _SAMPLE**2


def estimate_dream(size: tuple[int, int], settings: Dream, network: Network, masks: int = 0) -> Estimate:
    """Estimate a dream of a picture of `size` (height, width), from measuring for half a second.

    Expect it within a factor of two: other work on the machine, and how its memory is used, decide the rest
    (`benchmarks/dream.py` measures both). Errors: those of `dream`.
    """
    sizes = _sizes(size, settings)
    layers = {target.layer for target in (*settings.targets(network), *map(Target.read, settings.mask_layer))}
    if settings.class_:
        layers.add(list(network.layers)[-1])
    tiling = tiling_for(settings, network, frozenset(layers))
    side = min(_SAMPLE, tiling.side) if not tiling.exact else _SAMPLE
    picture = torch.rand(3, side, side, generator=torch.Generator().manual_seed(0))
    short = settings.changed({"size": side, "octaves": 1, "steps": 3})
    work = dream(
        picture,
        short,
        network=network,
        guide=picture if settings.guided else None,
        masks=[torch.ones(1, 8, 8)] * masks,
    )
    step, kept = measure_step(work)
    here = _looked_at((side, side), tiling)
    seconds = step / here * settings.steps * sum(_looked_at(each, tiling) for each in sizes)
    height, width = sizes[-1]
    window = min(tiling.side**2, _looked_at((height, width), tiling))
    weights = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    memory = _ALREADY + weights + _COPIES * 12 * height * width + 1.5 * kept / here * window
    return Estimate(seconds, int(memory))


def _sizes(size: tuple[int, int], settings: Dream) -> list[tuple[int, int]]:
    """The sizes that a picture of `size` (height, width) is dreamed at, the smallest first."""
    return octave_sizes(*size, settings.size or min(max(size), LONGEST), settings.octaves, settings.ratio)


def measure_step(work: Generator[Frame, Any, None]) -> tuple[float, int]:
    """The seconds a step of work takes, the better of two, and the bytes that it keeps for the way back.

    Three steps are made, and the work is ended.
    """
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):  # the first step also prepares the convolutions
        next(work)
    each = []
    for _ in range(2):
        begun = time.perf_counter()
        next(work)
        each.append(time.perf_counter() - begun)
    work.close()
    return min(each), sum(kept.values())


def _looked_at(size: tuple[int, int], tiling: Tiling) -> float:
    """How many pixels the network sees at each step over a picture of `size`, margins and all, on average.

    Wherever the grid lies, windows stand out over the picture's ends: on average one more than would fit.
    """
    pixels = 1.0
    for length in size:
        core = tiling.reach(length)
        pixels *= (
            ((length - 1) / core + 1) * tiling.side if core else len(tiling.spans(length, 0)[0].looked_at)
        )
    return pixels
