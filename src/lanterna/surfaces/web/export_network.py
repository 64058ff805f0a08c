"""The export of a digit network for the page: each layer's kind, sizes and weights (`web/compute.js`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lanterna.networks.network import Network

_ELEMENTWISE: Mapping[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.Flatten: "flatten",
    nn.Dropout: "dropout",
}


def embedded(network: Network, prefix: str = "") -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Return the network's description (JSON) and its weights, named with `prefix`.

    None if the page cannot compute it: `compute.js` lacks a kind of layer, or the input is standardised.
    """
    spec = network.input_spec
    if spec.channels != 1 or any(spec.mean) or any(value != 1 for value in spec.std):
        return None
    shapes = _shapes(network)
    input_shape: tuple[int, ...] = (spec.channels, spec.size, spec.size)
    layers: list[dict[str, object]] = []
    arrays: dict[str, Tensor] = {}
    for name, module in network.layers.items():
        exported = _exported_layer(module)
        if exported is None or shapes[name] is None:
            return None
        settings, weights = exported
        names = {part: f"{prefix}{name}.{part}" for part in weights}
        arrays |= {names[part]: weight for part, weight in weights.items()}
        layers.append(
            {"name": name, **settings, **names, "shape": list(shapes[name]), "before": list(input_shape[1:])}
        )
        input_shape = shapes[name]
    if not layers or len(input_shape) != 1 or len(network.classes) != input_shape[0]:
        return None
    return {
        "input": [spec.channels, spec.size],
        "layers": layers,
        "classes": list(network.classes),
    }, arrays


def _shapes(network: Network) -> dict[str, tuple[int, ...]]:
    spec = network.input_spec
    device = next(network.parameters()).device
    with torch.no_grad():
        run = network.run(torch.zeros(1, spec.channels, spec.size, spec.size, device=device))
        return {name: tuple(out.shape[1:]) for name, out in run}


def _exported_layer(module: nn.Module) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Return a layer's kind and settings, and its weights in float32, or None if it is not supported."""
    if kind := _ELEMENTWISE.get(type(module)):
        return {"kind": kind}, {}
    if type(module) is nn.Conv2d:
        (kernel, kernel_across), (stride, stride_across) = module.kernel_size, module.stride
        padding = module.padding if isinstance(module.padding, tuple) else (-1, -1)
        supported = (
            kernel == kernel_across
            and stride == stride_across == 1
            and padding[0] == padding[1] >= 0
            and module.dilation == (1, 1)
            and module.groups == 1
            and module.padding_mode == "zeros"
        )
        if not supported:
            return None
        return {"kind": "conv", "kernel": kernel, "padding": padding[0]}, _weights(module)
    if type(module) is nn.Linear:
        return {"kind": "linear"}, _weights(module)
    if isinstance(module, nn.MaxPool2d):
        supported = (
            isinstance(module.kernel_size, int)
            and module.stride == module.kernel_size
            and module.padding == 0
            and module.dilation == 1
            and not module.ceil_mode
        )
        return ({"kind": "pool", "kernel": module.kernel_size}, {}) if supported else None
    if type(module) is nn.BatchNorm2d and module.running_mean is not None and module.running_var is not None:
        # At inference it multiplies by γ / σ and adds β − μ γ / σ.
        std = (module.running_var.double() + module.eps).sqrt()
        gamma = torch.ones_like(std) if module.weight is None else module.weight.double()
        beta = torch.zeros_like(std) if module.bias is None else module.bias.double()
        scale = gamma / std
        shift = beta - module.running_mean.double() * scale
        return {"kind": "norm"}, {"scale": scale.float(), "shift": shift.float()}
    return None


def _weights(module: nn.Conv2d | nn.Linear) -> dict[str, Tensor]:
    weights = {"weight": module.weight.detach().float()}
    if module.bias is not None:
        weights["bias"] = module.bias.detach().float()
    return weights
