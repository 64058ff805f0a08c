"""The two networks that read a digit: the lecture's fully connected one, and a convolutional one.

Both take `(N, 1, 28, 28)` in [0, 1], white ink on black, and give ten logits. Their names are the field's:
LeCun et al. (1998) for convolutions and pooling, Ioffe and Szegedy (2015) for batch normalisation,
Srivastava et al. (2014) for dropout, Nair and Hinton (2010) for the rectified linear unit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from lanterna.networks.network import InputSpec, Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanterna.networks.plan import Activation, Plan

WeightStart = Literal["kaiming", "xavier", "normal", "zero"]

ACTIVATIONS: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}

SIDE = 28  # pixels along each side of a digit
CLASSES = 10  # answers
DIGIT_INPUT = InputSpec(channels=1, size=SIDE, mean=(0.0,), std=(1.0,))


class MaxPool2d(nn.MaxPool2d):
    """Put the largest of each 2 × 2 numbers out: torch's own, a few times as fast where none will be derived.

    With rows and columns joined whole, the processor compares many numbers at once.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, C, H, W)` to maps `(N, C, H // 2, W // 2)`."""
        if not (torch.is_inference_mode_enabled() and x.is_contiguous()):
            pooled: Tensor = super().forward(x)
            return pooled
        height, width = (side // 2 * 2 for side in x.shape[-2:])
        rows = torch.maximum(x[..., 0:height:2, :width], x[..., 1:height:2, :width])
        return torch.maximum(rows[..., 0::2], rows[..., 1::2])


def dense(
    hidden: Sequence[int] = (128,), activation: Activation = "relu", bias: bool = True, dropout: float = 0.0
) -> Network:
    """The lecture's network: every pixel to every unit, every unit to every unit of the next layer.

    Layers: `flatten` (N, 784); then for each hidden layer `hidden1` (its weighted sums), `relu1` (or
    `sigmoid1`, `tanh1`) and, where asked for, `dropout1`; at last `output` (N, 10).
    """
    layers = _fully_connected(SIDE * SIDE, hidden, activation, bias, dropout)
    return Network("dense", DIGIT_INPUT, layers, [str(digit) for digit in range(CLASSES)])


def conv(
    channels: Sequence[int] = (16, 32, 64),
    convolutions: int = 1,
    hidden: Sequence[int] = (),
    activation: Activation = "relu",
    bias: bool = True,
    dropout: float = 0.0,
) -> Network:
    """A convolutional network: each group of layers looks for patterns, then halves the picture.

    For each entry of `channels` a group of `convolutions` layers of 3 × 3 kernels with that many maps
    (5 × 5 in the very first, so that its kernels can be looked at), the last of them followed by 2 × 2 max
    pooling. Layers of group 1 with one convolution: `conv1`, `pool1`, `norm1`, `relu1`; with two:
    `conv1_1`, `norm1_1`, `relu1_1`, `conv1_2`, `pool1`, `norm1_2`, `relu1_2`. Then `flatten`, the hidden
    layers as in `dense`, and `output`.

    Pooling stands before the normalisation, where it costs a quarter: the activation never decreases, so
    the largest of four stays the largest. A convolution has no bias of its own because the normalisation's
    offset is one.
    """
    layers: dict[str, nn.Module] = {}
    width, side = 1, SIDE
    for group, maps in enumerate(channels, start=1):
        for layer in range(1, convolutions + 1):
            number = f"{group}" if convolutions == 1 else f"{group}_{layer}"
            kernel = 3 if layers else 5
            layers[f"conv{number}"] = nn.Conv2d(width, maps, kernel, padding=kernel // 2, bias=False)
            if layer == convolutions:
                layers[f"pool{group}"] = MaxPool2d(2)
                side //= 2
            norm = nn.BatchNorm2d(maps)
            if not bias:
                norm.register_parameter("bias", None)
            layers[f"norm{number}"] = norm
            layers[f"{activation}{number}"] = ACTIVATIONS[activation]()
            width = maps
    layers |= _fully_connected(width * side * side, hidden, activation, bias, dropout, after=len(channels))
    return Network("conv", DIGIT_INPUT, layers, [str(digit) for digit in range(CLASSES)])


def build(plan: Plan) -> Network:
    """The network of a plan, with torch's own start for its weights."""
    rest = (plan.hidden, plan.activation, plan.bias, plan.dropout)
    return dense(*rest) if plan.network == "dense" else conv(plan.channels, plan.convolutions, *rest)


def to_channels_last(network: Network) -> None:
    """Lay out each kernel with the channels of a place side by side: such maps are pooled many times faster.

    torch goes by the strides, and leaves those of a single channel as they are because the numbers lie the
    same way in both orders. Then it would lay the maps out channel by channel.
    """
    for parameter in network.parameters():
        if parameter.ndim == 4:
            _, inputs, height, width = parameter.shape
            laid_out = parameter.data.contiguous(memory_format=torch.channels_last)
            strides = (inputs * height * width, 1, inputs * width, inputs)
            parameter.data = laid_out.as_strided(parameter.shape, strides)


def _fully_connected(
    width: int, hidden: Sequence[int], activation: Activation, bias: bool, dropout: float, after: int = 0
) -> dict[str, nn.Module]:
    """Layers from a picture or maps of `width` numbers to ten logits; numbering goes on after `after`."""
    layers: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    for number, units in enumerate(hidden, start=after + 1):
        layers[f"hidden{number}"] = nn.Linear(width, units, bias=bias)
        layers[f"{activation}{number}"] = ACTIVATIONS[activation]()
        if dropout:
            layers[f"dropout{number}"] = nn.Dropout(dropout)
        width = units
    if dropout and not hidden:
        layers["dropout"] = nn.Dropout(dropout)
    layers["output"] = nn.Linear(width, CLASSES, bias=bias)
    return layers


def initialise_weights(
    network: Network, how: WeightStart, bias_start: float, generator: torch.Generator
) -> None:
    """Draw new weights in place, and set every bias (and normalisation's offset) to `bias_start`.

    `kaiming`: normal, deviation sqrt(2 / inputs) (He et al. 2015, equation 10), made for ReLU. `xavier`:
    uniform up to sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010, equation 16), made for sigmoid and
    tanh, and Keras's default. `normal`: normal with deviation 0.05 whatever the layer's size. `zero`: all the
    same, so that every unit of a layer stays the same as its neighbours: to see why nobody does it.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            weight = module.weight
            inputs = weight[0].numel()
            outputs = weight.numel() // weight.shape[1]
            with torch.no_grad():
                if how == "kaiming":
                    weight.normal_(0.0, math.sqrt(2.0 / inputs), generator=generator)
                elif how == "xavier":
                    most = math.sqrt(6.0 / (inputs + outputs))
                    weight.uniform_(-most, most, generator=generator)
                elif how == "normal":
                    weight.normal_(0.0, 0.05, generator=generator)
                else:
                    weight.zero_()
        bias = getattr(module, "bias", None)
        if isinstance(bias, nn.Parameter):
            nn.init.constant_(bias, bias_start)
