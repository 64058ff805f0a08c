"""A page in which a texture or a shape lives: one HTML file under 100 kB, computed with WebGL2.

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

from lanterna.errors import UsageError
from lanterna.images.drawing import as_image
from lanterna.techniques.grow.rule import grown_picture
from lanterna.techniques.octaves import resized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lanterna.techniques.grow.rule import Rule

_CELLS = 512  # along each side in the page; a slow machine uses fewer
_SHAPES = 3  # of a shape's own planes beside each other in its page
_STILL = 256  # pixels along each side of the picture for browsers without WebGL2
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


def check_rules(rules: Sequence[Rule]) -> None:
    """Raise `UsageError` unless one shape or one or two textures can live in a page."""
    if len(rules) > 2:
        raise UsageError(f"expected one texture or two that meet, got {len(rules)}")
    if len(rules) == 2 and any(rule.first for rule in rules):
        raise UsageError("expected one shape, or textures alone: a shape lives in a page of its own")


def still(rule: Rule, steps: int, seed: int) -> Tensor:
    """Grow the picture for browsers without WebGL2, `(3, S, S)` in [0, 1]."""
    return grown_picture(rule, _side(rule) if rule.first else _STILL, steps, seed)


def _side(rule: Rule) -> int:
    return _SHAPES * rule.first.side if rule.first else _CELLS


def texture_page(rules: Sequence[Rule], names: Sequence[str], picture: Tensor, head: str = "") -> str:
    """Return a page of a shape or one or two textures, with their names, as HTML; `head` is HTML above it.

    `picture` is shown without WebGL2. Errors: those of `check_rules`.
    """
    check_rules(rules)
    file, first = io.BytesIO(), rules[0].first
    shown = resized(picture, (_STILL, _STILL)).clamp(0, 1) if first else picture[:, :_STILL, :_STILL]
    as_image(shown).save(file, "WEBP", quality=70)
    title = " and ".join(names)
    data = json.dumps({"rules": [_packed(rule) for rule in rules], "side": _side(rules[0]), "first": first})
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
<canvas id="cells" width="{2 * _CELLS}" height="{2 * _CELLS}" tabindex="0" role="application"
aria-label="{escape(title)}, alive. Arrow keys move the brush, space {_KEYS[bool(first)]}."></canvas>
<div id="ring" hidden></div>
</div>
<div class="panel">
<h1>{escape(title)}</h1>
<p>Every {"square" if first else "pixel"} is a cell. It sees its eight neighbours and follows one rule of
5,856 numbers. {_INVITATIONS[0 if first else len(rules)]}</p>
<p class="still">This is a picture: the cells need WebGL2, which this browser does not have.</p>
<form>
<div class="buttons"><button type="button" id="pause">Pause</button>
<button type="button" id="empty">Start again</button></div>
{_brushes(names) if len(rules) > 1 else ""}
{_slider("speed", "Speed", 0, 8, 1, 2)}
{_slider("angle", "Angle", 0, 360, 5, 0)}
{_slider("scale", "Scale", 1, 4, 0.25, 1)}
{_slider("radius", "Brush", 8, 96, 4, 40)}
<p class="quiet" id="rate" role="status"></p>
</form>
</div>
</main>
<script type="application/json" id="data">{data}</script>
<script type="module">
{_text("techniques/grow/grow.js")}</script>
</html>
"""


_KEYS = ("uses it", "wipes, and Enter plants a cell")
_INVITATIONS = (
    "Wipe it, and watch it grow back. Tap beside it, and another grows from one cell.",
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
