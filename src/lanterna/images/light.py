"""Separation of ink from paper in a photograph, whatever the lighting."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_COARSE = 4  # the paper's brightness is computed at a quarter of the size
_WIDEST_STROKE = 1 / 7  # of the longer side: the strokes of a single digit that fills the picture


class EvenedPage(NamedTuple):
    """A picture's lighting and ink, each `(H, W)`.

    `grey` is the picture projected on the colour direction in which its ink differs from its paper; `paper`
    the same without writing; `ink` the position of each pixel between paper (0) and full black (1), whatever
    the lighting. `direction` is that colour direction (shares of red, green and blue that add to 1), `dark`
    whether ink is darker than paper, `noise` the standard deviation of `ink` on blank paper.
    """

    grey: Tensor
    paper: Tensor
    ink: Tensor
    direction: tuple[float, float, float]
    dark: bool
    noise: float
    background: Tensor  # (3, H, W): the paper in the picture's colours


def even_light(picture: Tensor) -> EvenedPage:
    """Even out the lighting of a picture `(3, H, W)` in [0, 1].

    The paper is a grey-scale closing of the picture (a maximum filter, then a minimum filter): strokes
    narrower than the window are filled, while the edge of a shadow stays sharp, which a blurred background
    would smear. Lighting multiplies, so ink is the share of the paper's light that is missing.
    """
    dark = _ink_is_dark(picture)
    upright = picture if dark else 1 - picture
    paper = _paper(upright)
    missing = (paper - upright) / (paper + 0.04)  # (3, H, W)
    direction = _ink_direction(missing)
    weights = direction.view(3, 1, 1)
    ink = (missing * weights).sum(0)
    middle = ink[::3, ::3].median()
    noise = float((ink[::3, ::3] - middle).abs().median()) * 1.4826
    grey = (picture * weights).sum(0)
    background = (paper * weights).sum(0)
    return EvenedPage(
        grey=grey,
        paper=background if dark else 1 - background,
        ink=(ink - middle).clamp(0, 1),
        direction=(float(direction[0]), float(direction[1]), float(direction[2])),
        dark=dark,
        noise=noise,
        background=paper if dark else 1 - paper,
    )


def _ink_is_dark(picture: Tensor) -> bool:
    """Return whether ink is darker than paper, from the skewness of the deviations from local medians."""
    brightness = picture.mean(0, keepdim=True).unsqueeze(0)  # (1, 1, H, W)
    side = max(picture.shape[1:])
    step = max(1, round(side / 500))
    fine = F.avg_pool2d(brightness, step, ceil_mode=True)
    coarse = F.interpolate(fine, [max(1, length // 4) for length in fine.shape[-2:]], mode="area")
    reach = 6
    windows = (
        F.pad(coarse, (reach,) * 4, mode="replicate").unfold(2, 2 * reach + 1, 1).unfold(3, 2 * reach + 1, 1)
    )
    middle = windows.flatten(-2).median(-1).values
    difference = fine - F.interpolate(middle, size=fine.shape[-2:], mode="bilinear", align_corners=False)
    return float((difference.clamp(-0.5, 0.5) ** 3).sum()) <= 0


def _paper(picture: Tensor) -> Tensor:
    """Return the picture without its dark ink, `(3, H, W)`."""
    height, width = picture.shape[1:]
    small = F.avg_pool2d(picture.unsqueeze(0), _COARSE, ceil_mode=True, count_include_pad=False)
    reach = max(3, round(max(small.shape[-2:]) * _WIDEST_STROKE / 2))
    # The border is assumed to continue outside the picture: a strip of table is table, not a wide stroke.
    padded = F.pad(small, (2 * reach,) * 4, mode="replicate")
    closed = -max_filter(-max_filter(padded, reach), reach)
    closed = closed[..., 2 * reach : -2 * reach, 2 * reach : -2 * reach]
    # Darken by one coarse pixel, so that the enlarged paper is not too bright next to a shadow's edge.
    darkened = -F.max_pool2d(-closed, 3, 1, 1)
    return F.interpolate(darkened, size=(height, width), mode="bilinear", align_corners=False)[0]


def max_filter(x: Tensor, reach: int, *, down: bool = True, across: bool = True) -> Tensor:
    """Return the maximum within `reach` pixels, `(..., H, W)`, by running maxima of doubling length."""
    for dimension, enabled in ((-2, down), (-1, across)):
        if enabled and reach:
            x = _running_max(x, 2 * reach + 1, dimension)
    return x


def _running_max(x: Tensor, window: int, dimension: int) -> Tensor:
    size = x.shape[dimension]
    before = (window - 1) // 2
    pad = [0, 0, 0, 0]
    pad[0 if dimension == -1 else 2], pad[1 if dimension == -1 else 3] = before, window - 1 - before
    x = F.pad(x, pad, value=float("-inf"))
    length = 1
    while length < window:
        step = min(length, window - length)
        valid = x.shape[dimension] - step
        x = torch.maximum(x.narrow(dimension, 0, valid), x.narrow(dimension, step, valid))
        length += step
    return x.narrow(dimension, 0, size)


def sliding_sum(x: Tensor, window: int, dimension: int) -> Tensor:
    """Return the sums of `window` consecutive values along a dimension, which becomes `window - 1` shorter.

    Divided by `window` the result is bit-identical to torch's average pooling, but several times as fast:
    full planes are added.
    """
    length = x.shape[dimension] - window + 1
    total = x.narrow(dimension, 0, length).clone()
    for step in range(1, window):
        total += x.narrow(dimension, step, length)
    return total


def _ink_direction(missing: Tensor) -> Tensor:
    """Return the colour in which ink shows most: the mean of the strongest differences from paper, `(3,)`."""
    sample = missing[:, ::2, ::2].flatten(1)  # (3, pixels)
    strength = sample.amax(0)
    count = max(1, strength.numel() // 100)
    strongest = strength.topk(count).indices
    mean = sample[:, strongest].mean(1).clamp_min(0)
    # Squared, so that a channel in which the ink is faint adds little noise.
    shares = mean**2
    return shares / shares.sum() if float(shares.sum()) > 1e-8 else torch.full((3,), 1 / 3)
