"""A cache of opened networks, for processes that run one job after another."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

_Opened = TypeVar("_Opened")
_cache: dict[Hashable, Any] | None = None


@contextmanager
def cache_networks() -> Iterator[None]:
    """Cache every network that this process opens within the block.

    All callers share the cached networks, so none may change them.
    """
    global _cache
    previous, _cache = _cache, {}
    try:
        yield
    finally:
        _cache = previous


def cached(key: Hashable, open_it: Callable[[], _Opened], version: int = 0) -> _Opened:
    """Return the cached object for `key`; open it first if it is not cached, or only another version is."""
    if _cache is None:
        return open_it()
    if key not in _cache or _cache[key][0] != version:
        _cache.pop(key, None)  # not both in memory
        _cache[key] = version, open_it()
    found: _Opened = _cache[key][1]
    return found
