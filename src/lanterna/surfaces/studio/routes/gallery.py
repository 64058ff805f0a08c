"""The gallery: the studio's results, their stars and titles, and their export as a zip or a contact sheet."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from lanterna.errors import UsageError
from lanterna.surfaces.studio.messages import Id, Picture, PictureChange, TagCount
from lanterna.surfaces.studio.pictures import picture_as_json
from lanterna.surfaces.studio.routes.jobs import network_kinds
from lanterna.surfaces.studio.routes.pictures import picture_of
from lanterna.surfaces.studio.routes.requests import (
    NO_STORE,
    ApiResponse,
    ApiRoute,
    integer_parameter,
    parameter,
    parsed_body,
    studio_of,
)
from lanterna.surfaces.studio.store import checked_id

if TYPE_CHECKING:
    from starlette.requests import Request


async def gallery(request: Request) -> Response:
    """Return the gallery's pictures, newest first."""
    store, query = studio_of(request).store, request.query_params
    before = query.get("before")
    found = store.gallery(
        words=query.get("words", "")[:400],
        room=query.get("room"),
        starred=query.get("starred", "") in ("1", "true", "yes"),
        tag=query.get("tag", "")[:40],
        before=None if before is None else checked_id(before),
        limit=integer_parameter(request, "limit", 60, 1, 500),
    )
    return ApiResponse([picture_as_json(store, each) for each in found])


async def tags(request: Request) -> Response:
    """Return the gallery's tags, with the number of pictures of each."""
    found = studio_of(request).store.tags()
    return ApiResponse([{"tag": tag, "pictures": count} for tag, count in found.items()])


async def change_picture(request: Request) -> Response:
    """Star a picture, or change its title or its tags."""
    store, found = studio_of(request).store, picture_of(request)
    body = await parsed_body(request, PictureChange)
    if "starred" in body.model_fields_set:
        store.change_picture(found["id"], starred=int(body.starred))
    if "tags" in body.model_fields_set:
        store.change_picture(found["id"], tags="\n".join(["", *body.tags, ""]) if body.tags else "")
    if "title" in body.model_fields_set:
        words = f"{found['words']} {body.title.lower()}"[-4000:]
        store.change_picture(found["id"], title=body.title, words=words)
        kinds = await asyncio.to_thread(network_kinds)
        with suppress(KeyError):  # the job was removed
            job = store.job(found["job"])
            if job["title"] == found["title"] and job["kind"] not in kinds:
                store.change_job(job["id"], title=body.title)
    return ApiResponse(picture_as_json(store, store.picture(found["id"])))


async def delete_picture(request: Request) -> Response:
    """Delete a picture; it can be restored for a week."""
    store, found = studio_of(request).store, picture_of(request)
    store.change_picture(found["id"], deleted=time.time())
    return ApiResponse(picture_as_json(store, store.picture(found["id"])))


async def restore_picture(request: Request) -> Response:
    """Restore a deleted picture."""
    store, found = studio_of(request).store, picture_of(request)
    store.change_picture(found["id"], deleted=None)
    return ApiResponse(picture_as_json(store, store.picture(found["id"])))


async def export_zip(request: Request) -> Response:
    """Export pictures as a zip."""
    return await _export(request, "zip", "application/zip")


async def sheet_pdf(request: Request) -> Response:
    """Export a contact sheet as a PDF."""
    return await _export(request, "pdf", "application/pdf")


async def _export(request: Request, suffix: str, media: str) -> Response:
    from lanterna.surfaces.studio import export

    studio = studio_of(request)
    store = studio.store
    ids = [checked_id(each) for each in request.query_params.get("ids", "").split(",")[:501] if each]
    if not 1 <= len(ids) <= 500:
        raise UsageError("ids: expected 1 to 500 ids, separated by commas")
    found = [(picture, store.file(picture)) for picture in map(store.picture, ids)]
    place = store.incoming()
    try:
        if suffix == "zip":
            await asyncio.to_thread(export.write_zip, found, place)
        else:
            async with studio.decoding:
                await studio.decoder.run(export.write_sheet, found, place)
    except BrokenProcessPool:
        place.unlink(missing_ok=True)
        raise UsageError("the sheet takes too long: choose fewer or smaller pictures") from None
    except BaseException:
        place.unlink(missing_ok=True)
        raise
    name = f"lanterna-{time.strftime('%Y-%m-%d')}.{suffix}"
    return FileResponse(
        place, media_type=media, filename=name, headers=NO_STORE, background=BackgroundTask(place.unlink)
    )


_IDS = {
    "ids": parameter("Ids, separated by commas.", str, ..., pattern="^[0-9a-f]{32}(,[0-9a-f]{32}){0,499}$")
}
ROUTES = [
    ApiRoute("/api/gallery", gallery, answer=list[Picture], query={
        "words": parameter("Search words; all must match."), "room": parameter("Only pictures of this room."),
        "starred": parameter("1: only starred pictures."), "tag": parameter("Only pictures with this tag."),
        "before": parameter("Only pictures older than this one.", Id),
        "limit": parameter("The maximum number; default 60.", int, 60, ge=1, le=500),
    }),
    ApiRoute("/api/gallery/tags", tags, answer=list[TagCount]),
    ApiRoute("/api/gallery/export.zip", export_zip, answer="application/zip", query=_IDS),
    ApiRoute("/api/gallery/sheet.pdf", sheet_pdf, answer="application/pdf", query=_IDS),
    ApiRoute("/api/gallery/{id:id}", change_picture, "PATCH", body=PictureChange, answer=Picture),
    ApiRoute("/api/gallery/{id:id}", delete_picture, "DELETE", answer=Picture),
    ApiRoute("/api/gallery/{id:id}/restore", restore_picture, "POST", answer=Picture),
]  # fmt: skip
