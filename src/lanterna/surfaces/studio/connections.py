"""Connections that cannot be exhausted: a client that only holds them open locks nobody out.

A connection is anonymous until a request on it is authenticated, by the session or the token. The number of
anonymous connections is limited, per address and in total: beyond the limit the one that has been idle
longest is closed. So a new client always gets one, and authenticated connections are never closed. The
headers of a request must arrive within a few seconds; the guard limits the time of the body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio


class Connection(H11Protocol):
    """uvicorn's HTTP connection, closed if it stays idle while others need room."""

    seconds = 10.0
    """The time limit for a request's headers."""

    max_per_address, max_total = 64, 128  # anonymous connections

    _anonymous: ClassVar[dict[Connection, str]] = {}
    """Anonymous connections and their addresses, the least recently used first."""

    _deadline: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  (uvicorn's)
        super().__init__(*args, **options)
        self.app_state = {**self.app_state, "authenticated": self._exempt}  # called by the guard

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register an anonymous connection, and close the oldest one if there are too many."""
        super().connection_made(transport)
        self._anonymous[self] = self.client[0] if self.client else ""
        self._deadline = self.loop.call_later(self.seconds, transport.abort)
        crowd = [each for each, address in self._anonymous.items() if address == self._anonymous[self]]
        if len(crowd) <= self.max_per_address:
            crowd = list(self._anonymous) if len(self._anonymous) > self.max_total else []
        if crowd:
            crowd[0]._exempt()
            crowd[0].transport.abort()

    def data_received(self, data: bytes) -> None:
        """Receive a part of a request."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:  # the headers are still incomplete
            if self._deadline is None:
                self._deadline = self.loop.call_later(self.seconds, self.transport.abort)
            return
        self._cancel_deadline()
        if (address := self._anonymous.pop(self, None)) is not None:
            self._anonymous[self] = address  # now the most recently used

    def connection_lost(self, exc: Exception | None) -> None:
        """Unregister a closed connection."""
        self._cancel_deadline()
        self._exempt()
        super().connection_lost(exc)

    def _exempt(self) -> None:
        """Stop counting this connection as anonymous."""
        self._anonymous.pop(self, None)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
