"""What every route shares: what a body may be, how answers and errors look, what an id is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Route

from lanterna.documents import check_document
from lanterna.errors import UsageError
from lanterna.surfaces.studio.store import ID, checked_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from lanterna.surfaces.studio.messages import Body
    from lanterna.surfaces.studio.studio import Studio

Sent = TypeVar("Sent", bound="Body")
FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
NOW = {"cache-control": "no-store"}


class Call(Route):
    """A route of the API: a method at a path, what may stand in the query, what is sent and what comes back.

    All but path and method describe it: `body` and `answer` are types of `messages.py`, or of media;
    `query` has what `asked` makes.
    """

    def __init__(
        self, path: str, endpoint: Callable[[Request], Awaitable[Response]], method: str = "GET", *,
        answer: object, body: object = None, query: Mapping[str, Any] = {}, status: int = 200,
    ) -> None:  # fmt: skip
        super().__init__(path, endpoint, methods=[method])
        self.method, self.answer, self.body, self.status, self.query = method, answer, body, status, query

    @property
    def messages(self) -> dict[str, Any]:
        """Body and answer, where they are JSON."""
        parts: dict[str, Any] = {"body": self.body, "answer": self.answer}
        return {part: kind for part, kind in parts.items() if not isinstance(kind, str | None)}


def asked(words: str, kind: object = str, usual: Any = "", **bounds: Any) -> tuple[object, Any]:  # noqa: ANN401
    """What may stand in a query, in words, with its bounds and what it is if it is left out."""
    return kind, Field(usual, description=words, **bounds)


class Answer(JSONResponse):
    """JSON that is not kept by the browser."""

    def __init__(self, content: object, status_code: int = 200) -> None:
        super().__init__(content, status_code, NOW)


def studio_of(request: Request) -> Studio:
    """The studio that a request is for."""
    studio: Studio = request.app.state.studio
    return studio


async def document(request: Request) -> dict[str, Any]:
    """The JSON object in the body."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "send JSON, as application/json")
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is no JSON") from None
    if not isinstance(found, dict):
        raise HTTPException(400, "the body is no JSON object")
    try:
        check_document(found)
    except UsageError as error:
        raise HTTPException(400, str(error)) from None
    return found


async def sent(request: Request, model: type[Sent]) -> Sent:
    """The JSON object in the body as what it has to be. Errors: 422 for another name or type."""
    return model.model_validate(await document(request))


def number(request: Request, name: str, usual: int, least: int, most: int) -> int:
    """A whole number of the query. Errors: `UsageError` where it is none or out of bounds."""
    text = request.query_params.get(name)
    if text is None:
        return usual
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 16 or not least <= int(text) <= most:
        raise UsageError(f"{name}: expected a number from {least} to {most}, got {text[:40]!r}")
    return int(text)


class _IdConvertor(Convertor[str]):
    """An id in an address: nothing else is routed."""

    regex = ID.pattern

    def convert(self, value: str) -> str:
        """As it is."""
        return checked_id(value)

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


register_url_convertor("id", _IdConvertor())
