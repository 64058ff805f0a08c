"""A page in which a texture lives: one self-contained HTML file under 100 kB, computed with WebGL2.

Its weights have 8 bits. After 50 steps from nothing, its cells and torch's with the same weights differed by
0.00003 levels of 255 on average, 0.0002 at most; the rounding of the weights changed them by 0.15 on average.
"""

from __future__ import annotations

import base64
import io
import json
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from lanterna.images.drawing import as_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lanterna.techniques.grow.rule import Rule

CELLS = 512
"""Cells along each side in the page; a slow machine uses fewer."""

STILL = 256
"""Pixels along each side of the picture for browsers without WebGL2."""
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


def texture_page(rules: Sequence[Rule], names: Sequence[str], picture: Tensor, head: str = "") -> str:
    """Return a page of one or two textures with their names as HTML; `picture` is shown without WebGL2.

    `head` is HTML above it.
    """
    file = io.BytesIO()
    as_image(picture[:, :STILL, :STILL]).save(file, "WEBP", quality=70)
    title = " and ".join(names)
    data = json.dumps({"rules": [_packed(rule) for rule in rules], "side": CELLS})
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(title)}, alive</title>
<style>
{_text("surfaces/web/theme.css")}{_text("techniques/grow/grow.css")}</style>
<script>{_text("surfaces/web/theme.js")}</script>
{head}<main>
<div class="well">
<img src="data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}" alt="{escape(title)}">
<canvas id="cells" width="{2 * CELLS}" height="{2 * CELLS}" tabindex="0" role="application"
aria-label="{escape(title)}, alive. Arrow keys move the brush, space uses it."></canvas>
<div id="ring" hidden></div>
</div>
<div class="panel">
<h1>{escape(title)}</h1>
<p>Every pixel is a cell. It sees its eight neighbours and follows one rule of 5,856 numbers.
{_INVITATIONS[len(rules) - 1]}</p>
<p class="still">This is a picture: the cells need WebGL2, which this browser does not have.</p>
<form>
{_brushes(names) if len(rules) > 1 else ""}
{_slider("speed", "Speed", 0, 8, 1, 2)}
{_slider("angle", "Angle", 0, 360, 5, 0)}
{_slider("scale", "Scale", 1, 4, 0.25, 1)}
{_slider("radius", "Brush", 8, 96, 4, 40)}
<div class="buttons"><button type="button" id="pause">Pause</button>
<button type="button" id="empty">Start again</button></div>
<p class="quiet" id="rate" role="status"></p>
</form>
</div>
</main>
<script type="application/json" id="data">{data}</script>
<script type="module">
{_text("techniques/grow/grow.js")}</script>
</html>
"""


_INVITATIONS = (
    "Wipe it, and watch it heal.",
    "Wipe them and watch them heal, or paint one into the other.",
)


def _packed(rule: Rule) -> str:
    _, codes = rule.rounded()
    parts = (codes[name] for name in ("see", "act", "see_scale", "act_scale", "bias"))
    return base64.b64encode(b"".join(each.contiguous().numpy().tobytes() for each in parts)).decode()


def _brushes(names: Sequence[str]) -> str:
    choices = [("wipe", "Wipe"), *((str(number), name) for number, name in enumerate(names))]
    labels = "".join(
        f'<label><input type="radio" name="brush" value="{value}"{" checked" * (value == "1")}>'
        f"{escape(label)}</label>"
        for value, label in choices
    )
    return f"<fieldset><legend>Brush with</legend>{labels}</fieldset>"


def _slider(name: str, label: str, least: float, most: float, step: float, value: float) -> str:
    return f"""<div class="field"><label for="{name}">{label}<output id="{name}-now"></output></label>
<input type="range" id="{name}" min="{least}" max="{most}" step="{step}" value="{value}"></div>"""


def _text(name: str) -> str:
    return files("lanterna").joinpath(*name.split("/")).read_text(encoding="utf-8")
