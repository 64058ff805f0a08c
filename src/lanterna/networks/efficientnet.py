"""EfficientNet-Lite, the convolutional network that classifies photographs.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019), in the Lite
variant that Google published for phones (2020): without squeeze-and-excitation, and with ReLU6 instead of
swish. It consists only of convolutions, batch norms, ReLU6, sums and one mean, and so is piecewise linear.

The weights are Google's, trained on ImageNet; the shelf has them converted to PyTorch.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lanterna.networks.network import InputSpec, Network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# One row for each group of blocks in Lite0:
# blocks, kernel size, stride of the first block, expansion ratio, output channels.
_GROUPS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD, _CLASSES = 32, 1280, 1000


@dataclass(frozen=True)
class Scale:
    """An EfficientNet-Lite's width and depth, relative to Lite0, and its input size."""

    width: float
    depth: float
    size: int


SCALES = {
    "efficientnet-lite0": Scale(width=1.0, depth=1.0, size=224),
    "efficientnet-lite2": Scale(width=1.1, depth=1.2, size=260),
}


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding, for pictures of any size.

    `(N, C, H, W)` becomes `(N, C', ⌈H / stride⌉, ⌈W / stride⌉)`. If the padding is odd, the extra pixel goes
    to the right and the bottom. The weights were trained with this: symmetric padding, as in PyTorch, would
    shift every strided layer by half a pixel.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        *,
        bias: bool = False,
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` to `(N, C', ⌈H / stride⌉, ⌈W / stride⌉)`."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        rows, columns = (
            max((math.ceil(side / stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:]
        )
        if rows % 2 or columns % 2:
            x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
            rows = columns = 0
        return F.conv2d(x, self.weight, self.bias, stride, (rows // 2, columns // 2), groups=self.groups)


def _conv_norm(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, *, relu: bool = True
) -> nn.Sequential:
    """Build a convolution, its batch norm and, if `relu`, ReLU6."""
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv=SameConv2d(inputs, outputs, kernel, stride, groups),
        norm=nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
    )
    if relu:
        parts["relu"] = nn.ReLU6()  # not in place: that would overwrite outputs that a caller holds
    return nn.Sequential(parts)


class Block(nn.Module):
    """An inverted residual (MobileNetV2, Sandler et al. 2018): expand, depthwise convolution, project.

    `(N, inputs, H, W)` becomes `(N, outputs, ⌈H / stride⌉, ⌈W / stride⌉)`. The input is added to the output
    if their shapes agree.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = _conv_norm(inputs, hidden, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _conv_norm(hidden, hidden, kernel, stride, groups=hidden)
        self.project = _conv_norm(hidden, outputs, 1, relu=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inputs, H, W)` to `(N, outputs, ⌈H / stride⌉, ⌈W / stride⌉)`."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


def _channels(count: int, width: float) -> int:
    """Scale a number of channels and round it to a multiple of 8, at most a tenth below the exact value."""
    scaled = count * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * scaled else rounded + 8


def _layers(scale: Scale, classes: int) -> dict[str, nn.Module]:
    """Build the layers, in order, on the meta device."""
    layers: dict[str, nn.Module] = {}
    with torch.device("meta"):  # do not initialise weights that will be replaced
        layers["stem"] = _conv_norm(3, _STEM, 3, stride=2)
        inputs = _STEM
        for group, (count, kernel, first_stride, expansion, channels) in enumerate(_GROUPS):
            outputs = _channels(channels, scale.width)
            # The first and the last group keep the depth of Lite0.
            fixed = group in (0, len(_GROUPS) - 1)
            for repeat in range(count if fixed else math.ceil(count * scale.depth)):
                stride = first_stride if repeat == 0 else 1
                layers[f"block{len(layers)}"] = Block(inputs, outputs, kernel, stride, expansion)
                inputs = outputs
        layers["head"] = _conv_norm(inputs, _HEAD, 1)
        layers["pool"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())  # (N, 1280)
        layers["output"] = nn.Linear(_HEAD, classes)
    return layers


def _file_name(name: str) -> str:
    """Return the name in the shelf's file of the weight that is `name` in our network."""
    _, layer, *rest = name.split(".")  # "layers.block3.expand.conv.weight"
    if layer == "output":
        return f"_fc.{rest[0]}"
    if layer in ("stem", "head"):
        part, value = rest
        return f"_conv_{layer}.{value}" if part == "conv" else f"_bn{int(layer == 'head')}.{value}"
    convolution, part, value = rest
    norm = ("expand", "depthwise", "project").index(convolution)
    block = int(layer.removeprefix("block")) - 1
    return f"_blocks.{block}." + (f"_{convolution}_conv.{value}" if part == "conv" else f"_bn{norm}.{value}")


def efficientnet(
    name: str, weights: Mapping[str, Tensor] | None = None, classes: Sequence[str] = ()
) -> Network:
    """Build `efficientnet-lite0` or `efficientnet-lite2`, in eval mode.

    Pictures `(N, 3, H, W)` in [0, 1], of 32 pixels or more, become logits `(N, 1000)` in ImageNet's order of
    classes. `weights` are the tensors of the shelf's file; without them the network is on the meta device,
    enough to read shapes.
    """
    network = without_weights(name, name, _CLASSES, classes)
    if weights is None:
        network.to("meta")
    else:
        loaded = {ours: weights[_file_name(ours)] for ours in network.state_dict()}
        network.load_state_dict(loaded, assign=True)
    return network.eval().requires_grad_(False)


def without_weights(scale_name: str, name: str, count: int, classes: Sequence[str]) -> Network:
    """Build an EfficientNet-Lite with `count` classes on the meta device."""
    scale = SCALES[scale_name]
    spec = InputSpec(
        channels=3,
        size=scale.size,
        # Trained on 8-bit values, normalised as (value - 127) / 128.
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        # Evaluated on a centre crop of `size` pixels from pictures of `size` + 32.
        crop=scale.size / (scale.size + 32),
    )
    return Network(name, spec, _layers(scale, count), classes)
