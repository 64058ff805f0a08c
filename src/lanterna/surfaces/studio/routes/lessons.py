"""The lessons, and the experiments of quick ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lanterna.errors import MissingError
from lanterna.surfaces.studio.messages import Attempt, Lesson, Measured, Outcome, Reply, Settings
from lanterna.surfaces.studio.routes.requests import ApiResponse, ApiRoute, json_body, parsed_body, studio_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def lessons(_: Request) -> Response:
    """Return the lessons in the lecture's order: texts, exercises, settings."""

    def as_json() -> list[dict[str, object]]:
        from lanterna.lessons import LESSONS
        from lanterna.lessons.documents import lesson_as_json

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
    return ApiResponse(await interactive.check_answer(name, attempt.exercise, attempt.answer))


ROUTES = [
    ApiRoute("/api/lessons", lessons, answer=list[Lesson]),
    ApiRoute("/api/lessons/{name}", measured, answer=Measured),
    ApiRoute("/api/lessons/{name}", learn, "POST", body=Settings, answer=Outcome),
    ApiRoute("/api/lessons/{name}/check", check, "POST", body=Attempt, answer=Reply),
]
