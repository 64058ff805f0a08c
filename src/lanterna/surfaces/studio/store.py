"""The studio's storage: jobs, pictures and change events in one SQLite file, with the picture files.

Every change is committed before listeners are notified, so that a killed server loses nothing. Only the event
loop's thread uses the store.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import sqlite3
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from lanterna.documents import repair_document
from lanterna.errors import LanternaError, UsageError
from lanterna.renamed import current_document, current_settings
from lanterna.surfaces.studio.history import over_limit
from lanterna.surfaces.studio.names import tags_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ID = re.compile(r"[0-9a-f]{32}")
_MAX_EVENTS = 2000
_MAX_FINISHED = 50  # jobs that are listed
_MAX_SAVED = 500  # finished jobs; the pictures of older ones stay

# One script per version; an older store runs the ones that are missing.
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
    "ALTER TABLE pictures ADD COLUMN note TEXT NOT NULL DEFAULT '';",
    "ALTER TABLE jobs ADD COLUMN seconds REAL;",  # of a job that ran to its end without a pause
    "ALTER TABLE pictures ADD COLUMN tags TEXT NOT NULL DEFAULT '';",  # each in a line: "\ncats\nsmall\n"
)
_JSON = {"history", "settings", "begun_with", "inputs", "numbers", "recipe", "also"}


def new_id() -> str:
    """Return an unguessable id: 128 bits in hexadecimal."""
    return secrets.token_hex(16)


def checked_id(text: object) -> str:
    """Return the text if it is an id: nothing else may become part of a path. Errors: `KeyError`."""
    if not isinstance(text, str) or not ID.fullmatch(text):
        raise KeyError(text)
    return text


class Store:
    """The studio's folder, which is locked as long as the store is open: one studio at a time.

    `listeners` are set whenever something changes. Errors: `UsageError` if another studio is open,
    `LanternaError` if a newer Lanterna has written the file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wall = folder / "wall"
        self.listeners: set[asyncio.Event] = set()
        for name in ("pictures", "thumbnails", "wall", "jobs", "incoming"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._lock = sqlite3.connect(folder / "open.sqlite", timeout=0, isolation_level=None)
        try:
            self._lock.execute("BEGIN EXCLUSIVE")  # released with this process, however it ends
        except sqlite3.OperationalError as error:
            raise UsageError(
                f"another studio is open on {folder}: use its page, or set LANTERNA_HOME to another folder"
            ) from error
        for leftover in (folder / "incoming").iterdir():
            if ID.fullmatch(leftover.name) and leftover.is_file():
                leftover.unlink()
        self._db = sqlite3.connect(folder / "studio.sqlite", isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._migrate()
        self._remove_orphans()
        self.last_event = int(self._one("SELECT coalesce(max(number), 0) FROM events")[0])
        self.last_event = max(self.last_event, self._fact("last"))

    def close(self) -> None:
        """Close the database and unlock the folder."""
        self._set_fact("last", self.last_event)
        self._db.close()
        self._lock.close()

    # Files.

    def file(self, picture: Mapping[str, Any]) -> Path:
        """Return the path of a picture."""
        return self.folder / "pictures" / f"{checked_id(picture['id'])}{picture['suffix']}"

    def thumbnail(self, picture_id: str) -> Path:
        """Return the path of a picture's thumbnail."""
        return self.folder / "thumbnails" / f"{checked_id(picture_id)}.jpg"

    def wall_thumbnail(self, picture_id: str, style: int | str) -> Path:
        """Return the path of a picture in a built-in style, or in that of the painting with an id."""
        name = style if isinstance(style, int) else checked_id(style)
        return self.wall / f"{checked_id(picture_id)}-{name}.jpg"

    def job_folder(self, job_id: str) -> Path:
        """Return the folder of a job's checkpoint and preview."""
        return self.folder / "jobs" / checked_id(job_id)

    def incoming(self) -> Path:
        """Return a new path for an upload."""
        return self.folder / "incoming" / new_id()

    # Jobs.

    def add_job(self, job_id: str | None = None, **fields: object) -> str:
        """Append a job to the queue, and return its id."""
        job_id = job_id or new_id()
        last = self._one("SELECT coalesce(max(place), 0) FROM jobs")[0]
        self._insert(
            "jobs", {"id": job_id, "state": "queued", "place": last + 1, "made": time.time(), **fields}
        )
        self._record_change(f"job:{job_id}", "job")
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job with all its fields. Errors: `KeyError` if there is none."""
        return self._row("SELECT * FROM jobs WHERE id = ?", job_id)

    def jobs(self) -> list[dict[str, Any]]:
        """Return the waiting and running jobs in order, then the latest finished ones, newest first."""
        waiting = self._rows(
            "SELECT * FROM jobs WHERE state IN ('running', 'paused', 'queued') "
            "ORDER BY state != 'running', place"
        )
        ended = self._rows(
            "SELECT * FROM jobs WHERE state IN ('done', 'stopped', 'failed') ORDER BY ended DESC LIMIT ?",
            _MAX_FINISHED,
        )
        return waiting + ended

    def timed_jobs(self, kind: str) -> list[dict[str, Any]]:
        """Return the latest jobs of a kind that ran to their end without a pause, newest first."""
        return self._rows(
            "SELECT kind, settings, inputs, seconds FROM jobs WHERE kind = ? AND seconds IS NOT NULL "
            "ORDER BY ended DESC LIMIT ?",
            kind,
            _MAX_FINISHED,
        )

    def next_job(self) -> dict[str, Any] | None:
        """Return the first waiting job, or None."""
        found = self._rows("SELECT * FROM jobs WHERE state = 'queued' ORDER BY place LIMIT 1")
        return found[0] if found else None

    def interrupted(self) -> list[str]:
        """Return the ids of the jobs that were running when the studio ended."""
        return [row["id"] for row in self._rows("SELECT id FROM jobs WHERE state = 'running' ORDER BY place")]

    def change_job(self, job_id: str, **fields: object) -> None:
        """Update a job, and notify listeners."""
        self._update("jobs", job_id, fields)
        self._record_change(f"job:{job_id}", "job")

    def record_progress(self, job_id: str, step: int, numbers: Mapping[str, float], **fields: object) -> None:
        """Record a job's progress; later steps belong to a run that was rewound."""
        with self.transaction():
            self.remove_numbers(job_id, step)
            self._db.execute(
                "INSERT OR REPLACE INTO numbers VALUES (?, ?, ?)", (job_id, step, json.dumps(numbers))
            )
            self.change_job(job_id, step=step, numbers=numbers, **fields)

    def remove_numbers(self, job_id: str, after: int) -> None:
        """Remove the numbers that a job has reported after a step."""
        self._db.execute("DELETE FROM numbers WHERE job = ? AND step > ?", (job_id, after))

    def numbers(self, job_id: str, after: int) -> list[dict[str, Any]]:
        """Return the numbers that a job has reported after a step, in order."""
        return self._rows(
            "SELECT step, numbers FROM numbers WHERE job = ? AND step > ? ORDER BY step LIMIT 20000",
            job_id,
            after,
        )

    def unique_title(self, table: str, title: str) -> str:
        """Return a title that no row of a table has: the given one, numbered if it is taken."""
        query, number, candidate = f"SELECT count(*) FROM {table} WHERE title = ?", 1, title
        while title and self._one(query, candidate)[0]:
            number += 1
            candidate = f"{title} ({number})"
        return candidate

    def move(self, job_id: str, before: str | None) -> None:
        """Move a waiting job before another, or to the end. Errors: `KeyError` if there is no such job."""
        queue = self._rows("SELECT id, place FROM jobs WHERE state = 'queued' ORDER BY place")
        places = {row["id"]: row["place"] for row in queue if row["id"] != job_id}
        if before is None:
            place = max(places.values(), default=0.0) + 1
        else:
            after = places[before]
            place = (after + max((each for each in places.values() if each < after), default=after - 2)) / 2
        self.change_job(job_id, place=place)

    def to_front(self, job_id: str) -> None:
        """Make a job the next one to run."""
        first = self._one("SELECT coalesce(min(place), 0) FROM jobs")[0]
        self.change_job(job_id, place=first - 1, state="queued", seconds_left=None)

    def remove_job(self, job_id: str) -> None:
        """Remove a finished job; its pictures stay."""
        with self.transaction():
            self._db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
            self._db.execute("DELETE FROM numbers WHERE job = ?", (job_id,))
            self._record_change(f"job:{job_id}", "job")
        shutil.rmtree(self.job_folder(job_id), ignore_errors=True)

    def clear_job_folder(self, job_id: str) -> None:
        """Delete a job's working files, except its saved steps."""
        for each in self.job_folder(job_id).glob("*"):
            if each.is_dir() and each.name != "history":
                shutil.rmtree(each, ignore_errors=True)
            elif each.is_file():
                each.unlink(missing_ok=True)

    def limit_jobs(self) -> None:
        """Remove the oldest finished jobs, and the numbers of those that are no longer listed."""
        older = "SELECT id FROM jobs WHERE ended IS NOT NULL ORDER BY ended DESC LIMIT -1 OFFSET ?"
        self._db.execute(f"DELETE FROM numbers WHERE job IN ({older})", (_MAX_FINISHED,))
        for row in self._rows(older, _MAX_SAVED):
            self.remove_job(row["id"])

    def limit_history(self) -> None:
        """Delete the oldest jobs' saved steps if the total exceeds the disk limit."""
        ended = self._rows(
            "SELECT id FROM jobs WHERE history != '[]' AND ended IS NOT NULL ORDER BY ended DESC"
        )
        for folder in over_limit(self.job_folder(row["id"]) for row in ended):
            shutil.rmtree(folder, ignore_errors=True)
            self.change_job(folder.name, history=[])

    # Pictures.

    def add_picture(self, picture_id: str, **fields: object) -> None:
        """Add a picture whose file is in place already; notify listeners if it belongs to the gallery."""
        self._insert("pictures", {"id": picture_id, "made": time.time(), **fields})
        if fields["origin"] == "made":
            self._record_change(f"picture:{picture_id}", "gallery")

    def picture(self, picture_id: str) -> dict[str, Any]:
        """Return a picture with all its fields. Errors: `KeyError` if there is none."""
        return self._row("SELECT * FROM pictures WHERE id = ?", picture_id)

    def picture_by_sha256(self, sha256: str) -> dict[str, Any] | None:
        """Return the newest picture whose file has that sha256, or None."""
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
        tag: str = "",
        before: str | None = None,
        limit: int = 60,
    ) -> list[dict[str, Any]]:
        """Return results, newest first: with all the words, of a room, starred, with a tag, before one."""
        conditions = ["origin = 'made'", "deleted IS NULL"]
        values: list[object] = []
        for word in words.lower().split()[:12]:
            conditions.append("instr(words || tags, ?) > 0")
            values.append(word)
        if room:
            conditions.append("room = ?")
            values.append(room)
        if starred:
            conditions.append("starred")
        if tag:
            conditions.append("instr(tags, ?) > 0")
            values.append(f"\n{tag}\n")
        if before:
            older = self.picture(before)
            conditions.append("(made, id) < (?, ?)")
            values += [older["made"], older["id"]]
        return self._rows(
            f"SELECT * FROM pictures WHERE {' AND '.join(conditions)} ORDER BY made DESC, id DESC LIMIT ?",
            *values,
            limit,
        )

    def tags(self) -> dict[str, int]:
        """Return the gallery's tags with the number of pictures of each, in alphabetical order."""
        rows = self._rows("SELECT tags FROM pictures WHERE tags != '' AND deleted IS NULL")
        return dict(sorted(Counter(tag for row in rows for tag in tags_of(row)).items()))

    def change_picture(self, picture_id: str, **fields: object) -> None:
        """Update a picture of the gallery, and notify listeners."""
        self._update("pictures", picture_id, fields)
        self._record_change(f"picture:{picture_id}", "gallery")

    def purge_deleted(self, older_than: float) -> None:
        """Remove for good the pictures that were deleted before that time."""
        for picture in self._rows("SELECT * FROM pictures WHERE deleted < ?", older_than):
            self._db.execute("DELETE FROM pictures WHERE id = ?", (picture["id"],))
            self.remove_files(picture["id"])

    def remove_files(self, picture_id: str) -> None:
        """Remove a picture's files and its thumbnail, complete or half-written."""
        for name in ("pictures", "thumbnails"):
            for file in (self.folder / name).glob(f"*{checked_id(picture_id)}.*"):
                file.unlink(missing_ok=True)
        for file in self.wall.glob(f"*{picture_id}*"):
            file.unlink(missing_ok=True)

    # Change events.

    def changes(self, after: int) -> list[tuple[int, str, str]] | None:
        """Return the changes after an event as (number, event, thing), or None if that event is too old.

        Only the last change of each thing is stored: a client that was away gets the current state, not the
        steps that led to it.
        """
        if after > self.last_event or after < self._fact("floor"):
            return None
        rows = self._rows("SELECT number, event, thing FROM events WHERE number > ? ORDER BY number", after)
        return [(row["number"], row["event"], row["thing"]) for row in rows]

    def notify(self, thing: str, event: str) -> None:
        """Notify listeners of a change to something outside this store."""
        self._record_change(thing, event)

    def _record_change(self, thing: str, event: str) -> None:
        self.last_event += 1
        self._db.execute("INSERT OR REPLACE INTO events VALUES (?, ?, ?)", (thing, self.last_event, event))
        if self.last_event % 100 == 0:
            self._prune()
        for listener in self.listeners:
            listener.set()

    def _prune(self) -> None:
        oldest = self._rows("SELECT number FROM events ORDER BY number DESC LIMIT 1 OFFSET ?", _MAX_EVENTS)
        if oldest:
            self._db.execute("DELETE FROM events WHERE number <= ?", (oldest[0]["number"],))
            self._set_fact("floor", oldest[0]["number"])

    def _remove_orphans(self) -> None:
        """Delete files without a database row, left when a studio was killed between writing the two.

        Only files that are named as the studio names them: any other file belongs to somebody else.
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
            for leftover in (folder / "history").glob(".*"):
                leftover.unlink(missing_ok=True)

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
        return [_decode_row(row) for row in self._db.execute(query, values)]

    def _row(self, query: str, key: str) -> dict[str, Any]:
        row = self._db.execute(query, (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return _decode_row(row)

    def _insert(self, table: str, fields: Mapping[str, Any]) -> None:
        marks = ", ".join("?" * len(fields))
        query = f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({marks})"
        self._db.execute(query, _encode_fields(fields))

    def _update(self, table: str, key: str, fields: Mapping[str, Any]) -> None:
        assignments = ", ".join(f"{name} = ?" for name in fields)
        done = self._db.execute(
            f"UPDATE {table} SET {assignments} WHERE id = ?", [*_encode_fields(fields), key]
        )
        if done.rowcount == 0:
            raise KeyError(key)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all changes of the block, or none."""
        self._db.execute("BEGIN")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite may have rolled back already, as on a full disk
                self._db.execute("ROLLBACK")
            raise


def _decode_row(row: sqlite3.Row) -> dict[str, Any]:
    fields = {
        name: repair_document(json.loads(row[name])) if name in _JSON and row[name] is not None else row[name]
        for name in row.keys()  # noqa: SIM118  (a Row iterates over its values)
    }
    for name in {"settings", "begun_with"} & fields.keys():
        if fields[name] is not None:
            fields[name] = current_settings(fields["kind"].partition("-")[0], fields[name])
    if recipe := fields.get("recipe"):
        fields["recipe"] = current_document((recipe.get("kind") or "").partition("-")[0], recipe)
    return fields


def _encode_fields(fields: Mapping[str, Any]) -> list[Any]:
    return [
        json.dumps(value) if name in _JSON and value is not None else value for name, value in fields.items()
    ]
