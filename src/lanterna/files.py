"""Atomic writes: a file is written to a temporary file in the same folder, then renamed.

The process that writes a temporary file holds a lock on it. This distinguishes the files of a killed process,
which the next writer removes, from those of a process that is still writing.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, BinaryIO

from lanterna.errors import LanternaError, UsageError
from lanterna.settings import own_folders

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there, and nothing removed
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MARKER = ".made-by-lanterna"
"""A file in each working folder: a folder without one belongs to somebody else, whatever its name."""


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; rename it to `path` if the block succeeds, else remove it.

    Files in Lanterna's own folders are readable by this user only.
    Errors: `LanternaError` in one line if the folder cannot be written or the disk is full.
    """
    temporary = handle = None
    try:
        private = make_parent(path)
        handle, temporary = _create_temporary(path)
        yield temporary
        # Temporary files are private; a result should be as readable as any other new file.
        _set_mode(temporary, 0o600 if private else 0o666 & ~_umask())
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        temporary = None  # another process may use the name from now on
    except OSError as error:
        raise LanternaError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait until nobody else is in such a block for `path`, so that what was read there can be changed.

    Not every system and disk has locks; without one, only `atomic_write` protects the file.
    Errors: `LanternaError` in one line if the folder cannot be written.
    """
    try:
        make_parent(path)
        handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise LanternaError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        if fcntl is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _set_mode(path: Path, mode: int) -> None:
    """Set the mode of a file that we created. Errors: `OSError` if a link has replaced it."""
    if not hasattr(os, "fchmod"):  # Windows
        return path.chmod(mode)
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fchmod(handle, mode)
    finally:
        os.close(handle)
    return None


def make_parent(path: Path) -> bool:
    """Create the parent folder of `path`; return whether it is inside one of Lanterna's own folders.

    Lanterna's own folders are made private, as an earlier version left them open to other users.
    """
    own = next((folder for folder in own_folders() if path.is_relative_to(folder)), None)
    if own is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        return False
    for folder in reversed([path.parent, *path.parent.parents]):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    make_private(own)
    return True


def make_private(folder: Path) -> None:
    """Make a folder and its files accessible to this user only; links are not followed.

    The folder itself is changed last, so that an interrupted call is repeated. The modes of files that belong
    to other users cannot be changed and are left alone.
    """
    if os.name == "nt" or not folder.is_dir() or not folder.stat().st_mode & 0o077:
        return
    with contextlib.suppress(OSError):
        for place, _, files in os.walk(folder, topdown=False):
            for file in files:
                status = (path := Path(place, file)).stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                    path.chmod(status.st_mode & 0o700)
            Path(place).chmod(0o700)


@contextlib.contextmanager
def private_umask() -> Iterator[int]:
    """Create files in the block that only this user can read; yield the previous umask.

    The umask applies to the whole process, so other threads' files become private too.
    """
    before = os.umask(0o077)
    try:
        yield before
    finally:
        os.umask(before)


@contextlib.contextmanager
def working_folder(prefix: str, within: Path | None = None) -> Iterator[Path]:
    """Create a temporary folder whose name begins with `prefix`; remove it when the block ends.

    It is created in `within`, or in the system's folder for temporary files, and only this user can read it.
    Folders left by this user's killed processes are removed first: they are recognised by their marker, which
    another program's folder does not have, whatever its name.
    """
    within = within or Path(tempfile.gettempdir())
    for stale in within.glob(f"{prefix}*"):
        if _is_ours(stale) and (handle := _lock(stale)) is not None:
            shutil.rmtree(stale, ignore_errors=True)
            os.close(handle)
    for _ in range(5):  # another process may take the new folder for a stale one; some disks have no locks
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
        handle = _lock(folder)
        if fcntl is None or (handle is not None and folder.exists()):
            break
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    (folder / MARKER).touch()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _is_ours(folder: Path) -> bool:
    """Return whether a folder is a working folder created by this user's processes."""
    try:
        status = folder.stat(follow_symlinks=False)
    except OSError:
        return False
    own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return own and stat.S_ISDIR(status.st_mode) and (folder / MARKER).is_file()


