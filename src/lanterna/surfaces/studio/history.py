"""The steps of a job to which one can go back: for each a state to go on from, and a picture of it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MOST = 24
"""How many steps of a job are kept, evenly over the work."""

_BYTES = 512 * 2**20  # of the states of one job
_ALL = 2 * 2**30  # of the states of all jobs that have ended


class History:
    """The history of the job in `folder`. A state is the checkpoint of that moment: a second name for its
    file, which costs nothing, as a checkpoint is never changed but replaced.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "history"
        self.folder.mkdir(parents=True, exist_ok=True)
        found = sorted(int(each.stem) for each in self.folder.glob("*.pt") if each.stem.isdecimal())
        self.steps = [step for step in found if self.picture(step).exists()]
        self._apart = 0  # steps between two that are kept

    def state(self, step: int) -> Path:
        """The checkpoint of a step."""
        return self.folder / f"{step}.pt"

    def picture(self, step: int) -> Path:
        """What a step looked like, as a JPEG."""
        return self.folder / f"{step}.jpg"

    def is_due(self, step: int) -> bool:
        """Whether this step is far enough from the last that is kept."""
        return not self.steps or step >= self.steps[-1] + max(1, self._apart)

    def keep(self, step: int, checkpoint: Path, picture: Path) -> None:
        """Keep a step; what was later was another way that the work has left."""
        self.forget(each for each in self.steps if each >= step)
        _name_too(picture, self.picture(step))
        _name_too(checkpoint, self.state(step))
        self.steps.append(step)
        most = max(3, min(MOST, _BYTES // max(1, self.state(step).stat().st_size)))
        if len(self.steps) > most:
            self.forget(self.steps[1:-1:2])
            self._apart = max(other - one for one, other in zip(self.steps, self.steps[1:], strict=False))

    def forget(self, steps: Iterable[int]) -> None:
        """Let steps go."""
        for step in list(steps):
            self.state(step).unlink(missing_ok=True)
            self.picture(step).unlink(missing_ok=True)
            self.steps.remove(step)

    def take_back(self, step: int, checkpoint: Path, preview: Path) -> None:
        """Make a step the one that the work goes on from."""
        _name_too(self.state(step), checkpoint)
        _name_too(self.picture(step), preview)


def begin_at(parent: Path, step: int, folder: Path) -> None:
    """Let the job in `folder` begin at a step of another."""
    there = History(parent)
    folder.mkdir(parents=True, exist_ok=True)
    there.take_back(step, folder / "checkpoint.pt", folder / "preview.jpg")


def bounded(folders: Iterable[Path]) -> list[Path]:
    """Of the folders of jobs that have ended, newest first, those whose history is too much to keep."""
    taken, over = 0, []
    for folder in folders:
        taken += sum(file.stat().st_size for file in (folder / "history").glob("*"))
        if taken > _ALL:
            over.append(folder)
    return over


def _name_too(file: Path, name: Path) -> None:
    """Give a file a second name, or copy it where there are no such."""
    beside = name.with_name(f".{name.name}")
    beside.unlink(missing_ok=True)
    try:
        os.link(file, beside)
    except OSError:
        shutil.copyfile(file, beside)
    beside.replace(name)
