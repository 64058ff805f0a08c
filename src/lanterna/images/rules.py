"""The ruled lines of lined and squared paper: found as long thin curves, then taken away from the ink.

A rule is followed along its whole length and only its own darkness is subtracted, so a stroke that crosses
it keeps what it has more. Where the stroke is no darker than the rule, the gap is bridged from the ink on
both sides, as in the removal of staff lines from written music (Dalitz et al. 2008, "A comparative study
of staff removal algorithms").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lanterna.images.components import components
from lanterna.images.light import max_filter, sliding_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SPAN = 56  # half-size pixels along which a rule is not interrupted
_REACH = 2  # half-size pixels by which it may wander on the way: 4 degrees


class Rule(NamedTuple):
    """One rule: `at[x]` is its centre for every column (row, if upright), `thick` its width, in pixels."""

    at: NDArray[np.float64]
    thick: float
    upright: bool


def remove_rules(ink: Tensor, noise: float) -> tuple[Tensor, list[Rule]]:
    """Ink `(H, W)` of a level page without its rules, and the rules."""
    level = _find(ink, noise, upright=False)
    cleaned = _remove(ink, level)
    upright = _find(cleaned.T, noise, upright=True, squared=len(level) >= 3)
    cleaned = _remove(cleaned.T, upright).T.contiguous()
    return cleaned, level + upright


def _find(ink: Tensor, noise: float, *, upright: bool, squared: bool = False) -> list[Rule]:
    """Curves that run along the rows of `ink`, long and thin, at least three (or one from side to side)."""
    small = F.avg_pool2d(ink[None, None], 2)
    wide = small.shape[-1]
    if wide < 3 * _SPAN or small.shape[-2] < 32:
        return []
    smooth = _smoothed(small, 4, across=True)
    # A grey opening along the row: what stays dark for a whole span.
    near = max_filter(smooth, _REACH, across=False)
    opened = max_filter(-max_filter(-near, _SPAN // 2, down=False), _SPAN // 2, down=False)
    # A rule stands out from what is just above and below it; a shadow or a blot does not.
    beside = _smoothed(opened, 12, across=False)
    strength = torch.minimum(opened - beside, smooth - beside)[0, 0].numpy()
    found = strength > max(1.2 * noise, 0.012)
    linked = max_filter(torch.from_numpy(found).float()[None, None], 9, down=False)[0, 0].numpy() > 0
    pieces = components(linked)
    least = wide * ((0.2 if squared else 0.6) if upright else 0.2)
    longest = pieces.boxes[:, 2] - pieces.boxes[:, 0]
    rules: list[Rule] = []
    alone = 0
    for label in np.nonzero(longest >= least)[0]:
        x0, y0, x1, y1 = pieces.boxes[label]
        inside = found[y0:y1, x0:x1] & (pieces.labels[y0:y1, x0:x1] == label + 1)
        thick = inside.sum() / max(int(inside.any(0).sum()), 1)
        if thick > max(5.0, 0.005 * wide):
            continue
        ys, xs = np.nonzero(inside)
        curve = _fit(xs + x0, ys + y0, strength[ys + y0, xs + x0])
        if curve is None:
            continue
        across = np.arange(ink.shape[-1]) / 2 - 0.25
        reach = 0.05 * wide  # a curve is not trusted far beyond the piece that it was fitted to
        at = 2 * np.polyval(curve, np.clip(across, x0 - reach, x1 + reach)) + 0.5
        rules.append(Rule(at.astype(np.float64), 2 * float(thick), upright))
        alone += longest[label] >= 0.6 * wide
    return rules if len(rules) >= 3 or alone else []


def _smoothed(x: Tensor, reach: int, *, across: bool) -> Tensor:
    """The mean within `reach` pixels either way, along the rows or down the columns, `(1, 1, H, W)`."""
    pad = (reach, reach, 0, 0) if across else (0, 0, reach, reach)
    dimension = -1 if across else -2
    there = F.pad(torch.ones_like(x), pad)  # beyond the border there is nothing, which is not counted
    return sliding_sum(F.pad(x, pad), 2 * reach + 1, dimension) / sliding_sum(there, 2 * reach + 1, dimension)


def _fit(
    x: NDArray[np.int64], y: NDArray[np.int64], weights: NDArray[np.float32]
) -> NDArray[np.float64] | None:
    """A parabola through points, fitted again without those far from the first. None if it is none."""
    for _ in range(2):
        if len(x) < 20 or np.ptp(x) < 20:
            return None
        curve = np.polyfit(x, y, 2, w=np.sqrt(weights))
        off = np.abs(np.polyval(curve, x) - y)
        near = off < max(2.5, 2 * float(np.median(off)))
        x, y, weights = x[near], y[near], weights[near]
    return curve if float(np.median(off)) < 1.6 else None


def _remove(ink: Tensor, rules: list[Rule]) -> Tensor:
    """Ink without rules that run along its rows."""
    if not rules:
        return ink
    plane = ink.numpy().copy()
    height, width = plane.shape
    columns = np.arange(width)
    for rule in rules:
        reach = int(np.ceil(rule.thick / 2)) + 3
        offsets = np.arange(-reach, reach + 1)
        rows = np.rint(rule.at).astype(int)[None, :] + offsets[:, None]  # (2 reach + 1, W)
        inside = (rows >= 0) & (rows < height)
        rows = rows.clip(0, height - 1)
        band = plane[rows, columns]
        own = _own_level(band) * 1.15
        own -= own[[0, -1]].max(0)  # what is also beside the rule is not of the rule
        own = np.where(own > 0.02, own + 0.02, 0)
        left = np.maximum(band - own, 0)
        # Bridge the gap where there is ink above and below it.
        core = (own > 0.5 * own.max(0)) & (own > 0)
        above = np.maximum(band[0], band[1]) * (own[1] <= 0.05)
        below = np.maximum(band[-1], band[-2]) * (own[-2] <= 0.05)
        left = np.where(core, np.maximum(left, np.minimum(np.minimum(above, below), band)), left)
        plane[rows[inside], np.broadcast_to(columns, rows.shape)[inside]] = left[inside]
    return torch.from_numpy(plane)


def _own_level(band: NDArray[np.float32], window: int = 161) -> NDArray[np.float32]:
    """How dark the rule itself is along a band `(rows, W)`: a low middle of what is nearby, so that the
    strokes that cross it do not count.
    """
    step = 8
    width = band.shape[1]
    padded = np.pad(band, ((0, 0), (window // 2, window // 2)), mode="reflect" if width > window else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, window, axis=1)[:, ::step, ::2]
    levels = np.partition(windows, int(windows.shape[-1] * 0.4), axis=-1)[..., int(windows.shape[-1] * 0.4)]
    centres = np.arange(0, width, step)
    return np.stack([np.interp(np.arange(width), centres, row) for row in levels]).astype(np.float32)
