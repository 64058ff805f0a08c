"""Found digits made to look as the training digits do: size, place, lean and stroke.

LeCun et al. (1998) fitted each digit into a box of 20 × 20 pixels and moved its centre of mass to the centre
of 28 × 28. Reading repeats that, and brings two things nearer to the training digits that pens and hands
change: how wide the stroke is for the digit's size, and how far it leans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

SIDE = 28
_BOX = 20
_FINE = 48  # the longer side of a digit while its stroke is measured and changed
_CANVAS = 64
_FAR = 16.0  # pixels of the canvas beyond which distance does not matter
_STROKES = (2.4, 3.2)  # pixels of 28: where most training digits lie
_STANDS = 0.45  # a lean (sideways per upwards) that is left as it is: training digits lean as far
_BATCH = 8  # 8 × 64 × 64 numbers: few enough that torch does not wake its other threads for every step


class Normalised(NamedTuple):
    """`images` `(N, 1, 28, 28)`, what the network sees; and each digit after each step, to be shown:
    `boxed` in its 20 × 20 box, `centred` on its centre of mass, `upright` with its lean taken out. `stroke`
    is each digit's own stroke width in those pixels, `lean` its lean (sideways per upwards, right positive).
    """

    images: Tensor
    boxed: Tensor
    centred: Tensor
    upright: Tensor
    stroke: Tensor
    lean: Tensor


def normalise(patches: Sequence[Tensor]) -> Normalised:
    """Make digit images of patches of ink, each `(h, w)`, cropped to the ink, 1 where it is strongest."""
    parts = [_normalise(patches[start : start + _BATCH]) for start in range(0, len(patches), _BATCH)]
    if not parts:
        empty, none = torch.zeros(0, 1, SIDE, SIDE), torch.zeros(0)
        return Normalised(empty, empty, empty, empty, none, none)
    return Normalised(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _normalise(patches: Sequence[Tensor]) -> Normalised:
    canvas = torch.stack([_on_canvas(patch) for patch in patches])  # (N, 64, 64)
    inside = canvas > 0.5
    # Signed distance to the edge of the stroke, positive inside, in pixels of the canvas.
    outwards, inwards = _distance(torch.cat([~inside, inside])).chunk(2)
    distance = (outwards - inwards).sub(0.5 * inside.float() - 0.5 * (~inside).float())
    area = inside.flatten(1).sum(1).clamp_min(1)
    # Across a stroke of width w the distance to its edge is w / 4 in the mean.
    stroke = 4 * (distance * inside).flatten(1).sum(1) / area  # (N,)
    boxes = _extent(inside)  # (N, 4): x0, y0, x1, y1
    longest = torch.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]).clamp_min(1)
    unit = _BOX / longest  # pixels of 28 per pixel of the canvas
    wanted = (stroke * unit).clamp(*_STROKES)
    # Widening by g makes the digit larger by g too, which the box then shrinks: solve for both together.
    grow = (wanted * longest / _BOX - stroke) / (1 - wanted / _BOX).clamp_min(0.5)
    grow = torch.minimum(grow, 0.35 * longest)
    ink = (0.5 + (distance + grow.view(-1, 1, 1) / 2) / 1.6).clamp(0, 1)
    plain = (0.5 + distance / 1.6).clamp(0, 1)

    middle = torch.stack([boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]], 1) / 2
    lean, mass = _moments(ink)
    shear = torch.sign(lean) * (lean.abs() - _STANDS).clamp(0, 0.6)
    still = torch.zeros_like(shear)
    # All four at once: for a single digit, the calls cost more than the work.
    images, boxed, centred, upright = _placed(
        torch.cat([ink, plain, plain, plain]),
        torch.cat([mass, middle, mass, mass]),
        torch.cat([longest + grow, longest, longest, longest]),
        torch.cat([shear, still, still, shear]),
    ).chunk(4)
    return Normalised(images, boxed, centred, upright, stroke * unit, lean)


def _on_canvas(patch: Tensor) -> Tensor:
    """A patch enlarged or reduced so that its longer side is 48 pixels, in the middle of 64 × 64."""
    height, width = patch.shape
    # Half a pixel more on every side: ink ends softly, and its edge is where it is half as strong.
    padded = F.pad(patch, (1, 1, 1, 1))
    scale = _FINE / max(height, width)
    size = (max(2, round((height + 2) * scale)), max(2, round((width + 2) * scale)))
    drawn = F.interpolate(
        padded[None, None], size=size, mode="bilinear", align_corners=False, antialias=scale < 1
    )
    height, width = min(size[0], _CANVAS), min(size[1], _CANVAS)
    top, left = (_CANVAS - height) // 2, (_CANVAS - width) // 2
    canvas = torch.zeros(_CANVAS, _CANVAS)
    canvas[top : top + height, left : left + width] = drawn[0, 0, :height, :width]
    return canvas


def _distance(targets: Tensor) -> Tensor:
    """From every pixel to the nearest of `targets` `(N, H, W)`, up to 16 pixels: along rows, then columns.

    The nearest in the plane is the nearest of the rows' own nearest (Felzenszwalb and Huttenlocher 2012,
    "Distance transforms of sampled functions"), found here by shifting the whole batch.
    """
    squares = torch.where(targets, 0.0, _FAR * _FAR)  # (N, H, W)
    for dimension in (2, 1):
        nearest = squares.clone()
        size = squares.shape[dimension]
        for shift in range(1, int(_FAR) + 1):
            kept = size - shift
            moved = squares + shift * shift
            ahead, behind = nearest.narrow(dimension, 0, kept), nearest.narrow(dimension, shift, kept)
            torch.minimum(ahead, moved.narrow(dimension, shift, kept), out=ahead)
            torch.minimum(behind, moved.narrow(dimension, 0, kept), out=behind)
        squares = nearest
    return squares.sqrt()


def _extent(inside: Tensor) -> Tensor:
    columns, rows = inside.any(1).float(), inside.any(2).float()
    first, last = columns.argmax(1), inside.shape[2] - columns.flip(1).argmax(1)
    top, bottom = rows.argmax(1), inside.shape[1] - rows.flip(1).argmax(1)
    return torch.stack([first, top, last, bottom], 1).float()


def _moments(ink: Tensor) -> tuple[Tensor, Tensor]:
    """Lean (sideways per upwards, `(N,)`) and centre of mass `(N, 2)` as x, y in pixels."""
    positions = torch.arange(ink.shape[-1], dtype=torch.float32) + 0.5
    mass = ink.flatten(1).sum(1).clamp_min(1e-3)
    x = (ink.sum(1) * positions).sum(1) / mass
    y = (ink.sum(2) * positions).sum(1) / mass
    dx, dy = positions - x[:, None], positions - y[:, None]  # (N, side)
    tilt = (ink * dy[:, :, None] * dx[:, None, :]).flatten(1).sum(1) / mass
    tall = (ink * (dy**2)[:, :, None]).flatten(1).sum(1) / mass
    return -tilt / tall.clamp_min(1.0), torch.stack([x, y], 1)


def _placed(ink: Tensor, centre: Tensor, longest: Tensor, shear: Tensor) -> Tensor:
    """Digits drawn into 28 × 28, `centre` (N, 2) in the middle, `longest` pixels as 20, sheared upright."""
    fine = 3
    scale = longest / _BOX * SIDE / ink.shape[-1]  # of one output width, in canvas widths
    across = 2 * centre / ink.shape[-1] - 1
    zero = torch.zeros_like(scale)
    maps = torch.stack(
        [
            torch.stack([scale, -shear * scale, across[:, 0]], 1),
            torch.stack([zero, scale, across[:, 1]], 1),
        ],
        1,
    )
    grid = F.affine_grid(maps, [len(ink), 1, fine * SIDE, fine * SIDE], align_corners=False)
    return F.avg_pool2d(F.grid_sample(ink[:, None], grid, align_corners=False), fine)
