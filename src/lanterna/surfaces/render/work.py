"""Handing tasks out and taking them back: what is missing is made, what goes wrong is tried again."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lanterna.surfaces.render.task import Failed, Made, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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


def work(
    tasks: Iterable[Task],
    folder: Folder,
    start: Callable[[], Engine],
    *,
    already: int = 0,
    watch: Callable[[Summary, int], None] = lambda *_: None,
    stop_wished: Callable[[], bool] = lambda: False,
) -> Summary:
    """Make all tasks, and keep each as it comes; `already` others were made before.

    Tasks are asked for one at a time, as workers become free; an engine is started for the first, and closed
    at the end. `watch` is told after each, with how many are under way; with a wish to stop no other is
    begun, and those under way are waited for.

    Errors: `LanternaError` where the folder cannot be written (a full disk); what was made before is kept.
    """
    begun, summary = time.perf_counter(), Summary(already=already)
    coming, again = iter(tasks), deque[tuple[Task, int]]()
    running: dict[int, tuple[Task, int]] = {}
    engine: Engine | None = None
    ended: tuple[Task, int, Made | Failed] | None = None
    more = True
    try:
        while True:
            while (engine is None or engine.free() > 0) and not stop_wished() and (again or more):
                task, tries = again.popleft() if again else (next(coming, None), 0)
                if task is None:
                    more = False
                else:
                    engine = engine or start()
                    running[task.number] = task, tries + 1
                    engine.submit(task)
            if ended is not None:  # kept only now, so that its worker has something to do meanwhile
                task, tries, found = ended
                if not isinstance(found, Failed):
                    folder.keep(task, found)
                    summary.made += 1
                    summary.working += found.seconds
                elif found.final or tries >= TRIES:
                    folder.set_aside(task, found, tries)
                    summary.failed[task.name] = found.words
                else:
                    again.append((task, tries))
                    summary.tried_again += 1
                watch(summary, len(running))
                ended = None
                if again:
                    continue
            left = bool(again or more)
            if engine is None or (not running and (stop_wished() or not left)):
                summary.stopped = left and stop_wished()
                break
            if not running:
                time.sleep(0.05)  # all workers are being replaced
                continue
            found = engine.wait()
            ended = (*running.pop(found.number), found)
    finally:
        if engine is not None:
            engine.close()
    summary.seconds = time.perf_counter() - begun
    return summary
