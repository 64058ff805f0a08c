"""The API: thin routes over the store, the queue and the reader. What comes in is checked there, once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from lanterna.surfaces.studio.routes import (
    events,
    gallery,
    jobs,
    looking,
    networks,
    pictures,
    reading,
    shelf,
)
from lanterna.surfaces.studio.routes.requests import Answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def openapi(_: Request) -> Response:
    """This description."""

    def described() -> dict[str, Any]:
        from lanterna.surfaces.studio.openapi import description

        return description()

    return Answer(await asyncio.to_thread(described))


_AREAS = (jobs, pictures, shelf, gallery, reading, networks, looking, events)
ROUTES = [route for area in _AREAS for route in area.ROUTES] + [Route("/api/openapi.json", openapi)]
