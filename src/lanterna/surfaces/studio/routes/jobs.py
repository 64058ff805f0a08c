"""Jobs: starting, changing, stopping, rewinding and branching them."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from lanterna.errors import LanternaError, UsageError
from lanterna.surfaces.studio import history
from lanterna.surfaces.studio.forecast import forecast, rounded, same_work
from lanterna.surfaces.studio.jobs import FINISHED
from lanterna.surfaces.studio.messages import (
    Forecast,
    Input,
    Job,
    JobChange,
    NewJob,
    StepNumbers,
    Techniques,
)
from lanterna.surfaces.studio.names import automatic_title
from lanterna.surfaces.studio.routes.requests import (
    NO_STORE,
    ApiResponse,
    ApiRoute,
    integer_parameter,
    parameter,
    parsed_body,
    studio_of,
)
from lanterna.surfaces.studio.store import checked_id, new_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from lanterna.surfaces.studio.studio import Studio


def job_as_json(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job as the API's JSON."""
    hidden = ("begun_with", "made", "place", "seconds", "tries")
    shown = {name: value for name, value in job.items() if name not in hidden}
    return {**shown, "created": job["made"], "history": [{"step": step} for step in job["history"]]}


_MAX_INPUTS = 1000


async def techniques(_: Request) -> Response:
    """Return the rooms, and every technique: its settings' schema, its presets, its inputs."""

    def describe() -> Techniques:
        from lanterna.surfaces.studio.describe import studio_description

        return studio_description()

    return ApiResponse(await asyncio.to_thread(describe))


async def jobs(request: Request) -> Response:
    """Return the queue in order, then the finished jobs."""
    return ApiResponse([job_as_json(job) for job in studio_of(request).store.jobs()])


async def add_job(request: Request) -> Response:
    """Add a job to the queue."""
    studio = studio_of(request)
    body = await parsed_body(request, NewJob)
    if "at" in body.model_fields_set:
        return await branch(studio, body)
    fields = await _validated(studio, body)
    job_id = studio.store.add_job(**fields, parent=body.parent)
    studio.queue.start_next()
    return ApiResponse(job_as_json(studio.store.job(job_id)), 201)


async def check_job(request: Request) -> Response:
    """Check whether a new job would be accepted, without adding it, and forecast how long it will take."""
    from lanterna.surfaces.studio.techniques import technique_named

    studio = studio_of(request)
    fields = await _validated(studio, await parsed_body(request, NewJob))
    done = [
        {**job, "pixels": _pixels(studio, job["inputs"])} for job in studio.store.timed_jobs(fields["kind"])
    ]
    known = any(same_work(job["settings"], fields["settings"]) for job in done)
    if not known or technique_named(fields["kind"]).learns_once:
        seconds = None
        with contextlib.suppress(BrokenProcessPool, LanternaError):  # it took too long, or too much memory
            seconds = await studio.estimator.run(_estimated_seconds, fields["kind"], fields["settings"])
        if seconds is not None:
            return ApiResponse({"seconds": rounded(seconds), "smaller": None})
    return ApiResponse(forecast(fields["settings"], _pixels(studio, fields["inputs"]), done))


def _estimated_seconds(kind: str, values: Mapping[str, Any]) -> float | None:
    """Return the seconds that a technique without inputs estimates itself, or None.

    It may run some steps, so this is called in a process that cannot take the page along.
    """
    from lanterna.surfaces.studio.techniques import technique_named
    from lanterna.techniques.execute import Job

    technique = technique_named(kind)
    if technique.inputs:
        return None
    estimate = technique.estimate(Job(technique, technique.settings.checked(values)))
    return None if estimate is None else estimate.seconds


def _pixels(studio: Studio, inputs: Sequence[Mapping[str, Any]]) -> tuple[int, int] | None:
    """Return the width and height of a job's first picture, or None if there is none any more."""
    with contextlib.suppress(KeyError):
        for each in inputs[:1]:
            picture = studio.store.picture(each["picture"])
            return picture["width"], picture["height"]
    return None


