"""A folder of pictures whose subfolders are classes: which there are, and which pictures are in each.

A list of names is all that is held of the pictures, about 100 bytes for each, so that a million of them fit
in memory; what is in the files is read when it is wanted.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import torch

from lanterna.errors import UsageError
from lanterna.images.decoding import SUFFIXES, is_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

MAX_CLASS_NAME_LENGTH = 60
MAX_CLASSES = 2_000


@dataclass(frozen=True)
class PictureFolder:
    """The pictures of a folder by class.

    `files` are their paths within `folder`, class after class and by name; `labels` int16 `(N,)` are their
    classes. `loose` counts pictures beside the subfolders, which belong to no class.
    """

    folder: Path
    classes: tuple[str, ...]
    files: Sequence[str]
    labels: Tensor
    loose: int = 0

    def path(self, index: int) -> Path:
        """Where a picture is."""
        return self.folder / self.files[index]


def gather(folder: str | Path) -> PictureFolder:
    """Find the pictures in the subfolders of `folder`, whatever deep; hidden ones are passed over.

    Errors: `UsageError` where it is no folder or cannot be read, where there are fewer than two classes,
    where one has fewer than two pictures, or where a class has a name that cannot be asked for later.
    """
    folder = Path(folder)
    if not is_folder(folder):
        raise UsageError(f"{folder} is no folder: expected a folder whose subfolders are classes of pictures")
    inside = _listed(folder)
    names = [entry.name for entry in inside if entry.is_dir()]
    loose = sum(_is_picture(entry.name) for entry in inside if not entry.is_dir())
    if not names:
        has = f"{loose} pictures and no subfolders" if loose else "no subfolders"
        raise UsageError(f"{folder} has {has}: put the pictures of each class into a subfolder of its name")
    if len(names) == 1:
        raise UsageError(f"{folder} has one class, {names[0]!r}: expected two or more to tell apart")
    if len(names) > MAX_CLASSES:
        raise UsageError(f"{folder} has {len(names):,} subfolders: expected at most {MAX_CLASSES:,} classes")
    _check_names(names)
    files: list[str] = []
    counts = []
    for name in names:
        before = len(files)
        files += _pictures(folder, name)
        counts.append(len(files) - before)
    check_counts(names, counts)
    labels = torch.repeat_interleave(torch.arange(len(names), dtype=torch.int16), torch.tensor(counts))
    return PictureFolder(folder, tuple(names), files, labels, loose)


def check_counts(names: Sequence[str], counts: Sequence[int]) -> None:
    """Whether every class has enough pictures. Errors: `UsageError` that names the first that has not."""
    for name, count in zip(names, counts, strict=True):
        if count < 2:
            has = "no pictures that can be used" if count == 0 else "one picture that can be used"
            raise UsageError(
                f"the class {name!r} has {has}: expected two or more, one of them to test with; "
                "twenty are a good start"
            )


def _check_names(names: Sequence[str]) -> None:
    """Errors: `UsageError` for a class that could not be asked for by its name, or two of one name."""
    seen: dict[str, str] = {}
    for name in names:
        if not name.isprintable() or "*" in name or name != name.strip():
            raise UsageError(
                f"the subfolder {name!r} cannot name a class: use letters, digits, spaces and signs but *"
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


def _pictures(folder: Path, name: str) -> Iterator[str]:
    """The paths of a class's pictures within `folder`, in order."""
    for place, folders, files in os.walk(folder / name, onerror=_refuse):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        within = os.path.relpath(place, folder)
        yield from (os.path.join(within, file) for file in sorted(files) if _is_picture(file))  # noqa: PTH118


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder by name, without what is hidden."""
    try:
        with os.scandir(folder) as entries:
            return sorted((each for each in entries if not each.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        _refuse(error)


def _refuse(error: OSError) -> NoReturn:
    raise UsageError(f"{error.filename} cannot be read: {error.strerror or error}") from error
