"""What is on the shelf, from its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanterna.shelf import ITEMS
from lanterna.surfaces.cli.common import format_size
from made.words import plain

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def shelves(_: Sphinx | None = None) -> str:
    """A list of the data and weights: what each is, its licence, where it comes from and how large it is."""
    entries = [
        f"`{name}`\n: {plain(item.what)}\n\n  Licence: {plain(item.licence)}\n\n"
        f"  [{plain(item.project)} {item.version}, {format_size(item.size)} to fetch]{{.takes}}"
        for name, item in ITEMS.items()
    ]
    return "```{container} settings\n" + "\n\n".join(entries) + "\n```\n"
