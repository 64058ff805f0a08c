"""Jobs: put into the queue, changed, stopped, gone back in, branched from."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from lanterna.errors import UsageError
from lanterna.surfaces.studio import history
from lanterna.surfaces.studio.jobs import FINISHED
from lanterna.surfaces.studio.messages import Input, Job, JobChange, NewJob, NumbersThen, Techniques
from lanterna.surfaces.studio.routes.requests import NOW, Answer, Call, asked, number, sent, studio_of
from lanterna.surfaces.studio.store import checked_id, new_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from lanterna.surfaces.studio.studio import Studio


def told(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job as the API tells it."""
    hidden = ("begun_with", "place", "tries")
    shown = {name: value for name, value in job.items() if name not in hidden}
    return {**shown, "history": [{"step": step} for step in job["history"]]}


_MOST = 1000  # pictures of a job


async def techniques(_: Request) -> Response:
    """The rooms, and every technique: its settings' schema, its presets, the pictures it takes."""

    def all_of_them() -> Techniques:
        from lanterna.surfaces.studio.describe import described

        return described()

    return Answer(await asyncio.to_thread(all_of_them))


async def jobs(request: Request) -> Response:
    """The queue in order, then what has ended."""
    return Answer([told(job) for job in studio_of(request).store.jobs()])


async def add_job(request: Request) -> Response:
    """Put a job into the queue."""
    studio = studio_of(request)
    body = await sent(request, NewJob)
    if "at" in body.model_fields_set:
        return await branch(studio, body)
    inputs = [_input(studio, each) for each in body.inputs]
    if len(inputs) > _MOST:
        raise UsageError(f"a job takes up to {_MOST} pictures")
    if body.parent is not None:
        studio.store.job(checked_id(body.parent))
    taken = _titles(studio, body.kind)
    fields = await asyncio.to_thread(
        checked_job, body.kind, body.preset, body.settings, inputs, body.title, taken
    )
    job_id = studio.store.add_job(**fields, inputs=inputs, parent=body.parent)
    studio.queue.pump()
    return Answer(told(studio.store.job(job_id)), 201)


async def branch(studio: Studio, body: NewJob) -> Response:
    """Put a job into the queue that begins at a step of another."""
    parent, step = studio.store.job(checked_id(body.parent)), body.at
    if step not in parent["history"]:
        raise HTTPException(409, f"step {step} of that job is not kept")
    if (body.kind or parent["kind"]) != parent["kind"] or body.inputs or body.preset:
        raise UsageError("a branch has the kind, pictures and preset of the job that it comes from")
    job_id = new_id()
    title = body.title or parent["title"]
    begun = {**parent, "begun_with": parent["begun_with"] or parent["settings"]}
    settings = await asyncio.to_thread(_changed_settings, begun, body.settings)
    if parent["kind"] in await asyncio.to_thread(making_networks):  # a network that is there keeps its name
        kind, taken = parent["kind"], _titles(studio, parent["kind"])
        given = parent["inputs"]
        fields = await asyncio.to_thread(checked_job, kind, None, settings, given, "", taken)
        title = fields["title"]
    history.begin_at(studio.store.job_folder(parent["id"]), step, studio.store.job_folder(job_id))
    studio.store.add_job(
        job_id, kind=parent["kind"], preset=parent["preset"], settings=settings, title=title, step=step,
        begun_with=begun["begun_with"], inputs=parent["inputs"], parent=parent["id"], preview=1,
    )  # fmt: skip
    studio.queue.pump()
    return Answer(told(studio.store.job(job_id)), 201)


def making_networks() -> set[str]:
    """The kinds of job whose title is the name of the network that they make. Imports torch at first."""
    from lanterna.surfaces.studio.techniques import techniques
    from lanterna.techniques.technique import Output

    return {name for name, technique in techniques().items() if technique.output is Output.NETWORK}


def checked_job(
    name: str,
    preset: str | None,
    values: dict[str, Any],
    inputs: list[dict[str, str]],
    title: str,
    taken: set[str],
) -> dict[str, Any]:
    """A job's fields, checked as the command line checks them. Imports torch the first time."""
    from lanterna.surfaces.studio.techniques import checked, technique_named

    technique = technique_named(name)
    settings = checked(technique, preset, values, inputs)
    return {
        "kind": name,
        "preset": preset,
        "settings": settings.model_dump(mode="json"),
        "title": technique.job_title(title, settings, taken=taken),
    }


