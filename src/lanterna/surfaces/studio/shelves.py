"""What the shelf has and has not, and its photographs, with which every room can begin."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from lanterna import shelf

if TYPE_CHECKING:
    from pathlib import Path

    from lanterna.surfaces.studio.messages import Example, Item

PHOTOGRAPHS = tuple(member.filename for member in shelf.ITEMS["photographs"].members)
"""The names of the shelf's photographs, without which no path is made."""

_SMALL = 512


def listed() -> list[Item]:
    """Everything the shelf can have: what it is, how large, and whether it is here."""
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


def examples() -> list[Example]:
    """The shelf's photographs."""
    here = shelf.is_fetched("photographs")
    members = shelf.ITEMS["photographs"].members
    return [
        {"name": member.filename, "title": member.filename.rpartition(".")[0].replace("_", " "),
         "licence": member.licence, "here": here}
        for member in members
    ]  # fmt: skip


def photograph(name: str) -> Path:
    """The file of a photograph. Errors: `KeyError` for a name that is none of them, `MissingError`."""
    return shelf.need("photographs") / PHOTOGRAPHS[_place(name)]


def copy_photograph(name: str, place: Path) -> None:
    """Copy a photograph, to be taken in as any picture is."""
    shutil.copyfile(photograph(name), place)


def small_photograph(name: str, folder: Path) -> Path:
    """A photograph made small, kept for the next time."""
    from lanterna.images import open_picture
    from lanterna.surfaces.studio.pictures import write_jpeg

    place = folder / f"example-{_place(name)}.jpg"
    if not place.exists():
        write_jpeg(open_picture(photograph(name), longest=_SMALL), place, _SMALL)
    return place


def _place(name: str) -> int:
    if name not in PHOTOGRAPHS:
        raise KeyError(name)
    return PHOTOGRAPHS.index(name)
