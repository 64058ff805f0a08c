"""Pygments styles with few colours: keywords in amber, strings in blue, comments in grey."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pygments.style import Style
from pygments.token import Comment, Keyword, Name, Number, Operator, String, Token

if TYPE_CHECKING:
    from collections.abc import Mapping


def _colours(ink: str, quiet: str, amber: str, blue: str) -> dict[object, str]:
    return {
        Token: ink, Comment: f"italic {quiet}", Keyword: amber, Operator.Word: amber, Name.Decorator: amber,
        String: blue, String.Doc: f"italic {quiet}", Number: blue,
    }  # fmt: skip


class Paper(Style):
    """On a light, paper-coloured background."""

    background_color = "#efe7d8"
    styles: ClassVar[Mapping[object, str]] = _colours("#23201a", "#655f54", "#8f5a00", "#1f56a8")


class Night(Style):
    """On a nearly black background."""

    background_color = "#1a1d26"
    styles: ClassVar[Mapping[object, str]] = _colours("#f0eade", "#a5a39d", "#f5b041", "#8db9ff")
