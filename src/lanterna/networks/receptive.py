"""The receptive field of each layer: how much of the picture one unit sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from lanterna.networks.network import Network

_SLIDING = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d
_WHOLE = nn.AdaptiveAvgPool2d | nn.Flatten | nn.Linear  # its output depends on every position


def receptive_fields(network: Network) -> dict[str, int | None]:
    """Return the side of each layer's receptive field in pixels, by name; None is the whole picture.

    The parts within a layer are taken to follow one another, as in a convolution, its norm and its ReLU; a
    layer with branches has at most the field that is returned.
    """
    fields: dict[str, int | None] = {}
    field, step, whole = 1, 1, False
    for name, layer in network.layers.items():
        for part in layer.modules():
            if isinstance(part, _SLIDING):
                kernel, stride = _longest(part.kernel_size), _longest(part.stride)
                field, step = field + (kernel - 1) * step, step * stride
            whole = whole or isinstance(part, _WHOLE)
        fields[name] = None if whole else field
    return fields


def _longest(sides: int | tuple[int, ...]) -> int:
    """Return the longer side of a kernel, or the larger of two strides."""
    return sides if isinstance(sides, int) else max(sides)
