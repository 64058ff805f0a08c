"""The terms of the field, from the glossary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generated.formatting import plain
from lanterna.glossary import GLOSSARY

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def glossary(_: Sphinx | None = None) -> str:
    """Return a list of all terms with their meanings."""
    return "\n".join(f"{term}\n: {plain(meaning)}\n" for term, meaning in GLOSSARY.items())
