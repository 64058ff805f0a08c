"""The terms of the field, from the glossary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanterna.glossary import GLOSSARY
from made.words import plain

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def glossary(_: Sphinx | None = None) -> str:
    """Return every term with its meaning, each a place on the page that can be linked to."""
    return "\n".join(f"{term}\n: {plain(meaning)}\n" for term, meaning in GLOSSARY.items())
