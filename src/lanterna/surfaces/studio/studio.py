"""All that belongs to one running studio: its store, its queue and its reader."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from lanterna.surfaces.studio.apart import Apart
from lanterna.surfaces.studio.jobs import Queue
from lanterna.surfaces.studio.pictures import keep
from lanterna.surfaces.studio.reader import Reader
from lanterna.surfaces.studio.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.applications import Starlette

DECODING = 60.0
"""Seconds that a picture may take that somebody sends."""
_WEEK = 7 * 86_400.0


class Studio:
    """All that belongs to one running studio. It opens with the event loop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.closing = False
        self._warm = False
        self.closing_listeners: set[asyncio.Event] = set()
        self.store: Store
        self.queue: Queue
        self.reader: Reader
        self.decoding: asyncio.Semaphore
        self.decoder: Apart

    @contextlib.asynccontextmanager
    async def opened(self, _: Starlette) -> AsyncIterator[None]:
        """Open the store, go on with the jobs in it, and end both well."""
        self.store = Store(self.folder)
        self.store.forget_deleted(time.time() - _WEEK)
        self.decoding = asyncio.Semaphore(1)
        self.queue = Queue(self.store, self._keep)
        self.reader = Reader()
        self.decoder = Apart(DECODING)
        self.queue.open()
        try:
            yield
        finally:
            self.reader.close()
            self.decoder.close()
            await self.queue.close()
            self.store.close()

    def warm_up(self) -> None:
        """Start the processes that compute, as somebody listens: a page. Until then, or until there is
        work for them, a studio costs neither their time nor their memory.
        """
        if not self._warm:
            self._warm = True
            self.queue.warm_up()
            self.reader.warm_up()

    def close_streams(self) -> None:
        """Let the event streams end, so that the server can."""
        self.closing = True
        for listener in self.closing_listeners:
            listener.set()

    def _keep(self, job: dict[str, Any], made: list[dict[str, Any]]) -> str | None:
        from lanterna.surfaces.studio.techniques import technique_named

        return keep(self.store, technique_named(job["kind"]).room, job, made)
