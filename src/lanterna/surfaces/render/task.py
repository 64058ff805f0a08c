"""What goes to a worker and what comes back: plain data, so that it can go to any machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import JsonValue

    from lanterna.images.recipe import Input


@dataclass(frozen=True)
class InputFile:
    """An input: how its recipe notes it, and the bytes of its file."""

    note: Input
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class RenderConfig:
    """What all tasks of a run share, given to each worker once.

    `verb` and `output` say which picture (as in a recipe), `others` are inputs beside the picture itself.
    `suffix` is that of the pictures, or `.json` for a verb that answers in words. `chunks`: tasks are pieces
    of a film, whose frames go on from one another.
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
    """A picture to make, or a piece of a film: its number, its name without suffix, from what, and how."""

    number: int
    name: str
    settings: Mapping[str, JsonValue]
    sources: Sequence[InputFile] = ()


@dataclass(frozen=True)
class Rendered:
    """What a worker made: the bytes of a file (of a piece: of each of its frames), and how long it took."""

    number: int
    files: Sequence[bytes] = field(repr=False)
    seconds: float = 0.0


@dataclass(frozen=True)
class Failed:
    """Why a worker could not. What is `final` would go wrong again: the picture, or a setting, is no good."""

    number: int
    words: str
    final: bool = False


SILENCE = 30.0
"""Seconds after which a cluster that is not heard is taken to be gone."""

RESUME_HINT = "what was made is kept, and the same words go on"
"""What an engine says when it is lost."""


class Engine(Protocol):
    """Moves tasks to workers. Whatever happens to a worker, `wait` gives something back for each task."""

    name: str
    workers: int

    def free(self) -> int:
        """How many tasks can be handed out now, so that no worker waits."""

    def submit(self, task: Task) -> None:
        """Hand a task out."""

    def wait(self) -> Rendered | Failed:
        """The next task that is done or went wrong; blocks until there is one."""

    def close(self) -> None:
        """Stop the workers, whatever they do."""