def _umask() -> int:
    """Return this process's umask without changing it: another thread may be creating a file."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    with tempfile.TemporaryDirectory() as private:  # not Linux: check which mode a new file gets
        handle = os.open(Path(private) / "new", os.O_CREAT | os.O_WRONLY, 0o666)
        try:
            return 0o666 & ~stat.S_IMODE(os.fstat(handle).st_mode)
        finally:
            os.close(handle)


def _create_temporary(path: Path) -> tuple[int | None, Path]:
    """Create a private file next to `path`; return the handle of its lock, or None, and its path.

    The name is hidden, so that nobody takes it for a result, and always the same, so that a killed process's
    file is found. If another process is writing the same file, the name is random.
    """
    default = path.with_name(f".{path.name}.new{path.suffix}")
    if (stale := _lock(default)) is not None:
        default.unlink(missing_ok=True)
        os.close(stale)
    if fcntl is not None:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(default, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            if (handle := _lock(default)) is not None:
                return handle, default
    unlocked, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(unlocked)
    return None, Path(name)


def _lock(path: Path) -> int | None:
    """Lock a file or folder; return a handle that holds the lock until it is closed.

    None if the path does not exist or another process holds the lock.
    """
    if fcntl is None:
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), path.stat(follow_symlinks=False)):
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file for reading, without blocking on a pipe that nobody writes to.

    Errors: `OSError`, also for a folder, a device or a pipe; `ValueError` for an invalid path.
    """
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    )
    handle = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return os.fdopen(handle, "rb")


def read_regular(path: str | Path, max_bytes: int) -> bytes:
    """Return the bytes of a regular file.

    Errors: as `open_regular`, and `OSError` if there are more than `max_bytes`.
    """
    with open_regular(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def sha256(path: str | Path, *, max_bytes: int | None = None) -> str:
    """Return the sha256 of a regular file, in hexadecimal; bytes appended after it was opened do not count.

    Errors: as `open_regular`, and `OSError` if there are more than `max_bytes`.
    """
    digest = hashlib.sha256()
    with open_regular(path) as file:
        left = os.fstat(file.fileno()).st_size  # some files in /proc are endless
        if max_bytes is not None and left > max_bytes:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        while piece := file.read(min(left, 2**20)):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


def is_network_path(path: str, *, windows: bool = os.name == "nt") -> bool:
    """Return whether opening a path contacts another machine, to which Windows sends the user's login."""
    return windows and PureWindowsPath(path).drive.startswith("\\\\")


def refuse_to_overwrite(path: Path, *, force: bool, instead: str = "choose another name") -> None:
    """Raise `UsageError` if `path` exists without `force`, or its folder cannot be written.

    Call it before any work is done. `instead` is what to do without `force`.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        taken = path.is_symlink()  # a dangling link is not overwritten either
    except (OSError, ValueError) as error:  # too long a name, a zero byte, a loop of links
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be written: {reason}") from error
    else:
        if stat.S_ISDIR(mode):
            raise UsageError(f"{path} is a folder: name a file to write")
        taken = True
    if taken and not force:
        raise UsageError(f"{path} already exists: {instead}, or give --force to replace it")
    folder = next(each for each in path.absolute().parents if each.exists())  # the rest are made
    if not folder.is_dir():
        raise UsageError(f"{path} cannot be written: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{path} cannot be written: {folder} may not be written to")


def refuse_to_replace(path: Path, inputs: Iterable[Path]) -> None:
    """Raise `UsageError` if `path`, where a result will be saved, is one of the files it is made from.

    It may be a file in a folder of them as well.
    """
    for file in inputs:
        if path.exists() and file.exists():
            if path.samefile(file):
                raise UsageError(f"{path} is what the result is made from: choose another name")
            if path.is_file() and file.is_dir() and path.parent.samefile(file):
                raise UsageError(f"{path} is one of the files in {file} that are used: choose another folder")


def format_size(count: float) -> str:
    """Format a number of bytes for people: 54.8 MB."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
