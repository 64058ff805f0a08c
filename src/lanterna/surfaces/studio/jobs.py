"""The queue: one job at a time in the worker, which is watched, and begun anew where it has crashed."""

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
from lanterna.surfaces.studio.apart import process_context
from lanterna.surfaces.studio.pictures import file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from lanterna.surfaces.studio.store import Store

_TRIES = 2
_REST = 60.0  # seconds, at most, between two starts of a worker that cannot begin
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_NO_ROOM = 1.0  # seconds between two looks whether a full disk has room again
_ENDING = 10.0  # seconds that the worker has for its checkpoint when the studio closes
STOPPING = "stopping"  # the note of a job that is to end, and keep its picture
FINISHED = ("done", "stopped", "failed")

Message = dict[str, Any]


class Queue:
    """The jobs of a store, worked off in order. Everything happens in the event loop's thread.

    `keep` takes what a job has made into the gallery and gives the id of the (first) picture.
    """

    def __init__(self, store: Store, keep: Callable[[dict[str, Any], list[Message]], str | None]) -> None:
        self.store, self.keep = store, keep
        self.active: str | None = None
        self._ready = False  # whether the worker has begun
        self._in_vain = 0  # starts of it one after another that came to nothing
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._closing = False
        self._loop = asyncio.get_running_loop()

    def open(self) -> None:
        """Let the jobs that were cut off when the studio ended go on."""
        for job_id in reversed(self.store.interrupted()):
            self.store.to_front(job_id)
        self.pump()

    def warm_up(self) -> None:
        """Start the worker before there is a job for it: it begins with the first otherwise."""
        if self._process is None and not self._closing:
            self._start_worker()

    async def close(self) -> None:
        """End the worker. Its job keeps a checkpoint and goes on when the studio is opened again."""
        self._closing = True
        self._send(do="quit")
        process = self._process
        if process is not None:
            await asyncio.to_thread(process.join, _ENDING)
            if process.is_alive():
                process.kill()

    def pump(self) -> None:
        """Begin the next job, if nothing is being done. A paused one makes way for it."""
        following = self.store.next_job()
        if following is None or self._closing:
            return
        self.warm_up()
        if self._pipe is None:
            return
        if self.active is not None:
            if self.store.job(self.active)["state"] == "paused":
                self._send(do="away", job=self.active)
            return
        job_id = following["id"]
        begun_with = following["begun_with"] or following["settings"]
        try:
            files = self._input_files(following)
        except KeyError:
            self._finish(job_id, "failed", error="a picture that it was to begin with is not there any more")
            self.pump()
            return
        self.active = job_id
        stopping = following["note"] == STOPPING
        note = STOPPING if stopping else "beginning"
        self.store.change_job(job_id, state="running", begun_with=begun_with, error=None, note=note)
        changed = following["settings"] if following["settings"] != begun_with else None
        self._send(
            do="run", job=job_id, kind=following["kind"], settings=begun_with, changed=changed, files=files,
            title=following["title"], folder=str(self.store.job_folder(job_id)),
        )  # fmt: skip
        if stopping:
            self._send(do="stop", job=job_id)

    # What people want.

    def change_settings(self, job_id: str, settings: Mapping[str, Any]) -> None:
        """Change a job's settings, whole and checked; one that is under way takes them up."""
        self.store.change_job(job_id, settings=settings, error=None)
        if job_id == self.active:
            self._send(do="change", job=job_id, settings=settings)

    def pause(self, job_id: str) -> None:
        """Hold a job; the queue goes on with the next."""
        state = self.store.job(job_id)["state"]
        if state not in ("running", "queued"):
            raise UsageError(f"this job is {state}: only one that waits or runs is paused")
        self.store.change_job(job_id, state="paused", seconds_left=None)
        if job_id == self.active:
            self._send(do="pause", job=job_id)
        self.pump()

    def go_on(self, job_id: str) -> None:
        """Go on with a job that is paused, next."""
        state = self.store.job(job_id)["state"]
        if state != "paused":
            raise UsageError(f"this job is {state}: only a paused one goes on")
        if job_id == self.active:
            self.store.change_job(job_id, state="running")
            self._send(do="go", job=job_id)
        else:
            self.store.to_front(job_id)
            self.pump()

    def stop(self, job_id: str) -> None:
        """End a job and keep the picture so far; one that has not begun has none."""
        job = self.store.job(job_id)
        if job["state"] in FINISHED:
            raise UsageError(f"this job is {job['state']} already")
        if job_id == self.active:
            self.store.change_job(job_id, note=STOPPING)
            self._send(do="stop", job=job_id)
        elif (self.store.job_folder(job_id) / "checkpoint.pt").exists():
            self.store.change_job(
                job_id, note=STOPPING
            )  # it is taken up for one step, which gives its picture
            self.store.to_front(job_id)
            self.pump()
        else:
            self._finish(job_id, "stopped")

    def back(self, job_id: str, step: int) -> None:
        """Let a job go back to an earlier step, and rest there."""
        job = self.store.job(job_id)
        if job_id != self.active or job["state"] not in ("running", "paused"):
            raise UsageError(f"this job is {job['state']}: only one that is under way goes back")
        if step not in job["history"]:
            raise UsageError(f"step {step} is not kept: there are {', '.join(map(str, job['history']))}")
        self.store.change_job(job_id, state="paused", seconds_left=None)
        self._send(do="back", job=job_id, step=step)

    def forget(self, job_id: str) -> None:
        """Remove a job that has ended from the list."""
        state = self.store.job(job_id)["state"]
        if state not in FINISHED:
            raise UsageError(f"this job is {state}: stop it first")
        self.store.forget_job(job_id)

    # What the worker says.

    def _came(self, message: Message) -> None:
        """Note what the worker says. While the disk is full, news is let go, and an end waits for room."""
        active = self.active
        try:
            self._note(message)
        except (sqlite3.OperationalError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _FULL:
                raise
            if "end" in message:
                self.active = active
                self._loop.call_later(_NO_ROOM, self._came, message)

    def _note(self, message: Message) -> None:
        if "ready" in message:
            self._ready, self._in_vain = True, 0
            return
        job_id = message["job"]
        if job_id != self.active:
            return
        if "end" in message:
            self._end(job_id, message)
        elif "refused" in message:
            self.store.change_job(job_id, settings=message["settings"], error=message["refused"])
        elif "history" in message:
            self.store.change_job(job_id, history=message["history"])
        elif "back" in message:
            preview = self.store.job(job_id)["preview"] + 1
            self.store.change_job(job_id, step=message["back"], preview=preview, numbers={})
        elif "note" in message:
            self.store.change_job(job_id, note=message["note"], step=message["step"], steps=message["steps"])
        elif "step" in message:
            job = self.store.job(job_id)
            self.store.progress(
                job_id, message["step"], message["numbers"], steps=message["steps"],
                seconds_left=message["seconds_left"] if job["state"] == "running" else None,
                preview=job["preview"] + message["preview"],
                note=STOPPING if job["note"] == STOPPING else "",
            )  # fmt: skip

    def _end(self, job_id: str, message: Message) -> None:
        self.active = None
        if message["end"] == "away":
            if self.store.job(job_id)["state"] == "running":  # it was told to go on at the same moment
                self.store.to_front(job_id)
        elif message["end"] == "failed":
            self._finish(job_id, "failed", error=message["error"])
        else:
            if self.store.job(job_id)["kind"] == "fetch":
                self.store.tell("shelf:", "shelf")
            try:
                with self.store.together():  # or, killed in between, it would be made and kept twice
                    picture = self.keep(self.store.job(job_id), message["results"])
                    self._note_end(job_id, message["end"], picture=picture)
            except OSError as error:
                if error.errno in _FULL:
                    raise
                message |= {"end": "failed", "error": f"its picture cannot be kept: {error.strerror}"}
                self._note_end(job_id, "failed", error=message["error"])
            self._tidy(job_id)
        self.pump()

    def _finish(self, job_id: str, state: str, **fields: object) -> None:
        self._note_end(job_id, state, **fields)
        self._tidy(job_id)

    def _note_end(self, job_id: str, state: str, **fields: object) -> None:
        self.store.change_job(job_id, state=state, ended=time.time(), seconds_left=None, note="", **fields)

    def _tidy(self, job_id: str) -> None:
        self.store.clear_job(job_id)
        self.store.bound_history()

    def _gone(self, process: BaseProcess) -> None:
        """The worker has ended, and nobody asked it to."""
        if self._closing or process is not self._process:
            return
        process.join(1)
        job_id, self.active, self._pipe = self.active, None, None
        why = _cause(process.exitcode)
        if job_id is not None:
            job = self.store.job(job_id)
            tries = job["tries"] + 1
            if not self._ready and job["state"] == "running":  # it is no fault of the job
                self.store.change_job(job_id, note=f"the worker {why} as it began: trying again")
                self.store.to_front(job_id)
            elif tries < _TRIES and job["state"] == "running":
                self.store.change_job(job_id, tries=tries, note=f"the worker {why}: once more")
                self.store.to_front(job_id)
            elif job["state"] != "paused":
                self.store.change_job(job_id, tries=tries)
                self._finish(job_id, "failed", error=f"the worker {why}, {tries} times: try a smaller size")
        if self._ready:
            self._start_worker()
            self.pump()
        else:  # it cannot begin at all: not in a loop without rest
            self._in_vain += 1
            self._loop.call_later(min(_REST, 2.0**self._in_vain), self._once_more)

    # The process.

    def _once_more(self) -> None:
        if not self._closing:
            self._start_worker()
            self.pump()

    def _start_worker(self) -> None:
        self._ready = False
        context = process_context()
        ours, theirs = context.Pipe()
        process = context.Process(target=worker.main, args=(theirs,), name="lanterna-worker", daemon=True)
        process.start()
        theirs.close()
        self._process, self._pipe = process, ours
        threading.Thread(target=self._listen, args=(ours, process), daemon=True).start()

    def _listen(self, pipe: Connection, process: BaseProcess) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            try:
                while True:
                    self._loop.call_soon_threadsafe(self._came, pipe.recv())
            except (EOFError, OSError):
                self._loop.call_soon_threadsafe(self._gone, process)

    def _send(self, **message: object) -> None:
        if self._pipe is not None:
            with contextlib.suppress(BrokenPipeError, OSError):  # `_gone` comes next
                self._pipe.send(message)

    def _input_files(self, job: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
        """The files that a job begins with, by role: where each is, and what a person calls it."""
        files: dict[str, list[tuple[str, str]]] = {}
        for note in job["inputs"]:
            picture = self.store.picture(note["picture"])
            file: Path = self.store.file(picture)
            files.setdefault(note["role"], []).append((str(file), file_name(picture)))
        return files


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        memory = ", perhaps for want of memory" if name == "SIGKILL" else ""
        return f"was ended by {name}{memory}"
    return f"ended with code {exitcode}"
