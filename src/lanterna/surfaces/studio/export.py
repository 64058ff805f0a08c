"""Export from the gallery: a zip of the files, and a contact sheet to print for a crit."""

from __future__ import annotations

import csv
import io
import time
import zipfile
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw

from lanterna.surfaces.studio.names import file_name, tags_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL.ImageFont import FreeTypeFont, ImageFont

_DPI = 150
_PAGE = (1754, 1240)  # A4 landscape at 150 dpi
_MARGIN, _GAP, _CAPTION = 80, 36, 62
_COLUMNS, _ROWS = 4, 3
_PAPER, _INK, _GREY = (255, 255, 255), (24, 24, 28), (112, 112, 120)


def write_zip(pictures: Sequence[tuple[dict[str, Any], Path]], path: Path) -> None:
    """Write picture files unchanged, with their recipes, into a zip; the names sort in the given order.

    `pictures.csv` in it has their titles and tags.
    """
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["file", "title", "tags", "starred"])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, (picture, file) in enumerate(pictures, start=1):
            name = f"{number:03}-{file_name(picture)}"
            archive.write(file, name)
            tags = ", ".join(tags_of(picture))
            rows.writerow([name, picture["title"], tags, "yes" if picture["starred"] else ""])
            if also := picture["also"]:
                archive.write(file.with_suffix(also), f"{number:03}-{file_name(picture, also)}")
        archive.writestr(
            "pictures.csv", table.getvalue().encode("utf-8-sig")
        )  # so that spreadsheets read it right


def write_sheet(pictures: Sequence[tuple[dict[str, Any], Path]], path: Path) -> None:
    """Draw a contact sheet as a PDF: A4 landscape, twelve pictures a page, each with a caption."""
    from lanterna.images.drawing import font

    large, small = font(18), font(14)
    per_page = _COLUMNS * _ROWS
    pages = [
        _page(pictures[first : first + per_page], first, len(pictures), large, small)
        for first in range(0, len(pictures), per_page)
    ]
    first, *others = pages
    first.save(
        path, "PDF", save_all=True, append_images=others, resolution=_DPI, quality=88, title="Contact sheet",
        producer="Lanterna",
    )  # fmt: skip


def _page(
    pictures: Sequence[tuple[dict[str, Any], Path]],
    offset: int,
    count: int,
    large: FreeTypeFont | ImageFont,
    small: FreeTypeFont | ImageFont,
) -> Image.Image:
    page = Image.new("RGB", _PAGE, _PAPER)
    draw = ImageDraw.Draw(page)
    across = (_PAGE[0] - 2 * _MARGIN - (_COLUMNS - 1) * _GAP) // _COLUMNS
    down = (_PAGE[1] - 2 * _MARGIN - _ROWS * _CAPTION - (_ROWS - 1) * _GAP) // _ROWS
    for number, (picture, file) in enumerate(pictures):
        x = _MARGIN + number % _COLUMNS * (across + _GAP)
        y = _MARGIN + number // _COLUMNS * (down + _CAPTION + _GAP)
        image = _thumbnail(file, (across, down))
        page.paste(image, (x, y + down - image.height))  # aligned with the bottom of its row
        title = picture["title"] or picture["kind"]
        draw.text(
            (x, y + down + 10), _truncated(f"{offset + number + 1}   {title}", large, across), _INK, large
        )
        size = f"{picture['width']} by {picture['height']}"
        details = ", ".join([picture["kind"], size, *tags_of(picture)])
        draw.text((x, y + down + 36), _truncated(details, small, across), _GREY, small)
    footer = f"{time.strftime('%d %B %Y')}   {offset + 1} to {offset + len(pictures)} of {count}"
    draw.text((_MARGIN, _PAGE[1] - _MARGIN + 24), footer, _GREY, small)
    return page


def _thumbnail(file: Path, size: tuple[int, int]) -> Image.Image:
    from lanterna.images import open_picture
    from lanterna.images.drawing import as_image

    image = as_image(open_picture(file, longest=max(size)))
    image.thumbnail(size)
    return image


def _truncated(text: str, font: FreeTypeFont | ImageFont, width: int) -> str:
    """Return as much of a text as fits into a line."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…"
