"""The socket that a studio and a class listen on."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from lanterna.surfaces.studio.server import listening_socket


def test_a_response_in_two_parts_does_not_wait_for_an_acknowledgement() -> None:
    """Without TCP_NODELAY its second part waits up to 40 ms."""

    async def accepted() -> int:
        option: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            option.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = listening_socket("127.0.0.1", 0)
        async with await asyncio.start_server(connected, sock=listener):
            _, client = await asyncio.open_connection(*listener.getsockname())
            client.close()
            return await option

    with ThreadPoolExecutor(1) as thread:  # a browser's event loop may be running in this one
        assert thread.submit(lambda: asyncio.run(accepted())).result()
