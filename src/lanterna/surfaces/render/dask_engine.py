"""Workers of Dask: for the machines at home, of whatever system, that run `dask worker`."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lanterna.errors import LanternaError, MissingError, one_line
from lanterna.files import working_folder
from lanterna.surfaces.render.task import RESUME_HINT, SILENCE, Failed, Rendered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lanterna.surfaces.render.renderer import Renderer
    from lanterna.surfaces.render.task import RenderConfig, Task


_PATIENCE = 10  # seconds, for a scheduler that does not answer
_LEAST_SILENCE = 11  # seconds: Dask asks ten times, and takes no less


class DaskEngine:
    """The workers of the scheduler at `address`, or processes that are started here for this run.

    A scheduler that has not been heard for `silence` seconds is taken to be gone.

    Errors: `MissingError` where a package that it needs is not installed; `LanternaError` where the scheduler
    cannot be reached.
    """

    name = "dask"

    def __init__(
        self,
        config: RenderConfig,
        workers: int | None,
        address: str | None,
        cores: int,
        silence: float = SILENCE,
    ) -> None:
        needed = ["distributed"] if address else ["distributed", "cryptography"]
        if missing := [name for name in needed if find_spec(name) is None]:
            raise MissingError(
                f"the engine dask needs {' and '.join(missing)}: pip install 'lanterna[cluster]' gets it"
            )
        dask: Any = import_module("dask")
        distributed: Any = import_module("distributed")
        self._dask = distributed
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters of it is told by us
        self._cluster: Any = None
        self._own = contextlib.ExitStack()
        # A worker that dies over a task is told at once: we count the tries.
        dask.config.set({"distributed.scheduler.allowed-failures": 0})
        dask.config.set({"distributed.comm.timeouts.tcp": f"{max(silence, _LEAST_SILENCE)}s"})
        try:
            if not address:
                self._cluster = self._own.enter_context(_private(workers or max(1, cores // config.threads)))
            self._client = distributed.Client(self._cluster or address, timeout=_PATIENCE)
            self._client.wait_for_workers(1, timeout=60)
        except (OSError, TimeoutError, ValueError) as error:
            self._own.close()
            where = address or "this machine"
            raise LanternaError(f"no Dask workers at {where}: {type(error).__name__}: {error}") from error
        there = len(self._client.scheduler_info(n_workers=-1)["workers"])
        self.workers = min(workers or there, there)
        self._kit = config
        self._scattered: Any = None
        self._running: dict[Any, int] = {}

    def free(self) -> int:
        """How many tasks can be handed out: two for each worker would wait, so one."""
        return self.workers - len(self._running)

    def submit(self, task: Task) -> None:
        """Hand a task to Dask, which chooses a worker. Errors: `LanternaError` where Dask is gone."""
        try:
            if self._scattered is None:
                self._client.wait_for_workers(1, timeout=60)
                self._scattered = self._client.scatter(self._kit, broadcast=True, hash=False)
            future = self._client.submit(make, self._scattered, task, pure=False, retries=0)
        except Exception as error:
            raise LanternaError(
                f"Dask, or the last of its workers, is gone: {RESUME_HINT} ({one_line(str(error))})"
            ) from error
        self._running[future] = task.number

    def wait(self) -> Rendered | Failed:
        """What the next worker made; or that it died over its task."""
        while not (done := [future for future in self._running if future.done()]):
            with contextlib.suppress(Exception):  # one that is lost with its worker is done as well
                self._dask.wait(list(self._running), timeout=5, return_when="FIRST_COMPLETED")
        future = done[0]
        number = self._running.pop(future)
        try:
            found: Rendered | Failed = future.result()
        except Exception as error:
            self._scattered = None  # it may be gone with the worker
            return Failed(number, f"its worker ended ({type(error).__name__})")
        finally:
            future.release()
        return found

    def close(self) -> None:
        """Leave the scheduler, and end what was started for this run."""
        with contextlib.suppress(Exception):
            self._client.cancel(list(self._running), force=True)
        self._client.close()
        self._own.close()


@contextlib.contextmanager
def _private(workers: int) -> Iterator[Any]:
    """A cluster on this machine that no other user of it can reach.

    A certificate that is in the memory of its processes alone is asked of whoever speaks to one of them. What
    they answer without one, to browsers, is nothing. Their files are in a folder of their own.
    """
    dask: Any = import_module("dask")
    distributed: Any = import_module("distributed")
    with working_folder("lanterna-dask-") as folder:
        dask.config.set({"temporary-directory": str(folder)})
        dask.config.set({f"distributed.{role}.http.routes": [] for role in ("scheduler", "worker")})
        dask.config.set({"distributed.worker.preload": [__name__]})
        with distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1",
            security=distributed.Security.temporary(), silence_logs=logging.CRITICAL,
            dashboard_address="127.0.0.1:0", scheduler_kwargs={"dashboard": False},
        ) as cluster:  # fmt: skip
            yield cluster


def dask_setup(_: object) -> None:
    """Begin a worker that is started for this run: Ctrl-C is for whoever hands tasks out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


_makers: dict[RenderConfig, Renderer] = {}
_one_at_a_time = threading.Lock()


def make(config: RenderConfig, task: Task) -> Rendered | Failed:
    """Make a task in a worker of Dask, with the maker that this process keeps."""
    from lanterna.surfaces.render.renderer import Renderer

    with _one_at_a_time:
        if config not in _makers:
            for old in _makers.values():
                old.close()
            _makers.clear()
            _makers[config] = Renderer(config)
        return _makers[config](task)
