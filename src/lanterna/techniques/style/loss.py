"""The loss of a style transfer and its gradient: a photograph's content and paintings' styles.

A style is described by sums over positions (`probes/statistics.py`). A picture of any size can therefore be
processed tile by tile, with exactly the result of processing it whole: first gather the sums over all
tiles, then backpropagate the gradient of the loss with respect to these sums through each tile in turn.
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

from lanterna.networks.receptive import receptive_fields
from lanterna.probes.objectives import each_layer_output, native_layer_outputs
from lanterna.probes.statistics import Moments, moments
from lanterna.techniques.octaves import resized_mask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lanterna.networks import Network

Distance = Callable[[Moments], Tensor]


@dataclass(frozen=True)
class Content:
    """A photograph's features at one layer, `(1, C, h, w)`, and their variance, the unit of the loss.

    `mask` `(1, H, W)` weighs each position; None weighs all alike.
    """

    layer: str
    features: Tensor
    unit: float
    mask: Tensor | None = None

    def loss(self, features: Tensor, rows: slice, columns: slice) -> Tensor:
        """Return the part of the loss from these rows and columns, given the picture's features there."""
        squares = (features.float() - self.features[:, :, rows, columns].float()).square()
        if self.mask is not None:
            squares = squares * resized_mask(self.mask, tuple(self.features.shape[2:]))[:, rows, columns]
        total: Tensor = squares.sum() / (self.features.numel() * self.unit)
        return total


@dataclass(frozen=True)
class Style:
    """One painting: the distances from its moments at each layer and its colours, and a mask of its place."""

    weight: float
    distances: Mapping[str, Distance]
    colours: Distance
    mask: Tensor | None = None


@dataclass(frozen=True)
class Weights:
    """The weight of each part of the loss; `layers` has those of the style layers."""

    layers: Mapping[str, float]
    content: float
    smoothness: float
    colour: float


@dataclass(frozen=True)
class Target:
    """The target of a picture of one size: content, styles, and their weights."""

    content: Content
    styles: Sequence[Style]
    weights: Weights


class Loss(NamedTuple):
    """A loss, its parts, and its gradient with respect to the picture."""

    total: float
    style: float
    content: float
    gradient: Tensor


def compute_loss(network: Network, picture: Tensor, target: Target, tile: int) -> Loss:
    """Compute the loss of a picture `(3, H, W)` and its gradient, in tiles of side `tile`."""
    layers = frozenset({*target.weights.layers, target.content.layer})
    tiles = list(_split_into_tiles(picture, tile, receptive_radius(network, layers)))
    gradient = torch.zeros_like(picture)
    if len(tiles) == 1:
        pixels = picture.detach().requires_grad_()
        sums, content = _measure(network, pixels, target, tiles[0])
        style = _style_loss(target, sums)
        (gradient,) = network.gradients(style + target.weights.content * content, [pixels])
        style, content = style.detach(), content.detach()
    else:
        with torch.no_grad():
            parts = [_measure(network, _pixels_of(picture, each), target, each)[0] for each in tiles]
        sums = [
            {name: reduce(add, (part[index][name] for part in parts)) for name in target.weights.layers}
            for index in range(len(target.styles))
        ]
        style, moment_gradients = _moment_gradients(target, sums)
        content = torch.zeros(())
        for each in tiles:
            pixels = _pixels_of(picture, each).detach().requires_grad_()
            found_sums, tile_content = _measure(network, pixels, target, each)
            # A linear function of the tile's sums: its gradient is that of the style loss.
            tile_style = sum(
                (gradients[name][0] * found[name].first).sum()
                + (gradients[name][1] * found[name].second).sum()
                for gradients, found in zip(moment_gradients, found_sums, strict=True)
                for name in gradients
            )
            (tile_gradient,) = network.gradients(tile_style + target.weights.content * tile_content, [pixels])
            gradient[:, each.down.padded, each.across.padded] += tile_gradient
            content = content + tile_content.detach()
    pixels = picture.detach().requires_grad_()
    roughness = pixels.diff(dim=1).square().mean() + pixels.diff(dim=2).square().mean()
    excess = (pixels - pixels.clamp(0, 1)).square().mean()
    penalty = target.weights.smoothness * roughness + _RANGE_WEIGHT * excess
    if target.weights.colour:
        penalty = penalty + target.weights.colour * _colour_loss(target, pixels)
    gradient = gradient + torch.autograd.grad(penalty, pixels)[0]
    total = style + target.weights.content * content + penalty.detach()
    return Loss(total.item(), style.item(), content.item(), gradient)


