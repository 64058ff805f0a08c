"""Pictures: taken in, and given out."""

from __future__ import annotations

import asyncio
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from lanterna.errors import UsageError, display_names
from lanterna.files import sha256
from lanterna.surfaces.studio import pictures as kept
from lanterna.surfaces.studio.messages import Picture
from lanterna.surfaces.studio.routes.requests import FOREVER, Answer, Call, asked, studio_of
from lanterna.surfaces.studio.store import new_id
from lanterna.surfaces.studio.studio import DECODING

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from lanterna.surfaces.studio.studio import Studio


async def add_picture(request: Request) -> Response:
    """Take a picture in; one that Lanterna made gives its settings back."""
    studio = studio_of(request)
    if not request.headers.get("content-type", "").startswith("image/"):
        raise HTTPException(415, "send a picture, as image/png, image/jpeg …")
    sent = studio.store.incoming()
    try:
        with sent.open("wb") as file:
            async for piece in request.stream():
                file.write(piece)
        return Answer(await take_in(studio, sent, "upload", request.query_params.get("title", "")), 201)
    finally:
        sent.unlink(missing_ok=True)


async def take_in(studio: Studio, sent: Path, origin: str, title: str) -> dict[str, Any]:
    """Put a file that was sent into the store."""
    title = " ".join(title.split())[:120]
    known = studio.store.picture_of_content(await asyncio.to_thread(sha256, sent))
    if known is not None:  # the same file again
        return kept.described(studio.store, known)
    picture_id = new_id()
    try:
        async with studio.decoding:  # one at a time, so that none is given up for another
            with display_names({sent: title or "the picture"}):
                fields = await studio.decoder.do(kept.receive, sent, studio.store.folder, picture_id)
    except BrokenProcessPool:
        studio.store.remove_files(picture_id)
        raise UsageError(
            f"the picture cannot be decoded within {DECODING:.0f} seconds and the memory that there is: "
            "make it smaller first"
        ) from None
    studio.store.add_picture(picture_id, origin=origin, room="", title=title, words=title.lower(), **fields)
    return kept.described(studio.store, studio.store.picture(picture_id))


def picture_of(request: Request) -> dict[str, Any]:
    """The picture whose id is in the address."""
    return studio_of(request).store.picture(request.path_params["id"])


async def picture(request: Request) -> Response:
    """One picture, and how it was made."""
    return Answer(kept.described(studio_of(request).store, picture_of(request)))


async def picture_file(request: Request) -> Response:
    """The picture itself."""
    found = picture_of(request)
    return FileResponse(
        studio_of(request).store.file(found), media_type=kept.MEDIA[found["suffix"]], headers=FOREVER
    )


async def picture_thumbnail(request: Request) -> Response:
    """The picture, small, as a JPEG."""
    found = picture_of(request)
    place = studio_of(request).store.thumbnail(found["id"])
    return FileResponse(place, media_type="image/jpeg", headers=FOREVER)


async def also_file(request: Request) -> Response:
    """What belongs to a picture: a painting that can be rendered at any size."""
    found = picture_of(request)
    if not found["also"]:
        raise KeyError(found["id"])
    place = studio_of(request).store.file(found).with_suffix(found["also"])
    return FileResponse(place, filename=f"painting{found['also']}", headers=FOREVER)


_PICTURE, _TITLE = "/api/pictures/{id:id}", {"title": asked("What it is called.")}
ROUTES = [
    Call("/api/pictures", add_picture, "POST", body="image/*", query=_TITLE, answer=Picture, status=201),
    Call(_PICTURE, picture, answer=Picture),
    Call(f"{_PICTURE}/file", picture_file, answer="image/*"),
    Call(f"{_PICTURE}/thumbnail", picture_thumbnail, answer="image/jpeg"),
    Call(f"{_PICTURE}/also", also_file, answer="application/octet-stream"),
]
