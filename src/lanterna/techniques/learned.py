"""What a job needs that is learned once and saved on this machine, while the user watches."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lanterna.files import refuse_to_overwrite
from lanterna.techniques.technique import Count, Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from lanterna.techniques.execute import Job
    from lanterna.techniques.technique import Frames

LearningFrame = TypeVar("LearningFrame", bound=Frame)


class LearnedOnce(Generic[LearningFrame]):
    """A file that is here, or is learned first: `begin` returns the frames of learning and their number.

    `save` gets the last of these frames. Errors: `UsageError`, before anything is learned, if the file cannot
    be written.
    """

    def __init__(
        self,
        job: Job,
        file: Path,
        begin: Callable[[], tuple[Generator[LearningFrame, Any, None], int]],
        save: Callable[[LearningFrame], None],
    ) -> None:
        self.job, self.file, self._save = job, file, save
        self._frames: Generator[LearningFrame, Any, None] | None = None
        self.steps = 0
        if not file.is_file():
            refuse_to_overwrite(file, force=True)
            self._frames, self.steps = begin()

    def frames(self) -> Iterator[LearningFrame]:
        """Yield the frames of learning, if any, and save what was learned."""
        if self._frames is None:
            return
        with closing(self._frames) as frames:
            for frame in frames:
                yield frame
        self._frames = None
        self._save(frame)

    def finish(self) -> None:
        """Learn, if that is still to be done, and report the progress."""
        for frame in self.frames():
            self.job.progress("learning", frame.step, frame.steps)

    def then(self, use: Callable[[], Iterator[Frame]], steps: int, doing: str) -> Frames:
        """Yield the frames of learning, if any, and then those of `use`, which takes `steps`, as one run.

        `doing` is what `use` does: "drawing".
        """
        for frame in self.frames():
            learned = Count("learning", frame.step, self.steps)
            yield replace(frame, steps=self.steps + steps, part=learned)
        if self.steps:
            self.job.notify(f"learned in {self.steps:,} steps, and saved in {self.file}")
        for used in use():
            part = Count(doing, used.step, used.steps) if self.steps else None
            yield replace(used, step=self.steps + used.step, steps=self.steps + used.steps, part=part)
