"""The lecture's claims, each as an experiment that is run, changed and seen: one file for each lesson.

To add a lesson, write a file with a recipe of its controls, an `experiment` that gives an `Outcome`, and a
`LESSON`; and put it into `LESSONS`, in the lecture's order.
"""

from __future__ import annotations

from lanterna.lessons import (
    circuits,
    curve,
    derivative,
    descent,
    digit,
    edges,
    functions,
    gates,
    layers,
    neuron,
    normalised,
    painting,
    parts,
    paths,
    quickstart,
    squash,
)
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Picture, Surface

LESSONS: dict[str, Lesson] = {
    each.LESSON.name: each.LESSON
    for each in (
        gates, derivative, circuits, neuron, layers, descent, curve, squash, digit, normalised,
        edges, paths, functions, quickstart, painting, parts,
    )
}  # fmt: skip

__all__ = ["LESSONS", "Chart", "Finding", "Lesson", "Line", "Outcome", "Picture", "Surface"]
