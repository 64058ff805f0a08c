"""The convolutional part of VGG-16, used for style transfer and many dreams.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (2015),
configuration D without its three fully connected layers. The shelf's weights were pretrained on ImageNet and
fine-tuned to detect edges (Xie and Tu, "Holistically-Nested Edge Detection", 2015): similar features, no
classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lanterna.networks.network import InputSpec, Network

if TYPE_CHECKING:
    from collections.abc import Mapping

_GROUPS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions, channels

# The means subtracted in training, of values from 0 to 255.
_BLUE, _GREEN, _RED = 103.939, 116.779, 123.68


def vgg16(weights: Mapping[str, Tensor] | None = None) -> Network:
    """Build VGG-16 from `conv1_1` to `relu5_3`; each convolution, ReLU and pooling is a layer.

    Pictures `(N, 3, H, W)` in [0, 1], of 16 pixels or more, become features `(N, 512, H/16, W/16)`. `weights`
    are the tensors of the shelf's file; without them the network is on the meta device, enough to read
    shapes.
    """
    # The weights expect values from 0 to 255, so std is 1/255.
    spec = InputSpec(3, 224, (_RED / 255, _GREEN / 255, _BLUE / 255), (1 / 255,) * 3, crop=224 / 256)
    network = Network("vgg16", spec, _layers())
    if weights is None:
        network.to("meta")
    else:
        loaded = {f"layers.{name}": weight for name, weight in weights.items()}
        # The weights expect BGR and pictures are RGB: flip the channels of the first kernels once.
        loaded["layers.conv1_1.weight"] = weights["conv1_1.weight"].flip(1).contiguous()
        network.load_state_dict(loaded, assign=True)
    return network.eval().requires_grad_(False)


def _layers() -> dict[str, nn.Module]:
    """Build the layers, in order, on the meta device."""
    layers: dict[str, nn.Module] = {}
    inputs = 3
    with torch.device("meta"):  # do not initialise weights that will be replaced
        for group, (count, channels) in enumerate(_GROUPS, start=1):
            if group > 1:
                layers[f"pool{group - 1}"] = nn.MaxPool2d(2)
            for layer in range(1, count + 1):
                layers[f"conv{group}_{layer}"] = nn.Conv2d(inputs, channels, 3, padding=1)
                layers[f"relu{group}_{layer}"] = (
                    nn.ReLU()
                )  # not in place: that would overwrite the layer before
                inputs = channels
    return layers
