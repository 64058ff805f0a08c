"""A forward pass that records the inputs and outputs of all modules, and gradients with respect to them."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, fx, nn

from lanterna.errors import UsageError
from lanterna.networks.tracing import RESULT, ForeignNetwork, UntracedNetwork, unique_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanterna.networks.network import Network

INPUT = "input"
"""The name of the picture among the layers."""


class ModuleCall(NamedTuple):
    """One call of a module without submodules."""

    name: str
    layer: str
    module: nn.Module
    x: Tensor
    y: Tensor


class ForwardPass(NamedTuple):
    """A forward pass of N pictures: the layers' outputs, the calls of all modules, and the N answers."""

    outputs: dict[str, Tensor]
    layers: list[str]
    calls: list[ModuleCall]
    value: Tensor

    def complete_layers(self, network: Network) -> list[str]:
        """Return the layers through which the complete answer flows."""
        names = list(self.outputs)
        return [names[0], names[-1]] if isinstance(network, UntracedNetwork) else names


def forward_pass(network: Network, images: Tensor, chosen: Sequence[int]) -> ForwardPass:
    """Run N pictures through a network and record all layers' outputs and all modules' calls."""
    names = modules_of(network)
    calls: list[ModuleCall] = []
    outputs = {INPUT: images}
    layer = ""

    def record(module: nn.Module, inputs: tuple[object, ...], y: object) -> Tensor | None:
        x = inputs[0] if inputs else None
        if not isinstance(x, Tensor) or not isinstance(y, Tensor):
            return None
        if isinstance(network, UntracedNetwork):  # every module is a layer
            name = unique_name(names[module], outputs)
            outputs[name] = y
            calls.append(ModuleCall(names[module], name, module, x, y))
        else:
            calls.append(ModuleCall(names[module], layer, module, x, y))
        # Foreign code may write into a module's output: give it a copy.
        return y.clone() if isinstance(network, ForeignNetwork) else None

    hooks = [module.register_forward_hook(record) for module in names]
    try:
        if isinstance(network, UntracedNetwork):
            result = network(images)
            outputs[unique_name(RESULT, outputs)] = result
        else:
            result = network.preprocess(images)
            for layer in network.layers:
                result = outputs[layer] = network.layer_output(layer, result)
    finally:
        for hook in hooks:
            hook.remove()
    value = value_of(network, result, chosen)
    batched = {name: output for name, output in outputs.items() if output.shape[:1] == images.shape[:1]}
    return ForwardPass(batched, list(outputs)[1:], calls, value)


def value_of(network: Network, logits: Tensor, chosen: Sequence[int]) -> Tensor:
    """Return each picture's answer `(N,)`: the chosen logit of `(N, classes)`, or the difference of two."""
    if logits.dim() != 2 or max(chosen) >= logits.shape[1]:
        raise UsageError(
            f"{network.name} has output {tuple(logits.shape[1:])}: there is no answer {max(chosen)}"
        )
    value = logits[:, chosen[0]]
    return value - logits[:, chosen[1]] if len(chosen) > 1 else value


def gradients_of(network: Network, value: Tensor, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return the gradient of each picture's answer with respect to each tensor; zeros if it is unused."""
    if not value.requires_grad:
        return tuple(map(torch.zeros_like, tensors))
    differentiable = [tensor for tensor in tensors if tensor.requires_grad]
    found = iter(network.gradients(value.sum(), differentiable))
    return tuple(next(found) if tensor.requires_grad else torch.zeros_like(tensor) for tensor in tensors)


def modules_of(network: Network) -> dict[nn.Module, str]:
    """Return all modules without submodules, with their dotted names within the network."""
    names: dict[nn.Module, str] = {}
    for layer, layer_module in network.layers.items():
        for path, module in layer_module.named_modules():
            if next(module.children(), None) is None:
                traced = isinstance(layer_module, fx.GraphModule) and path
                name = path.removeprefix("network.") if traced else f"{layer}.{path}".removesuffix(".")
                names.setdefault(module, name)
    return names


def weights_of(network: Network) -> dict[str, Tensor]:
    """Return the weights of all convolutions and fully connected layers, by dotted name."""
    found: dict[str, Tensor] = {}
    for module, name in modules_of(network).items():
        weight = dict(module.named_parameters(recurse=False)).get("weight")
        if isinstance(module, nn.Conv2d | nn.Linear) and weight is not None:
            found[name] = weight
    return found


def chosen_answers(network: Network, answer: int, against: int | None = None) -> list[int]:
    """Return the index of an answer, and of the one to compare it with. Errors: as for `checked`."""
    return [checked(network, index) for index in (answer, against) if index is not None]


def checked(network: Network, answer: int) -> int:
    """Return an answer's index. Errors: `UsageError` if the network has no such answer, or no classes."""
    count = len(network.classes)
    if not count:
        raise UsageError(f"{network.name} has no classes, so there is no answer to explain")
    try:
        index = operator.index(answer)
    except TypeError:
        index = -1
    if not 0 <= index < count:
        raise UsageError(f"{network.name} has answers 0 to {count - 1}, got {answer!r}")
    return index
