"""The one process that computes. It runs one job at a time, and can crash without taking the page with it.

It receives commands and sends progress through a pipe; commands are handled after each frame. When the server
is gone the pipe closes: then the run is closed, which saves a checkpoint, and the process exits.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanterna.errors import (
    LanternaError,
    UsageError,
    display_names,
    explain_blamed_networks,
    is_out_of_memory,
)
from lanterna.surfaces.studio.history import History
from lanterna.surfaces.studio.isolated import NO_MEMORY
from lanterna.surfaces.studio.pictures import describe_recipe, write_jpeg

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from lanterna.images import Recipe
    from lanterna.techniques.technique import Frame, Result, Settings, Technique, Work

PREVIEW_SIDE, THUMBNAIL_SIDE = 1024, 512
_PROGRESS_INTERVAL, _PREVIEW_INTERVAL, _CHECKPOINT_INTERVAL = 0.2, 0.25, 0.2  # seconds, at least
_MAX_PREVIEW_SHARE = 0.1  # of the running time that may be spent on previews,
_MAX_PREVIEW_INTERVAL = 0.5  # as long as there are two a second
_MAX_EXIT_SECONDS = 20.0  # seconds to exit in when the server is gone

Message = dict[str, Any]


def main(pipe: Connection) -> None:
    """Execute the commands that arrive through the pipe until it closes."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which sends "quit"
    if hasattr(os, "nice"):
        os.nice(10)  # the page has priority
    commands: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, commands), daemon=True).start()
    from lanterna.surfaces.studio.techniques import technique_named  # imports torch before the first job
    from lanterna.techniques import registry

    pipe.send({"ready": True})

    with contextlib.suppress(BrokenPipeError, OSError):
        while True:
            command = commands.get()
            if command["do"] == "quit":
                return
            if command["do"] == "run":
                try:
                    technique = technique_named(command["kind"])
                except UsageError:  # its package is gone or broken
                    kind = command["kind"]
                    gone = f"the technique {kind!r} is no longer installed: install its package and try again"
                    reason = registry.load_errors().get(kind, gone)
                    pipe.send({"job": command["job"], "end": "failed", "error": reason})
                    continue
                run = _Run(technique, command, commands, pipe)
                run.execute()
                if run.quit:
                    return


def _listen(pipe: Connection, commands: queue.SimpleQueue[Message]) -> None:
    try:
        while True:
            commands.put(pipe.recv())
    except (EOFError, OSError):
        commands.put({"do": "quit"})
        time.sleep(_MAX_EXIT_SECONDS)
        os._exit(1)  # do not wait longer for a slow step


class _StoppedError(Exception):
    """The job was "stopped" or "suspended" between two frames."""

    def __init__(self, end: str) -> None:
        super().__init__(end)
        self.end = end


