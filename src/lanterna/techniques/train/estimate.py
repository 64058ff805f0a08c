"""Estimate how long training takes, by measuring some steps of it on this machine."""

from __future__ import annotations

import time
from contextlib import closing
from functools import lru_cache
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING

from lanterna import shelf
from lanterna.techniques.technique import Estimate
from lanterna.techniques.train.algorithm import train

if TYPE_CHECKING:
    from lanterna.techniques.train.settings import Train

_WARM_UP, _STEPS = 1, 4  # of the run: the first are slower
_LIMIT = 1.0  # seconds of measuring
_FORWARD = 0.3  # the share of a step that reading a digit takes, without learning from it
_START = 2.0  # seconds: a worker starts, the results are drawn and saved
_TESTED = 10_000  # digits, at the end
_MAX_WEIGHTS = 4_000_000  # of the networks that are measured
_lock = Lock()  # measurements at the same time would slow each other down


def estimate_training(settings: Train, device: str = "auto") -> Estimate | None:
    """Return the estimated seconds of a training, or None if the digits have not been fetched.

    Runs its first steps, for a second or less, and remembers the result. Expect it to be within a factor of
    two: other work on the machine decides the rest. The memory is not estimated.
    """
    if not shelf.is_fetched("mnist") or _weights(settings) > _MAX_WEIGHTS:
        return None
    with _lock:
        step = _step_seconds(settings.changed({"seed": 0}), device)
    tested = (settings.hold_out * settings.epochs + _TESTED) / settings.batch_size
    return Estimate(_START + step * (settings.steps + _FORWARD * tested), 0)


def _weights(settings: Train) -> int:
    """Return about how many weights the network's layers have."""
    maps = [channels for channels in settings.channels for _ in range(settings.convolutions)]
    dense = sum(ins * outs for ins, outs in pairwise([784, *settings.hidden, 10]))
    return dense + 9 * sum(ins * outs for ins, outs in pairwise([1, *maps]))


@lru_cache(maxsize=64)
def _step_seconds(settings: Train, device: str) -> float:
    """Return the mean seconds of the first steps after a warm-up."""
    measured = 0.0
    with closing(train(settings, device=device, extra_steps=(_WARM_UP, _WARM_UP + _STEPS))) as frames:
        begin = start = time.perf_counter()
        first = 0
        for frame in frames:
            now = time.perf_counter()
            if frame.step > first:
                measured = (now - start) / (frame.step - first)
            if frame.step == _WARM_UP:
                start, first = now, frame.step
            if frame.step >= _WARM_UP + _STEPS or now - begin > _LIMIT:
                break
    return measured
