"""The networks of instant style transfer: one pass paints a photograph in the style of any painting.

`StylePredictor` encodes the style of a painting as a vector of 100 numbers; `StyleTransformer` paints a
picture in the style of such a vector. Ghiasi, Lee, Kudlur, Dumoulin and Shlens, "Exploring the structure of a
real-time, arbitrary neural artistic stylization network" (2017), https://arxiv.org/abs/1705.06830. A second
transformer was trained on 26 paintings together and takes a weight for each: Dumoulin, Shlens and Kudlur,
"A learned representation for artistic style" (2017), https://arxiv.org/abs/1610.07629.

The weights are Magenta's, reduced for phones: MobileNetV2 instead of Inception-v3 as the predictor, and an
eighth to a quarter of the papers' channels in the transformer. Those of the first pair are stored as 8-bit
integers, which we convert to floats. The shelf's ONNX file also quantises every activation to 256 levels,
which we do not: at 384 px the two results differ by 29 dB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lanterna import shelf
from lanterna.networks.efficientnet import SameConv2d
from lanterna.shelf.onnx import read_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PREDICTOR_SIDE = 256
"""Pixels along each side of the paintings that the predictor was trained on."""

STYLES = 26
"""Number of paintings that the second transformer was trained on."""

# MobileNetV2's groups of blocks:
# expansion ratio, output channels, blocks, stride of the first block.
_GROUPS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_EPSILON = 1e-5  # avoids division by zero for a constant map


class StylePredictor(nn.Module):
    """MobileNetV2 (Sandler et al. 2018) with global pooling, which encodes a painting's style in 100 numbers.

    Pictures in [0, 1], `(N, 3, H, W)` of any size (it was trained at `PREDICTOR_SIDE`), become `(N, 100)`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, 32, 3, stride=2, bias=True)
        blocks, inputs = [], 32
        for expansion, outputs, count, stride in _GROUPS:
            for index in range(count):
                blocks.append(_InvertedResidual(inputs, outputs, 1 if index else stride, expansion))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = SameConv2d(320, 1280, 1, bias=True)
        self.output = nn.Conv2d(1280, 100, 1)

    def forward(self, paintings: Tensor) -> Tensor:
        """`(N, 3, H, W)` in [0, 1] to `(N, 100)`."""
        x = F.relu6(self.stem(paintings))  # (N, 32, H/2, W/2)
        for block in self.blocks:
            x = block(x)
        x = F.relu6(self.head(x)).mean((2, 3), keepdim=True)  # (N, 1280, 1, 1)
        return self.output(x).flatten(1)  # type: ignore[no-any-return]  # modules are untyped


class _InvertedResidual(nn.Module):
    """Expand, depthwise convolution, project; the input is added if the shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = SameConv2d(inputs, hidden, 1, bias=True) if expansion > 1 else None
        self.depthwise = SameConv2d(hidden, hidden, 3, stride, groups=hidden, bias=True)
        self.project = SameConv2d(hidden, outputs, 1, bias=True)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inputs, H, W)` to `(N, outputs, ⌈H / stride⌉, ⌈W / stride⌉)`."""
        expanded = x if self.expand is None else F.relu6(self.expand(x))
        y: Tensor = self.project(F.relu6(self.depthwise(expanded)))
        return x + y if self.residual else y


