"""The API: thin routes over the store, the queue and the reader. What comes in is checked here, once."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.background import BackgroundTask
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from lanterna.errors import MissingError, UsageError
from lanterna.files import sha256
from lanterna.surfaces.studio import history
from lanterna.surfaces.studio import pictures as kept
from lanterna.surfaces.studio.jobs import FINISHED
from lanterna.surfaces.studio.store import ID, checked_id, new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from starlette.requests import Request

    from lanterna.surfaces.studio.server import Studio

_BEAT = 15.0  # seconds of silence after which the event stream sends a comment
_REST = 0.1  # seconds between two looks at what has changed
_FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
_NOW = {"cache-control": "no-store"}


class Answer(JSONResponse):
    """JSON that is not kept by the browser."""

    def __init__(self, content: object, status_code: int = 200) -> None:
        super().__init__(content, status_code, _NOW)


def studio_of(request: Request) -> Studio:
    """The studio that a request is for."""
    studio: Studio = request.app.state.studio
    return studio


# What everybody's errors become.


async def failed(_: Request, error: Exception) -> Response:
    """A wrong wish, told in one line."""
    status = 404 if isinstance(error, MissingError) else 422 if isinstance(error, UsageError) else 500
    return Answer({"error": str(error)}, status)


async def not_there(_: Request, __: Exception) -> Response:
    """An id of nothing."""
    return Answer({"error": "there is no such thing here"}, 404)


async def refused(request: Request, error: Exception) -> Response:
    """What Starlette or the guard refuses."""
    assert isinstance(error, HTTPException)
    words = {404: "there is nothing at this address", 405: "this address is not for that"}
    response = Answer({"error": words.get(error.status_code, error.detail)}, error.status_code)
    response.headers.update(error.headers or {})
    if error.status_code == 405:  # of several routes with one path, not of the first alone
        found = [route for route in ROUTES if route.path_regex.match(request.url.path)]
        response.headers["allow"] = ", ".join(sorted(set().union(*(route.methods or () for route in found))))
    return response


async def unforeseen(_: Request, __: Exception) -> Response:
    """A mistake of ours; what it was is on standard error."""
    return Answer({"error": "the studio has failed at this: its terminal says why"}, 500)


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


# Jobs.


def told(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job as the API tells it."""
    hidden = ("begun_with", "place", "tries")
    shown = {name: value for name, value in job.items() if name not in hidden}
    return {**shown, "history": [{"step": step} for step in job["history"]]}


async def recipes(_: Request) -> Response:
    """Every kind of job: its room, its settings' schema, its presets, the pictures it takes."""

    def all_of_them() -> list[dict[str, Any]]:
        from lanterna.surfaces.studio.describe import recipes as described

        return described()

    return Answer(await asyncio.to_thread(all_of_them))


async def jobs(request: Request) -> Response:
    """The queue in order, then what has ended."""
    return Answer([told(job) for job in studio_of(request).store.jobs()])


async def add_job(request: Request) -> Response:
    """Put a job into the queue."""
    studio = studio_of(request)
    body = taken(
        await document(request), kind=str, settings=dict, preset=(str, type(None)), inputs=list,
        title=str, parent=(str, type(None)), at=int,
    )  # fmt: skip
    if "at" in body:
        return await branch(studio, body)
    inputs = [_input(studio, each) for each in body.get("inputs", [])]
    if len(inputs) > 200:
        raise UsageError("a job takes up to 200 pictures")
    parent = body.get("parent")
    if parent is not None:
        studio.store.job(checked_id(parent))
    fields = await asyncio.to_thread(
        _checked_job, body.get("kind", ""), body.get("preset"), body.get("settings", {}), inputs,
        " ".join(body.get("title", "").split())[:120], _titles(studio, body.get("kind", "")),
    )  # fmt: skip
    job_id = studio.store.add_job(**fields, inputs=inputs, parent=parent)
    studio.queue.pump()
    return Answer(told(studio.store.job(job_id)), 201)


