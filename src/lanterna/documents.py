"""Checks of untrusted documents: values that JSON, SQLite and UTF-8 can all hold, and names that run code."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lanterna.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_DEPTH = 32


def check_document(value: object) -> None:
    """Refuse values that could not be stored in a database or sent as JSON.

    Errors: `UsageError` for a number that is not finite, text that is not valid Unicode (half of a surrogate
    pair), integers of more than 64 bits, and values nested too deeply.
    """
    for part, depth in _parts(value):
        if depth > _MAX_DEPTH:
            raise UsageError(f"expected values nested at most {_MAX_DEPTH} deep, these are deeper")
        if isinstance(part, float) and not math.isfinite(part):
            raise UsageError(f"expected finite numbers, got {part}")
        if isinstance(part, int) and not -(2**63) <= part < 2**63:
            raise UsageError("expected numbers of at most 64 bits, got a larger one")
        if isinstance(part, str) and not is_unicode(part):
            raise UsageError("expected text in Unicode, got half of a surrogate pair")


def repair_document(value: Any) -> Any:  # noqa: ANN401  (parsed JSON)
    """Return a document without the values that `check_document` refuses, if it was stored unchecked."""
    if isinstance(value, dict):
        return {repair_document(name): repair_document(part) for name, part in value.items()}
    if isinstance(value, list):
        return [repair_document(part) for part in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return value if not isinstance(value, float) or math.isfinite(value) else None


def _parts(value: object) -> Iterator[tuple[object, int]]:
    """Yield every value and name in a document with its depth, without recursion, which could overflow."""
    stack = [(value, 0)]
    while stack:
        part, depth = stack.pop()
        yield part, depth
        if isinstance(part, dict):
            stack += [(child, depth + 1) for pair in part.items() for child in pair]
        elif isinstance(part, list | tuple):
            stack += [(child, depth + 1) for child in part]


def is_unicode(text: str) -> bool:
    """Return whether a text can be encoded as UTF-8: no half of a surrogate pair is in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def runs_code(name: str) -> bool:
    """Return whether opening a network of this name runs Python code, as `module:function` does."""
    module, _, function = name.rpartition(":")
    return bool(module) and function.strip().isidentifier()
