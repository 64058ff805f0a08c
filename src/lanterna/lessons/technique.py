"""The lessons as techniques: each an experiment with controls and a finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanterna.lessons import LESSONS
from lanterna.lessons.drawing import draw
from lanterna.lessons.progress import report_to
from lanterna.techniques.technique import Frame, Result, Technique, Work

if TYPE_CHECKING:
    from lanterna.lessons import Lesson
    from lanterna.techniques.execute import Job


def _technique(lesson: Lesson) -> Technique:
    def run(job: Job) -> Work:
        job.fetch(*lesson.needs)
        with report_to(job.progress):
            outcome = lesson.experiment(job.settings)
        finding = outcome.finding
        picture = draw(lesson, outcome)

        def results(*_: object) -> list[Result]:
            return [Result(picture, numbers=finding.numbers, words=str(finding))]

        return Work((frame for frame in [Frame(1, 1, picture=picture)]), results)

    return Technique(
        name=f"learn-{lesson.name}", title=lesson.title,
        help=f"{lesson.question} The lecture: {lesson.claim}",
        verb="learn", command=("learn", lesson.name), outputs=(lesson.name,), run=run,
        settings=lesson.settings,
        shown_first=tuple(name for name in lesson.settings.model_fields if name != "seed"),
        networks=lambda _: (), on_device=False,
    )  # fmt: skip


TECHNIQUES = tuple(_technique(lesson) for lesson in LESSONS.values())
