"""An axis of a chart: where values lie along it, and which of them are written beside it."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_MOST = 9  # numbers beside an axis


class Axis:
    """From the least to the greatest of `values`, and `spare` of that way beyond both ends.

    `log`: values lie as far apart as their logarithms. `whole`: whole numbers alone are written, with `log`
    all of `values`. `written` are the values that are written beside it, and how: an exponent stands after ^.
    """

    def __init__(self, values: Collection[float], *, log: bool, whole: bool, spare: float = 0.05) -> None:
        self._log = log
        shown = sorted({value for value in values if self.has(value)}) or [1.0]
        low, high = self._place(shown[0]), self._place(shown[-1])
        beyond = spare * (high - low) if high > low else 0.5
        self._low, self._high = low - beyond, high + beyond
        if log and whole:
            self.written = {value: f"{value:g}" for value in shown}
        else:
            self.written = self._powers() if log else self._numbers(whole)

    def has(self, value: float) -> bool:
        """Whether there is a place for a value."""
        return math.isfinite(value) and (value > 0 or not self._log)

    def share(self, value: float) -> float:
        """Where a value lies, from 0 at the lower end to 1 at the upper."""
        return (self._place(value) - self._low) / (self._high - self._low)

    def _place(self, value: float) -> float:
        return math.log10(value) if self._log else value

    def _steps(self, step: float) -> range:
        """Which multiples of a step are on the axis."""
        return range(math.ceil(self._low / step - 1e-9), math.floor(self._high / step + 1e-9) + 1)

    def _numbers(self, whole: bool) -> dict[float, str]:
        """Multiples of a round number, as many as there is room for."""
        least = math.floor(math.log10((self._high - self._low) / _MOST))
        sizes = (share * 10.0**power for power in itertools.count(least) for share in (1, 2, 2.5, 5))
        step = next(size for size in sizes if len(self._steps(size)) <= _MOST and not (whole and size % 1))
        places = next(places for places in range(20) if math.isclose(round(step, places), step))
        largest = max(abs(self._low), abs(self._high))
        form = f".{places}f" if places < 5 and largest < 1e6 else ".4g"
        return {number * step: f"{number * step:{form}}" for number in self._steps(step)}

    def _powers(self) -> dict[float, str]:
        """Powers of ten; where they are one or two, numbers between them too."""
        every = next(every for every in itertools.count(1) if len(self._steps(every)) <= _MOST)
        powers = [number * every for number in self._steps(every)]
        if len(powers) > 2:
            return {10.0**power: f"10^{power}" for power in powers}
        decades = range(math.floor(self._low), math.ceil(self._high) + 1)
        digits = (1, 2, 5) if len(powers) > 1 else range(1, 10)
        between = (digit * 10.0**power for power in decades for digit in digits)
        return {value: f"{value:g}" for value in between if 0 <= self.share(value) <= 1}
