"""The shelf: its items, and its example photographs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import FileResponse, Response

from lanterna.surfaces.studio.messages import Example, Item, Job, Picture
from lanterna.surfaces.studio.routes.jobs import job_as_json, validated_job
from lanterna.surfaces.studio.routes.pictures import import_file
from lanterna.surfaces.studio.routes.requests import IMMUTABLE, ApiResponse, ApiRoute, studio_of

if TYPE_CHECKING:
    from starlette.requests import Request


async def examples(_: Request) -> Response:
    """Return the shelf's example photographs."""
    from lanterna.surfaces.studio import shelf_contents

    return ApiResponse(await asyncio.to_thread(shelf_contents.example_photographs))


async def example_thumbnail(request: Request) -> Response:
    """Return the thumbnail of an example photograph."""
    from lanterna.surfaces.studio import shelf_contents

    folder = studio_of(request).store.folder / "thumbnails"
    place = await asyncio.to_thread(shelf_contents.photograph_thumbnail, request.path_params["name"], folder)
    return FileResponse(place, media_type="image/jpeg", headers=IMMUTABLE)


async def add_example(request: Request) -> Response:
    """Add an example photograph as a picture, so that a job can use it."""
    from lanterna.surfaces.studio import shelf_contents

    studio, name = studio_of(request), request.path_params["name"]
    upload = studio.store.incoming()
    try:
        await asyncio.to_thread(shelf_contents.copy_photograph, name, upload)
        title = await asyncio.to_thread(shelf_contents.photograph_title, name)
        return ApiResponse(await import_file(studio, upload, "example", title), 201)
    finally:
        upload.unlink(missing_ok=True)


async def the_shelf(_: Request) -> Response:
    """Return all items of the shelf, fetched or not."""
    from lanterna.surfaces.studio import shelf_contents

    return ApiResponse(await asyncio.to_thread(shelf_contents.shelf_items))


async def fetch(request: Request) -> Response:
    """Fetch an item to the shelf, as a job."""
    studio = studio_of(request)
    name = request.path_params["name"]
    settings = {"item": name}
    fields = await asyncio.to_thread(validated_job, "fetch", None, settings, [], f"Fetch {name}", set())
    job_id = studio.store.add_job(**fields, inputs=[], parent=None)
    studio.queue.start_next()
    return ApiResponse(job_as_json(studio.store.job(job_id)), 201)


ROUTES = [
    ApiRoute("/api/examples", examples, answer=list[Example]),
    ApiRoute("/api/examples/{name}", add_example, "POST", answer=Picture, status=201),
    ApiRoute("/api/examples/{name}/thumbnail", example_thumbnail, answer="image/jpeg"),
    ApiRoute("/api/shelf", the_shelf, answer=list[Item]),
    ApiRoute("/api/shelf/{name}", fetch, "POST", answer=Job, status=201),
]
