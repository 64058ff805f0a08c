"""Schedule tasks: submit them to an engine, save the results, and retry what fails."""

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
"""Attempts before a task is given up: if its worker dies, the task itself may be the cause."""


@dataclass
class Summary:
    """The outcome of a run: how many were made now or already there, and why tasks failed."""

    made: int = 0
    already: int = 0
    tried_again: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    seconds: float = 0.0
    working: float = 0.0  # seconds that workers spent on finished tasks

    @property
    def finished(self) -> bool:
        """Whether all tasks are done."""
        return not self.failed and not self.stopped


@dataclass
class _Queue:
    """The tasks to run, those to retry, and those that are running, by number, with their attempts."""

    pending: Iterator[Task]
    retries: deque[tuple[Task, int]] = field(default_factory=deque)
    running: dict[int, tuple[Task, int]] = field(default_factory=dict)
    more: bool = True

    @property
    def left(self) -> bool:
        """Whether there may be another task to start."""
        return bool(self.retries) or self.more

    def next(self) -> Task | None:
        """Start the next task, and return it, or None if there is none."""
        task, tries = self.retries.popleft() if self.retries else (next(self.pending, None), 0)
        if task is None:
            self.more = False
            return None
        self.running[task.number] = task, tries + 1
        return task

    def finish(self, result: Rendered | Failed, folder: Folder, summary: Summary) -> None:
        """Save a result; retry a failed task, or record its failure."""
        task, tries = self.running.pop(result.number)
        if not isinstance(result, Failed):
            folder.save(task, result)
            summary.made += 1
            summary.working += result.seconds
        elif result.final or tries >= TRIES:
            folder.record_failure(task, result, tries)
            summary.failed[task.name] = result.reason
        else:
            self.retries.append((task, tries))
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
    """Run all tasks, and save each result as soon as it is there; `already` others were finished before.

    Tasks are taken one at a time, as workers become free. The engine is started for the first one, and
    closed at the end. `watch` is called after each, with the number that are running. Once `should_stop`
    returns True no more tasks are started, and the running ones are waited for.

    Errors: `LanternaError` if the folder cannot be written (a full disk); earlier results stay saved.
    """
    begun, summary = time.perf_counter(), Summary(already=already)
    queue = _Queue(iter(tasks))
    engine: Engine | None = None
    result: Rendered | Failed | None = None
    try:
        while True:
            while (engine is None or engine.free() > 0) and not should_stop() and (task := queue.next()):
                engine = engine or start()
                engine.submit(task)
            if result is not None:  # saved only now, so that its worker is busy meanwhile
                queue.finish(result, folder, summary)
                watch(summary, len(queue.running))
                result = None
                if queue.retries:
                    continue
            if engine is None or (not queue.running and (should_stop() or not queue.left)):
                summary.stopped = queue.left and should_stop()
                break
            if queue.running:
                result = engine.wait()
            else:
                time.sleep(0.05)  # all workers are being replaced
    finally:
        if engine is not None:
            engine.close()
    summary.seconds = time.perf_counter() - begun
    return summary
