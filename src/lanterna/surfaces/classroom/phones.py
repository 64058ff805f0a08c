"""The phones' application: strokes, votes and nicknames come in, the task goes out; there is nothing else.

It listens on the local network, so it trusts nobody. `Gate` checks the host, the origin, the size and the
time of a request before anything else; a phone is known by a cookie with a random id, which it gets for the
code on the screen.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from lanterna.errors import LanternaError, UsageError
from lanterna.surfaces.classroom.class_file import MAX_POINTS, MAX_STROKES, NAME
from lanterna.surfaces.classroom.room import PHONES, Allowance
from lanterna.surfaces.studio.connections import Connection
from lanterna.surfaces.studio.guard import Hosts, refuse
from lanterna.surfaces.studio.messages import Body, title_of
from lanterna.surfaces.studio.routes import error_handlers
from lanterna.surfaces.studio.routes.requests import ApiResponse, parsed_body

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lanterna.surfaces.classroom.room import Phone, Room
    from lanterna.surfaces.studio.server import Files

_COOKIE, _COOKIE_SECONDS = "lanterna-class", 12 * 3600
_MAX_BYTES, _SECONDS = 16_384, 5.0  # of a request's body
_FILLERS = "\u115f\u1160\u3164\uffa0"  # letters that are not seen
_FILES = {"/": "phone.html", "/phone.js": "phone.js", "/phone.css": "phone.css", "/theme.css": "../theme.css"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]

_Level = Annotated[int, Field(ge=0, le=255)]
_Number = Annotated[int, Field(ge=0, le=10**9)]


class Joining(Body):
    """The code on the screen; empty if the phone has joined before."""

    code: str = Field(default="", max_length=8)


class Name(Body):
    """A nickname, and whether it may be saved with the drawings."""

    name: str = Field(min_length=1, max_length=NAME)
    agreed: bool


class Drawn(Body):
    """A drawing. Its `key` is random: sent again, it is the same drawing."""

    key: str = Field(pattern="^[0-9a-f]{8,32}$", max_length=32)
    round: _Number
    step: _Number
    asked: Annotated[int, Field(ge=0, le=9)] | None = None
    strokes: list[Annotated[list[_Level], Field(min_length=2, max_length=2 * MAX_POINTS)]] = Field(
        min_length=1, max_length=MAX_STROKES
    )


class Vote(Body):
    """What a phone chose."""

    round: _Number
    choices: list[Annotated[int, Field(ge=0, le=99)]] = Field(max_length=12)


def phones_app(room: Room, web: Files, *, port: int, host: str | None = None) -> ASGIApp:
    """Return the application for phones, with its gate."""
    app = Starlette(
        routes=[
            *(Route(path, _file, methods=["GET"]) for path in _FILES),
            Route("/join", _join, methods=["POST"]),
            Route("/name", _name, methods=["POST"]),
            Route("/draw", _draw, methods=["POST"]),
            Route("/vote", _vote, methods=["POST"]),
            Route("/events", _events, methods=["GET"]),
        ],
        exception_handlers={
            LanternaError: error_handlers.lanterna_error,
            HTTPException: _http_error,
            sqlite3.Error: not_written,
            Exception: error_handlers.internal_error,
        },
    )
    app.state.room, app.state.web, app.state.guesses = room, web, _ByAddress(1 / 3, 20)
    app.state.joins = _ByAddress(1 / 2, PHONES)
    return Gate(app, Hosts(port, host, open_to_others=True))


async def _file(request: Request) -> Response:
    name = _FILES[request.url.path]
    path = name.removeprefix("../") if name.startswith("../") else f"classroom/{name}"
    response: Response = request.app.state.web.response(request, path)
    return response


async def _join(request: Request) -> Response:
    """Join with the code, or come back with the cookie."""
    body, room = await parsed_body(request, Joining), _room(request)
    guesses, joins = request.app.state.guesses, request.app.state.joins
    address = request.client.host if request.client else ""
    secret = request.cookies.get(_COOKIE)
    if room.phone(secret) is None:
        guesses.check(address, "too many wrong codes: wait a moment")
        joins.check(address, "too many join from this address: wait a moment")
    try:
        phone, new = room.join(body.code, secret)
    except HTTPException as error:
        if body.code and error.status_code == 403 and not room.locked:
            guesses.add(address)
        raise
    _keep_open(request)
    response = ApiResponse({"names": room.names, "named": phone.number in room.called})
    if new is not None:
        joins.add(address)
        response.set_cookie(_COOKIE, new, max_age=_COOKIE_SECONDS, path="/", httponly=True, samesite="strict")
    return response


async def _name(request: Request) -> Response:
    """Save a nickname if the teacher asked for names and the phone agreed."""
    phone, body = _phone(request), await parsed_body(request, Name)
    if not phone.votes.take():
        raise HTTPException(429, "that was quick: wait a moment")
    name = title_of(body.name).strip()
    if not any(c.isalnum() and c not in _FILLERS for c in name):
        raise UsageError("name: expected at least one letter or digit")
    if body.agreed:
        _room(request).name(phone, name)
    return ApiResponse({})


async def _draw(request: Request) -> Response:
    """Save a drawing, and answer once it is on the disk."""
    phone, body = _phone(request), await parsed_body(request, Drawn)
    if any(len(stroke) % 2 for stroke in body.strokes):
        raise UsageError("strokes: expected x, y, x, y …")
    if (points := sum(map(len, body.strokes)) // 2) > MAX_POINTS:
        raise UsageError(f"strokes: expected at most {MAX_POINTS} points, got {points}")
    _room(request).draw(phone, body.key, body.round, body.step, body.asked, body.strokes)
    return ApiResponse({})


async def _vote(request: Request) -> Response:
    """Save a vote, instead of the one before."""
    phone, body = _phone(request), await parsed_body(request, Vote)
    _room(request).vote(phone, body.round, body.choices)
    return ApiResponse({})


async def _events(request: Request) -> Response:
    """Stream what the phone is to show."""
    events = _room(request).phone_events(_phone(request))
    return StreamingResponse(events, 200, {"cache-control": "no-store"}, "text/event-stream")


async def not_written(_: Request, error: Exception) -> Response:
    """Return 503 if the class's file cannot be written; a phone then sends its drawing again."""
    return ApiResponse({"error": f"the class's file cannot be written: {error}"}, 503)


