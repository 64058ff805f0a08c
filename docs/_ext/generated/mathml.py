"""Render formulas as MathML, which browsers draw without a script, in the colour of the text."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.writers.html5 import HTML5Translator


def as_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Render an inline formula."""
    translator.body.append(_render(node))
    raise nodes.SkipNode


def as_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Render a display formula, which scrolls on a narrow page."""
    translator.body.append(f'<div class="formula" tabindex="0">{_render(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def _render(node: nodes.Element, *, as_block: bool = False) -> str:
    """Return MathML; for unknown LaTeX commands, log a warning and return the source."""
    try:
        mathml: str = tex2mathml(node.astext(), as_block=as_block)
    except MathError as error:
        logging.getLogger(__name__).warning("%s: %s", error, node.astext(), location=node)
        return f"<code>{escape(node.astext())}</code>"
    return mathml
