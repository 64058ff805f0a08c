"""A process beside the server, which is ended where what it does takes too long, whatever it hangs in."""

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
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerContext, SpawnContext

_Answer = TypeVar("_Answer")


def process_context() -> ForkServerContext | SpawnContext:
    """Start processes from one that has imported torch already, so that none of them has to.

    On Linux only: elsewhere the libraries that torch uses may not survive a fork.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["lanterna.surfaces.studio.techniques", "lanterna.techniques.read.technique"]
    )
    return context


class Apart:
    """A process that does one thing after another, with one of torch's threads. It starts with the first.

    `seconds` is how long one thing may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._process = _started()

    def begin(self, does: Callable[[], object]) -> None:
        """Do something that nobody waits for."""
        with contextlib.suppress(BrokenProcessPool):  # one that has ended begins anew with what is asked next
            self._process.submit(does)

    def close(self) -> None:
        """End the process, whatever it does."""
        running = list(self._process._processes.values())
        self._process.shutdown(wait=False, cancel_futures=True)
        for each in running:
            each.kill()

    async def do(self, does: Callable[..., _Answer], *given: object) -> _Answer:
        """What `does` gives for what is `given`, or raises.

        Errors: `BrokenProcessPool` where the process ended over it, or took too long; the next begins anew.
        """
        loop, process = asyncio.get_running_loop(), self._process
        try:
            return await loop.run_in_executor(process, _in_time, self.seconds, does, *given)
        except BrokenProcessPool:
            if process is self._process:
                self._process = _started()
            raise


def _started() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, process_context(), _begin)


# In the process.


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this one
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # torch's, which is imported with what needs it
    if torch := sys.modules.get("torch"):  # or was before this process was forked
        torch.set_num_threads(1)


def _end_with_the_server() -> None:
    server = multiprocessing.parent_process()
    assert server is not None
    server.join()
    os._exit(0)


def _in_time(seconds: float, does: Callable[..., _Answer], *given: object) -> _Answer:
    """Do it, or end the process: its watch needs none of Python's turns, which a decoder may not give."""
    with open(os.devnull, "w", encoding="ascii") as nowhere:  # noqa: PTH123 (it is no path)
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            return does(*given)
        finally:
            faulthandler.cancel_dump_traceback_later()
