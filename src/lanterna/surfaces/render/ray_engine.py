"""Run tasks with Ray: in actors, on this machine or on a cluster, each with its networks cached.

An actor requests as many cores as it has threads; if the cluster has GPUs it requests one, and there are as
many actors as GPUs. Tasks are handed only to actors that are running, never to one that waits for
resources: if a node is lost, the others continue, and another actor starts as soon as there is room for it.

Every call to the head of the cluster blocks while the head does not answer, for example after a cable is
pulled. So these calls are made in a separate thread, which also records when the head last answered.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import sys
import tempfile
import threading
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from lanterna.errors import LanternaError, MissingError
from lanterna.files import working_folder
from lanterna.surfaces.render.task import RESUME_HINT, SILENCE, Failed, Rendered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lanterna.surfaces.render.task import RenderConfig, Task


_START_TIMEOUT = 120  # seconds, for a worker to start
_TOKEN = secrets.token_hex(32)  # of the clusters that this process starts; Ray reads it only once
_MAX_TEMP_PATH = 15  # bytes of the temporary folder's path: its sockets add 88, and 103 is the limit


class RayEngine:
    """Actors on the cluster at `address`, or on one that is started on this machine for the run.

    A cluster that has not answered for `silence` seconds is given up.

    Errors: `MissingError` if Ray is not installed; `LanternaError` if the cluster cannot be reached.
    """

    name = "ray"

    def __init__(
        self,
        config: RenderConfig,
        workers: int | None,
        address: str | None,
        cores: int,
        silence: float = SILENCE,
    ) -> None:
        if find_spec("ray") is None:
            raise MissingError("--engine ray needs Ray: pip install 'lanterna[cluster]'")
        self._own = contextlib.ExitStack()
        settings = {"address": address} if address else self._own.enter_context(_private(cores))
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # or anybody who reaches it could run programs
        ray: Any = import_module("ray")
        self._ray, self.config, self.silence = ray, config, silence
        current = None if address else Path.cwd()
        try:
            # Ray's workers import from the folder it is started in, which may contain a stranger's files.
            empty = self._own.enter_context(working_folder("lanterna-work-"))
            with contextlib.chdir(empty):
                ray.init(log_to_driver=False, logging_level="error", **settings)
        except Exception as error:
            self._own.close()
            host = address or "this machine"
            raise LanternaError(f"no Ray cluster at {host}: {type(error).__name__}: {error}") from error
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0)) if config.device in ("auto", "cuda") else 0
        self._options: dict[str, Any] = {"num_cpus": config.threads, "num_gpus": 1 if gpus else 0}
        self.workers = workers or gpus or max(1, int(resources.get("CPU", 1)) // config.threads)
        self._config, self._current = ray.put(config), current
        self._starting: dict[Any, Any] = {}  # future of an actor's first answer -> the actor
        self._idle: list[Any] = []
        self._running: dict[Any, tuple[Any, int]] = {}  # future of a task -> its actor and number
        self._vacancies, self._dead = threading.Semaphore(self.workers), SimpleQueue[Any]()
        self._started, self._closed = SimpleQueue[tuple[Any, Any]](), threading.Event()
        self._last_answer = time.monotonic()
        self._head_thread = threading.Thread(target=self._call_head, name="ray", daemon=True)
        self._head_thread.start()
        self._last_worker = time.monotonic()  # when there was one last
        try:
            while not self.free():
                time.sleep(0.05)
        except LanternaError:
            self.close()
            raise

    def _call_head(self) -> None:
        """Start actors and kill dead ones, and record when the head answered, until the engine is closed."""
        while not self._closed.is_set():
            while not self._dead.empty():
                with contextlib.suppress(Exception):
                    self._ray.kill(self._dead.get())
            if self._vacancies.acquire(timeout=1):
                actor = self._ray.remote(_Actor).options(**self._options).remote(self._config, self._current)
                self._started.put((actor.ready.remote(), actor))
            with contextlib.suppress(Exception):
                self._ray.nodes()
                self._last_answer = time.monotonic()

    def _collect_actors(self) -> None:
        """Add the actors that have answered to the idle ones."""
        while not self._started.empty():
            answer, actor = self._started.get()
            self._starting[answer] = actor
        if not self._starting:
            return
        ready, _ = self._ray.wait(list(self._starting), timeout=0)
        for answer in ready:
            actor = self._starting.pop(answer)
            try:
                self._ray.get(answer)
                self._idle.append(actor)
            except self._ray.exceptions.RayError:
                self._vacancies.release()

    def free(self) -> int:
        """Return the number of idle actors. Errors: `LanternaError` if there is none for too long."""
        self._collect_actors()
        now = time.monotonic()
        if self._idle or self._running:
            self._last_worker = now
        elif now - self._last_worker > _START_TIMEOUT or self._silent():
            raise LanternaError(
                f"no Ray worker has answered for {now - self._last_worker:.0f} seconds: is the cluster full?"
            )
        return len(self._idle)

    def submit(self, task: Task) -> None:
        """Hand a task to an actor."""
        actor = self._idle.pop()
        self._running[actor.render.remote(task)] = actor, task.number

    def wait(self) -> Rendered | Failed:
        """Wait for the next result; a lost actor has failed its task. Errors: `LanternaError` if all are."""
        while True:
            done, _ = self._ray.wait(list(self._running), timeout=1.0)
            if not done:
                if self._silent():
                    raise LanternaError(
                        f"the Ray cluster has not answered for {self.silence:g} seconds: {RESUME_HINT}"
                    )
                continue
            actor, number = self._running.pop(done[0])
            try:
                result: Rendered | Failed = self._ray.get(done[0], timeout=self.silence)
            except self._ray.exceptions.RayError as error:
                self._dead.put(actor)
                self._vacancies.release()
                return Failed(number, f"its worker died ({type(error).__name__})")
            self._idle.append(actor)
            return result

    def close(self) -> None:
        """Stop the actors, and the cluster if it was started for this run."""
        self._closed.set()
        if self._silent():  # Ray would wait for the head
            atexit.register(_exit_immediately)
            return
        self._head_thread.join(5)
        while not self._started.empty():
            self._idle.append(self._started.get()[1])
        for actor in [*self._idle, *self._starting.values(), *(actor for actor, _ in self._running.values())]:
            with contextlib.suppress(Exception):
                self._ray.kill(actor)
        self._ray.shutdown()
        self._own.close()

    def _silent(self) -> bool:
        return time.monotonic() - self._last_answer > self.silence


@contextlib.contextmanager
def _private(cores: int) -> Iterator[dict[str, Any]]:
    """Yield the settings of a private cluster on this machine. Ray must not be imported yet.

    It listens only on the loopback address, and requires a token, which is in no file. Its files are in a
    private folder: Ray makes its own folder readable to everybody, so that one is inside ours.
    """
    os.environ.update(
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=_TOKEN,
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",  # on Linux too: with clusters it listens on every network
        RAY_USAGE_STATS_ENABLED="0",  # or it would send usage reports
    )
    parent = Path(tempfile.gettempdir())
    if os.name == "posix" and len(os.fsencode(parent)) > _MAX_TEMP_PATH:
        parent = Path("/tmp")
    with working_folder("lanterna-ray-", parent) as folder:
        yield {
            "address": "local", "num_cpus": cores, "include_dashboard": False, "_temp_dir": str(folder / "r")
        }  # fmt: skip


def _exit_immediately() -> None:
    """Exit without Ray's own shutdown, which waits for the head or crashes the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


class _Actor:
    """An actor with a renderer, whose networks are cached."""

    def __init__(self, config: RenderConfig, current: Path | None) -> None:
        from lanterna.surfaces.render.renderer import Renderer

        if current is not None:  # the path of the user's own network may be relative to it
            os.chdir(current)
        self._render = Renderer(config)

    def ready(self) -> bool:
        """Return once the actor is running."""
        return True

    def render(self, task: Task) -> Rendered | Failed:
        """Render a task."""
        return self._render(task)
