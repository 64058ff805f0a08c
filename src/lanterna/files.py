"""Files are whole or not there: written beside their place, then renamed into it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lanterna.errors import LanternaError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` if the block ends well, else remove it.

    What is `private` can be read by this user alone.
    Errors: `LanternaError` in one line where the folder cannot be written or the disk is full.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        temporary = Path(name)
        os.close(handle)
        yield temporary
        # Temporary files are private; a result should be as readable as any other new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o600 if private else 0o666 & ~umask)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise LanternaError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
