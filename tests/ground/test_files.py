"""Atomic writes, permissions and reading of files, with other users and threads in mind."""

import hashlib
import os
import stat
import subprocess
import sys
import threading
from functools import partial

import pytest

from lanterna.errors import LanternaError, UsageError
from lanterna.files import (
    atomic_write,
    is_network_path,
    make_private,
    read_regular,
    refuse_to_overwrite,
    refuse_to_replace,
    sha256,
)


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o002])
def test_a_result_is_as_readable_as_any_new_file(umask, tmp_path):
    before = os.umask(umask)
    try:
        with atomic_write(tmp_path / "result") as temporary:
            temporary.write_text("it")
        (tmp_path / "any").touch()
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("result", "any")]
    assert modes[0] == modes[1] == 0o666 & ~umask


def test_the_umask_of_the_process_never_changes(tmp_path, monkeypatch):
    """Another thread may be creating a file meanwhile, which would be writable by everybody."""
    changed = []
    monkeypatch.setattr(os, "umask", changed.append)
    workers = [threading.Thread(target=write, args=(tmp_path / str(number),)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert changed == []
    assert len(list(tmp_path.iterdir())) == 4


def test_a_link_that_replaces_a_result_changes_no_other_file(tmp_path):
    private = tmp_path / "private"
    private.write_text("mine")
    private.chmod(0o600)

    def replaced():
        with atomic_write(tmp_path / "out.png") as temporary:
            temporary.unlink()
            temporary.symlink_to(private)

    with pytest.raises(LanternaError, match="cannot write"):
        replaced()
    assert (stat.S_IMODE(private.stat().st_mode), private.read_text()) == (0o600, "mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["private"]


def test_making_a_folder_private_spares_programs_and_hard_links(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    for name, mode in ("program", 0o755), ("text", 0o644), ("shared", 0o644):
        (folder / name).touch()
        (folder / name).chmod(mode)
    os.link(folder / "shared", tmp_path / "elsewhere")
    make_private(folder)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
    assert modes == {"folder": 0o700, "program": 0o700, "text": 0o600, "shared": 0o644}


def test_pipes_folders_and_devices_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        for read in (sha256, partial(read_regular, max_bytes=9)):
            with pytest.raises(OSError, match="it is not a file"):
                read(path)
    (tmp_path / "file").write_bytes(b"abc" * 10**6)
    assert sha256(tmp_path / "file") == hashlib.sha256(b"abc" * 10**6).hexdigest()
    for read in (sha256, read_regular):
        with pytest.raises(OSError, match="too large"):
            read(tmp_path / "file", max_bytes=3 * 10**6 - 1)
    assert len(read_regular(tmp_path / "file", 3 * 10**6)) == 3 * 10**6


def test_paths_on_other_machines_are_recognised_as_on_windows():
    for path in (
        r"\\server\share\a.png",
        "//server/share/a.png",
        r"/\server/share",
        r"\\?\UNC\server\share\a",
    ):
        assert is_network_path(path, windows=True)
        assert not is_network_path(path, windows=False)
    assert not any(is_network_path(path, windows=True) for path in (r"C:\a.png", "/a/b.png", "a//b", "-", ""))


def write(path):
    with atomic_write(path) as temporary:
        temporary.write_text("it")


@pytest.mark.slow
@pytest.mark.parametrize("words", [["doctor"], ["shelf", "fetch", "imagenet-classes"]])
def test_nothing_is_imported_from_the_current_folder(words, tmp_path, empty_home):
    """Neither by the command nor by the processes it starts: pip, and spawned workers."""
    for name in ("pip", "pickle", "typing", "torch", "lanterna", "random", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\n")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    del empty_home


def test_a_result_never_replaces_what_it_is_made_from(tmp_path):
    (tmp_path / "mine").mkdir()
    for name in ("cat.png", "mine/3.png"):
        (tmp_path / name).touch()
    (tmp_path / "link.png").symlink_to(tmp_path / "cat.png")
    inputs = [tmp_path / "cat.png", tmp_path / "mine"]
    for name in ("cat.png", "mine/../cat.png", "link.png", "mine"):
        with pytest.raises(UsageError, match="is what the result is made from: choose another name"):
            refuse_to_replace(tmp_path / name, inputs)
    with pytest.raises(UsageError, match=r"3\.png is one of the files in .*mine that are used"):
        refuse_to_replace(tmp_path / "mine/3.png", inputs)
    for name in ("dog.png", "mine/4.png"):
        refuse_to_replace(tmp_path / name, inputs)


# As the installed script: its own folder comes first, not the current one.
SCRIPT = "import sys; del sys.path[0]; from lanterna.surfaces.cli import run; run()"


def test_a_folder_that_cannot_be_written_is_named_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"x\.png cannot be written: .*file is not a folder"):
        refuse_to_overwrite(tmp_path / "file" / "x.png", force=True)
    refuse_to_overwrite(tmp_path / "new" / "folder" / "x.png", force=False)
