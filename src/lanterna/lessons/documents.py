"""Outcomes of lessons as JSON, and the recipe that a lesson's picture carries."""

from __future__ import annotations

import base64
import dataclasses
import io
import math
from typing import TYPE_CHECKING, Any

from PIL import Image

from lanterna.images.drawing import as_picture, as_png
from lanterna.images.recipe import Recipe, make_recipe
from lanterna.lessons.lesson import Chart, Finding, Line, Outcome, Picture, Surface

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from lanterna.lessons.lesson import Lesson
    from lanterna.techniques.technique import Settings


def lesson_recipe(lesson: Lesson, settings: Settings) -> Recipe:
    """Return the recipe of a lesson's picture."""
    return make_recipe("learn", lesson.name, settings)


def png_url(picture: Tensor) -> str:
    """Return a picture as a PNG data URL."""
    return "data:image/png;base64," + base64.b64encode(as_png(picture)).decode()


def outcome_as_json(outcome: Outcome, as_url: Callable[[Tensor], str] = png_url) -> dict[str, object]:
    """Return an outcome as a JSON document. Pictures are data URLs, under `source`.

    JSON has no infinity and no NaN: such numbers become null.
    """
    document = {
        "finding": dataclasses.asdict(outcome.finding),
        "charts": [
            {"title": chart.title, "words": chart.words, "source": as_url(chart.picture)}
            if isinstance(chart, Picture)
            else dataclasses.asdict(chart)
            for chart in outcome.charts
        ],
        "rows": outcome.rows,
    }
    return {name: _finite(value) for name, value in document.items()}


def outcome_from_json(document: Mapping[str, Any]) -> Outcome:
    """Return the outcome that `outcome_as_json` wrote; null becomes NaN."""
    charts = [_chart(each) for each in document["charts"]]
    return Outcome(Finding(**document["finding"]), charts, document["rows"])


def _chart(document: Mapping[str, Any]) -> Chart | Picture:
    if "source" in document:
        data = base64.b64decode(document["source"].partition(",")[2])
        with Image.open(io.BytesIO(data)) as image:
            return Picture(document["title"], as_picture(image), document["words"])
    lines = [
        Line(line["name"], line["xs"], [math.nan if y is None else y for y in line["ys"]], line["style"])
        for line in document["lines"]
    ]
    surface = document["surface"] and Surface(**document["surface"])
    return Chart(**{**document, "lines": lines, "surface": surface})


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
