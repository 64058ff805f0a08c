"""The gallery of `lanterna tour`: one page of results with their numbers and commands. Opens from disk."""

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
_SMALL = 640  # pixels: pictures up to this width are shown side by side


@dataclass(frozen=True)
class Exhibit:
    """A picture in a room: its file name in the gallery folder, its size in pixels, and a caption.

    `page` is a page in that folder that the picture links to, instead of to itself. `film` is a film in that
    folder that replaces the picture, unless the user prefers reduced motion.
    """

    file: str
    width: int
    height: int
    words: str
    page: str = ""
    film: str = ""


@dataclass(frozen=True)
class Room:
    """A part of the gallery: what was done, its numbers and pictures, its command, and what to try next."""

    name: str
    title: str
    words: str
    numbers: tuple[tuple[str, str], ...]
    exhibits: tuple[Exhibit, ...]
    command: str
    next: str


def check_gallery(folder: Path) -> None:
    """Check that the folder is empty or has a gallery. Errors: `UsageError` if it has other files."""
    index = folder / _INDEX
    has_gallery = (folder / MARKER).exists() or (
        index.is_file() and _TITLE in index.read_text(encoding="utf-8", errors="replace")[:1000]
    )
    if not has_gallery and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} has other files in it: choose another folder with -o")


def begin_gallery(folder: Path) -> None:
    """Create the folder of a gallery, and mark it as one, even if the gallery stays incomplete."""
    with atomic_write(folder / MARKER):
        pass


def write_gallery(folder: Path, rooms: list[Room]) -> Path:
    """Write `index.html` into `folder` atomically, and return its path."""
    links = "".join(f'<a href="#{escape(room.name)}">{escape(room.title)}</a>' for room in rooms)
    page = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
{_TITLE}
{styles("gallery.css")}
<header>
<h1>Lanterna</h1>
<p>What the networks on this machine have learned, read and dreamed.</p>
<nav aria-label="Rooms">{links}</nav>
</header>
<main>
{"".join(map(_room, rooms))}</main>
<footer><p>Made on this machine; nothing was uploaded.</p></footer>
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
        exhibits = f'<div class="row">\n{exhibits}</div>\n'
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
    target = escape(exhibit.page or exhibit.film, quote=True) or file
    return f'<figure><a href="{target}">{picture}</a><figcaption>{words}</figcaption></figure>\n'
