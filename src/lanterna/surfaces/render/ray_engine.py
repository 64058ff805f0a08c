"""Workers of Ray: actors, on this machine or on all of a cluster's, each of which keeps its network.

An actor asks for as many cores as it has threads; where the cluster has GPUs it asks for one of them, and
there are as many actors as GPUs. A task is handed to an actor that has answered already, never to one that
waits for a place: where a node is gone, the others go on, and another comes as soon as there is room for it.

Whatever asks the head of the cluster blocks for as long as the head is not heard, a pulled cable included. So
that is done in a thread of its own, which also says when it was last heard.
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


_PATIENCE = 120  # seconds, for a worker to begin
_TOKEN = secrets.token_hex(32)  # for the clusters that this process starts; Ray reads it once
_ROOM = 15  # bytes, for the path of a temporary folder: the sockets in it add 88, and may have 103


class RayEngine:
    """Actors on the cluster at `address`, or on one that is started here for as long as the run takes.

    A cluster that has not been heard for `silence` seconds is taken to be gone.

    Errors: `MissingError` where Ray is not installed; `LanternaError` where the cluster cannot be reached.
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
            raise MissingError("the engine ray needs Ray: pip install 'lanterna[cluster]' gets it")
        self._own = contextlib.ExitStack()
        settings = {"address": address} if address else self._own.enter_context(_private(cores))
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # or anybody who reaches it could run any program
        ray: Any = import_module("ray")
        self._ray, self.config, self.silence = ray, config, silence
        here = None if address else Path.cwd()
        try:
            # Ray's workers import from the folder that it is started in, in which a stranger's files may lie.
            nowhere = self._own.enter_context(working_folder("lanterna-work-"))
            with contextlib.chdir(nowhere):
                ray.init(log_to_driver=False, logging_level="error", **settings)
        except Exception as error:
            self._own.close()
            where = address or "this machine"
            raise LanternaError(f"no Ray cluster at {where}: {type(error).__name__}: {error}") from error
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0)) if config.device in ("auto", "cuda") else 0
        self._options: dict[str, Any] = {"num_cpus": config.threads, "num_gpus": 1 if gpus else 0}
        self.workers = workers or gpus or max(1, int(resources.get("CPU", 1)) // config.threads)
        self._kit, self._here = ray.put(config), here
        self._coming: dict[Any, Any] = {}  # the first answer of an actor -> the actor
        self._idle: list[Any] = []
        self._running: dict[Any, tuple[Any, int]] = {}  # a task's answer -> its actor and number
        self._wanted, self._gone = threading.Semaphore(self.workers), SimpleQueue[Any]()
        self._started, self._ended = SimpleQueue[tuple[Any, Any]](), threading.Event()
        self._heard = time.monotonic()
        self._asking = threading.Thread(target=self._ask_the_head, name="ray", daemon=True)
        self._asking.start()
        self._manned = time.monotonic()  # when there was a worker last
        try:
            while not self.free():
                time.sleep(0.05)
        except LanternaError:
            self.close()
            raise

    def _ask_the_head(self) -> None:
        """Start the actors that are wanted, end those that are not, and note that the head was heard."""
        while not self._ended.is_set():
            while not self._gone.empty():
                with contextlib.suppress(Exception):
                    self._ray.kill(self._gone.get())
            if self._wanted.acquire(timeout=1):
                actor = self._ray.remote(_Actor).options(**self._options).remote(self._kit, self._here)
                self._started.put((actor.ready.remote(), actor))
            with contextlib.suppress(Exception):
                self._ray.nodes()
                self._heard = time.monotonic()

    def _welcome(self) -> None:
        """Take in the actors that have answered."""
        while not self._started.empty():
            answer, actor = self._started.get()
            self._coming[answer] = actor
        if not self._coming:
            return
        ready, _ = self._ray.wait(list(self._coming), timeout=0)
        for answer in ready:
            actor = self._coming.pop(answer)
            try:
                self._ray.get(answer)
                self._idle.append(actor)
            except self._ray.exceptions.RayError:
                self._wanted.release()

    def free(self) -> int:
        """How many actors have nothing to do. Errors: `LanternaError` where there have been none for long."""
        self._welcome()
        now = time.monotonic()
        if self._idle or self._running:
            self._manned = now
        elif now - self._manned > _PATIENCE or self._silent():
            raise LanternaError(
                f"no worker of the Ray cluster has answered for {now - self._manned:.0f} seconds: is it full?"
            )
        return len(self._idle)

    def submit(self, task: Task) -> None:
        """Hand a task to an actor."""
        actor = self._idle.pop()
        self._running[actor.make.remote(task)] = actor, task.number

    def wait(self) -> Rendered | Failed:
        """What the next actor made; or that it, or its node, is gone. Errors: `LanternaError`: all are."""
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
                found: Rendered | Failed = self._ray.get(done[0], timeout=self.silence)
            except self._ray.exceptions.RayError as error:
                self._gone.put(actor)
                self._wanted.release()
                return Failed(number, f"its worker ended ({type(error).__name__})")
            self._idle.append(actor)
            return found

    def close(self) -> None:
        """End the actors, and the cluster where it was started for this run."""
        self._ended.set()
        if self._silent():  # it would be waited for
            atexit.register(_leave)
            return
        self._asking.join(5)
        while not self._started.empty():
            self._idle.append(self._started.get()[1])
        for actor in [*self._idle, *self._coming.values(), *(actor for actor, _ in self._running.values())]:
            with contextlib.suppress(Exception):
                self._ray.kill(actor)
        self._ray.shutdown()
        self._own.close()

    def _silent(self) -> bool:
        return time.monotonic() - self._heard > self.silence


@contextlib.contextmanager
def _private(cores: int) -> Iterator[dict[str, Any]]:
    """How to start a cluster on this machine that no other user of it can reach; call it before Ray is here.

    It listens at the loopback address alone, and asks for a token, which is in no file. What it writes is in
    a private folder. Ray opens the folder that it is given to everybody: that one is inside of ours.
    """
    os.environ.update(
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=_TOKEN,
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",  # elsewhere too: with clusters it listens on every network
        RAY_USAGE_STATS_ENABLED="0",  # or it would report to its makers
    )
    within = Path(tempfile.gettempdir())
    if os.name == "posix" and len(os.fsencode(within)) > _ROOM:
        within = Path("/tmp")
    with working_folder("lanterna-ray-", within) as folder:
        yield {
            "address": "local", "num_cpus": cores, "include_dashboard": False, "_temp_dir": str(folder / "r")
        }  # fmt: skip


def _leave() -> None:
    """End this process at once: Ray's own end waits for the head first, or takes the process down."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


class _Actor:
    """Keeps a maker, and so its network."""

    def __init__(self, config: RenderConfig, here: Path | None) -> None:
        from lanterna.surfaces.render.renderer import Renderer

        if here is not None:  # a network of the person's own is named as seen from there
            os.chdir(here)
        self._make = Renderer(config)

    def ready(self) -> bool:
        """Answers once it is there."""
        return True

    def make(self, task: Task) -> Rendered | Failed:
        """Make a task."""
        return self._make(task)
