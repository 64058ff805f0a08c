"""Changes as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

from lanterna.surfaces.studio.pictures import picture_as_json
from lanterna.surfaces.studio.routes.jobs import job_as_json
from lanterna.surfaces.studio.routes.requests import ApiRoute, parameter, studio_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from lanterna.surfaces.studio.studio import Studio

_HEARTBEAT = 15.0  # seconds without an event after which the stream sends a comment
_MIN_INTERVAL = 0.1  # seconds between two batches of events


async def events(request: Request) -> Response:
    """Stream changes as server-sent events; continues after `Last-Event-ID`."""
    studio = studio_of(request)
    studio.warm_up()  # a page that listens will soon need the compute processes
    last_id = request.headers.get("last-event-id") or request.query_params.get("after", "")
    after = int(last_id) if last_id.isdecimal() and len(last_id) < 16 else None
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_stream(studio, after), 200, headers, "text/event-stream")


async def _stream(studio: Studio, after: int | None) -> AsyncIterator[str]:
    store, listener = studio.store, asyncio.Event()
    store.listeners.add(listener)
    studio.closing_listeners.add(listener)
    try:
        last = store.last_event if after is None else after
        yield f"id: {last}\nevent: hello\ndata: {{}}\n\n"
        while not studio.closing:
            changes = store.changes(last)
            if changes is None:
                last = store.last_event
                yield f"id: {last}\nevent: reset\ndata: {{}}\n\n"
                continue
            for number, event, thing in changes:
                last = number
                yield f"id: {number}\nevent: {event}\ndata: {json.dumps(_thing(studio, thing))}\n\n"
            if changes:
                await asyncio.sleep(_MIN_INTERVAL)
            try:
                await asyncio.wait_for(listener.wait(), _HEARTBEAT)
                listener.clear()
            except TimeoutError:
                yield ": keep-alive\n\n"
    finally:
        store.listeners.discard(listener)
        studio.closing_listeners.discard(listener)


def _thing(studio: Studio, thing: str) -> object:
    """Return the current state of a job, a picture or the shelf."""
    from lanterna.surfaces.studio import shelf_contents

    kind, _, name = thing.partition(":")
    with suppress(KeyError):
        if kind == "job":
            return job_as_json(studio.store.job(name))
        if kind == "picture":
            return picture_as_json(studio.store, studio.store.picture(name))
        if kind == "shelf":
            return shelf_contents.shelf_items()
    return {"id": name, "gone": True}


_AFTER = {"after": parameter("The same as the header Last-Event-ID.")}
ROUTES = [ApiRoute("/api/events", events, answer="text/event-stream", query=_AFTER)]
