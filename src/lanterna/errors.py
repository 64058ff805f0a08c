"""Errors that a user can cause: one line each, with the exit code of the command line."""

from __future__ import annotations

import contextlib
import re
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class LanternaError(Exception):
    """A valid request that failed. One line: what was expected, what came, what to do."""

    exit_code = 1


class OwnFileError(LanternaError):
    """A file that only the user can mend is damaged; the studio shows its folder too."""


class UsageError(LanternaError):
    """A request that cannot be met: a wrong setting, a file that is no picture, a path that is taken."""

    exit_code = 2


class MissingError(LanternaError):
    """Data or weights that have not been fetched. The line names the command that fetches them."""

    exit_code = 3


@contextlib.contextmanager
def display_names(names: Mapping[Path, str]) -> Iterator[None]:
    """Replace these paths in the block's errors by the names under which the user knows the files."""
    try:
        yield
    except LanternaError as error:
        message = str(error)
        for path, name in names.items():
            message = message.replace(str(path), name)
        raise type(error)(message) from error


_NETWORK_FAILED = "the network of "


@contextlib.contextmanager
def blame_network(name: str, where: str = "") -> Iterator[None]:
    """Note on whatever the block raises that the network of this name did; its type stays as it is.

    What is no `Exception`, such as a network's `sys.exit()`, becomes a `LanternaError`; Ctrl-C does not.
    Its warnings, which are for its programmers, are hidden.
    """
    failure = f"{_NETWORK_FAILED}{name} failed" + (f" in {where}" if where else "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (LanternaError, KeyboardInterrupt, GeneratorExit):
        raise
    except Exception as error:
        error.add_note(failure)
        raise
    except BaseException as error:
        raise LanternaError(f"{failure} ({describe(error)})") from error


@contextlib.contextmanager
def explain_blamed_networks() -> Iterator[None]:
    """Raise a `LanternaError` in one line for an error that `blame_network` noted in the block."""
    try:
        yield
    except LanternaError:
        raise
    except Exception as error:
        notes = getattr(error, "__notes__", ())
        failure = next((note for note in notes if note.startswith(_NETWORK_FAILED)), None)
        if failure is None:
            raise
        raise LanternaError(f"{failure} ({describe(error)})") from error


_OUT_OF_MEMORY = re.compile("alloc.*memory|memory.*alloc|bad_alloc|out of memory", re.I)  # in torch's wording


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the machine or a device has run out of memory.

    On the CPU and on MPS torch raises a plain RuntimeError, recognised by its message only.
    """
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | OSError) and _OUT_OF_MEMORY.search(str(error)) is not None
    )


def describe(error: BaseException) -> str:
    """Return an error's type and the first line of its message."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # other people's errors may fail even at this
        lines = []
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


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


def field_name(error: Mapping[str, Any]) -> str:
    """Return the field that one error of pydantic's is about, without the place in a list: not "field.0"."""
    return ".".join(part for part in error["loc"] if isinstance(part, str))


def one_line(text: str) -> str:
    """Join a text into one line and escape unprintable characters; spaces in a file's name stay."""
    return escape(join_lines(text))


def join_lines(text: str) -> str:
    """Join the lines of a text, without the spaces around them."""
    return " ".join(line.strip() for line in text.splitlines()).strip()


def escape(text: str) -> str:
    """Escape unprintable characters, line breaks too: a file's name must not move the terminal's cursor."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )
