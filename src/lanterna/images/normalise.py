"""Normalisation of segmented digits to the training digits' size, position, slant and stroke width.

LeCun et al. (1998) fitted each digit into a box of 20 × 20 pixels and moved its centre of mass to the centre
of 28 × 28. Reading does the same, and also corrects two properties that depend on the pen and the hand: the
stroke width relative to the digit's size, and the slant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIDE = 28
_BOX = 20
_FINE = 48  # the longer side of a digit while its stroke is measured and changed
_CANVAS = 64
_MAX_DISTANCE = 16.0  # pixels of the canvas; larger distances do not matter
_STROKES = (2.4, 3.2)  # pixels of 28: the range of most training digits
_MAX_SLANT = 0.45  # horizontal per vertical; not corrected below this: training digits slant as much
_BATCH = 8  # 8 × 64 × 64 numbers: too few for torch to start its other threads at every step


class Normalised(NamedTuple):
    """Normalised digits, and each intermediate step for display.

    `images` `(N, 1, 28, 28)` is the network's input; `boxed` is each digit in its 20 × 20 box, `centred` on
    its centre of mass, `upright` with its slant removed. `stroke` is each digit's original stroke width in
    those pixels, `lean` its slant (horizontal per vertical, right positive).
    """

    images: Tensor
    boxed: Tensor
    centred: Tensor
    upright: Tensor
    stroke: Tensor
    lean: Tensor


class _Redrawn(NamedTuple):
    """N digits on a canvas, in the training digits' stroke (`ink`) and in their own (`plain`), `(N, 64, 64)`.

    `mass` and `middle` `(N, 2)` are the centres of mass and of the box, `longest` `(N,)` its longer side and
    `grow` by how much `ink` is longer, in pixels; `shear` is the slant to remove.
    """

    ink: Tensor
    plain: Tensor
    mass: Tensor
    middle: Tensor
    longest: Tensor
    grow: Tensor
    shear: Tensor
    stroke: Tensor
    lean: Tensor


def normalise(patches: Sequence[Tensor]) -> Normalised:
    """Normalise patches of ink, each `(h, w)`, cropped to the ink, with a maximum of 1."""
    parts = [_normalise(batch) for batch in _batches(patches)]
    if not parts:
        empty, none = torch.zeros(0, 1, SIDE, SIDE), torch.zeros(0)
        return Normalised(empty, empty, empty, empty, none, none)
    return Normalised(*(torch.cat(column) for column in zip(*parts, strict=True)))


def normalised_images(patches: Sequence[Tensor]) -> Tensor:
    """Return the same `images` `(N, 1, 28, 28)` as `normalise`, without the steps for display."""
    parts = [
        _place(each.ink, each.mass, each.longest + each.grow, each.shear)
        for each in map(_redraw, _batches(patches))
    ]
    return torch.cat(parts) if parts else torch.zeros(0, 1, SIDE, SIDE)


def _batches(patches: Sequence[Tensor]) -> Iterator[Sequence[Tensor]]:
    for start in range(0, len(patches), _BATCH):
        yield patches[start : start + _BATCH]


def _normalise(patches: Sequence[Tensor]) -> Normalised:
    ink, plain, mass, middle, longest, grow, shear, stroke, lean = _redraw(patches)
    no_shear = torch.zeros_like(shear)
    # All four in one batch: for a single digit, the calls take longer than the computation.
    images, boxed, centred, upright = _place(
        torch.cat([ink, plain, plain, plain]),
        torch.cat([mass, middle, mass, mass]),
        torch.cat([longest + grow, longest, longest, longest]),
        torch.cat([shear, no_shear, no_shear, shear]),
    ).chunk(4)
    return Normalised(images, boxed, centred, upright, stroke, lean)


def _redraw(patches: Sequence[Tensor]) -> _Redrawn:
    canvas = torch.stack([_on_canvas(patch) for patch in patches])  # (N, 64, 64)
    inside = canvas > 0.5
    # Signed distance to the edge of the stroke, positive inside, in pixels of the canvas.
    outwards, inwards = _distance_transform(torch.cat([~inside, inside])).chunk(2)
    distance = (outwards - inwards).sub(0.5 * inside.float() - 0.5 * (~inside).float())
    area = inside.flatten(1).sum(1).clamp_min(1)
    # Across a stroke of width w the mean distance to its edge is w / 4.
    stroke = 4 * (distance * inside).flatten(1).sum(1) / area  # (N,)
    boxes = _bounding_boxes(inside)  # (N, 4): x0, y0, x1, y1
    longest = torch.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]).clamp_min(1)
    unit = _BOX / longest  # pixels of 28 per pixel of the canvas
    target = (stroke * unit).clamp(*_STROKES)
    # Widening by g also enlarges the digit by g, which the box then shrinks: solve for both together.
    grow = (target * longest / _BOX - stroke) / (1 - target / _BOX).clamp_min(0.5)
    grow = torch.minimum(grow, 0.35 * longest)
    ink = (0.5 + (distance + grow.view(-1, 1, 1) / 2) / 1.6).clamp(0, 1)
    plain = (0.5 + distance / 1.6).clamp(0, 1)
    middle = torch.stack([boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]], 1) / 2
    lean, mass = _moments(ink)
    shear = torch.sign(lean) * (lean.abs() - _MAX_SLANT).clamp(0, 0.6)
    return _Redrawn(ink, plain, mass, middle, longest, grow, shear, stroke * unit, lean)


def _on_canvas(patch: Tensor) -> Tensor:
    """Resize a patch so that its longer side is 48 pixels, and centre it on 64 × 64."""
    height, width = patch.shape
    # One pixel of padding: ink fades out softly, and its edge is where it has half its strength.
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


def _distance_transform(targets: Tensor) -> Tensor:
    """Return each pixel's distance to the nearest of `targets` `(N, H, W)`, up to 16 pixels.

    The transform is separable into rows and columns (Felzenszwalb and Huttenlocher 2012, "Distance transforms
    of sampled functions"); each pass is computed by shifting the full batch.
    """
    squares = torch.where(targets, 0.0, _MAX_DISTANCE * _MAX_DISTANCE)  # (N, H, W)
    for dimension in (2, 1):
        nearest = squares.clone()
        size = squares.shape[dimension]
        for shift in range(1, int(_MAX_DISTANCE) + 1):
            overlap = size - shift
            shifted = squares + shift * shift
            ahead, behind = nearest.narrow(dimension, 0, overlap), nearest.narrow(dimension, shift, overlap)
            torch.minimum(ahead, shifted.narrow(dimension, shift, overlap), out=ahead)
            torch.minimum(behind, shifted.narrow(dimension, 0, overlap), out=behind)
        squares = nearest
    return squares.sqrt()


def _bounding_boxes(inside: Tensor) -> Tensor:
    columns, rows = inside.any(1).float(), inside.any(2).float()
    first, last = columns.argmax(1), inside.shape[2] - columns.flip(1).argmax(1)
    top, bottom = rows.argmax(1), inside.shape[1] - rows.flip(1).argmax(1)
    return torch.stack([first, top, last, bottom], 1).float()


def _moments(ink: Tensor) -> tuple[Tensor, Tensor]:
    """Return the slant (horizontal per vertical, `(N,)`) and the centre of mass `(N, 2)`: x, y in pixels."""
    positions = torch.arange(ink.shape[-1], dtype=torch.float32) + 0.5
    mass = ink.flatten(1).sum(1).clamp_min(1e-3)
    x = (ink.sum(1) * positions).sum(1) / mass
    y = (ink.sum(2) * positions).sum(1) / mass
    dx, dy = positions - x[:, None], positions - y[:, None]  # (N, side)
    tilt = (ink * dy[:, :, None] * dx[:, None, :]).flatten(1).sum(1) / mass
    tall = (ink * (dy**2)[:, :, None]).flatten(1).sum(1) / mass
    return -tilt / tall.clamp_min(1.0), torch.stack([x, y], 1)


def _place(ink: Tensor, centre: Tensor, longest: Tensor, shear: Tensor) -> Tensor:
    """Resample digits to 28 × 28: `centre` (N, 2) in the middle, `longest` pixels scaled to 20, sheared."""
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
