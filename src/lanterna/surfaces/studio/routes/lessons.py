"""The lessons, and the experiments of quick ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lanterna.surfaces.studio.messages import Attempt, Lesson, Outcome, Reply, Settings
from lanterna.surfaces.studio.routes.requests import ApiResponse, ApiRoute, json_body, parsed_body, studio_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def lessons(_: Request) -> Response:
    """Return the lessons in the lecture's order: question, claim, settings."""

    def as_json() -> list[dict[str, object]]:
        from lanterna.lessons import LESSONS
        from lanterna.lessons.documents import lesson_as_json

        return [lesson_as_json(lesson) for lesson in LESSONS.values()]

    return ApiResponse(await asyncio.to_thread(as_json))


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
    ApiRoute("/api/lessons/{name}", learn, "POST", body=Settings, answer=Outcome),
    ApiRoute("/api/lessons/{name}/check", check, "POST", body=Attempt, answer=Reply),
]
