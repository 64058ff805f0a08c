"""Generate parts of the pages from the code: `<!-- generated: lessons -->` is replaced by all lessons.

Elsewhere, for example on a code host, such a line is an invisible comment.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generated.glossary import glossary
from generated.lessons import lessons
from generated.mathml import as_block, as_inline
from generated.python import python
from generated.settings import all_settings
from generated.shelf import shelf
from generated.studio_api import studio
from lanterna.networks import open_network
from lanterna.networks.trained import is_trained
from lanterna.surfaces.web.class_site import Contents, write_site

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
_MARKER = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def notebooks(app: Sphinx) -> str:
    """Return a table of contents of the notebooks, if there are any."""
    return _NOTEBOOKS if any(name.startswith("notebooks/") for name in app.env.found_docs) else ""


GENERATORS: dict[str, Callable[[Sphinx], str]] = {
    "lessons": lessons, "settings": all_settings, "studio": studio, "python": python, "shelf": shelf,
    "notebooks": notebooks, "glossary": glossary,
}  # fmt: skip


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.add_config_value("lesson_pictures", default=True, rebuild="env", types=[bool, str])
    app.add_html_math_renderer("mathml", (as_inline, None), (as_block, None))
    app.connect("source-read", _fill)
    app.connect("env-get-outdated", _outdated)
    app.connect("build-finished", _write_live_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _fill(app: Sphinx, _: str, source: list[str]) -> None:
    source[0] = _MARKER.sub(lambda match: GENERATORS[match[1]](app), source[0])


def _write_live_pages(app: Sphinx, error: Exception | None) -> None:
    """Write the site of `lanterna page`, to which the notebooks link; its networks are those trained here."""
    if error is not None or app.builder.format != "html":
        return
    networks = {name: open_network(name) for name in ("conv", "dense") if is_trained(name)}
    folder = Path(app.outdir, "live")
    shutil.rmtree(folder, ignore_errors=True)
    write_site(folder, Contents(networks=networks))


def _outdated(app: Sphinx, *_: object) -> list[str]:
    """Return the pages with generated parts: the code may have changed even if the page has not."""
    texts = {name: app.env.doc2path(name).read_text(encoding="utf-8") for name in app.env.found_docs}
    return [name for name, text in texts.items() if _MARKER.search(text)]
