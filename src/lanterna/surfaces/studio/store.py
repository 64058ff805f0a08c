"""What the studio keeps: jobs, pictures and what has changed, in one SQLite file; picture files beside it.

Everything is written before anybody is told of it, so that a killed server loses nothing. The store is used
from the event loop's thread alone.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import sqlite3
import time
from typing import TYPE_CHECKING, Any

from lanterna.documents import repair_document
from lanterna.errors import LanternaError, UsageError
from lanterna.renamed import current_recipe, current_settings
from lanterna.surfaces.studio.history import bounded

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ID = re.compile(r"[0-9a-f]{32}")
_KEPT_EVENTS = 2000
_FINISHED_SHOWN = 50

# One script for each version; a store of an older version runs those that it has not had.
_MIGRATIONS = (
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, title TEXT NOT NULL DEFAULT '',
        preset TEXT, settings TEXT NOT NULL, begun_with TEXT, inputs TEXT NOT NULL, parent TEXT,
        place REAL NOT NULL, made REAL NOT NULL, ended REAL, tries INTEGER NOT NULL DEFAULT 0,
        step INTEGER NOT NULL DEFAULT 0, steps INTEGER NOT NULL DEFAULT 0, numbers TEXT NOT NULL DEFAULT '{}',
        note TEXT NOT NULL DEFAULT '', seconds_left REAL, error TEXT, picture TEXT,
        preview INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX jobs_by_state ON jobs (state, place);
    CREATE TABLE numbers (job TEXT, step INTEGER, numbers TEXT, PRIMARY KEY (job, step)) WITHOUT ROWID;
    CREATE TABLE pictures (
        id TEXT PRIMARY KEY, origin TEXT NOT NULL, kind TEXT NOT NULL, room TEXT NOT NULL,
        title TEXT NOT NULL, suffix TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
        bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, recipe TEXT, also TEXT, job TEXT, made REAL NOT NULL,
        starred INTEGER NOT NULL DEFAULT 0, deleted REAL, words TEXT NOT NULL
    );
    CREATE INDEX pictures_by_made ON pictures (origin, made);
    CREATE INDEX pictures_by_content ON pictures (sha256);
    CREATE TABLE events (thing TEXT PRIMARY KEY, number INTEGER NOT NULL, event TEXT NOT NULL);
    CREATE INDEX events_by_number ON events (number);
    CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
    """,
    "ALTER TABLE jobs ADD COLUMN history TEXT NOT NULL DEFAULT '[]';",
)
_JSON = {"history", "settings", "begun_with", "inputs", "numbers", "recipe", "also"}


def new_id() -> str:
    """A name that cannot be guessed, 128 bits in hexadecimal."""
    return secrets.token_hex(16)


def checked_id(text: object) -> str:
    """The text, if it is an id: nothing else ever becomes part of a path. Errors: `KeyError`."""
    if not isinstance(text, str) or not ID.fullmatch(text):
        raise KeyError(text)
    return text


