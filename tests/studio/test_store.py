"""The studio's store: it never removes other people's files, and a bad row breaks no list."""

import json
import sqlite3

import pytest

from lanterna.documents import check_document, repair_document
from lanterna.errors import UsageError
from lanterna.images.recipe import from_json
from lanterna.surfaces.studio.store import Store
from lanterna.techniques.dream.algorithm import Dream

DEEP = json.loads("[" * 100 + "]" * 100)
BAD = [float("nan"), float("inf"), -float("inf"), "\ud800", "a\udfffb", 10**30, DEEP]


def test_folders_that_the_studio_did_not_create_stay(tmp_path):
    files = [tmp_path / "jobs/work/history/.bash_history", tmp_path / "pictures/.git/config"]
    files += [tmp_path / "incoming" / ("0" * 32) / "a.txt", tmp_path / "thumbnails" / ("0" * 32) / "b.txt"]
    for each in files:
        each.parent.mkdir(parents=True)
        each.write_text("mine")
    Store(tmp_path).close()
    assert [each.read_text() for each in files] == ["mine"] * 4


def test_files_that_the_studio_did_not_create_stay(tmp_path):
    Store(tmp_path).close()
    names = ["pictures/holiday.jpg", "incoming/letter.txt", "thumbnails/notes.new", "jobs/diary/day.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    Store(tmp_path).close()
    assert all((tmp_path / name).read_text() == "mine" for name in names)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: ascii(bad)[:20])
def test_values_that_json_cannot_represent_are_refused(bad):
    for document in (bad, [bad], {"a": {"b": [bad]}}, *([{bad: 1}] if isinstance(bad, str) else [])):
        with pytest.raises(UsageError):
            check_document(document)
    with pytest.raises(UsageError):
        Dream.checked({"strength": bad})


def test_ordinary_documents_are_accepted():
    check_document({"a": [1, 2.5, None, True, "é 写 😀"], "b": {"c": -(2**63)}})


@pytest.mark.parametrize("value", ["NaN", "1e400", "-Infinity", '"\\ud800"', "[" * 60 + "]" * 60])
def test_a_recipe_with_such_a_value_is_refused(value):
    text = f"""{{"format": 1, "lanterna": "0.1.0", "torch": "2", "machine": "m", "device": "cpu",
        "threads": 1, "verb": "dream", "made": "dream", "seed": 0, "settings": {{"strength": {value}}}}}"""
    with pytest.raises(UsageError, match="holds a broken recipe"):
        from_json(text, "x.png")


def test_a_bad_row_breaks_no_list(tmp_path):
    store = Store(tmp_path)
    good = store.add_job(kind="dream", settings={"size": 64}, inputs=[])
    bad = store.add_job(kind="dream", settings={}, inputs=[])
    store.close()
    with sqlite3.connect(tmp_path / "studio.sqlite") as database:
        settings = r'{"strength": NaN, "name": "\ud800", "deep": [1e400]}'
        database.execute("UPDATE jobs SET settings = ? WHERE id = ?", (settings, bad))
    database.close()
    store = Store(tmp_path)
    listed = {job["id"]: job["settings"] for job in store.jobs()}
    assert listed == {good: {"size": 64}, bad: {"strength": None, "name": "?", "deep": [None]}}
    json.dumps(store.jobs(), allow_nan=False).encode()
    store.close()


def test_an_old_jobs_settings_have_their_current_names(tmp_path):
    store = Store(tmp_path)
    store.add_job(kind="dream-sheet", settings={"stage": ["block9"], "sheet": "stages"}, inputs=[])
    (job,) = store.jobs()
    assert job["settings"] == {"layer": ["block9"], "sheet": "layers"}
    store.close()


def test_mending_leaves_a_valid_document_unchanged():
    document = {"a": [1, 2.5, None, True, "é 写 😀"], "b": {}}
    assert repair_document(document) == document


def test_a_picture_of_before_has_its_recipe_by_todays_names(tmp_path):
    store = Store(tmp_path)
    recipe = {
        "kind": "dream", "settings": {"stage": ["block5"]},
        "steered": [{"step": 2, "settings": {"stage": []}}],
        "command": "lanterna dream a.png --stage=block5", "inputs": [],
        "sheet": [{"settings": {"mask_stage": []}, "command": "lanterna dream a.png --stage=block2"}],
    }  # fmt: skip
    store.add_picture(
        "0" * 32, origin="made", kind="dream", room="dream", title="", suffix=".png", width=1, height=1,
        bytes=1, sha256="0", recipe=recipe, also=None, job=None, words="",
    )  # fmt: skip
    assert store.picture("0" * 32)["recipe"] == {
        "kind": "dream", "settings": {"layer": ["block5"]},
        "changes": [{"step": 2, "settings": {"layer": []}}],
        "command": "lanterna dream a.png --layer=block5", "inputs": [],
        "sheet": [{"settings": {"mask_layer": []}, "command": "lanterna dream a.png --layer=block2"}],
    }  # fmt: skip
    store.close()
