"""Code in few colours: words of the language in amber, texts in blue, comments quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pygments.style import Style
from pygments.token import Comment, Keyword, Name, Number, Operator, String, Token

if TYPE_CHECKING:
    from collections.abc import Mapping


def _inks(ink: str, quiet: str, amber: str, blue: str) -> dict[object, str]:
    return {
        Token: ink, Comment: f"italic {quiet}", Keyword: amber, Operator.Word: amber, Name.Decorator: amber,
        String: blue, String.Doc: f"italic {quiet}", Number: blue,
    }  # fmt: skip


class Paper(Style):
    """On warm paper."""

    background_color = "#efe7d8"
    styles: ClassVar[Mapping[object, str]] = _inks("#23201a", "#655f54", "#8f5a00", "#1f56a8")


class Night(Style):
    """On near-black."""

    background_color = "#1a1d26"
    styles: ClassVar[Mapping[object, str]] = _inks("#f0eade", "#a5a39d", "#f5b041", "#8db9ff")