async def branch(studio: Studio, body: dict[str, Any]) -> Response:
    """Put a job into the queue that begins at a step of another."""
    parent = studio.store.job(checked_id(body.get("parent")))
    step = body["at"]
    if step not in parent["history"]:
        raise HTTPException(409, f"step {step} of that job is not kept")
    if body.get("kind", parent["kind"]) != parent["kind"] or body.get("inputs") or body.get("preset"):
        raise UsageError("a branch has the kind, pictures and preset of the job that it comes from")
    job_id = new_id()
    title = " ".join(body.get("title", "").split())[:120] or parent["title"]
    begun = {**parent, "begun_with": parent["begun_with"] or parent["settings"]}
    settings = await asyncio.to_thread(_steered, begun, body.get("settings", {}))
    if parent["kind"] == "train":  # a network that is there keeps its name
        taken = _titles(studio, "train")
        fields = await asyncio.to_thread(_checked_job, "train", None, settings, [], "", taken)
        title = fields["title"]
    history.begin_at(studio.store.job_folder(parent["id"]), step, studio.store.job_folder(job_id))
    studio.store.add_job(
        job_id, kind=parent["kind"], preset=parent["preset"], settings=settings, title=title, step=step,
        begun_with=begun["begun_with"], inputs=parent["inputs"], parent=parent["id"], preview=1,
    )  # fmt: skip
    studio.queue.pump()
    return Answer(told(studio.store.job(job_id)), 201)


def _checked_job(
    name: str,
    preset: str | None,
    settings: dict[str, Any],
    inputs: list[dict[str, str]],
    title: str,
    taken: set[str],
) -> dict[str, Any]:
    """A job's fields, checked as the command line checks them. Imports torch the first time."""
    from lanterna.surfaces.studio.kinds import KINDS

    if name not in KINDS:
        raise UsageError(f"there is no kind of job {name[:40]!r}: there are {', '.join(KINDS)}")
    kind = KINDS[name]
    counts: dict[str, int] = {}
    for note in inputs:
        counts[note["role"]] = counts.get(note["role"], 0) + 1
    recipe = kind.checked(preset, settings, counts)
    return {
        "kind": name,
        "preset": preset,
        "settings": recipe.model_dump(mode="json"),
        "title": kind.title_of(title, recipe, taken),
    }


def _titles(studio: Studio, kind: str) -> set[str]:
    """The titles of jobs of a kind that have not ended: of networks that will soon be there."""
    return {
        each["title"]
        for each in studio.store.jobs()
        if each["kind"] == kind and each["state"] not in FINISHED
    }


def _input(studio: Studio, note: object) -> dict[str, str]:
    if not isinstance(note, dict):
        raise UsageError("an input is {role, picture}")
    taken(note, role=str, picture=str)
    try:
        picture = studio.store.picture(checked_id(note.get("picture")))
    except KeyError:
        raise UsageError("an input's picture is not here: send it to /api/pictures first") from None
    return {"role": note.get("role", "picture"), "picture": picture["id"]}


async def job(request: Request) -> Response:
    """One job."""
    return Answer(told(studio_of(request).store.job(request.path_params["id"])))


async def change_job(request: Request) -> Response:
    """Steer a job, pause it, go on, stop it, or move it in the queue."""
    studio, job_id = studio_of(request), request.path_params["id"]
    found = studio.store.job(job_id)
    body = taken(
        await document(request), settings=dict, state=str, before=(str, type(None)), title=str, back=int
    )
    if "title" in body and found["kind"] != "train":
        studio.store.change_job(job_id, title=" ".join(body["title"].split())[:120])
    if "settings" in body:
        if found["state"] in FINISHED:
            raise HTTPException(409, f"this job is {found['state']}: start another with these settings")
        settings = await asyncio.to_thread(_steered, found, body["settings"])
        studio.queue.steer(job_id, settings)
    if "before" in body:
        _move(studio, job_id, body["before"])
    if "back" in body:
        try:
            studio.queue.back(job_id, body["back"])
        except UsageError as error:
            raise HTTPException(409, str(error)) from None
    if "state" in body:
        changes = {"paused": studio.queue.pause, "running": studio.queue.go_on, "stopped": studio.queue.stop}
        if body["state"] not in changes:
            raise UsageError(f"state: expected {', '.join(changes)}, got {body['state'][:40]!r}")
        try:
            changes[body["state"]](job_id)
        except UsageError as error:
            raise HTTPException(409, str(error)) from None
    return Answer(told(studio.store.job(job_id)))


