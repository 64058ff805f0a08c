"""Choose a network's layers for content and style."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from lanterna.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lanterna.networks import Network


@dataclass(frozen=True)
class Balance:
    """The weights of the parts of the loss, at a strength and a detail of 1; `layers` are the style's."""

    layers: Mapping[str, float]
    content: float
    smoothness: float
    colour: float


STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""VGG's style layers: fine ones describe colours and strokes, coarse ones the forms that strokes compose."""

_BALANCES = {"vgg19": Balance(dict.fromkeys(STYLE_LAYERS, 0.2), content=0.08, smoothness=6.0, colour=4.0)}
# In the network that was fine-tuned for edges, coarse layers dissolve faces before they show strokes.
_FINE = Balance(
    dict(zip(STYLE_LAYERS, (0.7, 0.2, 0.065, 0.025, 0.01), strict=True)),
    content=0.15, smoothness=8.0, colour=0.0,
)  # fmt: skip


def choose_layers(
    network: Network, content: str | None = None, named: Sequence[str] = ()
) -> tuple[str, Balance]:
    """Return the content layer, and the weights of the style layers and the other parts of the loss.

    The defaults are VGG's layers. In any other network the first ReLU at each of up to five resolutions is
    for the style, and the second at the fourth resolution for the content: the same places as in VGG. At a
    resolution without a ReLU, other layers serve.

    Errors: `UsageError` if a layer does not exist, the network takes no colour pictures, or has no feature
    maps.
    """
    if network.input_spec.channels != 3:
        raise UsageError(f"{network.name} takes no colour pictures: style needs a network such as vgg19")
    if all(name in network.layers for name in ("relu4_2", *STYLE_LAYERS)):
        content, named = content or "relu4_2", named or STYLE_LAYERS
    if not content or not named:
        levels = list(_layers_by_size(network).values())[: len(STYLE_LAYERS)]
        if not levels:
            raise UsageError(
                f"{network.name} has no feature maps, like most transformers: use a network such as vgg19"
            )
        content = content or levels[:4][-1][:2][-1]
        named = named or tuple(level[0] for level in levels)
    for name in (content, *named):
        network.layer(name)
    balance = _BALANCES.get(network.name, _FINE)
    weights = list(balance.layers.values())
    chosen = [weights[min(index, len(weights) - 1)] for index in range(len(named))]
    shares = {name: weight / sum(chosen) for name, weight in zip(named, chosen, strict=True)}
    return content, replace(balance, layers=shares)


@torch.no_grad()
def _layers_by_size(network: Network) -> dict[tuple[int, ...], list[str]]:
    """Return the layers that output feature maps, by map size: the ReLUs of each size, or all if none."""
    side = network.input_spec.size
    layers: dict[tuple[int, ...], list[str]] = {}
    relus: dict[tuple[int, ...], list[str]] = {}
    for name, output in network.run(torch.zeros(1, 3, side, side, device=network.get_buffer("mean").device)):
        # Of a square picture maps are square; some transformers put the channels last.
        if output.ndim == 4 and output.shape[2] == output.shape[3] > 1:
            layers.setdefault(tuple(output.shape[2:]), []).append(name)
            if name in network.layers and isinstance(network.layers[name], nn.ReLU | nn.ReLU6):
                relus.setdefault(tuple(output.shape[2:]), []).append(name)
    return {size: relus.get(size, names) for size, names in layers.items()}


def replicate_edges(network: Network) -> Network:
    """Make the first layer pad with the picture's edge pixels instead of grey, which leaves a visible frame.

    Only if the first layer is a convolution. Change the network in place, and return it.
    """
    first = next(iter(network.layers.values()))
    if isinstance(first, nn.Conv2d):
        first.padding_mode = "replicate"
    return network
