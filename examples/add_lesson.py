"""Add your own lesson: a question, a claim, an experiment and its result.

`python examples/add_lesson.py softmax.png` runs the experiment and draws the result.
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
    """Add the same number to every logit."""

    verb: ClassVar[str] = "learn softmax"

    logits: tuple[float, ...] = Field(
        default=(2.0, 1.0, -1.0), min_length=2, max_length=10, description="The logits of the classes."
    )
    largest: float = Field(default=120.0, gt=0, le=1000, description="The largest number to add.")


def softmax(logits: np.ndarray, *, stable: bool) -> np.ndarray:
    """Return the softmax; if `stable`, subtract the largest logit from all of them first."""
    with np.errstate(all="ignore"):
        powers = np.exp(logits - logits.max() if stable else logits)
        return powers / powers.sum()


def experiment(settings: Softmax) -> Outcome:
    """Measure in float32 how much the first probability changes as all logits grow together."""
    logits = np.array(settings.logits, dtype=np.float32)
    added = np.linspace(0, settings.largest, 61, dtype=np.float32)
    expected = softmax(logits, stable=True)[0]
    naive, stable = (
        [abs(float(softmax(logits + number, stable=stable)[0] - expected)) for number in added]
        for stable in (False, True)
    )
    naive, stable = ([1.0 if np.isnan(error) else error for error in errors] for errors in (naive, stable))
    fails_at = next((float(number) for number, error in zip(added, naive, strict=True) if error > 1e-3), None)
    holds = max(stable) < 1e-4
    verdict = "does not hold" if not holds else "holds" if fails_at is None else "holds only when"
    words = (
        f"The first probability is {expected:.1%} and changes by at most {max(stable):.0g} if the largest "
        f"logit is subtracted first. Without that, it "
        + ("is stable, too." if fails_at is None else f"is lost when {fails_at:.0f} is added: exp overflows.")
    )
    lines = [
        Line("without subtraction", added.tolist(), naive),
        Line("largest logit subtracted", added.tolist(), stable),
    ]
    chart = Chart("The first probability, as all logits grow", "added to every logit", "change", lines)
    return Outcome(Finding(verdict, words, {"fails at": fails_at or 0.0, "change": max(stable)}), [chart])


LESSON = Lesson(
    "softmax", "Logits and probabilities", "Does it matter how large all logits are?",
    "Only the differences between logits count: adding the same number to all does not change the softmax.",
    "examples/add_lesson.py", Softmax, experiment,
)  # fmt: skip


if __name__ == "__main__":
    outcome = LESSON.experiment(Softmax())
    print(outcome.finding)
    lanterna.save_picture(draw(LESSON, outcome), sys.argv[1])
