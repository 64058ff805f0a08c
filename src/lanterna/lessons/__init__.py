"""The lecture's claims, each as an experiment to run and to change: one file for each lesson.

To add a lesson, write a file with a settings class whose fields are the controls, an `experiment` that
returns an `Outcome`, and a `LESSON`. Then add the file to `LESSONS`, in the lecture's order.
"""

from __future__ import annotations

from lanterna.lessons import (
    cells,
    circuits,
    curve,
    derivative,
    descent,
    digit,
    dream,
    edges,
    functions,
    gates,
    layers,
    neuron,
    noise,
    normalised,
    painting,
    parts,
    paths,
    quickstart,
    squash,
    style,
)
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Picture, Surface

LESSONS: dict[str, Lesson] = {
    module.LESSON.name: module.LESSON
    for module in (
        gates, derivative, circuits, neuron, layers, descent, curve, squash, digit, normalised,
        edges, paths, functions, quickstart, painting, parts, dream, style, noise, cells,
    )
}  # fmt: skip

__all__ = ["LESSONS", "Chart", "Finding", "Lesson", "Line", "Outcome", "Picture", "Surface"]
