"""The data that travels to and from workers: plain, so that it can be sent to any machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import JsonValue

    from lanterna.images.recipe import RecipeInput


@dataclass(frozen=True)
class InputFile:
    """An input: its entry in the recipe, and the bytes of its file."""

    note: RecipeInput
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class RenderConfig:
    """What all tasks of a run share; each worker gets it once.

    `verb` and `output` are those of the recipe, `others` are the inputs apart from the picture itself.
    `suffix` is the pictures', or `.json` for a technique whose output is words. With `chunks`, tasks are
    chunks of a film whose frames are carried over.
    """

    verb: str
    output: str
    suffix: str
    device: str = "auto"
    threads: int = 1
    others: Sequence[InputFile] = ()
    chunks: bool = False


@dataclass(frozen=True)
class Task:
    """A picture or a chunk of a film to render. `name` has no suffix; `sources` are its pictures."""

    number: int
    name: str
    settings: Mapping[str, JsonValue]
    sources: Sequence[InputFile] = ()


@dataclass(frozen=True)
class Rendered:
    """A finished task: the bytes of its file (for a chunk, of each frame), and the seconds that it took."""

    number: int
    files: Sequence[bytes] = field(repr=False)
    seconds: float = 0.0


@dataclass(frozen=True)
class Failed:
    """A failed task. If it is `final`, a retry would fail too: its picture or a setting is not valid."""

    number: int
    reason: str
    final: bool = False


SILENCE = 30.0
"""Seconds without an answer after which a cluster is given up."""

RESUME_HINT = "what is finished is saved, and the same command continues"
"""Ends the message of an engine that has lost its cluster."""


class Engine(Protocol):
    """Moves tasks to workers. Whatever happens to a worker, `wait` returns a result for each task."""

    name: str
    workers: int

    def free(self) -> int:
        """Return how many tasks can be submitted now without waiting in a queue."""

    def submit(self, task: Task) -> None:
        """Hand a task to a worker."""

    def wait(self) -> Rendered | Failed:
        """Wait for the next task to finish or fail, and return its result."""

    def close(self) -> None:
        """Stop the workers, even if they are busy."""
