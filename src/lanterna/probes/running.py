"""One forward pass of a network with all that probes ask for kept, and the gradients back through it."""

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
"""What the picture itself is called among the layers."""


class ModuleCall(NamedTuple):
    """One run of one module that has no modules inside."""

    name: str
    layer: str
    module: nn.Module
    x: Tensor
    y: Tensor


class ForwardPass(NamedTuple):
    """One forward pass of N pictures: what the layers put out, every module's run, and the N answers."""

    outputs: dict[str, Tensor]
    layers: list[str]
    calls: list[ModuleCall]
    value: Tensor

    def complete_layers(self, network: Network) -> list[str]:
        """The layers that all of the answer flows through."""
        names = list(self.outputs)
        return [names[0], names[-1]] if isinstance(network, UntracedNetwork) else names


def forward_pass(network: Network, images: Tensor, chosen: Sequence[int]) -> ForwardPass:
    """Run N pictures forward, keeping what every layer puts out and what every module takes and gives."""
    names = modules_of(network)
    calls: list[ModuleCall] = []
    outputs = {INPUT: images}
    layer = ""

    def keep(module: nn.Module, taken: tuple[object, ...], y: object) -> Tensor | None:
        x = taken[0] if taken else None
        if not isinstance(x, Tensor) or not isinstance(y, Tensor):
            return None
        if isinstance(network, UntracedNetwork):  # every module is a layer
            name = unique_name(names[module], outputs)
            outputs[name] = y
            calls.append(ModuleCall(names[module], name, module, x, y))
        else:
            calls.append(ModuleCall(names[module], layer, module, x, y))
        # Somebody else's code may write into what a module put out: let it have a copy.
        return y.clone() if isinstance(network, ForeignNetwork) else None

    hooks = [module.register_forward_hook(keep) for module in names]
    try:
        if isinstance(network, UntracedNetwork):
            result = network(images)
            outputs[unique_name(RESULT, outputs)] = result
        else:
            result = network.preprocess(images)
            for layer, module in network.layers.items():
                result = outputs[layer] = module(result)
    finally:
        for hook in hooks:
            hook.remove()
    value = value_of(network, result, chosen)
    batched = {name: output for name, output in outputs.items() if output.shape[:1] == images.shape[:1]}
    return ForwardPass(batched, list(outputs)[1:], calls, value)


def value_of(network: Network, logits: Tensor, chosen: Sequence[int]) -> Tensor:
    """The answer to each picture, `(N,)`: a logit of `(N, classes)`, or the first chosen minus the second."""
    if logits.dim() != 2 or max(chosen) >= logits.shape[1]:
        raise UsageError(f"{network.name} gives {tuple(logits.shape[1:])}: there is no answer {max(chosen)}")
    value = logits[:, chosen[0]]
    return value - logits[:, chosen[1]] if len(chosen) > 1 else value


def gradients_of(value: Tensor, wanted: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The gradient of each picture's answer with respect to each tensor; zeros where it plays no part."""
    if not value.requires_grad:
        return tuple(map(torch.zeros_like, wanted))
    able = [tensor for tensor in wanted if tensor.requires_grad]
    found = iter(torch.autograd.grad(value.sum(), able, materialize_grads=True))
    return tuple(next(found) if tensor.requires_grad else torch.zeros_like(tensor) for tensor in wanted)


def modules_of(network: Network) -> dict[nn.Module, str]:
    """List every module that has no modules inside, with its dotted name within the network."""
    names: dict[nn.Module, str] = {}
    for layer, whole in network.layers.items():
        for path, module in whole.named_modules():
            if next(module.children(), None) is None:
                traced = isinstance(whole, fx.GraphModule) and path
                name = path.removeprefix("network.") if traced else f"{layer}.{path}".removesuffix(".")
                names.setdefault(module, name)
    return names


def weights_of(network: Network) -> dict[str, Tensor]:
    """The weight of each convolution and each fully connected layer, by its dotted name."""
    found: dict[str, Tensor] = {}
    for module, name in modules_of(network).items():
        weight = dict(module.named_parameters(recurse=False)).get("weight")
        if isinstance(module, nn.Conv2d | nn.Linear) and weight is not None:
            found[name] = weight
    return found


def chosen_answers(network: Network, answer: int, against: int | None = None) -> list[int]:
    """The index of an answer, and of the one to set it against. Errors: `UsageError` as `checked`."""
    return [checked(network, each) for each in (answer, against) if each is not None]


def checked(network: Network, answer: int) -> int:
    """An answer's index. Errors: `UsageError` where the network has no such answer, or none at all."""
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
