"""What changes, as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

from lanterna.surfaces.studio import pictures as kept
from lanterna.surfaces.studio.routes.jobs import told
from lanterna.surfaces.studio.routes.requests import Call, asked, studio_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from lanterna.surfaces.studio.studio import Studio

_BEAT = 15.0  # seconds of silence after which the event stream sends a comment
_REST = 0.1  # seconds between two looks at what has changed


async def events(request: Request) -> Response:
    """What changes, as server-sent events; goes on after `Last-Event-ID`."""
    studio = studio_of(request)
    studio.warm_up()  # whoever listens will soon want the processes that compute
    given = request.headers.get("last-event-id") or request.query_params.get("after", "")
    after = int(given) if given.isdecimal() and len(given) < 16 else None
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_stream(studio, after), 200, headers, "text/event-stream")


async def _stream(studio: Studio, after: int | None) -> AsyncIterator[str]:
    store, listener = studio.store, asyncio.Event()
    store.listeners.add(listener)
    studio.closing_listeners.add(listener)
    try:
        seen = store.last if after is None else after
        yield f"id: {seen}\nevent: hello\ndata: {{}}\n\n"
        while not studio.closing:
            changes = store.changes(seen)
            if changes is None:
                seen = store.last
                yield f"id: {seen}\nevent: reset\ndata: {{}}\n\n"
                continue
            for number, event, thing in changes:
                seen = number
                yield f"id: {number}\nevent: {event}\ndata: {json.dumps(_thing(studio, thing))}\n\n"
            if changes:
                await asyncio.sleep(_REST)
            try:
                await asyncio.wait_for(listener.wait(), _BEAT)
                listener.clear()
            except TimeoutError:
                yield ": still here\n\n"
    finally:
        store.listeners.discard(listener)
        studio.closing_listeners.discard(listener)


def _thing(studio: Studio, thing: str) -> object:
    """The whole of what has changed, as it is now."""
    from lanterna.surfaces.studio import shelves

    what, _, name = thing.partition(":")
    with suppress(KeyError):
        if what == "job":
            return told(studio.store.job(name))
        if what == "picture":
            return kept.described(studio.store, studio.store.picture(name))
        if what == "shelf":
            return shelves.listed()
    return {"id": name, "gone": True}


_AFTER = {"after": asked("As the header Last-Event-ID.")}
ROUTES = [Call("/api/events", events, answer="text/event-stream", query=_AFTER)]
