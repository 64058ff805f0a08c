"""A child process with a time limit: it is killed if a call takes too long, wherever it hangs."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, TypeVar

from lanterna.errors import LanternaError, is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.context import ForkServerContext, SpawnContext

_Result = TypeVar("_Result")
NO_MEMORY = "there is not enough memory for this: try a smaller size"


def process_context() -> ForkServerContext | SpawnContext:
    """Return a context that forks processes from a server that has already imported torch.

    On Linux only: elsewhere the libraries that torch uses may not survive a fork.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["lanterna.surfaces.studio.techniques", "lanterna.techniques.read.technique"]
    )
    return context


@contextlib.contextmanager
def started_without_interrupts() -> Iterator[None]:
    """Have the processes that start in the block never get Ctrl-C, not even while they import torch.

    Here it arrives after the block.
    """
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # first, as it would end what follows
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class IsolatedProcess:
    """A process that runs one call after another. It starts with the first call.

    `seconds` is the time limit of a call. It has one torch thread, or as many as a job if `as_a_job`.
    """

    def __init__(self, seconds: float, *, as_a_job: bool = False) -> None:
        self.seconds, self._as_a_job = seconds, as_a_job
        self._executor = self._new_executor()

    def _new_executor(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, process_context(), _initialise, (self._as_a_job,))

    def submit(self, function: Callable[[], object]) -> None:
        """Run a function whose result nobody waits for."""
        # A dead process is restarted by the next `run`.
        with contextlib.suppress(BrokenProcessPool), started_without_interrupts():
            self._executor.submit(function)

    def close(self) -> None:
        """Kill the process, even in the middle of a call."""
        executor = self._executor
        running, manager = list(executor._processes.values()), executor._executor_manager_thread
        executor.shutdown(wait=False, cancel_futures=True)
        for process in running:
            process.kill()
        if manager is not None:
            # Otherwise Python, when it exits, may write to a pipe that this thread closes.
            manager.join(1)  # type: ignore[attr-defined]  # a thread

    async def run(self, function: Callable[..., _Result], *args: object) -> _Result:
        """Return `function(*args)`, or raise what it raises.

        Errors: `BrokenProcessPool` if the process died or took too long; the next call starts a new one.
        `LanternaError` if memory ran out.
        """
        loop, executor = asyncio.get_running_loop(), self._executor
        try:
            with started_without_interrupts():
                result = loop.run_in_executor(executor, _with_time_limit, self.seconds, function, *args)
            return await result
        except BrokenProcessPool:
            if executor is self._executor:
                self._executor = self._new_executor()
            raise


# In the child process.


def _initialise(as_a_job: bool) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this process
    threading.Thread(target=_exit_with_the_server, daemon=True).start()
    if as_a_job:
        return
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # read by torch if it is imported later
    if torch := sys.modules.get("torch"):  # already imported before the fork
        torch.set_num_threads(1)


def _exit_with_the_server() -> None:
    server = multiprocessing.parent_process()
    assert server is not None
    server.join()
    os._exit(0)


def _with_time_limit(seconds: float, function: Callable[..., _Result], *args: object) -> _Result:
    """Call the function, or kill this process: the watchdog does not need the GIL, unlike a Python timer."""
    with open(os.devnull, "w", encoding="ascii") as devnull:  # noqa: PTH123 (not a real path)
        faulthandler.dump_traceback_later(seconds, exit=True, file=devnull)
        try:
            return function(*args)
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise LanternaError(NO_MEMORY) from None
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()
