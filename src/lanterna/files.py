"""Files are whole or not there: written beside their place, then renamed into it.

What is in the making is locked by who makes it. So what a killed process left is told from what another one
is at work on, and the next one that writes there takes it away.
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
except ImportError:  # Windows: nothing is locked there, and nothing taken away
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKER = ".made-by-lanterna"
"""A file in each working folder: what has none is somebody else's, whatever its name."""


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` if the block ends well, else remove it.

    What lies in one of Lanterna's own folders can be read by this user alone.
    Errors: `LanternaError` in one line where the folder cannot be written or the disk is full.
    """
    temporary = handle = None
    try:
        private = make_parent(path)
        handle, temporary = _in_the_making(path)
        yield temporary
        # Temporary files are private; a result should be as readable as any other new file.
        _set_mode(temporary, 0o600 if private else 0o666 & ~_umask())
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        temporary = None  # the name may be somebody else's from now on
    except OSError as error:
        raise LanternaError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


def _set_mode(path: Path, mode: int) -> None:
    """Set the mode of a file that we made. Errors: `OSError` where a link has taken its place."""
    if not hasattr(os, "fchmod"):  # Windows
        return path.chmod(mode)
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fchmod(handle, mode)
    finally:
        os.close(handle)
    return None


def make_parent(path: Path) -> bool:
    """Make the folder that `path` is to lie in, and say whether that is one of Lanterna's own.

    Lanterna's own are for this user alone, and are closed to others where an earlier version left them open.
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
    """Let only this user into a folder, and read what is in it, if others can; links are not followed.

    The folder itself comes last, so that one that was only closed in part is begun again. What cannot be
    changed, as it is somebody else's, stays as it is.
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
    """Let only this user read what this process makes in the block; give the umask that there was before.

    The umask is that of the whole process: no thread of it may make files for others meanwhile.
    """
    before = os.umask(0o077)
    try:
        yield before
    finally:
        os.umask(before)


@contextlib.contextmanager
def working_folder(prefix: str, within: Path | None = None) -> Iterator[Path]:
    """A folder for files of no worth afterwards, named `prefix` and something; gone when the block ends.

    It is `within` a folder, or where temporary files are, and nobody but this user can look into it. Those of
    this user's processes that were killed go first: a folder that another one made, whatever it is called,
    has no marker in it.
    """
    within = within or Path(tempfile.gettempdir())
    for left in within.glob(f"{prefix}*"):
        if _is_ours(left) and (handle := _held(left)) is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(handle)
    for _ in range(5):  # somebody may just take it for one that was left; some disks have no locks
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
        handle = _held(folder)
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
    """Whether a folder is a working folder that a process of this user made."""
    try:
        status = folder.stat(follow_symlinks=False)
    except OSError:
        return False
    own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return own and stat.S_ISDIR(status.st_mode) and (folder / MARKER).is_file()


def _umask() -> int:
    """The umask of this process, found without changing it: another thread may be making a file."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    with tempfile.TemporaryDirectory() as private:  # not on Linux: see which mode a new file gets
        handle = os.open(Path(private) / "new", os.O_CREAT | os.O_WRONLY, 0o666)
        try:
            return 0o666 & ~stat.S_IMODE(os.fstat(handle).st_mode)
        finally:
            os.close(handle)


def _in_the_making(path: Path) -> tuple[int | None, Path]:
    """A new private file beside `path`, and the handle that holds it, where files are held.

    Its name is the same each time, so that what was left is found, and hidden, so that it looks like no
    result; where somebody else is at work on the same file, it is another.
    """
    usual = path.with_name(f".{path.name}.new{path.suffix}")
    if (left := _held(usual)) is not None:
        usual.unlink(missing_ok=True)
        os.close(left)
    if fcntl is not None:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(usual, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            if (handle := _held(usual)) is not None:
                return handle, usual
    unusual, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(unusual)
    return None, Path(name)


def _held(path: Path) -> int | None:
    """A handle that holds a file or folder until it is closed, or None: not there, or somebody else's."""
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
    """Open a regular file to read its bytes, without ever waiting for who writes into a pipe.

    Errors: `OSError`, also for a folder, a device or a pipe; `ValueError` for what is no path.
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
    """The sha256 of a regular file, in hexadecimal, as long as it is when it is opened.

    Errors: as `open_regular`, and `OSError` for more than `max_bytes` bytes.
    """
    digest = hashlib.sha256()
    with open_regular(path) as file:
        left = os.fstat(file.fileno()).st_size  # some files of the system's have no end
        if max_bytes is not None and left > max_bytes:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        while piece := file.read(min(left, 2**20)):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


def is_network_path(path: str, *, windows: bool = os.name == "nt") -> bool:
    """Say whether to look at a path would ask another machine, and send it who is asking, as Windows does."""
    return windows and PureWindowsPath(path).drive.startswith("\\\\")


def refuse_to_overwrite(path: Path, *, force: bool) -> None:
    """Raise `UsageError` where `path` is taken and `force` is not given. Call it before any work is done."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        taken = path.is_symlink()  # one that leads nowhere is somebody's all the same
    except (OSError, ValueError) as error:  # too long a name, a zero byte, links in a circle
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be written: {reason}") from error
    else:
        if stat.S_ISDIR(mode):
            raise UsageError(f"{path} is a folder: name a file to write")
        taken = True
    if taken and not force:
        raise UsageError(f"{path} is already there: choose another name, or give --force to replace it")


def format_size(count: float) -> str:
    """Bytes as a person says them: 54.8 MB."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