def _steered(job: Mapping[str, Any], wishes: dict[str, Any]) -> dict[str, Any]:
    from lanterna.surfaces.studio.kinds import KINDS

    kind = KINDS[job["kind"]]
    counts: dict[str, int] = {}
    for note in job["inputs"]:
        counts[note["role"]] = counts.get(note["role"], 0) + 1
    recipe = kind.checked(None, {**job["settings"], **wishes}, counts)
    settings = recipe.model_dump(mode="json")
    if job["begun_with"] is not None:
        fixed = [name for name, value in settings.items() if value != job["settings"][name]]
        for name in fixed:
            if name not in kind.steers:
                may = ", ".join(kind.steers) or "nothing"
                raise UsageError(f"{name} cannot change once a job has begun: {may} can")
    return settings


def _move(studio: Studio, job_id: str, before: str | None) -> None:
    if studio.store.job(job_id)["state"] != "queued":
        raise HTTPException(409, "only a job that waits can be moved")
    try:
        studio.store.move(job_id, None if before is None else checked_id(before))
    except KeyError:
        raise HTTPException(409, "there is no such job waiting to be put before") from None


async def forget_job(request: Request) -> Response:
    """Take a job that has ended off the list."""
    try:
        studio_of(request).queue.forget(request.path_params["id"])
    except UsageError as error:
        raise HTTPException(409, str(error)) from None
    return Response(status_code=204)


async def preview(request: Request) -> Response:
    """The picture so far, as a JPEG."""
    studio = studio_of(request)
    found = studio.store.job(request.path_params["id"])
    place = studio.store.job_folder(found["id"]) / "preview.jpg"
    try:
        return Response(await asyncio.to_thread(place.read_bytes), 200, _NOW, "image/jpeg")
    except FileNotFoundError:
        raise KeyError(found["id"]) from None


async def step_picture(request: Request) -> Response:
    """A step that a job can go back to, as a JPEG."""
    studio = studio_of(request)
    found = studio.store.job(request.path_params["id"])
    step = request.path_params["step"]
    if step not in found["history"]:
        raise KeyError(step)
    return FileResponse(
        history.History(studio.store.job_folder(found["id"])).picture(step), media_type="image/jpeg",
        headers=_NOW,
    )  # fmt: skip


async def numbers(request: Request) -> Response:
    """The numbers that a job has told, for its curves."""
    found = studio_of(request).store
    known = found.job(request.path_params["id"])
    return Answer(found.numbers(known["id"], _number(request, "after", -1, -1, 2**53)))


# Pictures.


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
    known = studio.store.picture_of_content(await asyncio.to_thread(sha256, sent))
    if known is not None:  # the same file again
        return kept.described(studio.store, known)
    picture_id = new_id()
    async with studio.decoding:  # large ones one at a time
        _, fields = await asyncio.to_thread(kept.receive, sent, studio.store.folder, picture_id)
    title = " ".join(title.split())[:120]
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
        studio_of(request).store.file(found), media_type=kept.MEDIA[found["suffix"]], headers=_FOREVER
    )


async def picture_thumbnail(request: Request) -> Response:
    """The picture, small, as a JPEG."""
    found = picture_of(request)
    place = studio_of(request).store.thumbnail(found["id"])
    return FileResponse(place, media_type="image/jpeg", headers=_FOREVER)


# The gallery.


