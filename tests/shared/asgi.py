"""A client that calls an ASGI application in this process, without a server."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message


class Answer(NamedTuple):
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Sends requests from one address, with the cookie that it was given."""

    def __init__(self, app: ASGIApp, host: str, address: str = "192.168.1.30") -> None:
        self.app, self.host, self.address, self.cookie = app, host, address, ""

    async def __call__(
        self, method: str, path: str, body: Any = None, *, until: str | None = None, **headers: str
    ) -> Answer:
        """Send a request; of a stream, read `until` a text has come, then leave."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        own = {"host": self.host, "content-type": "application/json", "cookie": self.cookie}
        own |= {"content-length": str(len(content))} if content else {}
        given = {**own, **{name.replace("_", "-"): value for name, value in headers.items()}}
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
            "root_path": "", "scheme": "http", "http_version": "1.1", "client": (self.address, 5000),
            "server": ("192.168.1.20", 8770),
            "headers": [(name.encode(), value.encode()) for name, value in given.items() if value],
        }  # fmt: skip
        sent: list[Message] = []
        left, pending = asyncio.Event(), [{"type": "http.request", "body": content}]

        async def receive() -> Message:
            if pending:
                return pending.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)
            if until is not None and until in message.get("body", b"").decode():
                left.set()

        await self.app(scope, receive, send)
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        if "set-cookie" in found:
            self.cookie = found["set-cookie"].partition(";")[0]
        return Answer(sent[0]["status"], found, b"".join(each.get("body", b"") for each in sent[1:]))