_RANGE_WEIGHT = 10.0  # weight of the penalty on values outside [0, 1]
_GRID = 16  # tiles begin on multiples of this: the largest stride, in pixels, of VGG's style layers


class _Span(NamedTuple):
    """A tile along one axis, in pixels of the picture: with its margins, and the core that counts."""

    padded: slice
    core: slice
    length: int  # of the picture


class _Tile(NamedTuple):
    down: _Span
    across: _Span


def receptive_radius(network: Network, layers: frozenset[str]) -> int:
    """Return how many pixels around a position these layers depend on: half the largest receptive field.

    Exact for a chain of convolutions and pools, such as VGG. For any other network return 128, which
    covers most of the receptive field; its tiles are then not exact.
    """
    for layer in network.layers.values():
        if isinstance(layer, nn.Sequential) and isinstance(layer[0], nn.MaxPool2d):
            continue  # `optimize_for_inference` joins a pool and the ReLU after it
        sliding = isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d)
        if not sliding and (next(layer.parameters(), None) is not None or isinstance(layer, nn.Sequential)):
            return 128
    fields = receptive_fields(network)
    largest = max((fields[name] or 256 for name in layers), default=1)
    return -(-largest // 2)


def pixels_processed(size: tuple[int, int], tile: int, margin: int) -> float:
    """Return how many pixels a step over a picture of `size` processes, margins included.

    Several tiles are each processed twice, once without a backward pass, which costs a third.
    """
    counts = [
        math.prod(len(range(*span.padded.indices(span.length))) for span in each)
        for each in _split_into_tiles(torch.empty(3, *size, device="meta"), tile, margin)
    ]
    return sum(counts) * (1.0 if len(counts) == 1 else 4 / 3)


def compute_features(network: Network, picture: Tensor, layer: str, tile: int) -> Tensor:
    """Compute a layer's output for a picture `(3, H, W)`: `(1, C, h, w)`, in the network's own precision."""
    layers = frozenset({layer})
    rows: list[list[Tensor]] = []
    with torch.no_grad():
        for each in _split_into_tiles(picture, tile, receptive_radius(network, layers)):
            outputs = _run_tile(network, picture, each, layers)
            rows = [*rows, []] if each.across.core.start == 0 else rows
            rows[-1].append(_crop_to_core(outputs[layer], each).features)
    return torch.cat([torch.cat(row, 3) for row in rows], 2)


def compute_moments(
    network: Network, picture: Tensor, layers: Sequence[str], tile: int
) -> dict[str, Moments]:
    """Compute the moments of each layer, by name, over a whole picture `(3, H, W)`."""
    names = frozenset(layers)
    sums: dict[str, Moments] = {}
    with torch.no_grad():
        for each in _split_into_tiles(picture, tile, receptive_radius(network, names)):
            outputs = _run_tile(network, picture, each, names)
            for name in layers:
                part = moments(_crop_to_core(outputs[name], each).features)
                sums[name] = sums[name] + part if name in sums else part
    return sums


def compute_colour_moments(picture: Tensor, mask: Tensor | None = None) -> Moments:
    """Compute the moments of a picture's colours, `(3, H, W)`; a mask `(1, h, w)` weighs the positions."""
    return moments(picture[None], None if mask is None else resized_mask(mask, tuple(picture.shape[1:]))[0])


def _colour_loss(target: Target, pixels: Tensor) -> Tensor:
    return reduce(
        add,
        (style.weight * style.colours(compute_colour_moments(pixels, style.mask)) for style in target.styles),
    )


def _style_loss(target: Target, sums: Sequence[Mapping[str, Moments]]) -> Tensor:
    parts = [
        style.weight * weight * style.distances[name](sums[index][name])
        for index, style in enumerate(target.styles)
        for name, weight in target.weights.layers.items()
    ]
    return reduce(add, parts)


def _moment_gradients(
    target: Target, sums: Sequence[Mapping[str, Moments]]
) -> tuple[Tensor, list[dict[str, tuple[Tensor, Tensor]]]]:
    """Return the style loss, and its gradient with respect to each sum."""
    leaves = [
        {name: Moments(each.first.requires_grad_(), each.second.requires_grad_(), each.weight)
         for name, each in part.items()}
        for part in sums
    ]  # fmt: skip
    loss = _style_loss(target, leaves)
    flat = [tensor for part in leaves for each in part.values() for tensor in (each.first, each.second)]
    gradients = iter(torch.autograd.grad(loss, flat, allow_unused=True, materialize_grads=True))
    return loss.detach(), [{name: (next(gradients), next(gradients)) for name in part} for part in leaves]


def _measure(
    network: Network, pixels: Tensor, target: Target, tile: _Tile
) -> tuple[list[dict[str, Moments]], Tensor]:
    """Return the moments of each style's layers over a tile's core, and the core's part of the content loss.

    Each layer is measured as soon as it is computed, so the backward pass computes the layer's gradient when
    it gets there: if it were measured at the end, the gradients of all layers would be held from the start.
    """
    sums: list[dict[str, Moments]] = [{} for _ in target.styles]
    content = torch.zeros(())
    layers = frozenset({*target.weights.layers, target.content.layer})
    for name, output in each_layer_output(network, pixels[None], layers):
        part = _crop_to_core(output, tile)
        if name == target.content.layer:
            content = target.content.loss(part.features, part.rows, part.columns)
        if name in target.weights.layers:
            unmasked: Moments | None = None  # shared by all styles without a mask
            for style, by_layer in zip(target.styles, sums, strict=True):
                if style.mask is not None:
                    mask = resized_mask(style.mask.to(pixels), part.size)
                    by_layer[name] = moments(part.features, mask[0, part.rows, part.columns])
                else:
                    by_layer[name] = unmasked = unmasked or moments(part.features)
    return sums, content


def _pixels_of(picture: Tensor, tile: _Tile) -> Tensor:
    return picture[:, tile.down.padded, tile.across.padded]


def _run_tile(network: Network, picture: Tensor, tile: _Tile, layers: frozenset[str]) -> dict[str, Tensor]:
    return native_layer_outputs(network, _pixels_of(picture, tile)[None], layers)


class _Part(NamedTuple):
    """A layer's features over a tile's core: their place in the whole picture's map, and its size."""

    features: Tensor
    rows: slice
    columns: slice
    size: tuple[int, int]


def _crop_to_core(output: Tensor, tile: _Tile) -> _Part:
    crops, places, sizes = [], [], []
    for span, count in zip(tile, output.shape[2:], strict=True):
        # Strides are powers of two; pixels left over after the last stride make the quotient a bit larger.
        stride = 2 ** round(math.log2((span.padded.stop - span.padded.start) / count))
        single = span.padded.stop - span.padded.start == span.length
        size = count if single else span.length // stride
        first = span.core.start // stride
        end = size if span.core.stop == span.length else span.core.stop // stride
        offset = span.padded.start // stride
        crops.append(slice(first - offset, end - offset))
        places.append(slice(first, end))
        sizes.append(size)
    return _Part(output[:, :, crops[0], crops[1]], places[0], places[1], (sizes[0], sizes[1]))


def _split_into_tiles(picture: Tensor, tile: int, margin: int) -> Iterator[_Tile]:
    """Yield tiles whose cores cover a picture `(3, H, W)`, row by row: a single one if it fits."""
    height, width = picture.shape[1:]
    if height * width <= tile * tile:
        spans = [[_Span(slice(0, side), slice(0, side), side)] for side in (height, width)]
    else:
        spans = [_split_side(side, tile, -(-margin // _GRID) * _GRID) for side in (height, width)]
    for down, across in itertools.product(*spans):
        yield _Tile(down, across)


def _split_side(length: int, tile: int, margin: int) -> list[_Span]:
    core = max(_GRID, (tile - 2 * margin) // _GRID * _GRID)
    count = max(1, -(-length // core))
    core = -(-length // (count * _GRID)) * _GRID  # as even as the grid allows
    return [
        _Span(
            slice(max(0, start - margin), min(length, start + core + margin)),
            slice(start, min(length, start + core)),
            length,
        )
        for start in range(0, length, core)
    ]