async def _validated(studio: Studio, body: NewJob) -> dict[str, Any]:
    """Return a new job's fields. Errors: `UsageError` in one line; `KeyError` if there is no such parent."""
    inputs = [_input(studio, each) for each in body.inputs]
    if len(inputs) > _MAX_INPUTS:
        raise UsageError(f"a job takes up to {_MAX_INPUTS} pictures")
    if body.parent is not None:
        studio.store.job(checked_id(body.parent))
    taken = _titles(studio, body.kind)
    fields = await asyncio.to_thread(
        validated_job, body.kind, body.preset, body.settings, inputs, body.title, taken
    )
    if not fields["title"]:
        subject = studio.store.picture(inputs[0]["picture"])["title"] if inputs else ""
        fields["title"] = await _automatic_title(
            studio, subject, body.kind, body.preset, fields["settings"], inputs
        )
    return {**fields, "inputs": inputs}


async def _automatic_title(
    studio: Studio,
    subject: str,
    kind: str,
    preset: str | None,
    settings: Mapping[str, Any],
    inputs: Sequence[Mapping[str, str]],
) -> str:
    from lanterna.surfaces.studio.techniques import named_values, technique_named

    technique = await asyncio.to_thread(technique_named, kind)
    styles = named_values(technique, settings)
    styles += [studio.store.picture(each["picture"])["title"] for each in inputs if each["role"] == "style"]
    return studio.store.unique_title("jobs", automatic_title(subject, technique.title, preset, styles))


async def branch(studio: Studio, body: NewJob) -> Response:
    """Add a job to the queue that starts at a saved step of another."""
    parent, step = studio.store.job(checked_id(body.parent)), body.at
    if step not in parent["history"]:
        raise HTTPException(409, f"step {step} of that job is not saved")
    if (body.kind or parent["kind"]) != parent["kind"] or body.inputs or body.preset:
        raise UsageError("a branch takes the kind, pictures and preset of its parent")
    job_id = new_id()
    begun = {**parent, "begun_with": parent["begun_with"] or parent["settings"]}
    title = body.title or await _automatic_title(
        studio, parent["title"], parent["kind"], parent["preset"], parent["settings"], parent["inputs"]
    )
    settings = await asyncio.to_thread(_changed_settings, begun, body.settings)
    if parent["kind"] in await asyncio.to_thread(network_kinds):  # the parent's network has the name already
        kind, taken = parent["kind"], _titles(studio, parent["kind"])
        inputs = parent["inputs"]
        fields = await asyncio.to_thread(validated_job, kind, None, settings, inputs, "", taken)
        title = fields["title"]
    history.start_at(studio.store.job_folder(parent["id"]), step, studio.store.job_folder(job_id))
    studio.store.add_job(
        job_id, kind=parent["kind"], preset=parent["preset"], settings=settings, title=title, step=step,
        begun_with=begun["begun_with"], inputs=parent["inputs"], parent=parent["id"], preview=1,
    )  # fmt: skip
    studio.queue.start_next()
    return ApiResponse(job_as_json(studio.store.job(job_id)), 201)


def network_kinds() -> set[str]:
    """Return the kinds of job that train a network, named by their title. Imports torch the first time."""
    from lanterna.surfaces.studio.techniques import techniques
    from lanterna.techniques.technique import Output

    return {name for name, technique in techniques().items() if technique.output is Output.NETWORK}


def validated_job(
    name: str,
    preset: str | None,
    values: dict[str, Any],
    inputs: list[dict[str, str]],
    title: str,
    taken: set[str],
) -> dict[str, Any]:
    """Return a job's fields, validated as on the command line. Imports torch the first time."""
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
    """Return the titles of the unfinished jobs of a kind: the names of networks being trained."""
    return {
        each["title"]
        for each in studio.store.jobs()
        if each["kind"] == kind and each["state"] not in FINISHED
    }


def _input(studio: Studio, entry: Input) -> dict[str, str]:
    try:
        picture = studio.store.picture(checked_id(entry.picture))
    except KeyError:
        raise UsageError(
            "an input's picture is not in the studio: upload it to /api/pictures first"
        ) from None
    return {"role": entry.role, "picture": picture["id"]}


async def job(request: Request) -> Response:
    """Return a job."""
    return ApiResponse(job_as_json(studio_of(request).store.job(request.path_params["id"])))


