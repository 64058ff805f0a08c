"""VGG-16's convolutions, the network that style transfer and many dreams are made with.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (2015),
configuration D without its three dense layers. The weights on the shelf are ImageNet's as tuned further to
find edges (Xie and Tu, "Holistically-Nested Edge Detection", 2015): the same features, no classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lanterna.networks.network import InputSpec, Network

if TYPE_CHECKING:
    from collections.abc import Mapping

_GROUPS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions, channels

# What was subtracted in training, from levels 0 to 255.
_BLUE, _GREEN, _RED = 103.939, 116.779, 123.68


def vgg16(weights: Mapping[str, Tensor] | None = None) -> Network:
    """VGG-16 from `conv1_1` to `relu5_3`, each convolution, ReLU and pool a layer of its own.

    Pictures in [0, 1], `(N, 3, H, W)` of any size from 16 pixels on, become features `(N, 512, H/16, W/16)`.
    `weights` are the tensors of the shelf's file; without them the network is a plan only (on PyTorch's meta
    device), which shapes can be read from.
    """
    # One level is 1/255 of our range, so (picture - mean) / deviation is a level minus the mean level.
    spec = InputSpec(3, 224, (_RED / 255, _GREEN / 255, _BLUE / 255), (1 / 255,) * 3, crop=224 / 256)
    network = Network("vgg16", spec, _layers())
    if weights is None:
        network.to("meta")
    else:
        loaded = {f"layers.{name}": weight for name, weight in weights.items()}
        # These weights expect blue first and pictures come red first: turn the first kernels round, once.
        loaded["layers.conv1_1.weight"] = weights["conv1_1.weight"].flip(1).contiguous()
        network.load_state_dict(loaded, assign=True)
    return network.eval().requires_grad_(False)


def _layers() -> dict[str, nn.Module]:
    """The layers in order, with no weights behind them yet."""
    layers: dict[str, nn.Module] = {}
    inputs = 3
    with torch.device("meta"):  # nothing is drawn at random only to be replaced by the weights
        for group, (count, channels) in enumerate(_GROUPS, start=1):
            if group > 1:
                layers[f"pool{group - 1}"] = nn.MaxPool2d(2)
            for layer in range(1, count + 1):
                layers[f"conv{group}_{layer}"] = nn.Conv2d(inputs, channels, 3, padding=1)
                layers[f"relu{group}_{layer}"] = nn.ReLU()  # not in place: the layer before stays readable
                inputs = channels
    return layers
