"""Forecast how long a job will take, from those that this machine has done."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lanterna.surfaces.studio.messages import Forecast

_PROPORTIONAL = ("steps", "width", "height", "frames", "epochs", "fraction", "samples")
_NOT_SLOWER = {*_PROPORTIONAL, "size", "seed"}  # their values may differ in a job that is compared
_START = 2.0  # seconds, at most, that a job takes however small it is,
_STARTING = 0.8  # and the share of a short job that may be starting
_LIKE = 3  # jobs that a forecast is the median of
_OWN_SIZE = 512  # pixels, along the longer side, at most: of jobs that do not set a size
_LONG = 300.0  # seconds from which a smaller size is offered,
_SHORTER = 120.0  # and how long that may take
_MIN_SIZE = 128

Pixels = tuple[int, int]


def forecast(
    settings: Mapping[str, Any], picture: Pixels | None, done: Sequence[Mapping[str, Any]]
) -> Forecast:
    """Return the `seconds` that a job with these settings will take, and a `smaller` size if that is long.

    Each is None if unknown or not needed. `picture` is the width and height of the job's main input; `done`
    are finished jobs of the same kind, newest first, each with its `settings`, `seconds` and `pixels`, the
    size of its input. Those whose other settings are most alike are taken as the measure, and among them
    those of the nearest size; apart from starting, the time is proportional to the pixels and the steps.
    """
    alike = [each for each in done if each["settings"].get("network") == settings.get("network")]
    work = _work(settings, picture)
    amounts = [_work(each["settings"], each["pixels"]) for each in alike]
    nearest = sorted(
        zip(alike, amounts, strict=True),
        key=lambda each: (_differences(each[0]["settings"], settings), abs(math.log(each[1] / work))),
    )[:_LIKE]
    if not nearest:
        return {"seconds": None, "smaller": None}
    starting = min(_START, *(_STARTING * each["seconds"] for each, _ in nearest))
    rate = statistics.median((each["seconds"] - starting) / amount for each, amount in nearest)
    seconds = starting + rate * work
    smaller = None
    if seconds > _LONG and "size" in settings:
        side = _side(settings, picture) * math.sqrt(_SHORTER / seconds)
        smaller = max(_MIN_SIZE, int(side) // 16 * 16)
    return {"seconds": rounded(seconds), "smaller": smaller}


def rounded(seconds: float) -> int:
    """Round expected seconds to what is known of them: whole ones, fives or minutes."""
    step = 1 if seconds < 10 else 5 if seconds < 60 else 60
    return max(1, round(seconds / step)) * step


def same_work(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two jobs' settings differ in nothing but how much there is to do."""
    return _differences(one, other) == 0


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    names = (one.keys() | other.keys()) - _NOT_SLOWER
    return sum(one.get(name) != other.get(name) for name in names)


def _side(settings: Mapping[str, Any], picture: Pixels | None) -> float:
    return float(settings.get("size") or min(_OWN_SIZE, max(picture or (_OWN_SIZE,))))


def _work(settings: Mapping[str, Any], picture: Pixels | None) -> float:
    """Return a number that is proportional to the time of a job, among jobs with alike settings."""
    amount = math.prod(float(settings.get(name) or 1) for name in _PROPORTIONAL)
    if "size" in settings:
        shape = min(picture) / max(picture) if picture else 1.0
        amount *= _side(settings, picture) ** 2 * shape
    return max(amount, 1e-9)