async def change_job(request: Request) -> Response:
    """Change a job: its settings, title, state or place in the queue, or rewind it to a saved step."""
    studio, job_id = studio_of(request), request.path_params["id"]
    found = studio.store.job(job_id)
    body = await parsed_body(request, JobChange)
    changed = body.model_fields_set
    if "title" in changed and found["kind"] not in await asyncio.to_thread(network_kinds):
        studio.store.change_job(job_id, title=body.title)
    if "settings" in changed:
        settings = await asyncio.to_thread(_changed_settings, found, body.settings)
        changes = {name: value for name, value in settings.items() if value != found["settings"].get(name)}
        try:
            studio.queue.change_settings(job_id, changes)
        except UsageError as error:
            raise HTTPException(409, str(error)) from None
    if "before" in changed:
        _move(studio, job_id, body.before)
    if "back" in changed:
        try:
            studio.queue.go_back(job_id, body.back)
        except UsageError as error:
            raise HTTPException(409, str(error)) from None
    if "state" in changed:
        changes = {"paused": studio.queue.pause, "running": studio.queue.resume, "stopped": studio.queue.stop}
        try:
            changes[body.state](job_id)
        except UsageError as error:
            raise HTTPException(409, str(error)) from None
    return ApiResponse(job_as_json(studio.store.job(job_id)))


def _changed_settings(job: Mapping[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    from lanterna.surfaces.studio.techniques import checked, technique_named

    technique = technique_named(job["kind"])
    settings = checked(technique, None, {**job["settings"], **changed}, job["inputs"])
    values = settings.model_dump(mode="json")
    if job["begun_with"] is not None:
        fixed = [name for name, value in values.items() if value != job["settings"][name]]
        for name in fixed:
            if name not in technique.live:
                live = ", ".join(technique.live) or "nothing"
                raise UsageError(f"{name} cannot change once a job has begun: {live} can")
    return values


def _move(studio: Studio, job_id: str, before: str | None) -> None:
    if studio.store.job(job_id)["state"] != "queued":
        raise HTTPException(409, "only a queued job can be moved")
    try:
        studio.store.move(job_id, None if before is None else checked_id(before))
    except KeyError:
        raise HTTPException(409, "before: no queued job has this id") from None


async def remove_job(request: Request) -> Response:
    """Remove a finished job from the list."""
    try:
        studio_of(request).queue.remove(request.path_params["id"])
    except UsageError as error:
        raise HTTPException(409, str(error)) from None
    return Response(status_code=204)


async def preview(request: Request) -> Response:
    """Return the picture so far, as a JPEG."""
    studio = studio_of(request)
    found = studio.store.job(request.path_params["id"])
    place = studio.store.job_folder(found["id"]) / "preview.jpg"
    try:
        return Response(await asyncio.to_thread(place.read_bytes), 200, NO_STORE, "image/jpeg")
    except FileNotFoundError:
        raise KeyError(found["id"]) from None


async def step_picture(request: Request) -> Response:
    """Return the picture of a saved step, as a JPEG."""
    studio = studio_of(request)
    found = studio.store.job(request.path_params["id"])
    step = request.path_params["step"]
    if step not in found["history"]:
        raise KeyError(step)
    return FileResponse(
        history.History(studio.store.job_folder(found["id"])).picture(step), media_type="image/jpeg",
        headers=NO_STORE,
    )  # fmt: skip


async def numbers(request: Request) -> Response:
    """Return the numbers that a job has reported, for its curves."""
    store = studio_of(request).store
    job = store.job(request.path_params["id"])
    return ApiResponse(store.numbers(job["id"], integer_parameter(request, "after", -1, -1, 2**53)))


_JOB = "/api/jobs/{id:id}"
_PREVIEWED = {"n": parameter("The job's `preview`, to bypass caches.", int, 0)}
_AFTER = {"after": parameter("Only later steps.", int, -1, ge=-1, le=2**53)}
ROUTES = [
    ApiRoute("/api/techniques", techniques, answer=Techniques),
    ApiRoute("/api/jobs", jobs, answer=list[Job]),
    ApiRoute("/api/jobs", add_job, "POST", body=NewJob, answer=Job, status=201),
    ApiRoute("/api/jobs/check", check_job, "POST", body=NewJob, answer=Forecast),
    ApiRoute(_JOB, job, answer=Job),
    ApiRoute(_JOB, change_job, "PATCH", body=JobChange, answer=Job),
    ApiRoute(_JOB, remove_job, "DELETE", answer=None, status=204),
    ApiRoute(f"{_JOB}/preview", preview, query=_PREVIEWED, answer="image/jpeg"),
    ApiRoute(f"{_JOB}/history/{{step:int}}", step_picture, answer="image/jpeg"),
    ApiRoute(f"{_JOB}/numbers", numbers, query=_AFTER, answer=list[StepNumbers]),
]
