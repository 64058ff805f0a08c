"""Errors that a person can cause: one line each, with the exit code the command line ends with."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class LanternaError(Exception):
    """Something failed that was asked for properly. One line: what was expected, what came, what to do."""

    exit_code = 1


class UsageError(LanternaError):
    """What was given cannot be used: a wrong setting, a file that is no picture, a result in the way."""

    exit_code = 2


class MissingError(LanternaError):
    """Data or weights are not here yet. The line names the command that gets them."""

    exit_code = 3


@contextlib.contextmanager
def called(names: Mapping[Path, str]) -> Iterator[None]:
    """Let errors in the block call these files as a person calls them, and not by where they are stored."""
    try:
        yield
    except LanternaError as error:
        words = str(error)
        for path, name in names.items():
            words = words.replace(str(path), name)
        raise type(error)(words) from error


def describe_invalid(error: Mapping[str, Any]) -> str:
    """Describe one error of pydantic's, as `ValidationError.errors()` lists them, in words: expected …."""
    limits = {
        "greater_than": "more than", "greater_than_equal": "at least", "less_than": "less than",
        "less_than_equal": "at most", "multiple_of": "a multiple of",
    }  # fmt: skip
    kinds = {"int": "a whole number", "float": "a number", "bool": "yes or no", "string": "text"}
    kind: str = error["type"]
    if kind in limits:
        (limit,) = error["ctx"].values()
        return f"expected {limits[kind]} {limit:{',' if isinstance(limit, int) else 'g'}}"
    name, _, problem = kind.partition("_")
    if name in kinds and problem in ("parsing", "type", "from_float"):
        return f"expected {kinds[name]}"
    message: str = error["msg"]
    return message.removeprefix("Value error, ").replace("Input should be ", "expected ")


def one_line(text: str) -> str:
    """Put a text on one line, with whatever cannot be printed escaped."""
    return escaped(" ".join(text.split()))


def escaped(text: str) -> str:
    """Show what cannot be printed as its code, line ends too: a name must not move a terminal's cursor."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )
