"""The gallery and its store: search, stars, deleting and restoring, export, and change events."""

from __future__ import annotations

import csv
import io
import sqlite3
import zipfile
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from lanterna.errors import LanternaError, UsageError
from lanterna.images import read_recipe
from lanterna.surfaces.studio.store import _MIGRATIONS, Store, new_id
from served import Server, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    served = Server(tmp_path_factory.mktemp("gallery"))
    for seed, title in ((1, "First light"), (2, "Second"), (3, "Third light")):
        served.wait(served.start("random", settings={"width": 48, "height": 32, "seed": seed}, title=title))
    yield served
    served.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "studio")
    yield opened
    opened.close()


def titles(studio: Server, query: str = "") -> list[str]:
    return [each["title"] for each in studio("GET", f"/api/gallery{query}")]


def test_pictures_are_found_by_words_room_and_star(studio: Server) -> None:
    assert titles(studio) == ["Third light", "Second", "First light"]
    assert titles(studio, "?words=LIGHT+third") == ["Third light"]
    assert titles(studio, "?words=palette%20light") == ["Third light", "First light"]
    assert titles(studio, "?words=%25") == []  # % is no wildcard
    assert titles(studio, "?room=dream") == []
    newest = studio("GET", "/api/gallery?limit=1")
    assert titles(studio, f"?before={newest[0]['id']}") == ["Second", "First light"]
    assert studio.error("GET", "/api/gallery?limit=0")[0] == 422


def test_stars_and_titles_are_saved_and_deleted_pictures_restored(studio: Server) -> None:
    picture = studio("GET", "/api/gallery?words=second")[0]["id"]
    studio("PATCH", f"/api/gallery/{picture}", {"starred": True, "title": "Renamed"})
    assert titles(studio, "?starred=1") == ["Renamed"]
    assert titles(studio, "?words=renamed") == ["Renamed"]
    studio("DELETE", f"/api/gallery/{picture}")
    assert titles(studio) == ["Third light", "First light"]
    studio("POST", f"/api/gallery/{picture}/restore")
    assert titles(studio) == ["Third light", "Renamed", "First light"]
    assert studio.error("PATCH", f"/api/gallery/{picture}", {"starred": "yes"})[0] == 422
    assert studio.error("PATCH", f"/api/gallery/{new_id()}", {"starred": True})[0] == 404


def test_pictures_are_tagged_and_found_by_tag(studio: Server) -> None:
    first, second = (studio("GET", f"/api/gallery?words={word}")[0]["id"] for word in ("first", "third"))
    tags = ["  #Für die\0  Schau ", "cats", "CATS", "#", ""]
    tagged = studio("PATCH", f"/api/gallery/{first}", {"tags": tags})
    assert tagged["tags"] == ["cats", "für die schau"]
    studio("PATCH", f"/api/gallery/{second}", {"tags": ["cat"]})
    assert titles(studio, "?tag=cats") == ["First light"]
    assert titles(studio, "?tag=cat") == ["Third light"]  # the complete tag
    assert titles(studio, "?words=cat") == ["Third light", "First light"]
    assert titles(studio, "?words=f%C3%BCr+schau+first") == ["First light"]
    assert titles(studio, "?tag=%25") == []
    studio("PATCH", f"/api/gallery/{first}", {"starred": True})  # leaves the tags
    counts = {each["tag"]: each["pictures"] for each in studio("GET", "/api/gallery/tags")}
    assert counts == {"cat": 1, "cats": 1, "für die schau": 1}
    with zipfile.ZipFile(
        io.BytesIO(studio.request("GET", f"/api/gallery/export.zip?ids={first},{second}")[1])
    ) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("pictures.csv").decode("utf-8-sig"))))
        assert [row["file"] for row in rows] == archive.namelist()[:2]
    assert [(row["title"], row["tags"], row["starred"]) for row in rows] == [
        ("First light", "cats, für die schau", "yes"), ("Third light", "cat", ""),
    ]  # fmt: skip
    studio("DELETE", f"/api/gallery/{first}")
    assert [each["tag"] for each in studio("GET", "/api/gallery/tags")] == ["cat"]
    studio("POST", f"/api/gallery/{first}/restore")
    for picture in (first, second):
        studio("PATCH", f"/api/gallery/{picture}", {"tags": [], "starred": False})
    assert studio("GET", "/api/gallery/tags") == []
    for wrong in ("cats", [1], [["cats"]]):
        assert studio.error("PATCH", f"/api/gallery/{first}", {"tags": wrong})[0] == 422


