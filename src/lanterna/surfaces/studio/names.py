"""The names that the page shows: of jobs and pictures, of their files, and of files in errors."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanterna.settings import features_folder, networks_folder, shelf_folder, studio_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BETWEEN = " · "
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{2,5}$")


def automatic_title(
    subject: str, technique: str, preset: str | None = None, styles: Sequence[str] = ()
) -> str:
    """Return a title such as "Cat · dream · eyes · 14:32": the subject, the technique, the time.

    `subject` is the title of the input picture, or "": then the technique comes first. `styles` are names of
    styles, or titles of the paintings that they are taken from.
    """
    what = _subject(subject)
    painted = " and ".join(map(_subject, styles[:2]))[:60] + (" and others" if len(styles) > 2 else "")
    parts = [what, technique.lower() if what else technique, preset, painted, time.strftime("%H:%M")]
    first, *others = [part for part in parts if part]
    return _BETWEEN.join([first[0].upper() + first[1:], *others])[:120]


def _subject(title: str) -> str:
    """Return what a picture shows by its title: without the suffix, and without what was done to it."""
    return _SUFFIX.sub("", title.partition(_BETWEEN)[0]).replace("_", " ").strip()


def file_name(picture: Mapping[str, Any], suffix: str = "") -> str:
    """Return the name of a picture's file outside the studio: its title, in safe characters.

    With `suffix` it is the name of the file next to it.
    """
    title = picture["title"].removesuffix(picture["suffix"])
    stem = re.sub(r"[^\w.-]+", "-", title).strip("-.")[:60] or picture["kind"] or "picture"
    return f"{stem}{suffix or picture['suffix']}"


def tags_of(picture: Mapping[str, Any]) -> list[str]:
    """Return the tags of a picture, which the store has as lines."""
    tags: str = picture["tags"]
    return tags.split("\n")[1:-1]


def without_folders(message: str) -> str:
    """Replace the paths in a message by their names: the page has no folders, and others may see it."""
    folders = [studio_folder(), networks_folder(), shelf_folder(), features_folder()]
    folders += [Path.home(), Path(tempfile.gettempdir())]
    for folder in sorted(
        {*folders, *(each.resolve() for each in folders)}, key=lambda each: -len(each.parts)
    ):
        if len(folder.parts) > 1:  # not the root
            path = rf"{re.escape(str(folder))}(?:[/\\][^\s'\"`:;,]*)?"
            message = re.sub(path, lambda found: Path(found[0]).name, message)
    return message
