"""Access control: ASGI middleware that runs before anything else.

A page of another site must not reach the studio through the user's browser. DNS rebinding fails because of
the Host header; a form or script of another site fails because of its Origin or Sec-Fetch-Site header. Only
the page's static files, which contain no user data, are public. Everything else requires the token or a
session: programs and the pages of allowed sites send the token, the user's own browser has a session.

A session is a cookie at a secret path. Browsers send a cookie to every server of a host, whatever its port,
and another server on this machine may belong to somebody else. So the cookie is bound to a path that only
the browser knows: it is worthless at any other path, and as a token. Token and session stay valid when the
studio is started again (`access.py`), unless it is open to other machines.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import re
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException

from lanterna.surfaces.studio.routes.look import PATH as LOOK_PATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lanterna.surfaces.studio.access import Access

PICTURE_BYTES = 64 * 2**20
"""The maximum size of an uploaded picture."""

# By path prefix: the maximum bytes of a body, and the seconds that it may take to arrive.
_BODIES = {
    "/api/pictures": (PICTURE_BYTES, 120.0),
    "/api/classify": (PICTURE_BYTES, 30.0),
    "/api/read": (8 * 2**20, 15.0),
    "": (2**18, 10.0),
}
# RFC 9110, section 7.2, limited to the characters of host names.
_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f.]*:[0-9a-f:.]*\])(:(?P<port>[0-9]{1,5}))?")
_CLOSE = {"connection": "close"}  # the rest of the body is not read
_SAFE = ("GET", "HEAD")
_COOKIE = "lanterna"
_COOKIE_SECONDS = 30 * 86_400
# A look page has inline scripts: they run in a sandbox without an origin, and cannot reach the API.
_LOOK_POLICY = (
    b"content-security-policy",
    b"sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' data:; "
    b"style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'self'",
)


class Hosts:
    """The names of this server: at `port`, for this machine only, or also for others.

    `host` is a name that it was given, besides this machine's own.
    """

    def __init__(self, port: int, host: str | None, *, open_to_others: bool) -> None:
        self.port, self.open_to_others = port, open_to_others
        own = socket.gethostname().lower()
        self.names = {"localhost", *((own, f"{own}.local") if open_to_others else ())}
        self.names |= {host.lower()} if host is not None else set()

    def owns(self, host: str) -> bool:
        """Return whether a Host header is one of our names. An IP address cannot be rebound by DNS."""
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


class Guard:
    """Authenticates requests, and adds the security headers to responses.

    `port` is the studio's own, `access` its secrets. With `host`, the value of `--host`, the
    studio accepts that name, this machine's name, and any IP address as Host. `allowed` are origins of other
    sites whose pages may use the API with the token (CORS, https://fetch.spec.whatwg.org). `script_hashes`
    are the hashes of the page's inline scripts.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        port: int,
        access: Access,
        host: str | None = None,
        allowed: Iterable[str] = (),
        script_hashes: Iterable[str] = (),
        bodies: Mapping[str, tuple[int, float]] | None = None,
    ) -> None:
        self.app, self.access = app, access
        self.hosts = Hosts(port, host, open_to_others=host is not None)
        self.allowed = set(allowed)
        self.bodies = _BODIES if bodies is None else bodies
        self.session_path = f"/{access.path}"
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
        """Refuse a request, or pass it on to the app."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return None

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        at_session_path = scope["path"].startswith(f"{self.session_path}/")
        if at_session_path:
            scope = {**scope, "path": scope["path"][len(self.session_path) :]}
        allowed_origin = headers["origin"] if headers.get("origin") in self.allowed else None

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = _LOOK_POLICY if scope["path"].startswith(LOOK_PATH) else self.policy
                cors = _cors_headers(allowed_origin) if allowed_origin else ()
                message["headers"] = [*message.get("headers", ()), policy, *self.headers, *cors]
            await send(message)

        if allowed_origin and scope["method"] == "OPTIONS" and self.hosts.owns(headers.get("host", "")):
            await send_secured({"type": "http.response.start", "status": 204})  # the CORS preflight
            return await send_secured({"type": "http.response.body", "body": b""})
        authenticated = self._is_bearer(headers) or (at_session_path and self._has_session(headers))
        refusal = self._refusal(scope, headers, allowed_origin, authenticated=authenticated)
        if refusal is not None:
            return await refuse(send_secured, *refusal)
        if authenticated and "authenticated" in scope.get("state", {}):
            scope["state"]["authenticated"]()
        if scope["path"] == "/" and b"token=" in scope["query_string"]:
            return await self._start_session(scope, send_secured)
        if scope["method"] in _SAFE:
            return await self.app(scope, receive, send_secured)
        return await self._limit_body(scope, headers, receive, send_secured)

    def _refusal(
        self, scope: Scope, headers: dict[str, str], allowed_origin: str | None, *, authenticated: bool
    ) -> tuple[int, str] | None:
        if not self.hosts.owns(headers.get("host", "")):
            return 403, (
                "the studio does not accept this host name: open the link that its terminal shows "
                "(through a tunnel, use the same port at both ends)"
            )
        if allowed_origin is not None:
            if self._is_bearer(headers):
                return None
            return 401, (
                "a page of another site has to send the studio's token with each request, "
                "as Authorization: Bearer"
            )
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and origin != f"http://{headers['host']}":
            return 403, "a page of another site cannot use the studio"
        navigates = scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("same-origin", "none") and not (navigates and scope["method"] in _SAFE):
            return 403, "a page of another site cannot use the studio"
        path, shows = scope["path"], "text/html" in headers.get("accept", "")
        public = path == "/" or path.startswith("/web/") or (shows and "/api/" not in path)
        if scope["method"] in _SAFE and public:
            return None  # the page, its static files, and what a browser shows for mistyped addresses
        if authenticated:
            return None
        return 401, (
            "the studio's token is missing or wrong: open the link that its terminal shows, "
            "or send the link's token as Authorization: Bearer"
        )

    def _is_bearer(self, headers: dict[str, str]) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self._is_token(given.strip())

    def _has_session(self, headers: dict[str, str]) -> bool:
        """Return whether one of the cookies is ours: another server on this host may set the same name."""
        cookies = (each.strip().partition("=") for each in headers.get("cookie", "").split(";"))
        return any(_same(value, self.access.cookie) for name, _, value in cookies if name == _COOKIE)

    def _is_token(self, given: str) -> bool:
        return _same(given, self.access.token)

    async def _start_session(self, scope: Scope, send: Send) -> None:
        """Exchange the printed link's token for a session, so that it does not stay in the URL."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not self._is_token(given):
            return await refuse(
                send, 401, "the token is wrong: open the link that the studio's terminal shows"
            )
        path = f"{self.session_path}/"
        cookie = f"{_COOKIE}={self.access.cookie}; Path={path}; Max-Age={_COOKIE_SECONDS}"
        cookie += "; HttpOnly; SameSite=Strict"
        headers = [
            (b"location", path.encode()),
            (b"set-cookie", cookie.encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        return await send({"type": "http.response.body", "body": b""})

    async def _limit_body(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        """Pass on the body within its limits: in bytes, announced or not, and in seconds."""
        limit, seconds = next(limit for path, limit in self.bodies.items() if scope["path"].startswith(path))
        too_large = f"the body is too large: expected at most {_size(limit)}"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            return await refuse(send, 413, too_large)
        deadline, received, complete = time.monotonic() + seconds, 0, False

        async def receive_limited() -> Message:
            nonlocal received, complete
            try:
                # Once the body is complete, `receive` waits for the client to disconnect.
                async with asyncio.timeout(None if complete else deadline - time.monotonic()):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408, f"the body did not arrive within {seconds:.0f} seconds", _CLOSE
                ) from None
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if received > limit:
                    raise HTTPException(
                        413, f"the body is too large: expected at most {_size(limit)}", _CLOSE
                    )
            return message

        return await self.app(scope, receive_limited, send)


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def _cors_headers(origin: str) -> list[tuple[bytes, bytes]]:
    """Return the headers that let a page of an allowed site read a response, also from a private network."""
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


async def refuse(send: Send, status: int, message: str) -> None:
    """Answer with an error as one line of JSON, and close the connection."""
    body = json.dumps({"error": message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
