"""Numbers in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def percent(share: float, digits: int = 0) -> str:
    """Return a share as a percentage: `51 %`."""
    return f"{100 * share:.{digits}f} %"


def scientific(value: float, digits: int = 1) -> str:
    """Return a number with so many significant digits, a small one with a power of ten: `9 × 10⁻⁹`."""
    rounded = float(f"{value:.{digits}g}")
    if not 0 < abs(rounded) < 1e-4:
        return f"{rounded:g}"
    mantissa, power = f"{rounded:.{digits - 1}e}".split("e")
    times = "" if float(mantissa) == 1 else f"{mantissa} × "
    return f"{times}10{str(int(power)).translate(_SUPERSCRIPTS)}"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural if needed: `1 unit`, `3 units`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(items: Sequence[object]) -> str:
    """Return items as a list in a sentence: `a, b and c`."""
    *most, last = map(str, items)
    return f"{', '.join(most)} and {last}" if most else last


def of_runs(runs: int) -> str:
    """Say that the numbers before are medians of several trainings; nothing if there was only one."""
    return f" (Medians of {runs} trainings, and their range in brackets.)" if runs > 1 else ""
