"""Fills the pages with what is told once, in the code: `<!-- made: lessons -->` becomes every lesson.

A page with such a line is Markdown like any other, on a code host too, where the line is not seen.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from made.glossary import glossary
from made.lessons import lessons
from made.mathml import as_block, as_inline
from made.python import python
from made.settings import all_settings
from made.shelves import shelves
from made.studio import studio

if TYPE_CHECKING:
    from collections.abc import Callable

    from sphinx.application import Sphinx

_NOTEBOOKS = """\
```{toctree}
:hidden:
:caption: Notebooks
:glob:

notebooks/*
```
"""
_PLACE = re.compile(r"^<!-- made: (\w+) -->$", re.MULTILINE)


def notebooks(app: Sphinx) -> str:
    """The contents of the folder of notebooks, where there is one."""
    return _NOTEBOOKS if any(name.startswith("notebooks/") for name in app.env.found_docs) else ""


MADE: dict[str, Callable[[Sphinx], str]] = {
    "lessons": lessons, "settings": all_settings, "studio": studio, "python": python, "shelf": shelves,
    "notebooks": notebooks, "glossary": glossary,
}  # fmt: skip


def setup(app: Sphinx) -> dict[str, Any]:
    """Add it to Sphinx."""
    app.add_config_value("lesson_pictures", default=True, rebuild="env", types=[bool, str])
    app.add_html_math_renderer("mathml", (as_inline, None), (as_block, None))
    app.connect("source-read", _fill)
    app.connect("env-get-outdated", _outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _fill(app: Sphinx, _: str, source: list[str]) -> None:
    source[0] = _PLACE.sub(lambda found: MADE[found[1]](app), source[0])


def _outdated(app: Sphinx, *_: object) -> list[str]:
    """The pages with something made in them: the code may have changed where the page has not."""
    texts = {name: app.env.doc2path(name).read_text(encoding="utf-8") for name in app.env.found_docs}
    return [name for name, text in texts.items() if _PLACE.search(text)]
