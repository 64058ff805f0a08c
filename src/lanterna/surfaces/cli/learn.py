"""`lanterna learn`: the claims of the lecture, each tested by an experiment."""

import shutil
from itertools import zip_longest
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from lanterna.errors import UsageError
from lanterna.files import atomic_write, format_size, refuse_to_overwrite
from lanterna.glossary import GLOSSARY, look_up
from lanterna.images import check_picture_path, save_picture
from lanterna.lessons import LESSONS
from lanterna.lessons.answers import check_explanation, save_answer
from lanterna.lessons.documents import lesson_recipe, outcome_as_json
from lanterna.lessons.drawing import draw
from lanterna.lessons.exercises import check, exercises_as_json, find_exercise, lesson_as_json, sheet
from lanterna.lessons.hand_in import hand_in as hand_in_page
from lanterna.lessons.progress import report_to
from lanterna.surfaces.cli.common import (
    Changes,
    Force,
    Json,
    Output,
    Quiet,
    emit_json,
    fetch_missing,
    parse_assignments,
    progress,
    say,
    show,
)
from lanterna.techniques.rerun import parse_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanterna.lessons.lesson import Lesson


def learn(
    name: Annotated[str | None, Parameter(help="The lesson; without it, list them all.")] = None,
    /,
    *,
    changes: Changes = None,
    exercises: Annotated[
        bool, Parameter(help="Print the exercises instead of running the experiment.")
    ] = False,
    words: Annotated[
        bool, Parameter(help="Explain the terms of the field, or the one given in place of a lesson.")
    ] = False,
    answer: Annotated[
        list[str] | None, Parameter(negative="", help="Answer exercises of the lesson: NUMBER=ANSWER …")
    ] = None,
    explain: Annotated[
        list[str] | None, Parameter(negative="", help="Explain answers in your words: NUMBER=TEXT …")
    ] = None,
    hand_in: Annotated[
        Path | None, Parameter(help="Write your answers and --pictures into one HTML file for your teacher.")
    ] = None,
    student: Annotated[str, Parameter(help="Your name, with --hand-in.")] = "",
    pictures: Annotated[
        list[Path] | None, Parameter(negative="", help="Pictures with their recipes, with --hand-in.")
    ] = None,
    output: Output = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run an experiment that tests a claim of the lecture.

    `lanterna learn` lists the lessons, `lanterna learn curve` runs one, and
    `--set degree=9` changes it. Without -o its picture is saved as
    learn-NAME.png. `--exercises` prints exercises, `--answer 1=7` checks an
    answer, as `lanterna.check` does in Python, and `--explain 1="because …"`
    adds why. Both are saved on this machine until you hand them in.
    """
    asked = {
        "--words": words, "--answer": answer, "--explain": explain, "--exercises": exercises,
        "--hand-in": hand_in,
    }  # fmt: skip
    option = next(filter(asked.get, asked), None)
    if changes and option:
        raise UsageError(f"--set changes the experiment, which {option} does not run: leave one of them out")
    if words:
        _explain(name, json=json)
        return
    if (student or pictures) and hand_in is None:
        raise UsageError(f"{'--student' if student else '--pictures'} needs --hand-in FILE")
    if name is None and option not in (None, "--hand-in"):
        raise UsageError(f"{option}: expected a lesson, one of {', '.join(LESSONS)}")
    if name is not None and name not in LESSONS:
        raise UsageError(f"unknown lesson {name!r}: the lessons are {', '.join(LESSONS)}")
    if hand_in is not None:
        _check_hand_in(hand_in, force=force)
    replies = _answer(name or "", answer or [], explain or [], json=json)
    if hand_in is not None:
        _hand_in(hand_in, name, student, pictures or [], replies, json=json, quiet=quiet)
    elif answer or explain:
        if json:
            emit_json(replies)
    elif name is None:
        _list(json=json)
    elif exercises:
        emit_json(exercises_as_json(name)) if json else show(*sheet(name).splitlines())
    else:
        _run(LESSONS[name], parse_assignments(changes), output, force=force, json=json, quiet=quiet)


def _run(
    lesson: "Lesson", changes: dict[str, str], output: Path | None, *, force: bool, json: bool, quiet: bool
) -> None:
    defaults = lesson.settings().model_dump(mode="json")
    assigned = {key: parse_value(text, defaults.get(key)) for key, text in changes.items()}
    settings = lesson.settings.checked(assigned)
    path = output or Path(f"learn-{lesson.name}.png")
    check_picture_path(path, force=force)
    fetch_missing(*lesson.needs, quiet=quiet)
    with (
        progress(lesson.title.lower(), quiet=quiet) as update,
        report_to(lambda task, done, total: update(done, total, task)),
    ):
        outcome = lesson.experiment(settings)
    save_picture(draw(lesson, outcome), path, recipe=lesson_recipe(lesson, settings), force=force)
    if json:
        emit_json(
            {
                "lesson": lesson.name,
                "picture": str(path),
                "settings": settings.model_dump(mode="json"),
                "exercises": exercises_as_json(lesson.name),
                **outcome_as_json(outcome),
            }
        )
        return
    show(lesson.question, "")
    if not quiet:
        show(*_explanation(lesson))
    show(f"The claim: {lesson.claim}", "")
    show(str(outcome.finding))
    if outcome.rows:
        show("", *_table(outcome.rows))
    say("", quiet=quiet)
    say(f"picture: {path}; code: {lesson.source}", quiet=quiet)


def _answer(
    lesson: str, answers: list[str], explanations: list[str], *, json: bool
) -> dict[int, dict[str, object]]:
    """Check answers and explanations, then save them all; return the replies as a JSON document."""
    answered, explained = _numbered("--answer", answers), _numbered("--explain", explanations)
    for number, text in explained.items():
        find_exercise(lesson, number)
        check_explanation(text)
    given = {
        number: text if find_exercise(lesson, number).choices else parse_value(text, 0.0)
        for number, text in answered.items()
    }
    replies = {number: check(lesson, number, answer) for number, answer in given.items()}
    for number in {**given, **explained}:
        right = number in replies and replies[number].right
        save_answer(lesson, number, answer=given.get(number), right=right, explanation=explained.get(number))
    lines = {**dict.fromkeys(explained, "explained"), **replies}
    if lines and not json:
        show(*(f"{number}. {line}" for number, line in sorted(lines.items())))
    return {number: {"right": each.right, "words": each.words} for number, each in replies.items()}


def _numbered(option: str, given: list[str]) -> dict[int, str]:
    """Parse `["1=7"]` into `{1: "7"}`. Errors: `UsageError`."""
    found: dict[int, str] = {}
    for each in given:
        number, _, text = each.partition("=")
        if not number.strip().isdecimal() or len(number) > 9 or not text.strip():
            raise UsageError(f"{option}: expected the exercise's number, as in 1=7, got {each[:60]!r}")
        if int(number) in found:
            raise UsageError(
                f"{option}: {int(number)} is given twice, as {found[int(number)][:60]!r} and "
                f"{text.strip()[:60]!r}"
            )
        found[int(number)] = text.strip()
    return found


def _check_hand_in(path: Path, *, force: bool) -> None:
    if path.suffix != ".html":
        raise UsageError(f"--hand-in: expected a file whose name ends in .html, got {path}")
    refuse_to_overwrite(path, force=force)


def _hand_in(
    path: Path, lesson: str | None, student: str, pictures: list[Path], replies: dict[int, dict[str, object]],
    *, json: bool, quiet: bool,
) -> None:  # fmt: skip
    made = hand_in_page(student, pictures=[(each.name, each) for each in pictures], lesson=lesson)
    with atomic_write(path) as place:
        place.write_text(made.page, encoding="utf-8")
    if json:
        found = {"file": str(path), "summary": made.summary, "bytes": path.stat().st_size}
        emit_json({**found, "answers": replies} if replies else found)
        return
    show(str(path))
    say(f"{made.summary}; {format_size(path.stat().st_size)}: it opens in any browser", quiet=quiet)


def _explanation(lesson: "Lesson") -> list[str]:
    """Return the lecture's own line and the explanation, wrapped, with an empty line after each paragraph."""
    width = min(72, shutil.get_terminal_size().columns)
    lines = []
    if lesson.quote:
        lines += [*wrap(f'"{lesson.quote.line}"', width), lesson.quote.author, lesson.quote.url, ""]
    for paragraph in lesson.paragraphs:
        lines += [*wrap(paragraph, width), ""]
    return lines


def _explain(word: str | None, *, json: bool) -> None:
    terms = GLOSSARY if word is None else dict([look_up(word)])
    if json:
        emit_json(terms)
        return
    for term, meaning in terms.items():
        lines = wrap(meaning, min(100, shutil.get_terminal_size().columns) - 4)
        show(term, *(f"    {line}" for line in lines))


def _list(*, json: bool) -> None:
    if json:
        emit_json([lesson_as_json(lesson) for lesson in LESSONS.values()])
        return
    width = max(map(len, LESSONS)) + 2
    for lesson in LESSONS.values():
        show(f"{lesson.name:<{width}}{lesson.question}")


def _table(rows: "Sequence[Sequence[str]]") -> list[str]:
    """Align rows in columns; after a row with a cell of several lines comes an empty line."""
    cells = [[cell.split("\n") for cell in row] for row in rows]
    widths = [max(len(line) for row in cells for line in row[column]) for column in range(len(rows[0]))]
    lines = []
    for row in cells:
        for parts in zip_longest(*row, fillvalue=""):
            padded = (f"{part:<{width}}" for part, width in zip(parts, widths, strict=True))
            lines.append("  ".join(padded).rstrip())
        if any(len(cell) > 1 for cell in row):
            lines.append("")
    return lines
