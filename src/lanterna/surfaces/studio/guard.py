"""Who may come in: pure ASGI, before anything else sees a request.

A page of another site must not reach the studio through the browser of the person in front of it. DNS
rebinding fails because the Host is none of ours; a form or script of another site fails because its Origin
or Sec-Fetch-Site says so. Everything but the page's own files, which hold nothing of anybody's, is for those
who know the token or have a session: other programs send the token, as a page of a site that was allowed by
name does; the browser in front of the person has a session.

A session is a cookie at a secret path. Browsers send a cookie to every server of a host, whatever its port,
and another server of this machine may be somebody else's. So the cookie is bound to a path that only the
browser knows, and is worth nothing at any other path, nor as the token. Cookie and path end with the studio.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import re
import secrets
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException

from lanterna.surfaces.studio.routes.looking import PATH as LOOK_PATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PICTURE_BYTES = 64 * 2**20
"""The most bytes of a picture that is sent."""

# By the beginning of the path: the most bytes of a body, and the seconds that it may take to arrive.
_BODIES = {
    "/api/pictures": (PICTURE_BYTES, 120.0),
    "/api/classify": (PICTURE_BYTES, 30.0),
    "/api/read": (8 * 2**20, 15.0),
    "": (2**18, 10.0),
}
# As RFC 9110, section 7.2, has it, with no more than names have.
_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f.]*:[0-9a-f:.]*\])(:(?P<port>[0-9]{1,5}))?")
_CLOSE = {"connection": "close"}  # what is still being sent is not read
_SAFE = ("GET", "HEAD")
_COOKIE = "lanterna"
# A look has its scripts inside: they run in a sandbox that has no origin, and reach nothing.
_OF_LOOK = (
    b"content-security-policy",
    b"sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' data:; "
    b"style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'self'",
)


class Guard:
    """Lets in who may, and puts the headers on what goes out.

    `port` is ours, `token` what other programs must know. With `host`, which is that of `--host`, the studio
    goes by that name, this machine's, and any address of numbers. `allowed` are origins of other sites whose
    pages may use the API with the token (CORS, https://fetch.spec.whatwg.org). `script_hashes` are of the
    scripts that the page itself contains.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        port: int,
        token: str,
        host: str | None = None,
        allowed: Iterable[str] = (),
        script_hashes: Iterable[str] = (),
        bodies: Mapping[str, tuple[int, float]] | None = None,
    ) -> None:
        self.app, self.port, self.token, self.open_to_others = app, port, token, host is not None
        self.names = (
            {"localhost"} if host is None else {"localhost", host.lower(), socket.gethostname().lower()}
        )
        self.allowed = set(allowed)
        self.bodies = _BODIES if bodies is None else bodies
        self.door, self.session = f"/{secrets.token_urlsafe(16)}", secrets.token_urlsafe(24)
        scripts = " ".join(f"'sha256-{each}'" for each in script_hashes)
        policy = (
            "default-src 'none'; "
            f"script-src 'self' {scripts}; style-src 'self'; img-src 'self' blob: data:; "
            "media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; font-src 'self'; "
            "manifest-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        self.policy = (b"content-security-policy", policy.encode())
        self.headers = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return None

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        at_the_door = scope["path"].startswith(f"{self.door}/")
        if at_the_door:
            scope = {**scope, "path": scope["path"][len(self.door) :]}
        guest = headers["origin"] if headers.get("origin") in self.allowed else None

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = _OF_LOOK if scope["path"] == LOOK_PATH else self.policy
                cors = _for_a_guest(guest) if guest else ()
                message["headers"] = [*message.get("headers", ()), policy, *self.headers, *cors]
            await send(message)

        if guest and scope["method"] == "OPTIONS" and self._is_ours(headers.get("host", "")):
            await sealed({"type": "http.response.start", "status": 204})  # what the browser asks first
            return await sealed({"type": "http.response.body", "body": b""})
        known = self._is_bearer(headers) or (at_the_door and self._has_session(headers))
        problem = self._problem(scope, headers, guest, known=known)
        if problem is not None:
            return await _refuse(sealed, *problem)
        if known and "admit" in scope.get("state", {}):
            scope["state"]["admit"]()
        if scope["path"] == "/" and b"token=" in scope["query_string"]:
            return await self._welcome(scope, sealed)
        if scope["method"] in _SAFE:
            return await self.app(scope, receive, sealed)
        return await self._with_body(scope, headers, receive, sealed)

    def _problem(
        self, scope: Scope, headers: dict[str, str], guest: str | None, *, known: bool
    ) -> tuple[int, str] | None:
        if not self._is_ours(headers.get("host", "")):
            return 403, (
                "the studio is asked for by another name than its own: open the link that its terminal shows "
                "(through a tunnel, with the same port at both ends)"
            )
        if guest is not None:
            if self._is_bearer(headers):
                return None
            return 401, "a page of another site sends the studio's token with each request, as a bearer"
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and origin != f"http://{headers['host']}":
            return 403, "a page of another site cannot use the studio"
        navigates = scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("same-origin", "none") and not (navigates and scope["method"] in _SAFE):
            return 403, "a page of another site cannot use the studio"
        if scope["method"] in _SAFE and (scope["path"] == "/" or scope["path"].startswith("/web/")):
            return None  # the page and its files; whatever else there will ever be is not for anybody
        if known:
            return None
        return 401, (
            "the studio's token is missing or wrong: open the link that its terminal shows, "
            "or send the token in it as Authorization: Bearer"
        )

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header is one of our names. An address of numbers cannot be rebound."""
        parts = _HOST.fullmatch(host.lower())
        if parts is None or int(parts["port"] or 80) != self.port:
            return False
        if parts["name"] in self.names:
            return True
        try:
            address = ipaddress.ip_address(parts["name"].strip("[]"))
        except ValueError:
            return False
        return address.is_loopback or self.open_to_others

    def _is_bearer(self, headers: dict[str, str]) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self._is_token(given.strip())

    def _has_session(self, headers: dict[str, str]) -> bool:
        """Whether one of the cookies is ours: another server of this host may have set more of that name."""
        cookies = (each.strip().partition("=") for each in headers.get("cookie", "").split(";"))
        return any(_same(value, self.session) for name, _, value in cookies if name == _COOKIE)

    def _is_token(self, given: str) -> bool:
        return _same(given, self.token)

    async def _welcome(self, scope: Scope, send: Send) -> None:
        """Turn the token of the printed link into a session, so that it does not stay in the address."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not self._is_token(given):
            return await _refuse(
                send, 401, "the token is wrong: open the link that the studio's terminal shows"
            )
        place = f"{self.door}/"
        cookie = f"{_COOKIE}={self.session}; Path={place}; HttpOnly; SameSite=Strict"
        headers = [
            (b"location", place.encode()),
            (b"set-cookie", cookie.encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        return await send({"type": "http.response.body", "body": b""})

    async def _with_body(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        """Let a body through as far as its limits go: in bytes, told or not, and in seconds."""
        most, seconds = next(limit for path, limit in self.bodies.items() if scope["path"].startswith(path))
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > most:
            return await _refuse(send, 413, f"at most {_size(most)} can be sent here")
        until, came, whole = time.monotonic() + seconds, 0, False

        async def limited() -> Message:
            nonlocal came, whole
            try:
                # Once all of it is here, what is waited for is that the client goes.
                async with asyncio.timeout(None if whole else until - time.monotonic()):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"it did not arrive within {seconds:.0f} seconds", _CLOSE) from None
            if message["type"] == "http.request":
                came += len(message.get("body", b""))
                whole = not message.get("more_body", False)
                if came > most:
                    raise HTTPException(413, f"at most {_size(most)} can be sent here", _CLOSE)
            return message

        return await self.app(scope, limited, send)


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def _for_a_guest(origin: str) -> list[tuple[bytes, bytes]]:
    """What lets a page of another site read an answer; browsers ask apart for a machine's own network."""
    return [
        (b"access-control-allow-origin", origin.encode()),
        (b"access-control-allow-headers", b"authorization, content-type, last-event-id"),
        (b"access-control-allow-methods", b"GET, POST, PATCH, DELETE"),
        (b"access-control-allow-private-network", b"true"),
        (b"access-control-max-age", b"600"),
        (b"vary", b"origin"),
    ]


def _size(count: int) -> str:
    return f"{count // 2**20} MB" if count >= 2**20 else f"{count // 2**10} kB"


async def _refuse(send: Send, status: int, words: str) -> None:
    body = json.dumps({"error": words}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
