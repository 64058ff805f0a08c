"""The pictures of lessons, with their recipes, made now or made again."""

from __future__ import annotations

import base64
import dataclasses
import math
from typing import TYPE_CHECKING

from lanterna.images.drawing import as_png
from lanterna.images.recipe import Recipe, make_recipe
from lanterna.lessons import Picture
from lanterna.lessons.exercises import exercises_as_json

if TYPE_CHECKING:
    from lanterna.lessons import Lesson, Outcome
    from lanterna.techniques.technique import Settings


def lesson_recipe(lesson: Lesson, settings: Settings) -> Recipe:
    """How the picture of a lesson was made."""
    return make_recipe("learn", lesson.name, settings)


def outcome_as_json(outcome: Outcome) -> dict[str, object]:
    """What came out as a document of JSON; a picture in it is a data address of a PNG, under `source`.

    JSON has no infinity: such a number is null.
    """
    document = {
        "finding": dataclasses.asdict(outcome.finding),
        "charts": [
            {"title": each.title, "words": each.words, "source": _data(each)}
            if isinstance(each, Picture)
            else dataclasses.asdict(each)
            for each in outcome.charts
        ],
        "rows": outcome.rows,
    }
    return {name: _finite(value) for name, value in document.items()}


def lesson_as_json(lesson: Lesson) -> dict[str, object]:
    """A lesson as a document of JSON: what it asks, what the lecture says, and its settings' schemas."""
    return {
        "name": lesson.name,
        "title": lesson.title,
        "question": lesson.question,
        "claim": lesson.claim,
        "where": lesson.where,
        "quick": lesson.quick,
        "needs": list(lesson.needs),
        "exercises": exercises_as_json(lesson.name),
        "settings": lesson.settings.model_json_schema()["properties"],
    }


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple | range):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _data(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(as_png(picture.picture)).decode()
