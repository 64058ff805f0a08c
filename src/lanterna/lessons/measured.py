"""The outcomes of slow lessons with their default settings, measured in advance.

`scripts/findings.py` writes them, one file for each lesson, so that no page has to begin blank. A file names
the fingerprint of the lesson it was measured with: once the experiment changes, run the script again.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanterna.lessons.documents import outcome_from_json
from lanterna.lessons.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lanterna.lessons.lesson import Lesson, Outcome

FOLDER = Path(__file__).parent / "findings"
_WITHOUT_RESULTS = {"lanterna.lessons.lesson", "lanterna.lessons.lecture", "lanterna.lessons.progress"}


@dataclass(frozen=True)
class Measured:
    """An outcome with default settings as JSON, with the seconds of one processor core that it took.

    `fingerprint` is that of the lesson it was measured with.
    """

    document: Mapping[str, Any]
    fingerprint: str

    @property
    def outcome(self) -> Outcome:
        """The outcome, its pictures decoded."""
        return outcome_from_json(self.document)

    @property
    def took(self) -> str:
        """The time it took, in words: `about 2 minutes`."""
        seconds = max(1, round(self.document["seconds"]))
        return "about " + (counted(seconds, "second") if seconds < 90 else f"{seconds / 60:.0f} minutes")


@cache
def measured(lesson: Lesson) -> Measured | None:
    """Return what was measured in advance for a lesson, or None."""
    path = FOLDER / f"{lesson.name}.json"
    if not path.exists():
        return None
    document = json.loads(path.read_text(encoding="utf-8"))
    return Measured(document, document.pop("fingerprint"))


def fingerprint(lesson: Lesson) -> str:
    """Return a hash of the lesson's defaults and code: of its own module and the lessons' modules it imports.

    Comments, docstrings and the texts of `LESSON` do not count: changing them changes no outcome.
    """
    modules = sorted(_modules(lesson.settings.__module__))
    parts = [lesson.settings().model_dump_json(), *map(_code, modules)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _modules(name: str) -> set[str]:
    """Return the names of a module, and of the modules of `lanterna.lessons` that it uses."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        module = waiting.pop()
        if module not in found | _WITHOUT_RESULTS:
            found.add(module)
            imports = (
                node.module or ""
                for node in ast.walk(ast.parse(_source(module)))
                if isinstance(node, ast.ImportFrom)
            )
            waiting += [each for each in imports if each.startswith("lanterna.lessons.")]
    return found


@cache  # so that a fingerprint is of one version of the files, even if they change meanwhile
def _source(module: str) -> str:
    return inspect.getsource(importlib.import_module(module))


def _code(module: str) -> str:
    """Return a module's lines without empty ones, comments, docstrings and the assignment to `LESSON`."""
    source = _source(module)
    unused = {number for first, last in _texts(ast.parse(source)) for number in range(first, last + 1)}
    lines = [line.strip() for number, line in enumerate(source.splitlines(), 1) if number not in unused]
    return "\n".join(line for line in lines if line and not line.startswith("#"))


def _texts(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """Yield the first and last lines of docstrings and of the assignment to `LESSON`."""
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_lesson = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LESSON"
        if isinstance(node, ast.stmt) and (is_text or is_lesson):
            yield node.lineno, node.end_lineno or node.lineno
