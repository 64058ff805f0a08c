"""The interactive figure of a lesson as a page of its own, which opens from disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lanterna.lessons import LESSONS
from lanterna.surfaces.web.page import standalone, with_imports

if TYPE_CHECKING:
    from collections.abc import Mapping

WIDGETS = {
    "gates": "gates", "derivative": "slope", "circuits": "circuit", "neuron": "neuron", "layers": "rings",
    "descent": "hill", "curve": "sketch", "functions": "sketch",
    "squash": "chain", "normalised": "booth", "edges": "kernel", "quickstart": "loss",
    "painting": "waves", "parts": "loop", "dream": "clouds", "style": "gram", "cells": "cells",
}  # fmt: skip
"""Lesson -> its interactive widget, a module of `web/lessons/`, as in the studio."""

LOOK_LESSONS = ("digit", "paths")
"""Lessons whose interactive part is a look inside a digit network."""


def lesson_page(name: str, settings: Mapping[str, Any], body: str = "") -> str:
    """Return a lesson's interactive widget as a page; in `body` its place is the element `piece`, if any."""
    module = f"lessons/{WIDGETS[name]}.js"
    return standalone(
        LESSONS[name].title, sheets=["chart.css", "lessons/lessons.css", "cell/cell.css", "site/site.css"],
        modules=with_imports("cell/play.js", module),
        entry="cell/play.js", data={"piece": module, "settings": dict(settings)}, arrays={}, body=body,
    )  # fmt: skip
