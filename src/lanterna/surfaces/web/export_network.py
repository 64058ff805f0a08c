"""A digit network as the page computes it: each layer's kind, sizes and weights (`web/compute.js`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lanterna.networks.network import Network

_BENDS: Mapping[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.Flatten: "flatten",
    nn.Dropout: "dropout",
}


def embedded(network: Network, prefix: str = "") -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """The network's description (JSON) and its weights by name, each beginning with `prefix`.

    None where the page cannot compute it: where a layer is of a kind that `compute.js` does not know, or a
    picture is shifted on its way in.
    """
    spec = network.input_spec
    if spec.channels != 1 or any(spec.mean) or any(value != 1 for value in spec.std):
        return None
    shapes = _shapes(network)
    before: tuple[int, ...] = (spec.channels, spec.size, spec.size)
    layers: list[dict[str, object]] = []
    arrays: dict[str, Tensor] = {}
    for name, module in network.layers.items():
        described = _described(module)
        if described is None or shapes[name] is None:
            return None
        settings, weights = described
        kept = {part: f"{prefix}{name}.{part}" for part in weights}
        arrays |= {kept[part]: weight for part, weight in weights.items()}
        layers.append(
            {"name": name, **settings, **kept, "shape": list(shapes[name]), "before": list(before[1:])}
        )
        before = shapes[name]
    if not layers or len(before) != 1 or len(network.classes) != before[0]:
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


def _described(module: nn.Module) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """A layer's kind and settings, and its weights in float32; None where it is not known."""
    if bend := _BENDS.get(type(module)):
        return {"kind": bend}, {}
    if type(module) is nn.Conv2d:
        (kernel, kernel_across), (stride, stride_across) = module.kernel_size, module.stride
        padding = module.padding if isinstance(module.padding, tuple) else (-1, -1)
        plain = (
            kernel == kernel_across
            and stride == stride_across == 1
            and padding[0] == padding[1] >= 0
            and module.dilation == (1, 1)
            and module.groups == 1
            and module.padding_mode == "zeros"
        )
        if not plain:
            return None
        return {"kind": "conv", "kernel": kernel, "padding": padding[0]}, _weights(module)
    if type(module) is nn.Linear:
        return {"kind": "linear"}, _weights(module)
    if isinstance(module, nn.MaxPool2d):
        plain = (
            isinstance(module.kernel_size, int)
            and module.stride == module.kernel_size
            and module.padding == 0
            and module.dilation == 1
            and not module.ceil_mode
        )
        return ({"kind": "pool", "kernel": module.kernel_size}, {}) if plain else None
    if type(module) is nn.BatchNorm2d and module.running_mean is not None and module.running_var is not None:
        # At rest it multiplies by γ / σ and adds β − μ γ / σ.
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
