"""Run tasks with Dask: on machines of any system that run `dask worker`."""

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


_TIMEOUT = 10  # seconds, to connect to a scheduler
_MIN_SILENCE = 11  # seconds: the shortest timeout that Dask accepts, as it probes ten times


class DaskEngine:
    """The workers of the scheduler at `address`, or processes that are started on this machine for the run.

    A scheduler that has not answered for `silence` seconds is given up.

    Errors: `MissingError` if a package is not installed; `LanternaError` if the scheduler cannot be reached.
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
                f"--engine dask needs {' and '.join(missing)}: pip install 'lanterna[cluster]'"
            )
        dask: Any = import_module("dask")
        distributed: Any = import_module("distributed")
        self._dask = distributed
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # we report what matters
        self._cluster: Any = None
        self._own = contextlib.ExitStack()
        # Report a dead worker immediately, as the scheduler counts the attempts.
        dask.config.set({"distributed.scheduler.allowed-failures": 0})
        dask.config.set({"distributed.comm.timeouts.tcp": f"{max(silence, _MIN_SILENCE)}s"})
        try:
            if not address:
                self._cluster = self._own.enter_context(_private(workers or max(1, cores // config.threads)))
            self._client = distributed.Client(self._cluster or address, timeout=_TIMEOUT)
            self._client.wait_for_workers(1, timeout=60)
        except (OSError, TimeoutError, ValueError) as error:
            self._own.close()
            host = address or "this machine"
            raise LanternaError(f"no Dask workers at {host}: {type(error).__name__}: {error}") from error
        available = len(self._client.scheduler_info(n_workers=-1)["workers"])
        self.workers = min(workers or available, available)
        self._config = config
        self._scattered: Any = None
        self._running: dict[Any, int] = {}

    def free(self) -> int:
        """Return the number of idle workers: each gets one task at a time, so that none waits in a queue."""
        return self.workers - len(self._running)

    def submit(self, task: Task) -> None:
        """Hand a task to Dask, which chooses a worker. Errors: `LanternaError` if Dask is gone."""
        try:
            if self._scattered is None:
                self._client.wait_for_workers(1, timeout=60)
                self._scattered = self._client.scatter(self._config, broadcast=True, hash=False)
            future = self._client.submit(render, self._scattered, task, pure=False, retries=0)
        except Exception as error:
            raise LanternaError(
                f"Dask or its last worker is gone: {RESUME_HINT} ({one_line(str(error))})"
            ) from error
        self._running[future] = task.number

    def wait(self) -> Rendered | Failed:
        """Wait for the next result; a worker that died has failed its task."""
        while not (done := [future for future in self._running if future.done()]):
            with contextlib.suppress(Exception):  # a task that was lost with its worker is done too
                self._dask.wait(list(self._running), timeout=5, return_when="FIRST_COMPLETED")
        future = done[0]
        number = self._running.pop(future)
        try:
            result: Rendered | Failed = future.result()
        except Exception as error:
            self._scattered = None  # it may be gone with the worker
            return Failed(number, f"its worker died ({type(error).__name__})")
        finally:
            future.release()
        return result

    def close(self) -> None:
        """Disconnect from the scheduler, and stop the processes of this run."""
        with contextlib.suppress(Exception):
            self._client.cancel(list(self._running), force=True)
        self._client.close()
        self._own.close()


@contextlib.contextmanager
def _private(workers: int) -> Iterator[Any]:
    """Start a cluster on this machine that no other user of it can reach.

    Connections need a certificate, which exists only in the memory of its processes; nothing is served
    without one, browsers included. Its files are in a private folder.
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
    """Set a worker of this run up: Ctrl-C is handled by the main process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


_renderers: dict[RenderConfig, Renderer] = {}
_lock = threading.Lock()


def render(config: RenderConfig, task: Task) -> Rendered | Failed:
    """Render a task in a Dask worker, with the process's cached renderer."""
    from lanterna.surfaces.render.renderer import Renderer

    with _lock:
        if config not in _renderers:
            for old in _renderers.values():
                old.close()
            _renderers.clear()
            _renderers[config] = Renderer(config)
        return _renderers[config](task)
