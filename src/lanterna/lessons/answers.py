"""Answers and explanations to exercises, saved on this machine until they are handed in."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, SupportsFloat

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict

from lanterna.documents import is_unicode, repair_document
from lanterna.errors import LanternaError, OwnFileError, UsageError
from lanterna.files import atomic_write, exclusive, read_regular
from lanterna.lessons import exercises
from lanterna.settings import answers_folder

if TYPE_CHECKING:
    from pathlib import Path

MAX_EXPLANATION = 5000
"""Characters of an explanation."""
_MAX_BYTES = 50_000_000
_lock = threading.Lock()  # between threads, where `exclusive` has no lock


class _Entry(TypedDict, total=False):
    answer: float | str
    right: bool
    tries: int
    explanation: str

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)  # type: ignore[misc]


_SAVED = TypeAdapter(dict[str, dict[str, _Entry]])


def check(lesson: str, number: int, answer: object, explanation: str | None = None) -> exercises.Reply:
    """Check an answer to an exercise: `check("curve", 1, 7)`. `...` stands for no answer yet.

    The answer is saved on this machine, with your `explanation` if you give one, and `lanterna learn
    --hand-in FILE` writes them all into one file.

    Errors: `UsageError` for an unknown lesson or exercise, or the wrong kind of answer.
    """
    reply = exercises.check(lesson, number, answer)
    if answer is not ...:
        save_answer(lesson, number, answer=answer, right=reply.right, explanation=explanation)
    return reply


def save_answer(
    lesson: str, number: int, *, answer: object = None, right: bool = False, explanation: str | None = None
) -> None:
    """Save an answer, an explanation or both; what is None stays as it was.

    The first answer that is `right` stays, whatever is tried after it. Until then the last one is saved, and
    the tries are counted.

    Errors: `UsageError` for an unknown lesson or exercise, and as `check_explanation`; `LanternaError` if
    the file cannot be written or is damaged.
    """
    exercises.find_exercise(lesson, number)
    check_explanation(explanation or "")
    with _lock, exclusive(_file()):
        found = saved_answers()
        entry = found.setdefault(lesson, {}).setdefault(str(number), {})
        if answer is not None and not entry.get("right"):
            answer = float(answer) if isinstance(answer, SupportsFloat) else str(answer).strip()
            entry |= {"answer": answer, "right": right, "tries": entry.get("tries", 0) + 1}
        if explanation is not None:
            entry["explanation"] = explanation.strip()
        with atomic_write(_file()) as place:
            place.write_text(json.dumps(found, indent=1), encoding="utf-8")


def check_explanation(text: str) -> None:
    """Check that an explanation can be saved. Errors: `UsageError` if it is too long or no Unicode."""
    if len(text) > MAX_EXPLANATION:
        raise UsageError(
            f"expected an explanation of at most {MAX_EXPLANATION:,} characters, got {len(text):,}"
        )
    if not is_unicode(text):
        raise UsageError(f"expected an explanation in UTF-8, got {text[:60]!r}")


def saved_answers() -> dict[str, dict[str, dict[str, Any]]]:
    """Return what was saved, by lesson and number: an `answer` with its `tries`, an `explanation` or both.

    Errors: `LanternaError` if the file is damaged or cannot be read.
    """
    place = _file()
    try:
        text = read_regular(place, _MAX_BYTES).decode("utf-8", "replace")
        # An earlier version saved text that is no Unicode.
        found: Any = _SAVED.validate_python(repair_document(json.loads(text)))
    except FileNotFoundError:
        return {}
    except (ValueError, OverflowError, RecursionError) as error:
        raise OwnFileError(
            f"{place}, your answers to exercises, is damaged: move it away to start again"
        ) from error
    except OSError as error:
        raise LanternaError(f"cannot read {place}: {error.strerror or error}") from error
    return dict(found)


def _file() -> Path:
    return answers_folder() / "answers.json"
