"""The gallery: one page of what was made, with how well and how to make it again. Opens from disk."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from lanterna.errors import UsageError
from lanterna.files import MARKER, atomic_write
from lanterna.surfaces.web.page import styles

if TYPE_CHECKING:
    from pathlib import Path


_INDEX, _TITLE = "index.html", "<title>Lanterna: the gallery</title>"
_SMALL = 640  # pixels: pictures that are no wider hang side by side


@dataclass(frozen=True)
class Exhibit:
    """A picture in a room: its file's name in the gallery folder, its size in pixels, what it shows.

    `page` is the page in that folder that the picture opens, where it opens more than itself. `film` is a
    film in that folder that is shown in its place, where the person has not asked for less motion.
    """

    file: str
    width: int
    height: int
    words: str
    page: str = ""
    film: str = ""


@dataclass(frozen=True)
class Room:
    """A part of the gallery: what was done, how well, with which command, and what to try next."""

    name: str
    title: str
    words: str
    numbers: tuple[tuple[str, str], ...]
    exhibits: tuple[Exhibit, ...]
    command: str
    next: str


def check_gallery(folder: Path) -> None:
    """Whether a gallery can go there, or goes on there. Errors: `UsageError` for a folder of other files."""
    index = folder / _INDEX
    began = (folder / MARKER).exists() or (
        index.is_file() and _TITLE in index.read_text(encoding="utf-8", errors="replace")[:1000]
    )
    if not began and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} has other files in it: -o gives the gallery another folder")


def begin_gallery(folder: Path) -> None:
    """Make the folder of a gallery, which is ours from now on, however far it comes."""
    with atomic_write(folder / MARKER):
        pass


def write_gallery(folder: Path, rooms: list[Room]) -> Path:
    """Write `index.html` into `folder`, whole or not at all, and give its path."""
    ways = "".join(f'<a href="#{escape(room.name)}">{escape(room.title)}</a>' for room in rooms)
    page = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
{_TITLE}
{styles("gallery.css")}
<header>
<h1>Lanterna</h1>
<p>What the networks on this machine learned, read and saw.</p>
<nav aria-label="Rooms">{ways}</nav>
</header>
<main>
{"".join(map(_room, rooms))}</main>
<footer><p>Made on this machine. Nothing left it.</p></footer>
</html>
"""
    index = folder / _INDEX
    with atomic_write(index) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return index


def _room(room: Room) -> str:
    numbers = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in room.numbers
    )
    exhibits = "".join(map(_exhibit, room.exhibits))
    if len(room.exhibits) > 1 and all(exhibit.width <= _SMALL for exhibit in room.exhibits):
        exhibits = f'<div class="beside">\n{exhibits}</div>\n'
    return f"""<section id="{escape(room.name)}">
<h2>{escape(room.title)}</h2>
<p>{escape(room.words)}</p>
<dl>{numbers}</dl>
{exhibits}<p class="next">{escape(room.next)}</p>
<pre><code>{escape(room.command)}</code></pre>
</section>
"""


def _exhibit(exhibit: Exhibit) -> str:
    file, words = escape(exhibit.file, quote=True), escape(exhibit.words)
    picture = f'<img src="{file}" width="{exhibit.width}" height="{exhibit.height}" alt="{words}">'
    if exhibit.film:
        film = escape(exhibit.film, quote=True)
        still = "(prefers-reduced-motion: no-preference)"
        picture = f'<picture><source srcset="{film}" media="{still}">{picture}</picture>'
    opens = escape(exhibit.page or exhibit.film, quote=True) or file
    return f'<figure><a href="{opens}">{picture}</a><figcaption>{words}</figcaption></figure>\n'
