"""The two networks that read a digit: the lecture's fully connected one, and a convolutional one.

Both take `(N, 1, 28, 28)` in [0, 1], white ink on black, and output ten logits. Their parts: convolutions and
pooling (LeCun et al. 1998), batch normalisation (Ioffe and Szegedy 2015), dropout (Srivastava et al. 2014)
and rectified linear units (Nair and Hinton 2010).
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
CLASSES = 10
DIGIT_INPUT = InputSpec(channels=1, size=SIDE, mean=(0.0,), std=(1.0,))


class MaxPool2d(nn.MaxPool2d):
    """2 × 2 max pooling, a few times as fast as torch's in inference mode.

    Taking the maximum of whole rows, then of whole columns, is vectorised.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` to `(N, C, H // 2, W // 2)`."""
        if not (torch.is_inference_mode_enabled() and x.is_contiguous()):
            pooled: Tensor = super().forward(x)
            return pooled
        height, width = (side // 2 * 2 for side in x.shape[-2:])
        rows = torch.maximum(x[..., 0:height:2, :width], x[..., 1:height:2, :width])
        return torch.maximum(rows[..., 0::2], rows[..., 1::2])


def dense(
    hidden: Sequence[int] = (128,), activation: Activation = "relu", bias: bool = True, dropout: float = 0.0
) -> Network:
    """Build the lecture's network: fully connected layers.

    Layers: `flatten` (N, 784); then for each hidden layer `hidden1` (linear), `relu1` (or `sigmoid1`,
    `tanh1`) and, if there is dropout, `dropout1`; finally `output` (N, 10).
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
    """Build a convolutional network: groups of convolutions, each followed by 2 × 2 max pooling.

    Each entry of `channels` is a group of `convolutions` layers with that many channels and 3 × 3 kernels
    (5 × 5 in the first layer, so that its kernels are large enough to show). Layers of group 1 with one
    convolution: `conv1`, `pool1`, `norm1`, `relu1`; with two: `conv1_1`, `norm1_1`, `relu1_1`, `conv1_2`,
    `pool1`, `norm1_2`, `relu1_2`. Then `flatten`, the hidden layers as in `dense`, and `output`.

    Pooling comes before normalisation and activation, which then cost a quarter; activations are monotonic,
    so the maximum stays the maximum. Convolutions have no bias because the batch norm's offset is one.
    """
    layers: dict[str, nn.Module] = {}
    inputs, side = 1, SIDE
    for group, outputs in enumerate(channels, start=1):
        for layer in range(1, convolutions + 1):
            number = f"{group}" if convolutions == 1 else f"{group}_{layer}"
            kernel = 3 if layers else 5
            layers[f"conv{number}"] = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
            if layer == convolutions:
                layers[f"pool{group}"] = MaxPool2d(2)
                side //= 2
            norm = nn.BatchNorm2d(outputs)
            if not bias:
                norm.register_parameter("bias", None)
            layers[f"norm{number}"] = norm
            layers[f"{activation}{number}"] = ACTIVATIONS[activation]()
            inputs = outputs
    layers |= _fully_connected(inputs * side * side, hidden, activation, bias, dropout, after=len(channels))
    return Network("conv", DIGIT_INPUT, layers, [str(digit) for digit in range(CLASSES)])


def build(plan: Plan) -> Network:
    """Build the network of a plan, with torch's default initialisation."""
    shared = (plan.hidden, plan.activation, plan.bias, plan.dropout)
    return dense(*shared) if plan.network == "dense" else conv(plan.channels, plan.convolutions, *shared)


def to_channels_last(network: Network) -> None:
    """Convert kernels to the channels-last memory format, in which pooling is many times faster.

    torch chooses the format of a convolution's output by the kernel's strides. It leaves those of a
    single-channel kernel unchanged, as both formats store it in the same order, so set them explicitly.
    """
    for parameter in network.parameters():
        if parameter.ndim == 4:
            _, inputs, height, width = parameter.shape
            converted = parameter.data.contiguous(memory_format=torch.channels_last)
            strides = (inputs * height * width, 1, inputs * width, inputs)
            parameter.data = converted.as_strided(parameter.shape, strides)


def _fully_connected(
    width: int, hidden: Sequence[int], activation: Activation, bias: bool, dropout: float, after: int = 0
) -> dict[str, nn.Module]:
    """Build the layers from `width` inputs to ten logits; their numbers start at `after` + 1."""
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
    """Initialise the weights in place, and set all biases (and batch norms' offsets) to `bias_start`.

    `kaiming`: normal, std sqrt(2 / inputs) (He et al. 2015, equation 10), for ReLU. `xavier`: uniform within
    sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010, equation 16), for sigmoid and tanh, and Keras's
    default. `normal`: normal with std 0.05, whatever the layer's size. `zero`: all units of a layer stay
    identical, which shows why nobody uses it.
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
                    bound = math.sqrt(6.0 / (inputs + outputs))
                    weight.uniform_(-bound, bound, generator=generator)
                elif how == "normal":
                    weight.normal_(0.0, 0.05, generator=generator)
                else:
                    weight.zero_()
        bias = getattr(module, "bias", None)
        if isinstance(bias, nn.Parameter):
            nn.init.constant_(bias, bias_start)
