"""The file of a class: everything that phones sent and what came of it, in one SQLite file.

What a phone sends is committed before it is answered, so that a killed server loses nothing. The file is
locked while a class is open. It may come from a stranger: it is opened only if its tables are exactly ours.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NotRequired

from pydantic import ConfigDict, Field, FiniteFloat, TypeAdapter
from typing_extensions import TypedDict

from lanterna.errors import LanternaError, MissingError, UsageError
from lanterna.files import make_parent
from lanterna.surfaces.classroom.rounds import KINDS, PICTURES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

_APPLICATION = 0x4C414E54  # "LANT"
_TABLES = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE rounds (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, step INTEGER NOT NULL, "
    "question TEXT NOT NULL, result TEXT NOT NULL, began REAL NOT NULL)",
    "CREATE TABLE phones (id INTEGER PRIMARY KEY, secret TEXT UNIQUE, name TEXT)",
    "CREATE TABLE drawings (id INTEGER PRIMARY KEY, round INTEGER NOT NULL, step INTEGER NOT NULL, "
    "phone INTEGER NOT NULL, key TEXT NOT NULL, asked INTEGER, strokes TEXT NOT NULL, reading TEXT, "
    "sight TEXT NOT NULL, sent REAL NOT NULL, UNIQUE (phone, key))",
    "CREATE INDEX drawings_of_rounds ON drawings (round, id)",
    "CREATE TABLE votes (round INTEGER NOT NULL, phone INTEGER NOT NULL, choices TEXT NOT NULL, "
    "PRIMARY KEY (round, phone))",
    "CREATE TABLE files (round INTEGER NOT NULL, name TEXT NOT NULL, content BLOB NOT NULL, "
    "PRIMARY KEY (round, name))",
)

Strokes = list[list[int]]
"""Lines of a pen, each as x, y, x, y … from 0 to 255."""
Sight = Literal["shown", "waiting", "hidden"]
"""Whether a drawing is on the screen, waits to be shown by the teacher, or was hidden by the teacher."""
MAX_STROKES, MAX_POINTS = 60, 1200
"""Of a drawing."""
NAME = 20
"""Characters of a nickname."""

_NETWORK = "network.safetensors"
_STRICT = ConfigDict(strict=True, extra="forbid")
_Count = Annotated[int, Field(ge=0)]
_Level = Annotated[int, Field(ge=0, le=255)]
_Chances = Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=10, max_length=10)]
_Digit = Annotated[int, Field(ge=0, le=9)]


class _Reading(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    chances: _Chances
    own: NotRequired[_Chances]


class _Question(TypedDict):
    """What is voted on: how a drawing is read, a lesson's claim, or one of its exercises."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]
    title: str
    text: str
    choices: Annotated[list[str], Field(min_length=2, max_length=PICTURES)]
    drawing: NotRequired[int]
    lesson: NotRequired[str]
    exercise: NotRequired[int]


