"""A folder of labelled pictures: each subfolder is a class.

Only the names of the files are in memory, about 100 bytes each, so that a million pictures fit; the pictures
are read when they are needed.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import torch

from lanterna.errors import UsageError
from lanterna.images.decoding import describe_unread, is_folder, is_hidden, is_picture_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

MAX_CLASS_NAME_LENGTH = 60
MAX_CLASSES = 2_000


@dataclass(frozen=True)
class PictureFolder:
    """The pictures of a folder by class.

    `files` are their paths relative to `folder`, sorted by class and name; `labels` int16 `(N,)` are their
    classes. `loose` is the number of pictures outside the subfolders, which belong to no class, `empty` are
    the subfolders without pictures, and `unread` describes pictures of formats that cannot be read.
    """

    folder: Path
    classes: tuple[str, ...]
    files: Sequence[str]
    labels: Tensor
    loose: int = 0
    empty: tuple[str, ...] = ()
    unread: str = ""

    def path(self, index: int) -> Path:
        """Return a picture's path."""
        return self.folder / self.files[index]


def gather(folder: str | Path) -> PictureFolder:
    """Find the pictures in the subfolders of `folder`, at any depth; hidden files are skipped.

    Subfolders without pictures are left out, if two others have some.

    Errors: `UsageError` if it is no folder or cannot be read, if there are fewer than two classes, if a class
    has only one picture, or if its name is not usable.
    """
    folder = Path(folder)
    if not is_folder(folder):
        raise UsageError(f"{folder} is not a folder: expected a folder with a subfolder for each class")
    entries = _list_folder(folder)
    names = [entry.name for entry in entries if entry.is_dir()]
    loose = sum(is_picture_name(entry.name) for entry in entries if not entry.is_dir())
    if not names:
        contents = f"{loose} pictures and no subfolders" if loose else "no subfolders"
        raise UsageError(
            f"{folder} has {contents}: put the pictures of each class into a subfolder named after it"
        )
    if len(names) == 1:
        raise UsageError(f"{folder} has one class, {names[0]!r}: expected two or more")
    if len(names) > MAX_CLASSES:
        raise UsageError(f"{folder} has {len(names):,} subfolders: expected at most {MAX_CLASSES:,} classes")
    _check_names(names)
    files: list[str] = []
    unread: list[str] = []
    counts = []
    for name in names:
        before = len(files)
        files += _pictures(folder, name, unread)
        counts.append(len(files) - before)
    empty = [name for name, count in zip(names, counts, strict=True) if not count]
    if len(names) - len(empty) >= 2:
        names = [name for name in names if name not in empty]
        counts = [count for count in counts if count]
    check_counts(names, counts)
    labels = torch.repeat_interleave(torch.arange(len(names), dtype=torch.int16), torch.tensor(counts))
    return PictureFolder(folder, tuple(names), files, labels, loose, tuple(empty), describe_unread(unread))


def check_counts(names: Sequence[str], counts: Sequence[int]) -> None:
    """Raise `UsageError` for the first class with fewer than two usable pictures."""
    for name, count in zip(names, counts, strict=True):
        if count < 2:
            usable = "no usable pictures" if count == 0 else "one usable picture"
            raise UsageError(
                f"the class {name!r} has {usable}: expected two or more, one of them to test with; "
                "twenty are a good start"
            )


def _check_names(names: Sequence[str]) -> None:
    """Raise `UsageError` if a class's name is not usable or equals another, ignoring case."""
    seen: dict[str, str] = {}
    for name in names:
        if not name.isprintable() or "*" in name or name != name.strip():
            raise UsageError(
                f"the subfolder {name!r} cannot name a class: use letters, digits, spaces, signs except *"
            )
        if len(name) > MAX_CLASS_NAME_LENGTH:
            raise UsageError(
                f"the subfolder {name[:40]!r}… cannot name a class: expected at most {MAX_CLASS_NAME_LENGTH} "
                f"letters, got {len(name)}"
            )
        plain = unicodedata.normalize("NFC", name).casefold()
        if plain in seen:
            raise UsageError(
                f"the subfolders {seen[plain]!r} and {name!r} would be one class: rename one of them"
            )
        seen[plain] = name


def _pictures(folder: Path, name: str, others: list[str]) -> Iterator[str]:
    """Yield the paths of a class's pictures relative to `folder`, in order; append others to `others`."""
    for parent, folders, files in os.walk(folder / name, onerror=_raise_usage_error):
        folders[:] = sorted(child for child in folders if not is_hidden(child))
        relative = os.path.relpath(parent, folder)
        for file in sorted(files):
            if is_picture_name(file):
                yield os.path.join(relative, file)  # noqa: PTH118
            else:
                others.append(file)


def _list_folder(folder: Path) -> list[os.DirEntry[str]]:
    """Return a folder's entries sorted by name, without hidden ones."""
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not is_hidden(e.name)), key=lambda e: e.name)
    except OSError as error:
        _raise_usage_error(error)


def _raise_usage_error(error: OSError) -> NoReturn:
    raise UsageError(f"{error.filename} cannot be read: {error.strerror or error}") from error
