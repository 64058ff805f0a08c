"""Run a lesson's experiment in a cell, and display its finding, charts and table."""

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
from lanterna.lessons.lesson import CODE_COLUMNS
from lanterna.lessons.measured import measured as measured_in_advance
from lanterna.surfaces.cli.common import fetch_missing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from lanterna.lessons import Finding, Lesson, Outcome
    from lanterna.techniques.technique import Settings

MimeBundle = tuple[dict[str, str], dict[str, dict[str, str]]]


@dataclass(frozen=True, repr=False)
class LessonResult:
    """The result of a lesson's experiment with these `settings`, which a notebook can display.

    `took` says how long it took, if it was measured in advance.
    """

    lesson: Lesson
    settings: Settings
    outcome: Outcome
    took: str = ""

    @property
    def finding(self) -> Finding:
        """Whether the claim holds, as text with numbers and seeds."""
        return self.outcome.finding

    @property
    def numbers(self) -> Mapping[str, float]:
        """The numbers that support the finding, by name."""
        return self.finding.numbers

    @property
    def picture(self) -> Tensor:
        """The charts with question and finding, `(3, H, W)` in [0, 1], as the command line saves them."""
        return draw(self.lesson, self.outcome)

    def __repr__(self) -> str:
        finding = self.finding
        return f"{self.lesson.question}\n{finding}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        """Return text and table as HTML, and the charts as a picture, for notebooks."""
        del include, exclude  # only hints
        png = base64.b64encode(as_png(draw(self.lesson, self.outcome, words=False))).decode()
        titles = "; ".join(chart.title for chart in self.outcome.charts)
        finding = self.finding
        note = f"<br><small>Measured in advance; it took {escape(self.took)}.</small>" if self.took else ""
        html = (
            f'<div style="max-width: 72em"><p><em>{escape(self.lesson.question)}</em></p>{self._explanation}'
            f"<p>The claim: {escape(self.lesson.claim)}<br>"
            f"<strong>{escape(finding.label)}:</strong> {escape(finding.words)}{note}</p>"
            f'<img alt="{escape(titles)}" style="max-width: 100%" src="data:image/png;base64,{png}">'
            f"{self._program}{_table(self.outcome.rows)}</div>"
        )
        data = {"text/html": html, "image/png": png, "text/plain": repr(self)}
        return data, {"image/png": {"alt": f"{titles}. {finding.words}"}}

    @property
    def _program(self) -> str:
        """The program, if there is one, folded away."""
        if not self.lesson.program:
            return ""
        code = escape(self.lesson.program)
        return (
            f"<details><summary>All of it, in plain torch</summary><pre><code>{code}</code></pre></details>"
        )

    @property
    def _explanation(self) -> str:
        """The lecture's own line and the explanation, folded away once the settings have been changed."""
        quote = self.lesson.quote
        quoted = quote and (
            f"<blockquote>“{escape(quote.line)}”<br>"
            f'<a href="{escape(quote.url)}">{escape(quote.author)}</a></blockquote>'
        )
        paragraphs = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in self.lesson.paragraphs)
        unfolded = "open" if self.settings == type(self.settings)() else ""
        return (
            f'<details {unfolded} style="max-width: 38em"><summary>The idea</summary>'
            f"{quoted or ''}{paragraphs}</details>"
        )


def measured(name: str) -> LessonResult:
    """Return what was measured in advance for a slow lesson with its default settings, at once.

    A quick lesson's experiment is run. Errors: `UsageError` for an unknown lesson.
    """
    found = measured_in_advance(LESSONS[name]) if name in LESSONS else None
    if found is None:
        return lesson(name)
    return LessonResult(LESSONS[name], LESSONS[name].settings(), found.outcome, found.took)


def lesson(name: str, **values: object) -> LessonResult:
    """Run a lesson's experiment: `lesson("curve", degree=9)`. The data it needs are fetched first.

    Errors: `UsageError` for an unknown lesson or setting; `MissingError` if data cannot be fetched.
    """
    if name not in LESSONS:
        raise UsageError(f"unknown lesson {name!r}: the lessons are {', '.join(LESSONS)}")
    chosen = LESSONS[name]
    settings = chosen.settings.checked(values)
    fetch_missing(*chosen.needs)
    return LessonResult(chosen, settings, chosen.experiment(settings))


@dataclass(frozen=True, repr=False)
class Sheet:
    """A page of text: a lesson's exercises, or a list of techniques."""

    name: str
    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        """Return the text, which notebooks render as Markdown."""
        return self.text


def exercises(name: str) -> Sheet:
    """Return a lesson's exercises, with how to check each answer.

    Errors: `UsageError` for an unknown lesson.
    """
    return Sheet(name, sheet(name))


def _table(rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th style="text-align: left">{escape(cell)}</th>' for cell in rows[0])
    code = [name in CODE_COLUMNS for name in rows[0]]
    body = "".join(f"<tr>{''.join(map(_cell, row, code))}</tr>" for row in rows[1:])
    return f'<table style="table-layout: auto"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(text: str, is_code: bool) -> str:
    style = ' style="text-align: left; vertical-align: top"'
    if is_code:
        # JupyterLab breaks lines of code within words.
        lines = "white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere"
        return f'<td{style}><pre style="{lines}"><code>{escape(text)}</code></pre></td>'
    return f"<td{style}>{escape(text)}</td>"
