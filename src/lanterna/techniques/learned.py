"""What a job needs that is learned once and saved on this machine, while the user watches."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lanterna.errors import LanternaError
from lanterna.files import refuse_to_overwrite
from lanterna.techniques.technique import Count, Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from lanterna.techniques.execute import Job
    from lanterna.techniques.technique import Frames

LearningFrame = TypeVar("LearningFrame", bound=Frame)
Begun = TypeVar("Begun")

LEARNING = "learning"
"""The part of a run in which it learns."""


def unfinished(file: Path) -> Path:
    """Return the checkpoint of learning next to the file of what is learned."""
    return file.with_suffix(".unfinished")


def continued(
    checkpoint: Path, begin: Callable[[dict[str, Any]], Begun], notify: Callable[[str], object]
) -> Begun:
    """Begin work that saves to `checkpoint`: where it stopped, or again if that cannot be read."""
    resume = checkpoint.exists()
    try:
        return begin({"checkpoint": checkpoint, "resume": resume})
    except LanternaError:
        if not resume:
            raise
        checkpoint.unlink(missing_ok=True)  # damaged, or of another version
        notify("what was learned so far could not be read: learning begins again")
        return begin({"checkpoint": checkpoint, "resume": False})


class LearnedOnce(Generic[LearningFrame]):
    """A file that is here, or is learned first: `begin` returns the frames of learning and their number.

    `begin` gets the keyword arguments of algorithms that save and resume their state: those of the job, or a
    checkpoint next to the file if the job has none for this; it is resumed without being asked. `save` gets
    the last of the frames. Errors: `UsageError`, before anything is learned, if the file cannot be written.
    """

    def __init__(
        self,
        job: Job,
        file: Path,
        begin: Callable[[dict[str, Any]], tuple[Generator[LearningFrame, Any, None], int]],
        save: Callable[[LearningFrame], None],
    ) -> None:
        self.job, self.file, self._save = job, file, save
        self._frames: Generator[LearningFrame, Any, None] | None = None
        self._checkpoint = unfinished(file)
        if job.technique.resumes and job.checkpoint:
            self._checkpoint = job.checkpoint
        self.steps = 0
        if not file.is_file():
            refuse_to_overwrite(file, force=True)
            self._frames, self.steps = self._begun(begin)

    def _begun(
        self, begin: Callable[[dict[str, Any]], tuple[Generator[LearningFrame, Any, None], int]]
    ) -> tuple[Generator[LearningFrame, Any, None], int]:
        if self._checkpoint == self.job.checkpoint:
            return begin(self.job.checkpointing)
        return continued(self._checkpoint, begin, self.job.notify)

    def frames(self) -> Iterator[LearningFrame]:
        """Yield the frames of learning, if any, and save what was learned."""
        if self._frames is None:
            return
        with closing(self._frames) as frames:
            for frame in frames:
                yield frame
        self._frames = None
        self._save(frame)
        self._checkpoint.unlink(missing_ok=True)

    def then(self, use: Callable[[], Iterator[Frame]], steps: int, doing: str) -> Frames:
        """Yield the frames of learning, if any, and then those of `use`, which takes `steps`, as one run.

        `doing` is what `use` does: "drawing".
        """
        for frame in self.frames():
            learned = Count(LEARNING, frame.step, self.steps)
            yield replace(frame, steps=self.steps + steps, part=learned)
        if self.steps:
            self.job.notify(f"learned in {self.steps:,} steps, and saved in {self.file}")
        for used in use():
            part = Count(doing, used.step, used.steps) if self.steps else None
            yield replace(used, step=self.steps + used.step, steps=self.steps + used.steps, part=part)
