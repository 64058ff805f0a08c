"""An axis of a chart: the position of a value along it, and the ticks."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_MAX_TICKS = 9


class Axis:
    """An axis from the smallest to the largest of `values`, plus a margin at both ends.

    `margin` is a share of the range. A `log` axis is logarithmic. With `integers` all ticks are integers;
    with `log` as well, every value has a tick. `ticks` maps the value of each tick to its label, in which ^
    marks an exponent.
    """

    def __init__(self, values: Collection[float], *, log: bool, integers: bool, margin: float = 0.05) -> None:
        self._log = log
        valid = sorted({value for value in values if self.has(value)}) or [1.0]
        low, high = self._scaled(valid[0]), self._scaled(valid[-1])
        extra = margin * (high - low) if high > low else 0.5
        self._low, self._high = low - extra, high + extra
        if log and integers:
            self.ticks = {value: f"{value:g}" for value in valid}
        else:
            self.ticks = self._powers() if log else self._multiples(integers)

    def has(self, value: float) -> bool:
        """Return whether a value can be placed on the axis."""
        return math.isfinite(value) and (value > 0 or not self._log)

    def position(self, value: float) -> float:
        """Return the position of a value, from 0 at the lower end to 1 at the upper."""
        return (self._scaled(value) - self._low) / (self._high - self._low)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self._log else value

    def _steps(self, step: float) -> range:
        """Return which multiples of a step lie on the axis."""
        return range(math.ceil(self._low / step - 1e-9), math.floor(self._high / step + 1e-9) + 1)

    def _multiples(self, integers: bool) -> dict[float, str]:
        """Return ticks at multiples of a round number, as many as fit."""
        start = math.floor(math.log10((self._high - self._low) / _MAX_TICKS))
        sizes = (factor * 10.0**power for power in itertools.count(start) for factor in (1, 2, 2.5, 5))
        step = next(
            size for size in sizes if len(self._steps(size)) <= _MAX_TICKS and not (integers and size % 1)
        )
        places = next(places for places in range(20) if math.isclose(round(step, places), step))
        largest = max(abs(self._low), abs(self._high))
        form = f".{places}f" if places < 5 and largest < 1e6 else ".4g"
        return {number * step: f"{number * step:{form}}" for number in self._steps(step)}

    def _powers(self) -> dict[float, str]:
        """Return ticks at powers of ten, and between them if only one or two of those fit."""
        every = next(every for every in itertools.count(1) if len(self._steps(every)) <= _MAX_TICKS)
        powers = [number * every for number in self._steps(every)]
        if len(powers) > 2:
            return {10.0**power: f"10^{power}" for power in powers}
        decades = range(math.floor(self._low), math.ceil(self._high) + 1)
        digits = (1, 2, 5) if len(powers) > 1 else range(1, 10)
        between = (digit * 10.0**power for power in decades for digit in digits)
        return {value: f"{value:g}" for value in between if 0 <= self.position(value) <= 1}
