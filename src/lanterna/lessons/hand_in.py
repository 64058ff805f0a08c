"""What a student hands in: answers, explanations, and pictures with their recipes, in one HTML file.

The file needs nothing else: a teacher opens it in any browser, offline. Each picture is in it byte for byte,
so that the recipe is still in the picture when it is saved from the page.
"""

from __future__ import annotations

import base64
import io
import time
from dataclasses import dataclass
from errno import EFBIG
from html import escape
from typing import TYPE_CHECKING, Any

from PIL import Image

from lanterna.documents import is_unicode, repair_document
from lanterna.errors import UsageError
from lanterna.files import format_size, read_regular
from lanterna.images.pictures import open_picture
from lanterna.images.recipe import read_recipe, to_json
from lanterna.lessons import LESSONS, exercises
from lanterna.lessons.answers import saved_answers
from lanterna.techniques.rerun import command_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MAX_PICTURES = 40
MAX_PICTURE_BYTES = 25_000_000
SHOWN = {"PNG": "png", "JPEG": "jpeg", "WEBP": "webp", "GIF": "gif", "AVIF": "avif"}
"""The formats that browsers show, with their media type's name."""

_STYLE = """
:root { color-scheme: light dark; --page: #f7f2e8; --ink: #23201a; --quiet: #655f54; --accent: #8f5a00;
  --against: #1f5fae; --line: #d9cfbc; }
@media (prefers-color-scheme: dark) { :root { --page: #101218; --ink: #f0eade; --quiet: #a5a39d;
  --accent: #f5b041; --against: #7fb2ff; --line: #2b2f3a; } }
body { margin: 0 auto; max-width: 46rem; padding: 2rem 1.5rem 6rem; background: var(--page);
  color: var(--ink); font: 400 17px/1.6 system-ui, sans-serif; }
h1, h2, h3 { font-family: "Iowan Old Style", Palatino, Georgia, serif; font-weight: 400; line-height: 1.2;
  overflow-wrap: anywhere; }
h2 { margin: 3rem 0 0; padding-top: 1.5rem; border-top: 1px solid var(--line); }
.quiet, dt, summary { color: var(--quiet); }
dl { display: grid; grid-template-columns: 8rem minmax(0, 1fr); gap: 0.25rem 1rem; margin: 0.75rem 0 2rem; }
dd { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
b { font-weight: 600; } .right { color: var(--accent); } .wrong { color: var(--against); }
img { display: block; max-width: 100%; height: auto; }
figure { margin: 2rem 0; overflow-wrap: anywhere; }
pre { overflow: auto; font-size: 0.8125rem; white-space: pre-wrap; overflow-wrap: anywhere; }
"""


@dataclass(frozen=True)
class HandIn:
    """The page, and a line about what is in it."""

    page: str
    summary: str


