"""A lesson in a cell: its experiment is done, and shows its finding, its charts and its table."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from lanterna.errors import UsageError
from lanterna.images.drawing import as_png
from lanterna.lessons import LESSONS
from lanterna.lessons.drawing import draw
from lanterna.lessons.exercises import sheet
from lanterna.surfaces.cli.common import fetch_missing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from lanterna.lessons import Finding, Lesson, Outcome
    from lanterna.techniques.technique import Settings

MimeBundle = tuple[dict[str, str], dict[str, dict[str, str]]]


@dataclass(frozen=True, repr=False)
class LessonResult:
    """A lesson whose experiment was done with `settings`: what came out, and how a notebook shows it."""

    lesson: Lesson
    settings: Settings
    outcome: Outcome

    @property
    def finding(self) -> Finding:
        """Whether the claim holds, in words, with numbers and seeds."""
        return self.outcome.finding

    @property
    def numbers(self) -> Mapping[str, float]:
        """The numbers that the finding rests on, by name."""
        return self.finding.numbers

    @property
    def picture(self) -> Tensor:
        """The charts with question and finding, `(3, H, W)` in [0, 1], as the terminal saves them."""
        return draw(self.lesson, self.outcome)

    def __repr__(self) -> str:
        found = self.finding
        return f"{self.lesson.question}\n{found.verdict.capitalize()}. {found.words}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        """Words and table as text, the charts as a picture: what notebooks ask for."""
        del include, exclude  # hints, which a bundle need not follow
        png = base64.b64encode(as_png(draw(self.lesson, self.outcome, words=False))).decode()
        titles = "; ".join(chart.title for chart in self.outcome.charts)
        found = self.finding
        html = (
            f'<div style="max-width: 72em"><p><em>{escape(self.lesson.question)}</em><br>'
            f"<strong>{escape(found.verdict.capitalize())}.</strong> {escape(found.words)}</p>"
            f'<img alt="{escape(titles)}" style="max-width: 100%" src="data:image/png;base64,{png}">'
            f"{_table(self.outcome.rows)}</div>"
        )
        data = {"text/html": html, "image/png": png, "text/plain": repr(self)}
        return data, {"image/png": {"alt": f"{titles}. {found.words}"}}


def lesson(name: str, **values: object) -> LessonResult:
    """Do a lesson's experiment: `lesson("curve", degree=9)`. What it needs is fetched first.

    Errors: `UsageError` for a lesson or a setting that is not there; `MissingError` where data cannot be had.
    """
    if name not in LESSONS:
        raise UsageError(f"unknown lesson {name!r}: the lessons are {', '.join(LESSONS)}")
    chosen = LESSONS[name]
    settings = chosen.settings.checked(values)
    fetch_missing(*chosen.needs)
    return LessonResult(chosen, settings, chosen.experiment(settings))


@dataclass(frozen=True, repr=False)
class Sheet:
    """A page of text: the exercises of a lesson, or what there is to make."""

    name: str
    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        """The same, as a notebook sets it."""
        return self.text


def exercises(name: str) -> Sheet:
    """What to try, predict and explain in a lesson, and how each answer is checked.

    Errors: `UsageError` for a lesson that is not there.
    """
    return Sheet(name, sheet(name))


def _table(rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows[1:])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