class _Run:
    """One job, run from its start or its checkpoint until it is done or stopped."""

    def __init__(
        self, technique: Technique, job: Message, commands: queue.SimpleQueue[Message], pipe: Connection
    ) -> None:
        self.technique, self.job, self.commands, self.pipe = technique, job, commands, pipe
        self.folder = Path(job["folder"])
        self.names = {Path(path): name for pairs in job["files"].values() for path, name in pairs}
        self.checkpoint = self.folder / "checkpoint.pt"
        self.settings: Settings = technique.settings.checked(job["settings"])
        self.quit = False
        self.target = 0  # the step to rewind to
        self.changes: list[Message] = []  # the settings that changed during the run, with their steps
        self.new_settings: Message | None = job["changed"]  # to apply at the next step
        self.history: History
        self.last_saved: float | None = None  # modification time of the last checkpoint in the history
        self.progress_due = self.preview_due = 0.0
        self.started: tuple[float, float] | None = None
        self.part = ""  # of the work, and how far it is

    def execute(self) -> None:
        """Run the job, and report how it ended; an error becomes one line."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.history = History(self.folder)
            with display_names(self.names), explain_blamed_networks():
                end, results = self._run()
            self._send(end=end, results=results, part=self.part)
        except _StoppedError as stopped:
            self._send(end=stopped.end, results=[], part="")
        except LanternaError as error:
            self._send(end="failed", error=str(error))
        except (BrokenPipeError, EOFError):
            raise
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            message = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            self._send(end="failed", error=NO_MEMORY if is_out_of_memory(error) else message)

    def _run(self) -> tuple[str, list[Message]]:
        self._send(started=True)
        work, end = self._start(), "done"
        frame = next(work.frames, None)  # a generator accepts nothing before its first frame
        try:
            while frame is not None:
                self._report_frame(work, frame)
                end = self._handle_commands()
                while end == "rewind":
                    self.new_settings = self.new_settings or self.settings.model_dump(mode="json")
                    work = self._rewind(work)
                    end = self._handle_commands(paused=True)
                    if end in ("done", "stopped"):
                        frame = next(work.frames, frame)
                if end != "done":
                    break
                work, next_frame = self._next_frame(work, frame.step)
                self._save_step(work, frame)
                if next_frame is None:
                    break
                frame = next_frame
        finally:
            work.frames.close()
        if frame is None:
            raise LanternaError("there was nothing left to do: start a new job")
        if end == "suspended":
            return end, []
        self._report_frame(work, frame, force=True)
        if end == "stopped":  # so that a new job can resume from here
            self._save_step(work, frame, last=True)
        results = [
            self._save_result(number, result)
            for number, result in enumerate(work.results(frame, self.settings))
            if result.picture is not None  # stopped before the first picture
        ]
        return end, results

    def _rewind(self, work: Work) -> Work:
        """Restart the work from an earlier step, where it stays paused until it is resumed."""
        work.frames.close()
        step = self.target
        self.history.restore(step, self.checkpoint, self.folder / "preview.jpg")
        self.last_saved = self._checkpoint_time()
        self.changes = [change for change in self.changes if change["step"] < step]
        self.settings, current = self.technique.settings.checked(self.job["settings"]), self.settings
        work = self._start()
        self.settings, self.started = current, None
        self._send(rewound=step)
        return work

    def _save_step(self, work: Work, frame: Frame, *, last: bool = False) -> None:
        """Save this step to the history, if its checkpoint has just been written."""
        written = self._checkpoint_time()
        if written is None or written == self.last_saved:
            return
        self.last_saved = written
        picture = work.preview(frame)
        if picture is None or not (last or self.history.is_due(frame.step)):
            return
        preview = self.folder / "preview.jpg"
        write_jpeg(picture, preview, PREVIEW_SIDE)
        self.history.save(frame.step, self.checkpoint, preview)
        self._send(history=self.history.steps)

    def _checkpoint_time(self) -> float | None:
        try:
            return self.checkpoint.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def _next_frame(self, work: Work, step: int) -> tuple[Work, Frame | None]:
        """Return the frame after `step`, computed with the new settings, or with the old ones if those fail.

        Work that refuses a change has ended and written its checkpoint, so it resumes from there.
        """
        new_settings = self.settings.changed(self.new_settings) if self.new_settings else None
        self.new_settings = None
        try:
            frame = work.frames.send(new_settings)
        except StopIteration:
            return work, None
        except LanternaError as error:
            if new_settings is None or not self.checkpoint.exists():
                raise
            previous = self.settings
            self._send(refused=str(error), settings=previous.model_dump(mode="json"))
            self.settings = self.technique.settings.checked(self.job["settings"])
            work = self._start()
            first = next(work.frames, None)
            if first is not None and previous != self.settings:
                first = work.frames.send(previous)
            self.settings = previous
            return work, first
        if new_settings is not None:
            self.settings = new_settings
            self._record_change(step)
        return work, frame

    def _record_change(self, step: int) -> None:
        """Record the settings that differ from this step on from what the recipe states so far."""
        recorded = dict(self.job["settings"])
        for change in self.changes:
            recorded.update(change["settings"])
        current = self.settings.model_dump(mode="json")
        different = {name: value for name, value in current.items() if value != recorded[name]}
        if different:
            self.changes.append({"step": step, "settings": different})

    def _start(self) -> Work:
        """Start the work from its checkpoint, or from the beginning if that is missing or unreadable."""
        from lanterna import shelf
        from lanterna.techniques.execute import Job, begin

        files = {role: self._files(role, pairs) for role, pairs in self.job["files"].items()}
        film = self.folder / "film.webp"
        frames = film.with_name(f"{film.name}.frames")
        resume = self.checkpoint.exists() or frames.exists()

        def fetch(item: str) -> None:
            def report_progress(item: str, done: int, total: int) -> None:
                self._report_progress(f"fetching {item} ({total / 1e6:.1f} MB)", done, total)

            shelf.fetch([item], report_progress)

        self.execution = Job(
            self.technique, self.settings, files, checkpoint=self.checkpoint, resume=resume, force=True,
            checkpoint_every=_CHECKPOINT_INTERVAL, film=film, title=self.job["title"],
            names=self.names, fetch_item=fetch, progress=self._report_progress, trust=False,
        )  # fmt: skip
        try:
            return begin(self.execution)
        except LanternaError:
            if not resume:
                raise
            self.checkpoint.unlink(missing_ok=True)
            shutil.rmtree(frames, ignore_errors=True)
            return self._start()

    def _files(self, role: str, pairs: list[tuple[str, str]]) -> list[Path]:
        """Return an input's files: the pictures, or the files stored next to them (a painting's weights).

        Errors: `UsageError` if a picture has no such file.
        """
        paths = [Path(path) for path, _ in pairs]
        slot = next(each for each in self.technique.inputs if each.name == role)
        if not slot.suffix:
            return paths
        companions = [path.with_suffix(slot.suffix) for path in paths]
        if not all(path.is_file() for path in companions):
            raise UsageError(f"there is no {role} in this picture: choose {slot.help}")
        self.names.update(dict.fromkeys(companions, f"{self.technique.verb}{slot.suffix}"))
        return companions

    def _handle_commands(self, *, paused: bool = False) -> str:
        """Handle the waiting commands; block while the job is paused.

        Return "done" to continue, "stopped" or "suspended" to end, or "rewind" to go back to the target.
        """
        since = time.monotonic()
        while paused or not self.commands.empty():
            command = self.commands.get()
            if command["do"] == "quit":
                self.quit = True
                return "suspended"
            if command.get("job") != self.job["job"]:
                continue
            if command["do"] in ("stop", "suspend"):
                return {"stop": "stopped", "suspend": "suspended"}[command["do"]]
            if command["do"] == "rewind" and command["step"] in self.history.steps:
                self.target = command["step"]
                return "rewind"
            if command["do"] == "change":
                self.new_settings = command["settings"]
            paused = command["do"] == "pause" or (paused and command["do"] != "resume")
        if self.started:  # a pause does not count as running time
            self.started = self.started[0] + time.monotonic() - since, self.started[1]
        return "done"

    def _report_frame(self, work: Work, frame: Frame, *, force: bool = False) -> None:
        """Report progress and write a preview, both at limited rates."""
        clock = time.monotonic()
        fresh = False
        if force or clock >= self.preview_due:
            picture = work.preview(frame)
            if picture is not None:
                write_jpeg(picture, self.folder / "preview.jpg", PREVIEW_SIDE)
                fresh = True
                seconds = time.monotonic() - clock
                pause = min(_MAX_PREVIEW_INTERVAL, seconds / _MAX_PREVIEW_SHARE)
                self.preview_due = clock + max(_PREVIEW_INTERVAL, pause)
        fraction_done, self.part = work.fraction_done(frame), str(frame.part or "")
        self.started = self.started or (clock, fraction_done)
        if force or fresh or clock >= self.progress_due or frame.step == frame.steps:
            self.progress_due = clock + _PROGRESS_INTERVAL
            numbers = {name: float(value) for name, value in frame.numbers.items() if math.isfinite(value)}
            remaining = numbers.get("seconds_left")
            if remaining is None and fraction_done > self.started[1]:
                remaining = (
                    (clock - self.started[0]) * (1 - fraction_done) / (fraction_done - self.started[1])
                )
            self._send(
                step=frame.step, steps=frame.steps, numbers=numbers, seconds_left=remaining, preview=fresh,
                part=self.part,
            )  # fmt: skip

    def _report_progress(self, work: str, done: int, total: int) -> None:
        end = self._handle_commands()
        if end == "rewind":  # once there is a frame
            self.commands.put({"do": "rewind", "job": self.job["job"], "step": self.target})
        elif end != "done":
            raise _StoppedError(end)
        clock = time.monotonic()
        if clock >= self.progress_due:
            self.progress_due = clock + _PROGRESS_INTERVAL
            self._send(note=f"{work}, {done / max(total, 1):.0%}", step=done, steps=total, numbers={})

    def _save_result(self, number: int, result: Result) -> Message:
        """Write a picture and its thumbnail into the job's folder; the server moves them into the gallery."""
        from lanterna.files import sha256
        from lanterna.images.recipe import with_changes
        from lanterna.techniques.execute import recipe_of, save_result

        file = self.folder / f"result-{number}.{'webp' if result.film else 'png'}"
        recipe = recipe_of(self.execution, result, self.settings)
        assert recipe is not None  # a job never has a folder as its input
        recipe = with_changes(recipe, self.changes)
        save_result(result, file, recipe, force=True)
        write_jpeg(result.picture, file.with_suffix(".jpg"), THUMBNAIL_SIDE)
        also = None
        if result.sidecar:
            suffix, write = result.sidecar
            also = file.with_suffix(suffix)
            write(also)
        return {
            "file": str(file),
            "thumbnail": str(file.with_suffix(".jpg")),
            "also": str(also) if also else None,
            "width": result.picture.shape[2],
            "height": result.picture.shape[1],
            "sha256": sha256(file),
            "output": recipe.output,
            "recipe": describe_recipe(recipe, f"{recipe.output}{file.suffix}"),
            "sheet": _sheet_cells(result, recipe),
            "numbers": dict(result.numbers),
            "words": result.words,
        }

    def _send(self, **message: object) -> None:
        self.pipe.send({"job": self.job["job"], **message})


def _sheet_cells(result: Result, recipe: Recipe) -> list[Message]:
    """Return a contact sheet's cells: their boxes, and the settings and commands for the full pictures."""
    from lanterna.images.drawing import contact_sheet_boxes
    from lanterna.techniques.rerun import cell_commands

    if not result.cells:
        return []
    size = (result.picture.shape[1], result.picture.shape[2])
    boxes = contact_sheet_boxes(size, len(result.cells), columns=result.columns, gap=result.gap)
    commands = cell_commands(recipe).values()
    return [
        {
            "label": cell.label,
            "kind": cell.technique,
            "settings": cell.settings.model_dump(mode="json"),
            "command": command,
            "box": box,
        }
        for cell, box, command in zip(result.cells, boxes, commands, strict=True)
    ]