class Store:
    """The studio's folder. One studio at a time: it is locked as long as the store is open.

    `listeners` are set whenever something has changed. Errors: `UsageError` where another studio is open,
    `LanternaError` where a newer Lanterna has written the file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listeners: set[asyncio.Event] = set()
        for name in ("pictures", "thumbnails", "jobs", "incoming"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._lock = sqlite3.connect(folder / "open.sqlite", timeout=0, isolation_level=None)
        try:
            self._lock.execute("BEGIN EXCLUSIVE")  # ends with this process, however it ends
        except sqlite3.OperationalError as error:
            raise UsageError(
                f"another studio is open on {folder}: use its page, or set LANTERNA_HOME to another folder"
            ) from error
        for left in (folder / "incoming").iterdir():
            if ID.fullmatch(left.name) and left.is_file():
                left.unlink()
        self._db = sqlite3.connect(folder / "studio.sqlite", isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._migrate()
        self._sweep()
        self.last = int(self._one("SELECT coalesce(max(number), 0) FROM events")[0])
        self.last = max(self.last, self._fact("last"))

    def close(self) -> None:
        """Let another studio open the folder."""
        self._set_fact("last", self.last)
        self._db.close()
        self._lock.close()

    # Pictures as files.

    def file(self, picture: Mapping[str, Any]) -> Path:
        """Where a picture is."""
        return self.folder / "pictures" / f"{checked_id(picture['id'])}{picture['suffix']}"

    def thumbnail(self, picture_id: str) -> Path:
        """Where a picture's thumbnail is."""
        return self.folder / "thumbnails" / f"{checked_id(picture_id)}.jpg"

    def job_folder(self, job_id: str) -> Path:
        """Where a job keeps its checkpoint and its preview."""
        return self.folder / "jobs" / checked_id(job_id)

    def incoming(self) -> Path:
        """A new file for what is being sent."""
        return self.folder / "incoming" / new_id()

    # Jobs.

    def add_job(self, job_id: str | None = None, **fields: object) -> str:
        """Put a job at the end of the queue, and give its id."""
        job_id = job_id or new_id()
        last = self._one("SELECT coalesce(max(place), 0) FROM jobs")[0]
        self._insert(
            "jobs", {"id": job_id, "state": "queued", "place": last + 1, "made": time.time(), **fields}
        )
        self._changed(f"job:{job_id}", "job")
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        """One job, all of it. Errors: `KeyError` where there is none."""
        return self._row("SELECT * FROM jobs WHERE id = ?", job_id)

    def jobs(self) -> list[dict[str, Any]]:
        """Jobs that wait or run, in order, then the last that have ended, newest first."""
        waiting = self._rows(
            "SELECT * FROM jobs WHERE state IN ('running', 'paused', 'queued') "
            "ORDER BY state != 'running', place"
        )
        ended = self._rows(
            "SELECT * FROM jobs WHERE state IN ('done', 'stopped', 'failed') ORDER BY ended DESC LIMIT ?",
            _FINISHED_SHOWN,
        )
        return waiting + ended

    def next_job(self) -> dict[str, Any] | None:
        """The first job that waits."""
        found = self._rows("SELECT * FROM jobs WHERE state = 'queued' ORDER BY place LIMIT 1")
        return found[0] if found else None

    def interrupted(self) -> list[str]:
        """The jobs that were running when the studio ended."""
        return [row["id"] for row in self._rows("SELECT id FROM jobs WHERE state = 'running' ORDER BY place")]

    def change_job(self, job_id: str, **fields: object) -> None:
        """Change a job, and tell."""
        self._update("jobs", job_id, fields)
        self._changed(f"job:{job_id}", "job")

    def progress(self, job_id: str, step: int, numbers: Mapping[str, float], **fields: object) -> None:
        """Note how far a job has come."""
        with self.together():
            self._db.execute(
                "INSERT OR REPLACE INTO numbers VALUES (?, ?, ?)", (job_id, step, json.dumps(numbers))
            )
            self.change_job(job_id, step=step, numbers=numbers, **fields)

    def numbers(self, job_id: str, after: int) -> list[dict[str, Any]]:
        """The numbers that a job has told so far, in order of its steps."""
        return self._rows(
            "SELECT step, numbers FROM numbers WHERE job = ? AND step > ? ORDER BY step LIMIT 20000",
            job_id,
            after,
        )

    def move(self, job_id: str, before: str | None) -> None:
        """Put a waiting job before another, or at the end. Errors: `KeyError` where there is no such job."""
        queue = self._rows("SELECT id, place FROM jobs WHERE state = 'queued' ORDER BY place")
        places = {row["id"]: row["place"] for row in queue if row["id"] != job_id}
        if before is None:
            place = max(places.values(), default=0.0) + 1
        else:
            after = places[before]
            place = (after + max((each for each in places.values() if each < after), default=after - 2)) / 2
        self.change_job(job_id, place=place)

    def to_front(self, job_id: str) -> None:
        """Let a job be the next."""
        first = self._one("SELECT coalesce(min(place), 0) FROM jobs")[0]
        self.change_job(job_id, place=first - 1, state="queued", seconds_left=None)

    def forget_job(self, job_id: str) -> None:
        """Remove a job that has ended; the pictures that it made stay."""
        with self.together():
            self._db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
            self._db.execute("DELETE FROM numbers WHERE job = ?", (job_id,))
            self._changed(f"job:{job_id}", "job")
        shutil.rmtree(self.job_folder(job_id), ignore_errors=True)

    def clear_job(self, job_id: str) -> None:
        """Remove what a job kept while it ran, but for the steps to go back to."""
        for each in self.job_folder(job_id).glob("*"):
            if each.is_dir() and each.name != "history":
                shutil.rmtree(each, ignore_errors=True)
            elif each.is_file():
                each.unlink(missing_ok=True)

    def bound_history(self) -> None:
        """Let the oldest jobs' steps go where all of them are too much for the disk."""
        ended = self._rows(
            "SELECT id FROM jobs WHERE history != '[]' AND ended IS NOT NULL ORDER BY ended DESC"
        )
        for folder in bounded(self.job_folder(row["id"]) for row in ended):
            shutil.rmtree(folder, ignore_errors=True)
            self.change_job(folder.name, history=[])

    # Pictures.

    def add_picture(self, picture_id: str, **fields: object) -> None:
        """Note a picture whose file is in its place already, and tell if it belongs to the gallery."""
        self._insert("pictures", {"id": picture_id, "made": time.time(), **fields})
        if fields["origin"] == "made":
            self._changed(f"picture:{picture_id}", "gallery")

    def picture(self, picture_id: str) -> dict[str, Any]:
        """One picture. Errors: `KeyError` where there is none."""
        return self._row("SELECT * FROM pictures WHERE id = ?", picture_id)

    def picture_of_content(self, sha256: str) -> dict[str, Any] | None:
        """The newest picture whose file has that sha256."""
        found = self._rows(
            "SELECT * FROM pictures WHERE sha256 = ? AND deleted IS NULL ORDER BY made DESC LIMIT 1", sha256
        )
        return found[0] if found else None

    def gallery(
        self,
        *,
        words: str = "",
        room: str | None = None,
        starred: bool = False,
        before: str | None = None,
        limit: int = 60,
    ) -> list[dict[str, Any]]:
        """What was made, newest first: with all the words, of one room, with stars, older than `before`."""
        wanted = ["origin = 'made'", "deleted IS NULL"]
        values: list[object] = []
        for word in words.lower().split()[:12]:
            wanted.append("instr(words, ?) > 0")
            values.append(word)
        if room:
            wanted.append("room = ?")
            values.append(room)
        if starred:
            wanted.append("starred")
        if before:
            older = self.picture(before)
            wanted.append("(made, id) < (?, ?)")
            values += [older["made"], older["id"]]
        return self._rows(
            f"SELECT * FROM pictures WHERE {' AND '.join(wanted)} ORDER BY made DESC, id DESC LIMIT ?",
            *values,
            limit,
        )

    def change_picture(self, picture_id: str, **fields: object) -> None:
        """Change a picture of the gallery, and tell."""
        self._update("pictures", picture_id, fields)
        self._changed(f"picture:{picture_id}", "gallery")

    def forget_deleted(self, older_than: float) -> None:
        """Remove pictures for good that were deleted before that time."""
        for picture in self._rows("SELECT * FROM pictures WHERE deleted < ?", older_than):
            self._db.execute("DELETE FROM pictures WHERE id = ?", (picture["id"],))
            self.remove_files(picture["id"])

    def remove_files(self, picture_id: str) -> None:
        """Remove a picture's files and its thumbnail, whole or in the making."""
        for name in ("pictures", "thumbnails"):
            for file in (self.folder / name).glob(f"*{checked_id(picture_id)}.*"):
                file.unlink(missing_ok=True)

    # What has changed.

    def changes(self, after: int) -> list[tuple[int, str, str]] | None:
        """Things that changed after an event, as (number, event, thing), each once; None where it is too old.

        One row is kept for each thing, the number of its last change: who was away is told the state of
        today, and not every step on the way.
        """
        if after > self.last or after < self._fact("floor"):
            return None
        rows = self._rows("SELECT number, event, thing FROM events WHERE number > ? ORDER BY number", after)
        return [(row["number"], row["event"], row["thing"]) for row in rows]

    def tell(self, thing: str, event: str) -> None:
        """Tell that something has changed that is not kept here."""
        self._changed(thing, event)

    def _changed(self, thing: str, event: str) -> None:
        self.last += 1
        self._db.execute("INSERT OR REPLACE INTO events VALUES (?, ?, ?)", (thing, self.last, event))
        if self.last % 100 == 0:
            self._prune()
        for listener in self.listeners:
            listener.set()

    def _prune(self) -> None:
        oldest = self._rows("SELECT number FROM events ORDER BY number DESC LIMIT 1 OFFSET ?", _KEPT_EVENTS)
        if oldest:
            self._db.execute("DELETE FROM events WHERE number <= ?", (oldest[0]["number"],))
            self._set_fact("floor", oldest[0]["number"])

    def _sweep(self) -> None:
        """Remove what nobody knows of: a studio that was killed left it between a file and its row.

        Only what has a name as we give them: anything else that lies here is somebody's.
        """
        pictures = {row["id"] for row in self._rows("SELECT id FROM pictures")}
        for name in ("pictures", "thumbnails"):
            for file in (self.folder / name).iterdir():
                if (
                    file.is_file()
                    and ID.fullmatch(file.stem)
                    and (file.stem not in pictures or file.suffix == ".new")
                ):
                    file.unlink(missing_ok=True)
        jobs = {row["id"] for row in self._rows("SELECT id FROM jobs")}
        for folder in (self.folder / "jobs").iterdir():
            if not ID.fullmatch(folder.name):
                continue
            if folder.name not in jobs:
                shutil.rmtree(folder, ignore_errors=True)
            for left in (folder / "history").glob(".*"):
                left.unlink(missing_ok=True)

    # SQL.

    def _migrate(self) -> None:
        version = int(self._one("PRAGMA user_version")[0])
        if version > len(_MIGRATIONS):
            raise LanternaError(
                f"{self.folder} was last used by a newer Lanterna: update Lanterna, or set LANTERNA_HOME"
            )
        for number, script in enumerate(_MIGRATIONS[version:], start=version + 1):
            self._db.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")

    def _fact(self, name: str) -> int:
        found = self._rows("SELECT value FROM facts WHERE name = ?", name)
        return int(found[0]["value"]) if found else 0

    def _set_fact(self, name: str, value: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def _one(self, query: str, *values: object) -> sqlite3.Row:
        row: sqlite3.Row = self._db.execute(query, values).fetchone()
        return row

    def _rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        return [_read(row) for row in self._db.execute(query, values)]

    def _row(self, query: str, key: str) -> dict[str, Any]:
        row = self._db.execute(query, (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return _read(row)

    def _insert(self, table: str, fields: Mapping[str, Any]) -> None:
        marks = ", ".join("?" * len(fields))
        query = f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({marks})"
        self._db.execute(query, _written(fields))

    def _update(self, table: str, key: str, fields: Mapping[str, Any]) -> None:
        assignments = ", ".join(f"{name} = ?" for name in fields)
        done = self._db.execute(f"UPDATE {table} SET {assignments} WHERE id = ?", [*_written(fields), key])
        if done.rowcount == 0:
            raise KeyError(key)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """All that is changed in the block is, or nothing."""
        self._db.execute("BEGIN")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite has perhaps gone back by itself, as on a full disk
                self._db.execute("ROLLBACK")
            raise


def _read(row: sqlite3.Row) -> dict[str, Any]:
    fields = {
        name: repair_document(json.loads(row[name])) if name in _JSON and row[name] is not None else row[name]
        for name in row.keys()  # noqa: SIM118  (a Row iterates over its values)
    }
    for name in {"settings", "begun_with"} & fields.keys():
        if fields[name] is not None:
            fields[name] = current_settings(fields["kind"].partition("-")[0], fields[name])
    if "recipe" in fields:
        fields["recipe"] = current_recipe(fields["recipe"])
    return fields


def _written(fields: Mapping[str, Any]) -> list[Any]:
    return [
        json.dumps(value) if name in _JSON and value is not None else value for name, value in fields.items()
    ]
