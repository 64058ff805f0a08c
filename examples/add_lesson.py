"""A lesson of your own: a question, a claim, an experiment, and what the data say.

`python examples/add_lesson.py softmax.png` does it and draws it.
"""

from __future__ import annotations

import sys
from typing import ClassVar

import numpy as np
from pydantic import Field

import lanterna
from lanterna.lessons import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.drawing import draw
from lanterna.techniques.technique import Settings


class Softmax(Settings):
    """Add the same number to every score."""

    verb: ClassVar[str] = "learn softmax"

    scores: tuple[float, ...] = Field(
        default=(2.0, 1.0, -1.0), min_length=2, max_length=10, description="The scores of the answers."
    )
    most: float = Field(default=120.0, gt=0, le=1000, description="The largest number that is added.")


def chances(scores: np.ndarray, *, careful: bool) -> np.ndarray:
    """Exponentials, divided by their sum; with care, the largest score is taken off all of them first."""
    with np.errstate(all="ignore"):
        powers = np.exp(scores - scores.max() if careful else scores)
        return powers / powers.sum()


def experiment(settings: Softmax) -> Outcome:
    """How far the first chance moves as scores grow together, in 32 bits, with and without care."""
    scores = np.array(settings.scores, dtype=np.float32)
    added = np.linspace(0, settings.most, 61, dtype=np.float32)
    usual = chances(scores, careful=True)[0]
    moved = {
        name: [abs(float(chances(scores + each, careful=careful)[0] - usual)) for each in added]
        for name, careful in (("as it is written", False), ("largest taken off first", True))
    }
    plain, careful = ([1.0 if np.isnan(each) else each for each in moves] for moves in moved.values())
    fails = next((float(number) for number, each in zip(added, plain, strict=True) if each > 1e-3), None)
    holds = max(careful) < 1e-4
    verdict = "does not hold" if not holds else "holds" if fails is None else "holds only when"
    words = (
        f"The first chance is {usual:.1%} and moves by {max(careful):.0g} at most where the largest score is "
        f"taken off first. As it is written, it "
        + ("stays, too." if fails is None else f"is lost when {fails:.0f} is added: the powers overflow.")
    )
    lines = [Line(name, added.tolist(), moves) for name, moves in zip(moved, (plain, careful), strict=True)]
    chart = Chart("The first chance, as all scores grow", "added to every score", "moved by", lines)
    return Outcome(Finding(verdict, words, {"fails at": fails or 0.0, "moved": max(careful)}), [chart])


LESSON = Lesson(
    "softmax", "Scores and chances", "Does it matter how high all scores are?",
    "Only the differences between scores count: add the same to all, and the chances stay.",
    "examples/add_lesson.py", Softmax, experiment,
)  # fmt: skip


if __name__ == "__main__":
    outcome = LESSON.experiment(Softmax())
    print(outcome.finding)
    lanterna.save_picture(draw(LESSON, outcome), sys.argv[1])
