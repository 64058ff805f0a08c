"""Every lesson: its question, claim, picture, finding, controls and command, from the lessons themselves."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from lanterna.errors import LanternaError
from lanterna.images import save_picture
from lanterna.lessons import LESSONS
from lanterna.lessons.documents import lesson_recipe
from lanterna.lessons.drawing import draw
from made.words import changed, plain, settings

if TYPE_CHECKING:
    from sphinx.application import Sphinx

    from lanterna.lessons import Lesson

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "build" / "lessons"
_WIDE = 2.4  # times its height: three charts side by side


def lessons(app: Sphinx) -> str:
    """A section for each lesson, in the lecture's order."""
    drawn = str(app.config.lesson_pictures) in ("True", "1")
    return "\n".join(_section(lesson, drawn=drawn) for lesson in LESSONS.values())


def _section(lesson: Lesson, *, drawn: bool) -> str:
    own = {name: field for name, field in lesson.settings.model_fields.items() if name != "seed"}
    options = {each: f"--set {each}" for each in lesson.settings.model_fields}
    needs = f" It fetches {', '.join(f'`{each}`' for each in lesson.needs)}, once." if lesson.needs else ""
    return f"""\
(lesson-{lesson.name})=
## {plain(lesson.title)}

{{.question}}
{plain(lesson.question)}

> The lecture: {plain(lesson.claim)}

{_shown(lesson) if drawn else ""}

    lanterna learn {lesson.name}
    lanterna learn {lesson.name} --set {changed(lesson.settings, next(iter(own)))}

The code: `{lesson.source}`.{needs} The studio has the same controls in its room Learn.

{settings({**own, "seed": lesson.settings.model_fields["seed"]}, options, f"lesson-{lesson.name}")}
"""


def _shown(lesson: Lesson) -> str:
    """The picture and the finding; where something is not on the shelf, how to see them."""
    try:
        picture, told = _kept(lesson)
    except LanternaError as error:
        return f"{plain(str(error))}: then the command below draws its picture."
    with Image.open(picture) as image:
        wide = " wide" if image.width > _WIDE * image.height else ""
    place = (Path("..") / picture.relative_to(ROOT)).as_posix()
    alt = json.dumps(f"Charts to: {lesson.question} What they show is said below.")
    finding = f"**{told['label']}:** {plain(told['words'])}"
    return (
        f"````{{container}} drawn{wide}\n"
        f"```{{image}} {place}\n:alt: {alt}\n:target: _images/{picture.name}\n```\n````\n\n{finding}"
    )


def _kept(lesson: Lesson) -> tuple[Path, dict[str, str]]:
    """The picture of a lesson and its finding, kept until the lesson's files or its defaults change."""
    settings = lesson.settings()
    text = _sources(lesson) + settings.model_dump_json()
    place = KEPT / f"{lesson.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.png"
    told = place.with_suffix(".json")
    if not (place.exists() and told.exists()):
        KEPT.mkdir(parents=True, exist_ok=True)
        for old in KEPT.glob(f"{lesson.name}-*"):
            old.unlink()
        outcome = lesson.experiment(settings)
        save_picture(draw(lesson, outcome), place, recipe=lesson_recipe(lesson, settings), force=True)
        finding = {"label": outcome.finding.label, "words": outcome.finding.words}
        told.write_text(json.dumps(finding), encoding="utf-8")
    return place, json.loads(told.read_text(encoding="utf-8"))


def _sources(lesson: Lesson) -> str:
    """The file of a lesson, those of its folder that it names, and the one that draws."""
    own = Path(inspect.getfile(lesson.settings))
    text = own.read_text(encoding="utf-8")
    others = sorted(own.parent.glob("*.py"))
    named = [each for each in others if re.search(rf"lanterna\.lessons.*\b{each.stem}\b", text)]
    return text + "".join(each.read_text(encoding="utf-8") for each in (*named, own.with_name("drawing.py")))
