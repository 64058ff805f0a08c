"""Estimate how long a rule takes to learn, and a texture to grow, by a few steps of each on this machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lanterna.techniques.grow.rule import CHANNELS, Rule, nothing
from lanterna.techniques.technique import Estimate

if TYPE_CHECKING:
    from lanterna.techniques.grow.training import RuleTraining

_SAMPLE = 128  # cells along each side of the plane that is measured
_MEASURED = 3  # steps, after one that also prepares the convolutions
_PREVIEWS = 13 / 12  # of the time of training, which also shows what grows
_BASELINE = 600 * 2**20  # bytes: Python, torch, VGG-19 and a step of training with 64 × 64 cells


def estimate_growth(size: int, steps: int) -> Estimate:
    """Estimate growing `size` × `size` cells for some steps; every rule takes as long."""
    rule, cells = Rule(), nothing(_SAMPLE, _SAMPLE)
    rule.advance(cells, 0, 0)
    begun = time.perf_counter()
    for number in range(_MEASURED):
        rule.advance(cells, number, 0)
    each = (time.perf_counter() - begun) / _MEASURED / _SAMPLE**2
    return Estimate(each * size**2 * steps, _BASELINE + 2 * 4 * CHANNELS * size**2)


def seconds_to_learn(training: RuleTraining) -> float:
    """Estimate the seconds of a training by its first steps, in about a second.

    Steps of training take a random number of the rule's; expect an error of up to a third.
    """
    training.advance()
    begun = time.perf_counter()
    for _ in range(_MEASURED):
        training.advance()
    steps: int = training.settings.training
    return (time.perf_counter() - begun) / _MEASURED * steps * _PREVIEWS