async def _http_error(request: Request, error: Exception) -> Response:
    """Return an error as one line of JSON."""
    assert isinstance(error, HTTPException)
    words = {404: "not found", 405: "method not allowed"}
    del request
    response = ApiResponse({"error": words.get(error.status_code, error.detail)}, error.status_code)
    response.headers.update(error.headers or {})
    return response


def _room(request: Request) -> Room:
    room: Room = request.app.state.room
    return room


def _phone(request: Request) -> Phone:
    """Return the phone that sent the request. Errors: 401 if it has not joined."""
    phone = _room(request).phone(request.cookies.get(_COOKIE))
    if phone is None:
        raise HTTPException(401, "join first, with the code on the big screen")
    _keep_open(request)
    return phone


def _keep_open(request: Request) -> None:
    """Never close the connection of a phone that has joined for another."""
    if "authenticated" in request.scope.get("state", {}):
        request.scope["state"]["authenticated"]()


class _ByAddress:
    """What each address may still do: wrong codes, of 160,000 that there are, and joining.

    A whole class may have one address, so a full room can join from it at once.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._left: OrderedDict[str, Allowance] = OrderedDict()

    def check(self, address: str, words: str) -> None:
        """Refuse an address that has nothing left. Errors: 429."""
        left = self._left.get(address)
        if left is not None and not left.available():
            raise HTTPException(429, words, {"retry-after": "3"})

    def add(self, address: str) -> None:
        """Use one."""
        self._left.setdefault(address, Allowance(self._rate, self._burst)).take()
        self._left.move_to_end(address)
        if len(self._left) > 1000:
            self._left.popitem(last=False)


class PhoneConnection(Connection):
    """A phone's connection: more of them may be open than of the studio's, as a whole class has one address
    behind some access points. One that has joined is never closed for another.
    """

    max_per_address, max_total = 300, 400
    _anonymous: ClassVar[dict[Connection, str]] = {}


class Gate:
    """Refuses what no phone's page sends: another host or origin, a large or a slow body."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on with its body."""
        if scope["type"] != "http":
            return None

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if not self.hosts.owns(headers.get("host", "")):
            return await refuse(send_secured, 403, "this is not the address on the big screen")
        if origin not in (None, f"http://{headers['host']}") or (
            site not in ("same-origin", "none") and scope["method"] != "GET"
        ):
            return await refuse(send_secured, 403, "a page of another site cannot take part")
        if scope["method"] in ("GET", "HEAD"):
            return await self.app(scope, receive, send_secured)
        try:
            async with asyncio.timeout(_SECONDS):
                body = await _whole_body(headers, receive)
        except TimeoutError:
            return await refuse(send_secured, 408, f"the body did not arrive within {_SECONDS:.0f} seconds")
        if body is None:
            return await refuse(send_secured, 413, f"the body is too large: expected {_MAX_BYTES >> 10} kB")
        pending = [{"type": "http.request", "body": body}]

        async def receive_whole() -> Message:
            return pending.pop() if pending else await receive()

        return await self.app(scope, receive_whole, send_secured)


async def _whole_body(headers: dict[str, str], receive: Receive) -> bytes | None:
    """Return a request's body, or None if it is too large."""
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > _MAX_BYTES:
        return None
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _MAX_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)
