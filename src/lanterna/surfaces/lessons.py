"""The pictures of lessons, with their records, made now or made again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanterna.images.record import Record, make_record
from lanterna.lessons import LESSONS
from lanterna.lessons.drawing import draw

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.lessons import Lesson
    from lanterna.recipes.recipe import Recipe


def lesson_record(lesson: Lesson, recipe: Recipe) -> Record:
    """How the picture of a lesson was made."""
    return make_record("learn", lesson.name, recipe)


def lesson_picture(record: Record) -> tuple[Tensor, Record]:
    """Do a lesson's experiment again from its record, and draw it."""
    lesson = LESSONS[record.made]
    recipe = lesson.recipe.checked(record.settings)
    return draw(lesson, lesson.experiment(recipe)), lesson_record(lesson, recipe)
