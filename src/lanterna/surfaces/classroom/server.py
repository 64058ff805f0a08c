"""A class's two servers on one event loop: for the phones on the network, for the screen on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

import uvicorn

from lanterna.settings import studio_folder
from lanterna.surfaces.classroom.phones import PhoneConnection, phones_app
from lanterna.surfaces.classroom.projector import PAGE, projector_app
from lanterna.surfaces.studio.access import saved_access
from lanterna.surfaces.studio.connections import Connection
from lanterna.surfaces.studio.guard import Guard
from lanterna.surfaces.studio.server import Files, listening_socket, server_config, url_host

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from types import FrameType

    from starlette.types import ASGIApp

    from lanterna.surfaces.classroom.room import Room

PORT, SCREEN_PORT = 8770, 8771
_FILES = 4096  # open connections, where the system allows as many


class _Server(uvicorn.Server):
    """A uvicorn server; the first of a class stops all of them."""

    def __init__(self, app: ASGIApp, connection: type[Connection], stop: Callable[[], object] | None) -> None:
        super().__init__(server_config(app, connection, lifespan="off", timeout_keep_alive=10))
        self._stop = stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to signals, but only in the first server, which then stops all of them."""
        if self._stop is None:
            yield
        else:
            # When it has stopped, uvicorn raises the signal again.
            with contextlib.suppress(KeyboardInterrupt), super().capture_signals():
                yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop on Ctrl-C or another signal."""
        if self._stop is not None:
            self._stop()
        super().handle_exit(sig, frame)


def serve(
    room: Room, *, host: str | None = None, port: int | None = None, opened: Callable[[str], object] = print
) -> None:
    """Hold a class until Ctrl-C. Once both servers accept connections, call `opened` with the screen's URL.

    A room that is only looked at (`review`) has no server for phones.
    Errors: `UsageError` if a port is taken, or the address does not belong to this machine.
    """
    _raise_file_limit()
    phone_socket = None
    if not room.review:  # first, as this one may fail
        phone_socket = listening_socket(host or "0.0.0.0", port, default=PORT, what="the class")
        room.address = f"http://{url_host(host or '0.0.0.0')}:{phone_socket.getsockname()[1]}"
    screen_socket = listening_socket("127.0.0.1", None, default=SCREEN_PORT, what="the class")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(room, screen_socket, phone_socket, host, opened))


async def _run(
    room: Room, screen_socket: socket.socket, phone_socket: socket.socket | None, host: str | None,
    opened: Callable[[str], object],
) -> None:  # fmt: skip
    web, access = Files(PAGE), saved_access(studio_folder())
    port = screen_socket.getsockname()[1]
    guard = Guard(projector_app(room, web), port=port, access=access, script_hashes=web.script_hashes())
    servers: list[_Server] = []

    def stop() -> None:
        room.close_streams()
        for server in servers[1:]:
            server.should_exit = True

    servers.append(_Server(guard, Connection, stop))
    sockets = [screen_socket]
    if phone_socket is not None:
        app = phones_app(room, web, port=phone_socket.getsockname()[1], host=host)
        servers.append(_Server(app, PhoneConnection, None))
        sockets.append(phone_socket)
    await room.open()
    try:
        running = [asyncio.create_task(each.serve([own])) for each, own in zip(servers, sockets, strict=True)]
        while not all(each.started for each in servers) and not any(task.done() for task in running):
            await asyncio.sleep(0.01)
        if all(each.started for each in servers):
            await asyncio.to_thread(opened, f"http://127.0.0.1:{port}/?token={access.token}")
        await asyncio.gather(*running)
    finally:
        await room.close()


def _raise_file_limit() -> None:
    """Allow as many open connections as a class needs: 256 is the default on some systems."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
