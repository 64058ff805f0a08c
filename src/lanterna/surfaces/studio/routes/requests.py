"""Shared by all routes: the route class, responses, and the parsing of bodies, query parameters and ids."""

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

BodyType = TypeVar("BodyType", bound="Body")
IMMUTABLE = {"cache-control": "private, max-age=31536000, immutable"}
NO_STORE = {"cache-control": "no-store"}


class ApiRoute(Route):
    """A route of the API, with the types of its body, response and query parameters for the description.

    `body` and `answer` are types of `messages.py`, or media types; `query` maps names to results of
    `parameter`.
    """

    def __init__(
        self, path: str, endpoint: Callable[[Request], Awaitable[Response]], method: str = "GET", *,
        answer: object, body: object = None, query: Mapping[str, Any] = {}, status: int = 200,
    ) -> None:  # fmt: skip
        super().__init__(path, endpoint, methods=[method])
        self.method, self.answer, self.body, self.status, self.query = method, answer, body, status, query

    @property
    def messages(self) -> dict[str, Any]:
        """The types of body and answer, as far as they are JSON."""
        parts: dict[str, Any] = {"body": self.body, "answer": self.answer}
        return {part: type_ for part, type_ in parts.items() if not isinstance(type_, str | None)}


def parameter(description: str, type_: object = str, default: Any = "", **bounds: Any) -> tuple[object, Any]:  # noqa: ANN401
    """Describe a query parameter: its meaning, type, default and bounds."""
    return type_, Field(default, description=description, **bounds)


class ApiResponse(JSONResponse):
    """A JSON response that the browser does not cache."""

    def __init__(self, content: object, status_code: int = 200) -> None:
        super().__init__(content, status_code, NO_STORE)


def studio_of(request: Request) -> Studio:
    """Return the studio that serves a request."""
    studio: Studio = request.app.state.studio
    return studio


async def json_body(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body. Errors: 415, 400."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "send JSON, as application/json")
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(found, dict):
        raise HTTPException(400, "the body is not a JSON object")
    try:
        check_document(found)
    except UsageError as error:
        raise HTTPException(400, str(error)) from None
    return found


async def parsed_body(request: Request, model: type[BodyType]) -> BodyType:
    """Return the JSON object in the body as a model. Errors: 422 for an unknown field or a wrong type."""
    return model.model_validate(await json_body(request))


def integer_parameter(request: Request, name: str, default: int, minimum: int, maximum: int) -> int:
    """Return an integer query parameter. Errors: `UsageError` if it is not a number or out of bounds."""
    text = request.query_params.get(name)
    if text is None:
        return default
    digits = text.removeprefix("-")
    if (
        not (digits.isascii() and digits.isdecimal())
        or len(digits) > 16
        or not minimum <= int(text) <= maximum
    ):
        raise UsageError(f"{name}: expected a number from {minimum} to {maximum}, got {text[:40]!r}")
    return int(text)


class _IdConvertor(Convertor[str]):
    """Matches an id in a URL; anything else is not routed."""

    regex = ID.pattern

    def convert(self, value: str) -> str:
        """Return the id unchanged."""
        return checked_id(value)

    def to_string(self, value: str) -> str:
        """Return the id unchanged."""
        return value


register_url_convertor("id", _IdConvertor())
