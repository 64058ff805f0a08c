"""Networks that stay open in a process: for workers that make one picture after another."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

_Opened = TypeVar("_Opened")
_cache: dict[Hashable, Any] | None = None


@contextmanager
def cache_networks() -> Iterator[None]:
    """Cache every network that is opened within the block, in all of this process.

    All callers share it, so none may change it.
    """
    global _cache
    before, _cache = _cache, {}
    try:
        yield
    finally:
        _cache = before


def cached(key: Hashable, opening: Callable[[], _Opened]) -> _Opened:
    """Get what was opened as `key` before from the cache, or open it now."""
    if _cache is None:
        return opening()
    if key not in _cache:
        _cache[key] = opening()
    found: _Opened = _cache[key]
    return found
