"""The shelf: its photographs, with which a room can begin, and what it has not yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import FileResponse, Response

from lanterna.surfaces.studio.messages import Example, Item, Job, Picture
from lanterna.surfaces.studio.routes.jobs import checked_job, told
from lanterna.surfaces.studio.routes.pictures import take_in
from lanterna.surfaces.studio.routes.requests import FOREVER, Answer, Call, studio_of

if TYPE_CHECKING:
    from starlette.requests import Request


async def examples(_: Request) -> Response:
    """The shelf's photographs, with which a room can begin."""
    from lanterna.surfaces.studio import shelves

    return Answer(await asyncio.to_thread(shelves.examples))


async def example_thumbnail(request: Request) -> Response:
    """A photograph of the shelf, small."""
    from lanterna.surfaces.studio import shelves

    folder = studio_of(request).store.folder / "thumbnails"
    place = await asyncio.to_thread(shelves.small_photograph, request.path_params["name"], folder)
    return FileResponse(place, media_type="image/jpeg", headers=FOREVER)


async def add_example(request: Request) -> Response:
    """Make a photograph of the shelf a picture that a job can begin with."""
    from lanterna.surfaces.studio import shelves

    studio, name = studio_of(request), request.path_params["name"]
    sent = studio.store.incoming()
    try:
        await asyncio.to_thread(shelves.copy_photograph, name, sent)
        return Answer(await take_in(studio, sent, "example", name.rpartition(".")[0]), 201)
    finally:
        sent.unlink(missing_ok=True)


async def the_shelf(_: Request) -> Response:
    """What the shelf has, and what it has not."""
    from lanterna.surfaces.studio import shelves

    return Answer(await asyncio.to_thread(shelves.listed))


async def fetch(request: Request) -> Response:
    """Fetch something to the shelf, as a job."""
    studio = studio_of(request)
    settings = {"item": request.path_params["name"]}
    fields = await asyncio.to_thread(checked_job, "fetch", None, settings, [], "", set())
    job_id = studio.store.add_job(**fields, inputs=[], parent=None)
    studio.queue.pump()
    return Answer(told(studio.store.job(job_id)), 201)


ROUTES = [
    Call("/api/examples", examples, answer=list[Example]),
    Call("/api/examples/{name}", add_example, "POST", answer=Picture, status=201),
    Call("/api/examples/{name}/thumbnail", example_thumbnail, answer="image/jpeg"),
    Call("/api/shelf", the_shelf, answer=list[Item]),
    Call("/api/shelf/{name}", fetch, "POST", answer=Job, status=201),
]
