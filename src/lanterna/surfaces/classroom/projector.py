"""The teacher's application: what the big screen shows, and the keys. It is served on this machine only."""

from __future__ import annotations

import io
import re
import sqlite3
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from lanterna.errors import LanternaError
from lanterna.surfaces.classroom.phones import not_written
from lanterna.surfaces.studio.messages import Body
from lanterna.surfaces.studio.routes import error_handlers
from lanterna.surfaces.studio.routes.look import PATH as LOOK_PATH
from lanterna.surfaces.studio.routes.requests import NO_STORE, ApiResponse, parsed_body

if TYPE_CHECKING:
    from starlette.requests import Request

    from lanterna.surfaces.classroom.room import Room
    from lanterna.surfaces.studio.server import Files

PAGE = "classroom/projector.html"
_PICTURES = re.compile("first|second|both|photograph|style-[0-9]{1,2}")


class Going(Body):
    """Whether to go on or back."""

    by: Literal[1, -1]


class Beginning(Body):
    """The kind of a new round."""

    kind: str


class Lock(Body):
    """Whether the room is locked."""

    locked: bool


class Question(Body):
    """The number of the question to ask."""

    number: int


class Seen(Body):
    """Whether a drawing is shown."""

    sight: Literal["shown", "hidden"]


def projector_app(room: Room, web: Files) -> Starlette:
    """Return the application for the teacher's page, without its guard."""
    app = Starlette(
        routes=[
            Route("/", web.page),
            Route("/web/{path:path}", web.answer),
            Route("/api/events", _events),
            Route("/api/code.svg", _code),
            Route("/api/go", _go, methods=["POST"]),
            Route("/api/begin", _begin, methods=["POST"]),
            Route("/api/lock", _lock, methods=["POST"]),
            Route("/api/question", _question, methods=["POST"]),
            Route("/api/show", _show, methods=["POST"]),
            Route("/api/drawings/{drawing:int}", _drawing, methods=["POST"]),
            Route("/api/pictures/{round:int}/{name}.jpg", _picture),
            Route(LOOK_PATH, _look),
        ],
        exception_handlers={
            LanternaError: error_handlers.lanterna_error,
            KeyError: error_handlers.not_found,
            sqlite3.Error: not_written,
            HTTPException: error_handlers.http_error,
            Exception: error_handlers.internal_error,
        },
    )
    app.state.room = room
    return app


async def _events(request: Request) -> Response:
    """Stream what the screen shows."""
    return StreamingResponse(_room(request).screen_events(), 200, NO_STORE, "text/event-stream")


async def _code(request: Request) -> Response:
    """Return the address with the code as a QR code."""
    room = _room(request)
    return Response(qr_code(f"{room.address}/#{room.code}"), 200, NO_STORE, "image/svg+xml")


@lru_cache(maxsize=1)
def qr_code(text: str) -> bytes:
    """Return a text as a QR code (ISO/IEC 18004), an SVG picture in dark on light with its quiet zone."""
    import segno

    file = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        file, kind="svg", xmldecl=False, border=4, dark="#101218", light="#ffffff"
    )
    return file.getvalue()


async def _go(request: Request) -> Response:
    _room(request).go((await parsed_body(request, Going)).by)
    return ApiResponse({})


async def _begin(request: Request) -> Response:
    _room(request).begin((await parsed_body(request, Beginning)).kind)
    return ApiResponse({})


async def _lock(request: Request) -> Response:
    _room(request).lock(locked=(await parsed_body(request, Lock)).locked)
    return ApiResponse({})


async def _question(request: Request) -> Response:
    room, number = _room(request), (await parsed_body(request, Question)).number
    if not 0 <= number < len(room.questions()):
        raise KeyError(number)
    room.ask(number)
    return ApiResponse({})


async def _show(request: Request) -> Response:
    """Show all drawings that wait."""
    _room(request).show_waiting()
    return ApiResponse({})


async def _drawing(request: Request) -> Response:
    sight = (await parsed_body(request, Seen)).sight
    _room(request).set_sight(request.path_params["drawing"], sight)
    return ApiResponse({})


async def _picture(request: Request) -> Response:
    values: dict[str, Any] = request.path_params
    if not _PICTURES.fullmatch(values["name"]):
        raise KeyError(values["name"])
    content = _room(request).file.read(values["round"], f"{values['name']}.jpg")
    return Response(content, 200, NO_STORE, "image/jpeg")


async def _look(request: Request) -> Response:
    """Return the look page of a drawing, which the guard serves in a sandbox."""
    number = request.query_params.get("drawing", "")
    if not (number.isascii() and number.isdecimal() and len(number) < 12):
        raise KeyError(number)
    return HTMLResponse(await _room(request).look(int(number)), headers=NO_STORE)


def _room(request: Request) -> Room:
    room: Room = request.app.state.room
    return room
