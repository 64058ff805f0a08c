"""The lessons, and the experiments of quick ones."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from lanterna.errors import MissingError
from lanterna.surfaces.studio.messages import (
    Attempt,
    Explanation,
    Lesson,
    Measured,
    Outcome,
    Reply,
    SavedAnswer,
    Settings,
)
from lanterna.surfaces.studio.names import file_name
from lanterna.surfaces.studio.routes.requests import (
    NO_STORE,
    ApiResponse,
    ApiRoute,
    json_body,
    parameter,
    parsed_body,
    studio_of,
)

if TYPE_CHECKING:
    from starlette.requests import Request


async def lessons(_: Request) -> Response:
    """Return the lessons in the lecture's order: texts, exercises, settings."""

    def as_json() -> list[dict[str, object]]:
        from lanterna.lessons import LESSONS
        from lanterna.lessons.exercises import lesson_as_json

        return [lesson_as_json(lesson) for lesson in LESSONS.values()]

    return ApiResponse(await asyncio.to_thread(as_json))


async def measured(request: Request) -> Response:
    """Return what was measured in advance for a slow lesson with its default settings."""
    name = request.path_params["name"]

    def document() -> dict[str, object]:
        from lanterna.lessons import LESSONS
        from lanterna.lessons.measured import measured

        found = measured(LESSONS[name]) if name in LESSONS else None
        if found is None:
            raise MissingError(f"nothing was measured in advance for {name[:40]!r}: run its experiment")
        return {**found.document, "took": found.took}

    return ApiResponse(await asyncio.to_thread(document))


async def learn(request: Request) -> Response:
    """Run a quick lesson's experiment with these settings."""
    settings, name = await json_body(request), request.path_params["name"]
    return ApiResponse(await studio_of(request).interactive.run_lesson(name, settings))


async def check(request: Request) -> Response:
    """Check an answer to one of a lesson's exercises, without revealing the right one."""
    attempt, name = await parsed_body(request, Attempt), request.path_params["name"]
    interactive = studio_of(request).interactive
    reply = await interactive.check_answer(name, attempt.exercise, attempt.answer)
    await asyncio.to_thread(_save, name, attempt.exercise, answer=attempt.answer, right=reply["right"])
    return ApiResponse(reply)


async def explain(request: Request) -> Response:
    """Save what a student wrote about an exercise."""
    body, name = await parsed_body(request, Explanation), request.path_params["name"]
    await asyncio.to_thread(_save, name, body.exercise, explanation=body.words)
    return ApiResponse({"explanation": body.words})


def _save(lesson: str, number: int, **what: Any) -> None:  # noqa: ANN401
    from lanterna.lessons.answers import save_answer

    save_answer(lesson, number, **what)


async def answers(_: Request) -> Response:
    """Return the answers and explanations saved on this machine, by lesson and exercise."""

    def found() -> dict[str, dict[str, dict[str, Any]]]:
        from lanterna.lessons.answers import saved_answers

        return saved_answers()

    return ApiResponse(await asyncio.to_thread(found))


async def hand_in(request: Request) -> Response:
    """Return all answers, explanations and starred pictures as one HTML file to download."""
    store, student = studio_of(request).store, request.query_params.get("student", "")[:200]
    starred = store.gallery(starred=True, limit=40)
    pictures = [(file_name(each), store.file(each)) for each in starred]

    def page() -> str:
        from lanterna.lessons.hand_in import hand_in

        return hand_in(student, pictures=pictures).page

    whose = re.sub(r"[^A-Za-z0-9]+", "-", student).strip("-")  # a header is ASCII
    name = f"{'-'.join(filter(None, ('hand-in', whose, time.strftime('%Y-%m-%d'))))}.html"
    headers = {**NO_STORE, "content-disposition": f'attachment; filename="{name}"'}
    return Response(await asyncio.to_thread(page), media_type="text/html", headers=headers)


ROUTES = [
    ApiRoute("/api/lessons", lessons, answer=list[Lesson]),
    ApiRoute("/api/lessons/{name}", measured, answer=Measured),
    ApiRoute("/api/lessons/{name}", learn, "POST", body=Settings, answer=Outcome),
    ApiRoute("/api/lessons/{name}/check", check, "POST", body=Attempt, answer=Reply),
    ApiRoute("/api/lessons/{name}/explain", explain, "POST", body=Explanation, answer=SavedAnswer),
    ApiRoute("/api/answers", answers, answer=dict[str, dict[str, SavedAnswer]]),
    ApiRoute(
        "/api/hand-in", hand_in, answer="text/html", query={"student": parameter("The student's name.")}
    ),
]
