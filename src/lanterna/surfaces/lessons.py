"""The pictures of lessons, with their records, made now or made again."""

from __future__ import annotations

import base64
import dataclasses
from typing import TYPE_CHECKING

from lanterna.images.drawing import as_png
from lanterna.images.record import Record, make_record
from lanterna.lessons import LESSONS, Picture
from lanterna.lessons.drawing import draw

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.lessons import Lesson, Outcome
    from lanterna.recipes.recipe import Recipe


def lesson_record(lesson: Lesson, recipe: Recipe) -> Record:
    """How the picture of a lesson was made."""
    return make_record("learn", lesson.name, recipe)


def lesson_picture(record: Record) -> tuple[Tensor, Record]:
    """Do a lesson's experiment again from its record, and draw it."""
    lesson = LESSONS[record.made]
    recipe = lesson.recipe.checked(record.settings)
    return draw(lesson, lesson.experiment(recipe)), lesson_record(lesson, recipe)


def outcome_as_json(outcome: Outcome) -> dict[str, object]:
    """What came out as a document of JSON; a picture in it is a data address of a PNG, under `source`."""
    return {
        "finding": dataclasses.asdict(outcome.finding),
        "charts": [
            {"title": each.title, "words": each.words, "source": _data(each)}
            if isinstance(each, Picture)
            else dataclasses.asdict(each)
            for each in outcome.charts
        ],
        "rows": outcome.rows,
    }


def _data(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(as_png(picture.picture)).decode()
