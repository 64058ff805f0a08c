"""Optimise a copy of a network for inference, for jobs that run it hundreds of times.

Outputs change only by rounding: layers that are never read are removed, tensors are channels-last, batch
norms are folded into convolutions, and activations that are not needed again are overwritten.
"""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING

import torch
from torch import nn

from lanterna.devices import fast_dtype
from lanterna.networks.network import Network
from lanterna.networks.winograd import WinogradConv2d

if TYPE_CHECKING:
    from collections.abc import Collection


def optimize_for_inference(network: Network, layers: Collection[str] | None = None) -> Network:
    """Return a fast copy with the same outputs at `layers` (the default is all of them), in eval mode.

    The copy ends at the last of `layers` and is channels-last. Batch norms are folded into the convolutions
    before them. ReLUs whose input is not requested run in place, and those whose output is not requested run
    after the pooling that follows them. The copy is in bfloat16 if the hardware supports it, except for
    networks with depthwise convolutions, which bfloat16 does not speed up on a CPU (a step of
    EfficientNet-Lite0 at block9 and 512 px takes 58 ms in float32, 89 ms in bfloat16; vgg16 at relu4_3 takes
    0.8 s and 0.2 s), and for digit networks, which are small. In float32, convolutions with many channels are
    computed by Winograd's algorithm. Only the memory format of foreign networks is changed.

    Errors: `UsageError` for a layer that the network does not have.
    """
    for name in layers or ():
        network.layer(name)
    names = list(network.layers)
    requested = set(layers or names)
    if type(network) is Network:  # do not copy the layers after the last one requested
        needed = names[: 1 + max(names.index(name) for name in requested)]
        copied = copy.deepcopy(nn.ModuleDict({name: network.layers[name] for name in needed}))
        optimised = copy.deepcopy(network, {id(network.layers): copied})
    else:
        optimised = copy.deepcopy(network)
    optimised.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if type(network) is not Network:
        return optimised
    for part in list(optimised.layers.modules()):
        if isinstance(part, nn.Sequential):
            _fold_batch_norms(part)
            _relu_in_place([layer for layer in part if not isinstance(layer, nn.Identity)])
    if layers is not None:
        _pool_first(optimised.layers, requested)
        _relu_in_place(list(optimised.layers.values()), [name in requested for name in optimised.layers])
    grouped = any(isinstance(part, nn.Conv2d) and part.groups > 1 for part in optimised.modules())
    if network.input_spec.channels == 3 and not grouped:
        optimised.layers.to(fast_dtype(optimised.get_buffer("mean").device))
    for name, layer in optimised.layers.items():
        if WinogradConv2d.suits(layer):
            optimised.layers[name] = WinogradConv2d(layer)
    return optimised


def _fold_batch_norms(layers: nn.Sequential) -> None:
    """Fold each batch norm into the convolution before it: in eval mode it is a scale and an offset."""
    named = list(layers.named_children())
    for (_, conv), (name, norm) in itertools.pairwise(named):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            assert norm.running_var is not None
            assert norm.running_mean is not None
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            bias = 0 if conv.bias is None else conv.bias
            conv.bias = nn.Parameter(norm.bias + (bias - norm.running_mean) * scale, requires_grad=False)
            folded = (conv.weight * scale.view(-1, 1, 1, 1)).contiguous(memory_format=torch.channels_last)
            conv.weight = nn.Parameter(folded, requires_grad=False)
            setattr(layers, name, nn.Identity())


def _pool_first(layers: nn.ModuleDict, requested: Collection[str]) -> None:
    """Run max pooling before a ReLU that is not requested: the same result, at a quarter of the cost."""
    for before, name in itertools.pairwise(list(layers)):
        relu, pool = layers[before], layers[name]
        if (
            isinstance(relu, nn.ReLU | nn.ReLU6)
            and isinstance(pool, nn.MaxPool2d)
            and before not in requested
        ):
            layers[before] = nn.Identity()
            layers[name] = nn.Sequential(pool, type(relu)(inplace=True))


def _relu_in_place(layers: list[nn.Module], requested: list[bool] | None = None) -> None:
    """Run each ReLU after a convolution in place, unless the convolution's output is requested.

    The backward pass of a convolution needs its input, not its output, and that of a ReLU its output.
    """
    for index, (conv, relu) in enumerate(itertools.pairwise(layers)):
        needed = requested is not None and requested[index]
        if isinstance(conv, nn.Conv2d) and isinstance(relu, nn.ReLU | nn.ReLU6) and not needed:
            relu.inplace = True
