"""The style wall: a photograph in every built-in style, and in paintings of one's own, as thumbnails.

The page asks for one after another. They are painted in a process that gives way to all others.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from lanterna.errors import MissingError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

_SIDE = 384
_BRUSH = 1.5  # a little broader than a job's, which is quicker, and clear at this size
_ITEM = "instant-style"
_MAX_THUMBNAILS = 2000  # of some 20 kB each


def paint_thumbnail(photograph: Path, style: int | Path, target: Path) -> None:
    """Paint a photograph in a built-in style or in that of a painting, and save it as a small JPEG.

    Errors: `UsageError` if there is no such style, `MissingError` if the networks have not been fetched.
    """
    from lanterna import shelf
    from lanterna.images import open_picture
    from lanterna.surfaces.studio.pictures import write_jpeg
    from lanterna.techniques.style.instant import Instant, instant

    if not shelf.is_fetched(_ITEM):
        raise MissingError(f"{_ITEM} has not been fetched yet: lanterna shelf fetch {_ITEM}")
    if hasattr(os, "nice"):
        os.nice(20)  # as low as possible: even a job has priority
    _cache_networks()
    built_in, paintings = ((style,), []) if isinstance(style, int) else ((), [open_picture(style)])
    settings = Instant.checked({"brush": _BRUSH, "built_in": built_in})
    *_, last = instant(open_picture(photograph, longest=_SIDE), settings, styles=paintings, device="cpu")
    assert last.picture is not None
    target.parent.mkdir(exist_ok=True)
    write_jpeg(last.picture, target, _SIDE)


@cache
def _cache_networks() -> AbstractContextManager[None]:
    """Cache opened networks as long as this process runs."""
    from lanterna.networks.cache import cache_networks

    caching = cache_networks()
    caching.__enter__()
    return caching


def limit_thumbnails(folder: Path) -> None:
    """Delete the oldest thumbnails if there are too many."""
    files = sorted(folder.glob(f"{'[0-9a-f]' * 32}-*.jpg"), key=lambda each: -each.stat().st_mtime)
    for file in files[_MAX_THUMBNAILS:]:
        file.unlink(missing_ok=True)
