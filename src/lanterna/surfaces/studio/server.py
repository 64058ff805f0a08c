"""The studio's server: puts its parts together, and runs them until Ctrl-C."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import html
import re
import secrets
import signal
import socket
import subprocess
import sys
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from lanterna.errors import LanternaError, UsageError
from lanterna.files import atomic_write, make_private
from lanterna.settings import own_folders, studio_folder
from lanterna.surfaces.studio.connections import Connection
from lanterna.surfaces.studio.guard import Guard
from lanterna.surfaces.studio.routes import ROUTES, failures
from lanterna.surfaces.studio.routes.requests import Answer, Call
from lanterna.surfaces.studio.store import Store
from lanterna.surfaces.studio.studio import Studio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path
    from types import FrameType

    from starlette.requests import Request

PORT = 8765
_LINK = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={0}">
<title>Lanterna</title>
<p><a href="{0}">Open the studio</a></p>
"""
_MEDIA = {
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
    """The page's own files: those of the package, found once; nothing else has an address."""

    def __init__(self) -> None:
        root = files("lanterna.surfaces").joinpath("web")
        self._found: dict[str, Traversable] = {}
        self._walk(root, "")

    def _walk(self, folder: Traversable, name: str) -> None:
        for each in folder.iterdir():
            path = f"{name}{each.name}"
            if each.is_dir():
                self._walk(each, f"{path}/")
            elif any(path.endswith(suffix) for suffix in _MEDIA):
                self._found[path] = each

    def __contains__(self, path: str) -> bool:
        return path in self._found

    def read(self, path: str) -> bytes:
        """The bytes of a file. Errors: `KeyError` where there is none."""
        return self._found[path].read_bytes()

    async def answer(self, request: Request) -> Response:
        """A file, for good where the address has a version."""
        return self.response(request, request.path_params["path"])

    async def page(self, request: Request) -> Response:
        """The page."""
        return self.response(request, "studio/index.html")

    def response(self, request: Request, path: str) -> Response:
        """A file, unless the browser has it already."""
        content = self.read(path)
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        lasting = "max-age=31536000, immutable" if "v" in request.query_params else "no-cache"
        headers = {"etag": tag, "cache-control": f"private, {lasting}"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, 200, headers, _MEDIA[path[path.rindex(".") :]])

    def script_hashes(self) -> list[str]:
        """The hashes of scripts in the page itself (its import map), for the policy that forbids others."""
        if "studio/index.html" not in self:
            return []
        page = self.read("studio/index.html")
        scripts = re.findall(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", page, re.S)
        return [base64.b64encode(hashlib.sha256(each).digest()).decode() for each in scripts]


async def openapi(_: Request) -> Response:
    """This description."""

    def described() -> dict[str, Any]:
        from lanterna.surfaces.studio.openapi import description

        return description(API)

    return Answer(await asyncio.to_thread(described))


API = [*ROUTES, Call("/api/openapi.json", openapi, answer=dict[str, Any])]


def application(studio: Studio, web: Files) -> Starlette:
    """The routes, without their guard."""
    app = Starlette(
        routes=[Route("/", web.page), Route("/web/{path:path}", web.answer), *API],
        exception_handlers={
            LanternaError: failures.failed,
            KeyError: failures.not_there,
            HTTPException: failures.refused,
            Exception: failures.unexpected,
        },
        lifespan=studio.opened,
    )
    app.state.studio = studio
    return app


class _Server(uvicorn.Server):
    """uvicorn, whose event streams end when it is to end."""

    def __init__(self, config: uvicorn.Config, studio: Studio) -> None:
        super().__init__(config)
        self.studio = studio

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, because of Ctrl-C or a signal of the system."""
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
    """Run the studio until Ctrl-C. Once it can be reached, `opened` is told its address, token and all, and
    `browser` shows it.

    While it runs the address is also in `address_file()`, for other programs, and in a page beside it for the
    browser. Only this user can read them; a command line, such as the browser's, can be read by everybody.
    Errors: `UsageError` where the port is taken, the address is none of this machine, another studio is open
    on the same folder, or what is allowed is no origin.
    """
    place = studio_folder()
    origins = [_origin(each) for each in allow]
    for folder in own_folders():
        make_private(folder)
    Store(place).close()  # told before anything is opened
    listening = _socket(host or "127.0.0.1", port)
    port = listening.getsockname()[1]
    token = secrets.token_urlsafe(24)
    studio, web = Studio(place), Files()
    guard = Guard(
        application(studio, web), port=port, token=token, host=host, allowed=origins,
        script_hashes=web.script_hashes(),
    )  # fmt: skip
    config = uvicorn.Config(
        guard, loop="asyncio", http=Connection, ws="none", lifespan="on", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=3, timeout_keep_alive=30,
    )  # fmt: skip
    address = f"http://{_reached_at(host)}:{port}/?token={token}"
    server = _Server(config, studio)

    def begin() -> None:
        _write_down(address)
        opened(address)
        if browser is not None:
            browser()

    async def run() -> None:
        telling = asyncio.create_task(_when_started(server, begin))
        await server.serve([listening])
        telling.cancel()

    # uvicorn ends well on these, and then raises SIGTERM for whoever was there before it.
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
        raise LanternaError("the studio could not start: the lines above say why")


def _write_down(address: str) -> None:
    """Write the address where other programs of this user and the browser find it."""
    for place, text in ((address_file(), f"{address}\n"), (_link_file(), _LINK.format(html.escape(address)))):
        with atomic_write(place) as file:
            file.write_text(text, encoding="ascii")


def address_file() -> Path:
    """Where the address of the studio that is open is written, for other programs of this user."""
    return studio_folder() / "address.txt"


def open_browser(umask: int = -1) -> None:
    """Show the studio that is open in the browser, which goes on by itself, with its usual umask."""
    code = "import sys, webbrowser; webbrowser.open(sys.argv[1])"
    subprocess.Popen([sys.executable, "-Ic", code, _link_file().absolute().as_uri()], umask=umask)


def _link_file() -> Path:
    return studio_folder() / "open.html"


def open_address() -> str | None:
    """The address of the studio that is open on this folder, or None where there is none."""
    try:
        Store(studio_folder()).close()
    except UsageError:
        with contextlib.suppress(OSError):
            return address_file().read_text(encoding="ascii").strip() or None
    return None


def _reached_at(host: str | None) -> str:
    """The name by which a browser reaches what listens at `host`."""
    if host in ("0.0.0.0", "::"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect(("192.0.2.1", 9))  # sends nothing; the system says which way it would go
            return str(asking.getsockname()[0])
        host = None
    shown = host or "127.0.0.1"
    return f"[{shown}]" if ":" in shown else shown


def _origin(text: str) -> str:
    """A site by its origin, as browsers send it. Errors: `UsageError`."""
    parts = urlsplit(text)
    if parts.scheme in ("http", "https") and parts.netloc and text == f"{parts.scheme}://{parts.netloc}":
        return text.lower()
    raise UsageError(f"--allow: expected a site such as http://localhost:8000, with no path, got {text!r}")


async def _when_started(server: uvicorn.Server, then: Callable[[], object]) -> None:
    while not server.started:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(then)


def _socket(host: str, port: int | None) -> socket.socket:
    """A listening socket: at the port asked for, or the usual one, or any where that is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for wanted in [port] if port is not None else [PORT, 0]:
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, wanted))
        except (OSError, OverflowError, ValueError) as error:  # taken; no port; no name
            made.close()
            reason = getattr(error, "strerror", None) or str(error)
            if port is None and wanted:
                continue
            raise UsageError(
                f"the studio cannot listen at {host}:{wanted} ({reason}): --port gives another"
            ) from error
        made.listen(128)
        return made
    raise AssertionError
