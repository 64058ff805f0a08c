"""Generate the list of the shelf's items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generated.formatting import plain
from lanterna.files import format_size
from lanterna.shelf import ITEMS

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def shelf(_: Sphinx | None = None) -> str:
    """Return a list of the data and weights, with licence, source and size."""
    entries = [
        f"`{name}`\n: {plain(item.what)}\n\n  Licence: {plain(item.licence)}\n\n"
        f"  [{plain(item.project)} {item.version}, {format_size(item.size)} to download]{{.takes}}"
        for name, item in ITEMS.items()
    ]
    return "```{container} settings\n" + "\n\n".join(entries) + "\n```\n"
