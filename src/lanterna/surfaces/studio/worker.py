"""The one process that computes. It does a job at a time and can crash without taking the page with it.

It is told what to do through a pipe, and tells how far it has come. Commands are looked at after each frame.
When the server is gone the pipe ends: the work is closed, which keeps its checkpoint, and so is the process.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import re
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanterna.errors import LanternaError, UsageError, called
from lanterna.surfaces.studio.history import History
from lanterna.surfaces.studio.pictures import describe_recipe, write_jpeg

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from lanterna.images import Recipe
    from lanterna.techniques.technique import Frame, Result, Settings, Technique, Work

PREVIEW_SIDE, THUMBNAIL_SIDE = 1024, 512
_NEWS, _PREVIEW = 0.2, 0.25  # seconds between two messages, and two previews
_KEEP = 0.2  # seconds between two states, at least
_SHARE = 0.1  # of the time, at most, goes into previews
_GRACE = 20.0  # seconds to end in when the server is gone
_NO_MEMORY = re.compile("alloc.*memory|memory.*alloc|bad_alloc|out of memory", re.I)  # as torch says it

Message = dict[str, Any]


def main(pipe: Connection) -> None:
    """Do what comes through the pipe until it ends."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which tells us
    if hasattr(os, "nice"):
        os.nice(10)  # the page goes first
    commands: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, commands), daemon=True).start()
    from lanterna.surfaces.studio.techniques import technique_named  # torch, while nobody waits yet
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
                except UsageError:  # its package is gone, or broken
                    kind = command["kind"]
                    gone = f"the technique {kind!r} is not installed any more: install its package, try again"
                    reason = registry.load_errors().get(kind, gone)
                    pipe.send({"job": command["job"], "end": "failed", "error": reason})
                    continue
                run = _Run(technique, command, commands, pipe)
                run.whole()
                if run.quit:
                    return


def _listen(pipe: Connection, commands: queue.SimpleQueue[Message]) -> None:
    try:
        while True:
            commands.put(pipe.recv())
    except (EOFError, OSError):
        commands.put({"do": "quit"})
        time.sleep(_GRACE)
        os._exit(1)  # a step that takes longer than that is not waited for


