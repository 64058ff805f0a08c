"""What everybody's errors become."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from lanterna.errors import MissingError, UsageError
from lanterna.surfaces.studio.routes.requests import Answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def failed(_: Request, error: Exception) -> Response:
    """Answer a wrong request with one line."""
    status = 404 if isinstance(error, MissingError) else 422 if isinstance(error, UsageError) else 500
    return Answer({"error": str(error)}, status)


async def not_there(_: Request, __: Exception) -> Response:
    """An id of nothing."""
    return Answer({"error": "there is no such thing here"}, 404)


async def refused(request: Request, error: Exception) -> Response:
    """What Starlette or the guard refuses."""
    assert isinstance(error, HTTPException)
    words = {404: "there is nothing at this address", 405: "this address is not for that"}
    response = Answer({"error": words.get(error.status_code, error.detail)}, error.status_code)
    response.headers.update(error.headers or {})
    if error.status_code == 405:  # of several routes with one path, not of the first alone
        found = [route for route in request.app.routes if route.path_regex.match(request.url.path)]
        response.headers["allow"] = ", ".join(sorted(set().union(*(route.methods or () for route in found))))
    return response


async def unexpected(_: Request, __: Exception) -> Response:
    """A mistake of ours; what it was is on standard error."""
    return Answer({"error": "the studio has failed at this: its terminal says why"}, 500)
