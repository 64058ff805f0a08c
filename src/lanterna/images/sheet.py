"""The sheet of paper in a photograph, and its rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lanterna.images.components import components
from lanterna.images.perspective import Points, area, quadrilateral

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_TURN = 20.0  # degrees either way
_TILE = 12  # pixels
_EDGE = 0.22  # difference of log brightness between neighbouring tiles
_OTHER_COLOUR = 0.09  # difference of the shares of red, green and blue
_DARKEST_SHADOW = 0.3  # of the light on the rest of the sheet
_SHEET = (0.02, 0.85)  # of the picture's area
_INNER = 0.985  # of its sides: its edge would be a stroke
_STRAIGHT = 0.93  # of the area of its quadrilateral: what a sheet fills at least
_BRIGHTER = 0.08  # than the table around it


def sheet_mask(paper: Tensor) -> Tensor:
    """Return a mask of the sheet, without the table around it, bool `(H, W)`.

    `paper` is the picture without its ink, `(3, H, W)`. It is divided into regions at sharp steps of
    brightness. The largest central region is the sheet, together with regions of the same colour that differ
    from it like a shadow. If no region is large enough, everything is the sheet.
    """
    height, width = paper.shape[1:]
    tiles = F.avg_pool2d(paper.unsqueeze(0), _TILE, ceil_mode=True, count_include_pad=False)[0]
    light = (tiles.mean(0) + 0.02).log()  # (rows, columns)
    colours = F.pad((tiles + 0.02).log(), (1, 1, 1, 1), mode="replicate")[None]
    step = (F.max_pool2d(colours, 3, 1) + F.max_pool2d(-colours, 3, 1)).amax(1)[0]
    regions = components((step < _EDGE).numpy())
    if not len(regions.areas):
        return torch.ones(height, width, dtype=torch.bool)
    shares = tiles / (tiles.sum(0) + 0.05)
    labels = torch.from_numpy(regions.labels)
    rows, columns = (side // 8 for side in labels.shape)
    central = labels[rows : labels.shape[0] - rows, columns : labels.shape[1] - columns]
    counts = torch.bincount(central.flatten(), minlength=len(regions.areas) + 1)
    main = int(counts[1:].argmax()) + 1
    if regions.areas[main - 1] < 0.15 * labels.numel():
        return torch.ones(height, width, dtype=torch.bool)
    own_share, own_light = shares[:, labels == main].mean(1), light[labels == main].median()
    sheet = labels == main
    for label in np.nonzero(regions.areas >= 0.004 * labels.numel())[0] + 1:
        region = labels == int(label)
        same_colour = float((shares[:, region].mean(1) - own_share).abs().max()) < _OTHER_COLOUR
        relative = float((light[region].median() - own_light).exp())
        # The table is at sides of the picture that the sheet does not reach; a shadow is next to lit paper.
        elsewhere = _sides(region) and not _sides(region) & _sides(labels == main)
        if same_colour and not elsewhere and _DARKEST_SHADOW < relative < 1 / _DARKEST_SHADOW:
            sheet = sheet | region
    # Edges belong to no region: those inside the sheet are filled by a closing.
    grown = F.max_pool2d(sheet[None, None].float(), 5, 1, 2)
    grown = F.pad(grown, (2, 2, 2, 2), mode="replicate")
    closed = -F.max_pool2d(-grown, 5, 1)
    resized = F.interpolate(closed, size=(height, width), mode="nearest")
    mask: Tensor = resized[0, 0] > 0.5
    return mask


def find_sheet(picture: Tensor) -> Points | None:
    """Return the corners `(4, 2)` of a sheet of paper that lies within a picture `(3, H, W)`.

    They are in pixels, clockwise from the upper left. A sheet is brighter than the table, has four straight
    edges and does not reach the border of the picture.
    """
    step = max(1, round(max(picture.shape[1:]) / 200))
    if min(picture.shape[1:]) < step:
        return None
    grey = F.avg_pool2d(picture.mean(0)[None, None], step)
    # Writing is filled, and the grain of the table blurred.
    filled = -F.max_pool2d(-F.max_pool2d(grey, 5, 1, 2), 5, 1, 2)
    plane = F.avg_pool2d(filled, 3, 1, 1)[0, 0].numpy()
    height, width = plane.shape
    best = 0.0
    chosen: Points | None = None
    for level in np.quantile(plane, (0.2, 0.35, 0.45, 0.55, 0.7, 0.8, 0.88, 0.94)):
        # An opening removes the bright grains of the table that touch the sheet.
        bright = torch.from_numpy(plane > level)[None, None].float()
        opened = F.max_pool2d(-F.max_pool2d(-bright, 7, 1, 3), 7, 1, 3)
        found = components(opened[0, 0].numpy() > 0)
        for label in np.argsort(-found.areas)[:2]:
            x0, y0, x1, y1 = found.boxes[label]
            share = found.areas[label] / plane.size
            inside_picture = x0 > 0 and y0 > 0 and x1 < width and y1 < height
            if not (_SHEET[0] < share < _SHEET[1] and inside_picture):
                continue
            own = found.labels == label + 1
            outside = torch.from_numpy(~own)[None, None].float()
            ys, xs = np.nonzero(own & (F.max_pool2d(outside, 3, 1, 1)[0, 0].numpy() > 0))
            corners = quadrilateral(np.stack([xs + 0.5, ys + 0.5], 1))
            if corners is None:
                continue
            fill = found.areas[label] / max(area(corners), 1.0)
            ring = F.max_pool2d(torch.from_numpy(own)[None, None].float(), 7, 1, 3)[0, 0].numpy() > 0
            rim = F.max_pool2d(outside, 7, 1, 3)[0, 0].numpy() > 0
            # Within a sheet in uneven light, the brighter part has no edge.
            contrast = float(np.median(plane[own & rim]) - np.quantile(plane[ring & ~own], 0.8))
            if _STRAIGHT < fill < 1.1 and contrast > _BRIGHTER and contrast * fill > best:
                best, chosen = contrast * fill, corners
    if chosen is None:
        return None
    middle = chosen.mean(0)
    narrow = np.linalg.norm(chosen - np.roll(chosen, 1, 0), axis=1).min()
    inner: Points = (middle + (chosen - middle) * (_INNER - 2 / narrow)) * step  # 1 pixel less on every side
    return inner


def _sides(region: Tensor) -> set[str]:
    """Return the sides of the picture that a region touches along 8 % of their length or more."""
    edges = {"top": region[0], "bottom": region[-1], "left": region[:, 0], "right": region[:, -1]}
    return {name for name, edge in edges.items() if float(edge.float().mean()) > 0.08}


def page_turn(ink: Tensor, threshold: float) -> float:
    """Return the page's rotation in degrees, counter-clockwise positive, from its rules and rows.

    At the right angle the projection of the ink on the vertical axis is sharpest: its sum of squares is
    largest (Postl 1986, "Detection of linear oblique structures and skew scan").
    """
    step = max(1, round(max(ink.shape) / 1000))
    if min(ink.shape) < step:
        return 0.0
    small = F.avg_pool2d(ink[None, None], step)[0, 0].numpy()
    ys, xs = np.nonzero(small > threshold)
    if len(ys) < 60:
        return 0.0
    chosen = np.random.default_rng(0).permutation(len(ys))[:40_000]
    weights = np.minimum(small[ys, xs][chosen], 0.5)
    y, x = ys[chosen] - small.shape[0] / 2, xs[chosen] - small.shape[1] / 2

    def sharpness(angle: float) -> float:
        radians = np.radians(angle)
        level = y * np.cos(radians) + x * np.sin(radians)
        rows = np.rint(level + 1500).astype(np.int64)
        profile = np.convolve(np.bincount(rows, weights, minlength=3000), (0.25, 0.5, 0.25))
        # Of two angles with nearly the same sharpness, the smaller is likelier.
        return float((profile**2).sum()) * (1 - 0.003 * abs(angle))

    coarse = max(np.arange(-MAX_TURN, MAX_TURN + 0.1, 1.0), key=sharpness)
    return float(max(np.arange(coarse - 1, coarse + 1.01, 0.2), key=sharpness))


def rotate(plane: Tensor, degrees: float) -> tuple[Tensor, NDArray[np.float64]]:
    """Rotate a plane `(H, W)` clockwise by `degrees` without cropping; return it and the inverse map.

    The map is `(2, 3)`: from `(x, y, 1)` in the rotated plane to x, y in the original. Outside it is 0.
    """
    height, width = plane.shape
    radians = np.radians(degrees)
    cosine, sine = np.cos(radians), np.sin(radians)
    new_width = round(width * abs(cosine) + height * abs(sine))
    new_height = round(width * abs(sine) + height * abs(cosine))
    # Rotate about the centres: from (u, v) in the rotated plane to (x, y) in the original.
    back = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0]])
    back[:, 2] = np.array([width, height]) / 2 - back[:, :2] @ np.array([new_width, new_height]) / 2
    # affine_grid's coordinates are -1 to 1.
    unit = torch.tensor(
        [
            [cosine * new_width / width, sine * new_height / width, 0.0],
            [-sine * new_width / height, cosine * new_height / height, 0.0],
        ],
        dtype=torch.float32,
    )
    grid = F.affine_grid(unit[None], [1, 1, new_height, new_width], align_corners=False)
    return F.grid_sample(plane[None, None], grid, align_corners=False)[0, 0], back
