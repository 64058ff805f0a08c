"""Handing tasks out and taking them back: what is missing is made, what goes wrong is tried again."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lanterna.surfaces.render.task import Failed, Rendered, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lanterna.surfaces.render.folder import Folder
    from lanterna.surfaces.render.task import Engine

TRIES = 3
"""How often a task is begun before it is set aside: one whose worker dies may be what kills it."""


@dataclass
class Summary:
    """How a run went: what was made now, what was there already, and what was set aside and why."""

    made: int = 0
    already: int = 0
    tried_again: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    seconds: float = 0.0
    working: float = 0.0  # seconds that workers spent on what was made

    @property
    def finished(self) -> bool:
        """Whether nothing is missing."""
        return not self.failed and not self.stopped


@dataclass
class _Tasks:
    """Tasks to be made, again perhaps, and those under way by number, with how often each was begun."""

    coming: Iterator[Task]
    again: deque[tuple[Task, int]] = field(default_factory=deque)
    running: dict[int, tuple[Task, int]] = field(default_factory=dict)
    more: bool = True

    @property
    def left(self) -> bool:
        """Whether there may be another to begin."""
        return bool(self.again) or self.more

    def next(self) -> Task | None:
        """Begin another; None where there is none."""
        task, tries = self.again.popleft() if self.again else (next(self.coming, None), 0)
        if task is None:
            self.more = False
            return None
        self.running[task.number] = task, tries + 1
        return task

    def finish(self, found: Rendered | Failed, folder: Folder, summary: Summary) -> None:
        """Keep what was made; or let what went wrong be made again, or set it aside."""
        task, tries = self.running.pop(found.number)
        if not isinstance(found, Failed):
            folder.save(task, found)
            summary.made += 1
            summary.working += found.seconds
        elif found.final or tries >= TRIES:
            folder.record_failure(task, found, tries)
            summary.failed[task.name] = found.words
        else:
            self.again.append((task, tries))
            summary.tried_again += 1


def run_tasks(
    tasks: Iterable[Task],
    folder: Folder,
    start: Callable[[], Engine],
    *,
    already: int = 0,
    watch: Callable[[Summary, int], None] = lambda *_: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Make all tasks, and keep each as it comes; `already` others were made before.

    Tasks are asked for one at a time, as workers become free; an engine is started for the first, and closed
    at the end. `watch` is told after each, with how many are under way; once it should stop no other is
    begun, and those under way are waited for.

    Errors: `LanternaError` where the folder cannot be written (a full disk); what was made before is kept.
    """
    begun, summary = time.perf_counter(), Summary(already=already)
    all_tasks = _Tasks(iter(tasks))
    engine: Engine | None = None
    found: Rendered | Failed | None = None
    try:
        while True:
            while (engine is None or engine.free() > 0) and not should_stop() and (task := all_tasks.next()):
                engine = engine or start()
                engine.submit(task)
            if found is not None:  # kept only now, so that its worker has something to do meanwhile
                all_tasks.finish(found, folder, summary)
                watch(summary, len(all_tasks.running))
                found = None
                if all_tasks.again:
                    continue
            if engine is None or (not all_tasks.running and (should_stop() or not all_tasks.left)):
                summary.stopped = all_tasks.left and should_stop()
                break
            if all_tasks.running:
                found = engine.wait()
            else:
                time.sleep(0.05)  # all workers are being replaced
    finally:
        if engine is not None:
            engine.close()
    summary.seconds = time.perf_counter() - begun
    return summary