def test_a_gallery_from_before_tags_opens(tmp_path: Path) -> None:
    folder = tmp_path / "studio"
    folder.mkdir()
    with sqlite3.connect(folder / "studio.sqlite") as database:  # as 0.1.0 left it
        for script in _MIGRATIONS[:4]:
            database.executescript(script)
        database.execute("PRAGMA user_version = 4")
        database.execute(
            "INSERT INTO pictures VALUES (?, 'made', 'dream', 'dream', 'Old', '.png', 8, 8, 9, '',"
            " NULL, NULL, NULL, 1.0, 0, NULL, 'old', '')",
            (new_id(),),
        )
    database.close()
    store = Store(folder)
    (picture,) = store.gallery(words="old")
    assert (picture["title"], picture["tags"]) == ("Old", "")
    store.change_picture(picture["id"], tags="\ncats\n")
    assert store.tags() == {"cats": 1}
    store.close()


def test_an_uploaded_result_has_its_recipe(studio: Server) -> None:
    results = studio("GET", "/api/gallery?words=first")[0]
    file = studio.file(results["id"])
    assert read_recipe(file).seed == 1
    # With one more byte its sha256 is unknown, so the recipe comes from the file alone.
    uploaded = studio("POST", "/api/pictures", file + b"\0", headers={"Content-Type": "image/png"})
    assert uploaded["id"] != results["id"]
    recipe = uploaded["recipe"]
    assert recipe["kind"] == "random"
    assert recipe["settings"] == results["recipe"]["settings"]
    assert recipe["command"].startswith("lanterna paint --random --seed=1 --width=48")
    # An identical file is the picture that the gallery already has.
    again = studio("POST", "/api/pictures", file, headers={"Content-Type": "image/png"})
    assert again["id"] == results["id"]


def test_a_photographs_exif_orientation_is_applied(studio: Server) -> None:
    photo, file = Image.new("RGB", (60, 20), (200, 30, 30)), io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6
    photo.save(file, "TIFF", exif=exif)
    uploaded = studio(
        "POST", "/api/pictures?title=Sideways", file.getvalue(), headers={"Content-Type": "image/tiff"}
    )
    assert (uploaded["width"], uploaded["height"], uploaded["recipe"]) == (20, 60, None)
    shown = Image.open(io.BytesIO(studio.file(uploaded["id"])))
    assert (shown.format, shown.size) == ("PNG", (20, 60))  # which every browser shows
    _, thumbnail, headers = studio.request("GET", f"/api/pictures/{uploaded['id']}/thumbnail")
    assert headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(thumbnail)).size == (20, 60)


def test_pictures_are_exported_as_a_zip_and_a_contact_sheet(studio: Server) -> None:
    results = studio("GET", "/api/gallery")
    ids = ",".join(each["id"] for each in results)
    _, content, headers = studio.request("GET", f"/api/gallery/export.zip?ids={ids}")
    assert headers["content-disposition"].startswith("attachment")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist()[0] == "001-Third-light.png"
        assert archive.read(archive.namelist()[0]) == studio.file(results[0]["id"])
    _, content, headers = studio.request("GET", f"/api/gallery/sheet.pdf?ids={','.join([ids] * 5)}")
    assert headers["content-type"] == "application/pdf"
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") == 2  # fifteen pictures, twelve a page
    assert studio.error("GET", "/api/gallery/export.zip")[0] == 422
    incoming = studio.home / "studio" / "incoming"
    wait_until(lambda: not list(incoming.iterdir()))  # removed once the response has been sent


def test_a_client_that_was_away_gets_each_change_once(studio: Server) -> None:
    with studio.events() as events:
        number, event, _ = next(events)
        assert event == "hello"
    picture = studio("GET", "/api/gallery?words=third")[0]["id"]
    for starred in (True, False, True):
        studio("PATCH", f"/api/gallery/{picture}", {"starred": starred})
    with studio.events(after=number) as events:
        assert next(events)[1] == "hello"
        received, event, data = next(events)
        assert (event, data["id"], data["starred"]) == ("gallery", picture, True)
        assert received == number + 3
    with studio.events(after=number + 10_000) as events:
        next(events)
        assert next(events)[1] == "reset"


def test_the_number_of_stored_events_is_limited(store: Store) -> None:
    for number in range(5000):
        store.notify(f"picture:{number}", "gallery")
    assert store.changes(0) is None
    assert [number for number, _, _ in store.changes(4990) or []] == list(range(4991, 5001))
    assert store.changes(6000) is None


@pytest.mark.slow
def test_a_store_is_locked_and_refused_by_an_older_lanterna(tmp_path: Path) -> None:
    store = Store(tmp_path / "studio")
    with pytest.raises(UsageError, match="another studio is open"):
        Store(tmp_path / "studio")
    store.close()
    with sqlite3.connect(tmp_path / "studio" / "studio.sqlite") as database:
        database.execute("PRAGMA user_version = 1000")
    database.close()
    with pytest.raises(LanternaError, match="newer Lanterna"):
        Store(tmp_path / "studio")
