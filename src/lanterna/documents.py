"""Documents from anywhere: what JSON, SQLite and UTF-8 alike can hold, and which names in them are code."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lanterna.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST = 32


def check_document(value: object) -> None:
    """Refuse what no answer, no database and no file could hold afterwards.

    Errors: `UsageError` for a number that is not finite, text that is no Unicode (half of a surrogate
    pair), whole numbers of more than 64 bits, and lists within lists within lists without end.
    """
    for each, depth in _parts(value):
        if depth > _DEEPEST:
            raise UsageError(f"expected values at most {_DEEPEST} deep, these are deeper")
        if isinstance(each, float) and not math.isfinite(each):
            raise UsageError(f"expected finite numbers, got {each}")
        if isinstance(each, int) and not -(2**63) <= each < 2**63:
            raise UsageError("expected numbers of at most 64 bits, got a larger one")
        if isinstance(each, str) and not is_unicode(each):
            raise UsageError("expected text in Unicode, got half of a surrogate pair")


def repair_document(value: Any) -> Any:  # noqa: ANN401  (what JSON gives)
    """The same document with what `check_document` refuses taken out, for one that was stored unchecked."""
    if isinstance(value, dict):
        return {repair_document(name): repair_document(each) for name, each in value.items()}
    if isinstance(value, list):
        return [repair_document(each) for each in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return value if not isinstance(value, float) or math.isfinite(value) else None


def _parts(value: object) -> Iterator[tuple[object, int]]:
    """Every value in a document, names too, and how deep it lies. The stack is ours: it cannot overflow."""
    left = [(value, 0)]
    while left:
        each, depth = left.pop()
        yield each, depth
        if isinstance(each, dict):
            left += [(part, depth + 1) for pair in each.items() for part in pair]
        elif isinstance(each, list | tuple):
            left += [(part, depth + 1) for part in each]


def is_unicode(text: str) -> bool:
    """Say whether a text can be written as UTF-8: it holds no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def runs_code(name: str) -> bool:
    """Say whether opening a network of that name runs somebody's Python code, as `module:function` does."""
    place, _, function = name.rpartition(":")
    return bool(place) and function.strip().isidentifier()