class _EndedError(Exception):
    """The job was to end ("stopped" or "away") before it had a frame."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class _Run:
    """One job, from its beginning or its checkpoint to its end, or to where it is stopped."""

    def __init__(
        self, technique: Technique, job: Message, commands: queue.SimpleQueue[Message], pipe: Connection
    ) -> None:
        self.technique, self.job, self.commands, self.pipe = technique, job, commands, pipe
        self.folder = Path(job["folder"])
        self.names = {Path(path): name for pairs in job["files"].values() for path, name in pairs}
        self.checkpoint = self.folder / "checkpoint.pt"
        self.settings: Settings = technique.settings.checked(job["settings"])
        self.quit = False
        self.target = 0  # the step to go back to
        self.changes: list[Message] = []  # what was changed on the way, and after which step
        self.history: History
        self.kept: float | None = None  # when the checkpoint was written that was seen last
        self.news_due = self.preview_due = 0.0
        self.begun: tuple[float, float] | None = None

    def whole(self) -> None:
        """Do it, and say how it ended; what goes wrong is told in one line."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.history = History(self.folder)
            with called(self.names):
                end, results = self._work()
            self._say(end=end, results=results)
        except LanternaError as error:
            self._say(end="failed", error=str(error))
        except (BrokenPipeError, EOFError):
            raise
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            words = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            if isinstance(error, MemoryError) or _NO_MEMORY.search(words):
                words = "there is not enough memory for this: try a smaller size"
            self._say(end="failed", error=words)

    def _work(self) -> tuple[str, list[Message]]:
        self._say(began=True)
        try:
            work, end = self._begin(), "done"
        except _EndedError as ended:
            return ended.how, []
        wanted = self.settings.changed(self.job["changed"]) if self.job["changed"] else None
        frame = next(work.frames, None)  # a generator takes nothing before its first frame
        try:
            while frame is not None:
                self._show(work, frame)
                end, changed = self._obey()
                while end == "back":
                    wanted = self.settings.changed(changed) if changed else wanted or self.settings
                    work = self._go_back(work)
                    end, changed = self._obey(paused=True)
                    if end in ("done", "stopped"):
                        frame = next(work.frames, frame)
                wanted = self.settings.changed(changed) if changed else wanted
                if end != "done":
                    break
                work, following = self._next(work, frame.step, wanted)
                self._remember(work, frame)
                if following is None:
                    break
                frame, wanted = following, None
        finally:
            work.frames.close()
        if frame is None:
            raise LanternaError("there was nothing left to do: start it anew")
        if end == "away":
            return end, []
        self._show(work, frame, now=True)
        if end == "stopped":  # one may go on from here
            self._remember(work, frame, last=True)
        results = [
            self._keep(number, result)
            for number, result in enumerate(work.results(frame, self.settings))
            if result.picture is not None  # a frame that has none yet: it was stopped before
        ]
        return end, results

    def _go_back(self, work: Work) -> Work:
        """Take up the work at an earlier step; it is at rest there until it is told to go on."""
        work.frames.close()
        step = self.target
        self.history.take_back(step, self.checkpoint, self.folder / "preview.jpg")
        self.kept = self._written()
        self.changes = [change for change in self.changes if change["step"] < step]
        self.settings, now = self.technique.settings.checked(self.job["settings"]), self.settings
        work = self._begin()
        self.settings, self.begun = now, None
        self._say(back=step)
        return work

    def _remember(self, work: Work, frame: Frame, *, last: bool = False) -> None:
        """Keep this step in the history, if its state has just been written."""
        written = self._written()
        if written is None or written == self.kept:
            return
        self.kept = written
        picture = work.preview(frame)
        if picture is None or not (last or self.history.is_due(frame.step)):
            return
        preview = self.folder / "preview.jpg"
        write_jpeg(picture, preview, PREVIEW_SIDE)
        self.history.keep(frame.step, self.checkpoint, preview)
        self._say(history=self.history.steps)

    def _written(self) -> float | None:
        try:
            return self.checkpoint.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def _next(self, work: Work, step: int, wanted: Settings | None) -> tuple[Work, Frame | None]:
        """The frame after `step`, with what is wanted from now on; where that cannot be, as it was before.

        Work that refuses a change has ended and written its checkpoint, so it is resumed from there.
        """
        try:
            frame = work.frames.send(wanted)
        except StopIteration:
            return work, None
        except LanternaError as error:
            if wanted is None or not self.checkpoint.exists():
                raise
            before = self.settings
            self._say(refused=str(error), settings=before.model_dump(mode="json"))
            self.settings = self.technique.settings.checked(self.job["settings"])
            work = self._begin()
            first = next(work.frames, None)
            if first is not None and before != self.settings:
                first = work.frames.send(before)
            self.settings = before
            return work, first
        if wanted is not None:
            self.settings = wanted
            self._note_change(step)
        return work, frame

    def _note_change(self, step: int) -> None:
        """Note which settings are others from this step on than the recipe would say so far."""
        said = dict(self.job["settings"])
        for change in self.changes:
            said.update(change["settings"])
        now = self.settings.model_dump(mode="json")
        others = {name: value for name, value in now.items() if value != said[name]}
        if others:
            self.changes.append({"step": step, "settings": others})

    def _begin(self) -> Work:
        """Begin the work: at its checkpoint, or anew where there is none or it cannot be read."""
        from lanterna import shelf
        from lanterna.techniques.execute import Job, begin

        files = {role: self._files(role, pairs) for role, pairs in self.job["files"].items()}
        film = self.folder / "film.webp"
        frames = film.with_name(f"{film.name}.frames")
        resume = self.checkpoint.exists() or frames.exists()

        def fetch(item: str) -> None:
            def tell(what: str, done: int, of: int) -> None:
                self._telling(f"fetching {what} ({of / 1e6:.1f} MB)", done, of)

            shelf.fetch([item], tell)

        self.given = Job(
            self.technique, self.settings, files, checkpoint=self.checkpoint, resume=resume, force=True,
            checkpoint_every=_KEEP, film=film, title=self.job["title"], names=self.names, fetch_item=fetch,
            progress=self._telling, trust=False,
        )  # fmt: skip
        try:
            return begin(self.given)
        except LanternaError:
            if not resume:
                raise
            self.checkpoint.unlink(missing_ok=True)
            shutil.rmtree(frames, ignore_errors=True)
            return self._begin()

    def _files(self, role: str, pairs: list[tuple[str, str]]) -> list[Path]:
        """The files of an input; where it is no picture, those that lie beside the pictures.

        Errors: `UsageError` where one has none.
        """
        paths = [Path(path) for path, _ in pairs]
        wanted = next(each for each in self.technique.inputs if each.name == role)
        if not wanted.suffix:
            return paths
        beside = [path.with_suffix(wanted.suffix) for path in paths]
        if not all(path.is_file() for path in beside):
            raise UsageError(f"there is no {role} in this picture: choose {wanted.help}")
        self.names.update(dict.fromkeys(beside, f"{self.technique.verb}{wanted.suffix}"))
        return beside

    def _obey(self, *, paused: bool = False) -> tuple[str, Message | None]:
        """What is wanted now: "done" to go on, "stopped" or "away" to end, "back" to go back to the target,
        and settings that have changed. Waits for as long as the job is paused.
        """
        changed, since = None, time.monotonic()
        while paused or not self.commands.empty():
            command = self.commands.get()
            if command["do"] == "quit":
                self.quit = True
                return "away", None
            if command.get("job") != self.job["job"]:
                continue
            if command["do"] in ("stop", "away"):
                return {"stop": "stopped", "away": "away"}[command["do"]], changed
            if command["do"] == "back" and command["step"] in self.history.steps:
                self.target = command["step"]
                return "back", changed
            if command["do"] == "change":
                changed = command["settings"]
            paused = command["do"] == "pause" or (paused and command["do"] != "go")
        if self.begun:  # a pause is no work
            self.begun = self.begun[0] + time.monotonic() - since, self.begun[1]
        return "done", changed

    def _show(self, work: Work, frame: Frame, *, now: bool = False) -> None:
        """Tell how far it has come, and write a preview, both no more often than is worth it."""
        clock = time.monotonic()
        fresh = False
        if now or clock >= self.preview_due:
            picture = work.preview(frame)
            if picture is not None:
                write_jpeg(picture, self.folder / "preview.jpg", PREVIEW_SIDE)
                fresh = True
                took = time.monotonic() - clock
                self.preview_due = clock + max(_PREVIEW, took / _SHARE)
        share = work.fraction_done(frame)
        self.begun = self.begun or (clock, share)
        if now or fresh or clock >= self.news_due or frame.step == frame.steps:
            self.news_due = clock + _NEWS
            numbers = {name: float(value) for name, value in frame.numbers.items() if math.isfinite(value)}
            left = numbers.get("seconds_left")
            if left is None and share > self.begun[1]:
                left = (clock - self.begun[0]) * (1 - share) / (share - self.begun[1])
            self._say(step=frame.step, steps=frame.steps, numbers=numbers, seconds_left=left, preview=fresh)

    def _telling(self, work: str, done: int, whole: int) -> None:
        end, _ = self._obey()
        if end != "done":
            raise _EndedError(end)
        clock = time.monotonic()
        if clock >= self.news_due:
            self.news_due = clock + _NEWS
            self._say(note=f"{work}, {done / max(whole, 1):.0%}", step=done, steps=whole, numbers={})

    def _keep(self, number: int, result: Result) -> Message:
        """Write a picture and its thumbnail into the job's folder, from where the server takes them."""
        from lanterna.files import sha256
        from lanterna.images.recipe import with_changes
        from lanterna.techniques.execute import recipe_of, save_result

        file = self.folder / f"result-{number}.{'webp' if result.film else 'png'}"
        made = recipe_of(self.given, result, self.settings)
        assert made is not None  # no folder goes into a job
        recipe = with_changes(made, self.changes)
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
            "sheet": _sheet(result, recipe),
            "numbers": dict(result.numbers),
            "words": result.words,
        }

    def _say(self, **message: object) -> None:
        self.pipe.send({"job": self.job["job"], **message})


def _sheet(result: Result, recipe: Recipe) -> list[Message]:
    """Each picture of a contact sheet: where it is on it, and what makes it large."""
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
