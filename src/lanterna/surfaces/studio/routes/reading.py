"""Networks, and what one reads in a picture at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.routing import Route

from lanterna.surfaces.studio.routes.requests import Answer, studio_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def read(request: Request) -> Response:
    """Read a drawing or a page at once."""
    if not request.headers.get("content-type", "").startswith("image/"):
        raise HTTPException(415, "send a picture, as image/png, image/jpeg …")
    name, surface = (request.query_params.get(*each) for each in (("network", "conv"), ("surface", "page")))
    return Answer(await studio_of(request).reader.read(await request.body(), name, surface))


async def networks(_: Request) -> Response:
    """The networks there are, and whether they are here."""

    def listed() -> list[dict[str, Any]]:
        from dataclasses import asdict

        from lanterna.networks.catalogue import networks as listings

        return [asdict(each) for each in listings()]

    return Answer(await asyncio.to_thread(listed))


ROUTES = [
    Route("/api/read", read, methods=["POST"]),
    Route("/api/networks", networks),
]
