"""Exception handlers: every error becomes a status and one line of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from lanterna.errors import MissingError, OwnFileError, UsageError
from lanterna.surfaces.studio.names import without_folders
from lanterna.surfaces.studio.routes.requests import ApiResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


_NO_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>There is no such page · Lanterna</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/web/theme.css"></head>
<body><main class="lost"><h1>There is no such page</h1>
<p>The address may be mistyped. <a href="/">Open the studio</a></p></main></body></html>
"""


async def lanterna_error(_: Request, error: Exception) -> Response:
    """Return one of Lanterna's own errors."""
    status = 404 if isinstance(error, MissingError) else 422 if isinstance(error, UsageError) else 500
    words = str(error) if isinstance(error, OwnFileError) else without_folders(str(error))
    return ApiResponse({"error": words}, status)


async def not_found(_: Request, __: Exception) -> Response:
    """Return 404 for an unknown id."""
    return ApiResponse({"error": "not found"}, 404)


async def http_error(request: Request, error: Exception) -> Response:
    """Return an error that Starlette, a route or the guard has raised."""
    assert isinstance(error, HTTPException)
    words = {404: "not found", 405: "method not allowed"}
    if error.status_code == 404 and "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(_NO_PAGE, 404)
    response = ApiResponse({"error": words.get(error.status_code, error.detail)}, error.status_code)
    response.headers.update(error.headers or {})
    if error.status_code == 405:  # Starlette lists only the methods of the first route with this path
        matching = [route for route in request.app.routes if route.path_regex.match(request.url.path)]
        response.headers["allow"] = ", ".join(
            sorted(set().union(*(route.methods or () for route in matching)))
        )
    return response


async def internal_error(_: Request, __: Exception) -> Response:
    """Return 500 for a bug; uvicorn prints the traceback to standard error."""
    return ApiResponse({"error": "internal error: see the studio's terminal"}, 500)