class _Result(TypedDict, total=False):
    """What came of a round, by kind; `note` says why nothing did."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]
    note: str
    right: _Count
    words: str
    learned: _Count
    curve: list[FiniteFloat]
    step: _Count
    steps: _Count
    loss: FiniteFloat
    accuracy: FiniteFloat
    reads: dict[str, _Digit]
    thumbnails: _Count
    painted: dict[Literal["first", "second", "both"], str]
    digits: Annotated[
        list[Annotated[list[_Level], Field(min_length=784, max_length=784)]], Field(max_length=PICTURES)
    ]
    imagined: list[_Count]


_Stroke = Annotated[list[_Level], Field(min_length=2, max_length=2 * MAX_POINTS)]
_STROKES = TypeAdapter(Annotated[list[_Stroke], Field(min_length=1, max_length=MAX_STROKES)])
_READING, _QUESTION, _RESULT = TypeAdapter(_Reading), TypeAdapter(_Question), TypeAdapter(_Result)
_DRAWING = TypeAdapter(tuple[int, _Digit | None, Sight])
_CHOICES = TypeAdapter(Annotated[list[_Count], Field(max_length=PICTURES)])


class Drawing(NamedTuple):
    """A drawing as it is saved. `asked` is the digit that the phone was asked for, if it was.

    `reading` is None until it has been read; then it has `chances`, ten numbers, and in the test of the
    class's network `own`, that network's ten.
    """

    id: int
    round: int
    step: int
    phone: int
    asked: int | None
    strokes: Strokes
    reading: dict[str, Any] | None
    sight: Sight


class Round(NamedTuple):
    """A round as it is saved: which kind, how far it is, what is asked and what came of it."""

    id: int
    kind: str
    step: int
    question: dict[str, Any]
    result: dict[str, Any]


class ClassFile:
    """The open file of a class; created if `create`.

    Errors: `UsageError` if it is open already or no class's file, `MissingError` if there is none,
    `LanternaError` if it cannot be written.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        if path.is_dir():
            raise UsageError(f"{path} is a folder: expected the file of a class")
        new = not path.exists()
        if new and not create:
            raise MissingError(f"there is no class in {path}: `lanterna class` begins one")
        try:
            if not new and (path.stat().st_size or not create):
                _check_kind(path)
            make_parent(path)
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None)
            try:
                self._open()
            except BaseException as error:
                self._db.close()
                if new and "locked" not in str(error):  # otherwise it is another's
                    remove(path)
                raise
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise UsageError(
                    f"{path} is open already: use its page, or give this class another file"
                ) from error
            raise not_saved(path, error) from error
        except sqlite3.DatabaseError as error:
            raise _damaged(path) from error
        except OSError as error:
            raise LanternaError(f"cannot write {path}: {error.strerror or error}") from error

    def _open(self) -> None:
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA trusted_schema = OFF")
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        with self._transaction():
            # Before the journal is a WAL, so that the file itself says from the start what it is.
            if not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
                for table in _TABLES:
                    self._db.execute(table)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._check()

    def _check(self) -> None:
        """Check every value: the file may come from a stranger. Errors: `UsageError`."""
        try:
            if self._db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise ValueError("broken pages")
            self._check_rounds()
            for (choices,) in self._db.execute("SELECT choices FROM votes"):
                _CHOICES.validate_json(choices)
            for (name,) in self._db.execute("SELECT name FROM phones WHERE name IS NOT NULL"):
                if not isinstance(name, str) or len(name) > NAME:
                    raise ValueError("a name that no phone can send")
            for (value,) in self._db.execute("SELECT value FROM facts WHERE name = 'code'"):
                if not re.fullmatch("[A-Z]{4}", value):
                    raise ValueError("a code that nobody can type")
            if self._db.execute("SELECT 1 FROM files WHERE typeof(content) <> 'blob'").fetchone():
                raise ValueError("a file without bytes")
        except (ValueError, LookupError, TypeError, sqlite3.Error) as error:
            raise _damaged(self.path) from error

    def _check_rounds(self) -> None:
        """Check the rounds and the drawings. Errors: `ValueError`, `LookupError`, `TypeError`."""
        steps, asked_about = {}, set()
        for round_, kind, step, question, result in self._db.execute(
            "SELECT id, kind, step, question, result FROM rounds"
        ):
            steps[round_] = range(len(KINDS[kind].steps))
            if question != "{}":
                asked_about.add(_QUESTION.validate_json(question).get("drawing"))
            learned = _RESULT.validate_json(result).get("learned")
            if step not in steps[round_] or (learned and not self._has(round_, _NETWORK)):
                raise ValueError("a step that there is not, or no network")
        drawings = {None}
        for id_, round_, step, asked, strokes, reading, sight in self._db.execute(
            "SELECT id, round, step, asked, strokes, reading, sight FROM drawings"
        ):
            drawings.add(id_)
            if any(len(stroke) % 2 for stroke in _STROKES.validate_json(strokes, strict=True)):
                raise ValueError("half a point")
            if reading not in (None, "{}"):
                _READING.validate_json(reading)
            _DRAWING.validate_python((step, asked, sight), strict=True)
            if step not in steps[round_]:
                raise ValueError("a drawing of no step")
        if asked_about - drawings:
            raise ValueError("a question about no drawing")

    def _has(self, round_: int, name: str) -> bool:
        query = "SELECT 1 FROM files WHERE round = ? AND name = ?"
        return self._db.execute(query, (round_, name)).fetchone() is not None

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    def close(self) -> None:
        """Close the file; nothing but the file itself is left."""
        self._db.close()

    # Facts.

    def fact(self, name: str, default: str) -> str:
        """Return a fact about the class; if there is none, save and return the default."""
        self._db.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, default))
        return str(self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()[0])

    def counts(self) -> dict[str, int]:
        """Return how many `rounds`, `drawings`, `votes` and `phones` there are."""
        tables = ("rounds", "drawings", "votes", "phones")
        return {each: self._db.execute(f"SELECT count(*) FROM {each}").fetchone()[0] for each in tables}

    # Rounds.

    def add_round(self, kind: str, question: dict[str, Any]) -> int:
        """Begin a round and return its id."""
        row = (kind, json.dumps(question), time.time())
        found = self._db.execute(
            "INSERT INTO rounds (kind, step, question, result, began) VALUES (?, 0, ?, '{}', ?)", row
        )
        return int(found.lastrowid or 0)

    def rounds(self) -> list[Round]:
        """Return all rounds, the first first."""
        return [
            Round(row["id"], row["kind"], row["step"], json.loads(row["question"]), json.loads(row["result"]))
            for row in self._db.execute("SELECT * FROM rounds ORDER BY id")
        ]

    def set_round(self, round_: Round) -> None:
        """Save a round's step, question and result."""
        row = (round_.step, json.dumps(round_.question), json.dumps(round_.result), round_.id)
        self._db.execute("UPDATE rounds SET step = ?, question = ?, result = ? WHERE id = ?", row)

    # Phones.

    def add_phone(self, secret: str) -> int:
        """Add a phone with the hash of its id, and return its number."""
        return int(self._db.execute("INSERT INTO phones (secret) VALUES (?)", (secret,)).lastrowid or 0)

    def phones(self) -> dict[str, int]:
        """Return the numbers of the phones by the hashes of their ids."""
        found = self._db.execute("SELECT secret, id FROM phones WHERE secret IS NOT NULL")
        return {row["secret"]: row["id"] for row in found}

    def forget_phone(self, phone: int) -> None:
        """Remove a phone's id, so that its place is free; what it sent stays."""
        self._db.execute(
            "DELETE FROM phones WHERE id = :id AND name IS NULL AND NOT EXISTS "
            "(SELECT 1 FROM drawings WHERE phone = :id) AND NOT EXISTS "
            "(SELECT 1 FROM votes WHERE phone = :id)",
            {"id": phone},
        )
        self._db.execute("UPDATE phones SET secret = NULL WHERE id = ?", (phone,))

    def set_name(self, phone: int, name: str) -> None:
        """Save a nickname."""
        self._db.execute("UPDATE phones SET name = ? WHERE id = ?", (name, phone))

    def names(self) -> dict[int, str]:
        """Return the nicknames by the phones' numbers."""
        found = self._db.execute("SELECT id, name FROM phones WHERE name IS NOT NULL")
        return {row["id"]: row["name"] for row in found}

    # Drawings.

    def add_drawing(
        self, round_: Round, phone: int, key: str, asked: int | None, strokes: Strokes, sight: Sight
    ) -> int | None:
        """Save a drawing and return its id, or None if this phone has sent it before."""
        words = json.dumps(strokes, separators=(",", ":"))
        row = (round_.id, round_.step, phone, key, asked, words, sight, time.time())
        found = self._db.execute(
            "INSERT OR IGNORE INTO drawings (round, step, phone, key, asked, strokes, sight, sent) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        return found.lastrowid if found.rowcount else None

    def drawing(self, drawing: int) -> Drawing:
        """Return a drawing. Errors: `KeyError` if there is none."""
        found = self._drawings("WHERE id = ?", (drawing,))
        if not found:
            raise KeyError(drawing)
        return found[0]

    def drawings(self, round_: int, *, last: int | None = None, step: int | None = None) -> list[Drawing]:
        """Return a round's drawings in order; only the `last` that are not hidden, or those of a step."""
        if last is None:
            return self._drawings("WHERE round = ? ORDER BY id", (round_,))
        where = "WHERE round = ? AND step = coalesce(?, step) AND sight <> 'hidden' ORDER BY id DESC LIMIT ?"
        return self._drawings(where, (round_, step, last))[::-1]

    def unread(self) -> list[Drawing]:
        """Return the drawings that have not been read."""
        return self._drawings("WHERE reading IS NULL ORDER BY id")

    def sent(self) -> dict[int, int]:
        """Return how many drawings each phone has sent."""
        found = self._db.execute("SELECT phone, count(*) FROM drawings GROUP BY phone")
        return {row[0]: row[1] for row in found}

    def least_certain(self) -> Drawing | None:
        """Return the drawing in sight that was read least certainly among the latest, or None."""
        where = "WHERE sight = 'shown' AND reading <> '{}' ORDER BY id DESC LIMIT 500"
        return min(self._drawings(where), key=lambda each: max((each.reading or {})["chances"]), default=None)

    def _drawings(self, where: str, values: Sequence[object] = ()) -> list[Drawing]:
        return [
            Drawing(
                row["id"], row["round"], row["step"], row["phone"], row["asked"], json.loads(row["strokes"]),
                json.loads(row["reading"]) if row["reading"] else None, row["sight"],
            )
            for row in self._db.execute(f"SELECT * FROM drawings {where}", values)
        ]  # fmt: skip

    def set_readings(self, readings: Iterable[tuple[int, dict[str, Any]]]) -> None:
        """Save how drawings were read."""
        rows = [(json.dumps(reading), drawing) for drawing, reading in readings]
        with self._transaction():
            self._db.executemany("UPDATE drawings SET reading = ? WHERE id = ?", rows)

    def set_sight(self, drawing: int, sight: Sight) -> None:
        """Show or hide a drawing."""
        self._db.execute("UPDATE drawings SET sight = ? WHERE id = ?", (sight, drawing))

    def waiting(self, round_: int) -> list[Drawing]:
        """Return the drawings of a round that wait to be shown."""
        return self._drawings("WHERE round = ? AND sight = 'waiting' ORDER BY id", (round_,))

    # Votes.

    def vote(self, round_: int, phone: int, choices: list[int]) -> None:
        """Save a phone's vote in a round instead of the one before."""
        self._db.execute(
            "INSERT OR REPLACE INTO votes VALUES (?, ?, ?)", (round_, phone, json.dumps(choices))
        )

    def votes(self, round_: int) -> dict[int, list[int]]:
        """Return what each phone chose in a round."""
        found = self._db.execute("SELECT phone, choices FROM votes WHERE round = ?", (round_,))
        return {row["phone"]: json.loads(row["choices"]) for row in found}

    def clear_votes(self, round_: int) -> None:
        """Remove a round's votes: another question is asked."""
        self._db.execute("DELETE FROM votes WHERE round = ?", (round_,))

    # Files.

    def save(self, round_: int, name: str, content: bytes) -> None:
        """Save a picture or a network of a round."""
        self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (round_, name, content))

    def read(self, round_: int, name: str) -> bytes:
        """Return a picture or a network. Errors: `KeyError` if there is none."""
        query = "SELECT content FROM files WHERE round = ? AND name = ?"
        row = self._db.execute(query, (round_, name)).fetchone()
        if row is None:
            raise KeyError(name)
        return bytes(row[0])


