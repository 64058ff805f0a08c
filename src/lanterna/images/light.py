"""From a photograph to ink alone: which way ink differs from paper, and how much, whatever the light."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_COARSE = 4  # the paper's brightness is worked out at a quarter of the size
_WIDEST_STROKE = 1 / 7  # of the longer side: a drawing of one digit that fills the picture has such strokes


class EvenedPage(NamedTuple):
    """A picture's light and ink, each `(H, W)`.

    `grey` is the picture along the colour direction in which its ink differs from its paper; `paper` what it
    would be with nothing written; `ink` how far each place is from paper to full black, 0 to 1, whatever the
    light. `direction` is that colour direction (three shares of red, green and blue that add to 1), `dark`
    whether ink is darker than paper, `noise` the deviation of `ink` where there is only paper.
    """

    grey: Tensor
    paper: Tensor
    ink: Tensor
    direction: tuple[float, float, float]
    dark: bool
    noise: float
    background: Tensor  # (3, H, W): the paper in all colours, as it is in the picture


def even_light(picture: Tensor) -> EvenedPage:
    """Even out the light of a picture `(3, H, W)` in [0, 1].

    Paper is what a grey closing leaves (the largest value nearby, then the smallest of those): strokes
    narrower than the window are filled, while the edge of a shadow stays where it is, which a blurred
    background would smear. Light multiplies, so ink is the share of the paper's light that is missing.
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
    """Ink is the rarer side: do places differ from the middle of what surrounds them mostly downwards?"""
    brightness = picture.mean(0, keepdim=True).unsqueeze(0)  # (1, 1, H, W)
    side = max(picture.shape[1:])
    step = max(1, round(side / 500))
    fine = F.avg_pool2d(brightness, step, ceil_mode=True)
    coarse = F.interpolate(fine, scale_factor=1 / 4, mode="area")
    reach = 6
    windows = (
        F.pad(coarse, (reach,) * 4, mode="replicate").unfold(2, 2 * reach + 1, 1).unfold(3, 2 * reach + 1, 1)
    )
    middle = windows.flatten(-2).median(-1).values
    difference = fine - F.interpolate(middle, size=fine.shape[-2:], mode="bilinear", align_corners=False)
    return float((difference.clamp(-0.5, 0.5) ** 3).sum()) <= 0


def _paper(picture: Tensor) -> Tensor:
    """The picture with nothing written on it, `(3, H, W)`, for dark ink."""
    height, width = picture.shape[1:]
    small = F.avg_pool2d(picture.unsqueeze(0), _COARSE, ceil_mode=True, count_include_pad=False)
    reach = max(3, round(max(small.shape[-2:]) * _WIDEST_STROKE / 2))
    # What lies at the border is taken to go on beyond it: a strip of table is table, not a wide stroke.
    padded = F.pad(small, (2 * reach,) * 4, mode="replicate")
    closed = -max_filter(-max_filter(padded, reach), reach)
    closed = closed[..., 2 * reach : -2 * reach, 2 * reach : -2 * reach]
    # One coarse pixel of darkness more: beside a shadow's edge the enlarged paper is never too bright.
    careful = -F.max_pool2d(-closed, 3, 1, 1)
    return F.interpolate(careful, size=(height, width), mode="bilinear", align_corners=False)[0]


def max_filter(x: Tensor, reach: int, *, down: bool = True, across: bool = True) -> Tensor:
    """The largest value within `reach` pixels, `(..., H, W)`: running maxima of doubling length."""
    for dimension, wanted in ((-2, down), (-1, across)):
        if wanted and reach:
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
        kept = x.shape[dimension] - step
        x = torch.maximum(x.narrow(dimension, 0, kept), x.narrow(dimension, step, kept))
        length += step
    return x.narrow(dimension, 0, size)


def sliding_sum(x: Tensor, window: int, dimension: int) -> Tensor:
    """The sum of every `window` numbers side by side along a dimension, which becomes `window - 1` shorter.

    Divided by `window` it is what torch's pooling gives to the last bit, several times as fast: whole planes
    are added.
    """
    length = x.shape[dimension] - window + 1
    total = x.narrow(dimension, 0, length).clone()
    for step in range(1, window):
        total += x.narrow(dimension, step, length)
    return total


def _ink_direction(missing: Tensor) -> Tensor:
    """The colour in which ink shows most: the mean of the strongest differences from paper, `(3,)`."""
    sample = missing[:, ::2, ::2].flatten(1)  # (3, places)
    strength = sample.amax(0)
    count = max(1, strength.numel() // 100)
    strongest = strength.topk(count).indices
    mean = sample[:, strongest].mean(1).clamp_min(0)
    # Squared, so that a channel in which the ink hardly shows adds little of its noise.
    shares = mean**2
    return shares / shares.sum() if float(shares.sum()) > 1e-8 else torch.full((3,), 1 / 3)
