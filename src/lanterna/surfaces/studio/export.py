"""Pictures taken out of the gallery: a zip of the files, and a contact sheet to be printed for a crit."""

from __future__ import annotations

import re
import time
import zipfile
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL.ImageFont import FreeTypeFont, ImageFont

_DPI = 150
_PAGE = (1754, 1240)  # A4 across, at that many dots per inch
_MARGIN, _GAP, _WORDS = 80, 36, 62
_COLUMNS, _ROWS = 4, 3
_PAPER, _INK, _GREY = (255, 255, 255), (24, 24, 28), (112, 112, 120)


def write_zip(pictures: Sequence[tuple[dict[str, Any], Path]], place: Path) -> None:
    """Put picture files into a zip as they are, recipes and all, named so that they sort as they came."""
    with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as packed:
        for number, (picture, file) in enumerate(pictures, start=1):
            name = f"{number:03}-{_plain(picture)}"
            packed.write(file, f"{name}{file.suffix}")
            if picture["also"]:
                packed.write(file.with_suffix(picture["also"]), f"{name}{picture['also']}")


def _plain(picture: dict[str, Any]) -> str:
    """What a picture is called in a file's name."""
    words = f"{picture['kind']} {picture['title']}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:60] or "picture"


def write_sheet(pictures: Sequence[tuple[dict[str, Any], Path]], place: Path) -> None:
    """Draw a contact sheet as a PDF: A4 across, twelve pictures a page, beneath each what it is."""
    from lanterna.images.drawing import font

    large, small = font(18), font(14)
    a_page = _COLUMNS * _ROWS
    pages = [
        _page(pictures[first : first + a_page], first, len(pictures), large, small)
        for first in range(0, len(pictures), a_page)
    ]
    first, *others = pages
    first.save(
        place, "PDF", save_all=True, append_images=others, resolution=_DPI, quality=88, title="Contact sheet",
        producer="Lanterna",
    )  # fmt: skip


def _page(
    pictures: Sequence[tuple[dict[str, Any], Path]],
    before: int,
    count: int,
    large: FreeTypeFont | ImageFont,
    small: FreeTypeFont | ImageFont,
) -> Image.Image:
    page = Image.new("RGB", _PAGE, _PAPER)
    words = ImageDraw.Draw(page)
    across = (_PAGE[0] - 2 * _MARGIN - (_COLUMNS - 1) * _GAP) // _COLUMNS
    down = (_PAGE[1] - 2 * _MARGIN - _ROWS * _WORDS - (_ROWS - 1) * _GAP) // _ROWS
    for number, (picture, file) in enumerate(pictures):
        x = _MARGIN + number % _COLUMNS * (across + _GAP)
        y = _MARGIN + number // _COLUMNS * (down + _WORDS + _GAP)
        image = _opened(file, (across, down))
        page.paste(image, (x, y + down - image.height))  # on the line of its words
        title = picture["title"] or picture["kind"]
        words.text(
            (x, y + down + 10), _fitted(f"{before + number + 1}   {title}", large, across), _INK, large
        )
        told = f"{picture['kind']}, {picture['width']} by {picture['height']}"
        words.text((x, y + down + 36), _fitted(told, small, across), _GREY, small)
    foot = f"{time.strftime('%d %B %Y')}   {before + 1} to {before + len(pictures)} of {count}"
    words.text((_MARGIN, _PAGE[1] - _MARGIN + 24), foot, _GREY, small)
    return page


def _opened(file: Path, size: tuple[int, int]) -> Image.Image:
    from lanterna.images import open_picture
    from lanterna.images.drawing import as_image

    image = as_image(open_picture(file, longest=max(size)))
    image.thumbnail(size)
    return image


def _fitted(text: str, letters: FreeTypeFont | ImageFont, width: int) -> str:
    """As much of a text as fits into a line."""
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…"
