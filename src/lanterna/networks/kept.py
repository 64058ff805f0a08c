"""Networks that stay open in a process: for workers that make one picture after another."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

_Opened = TypeVar("_Opened")
_kept: dict[Hashable, Any] | None = None


@contextmanager
def keeping_networks() -> Iterator[None]:
    """Within the block, in all of this process, a network that was opened is kept for whoever opens it next.

    They share it, so nobody may change it.
    """
    global _kept
    before, _kept = _kept, {}
    try:
        yield
    finally:
        _kept = before


def kept(key: Hashable, opening: Callable[[], _Opened]) -> _Opened:
    """What was opened as `key` before, where it is kept; else it is opened now."""
    if _kept is None:
        return opening()
    if key not in _kept:
        _kept[key] = opening()
    found: _Opened = _kept[key]
    return found
