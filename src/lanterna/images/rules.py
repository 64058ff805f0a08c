"""Detection and removal of the ruled lines of lined and squared paper.

A rule is traced along its full length and only its own darkness is subtracted, so that a darker stroke across
it remains. If the stroke is no darker than the rule, the gap is bridged from the ink on both sides, as in the
removal of staff lines from written music (Dalitz et al. 2008, "A comparative study of staff removal
algorithms").
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

_SPAN = 56  # half-size pixels over which a rule is not interrupted
_REACH = 2  # half-size pixels by which it may deviate within a span: 4 degrees


class Rule(NamedTuple):
    """One rule: `at[x]` is its centre at every column (row, if vertical), `thick` its width, in pixels."""

    at: NDArray[np.float64]
    thick: float
    upright: bool


def remove_rules(ink: Tensor, noise: float) -> tuple[Tensor, list[Rule]]:
    """Remove the rules from the ink `(H, W)` of a level page; return the cleaned ink and the rules."""
    level = _find(ink, noise, upright=False)
    cleaned = _remove(ink, level)
    upright = _find(cleaned.T, noise, upright=True, squared=len(level) >= 3)
    cleaned = _remove(cleaned.T, upright).T.contiguous()
    return cleaned, level + upright


def _find(ink: Tensor, noise: float, *, upright: bool, squared: bool = False) -> list[Rule]:
    """Find long thin curves along the rows of `ink`, at least three, or one across most of the width."""
    if ink.shape[-1] < 6 * _SPAN or ink.shape[-2] < 64:
        return []
    small = F.avg_pool2d(ink[None, None], 2)
    wide = small.shape[-1]
    smooth = _smooth(small, 4, across=True)
    # A grey-scale opening along the row: ink that stays dark over a full span.
    near = max_filter(smooth, _REACH, across=False)
    opened = max_filter(-max_filter(-near, _SPAN // 2, down=False), _SPAN // 2, down=False)
    # A rule stands out from the pixels just above and below it; a shadow or a blot does not.
    surroundings = _smooth(opened, 12, across=False)
    strength = torch.minimum(opened - surroundings, smooth - surroundings)[0, 0].numpy()
    mask = strength > max(1.2 * noise, 0.012)
    linked = max_filter(torch.from_numpy(mask).float()[None, None], 9, down=False)[0, 0].numpy() > 0
    pieces = components(linked)
    min_length = wide * ((0.2 if squared else 0.6) if upright else 0.2)
    lengths = pieces.boxes[:, 2] - pieces.boxes[:, 0]
    rules: list[Rule] = []
    full_width = 0
    for label in np.nonzero(lengths >= min_length)[0]:
        x0, y0, x1, y1 = pieces.boxes[label]
        inside = mask[y0:y1, x0:x1] & (pieces.labels[y0:y1, x0:x1] == label + 1)
        thick = inside.sum() / max(int(inside.any(0).sum()), 1)
        if thick > max(5.0, 0.005 * wide):
            continue
        ys, xs = np.nonzero(inside)
        curve = _fit(xs + x0, ys + y0, strength[ys + y0, xs + x0])
        if curve is None:
            continue
        across = np.arange(ink.shape[-1]) / 2 - 0.25
        reach = 0.05 * wide  # a curve is not extrapolated far beyond the piece that it was fitted to
        at = 2 * np.polyval(curve, np.clip(across, x0 - reach, x1 + reach)) + 0.5
        rules.append(Rule(at.astype(np.float64), 2 * float(thick), upright))
        full_width += lengths[label] >= 0.6 * wide
    return rules if len(rules) >= 3 or full_width else []


def _smooth(x: Tensor, reach: int, *, across: bool) -> Tensor:
    """Return the mean within `reach` pixels either way, along the rows or columns, `(1, 1, H, W)`."""
    pad = (reach, reach, 0, 0) if across else (0, 0, reach, reach)
    dimension = -1 if across else -2
    valid = F.pad(torch.ones_like(x), pad)  # the padding is not counted
    return sliding_sum(F.pad(x, pad), 2 * reach + 1, dimension) / sliding_sum(valid, 2 * reach + 1, dimension)


def _fit(
    x: NDArray[np.int64], y: NDArray[np.int64], weights: NDArray[np.float32]
) -> NDArray[np.float64] | None:
    """Fit a parabola to points twice, the second time without outliers; None if the fit is poor."""
    for _ in range(2):
        if len(x) < 20 or np.ptp(x) < 20:
            return None
        curve = np.polyfit(x, y, 2, w=np.sqrt(weights))
        off = np.abs(np.polyval(curve, x) - y)
        near = off < max(2.5, 2 * float(np.median(off)))
        x, y, weights = x[near], y[near], weights[near]
    return curve if float(np.median(off)) < 1.6 else None


def _remove(ink: Tensor, rules: list[Rule]) -> Tensor:
    """Remove rules that run along the rows of `ink`."""
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
        own = _rule_darkness(band) * 1.15
        own -= own[[0, -1]].max(0)  # darkness that continues next to the rule is not the rule's
        own = np.where(own > 0.02, own + 0.02, 0)
        left = np.maximum(band - own, 0)
        # Bridge the gap if there is ink above and below it.
        core = (own > 0.5 * own.max(0)) & (own > 0)
        above = np.maximum(band[0], band[1]) * (own[1] <= 0.05)
        below = np.maximum(band[-1], band[-2]) * (own[-2] <= 0.05)
        left = np.where(core, np.maximum(left, np.minimum(np.minimum(above, below), band)), left)
        plane[rows[inside], np.broadcast_to(columns, rows.shape)[inside]] = left[inside]
    return torch.from_numpy(plane)


def _rule_darkness(band: NDArray[np.float32], window: int = 161) -> NDArray[np.float32]:
    """Estimate the rule's own darkness along a band `(rows, W)`: the local 40th percentile, which ignores
    the strokes that cross it.
    """
    step = 8
    width = band.shape[1]
    padded = np.pad(band, ((0, 0), (window // 2, window // 2)), mode="reflect" if width > window else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, window, axis=1)[:, ::step, ::2]
    levels = np.partition(windows, int(windows.shape[-1] * 0.4), axis=-1)[..., int(windows.shape[-1] * 0.4)]
    centres = np.arange(0, width, step)
    return np.stack([np.interp(np.arange(width), centres, row) for row in levels]).astype(np.float32)
