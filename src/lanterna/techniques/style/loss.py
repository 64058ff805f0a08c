"""How far a picture is from a photograph's content and from paintings' styles, and the way down.

A style is told by sums over positions (`probes/statistics.py`). So a picture of any size can be looked at
tile by tile, and the outcome is exactly that of looking at it whole: first the sums are gathered, then the
slope of the loss with respect to the sums is sent back through each tile in turn.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from lanterna.probes.objectives import read_as_is
from lanterna.probes.statistics import Moments, moments
from lanterna.techniques.octaves import resized_mask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lanterna.networks import Network

Distance = Callable[[Moments], Tensor]


@dataclass(frozen=True)
class Content:
    """What a photograph shows, as one layer sees it: features `(1, C, h, w)`, and what one unit of loss is.

    `where` `(1, H, W)` says how much each place counts; everywhere alike if None.
    """

    layer: str
    features: Tensor
    unit: float
    where: Tensor | None = None

    def loss(self, found: Tensor, rows: slice, columns: slice) -> Tensor:
        """The part of the loss from these positions, `found` being what the layer puts out there."""
        apart = (found.float() - self.features[:, :, rows, columns].float()).square()
        if self.where is not None:
            apart = apart * resized_mask(self.where, tuple(self.features.shape[2:]))[:, rows, columns]
        total: Tensor = apart.sum() / (self.features.numel() * self.unit)
        return total


@dataclass(frozen=True)
class Style:
    """One painting: how far each layer's moments are from its own, and where in the picture it is wanted."""

    weight: float
    distances: Mapping[str, Distance]
    where: Tensor | None = None


@dataclass(frozen=True)
class Weights:
    """How much each part of the loss counts; `layers` those of the style's layers."""

    layers: Mapping[str, float]
    content: float
    smoothness: float


@dataclass(frozen=True)
class Aim:
    """All that is wanted of a picture of one size."""

    content: Content
    styles: Sequence[Style]
    weights: Weights


class Loss(NamedTuple):
    """A loss and its parts."""

    total: float
    style: float
    content: float
    slope: Tensor


def loss_of(network: Network, picture: Tensor, aim: Aim, tile: int) -> Loss:
    """The loss of a picture `(3, H, W)` and its slope, in tiles of `tile` pixels where it is larger."""
    layers = frozenset({*aim.weights.layers, aim.content.layer})
    tiles = list(_tiles(picture, tile, reach(network, layers)))
    slope = torch.zeros_like(picture)
    if len(tiles) == 1:
        seen = picture.detach().requires_grad_()
        outputs = read_as_is(network, seen[None], layers)
        style = _style_loss(aim, _gathered(aim, outputs, tiles[0], picture))
        content = aim.content.loss(outputs[aim.content.layer], slice(None), slice(None))
        (slope,) = torch.autograd.grad(style + aim.weights.content * content, seen)
        style, content = style.detach(), content.detach()
    else:
        with torch.no_grad():
            parts = [_gathered(aim, _read(network, picture, each, layers), each, picture) for each in tiles]
        sums = [
            {name: reduce(add, (part[number][name] for part in parts)) for name in aim.weights.layers}
            for number in range(len(aim.styles))
        ]
        style, wanted = _slopes(aim, sums)
        content = torch.zeros(())
        for each in tiles:
            seen = picture[:, each.down.whole, each.across.whole].detach().requires_grad_()
            outputs = read_as_is(network, seen[None], layers)
            part = _core(outputs, aim.content.layer, each)
            here = aim.content.loss(part.found, part.rows, part.columns)
            ahead = sum(
                (slopes[name][0] * found[name].first).sum() + (slopes[name][1] * found[name].second).sum()
                for slopes, found in zip(wanted, _gathered(aim, outputs, each, picture), strict=True)
                for name in slopes
            )
            (down,) = torch.autograd.grad(ahead + aim.weights.content * here, seen)
            slope[:, each.down.whole, each.across.whole] += down
            content = content + here.detach()
    seen = picture.detach().requires_grad_()
    rough = seen.diff(dim=1).square().mean() + seen.diff(dim=2).square().mean()
    beyond = (seen - seen.clamp(0, 1)).square().mean()
    rest = aim.weights.smoothness * rough + _BEYOND * beyond
    slope = slope + torch.autograd.grad(rest, seen)[0]
    total = style + aim.weights.content * content + rest.detach()
    return Loss(total.item(), style.item(), content.item(), slope)


