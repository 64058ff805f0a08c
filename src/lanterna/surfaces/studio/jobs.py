"""The queue: runs one job at a time in the worker, and restarts the worker if it crashes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

from lanterna.errors import UsageError
from lanterna.surfaces.studio import worker
from lanterna.surfaces.studio.isolated import process_context, started_without_interrupts
from lanterna.surfaces.studio.names import file_name, without_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from lanterna.surfaces.studio.store import Store

_MAX_ATTEMPTS = 2
_MAX_RESTART_DELAY = 60.0  # seconds between two attempts to start a worker that fails to start
_DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_DISK_FULL_RETRY = 1.0  # seconds until a write is retried while the disk is full
_SHUTDOWN_SECONDS = 10.0  # for the worker to write its checkpoint when the studio closes
STOPPING = "stopping"  # the note of a job that is about to end and save its picture
FINISHED = ("done", "stopped", "failed")

Message = dict[str, Any]


class Queue:
    """The jobs of a store, run in order. All methods run in the event loop's thread.

    `add_results` moves a job's results into the gallery and returns the id of the first picture.
    """

    def __init__(
        self, store: Store, add_results: Callable[[dict[str, Any], list[Message]], str | None]
    ) -> None:
        self.store, self.add_results = store, add_results
        self.active: str | None = None
        self._ready = False  # whether the worker has started up
        self._failed_starts = 0  # in a row
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._started: float | None = None  # when the active job did, unless it was interrupted since
        self._closing = False
        self._loop = asyncio.get_running_loop()

    def open(self) -> None:
        """Resume the jobs that were interrupted when the studio ended."""
        for job_id in reversed(self.store.interrupted()):
            self.store.to_front(job_id)
        self.start_next()

    def warm_up(self) -> None:
        """Start the worker ahead of the first job."""
        if self._process is None and not self._closing:
            self._start_worker()

    async def close(self) -> None:
        """End the worker. Its job saves a checkpoint and resumes when the studio is opened again."""
        self._closing = True
        self._send(do="quit")
        process = self._process
        if process is not None:
            await asyncio.to_thread(process.join, _SHUTDOWN_SECONDS)
            if process.is_alive():
                process.kill()

    def start_next(self) -> None:
        """Start the next job if the worker is free; a paused job gives up the worker for it."""
        job = self.store.next_job()
        if job is None or self._closing:
            return
        self.warm_up()
        if self._pipe is None:
            return
        if self.active is not None:
            if self.store.job(self.active)["state"] == "paused":
                self._send(do="suspend", job=self.active)
            return
        job_id = job["id"]
        begun_with = job["begun_with"] or job["settings"]
        try:
            files = self._input_files(job)
        except KeyError:
            self._finish(job_id, "failed", error="one of its input pictures has been deleted")
            self.start_next()
            return
        self.active = job_id
        self._started = None if job["step"] else time.monotonic()
        stopping = job["note"] == STOPPING
        note = STOPPING if stopping else "starting"
        self.store.change_job(job_id, state="running", begun_with=begun_with, error=None, note=note)
        changed = job["settings"] if job["settings"] != begun_with else None
        self._send(
            do="run", job=job_id, kind=job["kind"], settings=begun_with, changed=changed, files=files,
            title=job["title"], folder=str(self.store.job_folder(job_id)),
        )  # fmt: skip
        if stopping:
            self._send(do="stop", job=job_id)

    # Requests.

    def change_settings(self, job_id: str, changes: Mapping[str, Any]) -> None:
        """Change some of a job's settings to validated values; a running job applies them at its next step.

        Errors: `UsageError` if the job has ended.
        """
        job = self.store.job(job_id)
        if job["state"] in FINISHED:
            raise UsageError(f"this job is {job['state']}: start another with these settings")
        settings = {**job["settings"], **changes}
        self.store.change_job(job_id, settings=settings, error=None)
        if job_id == self.active:
            self._send(do="change", job=job_id, settings=settings)

    def pause(self, job_id: str) -> None:
        """Pause a job; the queue continues with the next one."""
        state = self.store.job(job_id)["state"]
        if state not in ("running", "queued"):
            raise UsageError(f"this job is {state}: only a queued or running job can be paused")
        self.store.change_job(job_id, state="paused", seconds_left=None)
        if job_id == self.active:
            self._started = None
            self._send(do="pause", job=job_id)
        self.start_next()

    def resume(self, job_id: str) -> None:
        """Resume a paused job, ahead of the queue."""
        state = self.store.job(job_id)["state"]
        if state != "paused":
            raise UsageError(f"this job is {state}: only a paused job can be resumed")
        if job_id == self.active:
            self.store.change_job(job_id, state="running")
            self._send(do="resume", job=job_id)
        else:
            self.store.to_front(job_id)
            self.start_next()

    def stop(self, job_id: str) -> None:
        """Stop a job and save the picture so far, if it has one."""
        job = self.store.job(job_id)
        if job["state"] in FINISHED:
            raise UsageError(f"this job is already {job['state']}")
        if job_id == self.active:
            self.store.change_job(job_id, note=STOPPING)
            self._send(do="stop", job=job_id)
        elif (self.store.job_folder(job_id) / "checkpoint.pt").exists():
            self.store.change_job(job_id, note=STOPPING)  # resumed for one step to render its picture
            self.store.to_front(job_id)
            self.start_next()
        else:
            self._finish(job_id, "stopped")

    def go_back(self, job_id: str, step: int) -> None:
        """Rewind a job to an earlier step, and pause it there."""
        job = self.store.job(job_id)
        if job_id != self.active or job["state"] not in ("running", "paused"):
            raise UsageError(f"this job is {job['state']}: only a running or paused job can go back")
        if step not in job["history"]:
            raise UsageError(
                f"step {step} is not saved: expected one of {', '.join(map(str, job['history']))}"
            )
        self._started = None
        self.store.change_job(job_id, state="paused", seconds_left=None)
        self._send(do="rewind", job=job_id, step=step)

    def remove(self, job_id: str) -> None:
        """Remove a finished job from the list."""
        state = self.store.job(job_id)["state"]
        if state not in FINISHED:
            raise UsageError(f"this job is {state}: stop it first")
        self.store.remove_job(job_id)

    # Messages from the worker.

    def _receive(self, message: Message) -> None:
        """Handle a message. While the disk is full, progress is dropped, and the end of a job is retried."""
        active = self.active
        try:
            self._handle(message)
        except (sqlite3.OperationalError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _DISK_FULL:
                raise
            if "end" in message:
                self.active = active
                self._loop.call_later(_DISK_FULL_RETRY, self._receive, message)

    def _handle(self, message: Message) -> None:
        if "ready" in message:
            self._ready, self._failed_starts = True, 0
            return
        job_id = message["job"]
        if job_id != self.active:
            return
        if "end" in message:
            self._handle_end(job_id, message)
        elif "refused" in message:
            self.store.change_job(
                job_id, settings=message["settings"], error=without_folders(message["refused"])
            )
        elif "history" in message:
            self.store.change_job(job_id, history=message["history"])
        elif "rewound" in message:
            preview = self.store.job(job_id)["preview"] + 1
            self.store.remove_numbers(job_id, message["rewound"])
            self.store.change_job(job_id, step=message["rewound"], preview=preview, numbers={})
        elif "note" in message:
            if self._started is not None:  # what is fetched first does not count
                self._started = time.monotonic()
            self.store.change_job(job_id, note=message["note"], step=message["step"], steps=message["steps"])
        elif "step" in message:
            job = self.store.job(job_id)
            self.store.record_progress(
                job_id, message["step"], message["numbers"], steps=message["steps"],
                seconds_left=message["seconds_left"] if job["state"] == "running" else None,
                preview=job["preview"] + message["preview"],
                note=STOPPING if job["note"] == STOPPING else message["part"],
            )  # fmt: skip

    def _handle_end(self, job_id: str, message: Message) -> None:
        self.active = None
        if message["end"] == "suspended":
            if self.store.job(job_id)["state"] == "running":  # it was resumed at the same moment
                self.store.to_front(job_id)
        elif message["end"] == "failed":
            self._finish(job_id, "failed", error=without_folders(message["error"]))
        else:
            if self.store.job(job_id)["kind"] == "fetch":
                self.store.notify("shelf:", "shelf")
            try:
                with self.store.transaction():  # killed in between, it would otherwise be added twice
                    picture = self.add_results(self.store.job(job_id), message["results"])
                    seconds = None
                    if message["end"] == "done" and self._started is not None:
                        seconds = time.monotonic() - self._started
                    note = message["part"] if message["end"] == "stopped" else ""
                    self._record_end(job_id, message["end"], picture=picture, seconds=seconds, note=note)
            except OSError as error:
                if error.errno in _DISK_FULL:
                    raise
                message |= {"end": "failed", "error": f"its picture cannot be saved: {error.strerror}"}
                self._record_end(job_id, "failed", error=message["error"])
            self._clean_up(job_id)
        self.start_next()

    def _finish(self, job_id: str, state: str, **fields: object) -> None:
        self._record_end(job_id, state, **fields)
        self._clean_up(job_id)

    def _record_end(self, job_id: str, state: str, **fields: object) -> None:
        ended = {"note": "", "seconds_left": None, "ended": time.time(), **fields}
        self.store.change_job(job_id, state=state, **ended)

    def _clean_up(self, job_id: str) -> None:
        self.store.clear_job_folder(job_id)
        self.store.limit_jobs()
        self.store.limit_history()

    def _worker_exited(self, process: BaseProcess) -> None:
        """Handle a crash of the worker: retry its job, and start a new worker."""
        if self._closing or process is not self._process:
            return
        process.join(1)
        job_id, self.active, self._pipe = self.active, None, None
        cause = _cause(process.exitcode)
        if job_id is not None:
            job = self.store.job(job_id)
            attempts = job["tries"] + 1
            if not self._ready and job["state"] == "running":  # not the job's fault
                self.store.change_job(job_id, note=f"the worker {cause} while starting: trying again")
                self.store.to_front(job_id)
            elif attempts < _MAX_ATTEMPTS and job["state"] == "running":
                self.store.change_job(job_id, tries=attempts, note=f"the worker {cause}: trying again")
                self.store.to_front(job_id)
            elif job["state"] != "paused":
                self.store.change_job(job_id, tries=attempts)
                self._finish(
                    job_id, "failed", error=f"the worker {cause} {attempts} times: try a smaller size"
                )
        if self._ready:
            self._start_worker()
            self.start_next()
        else:  # it cannot even start: back off
            self._failed_starts += 1
            self._loop.call_later(min(_MAX_RESTART_DELAY, 2.0**self._failed_starts), self._restart_worker)

    # The worker process.

    def _restart_worker(self) -> None:
        if not self._closing:
            self._start_worker()
            self.start_next()

    def _start_worker(self) -> None:
        self._ready = False
        context = process_context()
        server_end, worker_end = context.Pipe()
        process = context.Process(target=worker.main, args=(worker_end,), name="lanterna-worker", daemon=True)
        with started_without_interrupts():
            process.start()
        worker_end.close()
        self._process, self._pipe = process, server_end
        threading.Thread(target=self._listen, args=(server_end, process), daemon=True).start()

    def _listen(self, pipe: Connection, process: BaseProcess) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            try:
                while True:
                    self._loop.call_soon_threadsafe(self._receive, pipe.recv())
            except (EOFError, OSError):
                self._loop.call_soon_threadsafe(self._worker_exited, process)

    def _send(self, **message: object) -> None:
        if self._pipe is not None:
            with contextlib.suppress(BrokenPipeError, OSError):  # `_worker_exited` is called next
                self._pipe.send(message)

    def _input_files(self, job: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
        """Return a job's input files by role: each with its path and its name for the user."""
        files: dict[str, list[tuple[str, str]]] = {}
        for note in job["inputs"]:
            picture = self.store.picture(note["picture"])
            file: Path = self.store.file(picture)
            files.setdefault(note["role"], []).append((str(file), file_name(picture)))
        return files


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        memory = ", perhaps because memory ran out" if name == "SIGKILL" else ""
        return f"was killed by {name}{memory}"
    return f"exited with code {exitcode}"
