"""Run tasks in processes on this machine, each with its share of the cores. One that dies is replaced."""

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
    """`workers` processes with `config.threads` threads each."""

    name = "local"

    def __init__(self, config: RenderConfig, workers: int) -> None:
        self.config, self.workers = config, workers
        self._workers = [_Worker(config) for _ in range(workers)]

    def free(self) -> int:
        """Return the number of idle workers."""
        return sum(worker.task is None for worker in self._workers)

    def submit(self, task: Task) -> None:
        """Hand a task to an idle worker."""
        worker = next(each for each in self._workers if each.task is None)
        worker.task = task
        with contextlib.suppress(OSError):  # it is dead, which `wait` will notice
            worker.pipe.send(task)

    def wait(self) -> Rendered | Failed:
        """Wait for the next result; a worker that died has failed its task."""
        while True:
            busy = {worker.pipe: worker for worker in self._workers if worker.task}
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                worker = busy[pipe]
                task, worker.task = worker.task, None
                assert task is not None
                try:
                    result: Rendered | Failed = pipe.recv()
                except (EOFError, OSError):
                    self._workers[self._workers.index(worker)] = _Worker(self.config)
                    return Failed(task.number, f"its worker died ({worker.describe_exit()})")
                return result

    def close(self) -> None:
        """Stop all workers."""
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.join()


class _Worker:
    def __init__(self, config: RenderConfig) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, config), daemon=True)
        # Libraries count the cores when they are imported, but a worker has only a few of them.
        before = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = str(config.threads)
        try:
            self.process.start()
        finally:
            if before is None:
                del os.environ["OMP_NUM_THREADS"]
            else:
                os.environ["OMP_NUM_THREADS"] = before
        theirs.close()  # or the death of the process would not be noticed
        self.task: Task | None = None

    def describe_exit(self) -> str:
        """Return the signal or exit code of a dead process."""
        self.process.join(5)
        code = self.process.exitcode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-code).name
        return f"exit code {code}"

    def terminate(self) -> None:
        """Terminate the process, even if it is busy."""
        self.pipe.close()
        self.process.terminate()

    def join(self) -> None:
        """Wait a moment for the process to clean up, then kill it."""
        self.process.join(2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _work(pipe: Connection, config: RenderConfig) -> None:
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the main process
    from lanterna.surfaces.render.renderer import Renderer

    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that `finally` runs
    render = Renderer(config)
    try:
        with contextlib.suppress(EOFError, OSError, SystemExit):
            while True:
                pipe.send(render(pipe.recv()))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        render.close()
    os._exit(0)  # there is nothing else to tidy up, and libraries take a third of a second to end