class _Transaction:
    """Everything in the block is saved, or nothing."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


def _check_kind(path: Path) -> None:
    """Refuse a file that is not a class's, without changing it, or one that is cut off.

    Errors: `UsageError`, or `sqlite3.DatabaseError` if its first pages cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(72)
    ours = head.startswith(b"SQLite format 3\0") and head[68:] == _APPLICATION.to_bytes(4, "big")
    if ours:
        # Immutable: nothing is written, neither to the file nor next to it.
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            tables = database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        ours = {row[0] for row in tables} == set(_TABLES)
    if not ours:
        raise UsageError(f"{path} is not the file of a class")


def _damaged(path: Path) -> UsageError:
    return UsageError(f"{path} is damaged, or was not written by Lanterna")


def not_saved(path: Path, error: sqlite3.Error) -> LanternaError:
    """Return the error that says that a class's file cannot be written."""
    return LanternaError(f"cannot write {path}: {'the disk is full' if 'is full' in str(error) else error}")


def remove(path: Path) -> None:
    """Remove a class's file, and what SQLite keeps next to it; of a link, what it leads to, and the link."""
    file = path.resolve()
    for suffix in ("", "-wal", "-shm", "-journal"):
        file.with_name(f"{file.name}{suffix}").unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def forget(path: Path, agreed: Callable[[dict[str, int]], bool]) -> dict[str, int] | None:
    """Remove a class's file and return how much was in it, or None if that is not `agreed`.

    Errors: as of `ClassFile`.
    """
    with closing(ClassFile(path, create=False)) as file:
        counts = file.counts()
        if not agreed(counts):
            return None
    remove(path)
    return counts
