"""Generate a section for each lesson: question, claim, picture, finding, settings and command."""

from __future__ import annotations

import hashlib
import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from generated.formatting import changed, plain, settings
from lanterna.errors import LanternaError
from lanterna.images import save_picture
from lanterna.lessons import LESSONS, drawing
from lanterna.lessons.documents import lesson_recipe
from lanterna.lessons.drawing import draw
from lanterna.lessons.measured import fingerprint, measured

if TYPE_CHECKING:
    from sphinx.application import Sphinx

    from lanterna.lessons import Lesson

ROOT = Path(__file__).parents[3]
CACHE = ROOT / "build" / "lessons"
_WIDE = 2.4  # aspect ratio of three charts side by side


def lessons(app: Sphinx) -> str:
    """Return a section for each lesson, in the lecture's order."""
    pictures = str(app.config.lesson_pictures) in ("True", "1")
    return "\n".join(_section(lesson, pictures=pictures) for lesson in LESSONS.values())


def _section(lesson: Lesson, *, pictures: bool) -> str:
    own = {name: field for name, field in lesson.settings.model_fields.items() if name != "seed"}
    options = {each: f"--set {each}" for each in lesson.settings.model_fields}
    needs = (
        f" It needs {', '.join(f'`{each}`' for each in lesson.needs)}, fetched once." if lesson.needs else ""
    )
    return f"""\
(lesson-{lesson.name})=
## {plain(lesson.title)}

{{.question}}
{plain(lesson.question)}

{_explanation(lesson)}

The claim: {plain(lesson.claim)}

{_finding(lesson) if pictures else ""}

{_program(lesson)}

    lanterna learn {lesson.name}
    lanterna learn {lesson.name} --set {changed(lesson.settings, next(iter(own)))}

The code: `{lesson.source}`.{needs} The studio's room Learn has the same settings.

{settings({**own, "seed": lesson.settings.model_fields["seed"]}, options, f"lesson-{lesson.name}")}
"""


def _program(lesson: Lesson) -> str:
    """Return the lesson's program as a block of code."""
    return f"All of it, in plain torch:\n\n```python\n{lesson.program}\n```\n" if lesson.program else ""


def _explanation(lesson: Lesson) -> str:
    """Return the lecture's own line as a quotation, and the explanation."""
    quote = lesson.quote
    quoted = [f'> "{plain(quote.line)}"\n>\n> [{plain(quote.author)}]({quote.url})'] if quote else []
    return "\n\n".join([*quoted, *map(plain, lesson.paragraphs)])


def _finding(lesson: Lesson) -> str:
    """Return the picture and the finding, or how to get them if data are missing."""
    try:
        picture, finding = _drawn(lesson)
    except LanternaError as error:
        return f"{plain(str(error))}, then the command below draws the picture."
    with Image.open(picture) as image:
        wide = " wide" if image.width > _WIDE * image.height else ""
    path = (Path("..") / picture.relative_to(ROOT)).as_posix()
    alt = json.dumps(f"Charts for: {lesson.question} The finding below describes them.")
    text = f"**{finding['label']}:** {plain(finding['words'])}"
    return (
        f"````{{container}} drawn{wide}\n"
        f"```{{image}} {path}\n:alt: {alt}\n:target: _images/{picture.name}\n```\n````\n\n{text}"
    )


def _drawn(lesson: Lesson) -> tuple[Path, dict[str, str]]:
    """Return a lesson's picture and finding: of what was measured in advance, or of a run now.

    Both are cached until the experiment, the measurement or the drawing changes.
    """
    settings, found = lesson.settings(), measured(lesson)
    text = fingerprint(lesson) + repr(found) + inspect.getsource(drawing)
    picture = CACHE / f"{lesson.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.png"
    finding_file = picture.with_suffix(".json")
    if not (picture.exists() and finding_file.exists()):
        CACHE.mkdir(parents=True, exist_ok=True)
        for old in CACHE.glob(f"{lesson.name}-*"):
            old.unlink()
        outcome = found.outcome if found else lesson.experiment(settings)
        save_picture(draw(lesson, outcome), picture, recipe=lesson_recipe(lesson, settings), force=True)
        finding = {"label": outcome.finding.label, "words": outcome.finding.words}
        finding_file.write_text(json.dumps(finding), encoding="utf-8")
    return picture, json.loads(finding_file.read_text(encoding="utf-8"))