def hand_in(
    student: str = "", *, pictures: Sequence[tuple[str, Path]] = (), lesson: str | None = None
) -> HandIn:
    """Return the answers that were saved, of one lesson or all, and pictures, as an HTML page.

    `pictures` are names and files. Errors: `UsageError` if there is nothing to hand in, or for a student's
    name that is no Unicode, a file that is no picture, a format that browsers do not show, and too many or
    too large pictures.
    """
    if lesson is not None and lesson not in LESSONS:
        raise UsageError(f"unknown lesson {lesson!r}: the lessons are {', '.join(LESSONS)}")
    if not is_unicode(student):
        raise UsageError(f"expected the student's name in UTF-8, got {student[:60]!r}")
    if len(pictures) > MAX_PICTURES:
        raise UsageError(f"expected at most {MAX_PICTURES} pictures, got {len(pictures)}")
    found = {name: entries for name, entries in saved_answers().items() if lesson in (None, name)}
    sections, numbers = _answers(found)
    shown = [_picture(name, place) for name, place in pictures]
    if not sections and not shown:
        raise UsageError(
            "there is nothing to hand in yet: answer an exercise in the studio's room Learn, with lanterna "
            "learn LESSON --answer 1=… or with lanterna.check, or give --pictures"
        )
    answered, right, explained = numbers
    summary = f"{_count(answered, 'answer')} ({right} right), {_count(explained, 'explanation')}"
    if shown:
        with_recipe = sum("<details>" in each for each in shown)
        summary += f", {_count(len(shown), 'picture')} ({with_recipe} with a recipe)"
    title = f"{student.strip() or 'A student'}: exercises and pictures"
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{escape(title)}</title><style>{_STYLE}</style></head><body>
<h1>{escape(title)}</h1>
<p class="quiet">{time.strftime("%d %B %Y, %H:%M")}. {summary}.</p>
{"".join(sections)}{"<h2>Pictures</h2>" if shown else ""}{"".join(shown)}
</body></html>
"""
    return HandIn(repair_document(page), summary)  # a picture's file name may be no Unicode


def _answers(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> tuple[list[str], tuple[int, int, int]]:
    """Return a section for each lesson with answers, and how many are answered, right and explained."""
    sections, answered, right, explained = [], 0, 0, 0
    for name in (each for each in LESSONS if each in found):
        rows = []
        for number, exercise in enumerate(exercises.EXERCISES.get(name, ()), start=1):
            entry = found[name].get(str(number), {})
            answer, explanation = entry.get("answer"), entry.get("explanation", "")
            if answer is None and not explanation:
                continue
            is_right, verdict = _verdict(name, number, answer)
            answered += answer is not None
            right += is_right
            explained += bool(explanation)
            shown = "" if answer is None else f"{answer:g}, " if isinstance(answer, float) else f"{answer}, "
            tries = entry.get("tries", 1)
            after = f", after {tries} tries" if tries > 1 else ""
            asked = f"<dt>Explain</dt><dd>{escape(exercise.explain)}</dd>" if is_right else ""
            rows.append(
                f"<h3>Exercise {number}</h3><dl><dt>Try</dt><dd>{escape(exercise.try_)}</dd>"
                f"<dt>Predict</dt><dd>{escape(exercise.predict)}</dd>"
                f"<dt>Answer</dt><dd>{escape(shown)}{verdict}{after}</dd>{asked}"
                f"<dt>Why? In your own words</dt><dd>{escape(str(explanation)) or 'nothing yet'}</dd></dl>"
            )
        if rows:
            title = f"<h2>{escape(LESSONS[name].title)}</h2>"
            sections.append(f'{title}<p class="quiet">{escape(LESSONS[name].question)}</p>{"".join(rows)}')
    return sections, (answered, right, explained)


def _verdict(lesson: str, number: int, answer: object) -> tuple[bool, str]:
    """Return whether a saved answer is right, as the exercise is now, and that as HTML."""
    if answer is None:
        return False, "none yet"
    try:
        right = bool(exercises.check(lesson, number, answer))
    except UsageError:  # of another version
        return False, '<b class="wrong">✗ not an answer to this exercise</b>'
    return right, '<b class="right">✓ right</b>' if right else '<b class="wrong">✗ not yet right</b>'


def _picture(name: str, place: Path) -> str:
    """Return a figure: the picture, the command that makes it, and its recipe."""
    open_picture(place, longest=64)  # raises if it is no picture
    try:
        data = read_regular(place, MAX_PICTURE_BYTES)
    except OSError as error:
        reason = f"larger than {format_size(MAX_PICTURE_BYTES)}" if error.errno == EFBIG else error.strerror
        raise UsageError(f"{name} cannot be handed in: {reason}") from error
    with Image.open(io.BytesIO(data)) as image:
        kind = image.format or ""
    if kind not in SHOWN:
        raise UsageError(f"{name} is a {kind}, which browsers do not show: hand in {', '.join(SHOWN)}")
    try:
        recipe = read_recipe(place)
    except UsageError:
        made = '<p class="quiet">No recipe: this is not the file that Lanterna saved.</p>'
    else:
        made = (
            f"<pre>{escape(command_line(recipe, name))}</pre>"
            f"<details><summary>The recipe</summary><pre>{escape(to_json(recipe))}</pre></details>"
        )
    source = f"data:image/{SHOWN[kind]};base64,{base64.b64encode(data).decode()}"
    return (
        f'<figure><img src="{source}" alt="{escape(name)}">'
        f"<figcaption>{escape(name)}, {format_size(len(data))}</figcaption>{made}</figure>"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
