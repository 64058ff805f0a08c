"""The studio's server: assembles the parts, and runs them until Ctrl-C."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import hashlib
import html
import re
import signal
import socket
import subprocess
import sys
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from lanterna.errors import LanternaError, UsageError
from lanterna.files import atomic_write, make_private
from lanterna.settings import own_folders, studio_folder
from lanterna.surfaces.studio.access import Access, saved_access
from lanterna.surfaces.studio.connections import Connection
from lanterna.surfaces.studio.guard import Guard
from lanterna.surfaces.studio.routes import ROUTES, error_handlers
from lanterna.surfaces.studio.routes.requests import ApiResponse, ApiRoute
from lanterna.surfaces.studio.store import Store
from lanterna.surfaces.studio.studio import Studio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path
    from types import FrameType

    from starlette.requests import Request
    from starlette.types import ASGIApp

PORT = 8765
_LINK_PAGE = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={0}">
<title>Lanterna</title>
<p><a href="{0}">Open the page</a></p>
"""
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}


class Files:
    """The static files of a page: those of the package, listed once; no other file is ever served."""

    def __init__(self, page: str = "studio/index.html") -> None:
        self._page = page
        root = files("lanterna.surfaces").joinpath("web")
        self._found: dict[str, Traversable] = {}
        self._walk(root, "")

    def _walk(self, folder: Traversable, name: str) -> None:
        for each in folder.iterdir():
            path = f"{name}{each.name}"
            if each.is_dir():
                self._walk(each, f"{path}/")
            elif any(path.endswith(suffix) for suffix in _MEDIA_TYPES):
                self._found[path] = each

    def __contains__(self, path: str) -> bool:
        return path in self._found

    def read(self, path: str) -> bytes:
        """Return the bytes of a file. Errors: `KeyError` if there is none."""
        return self._found[path].read_bytes()

    async def answer(self, request: Request) -> Response:
        """Serve a file; with a version in its URL it is cached for good."""
        return self.response(request, request.path_params["path"])

    async def page(self, request: Request) -> Response:
        """Serve the page."""
        return self.response(request, self._page)

    def response(self, request: Request, path: str) -> Response:
        """Return a file, or 304 if the browser has it already."""
        content = self.read(path)
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        caching = "max-age=31536000, immutable" if "v" in request.query_params else "no-cache"
        headers = {"etag": tag, "cache-control": f"private, {caching}"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, 200, headers, _MEDIA_TYPES[path[path.rindex(".") :]])

    def script_hashes(self) -> list[str]:
        """Return the hashes of the page's inline scripts (its import map), for the security policy."""
        if self._page not in self:
            return []
        page = self.read(self._page)
        scripts = re.findall(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", page, re.S)
        return [base64.b64encode(hashlib.sha256(each).digest()).decode() for each in scripts]


async def openapi(_: Request) -> Response:
    """Return this description."""

    def describe() -> dict[str, Any]:
        from lanterna.surfaces.studio.openapi import description

        return description(API)

    return ApiResponse(await asyncio.to_thread(describe))


API = [*ROUTES, ApiRoute("/api/openapi.json", openapi, answer=dict[str, Any])]


def application(studio: Studio, web: Files) -> Starlette:
    """Return the app without its guard."""
    app = Starlette(
        routes=[Route("/", web.page), Route("/web/{path:path}", web.answer), *API],
        exception_handlers={
            LanternaError: error_handlers.lanterna_error,
            KeyError: error_handlers.not_found,
            HTTPException: error_handlers.http_error,
            Exception: error_handlers.internal_error,
        },
        lifespan=studio.lifespan,
    )
    app.state.studio = studio
    return app


def server_config(
    app: ASGIApp, connection: type[Connection], *, lifespan: Literal["on", "off"], timeout_keep_alive: int
) -> uvicorn.Config:
    """Return the settings of a server that says nothing of its own, and trusts no proxy."""
    return uvicorn.Config(
        app, loop="asyncio", http=connection, ws="none", lifespan=lifespan, log_config=None,
        log_level="error",  # anybody on the network can send what it would warn of
        access_log=False, server_header=False, proxy_headers=False, timeout_graceful_shutdown=3,
        timeout_keep_alive=timeout_keep_alive,
    )  # fmt: skip


class _Server(uvicorn.Server):
    """A uvicorn server that ends its event streams when it stops."""

    def __init__(self, config: uvicorn.Config, studio: Studio) -> None:
        super().__init__(config)
        self.studio = studio

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop on Ctrl-C or another signal."""
        self.studio.close_streams()
        super().handle_exit(sig, frame)


def serve(
    *,
    port: int | None = None,
    host: str | None = None,
    allow: Sequence[str] = (),
    browser: Callable[[], object] | None = None,
    opened: Callable[[str], object] = print,
) -> None:
    """Run the studio until Ctrl-C. Once it accepts connections, call `opened` with its URL, token included,
    then `browser`.

    While it runs the URL is also in `address_file()`, for other programs, and in an HTML file next to it for
    the browser. Only this user can read them, whereas every user can read the browser's command line.
    Errors: `UsageError` if the port is taken, the address does not belong to this machine, another studio is
    open on the same folder, or an allowed site is not an origin.
    """
    folder = studio_folder()
    origins = [_origin(each) for each in allow]
    for own in own_folders():
        make_private(own)
    Store(folder).close()  # refuses a second studio before anything is opened
    listening = listening_socket(host or "127.0.0.1", port)
    port = listening.getsockname()[1]
    # Over a network the token travels unencrypted, so there it is valid for one run only.
    access = Access() if host else saved_access(folder)
    studio, web = Studio(folder), Files()
    guard = Guard(
        application(studio, web), port=port, access=access, host=host, allowed=origins,
        script_hashes=web.script_hashes(),
    )  # fmt: skip
    config = server_config(guard, Connection, lifespan="on", timeout_keep_alive=30)
    address = f"http://{url_host(host)}:{port}/?token={access.token}"
    server = _Server(config, studio)

    def begin() -> None:
        _write_address(address)
        opened(address)
        if browser is not None:
            browser()
            from lanterna.surfaces.studio.describe import studio_description

            studio_description()  # the page asks for it first: import torch while the browser starts

    async def run() -> None:
        announcing = asyncio.create_task(_when_started(server, begin))
        await server.serve([listening])
        announcing.cancel()

    # uvicorn shuts down on these signals, and then raises SIGTERM again for the previous handler.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, server.handle_exit)  # its terminal is closed
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(run())
    finally:
        address_file().unlink(missing_ok=True)
        _link_file().unlink(missing_ok=True)
    if not server.started:
        raise LanternaError("the studio could not start: see the lines above")


def _write_address(address: str) -> None:
    """Write the URL to the files for other programs of this user and for the browser."""
    with atomic_write(address_file()) as file:
        file.write_text(f"{address}\n", encoding="ascii")
    write_link(_link_file(), address)


def write_link(path: Path, address: str) -> None:
    """Write an HTML file that leads the browser to a URL."""
    with atomic_write(path) as file:
        file.write_text(_LINK_PAGE.format(html.escape(address)), encoding="ascii")


def address_file() -> Path:
    """Return the file with the open studio's URL, for other programs of this user."""
    return studio_folder() / "address.txt"


def open_browser(umask: int = -1, link: Path | None = None) -> None:
    """Show the open studio (or what `link` leads to) in the browser, a detached process with this umask."""
    code = "import sys, webbrowser; webbrowser.open(sys.argv[1])"
    subprocess.Popen([sys.executable, "-Ic", code, (link or _link_file()).absolute().as_uri()], umask=umask)


def _link_file() -> Path:
    return studio_folder() / "open.html"


def open_address() -> str | None:
    """Return the URL of the studio that is open on this folder, or None."""
    try:
        Store(studio_folder()).close()
    except UsageError:
        with contextlib.suppress(OSError):
            return address_file().read_text(encoding="ascii").strip() or None
    return None


def url_host(host: str | None) -> str:
    """Return the host name for the URL of a server that listens at `host`."""
    if host in ("0.0.0.0", "::"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing: only asks the system for its outgoing address
            return str(probe.getsockname()[0])
        host = None
    name = host or "127.0.0.1"
    return f"[{name}]" if ":" in name else name


def _origin(text: str) -> str:
    """Validate a site's origin, as browsers send it. Errors: `UsageError`."""
    parts = urlsplit(text)
    if parts.scheme in ("http", "https") and parts.netloc and text == f"{parts.scheme}://{parts.netloc}":
        return text.lower()
    raise UsageError(f"--allow: expected a site such as http://localhost:8000, with no path, got {text!r}")


async def _when_started(server: uvicorn.Server, then: Callable[[], object]) -> None:
    while not server.started:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(then)


def listening_socket(
    host: str, port: int | None, *, default: int = PORT, what: str = "the studio"
) -> socket.socket:
    """Return a listening socket: at the given port, or the default one, or any free one if that is taken.

    Errors: `UsageError`, saying `what` cannot listen.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in [port] if port is not None else [default, 0]:
        # With its protocol, so that asyncio sets TCP_NODELAY: else answers wait 40 ms for an acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
        except (OSError, OverflowError, ValueError) as error:  # port taken; no such port; no such host
            listener.close()
            reason = getattr(error, "strerror", None) or str(error)
            if isinstance(error, OverflowError):
                raise UsageError(f"--port: expected 0 to 65535, got {candidate}") from error
            if isinstance(error, (socket.gaierror, ValueError)):
                raise UsageError(f"--host: expected an address of this machine, got {host!r}") from error
            if error.errno == errno.EADDRNOTAVAIL:
                raise UsageError(
                    f"--host: {what} cannot listen at {host} ({reason}): give an address of this machine"
                ) from error
            if port is None and candidate:
                continue
            raise UsageError(
                f"{what} cannot listen at {host}:{candidate} ({reason}): choose another --port"
            ) from error
        listener.listen(128)
        return listener
    raise AssertionError