def _titles(studio: Studio, kind: str) -> set[str]:
    """The titles of jobs of a kind that have not ended: of networks that will soon be there."""
    return {
        each["title"]
        for each in studio.store.jobs()
        if each["kind"] == kind and each["state"] not in FINISHED
    }


def _input(studio: Studio, note: Input) -> dict[str, str]:
    try:
        picture = studio.store.picture(checked_id(note.picture))
    except KeyError:
        raise UsageError("an input's picture is not here: send it to /api/pictures first") from None
    return {"role": note.role, "picture": picture["id"]}


async def job(request: Request) -> Response:
    """One job."""
    return Answer(told(studio_of(request).store.job(request.path_params["id"])))


async def change_job(request: Request) -> Response:
    """Change a job's settings, pause it, go on, stop it, or move it in the queue."""
    studio, job_id = studio_of(request), request.path_params["id"]
    found = studio.store.job(job_id)
    body = await sent(request, JobChange)
    given = body.model_fields_set
    if "title" in given and found["kind"] not in await asyncio.to_thread(making_networks):
        studio.store.change_job(job_id, title=body.title)
    if "settings" in given:
        if found["state"] in FINISHED:
            raise HTTPException(409, f"this job is {found['state']}: start another with these settings")
        settings = await asyncio.to_thread(_changed_settings, found, body.settings)
        studio.queue.change_settings(job_id, settings)
    if "before" in given:
        _move(studio, job_id, body.before)
    if "back" in given:
        try:
            studio.queue.back(job_id, body.back)
        except UsageError as error:
            raise HTTPException(409, str(error)) from None
    if "state" in given:
        changes = {"paused": studio.queue.pause, "running": studio.queue.go_on, "stopped": studio.queue.stop}
        try:
            changes[body.state](job_id)
        except UsageError as error:
            raise HTTPException(409, str(error)) from None
    return Answer(told(studio.store.job(job_id)))


def _changed_settings(job: Mapping[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    from lanterna.surfaces.studio.techniques import checked, technique_named

    technique = technique_named(job["kind"])
    settings = checked(technique, None, {**job["settings"], **given}, job["inputs"])
    values = settings.model_dump(mode="json")
    if job["begun_with"] is not None:
        fixed = [name for name, value in values.items() if value != job["settings"][name]]
        for name in fixed:
            if name not in technique.live:
                may = ", ".join(technique.live) or "nothing"
                raise UsageError(f"{name} cannot change once a job has begun: {may} can")
    return values


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
        return Response(await asyncio.to_thread(place.read_bytes), 200, NOW, "image/jpeg")
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
        headers=NOW,
    )  # fmt: skip


async def numbers(request: Request) -> Response:
    """The numbers that a job has told, for its curves."""
    found = studio_of(request).store
    known = found.job(request.path_params["id"])
    return Answer(found.numbers(known["id"], number(request, "after", -1, -1, 2**53)))


_JOB = "/api/jobs/{id:id}"
_PREVIEWED = {"n": asked("The job's `preview`, so that none is kept.", int, 0)}
_AFTER = {"after": asked("Only of later steps.", int, -1, ge=-1, le=2**53)}
ROUTES = [
    Call("/api/techniques", techniques, answer=Techniques),
    Call("/api/jobs", jobs, answer=list[Job]),
    Call("/api/jobs", add_job, "POST", body=NewJob, answer=Job, status=201),
    Call(_JOB, job, answer=Job),
    Call(_JOB, change_job, "PATCH", body=JobChange, answer=Job),
    Call(_JOB, forget_job, "DELETE", answer=None, status=204),
    Call(f"{_JOB}/preview", preview, query=_PREVIEWED, answer="image/jpeg"),
    Call(f"{_JOB}/history/{{step:int}}", step_picture, answer="image/jpeg"),
    Call(f"{_JOB}/numbers", numbers, query=_AFTER, answer=list[NumbersThen]),
]
