"""The shelf's items, and its photographs, which serve as example inputs in every room."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from lanterna import shelf

if TYPE_CHECKING:
    from pathlib import Path

    from lanterna.surfaces.studio.messages import Example, Item

PHOTOGRAPHS = tuple(member.filename for member in shelf.ITEMS["photographs"].members)
"""The file names of the shelf's photographs: the only ones that ever become part of a path."""

_THUMBNAIL_SIDE = 512


def shelf_items() -> list[Item]:
    """Return every item of the shelf: its description, its size, and whether it has been fetched."""
    return [
        {
            "name": item.name,
            "what": item.what,
            "licence": item.licence,
            "bytes": item.size,
            "here": shelf.is_fetched(item.name),
        }
        for item in shelf.ITEMS.values()
    ]


def example_photographs() -> list[Example]:
    """Return the shelf's photographs."""
    here = shelf.is_fetched("photographs")
    members = shelf.ITEMS["photographs"].members
    return [
        {"name": member.filename, "title": photograph_title(member.filename),
         "licence": member.licence, "here": here}
        for member in members
    ]  # fmt: skip


def photograph_title(name: str) -> str:
    """Return what a photograph shows, by the name of its file."""
    from lanterna.lessons.subjects import SUBJECTS

    stem = name.rpartition(".")[0]
    return SUBJECTS.get(stem, stem.replace("_", " "))


def photograph(name: str) -> Path:
    """Return the file of a photograph. Errors: `KeyError` for an unknown name, `MissingError`."""
    return shelf.need("photographs") / PHOTOGRAPHS[_index(name)]


def copy_photograph(name: str, target: Path) -> None:
    """Copy a photograph, so that it can be imported like an upload."""
    shutil.copyfile(photograph(name), target)


def photograph_thumbnail(name: str, folder: Path) -> Path:
    """Return a photograph's thumbnail, cached in `folder`."""
    from lanterna.images import open_picture
    from lanterna.surfaces.studio.pictures import write_jpeg

    path = folder / f"example-{_index(name)}.jpg"
    if not path.exists():
        write_jpeg(open_picture(photograph(name), longest=_THUMBNAIL_SIDE), path, _THUMBNAIL_SIDE)
    return path


def _index(name: str) -> int:
    if name not in PHOTOGRAPHS:
        raise KeyError(name)
    return PHOTOGRAPHS.index(name)
