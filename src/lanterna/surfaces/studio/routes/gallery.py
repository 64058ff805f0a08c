"""The gallery: what was made, its stars and titles, and what leaves as a zip or a sheet."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from lanterna.errors import UsageError
from lanterna.surfaces.studio import pictures as kept
from lanterna.surfaces.studio.messages import Id, Picture, PictureChange
from lanterna.surfaces.studio.routes.pictures import picture_of
from lanterna.surfaces.studio.routes.requests import NOW, Answer, Call, asked, number, sent, studio_of
from lanterna.surfaces.studio.store import checked_id

if TYPE_CHECKING:
    from starlette.requests import Request


async def gallery(request: Request) -> Response:
    """What was made, newest first."""
    store, query = studio_of(request).store, request.query_params
    before = query.get("before")
    found = store.gallery(
        words=query.get("words", "")[:400],
        room=query.get("room"),
        starred=query.get("starred", "") in ("1", "true", "yes"),
        before=None if before is None else checked_id(before),
        limit=number(request, "limit", 60, 1, 500),
    )
    return Answer([kept.described(store, each) for each in found])


async def change_picture(request: Request) -> Response:
    """Star a picture, or give it a title."""
    store, found = studio_of(request).store, picture_of(request)
    body = await sent(request, PictureChange)
    if "starred" in body.model_fields_set:
        store.change_picture(found["id"], starred=int(body.starred))
    if "title" in body.model_fields_set:
        words = f"{found['words']} {body.title.lower()}"[-4000:]
        store.change_picture(found["id"], title=body.title, words=words)
    return Answer(kept.described(store, store.picture(found["id"])))


async def delete_picture(request: Request) -> Response:
    """Take a picture out of the gallery; it can be had back for a week."""
    store, found = studio_of(request).store, picture_of(request)
    store.change_picture(found["id"], deleted=time.time())
    return Answer(kept.described(store, store.picture(found["id"])))


async def restore_picture(request: Request) -> Response:
    """Put a deleted picture back."""
    store, found = studio_of(request).store, picture_of(request)
    store.change_picture(found["id"], deleted=None)
    return Answer(kept.described(store, store.picture(found["id"])))


async def export_zip(request: Request) -> Response:
    """Pictures as a zip."""
    return await _exported(request, "zip", "application/zip")


async def sheet_pdf(request: Request) -> Response:
    """A contact sheet as a PDF."""
    return await _exported(request, "pdf", "application/pdf")


async def _exported(request: Request, suffix: str, media: str) -> Response:
    from lanterna.surfaces.studio import export

    studio = studio_of(request)
    store = studio.store
    ids = [checked_id(each) for each in request.query_params.get("ids", "").split(",")[:501] if each]
    if not 1 <= len(ids) <= 500:
        raise UsageError("ids: expected 1 to 500 pictures, with commas between")
    found = [(picture, store.file(picture)) for picture in map(store.picture, ids)]
    place = store.incoming()
    try:
        if suffix == "zip":
            await asyncio.to_thread(export.write_zip, found, place)
        else:
            async with studio.decoding:
                await studio.decoder.do(export.write_sheet, found, place)
    except BrokenProcessPool:
        place.unlink(missing_ok=True)
        raise UsageError("the sheet takes too long: choose fewer or smaller pictures") from None
    except BaseException:
        place.unlink(missing_ok=True)
        raise
    name = f"lanterna-{time.strftime('%Y-%m-%d')}.{suffix}"
    return FileResponse(
        place, media_type=media, filename=name, headers=NOW, background=BackgroundTask(place.unlink)
    )


_IDS = {"ids": asked("Ids with commas between.", str, ..., pattern="^[0-9a-f]{32}(,[0-9a-f]{32}){0,499}$")}
ROUTES = [
    Call("/api/gallery", gallery, answer=list[Picture], query={
        "words": asked("Words, all of which it has."), "room": asked("Only of this room."),
        "starred": asked("1: only with a star."), "before": asked("Only older than this one.", Id),
        "limit": asked("At most so many; 60.", int, 60, ge=1, le=500),
    }),
    Call("/api/gallery/export.zip", export_zip, answer="application/zip", query=_IDS),
    Call("/api/gallery/sheet.pdf", sheet_pdf, answer="application/pdf", query=_IDS),
    Call("/api/gallery/{id:id}", change_picture, "PATCH", body=PictureChange, answer=Picture),
    Call("/api/gallery/{id:id}", delete_picture, "DELETE", answer=Picture),
    Call("/api/gallery/{id:id}/restore", restore_picture, "POST", answer=Picture),
]  # fmt: skip
