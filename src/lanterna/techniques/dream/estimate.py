"""Estimate the time and memory that a dream takes, before it starts.

All steps of a dream cost the same per pixel, so three steps on a small picture are measured on this machine,
and scaled by the number of pixels.
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

_SAMPLE = 384  # pixels along each side of the picture that is measured
_COPIES = 11  # of the picture in memory at the same time, measured at 4,000 × 3,000
_BASELINE = 400 * 2**20  # bytes: Python, torch and a network


def worth_estimating(size: tuple[int, int], settings: Dream) -> bool:
    """Return whether a dream of a picture of `size` (height, width) takes longer than its estimate."""
    return settings.steps * sum(height * width for height, width in _sizes(size, settings)) > 3 * _SAMPLE**2


def estimate_dream(size: tuple[int, int], settings: Dream, network: Network, masks: int = 0) -> Estimate:
    """Estimate a dream of a picture of `size` (height, width), by measuring for half a second.

    Expect an error of up to a factor of two, because of other work on the machine and memory allocation
    (`benchmarks/dream.py` measures both). Errors: those of `dream`.
    """
    sizes = _sizes(size, settings)
    layers = {target.layer for target in (*settings.targets(network), *map(Target.read, settings.mask_layer))}
    if settings.class_:
        layers.add(list(network.layers)[-1])
    tiling = tiling_for(settings, network, frozenset(layers))
    side = min(_SAMPLE, tiling.side) if not tiling.exact else _SAMPLE
    picture = torch.rand(3, side, side, generator=torch.Generator().manual_seed(0))
    short_run = settings.changed({"size": side, "octaves": 1, "steps": 3})
    work = dream(
        picture,
        short_run,
        network=network,
        guide=picture if settings.guided else None,
        masks=[torch.ones(1, 8, 8)] * masks,
    )
    step_seconds, saved_bytes = measure_step(work)
    measured_pixels = _processed_pixels((side, side), tiling)
    pixels = settings.steps * sum(_processed_pixels(each, tiling) for each in sizes)
    seconds = step_seconds / measured_pixels * pixels
    height, width = sizes[-1]
    tile_pixels = min(tiling.side**2, _processed_pixels((height, width), tiling))
    weights = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    activations = 1.5 * saved_bytes / measured_pixels * tile_pixels
    memory = _BASELINE + weights + _COPIES * 12 * height * width + activations
    return Estimate(seconds, int(memory))


def _sizes(size: tuple[int, int], settings: Dream) -> list[tuple[int, int]]:
    """Return the sizes of the octaves for a picture of `size` (height, width), the smallest first."""
    return octave_sizes(*size, settings.size or min(max(size), LONGEST), settings.octaves, settings.ratio)


def measure_step(work: Generator[Frame, Any, None]) -> tuple[float, int]:
    """Return the seconds of a step, the shorter of two, and the bytes that it saves for the backward pass.

    Runs three steps of the work, then closes it.
    """
    saved: dict[int, int] = {}

    def record(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(record, lambda tensor: tensor):  # the first step also prepares the convolutions
        next(work)
    durations = []
    for _ in range(2):
        start = time.perf_counter()
        next(work)
        durations.append(time.perf_counter() - start)
    work.close()
    return min(durations), sum(saved.values())


def _processed_pixels(size: tuple[int, int], tiling: Tiling) -> float:
    """Return the mean number of input pixels of a step on a picture of `size`, including margins.

    The shifted grid extends beyond the picture: on average it has one tile more along each axis than fit.
    """
    pixels = 1.0
    for length in size:
        core = tiling.period(length)
        pixels *= ((length - 1) / core + 1) * tiling.side if core else len(tiling.spans(length, 0)[0].source)
    return pixels
