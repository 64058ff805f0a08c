"""Uploading and downloading pictures."""

from __future__ import annotations

import asyncio
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from lanterna.errors import LanternaError, UsageError, display_names
from lanterna.files import sha256
from lanterna.surfaces.studio.messages import Id, Picture, title_of
from lanterna.surfaces.studio.names import file_name
from lanterna.surfaces.studio.pictures import MEDIA, import_picture, picture_as_json
from lanterna.surfaces.studio.routes.requests import (
    IMMUTABLE,
    ApiResponse,
    ApiRoute,
    integer_parameter,
    parameter,
    studio_of,
)
from lanterna.surfaces.studio.store import checked_id, new_id
from lanterna.surfaces.studio.studio import DECODING_SECONDS
from lanterna.surfaces.studio.wall import paint_thumbnail

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from lanterna.surfaces.studio.studio import Studio


async def add_picture(request: Request) -> Response:
    """Upload a picture; the response has its recipe if Lanterna made it."""
    studio = studio_of(request)
    if not request.headers.get("content-type", "").startswith("image/"):
        raise HTTPException(415, "send a picture, as image/png, image/jpeg …")
    upload = studio.store.incoming()
    try:
        with upload.open("wb") as file:
            async for piece in request.stream():
                file.write(piece)
        return ApiResponse(
            await import_file(studio, upload, "upload", request.query_params.get("title", "")), 201
        )
    finally:
        upload.unlink(missing_ok=True)


async def import_file(studio: Studio, upload: Path, origin: str, title: str) -> dict[str, Any]:
    """Import an uploaded file into the store."""
    title = title_of(title)
    known = studio.store.picture_by_sha256(await asyncio.to_thread(sha256, upload))
    if known is not None:  # the same file again
        return picture_as_json(studio.store, known)
    picture_id = new_id()
    try:
        async with studio.decoding:  # one at a time, so that the time limit counts only its own work
            with display_names({upload: title or "the picture"}):
                fields = await studio.decoder.run(import_picture, upload, studio.store.folder, picture_id)
    except BrokenProcessPool:
        studio.store.remove_files(picture_id)
        raise UsageError(
            f"the picture cannot be decoded within {DECODING_SECONDS:.0f} seconds and the available memory: "
            "make it smaller first"
        ) from None
    studio.store.add_picture(picture_id, origin=origin, room="", title=title, words=title.lower(), **fields)
    return picture_as_json(studio.store, studio.store.picture(picture_id))


def picture_of(request: Request) -> dict[str, Any]:
    """Return the picture whose id is in the URL."""
    return studio_of(request).store.picture(request.path_params["id"])


async def picture(request: Request) -> Response:
    """Return a picture's description and recipe."""
    return ApiResponse(picture_as_json(studio_of(request).store, picture_of(request)))


async def picture_file(request: Request) -> Response:
    """Return the picture file."""
    found = picture_of(request)
    return FileResponse(
        studio_of(request).store.file(found), media_type=MEDIA[found["suffix"]], headers=IMMUTABLE
    )


async def picture_thumbnail(request: Request) -> Response:
    """Return the picture's thumbnail, a JPEG."""
    found = picture_of(request)
    place = studio_of(request).store.thumbnail(found["id"])
    return FileResponse(place, media_type="image/jpeg", headers=IMMUTABLE)


async def styled_thumbnail(request: Request) -> Response:
    """Return the picture in a style, as a small JPEG: a built-in style, or that of a painting."""
    studio, found = studio_of(request), picture_of(request)
    store, painting = studio.store, request.query_params.get("style")
    if (painting is None) == ("built_in" not in request.query_params):
        raise UsageError("expected either built_in, the number of a style, or style, the id of a painting")
    number = integer_parameter(request, "built_in", 0, 0, await asyncio.to_thread(_last_style))
    style = number if painting is None else checked_id(painting)
    place = store.wall_thumbnail(found["id"], style)
    if not place.exists():
        look = style if isinstance(style, int) else store.thumbnail(store.picture(style)["id"])
        try:
            await studio.painter.run(paint_thumbnail, store.thumbnail(found["id"]), look, place)
        except BrokenProcessPool:
            raise LanternaError("the picture took too long: try again when less is running") from None
    return FileResponse(place, media_type="image/jpeg", headers=IMMUTABLE)


def _last_style() -> int:
    from lanterna.networks.instant import STYLES  # imports torch, which takes a second the first time

    return STYLES - 1


async def also_file(request: Request) -> Response:
    """Return the file stored with a picture: a painting, which can be rendered at any size."""
    found = picture_of(request)
    if not found["also"]:
        raise KeyError(found["id"])
    place = studio_of(request).store.file(found).with_suffix(found["also"])
    return FileResponse(place, filename=file_name(found, found["also"]), headers=IMMUTABLE)


_PICTURE, _TITLE = "/api/pictures/{id:id}", {"title": parameter("The picture's title.")}
ROUTES = [
    ApiRoute("/api/pictures", add_picture, "POST", body="image/*", query=_TITLE, answer=Picture, status=201),
    ApiRoute(_PICTURE, picture, answer=Picture),
    ApiRoute(f"{_PICTURE}/file", picture_file, answer="image/*"),
    ApiRoute(f"{_PICTURE}/thumbnail", picture_thumbnail, answer="image/jpeg"),
    ApiRoute(f"{_PICTURE}/styled", styled_thumbnail, answer="image/jpeg", query={
        "built_in": parameter("The number of a style, instead of `style`.", int | None, None, ge=0),
        "style": parameter("A painting's id, instead of `built_in`.", Id),
    }),
    ApiRoute(f"{_PICTURE}/also", also_file, answer="application/octet-stream"),
]  # fmt: skip
