"""The saved steps of a job: for each, a checkpoint to resume from and a picture."""

from __future__ import annotations

import os
import shutil
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_STEPS = 24
"""How many steps of a job are saved, spread evenly over the run."""

_MAX_JOB_BYTES = 512 * 2**20  # for the checkpoints of one job
_MAX_TOTAL_BYTES = 2 * 2**30  # for the checkpoints of all finished jobs


class History:
    """The saved steps of the job in `folder`. A step's checkpoint is a hard link to the checkpoint file of
    that moment, which takes no space: checkpoint files are replaced, never modified.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "history"
        self.folder.mkdir(parents=True, exist_ok=True)
        found = sorted(int(file.stem) for file in self.folder.glob("*.pt") if file.stem.isdecimal())
        self.steps = [step for step in found if self.picture(step).exists()]
        self._spacing = 0  # the minimum number of steps between two saved ones

    def checkpoint(self, step: int) -> Path:
        """Return the path of a step's checkpoint."""
        return self.folder / f"{step}.pt"

    def picture(self, step: int) -> Path:
        """Return the path of a step's picture, a JPEG."""
        return self.folder / f"{step}.jpg"

    def is_due(self, step: int) -> bool:
        """Return whether this step is far enough from the last saved one."""
        return not self.steps or step >= self.steps[-1] + max(1, self._spacing)

    def save(self, step: int, checkpoint: Path, picture: Path) -> None:
        """Save a step, and remove later ones: they belong to a run that was rewound."""
        self.remove(saved for saved in self.steps if saved >= step)
        _link_or_copy(picture, self.picture(step))
        _link_or_copy(checkpoint, self.checkpoint(step))
        self.steps.append(step)
        limit = max(3, min(MAX_STEPS, _MAX_JOB_BYTES // max(1, self.checkpoint(step).stat().st_size)))
        if len(self.steps) > limit:
            self.remove(self.steps[1:-1:2])
            self._spacing = max(after - before for before, after in pairwise(self.steps))

    def remove(self, steps: Iterable[int]) -> None:
        """Delete saved steps."""
        for step in list(steps):
            self.checkpoint(step).unlink(missing_ok=True)
            self.picture(step).unlink(missing_ok=True)
            self.steps.remove(step)

    def restore(self, step: int, checkpoint: Path, preview: Path) -> None:
        """Make a saved step the one that the job resumes from."""
        _link_or_copy(self.checkpoint(step), checkpoint)
        _link_or_copy(self.picture(step), preview)


def start_at(parent: Path, step: int, folder: Path) -> None:
    """Make the job in `folder` start at a saved step of the job in `parent`."""
    history = History(parent)
    folder.mkdir(parents=True, exist_ok=True)
    history.restore(step, folder / "checkpoint.pt", folder / "preview.jpg")


def over_limit(folders: Iterable[Path]) -> list[Path]:
    """Return the job folders, newest first, whose histories exceed the total disk limit."""
    total, over = 0, []
    for folder in folders:
        total += sum(file.stat().st_size for file in (folder / "history").glob("*"))
        if total > _MAX_TOTAL_BYTES:
            over.append(folder)
    return over


def _link_or_copy(source: Path, target: Path) -> None:
    """Hard-link a file, replacing the target; copy it if the file system has no hard links."""
    temporary = target.with_name(f".{target.name}")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    temporary.replace(target)
