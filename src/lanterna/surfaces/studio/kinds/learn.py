"""The lessons: each an experiment with controls, and a finding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lanterna.lessons import LESSONS
from lanterna.lessons.drawing import draw
from lanterna.lessons.progress import listening
from lanterna.recipes.recipe import Frame
from lanterna.surfaces.lessons import lesson_record
from lanterna.surfaces.studio.task import Doing, Kind, Result, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from lanterna.lessons import Lesson


def _beginning(lesson: Lesson) -> Callable[[Task], Doing]:
    def begin(task: Task) -> Doing:
        task.fetch(*lesson.needs)
        with listening(task.tell):
            outcome = lesson.experiment(task.recipe)

        def frames() -> Generator[Frame, Any, None]:
            yield Frame(1, 1, picture=draw(lesson, outcome))

        def results(frame: Frame, _: object) -> list[Result]:
            assert frame.picture is not None
            finding = outcome.finding
            words = f"{finding.verdict.capitalize()}. {finding.words}"
            record = lesson_record(lesson, task.recipe)
            return [Result(frame.picture, record, numbers=finding.numbers, words=words)]

        return Doing(frames(), results)

    return begin


KINDS = tuple(
    Kind(
        f"learn-{lesson.name}", "learn", lesson.title, f"{lesson.question} The lecture: {lesson.claim}",
        lesson.recipe, _beginning(lesson),
        plain=tuple(name for name in lesson.recipe.model_fields if name != "seed"),
    )
    for lesson in LESSONS.values()
)  # fmt: skip
