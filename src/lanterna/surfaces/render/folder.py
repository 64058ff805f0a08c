"""The folder that a run fills: what it is for, what of it is there, and nothing half-written.

`render.json` says what is made, so that a second call goes on with the same. `manifest.jsonl` has a line for
each picture that was made or set aside, in the order in which that happened. A picture is renamed into its
place before it is entered; so one that is not entered is made again, and the same comes out. What is made in
several files, a piece of a film, is a folder among `.pieces` until the film is whole.
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
from lanterna.files import open_regular, replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lanterna.surfaces.render.task import Failed, Rendered, Task

SUFFIXES = (".png", ".jpg", ".webp", ".avif", ".json")
"""What is made: pictures, and words."""

PLAN, MANIFEST, CHUNKS = "render.json", "manifest.jsonl", ".pieces"


class _Entry(BaseModel):
    """A line of the manifest: what was made, or set aside."""

    number: int
    name: str
    sizes: list[int] | None = None
    seconds: float | None = None
    failed: str | None = None
    tries: int | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.sizes is None) == (self.failed is None):
            raise ValueError("expected what was made, or why not")
        return self


class Folder:
    """What a run has made so far. `plan` tells one run from another.

    Errors: `UsageError` where the folder has something else in it, or another run's pictures, and `force` is
    not given; `LanternaError` where it cannot be written.
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
        note = path / PLAN
        if note.is_file():
            if _read(note) != text:
                if not force:
                    raise UsageError(
                        f"{path} was begun with other pictures or settings: go on with those, choose another "
                        "folder, or start anew with --force"
                    )
                self._clear()
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(f"{path} is not empty, and not from a render: choose another folder")
        with replacing(note) as temporary:
            temporary.write_text(text, encoding="utf-8")
        self._sizes = {entry["name"]: entry["sizes"] for entry in self._entries() if "sizes" in entry}

    def done(self, name: str) -> bool:
        """Whether what is called so was made, and its files are there still, as long as they were."""
        sizes = self._sizes.get(name)
        return sizes is not None and sizes == [_size(place) for place in self.paths(name, len(sizes))]

    def paths(self, name: str, count: int = 1) -> list[Path]:
        """Where what is called so is kept: a picture, or the `count` frames of a piece of a film."""
        if not name.startswith(CHUNKS):
            return [self.path / f"{name}{self.suffix}"]
        return [self.path / name / f"{frame:05}.png" for frame in range(count)]

    def save(self, task: Task, made: Rendered) -> None:
        """Put what was made in its place, then enter it. Errors: `LanternaError`, as for a full disk."""
        for place, data in zip(self.paths(task.name, len(made.files)), made.files, strict=True):
            with replacing(place) as temporary:
                temporary.write_bytes(data)
        self.record(task.number, task.name, [len(data) for data in made.files], made.seconds)

    def record(self, number: int, name: str, sizes: list[int], seconds: float) -> None:
        """Enter what is in its place. Errors: `LanternaError`, as for a full disk."""
        self._append({"number": number, "name": name, "sizes": sizes, "seconds": round(seconds, 3)})
        self._sizes[name] = sizes

    def record_failure(self, task: Task, failed: Failed, tries: int) -> None:
        """Enter that a task went wrong for good."""
        self._append({"number": task.number, "name": task.name, "failed": failed.words, "tries": tries})

    def remove_pieces(self) -> None:
        """Remove the pieces of a film, once it is whole."""
        shutil.rmtree(self.path / CHUNKS, ignore_errors=True)

    def _entries(self) -> list[dict[str, Any]]:
        """The manifest's lines. One that was cut off, or cannot be read, is a task that is made again."""
        manifest = self.path / MANIFEST
        if not manifest.exists():
            return []
        *lines, rest = _read(manifest).split("\n")
        if rest:  # the last line was cut off as it was written
            with replacing(manifest) as temporary:
                temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        found = []
        for line in lines:
            with contextlib.suppress(ValidationError):
                found.append(_Entry.model_validate_json(line).model_dump(exclude_none=True))
        return found

    def _append(self, entry: Mapping[str, object]) -> None:
        try:
            with _appending(self.path / MANIFEST) as file:
                file.write(json.dumps(entry) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LanternaError(f"cannot write {self.path / MANIFEST}: {error.strerror or error}") from error

    def _clear(self) -> None:
        """Remove what an earlier run made here, and only that."""
        suffix = read_plan(self.path).get("suffix")  # without it no file here is known to be ours
        for entry in self._entries() if suffix in SUFFIXES else ():
            name = f"{entry['name']}{suffix}"
            if not {"/", os.sep, "\0"} & set(name):
                with contextlib.suppress(OSError):
                    (self.path / name).unlink()
        self.remove_pieces()
        (self.path / MANIFEST).unlink(missing_ok=True)


def read_plan(path: Path) -> dict[str, Any]:
    """The plan of the run that a folder was begun with; nothing where there is none, or it cannot be read."""
    try:
        plan = json.loads(_read(path / PLAN))
    except (UsageError, ValueError, RecursionError):
        return {}
    return plan if isinstance(plan, dict) else {}


def _appending(path: Path) -> TextIO:
    """Open a file to write at its end. Errors: `OSError`, also where it is a link or anything but a file."""
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
