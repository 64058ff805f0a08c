"""The output folder of a run: its plan, its manifest, and no half-written files.

`render.json` holds the plan, so that a second call continues the same run. `manifest.jsonl` has a line for
each picture that was rendered or has failed, in that order in time. A picture is renamed into place before
it is recorded, so one that is not recorded is rendered again, with the same result. A chunk of a film,
which has several files, is a folder in `.pieces` until the film is complete.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
from typing import TYPE_CHECKING, Any, Self, TextIO

from pydantic import BaseModel, ValidationError, model_validator

from lanterna.errors import LanternaError, UsageError
from lanterna.files import atomic_write, open_regular
from lanterna.renamed import current_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lanterna.surfaces.render.task import Failed, Rendered, Task

SUFFIXES = (".png", ".jpg", ".webp", ".avif", ".json")
"""Suffixes of the results: pictures, and documents of words."""

PLAN, MANIFEST, CHUNKS = "render.json", "manifest.jsonl", ".pieces"


class _Entry(BaseModel):
    """A line of the manifest: a finished or failed task."""

    number: int
    name: str
    sizes: list[int] | None = None
    seconds: float | None = None
    failed: str | None = None
    tries: int | None = None

    @model_validator(mode="after")
    def _check_outcome(self) -> Self:
        if (self.sizes is None) == (self.failed is None):
            raise ValueError("expected either sizes or a failure")
        return self


class Folder:
    """The finished results of a run, which its `plan` identifies.

    Errors: `UsageError` if the folder contains other files, or another run's pictures without `force`;
    `LanternaError` if it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        plan: Mapping[str, object],
        suffix: str,
        *,
        force: bool = False,
    ) -> None:
        self.path, self.suffix = path, suffix
        text = json.dumps({**plan, "suffix": suffix}, indent=2, sort_keys=True) + "\n"
        plan_file = path / PLAN
        if plan_file.is_file():
            if current_text(str(plan.get("verb", "")), _read(plan_file).rstrip()) != text.rstrip():
                if not force:
                    raise UsageError(
                        f"{path} has a run with other pictures or settings: continue that one, choose "
                        "another folder, or start again with --force"
                    )
                self._clear()
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(f"{path} contains other files: choose another folder")
        with atomic_write(plan_file) as temporary:
            temporary.write_text(text, encoding="utf-8")
        self._sizes = {entry["name"]: entry["sizes"] for entry in self._entries() if "sizes" in entry}

    def done(self, name: str) -> bool:
        """Whether this task is finished, and its files still have their sizes."""
        sizes = self._sizes.get(name)
        return sizes is not None and sizes == [_size(path) for path in self.paths(name, len(sizes))]

    def paths(self, name: str, count: int = 1) -> list[Path]:
        """Return the paths of a task's files: one picture, or the `count` frames of a chunk."""
        if not name.startswith(CHUNKS):
            return [self.path / f"{name}{self.suffix}"]
        return [self.path / name / f"{frame:05}.png" for frame in range(count)]

    def save(self, task: Task, result: Rendered) -> None:
        """Save a result, then record it. Errors: `LanternaError`, for example if the disk is full."""
        for path, data in zip(self.paths(task.name, len(result.files)), result.files, strict=True):
            with atomic_write(path) as temporary:
                temporary.write_bytes(data)
        self.record(task.number, task.name, [len(data) for data in result.files], result.seconds)

    def record(self, number: int, name: str, sizes: list[int], seconds: float) -> None:
        """Record a saved result in the manifest. Errors: `LanternaError`, for example if the disk is full."""
        self._append({"number": number, "name": name, "sizes": sizes, "seconds": round(seconds, 3)})
        self._sizes[name] = sizes

    def record_failure(self, task: Task, failed: Failed, tries: int) -> None:
        """Record in the manifest that a task has failed."""
        self._append({"number": task.number, "name": task.name, "failed": failed.reason, "tries": tries})

    def remove_chunks(self) -> None:
        """Remove the chunks of a film, once it is complete."""
        shutil.rmtree(self.path / CHUNKS, ignore_errors=True)

    def _entries(self) -> list[dict[str, Any]]:
        """Read the manifest. The task of a line that is cut off or invalid is rendered again."""
        manifest = self.path / MANIFEST
        if not manifest.exists():
            return []
        *lines, rest = _read(manifest).split("\n")
        if rest:  # writing the last line was interrupted
            with atomic_write(manifest) as temporary:
                temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        entries = []
        for line in lines:
            with contextlib.suppress(ValidationError):
                entries.append(_Entry.model_validate_json(line).model_dump(exclude_none=True))
        return entries

    def _append(self, entry: Mapping[str, object]) -> None:
        try:
            with _appending(self.path / MANIFEST) as file:
                file.write(json.dumps(entry) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LanternaError(f"cannot write {self.path / MANIFEST}: {error.strerror or error}") from error

    def _clear(self) -> None:
        """Remove the files of an earlier run, and no others."""
        suffix = read_plan(self.path).get("suffix")  # without it no file here is known to be ours
        for entry in self._entries() if suffix in SUFFIXES else ():
            name = f"{entry['name']}{suffix}"
            if not {"/", os.sep, "\0"} & set(name):
                with contextlib.suppress(OSError):
                    (self.path / name).unlink()
        self.remove_chunks()
        (self.path / MANIFEST).unlink(missing_ok=True)


def read_plan(path: Path) -> dict[str, Any]:
    """Read the plan of a folder's run; empty if there is none, or it cannot be read."""
    try:
        plan = json.loads(_read(path / PLAN))
    except (UsageError, ValueError, RecursionError):
        return {}
    return plan if isinstance(plan, dict) else {}


def _appending(path: Path) -> TextIO:
    """Open a file for appending. Errors: `OSError`, also if it is a link or not a regular file."""
    flags = (
        os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    )
    file = os.fdopen(os.open(path, flags, 0o666), "a", encoding="utf-8")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a file")
    return file


def _read(path: Path) -> str:
    try:
        with open_regular(path) as file:
            return file.read().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be read: {reason}") from error


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
