"""The file of a class: nothing is lost, nothing foreign is opened, nothing is left of what is forgotten."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest
from starlette.exceptions import HTTPException

from lanterna.errors import LanternaError, UsageError
from lanterna.surfaces.classroom.class_file import ClassFile
from lanterna.surfaces.classroom.room import Room
from lanterna.surfaces.classroom.views import screen_state
from lanterna.surfaces.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def test_a_kill_loses_nothing(tmp_path: Path) -> None:
    path, after = tmp_path / "class.sqlite", tmp_path / "after"
    after.mkdir()
    with closing(ClassFile(path)) as held:
        code = Room(held).code
        round_ = held.rounds()[0]
        assert held.add_drawing(round_, 1, "00000001", None, [[1, 2, 3, 4]], "shown") == 1
        held.vote(1, 1, [3])
        for file in tmp_path.glob("class.sqlite*"):  # what is on the disk when the power fails
            shutil.copy(file, after)
    with closing(ClassFile(after / "class.sqlite")) as held:
        again = Room(held)
        assert again.code == code
        assert [each.strokes for each in held.drawings(1)] == [[[1, 2, 3, 4]]]
        assert [each.id for each in held.unread()] == [1]
        assert held.votes(1) == {1: [3]}
    assert [each.name for each in after.iterdir()] == ["class.sqlite"]


def test_a_class_is_open_once(tmp_path: Path) -> None:
    with closing(ClassFile(tmp_path / "class.sqlite")), pytest.raises(UsageError, match="is open already"):
        ClassFile(tmp_path / "class.sqlite")


def test_a_class_that_was_held_is_only_looked_at(tmp_path: Path) -> None:
    with closing(ClassFile(tmp_path / "class.sqlite")) as held:
        room = Room(held)
        held.add_drawing(room.round, 1, "00000001", None, [[1, 2, 3, 4]], "shown")
        room.go(1)
        room.begin("fool")
        room.begin("draw")
        review = Room(held, review=True)
        shown = []
        for _ in range(6):
            state = screen_state(review)
            shown.append((state["kind"], state["step"], state["tally"]["drawn"]))
            review.go(1)
        fooled, drawn = ("fool", "draw", 0), ("draw", "draw", 0)
        assert shown == [drawn, fooled, *[drawn] * 4]  # nobody joins it
        with pytest.raises(HTTPException, match="this class is over"):
            review.begin("hunt")
        assert [each.step for each in held.rounds()] == [1, 0, 0]


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE other (x)",
        "PRAGMA application_id = 1279348308; CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    ],
)
def test_other_databases_are_refused_and_unchanged(tmp_path: Path, script: str) -> None:
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(script)
    before = path.read_bytes()
    with pytest.raises(LanternaError, match="is not the file of a class"):
        ClassFile(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["other.sqlite"]


def test_an_empty_file_is_not_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.sqlite").touch()
    for option in ("--open", "--forget"):
        assert main(["class", str(tmp_path / "empty.sqlite"), option]) == 2
        assert "is not the file of a class" in capsys.readouterr().err
    assert (tmp_path / "empty.sqlite").stat().st_size == 0


@pytest.mark.parametrize("kept", [3000, 9000, -4096])
def test_a_file_that_is_cut_off_is_damaged(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "class.sqlite"
    with closing(ClassFile(path)) as held:
        Room(held)
    content = path.read_bytes()[:kept]
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is damaged"):
        ClassFile(path)


def test_a_full_disk_leaves_no_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = sqlite3.OperationalError("database or disk is full")
    monkeypatch.setattr(ClassFile, "_check", Mock(side_effect=full))
    with pytest.raises(LanternaError, match=r"class\.sqlite: the disk is full"):
        ClassFile(tmp_path / "class.sqlite")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE drawings SET strokes = '[[1, 2, 999]]'",
        "UPDATE drawings SET strokes = '<script>'",
        "UPDATE drawings SET reading = '{\"chances\": [1]}'",
        "UPDATE drawings SET sight = 'elsewhere'",
        "UPDATE rounds SET kind = 'other'",
        "UPDATE rounds SET step = 9",
        "UPDATE rounds SET step = -1",
        'UPDATE rounds SET question = \'{"drawing": 0, "title": "", "text": "", "choices": ["1", "2"]}\'',
        'UPDATE rounds SET question = \'{"title": "", "text": ""}\'',
        "UPDATE rounds SET result = '{\"loss\": NaN}'",
        "UPDATE rounds SET result = '{\"learned\": 10}'",
        'UPDATE rounds SET result = \'{"script": ""}\'',
        "UPDATE drawings SET round = 7",
        "UPDATE drawings SET step = 2",
        "UPDATE drawings SET strokes = '[[1, 2, 3]]'",
        "UPDATE drawings SET strokes = '[[\"1\", 2]]'",
        "UPDATE drawings SET reading = '{\"own\": [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]}'",
        "UPDATE drawings SET reading = '{\"chances\": [0, 0, 0, 0, 0, 0, 0, 0, 0, NaN]}'",
        "UPDATE facts SET value = '<b>'",
        "INSERT INTO phones (name) VALUES (x'ff')",
        "INSERT INTO phones (name) VALUES (CAST(x'ff' AS TEXT))",
        "INSERT INTO files VALUES (1, 'network.safetensors', 7)",
        "UPDATE rounds SET question = '{\"drawing\": 7}'",
        "UPDATE rounds SET result = '{\"digits\": [[1]]}'",
        "INSERT INTO votes VALUES (1, 1, '[\"x\"]')",
    ],
)
def test_a_class_with_other_values_is_refused(tmp_path: Path, script: str) -> None:
    path = tmp_path / "class.sqlite"
    with closing(ClassFile(path)) as held:
        held.add_drawing(Room(held).round, 1, "00000001", None, [[1, 2]], "shown")
    ClassFile(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(script)
        database.commit()
    with pytest.raises(UsageError, match="is damaged"):
        ClassFile(path)


def test_a_class_with_a_trigger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "class.sqlite"
    ClassFile(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TRIGGER t AFTER INSERT ON votes BEGIN DELETE FROM drawings; END")
        database.commit()
    with pytest.raises(UsageError, match="is not the file of a class"):
        ClassFile(path)


def test_a_class_that_cannot_begin_leaves_nothing(
    private_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = private_home / "networks" / "conv" / "weights.safetensors"
    weights.parent.mkdir(parents=True)
    weights.touch()  # it would be opened by the first drawing
    assert main(["class", str(tmp_path / "new.sqlite"), "--host", "192.0.2.1", "--no-browser"]) == 2
    assert "cannot listen at 192.0.2.1" in capsys.readouterr().err
    assert not list(tmp_path.glob("new*"))


def test_forget_removes_the_last_class(
    empty_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["class", "--forget"]) == 3
    folder = empty_home / "classes"
    for day in ("2026-01-07", "2026-01-14"):
        ClassFile(folder / f"{day}.sqlite").close()
    assert main(["class", "--forget"]) == 0
    assert "0 drawings" in capsys.readouterr().out
    assert [each.name for each in folder.iterdir()] == ["2026-01-07.sqlite"]
    (tmp_path / "notes.txt").write_text("not a class")
    assert main(["class", "--forget", str(tmp_path / "notes.txt")]) == 2
    assert (tmp_path / "notes.txt").exists()
    (tmp_path / "link.sqlite").symlink_to(folder / "2026-01-07.sqlite")
    assert main(["class", "--forget", str(tmp_path / "link.sqlite")]) == 0
    assert not [*folder.iterdir(), *tmp_path.glob("link*")]


def test_forget_asks_first_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "class.sqlite"
    with closing(ClassFile(path)) as held:
        held.add_drawing(Room(held).round, 1, "00000001", None, [[1, 2]], "shown")
    for answer, left in (("\n", True), ("n\n", True), ("", True), ("y\n", False)):
        monkeypatch.setattr("sys.stdin", Mock(isatty=lambda: True, readline=lambda answer=answer: answer))
        assert main(["class", "--forget", str(path)]) == 0
        assert "Remove 1 drawing, 0 votes, 0 phones of " in capsys.readouterr().err
        assert path.exists() == left