_BEYOND = 10.0  # how strongly values beyond [0, 1] are pushed back
_GRID = 16  # tiles begin on multiples of this, the most pixels a step of VGG's style layers spans


class _Side(NamedTuple):
    """One side of a tile, in pixels of the picture: what is looked at, and the core that counts."""

    whole: slice
    core: slice
    length: int  # of the picture


class _Tile(NamedTuple):
    down: _Side
    across: _Side


def reach(network: Network, layers: frozenset[str]) -> int:
    """How far from a position what these layers see may come, in pixels: half the largest receptive field.

    For layers that are convolutions and pools one after another, as VGG's are; for any other 128 is given,
    which most of what they see lies within, and tiles are then not exact.
    """
    field, step, furthest = 1, 1, 1
    for name, layer in network.layers.items():
        if isinstance(layer, nn.Sequential) and isinstance(layer[0], nn.MaxPool2d):
            layer = layer[0]  # a pool and then a ReLU, as `optimize_for_inference` puts them
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            kernel, stride = _one(layer.kernel_size), _one(layer.stride)
            field, step = field + (kernel - 1) * step, step * stride
        elif next(layer.parameters(), None) is not None or isinstance(layer, nn.Sequential):
            return 128
        if name in layers:
            furthest = field
    return -(-furthest // 2)


def pixels_seen(size: tuple[int, int], tile: int, margin: int) -> float:
    """How many pixels are looked at in a step over a picture of `size`, margins and all.

    Where there are tiles each is seen twice, once without a slope, which counts a third.
    """
    seen = [
        math.prod(len(range(*side.whole.indices(side.length))) for side in each)
        for each in _tiles(torch.empty(3, *size, device="meta"), tile, margin)
    ]
    return sum(seen) * (1.0 if len(seen) == 1 else 4 / 3)


def features_of(network: Network, picture: Tensor, layer: str, tile: int) -> Tensor:
    """What a layer puts out for a picture `(3, H, W)`, `(1, C, h, w)` in the network's own precision."""
    wanted = frozenset({layer})
    rows: list[list[Tensor]] = []
    with torch.no_grad():
        for each in _tiles(picture, tile, reach(network, wanted)):
            outputs = _read(network, picture, each, wanted)
            rows = [*rows, []] if each.across.core.start == 0 else rows
            rows[-1].append(_core(outputs, layer, each).found)
    return torch.cat([torch.cat(row, 3) for row in rows], 2)


def moments_of(network: Network, picture: Tensor, layers: Sequence[str], tile: int) -> dict[str, Moments]:
    """The moments of layers over all of a picture `(3, H, W)`, by name."""
    wanted = frozenset(layers)
    sums: dict[str, Moments] = {}
    with torch.no_grad():
        for each in _tiles(picture, tile, reach(network, wanted)):
            outputs = _read(network, picture, each, wanted)
            for name in layers:
                part = moments(_core(outputs, name, each).found)
                sums[name] = sums[name] + part if name in sums else part
    return sums


def _style_loss(aim: Aim, found: Sequence[Mapping[str, Moments]]) -> Tensor:
    parts = [
        style.weight * weight * style.distances[name](found[number][name])
        for number, style in enumerate(aim.styles)
        for name, weight in aim.weights.layers.items()
    ]
    return reduce(add, parts)


def _slopes(
    aim: Aim, sums: Sequence[Mapping[str, Moments]]
) -> tuple[Tensor, list[dict[str, tuple[Tensor, Tensor]]]]:
    """The style's loss, and its slope with respect to each sum."""
    leaves = [
        {name: Moments(each.first.requires_grad_(), each.second.requires_grad_(), each.weight)
         for name, each in part.items()}
        for part in sums
    ]  # fmt: skip
    loss = _style_loss(aim, leaves)
    flat = [tensor for part in leaves for each in part.values() for tensor in (each.first, each.second)]
    slopes = iter(torch.autograd.grad(loss, flat, allow_unused=True, materialize_grads=True))
    return loss.detach(), [{name: (next(slopes), next(slopes)) for name in part} for part in leaves]


def _gathered(
    aim: Aim, outputs: Mapping[str, Tensor], tile: _Tile, picture: Tensor
) -> list[dict[str, Moments]]:
    """For each style the moments of its layers over a tile's core."""
    gathered: list[dict[str, Moments]] = []
    everywhere: dict[str, Moments] = {}
    for style in aim.styles:
        here: dict[str, Moments] = {}
        for name in aim.weights.layers:
            part = _core(outputs, name, tile)
            if style.where is None:
                if name not in everywhere:
                    everywhere[name] = moments(part.found)
                here[name] = everywhere[name]
            else:
                mask = resized_mask(style.where.to(picture), part.size)
                here[name] = moments(part.found, mask[0, part.rows, part.columns])
        gathered.append(here)
    return gathered


def _read(network: Network, picture: Tensor, tile: _Tile, layers: frozenset[str]) -> dict[str, Tensor]:
    return read_as_is(network, picture[None, :, tile.down.whole, tile.across.whole], layers)


class _Part(NamedTuple):
    """A layer's features over a tile's core, which of the whole picture's they are, and how many it has."""

    found: Tensor
    rows: slice
    columns: slice
    size: tuple[int, int]


def _core(outputs: Mapping[str, Tensor], layer: str, tile: _Tile) -> _Part:
    output = outputs[layer]
    cuts, places, sizes = [], [], []
    for side, count in zip(tile, output.shape[2:], strict=True):
        # Strides are powers of two; a rest too short for a last step makes the quotient a little larger.
        step = 2 ** round(math.log2((side.whole.stop - side.whole.start) / count))
        alone = side.whole.stop - side.whole.start == side.length
        size = count if alone else side.length // step
        first = side.core.start // step
        end = size if side.core.stop == side.length else side.core.stop // step
        offset = side.whole.start // step
        cuts.append(slice(first - offset, end - offset))
        places.append(slice(first, end))
        sizes.append(size)
    return _Part(output[:, :, cuts[0], cuts[1]], places[0], places[1], (sizes[0], sizes[1]))


def _tiles(picture: Tensor, tile: int, margin: int) -> Iterator[_Tile]:
    """Tiles whose cores cover a picture `(3, H, W)`, row by row; all in one where it fits."""
    height, width = picture.shape[1:]
    if height * width <= tile * tile:
        whole = [[_Side(slice(0, side), slice(0, side), side)] for side in (height, width)]
    else:
        whole = [_sides(side, tile, -(-margin // _GRID) * _GRID) for side in (height, width)]
    for down, across in itertools.product(*whole):
        yield _Tile(down, across)


def _sides(length: int, tile: int, margin: int) -> list[_Side]:
    core = max(_GRID, (tile - 2 * margin) // _GRID * _GRID)
    count = max(1, -(-length // core))
    core = -(-length // (count * _GRID)) * _GRID  # as even as the grid allows
    return [
        _Side(
            slice(max(0, start - margin), min(length, start + core + margin)),
            slice(start, min(length, start + core)),
            length,
        )
        for start in range(0, length, core)
    ]


def _one(size: int | tuple[int, ...]) -> int:
    return size if isinstance(size, int) else max(size)
