"""Workers on this machine: processes, each with its share of the cores. One that dies is replaced."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from lanterna.surfaces.render.task import Failed, Rendered

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from lanterna.surfaces.render.task import RenderConfig, Task


class LocalEngine:
    """`workers` processes of `kit.threads` threads each."""

    name = "local"

    def __init__(self, config: RenderConfig, workers: int) -> None:
        self.config, self.workers = config, workers
        self._all = [_Worker(config) for _ in range(workers)]

    def free(self) -> int:
        """How many workers have nothing to do."""
        return sum(worker.task is None for worker in self._all)

    def submit(self, task: Task) -> None:
        """Hand a task to a worker that has none."""
        worker = next(each for each in self._all if each.task is None)
        worker.task = task
        with contextlib.suppress(OSError):  # it is dead: `wait` finds that out
            worker.pipe.send(task)

    def wait(self) -> Rendered | Failed:
        """What the next worker made; or that it died over its task."""
        while True:
            busy = {worker.pipe: worker for worker in self._all if worker.task}
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                worker = busy[pipe]
                task, worker.task = worker.task, None
                assert task is not None
                try:
                    found: Rendered | Failed = pipe.recv()
                except (EOFError, OSError):
                    self._all[self._all.index(worker)] = _Worker(self.config)
                    return Failed(task.number, f"its worker ended ({worker.how_it_ended()})")
                return found

    def close(self) -> None:
        """End all workers."""
        for worker in self._all:
            worker.end()
        for worker in self._all:
            worker.ended()


class _Worker:
    def __init__(self, config: RenderConfig) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, config), daemon=True)
        # Libraries count the cores when they are loaded; a worker has a few of them.
        before = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = str(config.threads)
        try:
            self.process.start()
        finally:
            if before is None:
                del os.environ["OMP_NUM_THREADS"]
            else:
                os.environ["OMP_NUM_THREADS"] = before
        theirs.close()  # or its end would not be seen
        self.task: Task | None = None

    def how_it_ended(self) -> str:
        """The signal or exit code of a process that is gone."""
        self.process.join(5)
        code = self.process.exitcode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-code).name
        return f"exit code {code}"

    def end(self) -> None:
        """Tell the process to end, whatever it does."""
        self.pipe.close()
        self.process.terminate()

    def ended(self) -> None:
        """Wait until it has, and no longer than it takes to tidy up."""
        self.process.join(2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _work(pipe: Connection, config: RenderConfig) -> None:
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever hands tasks out
    from lanterna.surfaces.render.renderer import Renderer

    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # and not without tidying up
    maker = Renderer(config)
    try:
        with contextlib.suppress(EOFError, OSError, SystemExit):
            while True:
                pipe.send(maker(pipe.recv()))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        maker.close()
    os._exit(0)  # there is nothing else to tidy up, and libraries take a third of a second to end