async def gallery(request: Request) -> Response:
    """What was made, newest first."""
    store, query = studio_of(request).store, request.query_params
    before = query.get("before")
    found = store.gallery(
        words=query.get("words", "")[:400],
        room=query.get("room"),
        starred=query.get("starred", "") in ("1", "true", "yes"),
        before=None if before is None else checked_id(before),
        limit=_number(request, "limit", 60, 1, 500),
    )
    return Answer([kept.described(store, each) for each in found])


async def change_picture(request: Request) -> Response:
    """Star a picture, or give it a title."""
    store, found = studio_of(request).store, picture_of(request)
    body = taken(await document(request), starred=bool, title=str)
    if "starred" in body:
        store.change_picture(found["id"], starred=int(body["starred"]))
    if "title" in body:
        title = " ".join(body["title"].split())[:120]
        words = f"{found['words']} {title.lower()}"[-4000:]
        store.change_picture(found["id"], title=title, words=words)
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

    store = studio_of(request).store
    ids = [checked_id(each) for each in request.query_params.get("ids", "").split(",")[:501] if each]
    if not 1 <= len(ids) <= 500:
        raise UsageError("ids: expected 1 to 500 pictures, with commas between")
    found = [(picture, store.file(picture)) for picture in map(store.picture, ids)]
    place = store.incoming()
    try:
        await asyncio.to_thread(export.write_zip if suffix == "zip" else export.write_sheet, found, place)
    except BaseException:
        place.unlink(missing_ok=True)
        raise
    name = f"lanterna-{time.strftime('%Y-%m-%d')}.{suffix}"
    return FileResponse(
        place, media_type=media, filename=name, headers=_NOW, background=BackgroundTask(place.unlink)
    )


async def also_file(request: Request) -> Response:
    """What belongs to a picture: a painting that can be rendered at any size."""
    found = picture_of(request)
    if not found["also"]:
        raise KeyError(found["id"])
    place = studio_of(request).store.file(found).with_suffix(found["also"])
    return FileResponse(place, filename=f"painting{found['also']}", headers=_FOREVER)


# The shelf.


async def examples(_: Request) -> Response:
    """The shelf's photographs, with which a room can begin."""
    from lanterna.surfaces.studio import shelves

    return Answer(await asyncio.to_thread(shelves.examples))


async def example_thumbnail(request: Request) -> Response:
    """A photograph of the shelf, small."""
    from lanterna.surfaces.studio import shelves

    folder = studio_of(request).store.folder / "thumbnails"
    place = await asyncio.to_thread(shelves.small_photograph, request.path_params["name"], folder)
    return FileResponse(place, media_type="image/jpeg", headers=_FOREVER)


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
    fields = await asyncio.to_thread(_checked_job, "fetch", None, settings, [], "", set())
    job_id = studio.store.add_job(**fields, inputs=[], parent=None)
    studio.queue.pump()
    return Answer(told(studio.store.job(job_id)), 201)


# Reading.


async def read(request: Request) -> Response:
    """Read a drawing or a page at once."""
    if not request.headers.get("content-type", "").startswith("image/"):
        raise HTTPException(415, "send a picture, as image/png, image/jpeg …")
    name, surface = (request.query_params.get(*each) for each in (("network", "conv"), ("surface", "page")))
    return Answer(await studio_of(request).reader.read(await request.body(), name, surface))


async def networks(_: Request) -> Response:
    """The networks there are, and whether they are here."""

    def listed() -> list[dict[str, Any]]:
        from dataclasses import asdict

        from lanterna.networks.catalogue import networks as listings

        return [asdict(each) for each in listings()]

    return Answer(await asyncio.to_thread(listed))


# Events.


async def events(request: Request) -> Response:
    """What changes, as server-sent events; goes on after `Last-Event-ID`."""
    studio = studio_of(request)
    given = request.headers.get("last-event-id") or request.query_params.get("after", "")
    after = int(given) if given.isdecimal() and len(given) < 16 else None
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_stream(studio, after), 200, headers, "text/event-stream")


