"""What every route shares: what a body may be, how answers and errors look, what an id is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from lanterna.documents import check_document
from lanterna.errors import UsageError
from lanterna.surfaces.studio.store import ID, checked_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from lanterna.surfaces.studio.studio import Studio

FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
NOW = {"cache-control": "no-store"}


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


def taken(body: Mapping[str, Any], **kinds: type | tuple[type, ...]) -> dict[str, Any]:
    """What is there of these names, of these types. Errors: 422 for another name or type."""
    for name, value in body.items():
        if name not in kinds:
            raise UsageError(f"there is no {name[:40]!r} here: there is {', '.join(kinds)}")
        wanted = kinds[name]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise UsageError(f"{name} is of another type")
    return dict(body)


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
