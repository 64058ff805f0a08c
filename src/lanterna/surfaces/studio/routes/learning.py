"""The lessons, and what a quick one's experiment gives, at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lanterna.surfaces.studio.messages import Attempt, Lesson, Outcome, Reply, Settings
from lanterna.surfaces.studio.routes.requests import Answer, Call, document, sent, studio_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def lessons(_: Request) -> Response:
    """The lessons in the lecture's order: question, claim, settings."""

    def all_of_them() -> list[dict[str, object]]:
        from lanterna.lessons import LESSONS
        from lanterna.lessons.documents import lesson_as_json

        return [lesson_as_json(lesson) for lesson in LESSONS.values()]

    return Answer(await asyncio.to_thread(all_of_them))


async def learn(request: Request) -> Response:
    """Do a quick lesson's experiment with these settings at once."""
    return Answer(await studio_of(request).reader.learn(request.path_params["name"], await document(request)))


async def check(request: Request) -> Response:
    """Check an answer to one of a lesson's exercises, without being told the right one."""
    given, reader = await sent(request, Attempt), studio_of(request).reader
    return Answer(await reader.check(request.path_params["name"], given.exercise, given.answer))


ROUTES = [
    Call("/api/lessons", lessons, answer=list[Lesson]),
    Call("/api/lessons/{name}", learn, "POST", body=Settings, answer=Outcome),
    Call("/api/lessons/{name}/check", check, "POST", body=Attempt, answer=Reply),
]