class ConditionalNorm(nn.Module):
    """Conditional instance normalisation (Dumoulin et al. 2017, eq. 5), which applies the style.

    Each map is normalised to mean 0 and std 1 over the whole picture, then scaled to the style's std `gamma`
    and mean `beta`: z = gamma (x − mean) / std + beta. Both are linear in the style vector, so interpolating
    vectors interpolates styles.
    """

    def __init__(self, style: int, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Linear(style, channels)
        self.beta = nn.Linear(style, channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Maps `(N, C, H, W)` in the style `(N, S)`."""
        variance, mean = torch.var_mean(x, (2, 3), correction=0)
        scale, shift = self.scale_and_shift(mean, variance, style)
        return x * scale[:, :, None, None] + shift[:, :, None, None]

    def scale_and_shift(self, mean: Tensor, variance: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scale and shift `(N, C)` that normalise maps of this mean and variance `(N, C)`."""
        scale = self.gamma(style) / (variance + _EPSILON).sqrt()
        return scale, self.beta(style) - mean * scale


class ConvLayer(nn.Module):
    """Upsampling, reflection padding, a convolution, a norm and a ReLU; all but the convolution optional.

    `(N, inputs, H, W)` becomes `(N, outputs, ⌈H · upsample / stride⌉, ⌈W · upsample / stride⌉)`. Upsampling
    repeats pixels, which avoids the checkerboards of a transposed convolution (Odena et al. 2016).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        upsample: int = 1,
        style: int | None = None,
        relu: bool = True,
    ) -> None:
        super().__init__()
        # The norm would cancel a bias.
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, bias=style is None)
        self.norm = None if style is None else ConditionalNorm(style, outputs)
        self.upsample = upsample
        self.relu = relu

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Maps `(N, inputs, H, W)` in the style `(N, S)`."""
        if self.upsample > 1:
            x = F.interpolate(x, scale_factor=self.upsample, mode="nearest")
        x = F.pad(x, (self.conv.kernel_size[0] // 2,) * 4, mode="reflect")
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x, style)
        return x.relu() if self.relu else x


class ResidualBlock(nn.Module):
    """Two layers, with a skip connection around them (He et al. 2016)."""

    def __init__(self, width: int, style: int) -> None:
        super().__init__()
        self.conv1 = ConvLayer(width, width, 3, style=style)
        self.conv2 = ConvLayer(width, width, 3, style=style, relu=False)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Maps `(N, width, H, W)` in the style `(N, S)`."""
        y: Tensor = self.conv2(self.conv1(x, style), style)
        return x + y


class StyleTransformer(nn.Module):
    """A network that paints pictures `(N, 3, H, W)` in [0, 1] in the style `(N, S)`.

    Sides must be multiples of 4 and at least 8. `contract` and `expand` are the channels of the three layers
    that down- and upsample, and `blocks` is the number of residual blocks between them, at a quarter of the
    picture's size. The network is fully convolutional, so it takes any size: `lanterna.networks.tiles` runs
    it on pictures whose activations would not fit into memory.
    """

    def __init__(
        self,
        contract: Sequence[int],
        blocks: int,
        expand: Sequence[int],
        style: int,
        *,
        contract_in_style: bool,
    ) -> None:
        super().__init__()
        full, half, width = contract
        contract_style = style if contract_in_style else None
        self.contract = nn.ModuleList(
            [
                ConvLayer(3, full, 9, style=contract_style),
                ConvLayer(full, half, 3, stride=2, style=contract_style),
                ConvLayer(half, width, 3, stride=2, style=contract_style),
            ]
        )
        self.residual = nn.ModuleList(ResidualBlock(width, style) for _ in range(blocks))
        half, full, colours = expand
        self.expand = nn.ModuleList(
            [
                ConvLayer(width, half, 3, upsample=2, style=style),
                ConvLayer(half, full, 3, upsample=2, style=style),
                ConvLayer(full, colours, 9, style=style, relu=False),
            ]
        )

    def forward(self, pictures: Tensor, style: Tensor) -> Tensor:
        """Pictures `(N, 3, H, W)` in [0, 1] in the style `(N, S)`."""
        x = pictures
        for layer in self.contract:
            x = layer(x, style)  # (N, C, H/4, W/4) after the last
        for block in self.residual:
            x = block(x, style)
        for layer in self.expand:
            x = layer(x, style)  # (N, 3, H, W) after the last
        return x.sigmoid()


def open_style_predictor() -> StylePredictor:
    """Open the predictor. Errors: `MissingError` if its weights are not on the shelf."""
    weights = read_weights(shelf.need("instant-style") / "arbitrary_predict.onnx")
    with torch.device("meta"):  # do not initialise weights that will be replaced
        network = StylePredictor()
    names = {"stem": "MobilenetV2/Conv", "head": "MobilenetV2/Conv_1", "output": "mobilenet_conv/Conv"}
    for index in range(len(network.blocks)):
        for part in ("expand", "depthwise", "project"):
            names[f"blocks.{index}.{part}"] = f"MobilenetV2/expanded_conv{f'_{index}' * (index > 0)}/{part}"
    loaded = {}
    for name in network.state_dict():
        part, kind = name.rsplit(".", 1)
        suffixes = {"weight": "weights", "bias": "Conv2D_bias"}
        if part.endswith("depthwise"):
            suffixes = {"weight": "depthwise_weights", "bias": "depthwise_bias"}
        loaded[name] = torch.from_numpy(weights[f"{names[part]}/{suffixes[kind]}_dequant"])
    network.load_state_dict(loaded, assign=True)
    return network.eval().requires_grad_(False)


def open_style_transformer() -> StyleTransformer:
    """Open the transformer that takes the predictor's 100 numbers. Errors: `MissingError`."""
    weights = read_weights(shelf.need("instant-style") / "arbitrary_transform.onnx")
    with torch.device("meta"):  # do not initialise weights that will be replaced
        network = StyleTransformer((8, 16, 32), 5, (16, 8, 3), style=100, contract_in_style=False)
    loaded = {}
    for ours, layer in _named_layers(network):
        group, *path = ours.split(".")
        theirs = (
            "transformer/"
            + {
                "contract": f"contract/conv{int(path[0]) + 1}",
                "residual": f"residual/residual{int(path[0]) + 1}/{path[-1]}",
                "expand": f"expand/conv{int(path[0]) + 1}/conv",
            }[group]
        )
        loaded[f"{ours}.conv.weight"] = weights[f"{theirs}/weights_dequant"]
        if layer.norm is None:
            loaded[f"{ours}.conv.bias"] = weights[f"{theirs}/Conv2D_bias_dequant"]
        else:
            for part, name in (("gamma", "Conv_1"), ("beta", "Conv")):
                linear = f"style_params/{theirs}/StyleNorm/{name}"
                loaded[f"{ours}.norm.{part}.weight"] = weights[f"{linear}/weights_dequant"][:, :, 0, 0]
                loaded[f"{ours}.norm.{part}.bias"] = weights[f"{linear}/Conv2D_bias_dequant"]
    network.load_state_dict({name: torch.from_numpy(values) for name, values in loaded.items()}, assign=True)
    return network.eval().requires_grad_(False)


def open_multistyle_transformer() -> StyleTransformer:
    """Open the transformer of 26 paintings, which takes weights that sum to 1. Errors: `MissingError`."""
    weights = read_weights(shelf.need("instant-style") / "multistyle26.onnx")
    with torch.device("meta"):  # do not initialise weights that will be replaced
        network = StyleTransformer((32, 32, 32), 6, (8, 4, 3), style=STYLES, contract_in_style=True)
    loaded = {}
    for ours, layer in _named_layers(network):
        theirs = ours.replace("residual", "res").replace("conv1", "0").replace("conv2", "1")
        loaded[f"{ours}.conv.weight"] = torch.from_numpy(weights[f"{theirs}.w"].copy())
        for part in ("gamma", "beta"):
            # (26, C), a row for each painting
            table = torch.from_numpy(weights[f"{theirs}.norm.{part}"].copy())
            loaded[f"{ours}.norm.{part}.weight"] = table.T.contiguous()
            loaded[f"{ours}.norm.{part}.bias"] = torch.zeros(layer.conv.out_channels)
    network.load_state_dict(loaded, assign=True)
    return network.eval().requires_grad_(False)


def _named_layers(network: nn.Module) -> Iterator[tuple[str, ConvLayer]]:
    return ((name, part) for name, part in network.named_modules() if isinstance(part, ConvLayer))
