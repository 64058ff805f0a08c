"""Lessons and their outcomes as JSON, and the recipe that a lesson's picture carries."""

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
    """Return the recipe of a lesson's picture."""
    return make_recipe("learn", lesson.name, settings)


def outcome_as_json(outcome: Outcome) -> dict[str, object]:
    """Return an outcome as a JSON document. Pictures are PNG data URLs, under `source`.

    JSON has no infinity and no NaN: such numbers become null.
    """
    document = {
        "finding": dataclasses.asdict(outcome.finding),
        "charts": [
            {"title": chart.title, "words": chart.words, "source": _data_url(chart)}
            if isinstance(chart, Picture)
            else dataclasses.asdict(chart)
            for chart in outcome.charts
        ],
        "rows": outcome.rows,
    }
    return {name: _finite(value) for name, value in document.items()}


def lesson_as_json(lesson: Lesson) -> dict[str, object]:
    """Return a lesson as a JSON document: its question, the lecture's claim, and its settings' schemas."""
    return {
        "name": lesson.name,
        "title": lesson.title,
        "question": lesson.question,
        "claim": lesson.claim,
        "where": lesson.source,
        "quick": lesson.quick,
        "needs": list(lesson.needs),
        "exercises": exercises_as_json(lesson.name),
        "settings": lesson.settings.model_json_schema()["properties"],
    }


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _data_url(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(as_png(picture.picture)).decode()