async def _stream(studio: Studio, after: int | None) -> AsyncIterator[str]:
    store, listener = studio.store, asyncio.Event()
    store.listeners.add(listener)
    studio.closing_listeners.add(listener)
    try:
        seen = store.last if after is None else after
        yield f"id: {seen}\nevent: hello\ndata: {{}}\n\n"
        while not studio.closing:
            changes = store.changes(seen)
            if changes is None:
                seen = store.last
                yield f"id: {seen}\nevent: reset\ndata: {{}}\n\n"
                continue
            for number, event, thing in changes:
                seen = number
                yield f"id: {number}\nevent: {event}\ndata: {json.dumps(_thing(studio, thing))}\n\n"
            if changes:
                await asyncio.sleep(_REST)
            try:
                await asyncio.wait_for(listener.wait(), _BEAT)
                listener.clear()
            except TimeoutError:
                yield ": still here\n\n"
    finally:
        store.listeners.discard(listener)
        studio.closing_listeners.discard(listener)


def _thing(studio: Studio, thing: str) -> object:
    """The whole of what has changed, as it is now."""
    from lanterna.surfaces.studio import shelves

    what, _, name = thing.partition(":")
    with suppress(KeyError):
        if what == "job":
            return told(studio.store.job(name))
        if what == "picture":
            return kept.described(studio.store, studio.store.picture(name))
        if what == "shelf":
            return shelves.listed()
    return {"id": name, "gone": True}


class _IdConvertor(Convertor[str]):
    """An id in an address: nothing else is routed."""

    regex = ID.pattern

    def convert(self, value: str) -> str:
        """As it is."""
        return checked_id(value)

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


async def openapi(_: Request) -> Response:
    """This description."""

    def described() -> dict[str, Any]:
        from lanterna.surfaces.studio.openapi import description

        return description()

    return Answer(await asyncio.to_thread(described))


def _number(request: Request, name: str, usual: int, least: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return usual
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 16 or not least <= int(text) <= most:
        raise UsageError(f"{name}: expected a number from {least} to {most}, got {text[:40]!r}")
    return int(text)


register_url_convertor("id", _IdConvertor())
ROUTES = [
    Route("/api/recipes", recipes),
    Route("/api/jobs", jobs),
    Route("/api/jobs", add_job, methods=["POST"]),
    Route("/api/jobs/{id:id}", job),
    Route("/api/jobs/{id:id}", change_job, methods=["PATCH"]),
    Route("/api/jobs/{id:id}", forget_job, methods=["DELETE"]),
    Route("/api/jobs/{id:id}/preview", preview),
    Route("/api/jobs/{id:id}/history/{step:int}", step_picture),
    Route("/api/jobs/{id:id}/numbers", numbers),
    Route("/api/pictures", add_picture, methods=["POST"]),
    Route("/api/pictures/{id:id}", picture),
    Route("/api/pictures/{id:id}/file", picture_file),
    Route("/api/pictures/{id:id}/thumbnail", picture_thumbnail),
    Route("/api/pictures/{id:id}/also", also_file),
    Route("/api/examples", examples),
    Route("/api/examples/{name}", add_example, methods=["POST"]),
    Route("/api/examples/{name}/thumbnail", example_thumbnail),
    Route("/api/shelf", the_shelf),
    Route("/api/shelf/{name}", fetch, methods=["POST"]),
    Route("/api/gallery", gallery),
    Route("/api/gallery/export.zip", export_zip),
    Route("/api/gallery/sheet.pdf", sheet_pdf),
    Route("/api/gallery/{id:id}", change_picture, methods=["PATCH"]),
    Route("/api/gallery/{id:id}", delete_picture, methods=["DELETE"]),
    Route("/api/gallery/{id:id}/restore", restore_picture, methods=["POST"]),
    Route("/api/read", read, methods=["POST"]),
    Route("/api/networks", networks),
    Route("/api/events", events),
    Route("/api/openapi.json", openapi),
]
