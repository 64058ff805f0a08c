"""The convolutional parts of VGG-19 and VGG-16, used for style transfer and dreams.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (2015),
configurations E and D without their three fully connected layers, so without classes. The shelf's VGG-19 was
trained on ImageNet; its weights are stored with 8 bits each. The VGG-16 was then fine-tuned to detect edges
(Xie and Tu, "Holistically-Nested Edge Detection", 2015), which leaves it less to say about strokes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lanterna.networks.network import InputSpec, Network

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Each network's number of convolutions per block."""

_CHANNELS = (64, 128, 256, 512, 512)  # of each block

# The means subtracted in training, of values from 0 to 255.
_BLUE, _GREEN, _RED = 103.939, 116.779, 123.68


def vgg(name: str, weights: Mapping[str, Tensor] | None = None) -> Network:
    """Build `vgg16` (up to `relu5_3`) or `vgg19` (`relu5_4`); each convolution, ReLU and pooling is a layer.

    Pictures `(N, 3, H, W)` in [0, 1], of 16 pixels or more, become features `(N, 512, H/16, W/16)`. `weights`
    are the tensors of the shelf's file; without them the network is on the meta device, enough to read
    shapes.
    """
    # The weights expect values from 0 to 255, so std is 1/255.
    spec = InputSpec(3, 224, (_RED / 255, _GREEN / 255, _BLUE / 255), (1 / 255,) * 3, crop=224 / 256)
    network = Network(name, spec, _layers(name))
    if weights is None:
        network.to("meta")
    else:
        loaded = {f"layers.{name}": weight for name, weight in weights.items()}
        # The weights expect BGR and pictures are RGB: flip the channels of the first kernels once.
        loaded["layers.conv1_1.weight"] = weights["conv1_1.weight"].flip(1).contiguous()
        network.load_state_dict(loaded, assign=True)
    return network.eval().requires_grad_(False)


def _layers(name: str) -> dict[str, nn.Module]:
    """Build the layers, in order, on the meta device."""
    layers: dict[str, nn.Module] = {}
    inputs = 3
    with torch.device("meta"):  # do not initialise weights that will be replaced
        for block, (count, channels) in enumerate(zip(BLOCKS[name], _CHANNELS, strict=True), start=1):
            if block > 1:
                layers[f"pool{block - 1}"] = nn.MaxPool2d(2)
            for layer in range(1, count + 1):
                layers[f"conv{block}_{layer}"] = nn.Conv2d(inputs, channels, 3, padding=1)
                # Not in place: that would overwrite the layer before.
                layers[f"relu{block}_{layer}"] = nn.ReLU()
                inputs = channels
    return layers
