"""One self-contained page: styles, modules, data and arrays in a single HTML file that opens from disk.

The scripts in `surfaces/web/` are ES modules that import each other by name (`lanterna/arrays.js`). An
import map maps each name to the module as a data URL; a server can map the same names to URLs.
"""

from __future__ import annotations

import base64
import json
import posixpath
import re
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

_DTYPES = {torch.uint8: "uint8", torch.int32: "int32", torch.float32: "float32", torch.float16: "float16"}
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' data:; worker-src blob:; "
    "style-src 'unsafe-inline'; img-src data: blob:"
)


def asset(name: str) -> str:
    """Return the text of a file in `surfaces/web/`."""
    return files("lanterna.surfaces").joinpath("web", name).read_text(encoding="utf-8")


def with_imports(*names: str) -> list[str]:
    """Return modules of `surfaces/web/` with all their imports from there, each once."""
    modules: list[str] = []
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in modules:
            modules.append(name)
            pending += re.findall(
                r'^(?:import|export|\}).* from "lanterna/([^"]+)"', _module(name), re.MULTILINE
            )
    return modules


def styles(*names: str) -> str:
    """Return a style element with `theme.css` and the named style sheets."""
    return "<style>\n" + "".join(asset(name) for name in ("theme.css", *names)) + "</style>"


def standalone(
    title: str,
    *,
    sheets: Sequence[str],
    modules: Sequence[str],
    entry: str,
    data: Mapping[str, object],
    arrays: Mapping[str, Tensor],
    body: str,
) -> str:
    """Return a page as HTML.

    `modules` are files of `surfaces/web/`, imported as `lanterna/NAME`; the `mount` of one of them, `entry`,
    is called with an object of `data` (any JSON) and `arrays` (tensors of uint8, int32, float16 or float32,
    which arrive as typed arrays with their `shape`). `body` is HTML, present before any script runs.

    Errors: `KeyError` for an array of another type.
    """
    index, blob = _packed(arrays)
    imports = {f"lanterna/{name}": _data_url(_module(name)) for name in (*modules, "arrays.js")}
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(title)}</title>
{styles(*sheets)}
<script>{asset("theme.js")}</script>
{body}
<script type="application/json" id="lanterna-data">{_in_script({"data": data, "index": index})}</script>
<script type="application/octet-stream" id="lanterna-arrays">{base64.b64encode(blob).decode()}</script>
<script type="importmap">{_in_script({"imports": imports})}</script>
<script type="module">
import {{ load }} from "lanterna/arrays.js";
import {{ mount }} from "lanterna/{entry}";
mount(load());
</script>
</html>
"""


def _module(name: str) -> str:
    """Return a module's text with absolute imports, as a data URL has no folder."""

    def absolute(match: re.Match[str]) -> str:
        return f'from "lanterna/{posixpath.normpath(posixpath.join(posixpath.dirname(name), match[1]))}"'

    return re.sub(r'from "(\.\.?/[^"]+)"', absolute, asset(name))


def _packed(arrays: Mapping[str, Tensor]) -> tuple[dict[str, object], bytes]:
    """Concatenate the arrays, each aligned to four bytes; return an index of them and the bytes."""
    index: dict[str, object] = {}
    blob = bytearray()
    for name, array in arrays.items():
        values = array.detach().cpu().contiguous()
        index[name] = {"kind": _DTYPES[values.dtype], "shape": list(values.shape), "start": len(blob)}
        blob += values.numpy().tobytes()
        blob += bytes(-len(blob) % 4)
    return index, bytes(blob)


def _in_script(document: object) -> str:
    """Return JSON that cannot end its script element."""
    return json.dumps(document, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _data_url(module: str) -> str:
    return "data:text/javascript;base64," + base64.b64encode(module.encode()).decode()
