"""Estimate how long a network takes to learn, and pictures to draw, by a few steps on this machine."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from lanterna.devices import choose_device
from lanterna.images.digits import Digits
from lanterna.networks.digits import CLASSES, SIDE
from lanterna.techniques.imagine.algorithm import Training, draw, new_network, one_hot
from lanterna.techniques.technique import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from lanterna.techniques.imagine.algorithm import Learning

_MEASURED = 4  # steps, of which the fastest counts: the first also prepares the convolutions
_LIMIT = 1.0  # seconds of measuring, after which no other step begins
_SAMPLE = 20  # pictures that are drawn
_PREVIEWS = 13 / 12  # of the time of training, which also shows what the network draws
_MEMORY = 500 * 2**20  # bytes: Python, torch, the training digits, the network and its optimiser


def estimate_drawing(learning: Learning, pictures: int, steps: int, guidance: float) -> Estimate:
    """Estimate drawing some pictures with a network that learned this way."""
    each = _seconds_to_draw(learning.changed({"epochs": 1, "seed": 0}), guidance == 1)
    return Estimate(each * pictures * steps, _MEMORY)


def seconds_to_learn(learning: Learning, steps: int, device: str) -> float:
    """Estimate the seconds of so many steps of training; expect an error of up to a third."""
    return _seconds_of_step(learning.changed({"epochs": 1, "seed": 0}), device) * steps * _PREVIEWS


@lru_cache(maxsize=8)
def _seconds_of_step(learning: Learning, device: str) -> float:
    images = torch.randint(256, (learning.batch_size, 1, SIDE, SIDE), dtype=torch.uint8)
    digits = Digits(images, torch.arange(learning.batch_size) % CLASSES)
    training = Training(digits, learning, choose_device(device))
    return _fastest(training.advance)


@lru_cache(maxsize=8)
def _seconds_to_draw(learning: Learning, unguided: bool) -> float:
    """Return the seconds of a step for one picture: twice those of drawing in one step, which is Euler's."""
    network, classes = new_network(learning), one_hot(torch.arange(_SAMPLE) % CLASSES)
    guidance = 1.0 if unguided else 2.0
    return _fastest(lambda: draw(network, classes, guidance=guidance, steps=1)) * 2 / _SAMPLE


def _fastest(step: Callable[[], object]) -> float:
    """Return the seconds of the fastest of some steps, which other work on the machine slows down least."""
    times = list[float]()
    while len(times) < _MEASURED and sum(times) < _LIMIT:
        begun = time.perf_counter()
        step()
        times.append(time.perf_counter() - begun)
    return min(times)
