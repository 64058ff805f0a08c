"""Where the sheet lies in a photograph, and how far it is turned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lanterna.images.components import components

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_TURN = 20.0  # degrees either way
_TILE = 12  # pixels
_STEP_IN_LIGHT = 0.22  # of the logarithm, between neighbouring tiles: an edge
_OTHER_COLOUR = 0.09  # between shares of red, green and blue
_DEEPEST_SHADOW = 0.3  # of the light on the rest of the sheet


def sheet_mask(paper: Tensor) -> Tensor:
    """Which places belong to the sheet rather than to the table around it, bool `(H, W)`.

    `paper` is the picture with nothing written on it, `(3, H, W)`. It falls into regions at sharp steps of
    light. The largest is sheet; so is another of the same colour that differs as light from shadow. Where
    no region stands out, everything is sheet.
    """
    height, width = paper.shape[1:]
    tiles = F.avg_pool2d(paper.unsqueeze(0), _TILE, ceil_mode=True, count_include_pad=False)[0]
    light = (tiles.mean(0) + 0.02).log()  # (rows, columns)
    colours = F.pad((tiles + 0.02).log(), (1, 1, 1, 1), mode="replicate")[None]
    step = (F.max_pool2d(colours, 3, 1) + F.max_pool2d(-colours, 3, 1)).amax(1)[0]
    regions = components((step < _STEP_IN_LIGHT).numpy())
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
        here = labels == int(label)
        same_colour = float((shares[:, here].mean(1) - own_share).abs().max()) < _OTHER_COLOUR
        relative = float((light[here].median() - own_light).exp())
        # Table lies at sides of the picture that the sheet does not reach; a shadow lies beside lit paper.
        elsewhere = _sides(here) and not _sides(here) & _sides(labels == main)
        if same_colour and not elsewhere and _DEEPEST_SHADOW < relative < 1 / _DEEPEST_SHADOW:
            sheet = sheet | here
    # Steps themselves belong to no region: those inside the sheet are closed over.
    grown = F.max_pool2d(sheet[None, None].float(), 5, 1, 2)
    grown = F.pad(grown, (2, 2, 2, 2), mode="replicate")
    closed = -F.max_pool2d(-grown, 5, 1)
    whole = F.interpolate(closed, size=(height, width), mode="nearest")
    mask: Tensor = whole[0, 0] > 0.5
    return mask


def _sides(region: Tensor) -> set[str]:
    """The sides of the picture along which a region lies for a good part."""
    edges = {"top": region[0], "bottom": region[-1], "left": region[:, 0], "right": region[:, -1]}
    return {name for name, edge in edges.items() if float(edge.float().mean()) > 0.08}


def page_turn(ink: Tensor, threshold: float) -> float:
    """How far the page is turned, in degrees, counter-clockwise positive: rules and rows become level.

    At the right angle, ink summed along the rows gathers in the fewest rows: the sum of squares of that
    profile is largest (Postl 1986, "Detection of linear oblique structures and skew scan").
    """
    step = max(1, round(max(ink.shape) / 1000))
    small = F.avg_pool2d(ink[None, None], step)[0, 0].numpy()
    ys, xs = np.nonzero(small > threshold)
    if len(ys) < 60:
        return 0.0
    chosen = np.random.default_rng(0).permutation(len(ys))[:40_000]
    weights = np.minimum(small[ys, xs][chosen], 0.5)
    y, x = ys[chosen] - small.shape[0] / 2, xs[chosen] - small.shape[1] / 2

    def gathered(angle: float) -> float:
        radians = np.radians(angle)
        level = y * np.cos(radians) + x * np.sin(radians)
        rows = np.rint(level + 1500).astype(np.int64)
        profile = np.convolve(np.bincount(rows, weights, minlength=3000), (0.25, 0.5, 0.25))
        # Two angles that gather nearly as well: the smaller turn is the likelier.
        return float((profile**2).sum()) * (1 - 0.003 * abs(angle))

    coarse = max(np.arange(-MOST_TURN, MOST_TURN + 0.1, 1.0), key=gathered)
    return float(max(np.arange(coarse - 1, coarse + 1.01, 0.2), key=gathered))


def turned(plane: Tensor, degrees: float) -> tuple[Tensor, NDArray[np.float64]]:
    """A plane `(H, W)` turned clockwise by `degrees`, all of it kept, and the map back.

    The map is `(2, 3)`: `(x, y, 1)` in the turned plane to x, y in the one given. Places beyond are 0.
    """
    height, width = plane.shape
    radians = np.radians(degrees)
    cosine, sine = np.cos(radians), np.sin(radians)
    new_width = round(width * abs(cosine) + height * abs(sine))
    new_height = round(width * abs(sine) + height * abs(cosine))
    # About the centres. Turned place (u, v) shows the place (x, y) given.
    back = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0]])
    back[:, 2] = np.array([width, height]) / 2 - back[:, :2] @ np.array([new_width, new_height]) / 2
    # affine_grid speaks in coordinates from -1 to 1.
    unit = torch.tensor(
        [
            [cosine * new_width / width, sine * new_height / width, 0.0],
            [-sine * new_width / height, cosine * new_height / height, 0.0],
        ],
        dtype=torch.float32,
    )
    grid = F.affine_grid(unit[None], [1, 1, new_height, new_width], align_corners=False)
    return F.grid_sample(plane[None, None], grid, align_corners=False)[0, 0], back
