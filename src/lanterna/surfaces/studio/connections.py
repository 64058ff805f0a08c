"""Connections: nobody keeps others out by holding some open.

A connection is a stranger's until a request on it has come from the session or with the token. Strangers' are
few, of one peer and of all: where one more comes, that on which nothing has been asked for longest is cut. So
there is always room for one that asks, and those of the session are never cut. The head of a request has to
be whole within a few seconds; how long its body may take is for the guard to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

_OF_ONE, _OF_ALL = 64, 128  # strangers' connections, of one address and of all


class Connection(H11Protocol):
    """uvicorn's, that is cut where it only holds room."""

    seconds = 10.0
    """What a request's head may take."""

    _strangers: ClassVar[dict[Connection, str]] = {}
    """Their addresses, in the order in which something was last asked on them."""

    _deadline: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  (uvicorn's)
        super().__init__(*args, **options)
        self.app_state = {**self.app_state, "admit": self._admit}  # for the guard

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A stranger comes."""
        super().connection_made(transport)
        self._strangers[self] = self.client[0] if self.client else ""
        self._deadline = self.loop.call_later(self.seconds, transport.abort)
        crowd = [each for each, peer in self._strangers.items() if peer == self._strangers[self]]
        if len(crowd) <= _OF_ONE:
            crowd = list(self._strangers) if len(self._strangers) > _OF_ALL else []
        if crowd:
            crowd[0]._admit()
            crowd[0].transport.abort()

    def data_received(self, data: bytes) -> None:
        """A request, or a part of one."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:  # its head is not whole yet
            if self._deadline is None:
                self._deadline = self.loop.call_later(self.seconds, self.transport.abort)
            return
        self._forget_deadline()
        if (peer := self._strangers.pop(self, None)) is not None:
            self._strangers[self] = peer  # the last, now

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._forget_deadline()
        self._admit()
        super().connection_lost(exc)

    def _admit(self) -> None:
        """It is no stranger's, or will not be any more."""
        self._strangers.pop(self, None)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
