"""The parts of one running studio: the store, the queue, and the processes next to them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from lanterna.surfaces.studio.interactive import InteractiveProcess
from lanterna.surfaces.studio.isolated import IsolatedProcess
from lanterna.surfaces.studio.jobs import Queue
from lanterna.surfaces.studio.pictures import add_results
from lanterna.surfaces.studio.store import Store
from lanterna.surfaces.studio.wall import limit_thumbnails

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.applications import Starlette

DECODING_SECONDS = 60.0
"""The time limit for decoding an uploaded picture."""
_LOOKING_SECONDS = 120.0  # for running a picture through a network
_ESTIMATING_SECONDS = 30.0  # for measuring the first steps of a job
_PAINTING_SECONDS = 600.0  # for a thumbnail of the style wall, at the lowest priority beside a job
_WEEK = 7 * 86_400.0


class Studio:
    """The parts of one running studio. They are created when the event loop starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.closing = False
        self._warm = False
        self.closing_listeners: set[asyncio.Event] = set()
        self.store: Store
        self.queue: Queue
        self.interactive: InteractiveProcess
        self.decoding: asyncio.Semaphore
        self.decoder: IsolatedProcess
        self.looker: IsolatedProcess
        self.estimator: IsolatedProcess
        self.painter: IsolatedProcess

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Open the store and resume its jobs; on exit, close everything cleanly."""
        self.store = Store(self.folder)
        self.store.purge_deleted(time.time() - _WEEK)
        self.decoding = asyncio.Semaphore(1)
        self.queue = Queue(self.store, self._add_results)
        self.interactive = InteractiveProcess()
        self.decoder = IsolatedProcess(DECODING_SECONDS)
        self.looker = IsolatedProcess(_LOOKING_SECONDS)
        self.estimator = IsolatedProcess(_ESTIMATING_SECONDS, as_a_job=True)
        self.painter = IsolatedProcess(_PAINTING_SECONDS)
        limit_thumbnails(self.store.wall)
        self.queue.open()
        try:
            yield
        finally:
            self.interactive.close()
            self.decoder.close()
            self.looker.close()
            self.estimator.close()
            self.painter.close()
            await self.queue.close()
            self.store.close()

    def warm_up(self) -> None:
        """Start the compute processes because a page has connected. Until then, or until there is work for
        them, a studio uses neither their time nor their memory.
        """
        if not self._warm:
            self._warm = True
            self.queue.warm_up()
            self.interactive.warm_up()

    def close_streams(self) -> None:
        """End the event streams, so that the server can stop."""
        self.closing = True
        for listener in self.closing_listeners:
            listener.set()

    def _add_results(self, job: dict[str, Any], results: list[dict[str, Any]]) -> str | None:
        from lanterna.surfaces.studio.techniques import technique_named

        return add_results(self.store, technique_named(job["kind"]).room, job, results)
