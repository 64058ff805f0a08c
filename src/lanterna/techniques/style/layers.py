"""Which layers of a network tell a picture's content, and which its style."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from lanterna.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanterna.networks import Network

LAYER_WEIGHTS = {"relu1_1": 0.7, "relu2_1": 0.2, "relu3_1": 0.065, "relu4_1": 0.025, "relu5_1": 0.01}
"""How much each layer of VGG counts for the style: the finer, the more.

Fine layers tell colours and strokes, coarse ones what strokes make up: the more these count, the sooner faces
are lost (looked at with equal weights and two mixes between).
"""


def choose_layers(
    network: Network, content: str | None = None, named: Sequence[str] = ()
) -> tuple[str, dict[str, float]]:
    """The layer of the content, and the weights of the style's layers.

    Where none are named they are VGG's. Of a network that has not these, the first ReLU at each of up
    to five resolutions tells the style and the second at the fourth the content, which is where VGG's are;
    other layers stand in where there is no ReLU.

    Errors: `UsageError` where a layer is not there, or the network has no maps of pictures in colour.
    """
    if network.input_spec.channels != 3:
        raise UsageError(f"{network.name} sees no colours: style wants a network of photographs, as vgg16")
    if all(name in network.layers for name in ("relu4_2", *LAYER_WEIGHTS)):
        content, named = content or "relu4_2", named or tuple(LAYER_WEIGHTS)
    if not content or not named:
        levels = list(_levels(network).values())[: len(LAYER_WEIGHTS)]
        if not levels:
            raise UsageError(f"{network.name} has no layers that put out maps: use vgg16")
        content = content or levels[:4][-1][:2][-1]
        named = named or tuple(level[0] for level in levels)
    for name in (content, *named):
        network.layer(name)
    weights = list(LAYER_WEIGHTS.values())
    falling = [weights[min(number, len(weights) - 1)] for number in range(len(named))]
    return content, {name: weight / sum(falling) for name, weight in zip(named, falling, strict=True)}


@torch.no_grad()
def _levels(network: Network) -> dict[tuple[int, ...], list[str]]:
    """The layers that put out maps, by the size of these: of each size the ReLUs, or all if it has none."""
    side = network.input_spec.size
    layers: dict[tuple[int, ...], list[str]] = {}
    bent: dict[tuple[int, ...], list[str]] = {}
    for name, output in network.run(torch.zeros(1, 3, side, side, device=network.get_buffer("mean").device)):
        if output.ndim == 4 and min(output.shape[2:]) > 1:
            layers.setdefault(tuple(output.shape[2:]), []).append(name)
            if name in network.layers and isinstance(network.layers[name], nn.ReLU | nn.ReLU6):
                bent.setdefault(tuple(output.shape[2:]), []).append(name)
    return {size: bent.get(size, names) for size, names in layers.items()}


def replicate_edges(network: Network) -> Network:
    """The network, changed to see a picture's edge go on beyond it, where it would see grey: as a frame.

    Only its first layer, and only where that is a convolution.
    """
    first = next(iter(network.layers.values()))
    if isinstance(first, nn.Conv2d):
        first.padding_mode = "replicate"
    return network
