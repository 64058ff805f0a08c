"""Formulas as MathML, which browsers draw by themselves: in the text's own colour, without a script."""

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
    """A formula within a line."""
    translator.body.append(_drawn(node))
    raise nodes.SkipNode


def as_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """A formula on a line of its own, which can be scrolled where the page is narrow."""
    translator.body.append(f'<div class="formula" tabindex="0">{_drawn(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def _drawn(node: nodes.Element, *, as_block: bool = False) -> str:
    """MathML; where docutils does not know a command of LaTeX, a warning and the formula as it is written."""
    try:
        drawn: str = tex2mathml(node.astext(), as_block=as_block)
    except MathError as error:
        logging.getLogger(__name__).warning("%s: %s", error, node.astext(), location=node)
        return f"<code>{escape(node.astext())}</code>"
    return drawn
