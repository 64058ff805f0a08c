"""Links: how much of an answer flowed from each map of one layer to each map of the next."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lanterna.errors import UsageError
from lanterna.networks.efficientnet import Block, SameConv2d
from lanterna.networks.tracing import UntracedNetwork
from lanterna.probes.look import as_batch_of_one, eval_mode, explain_size_errors
from lanterna.probes.running import checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanterna.networks.network import Network

_BATCH = 64  # maps that are pushed through a layer together; limited by memory


def links(
    network: Network,
    image: Tensor,
    layer: str,
    answers: Sequence[int],
    *,
    against: int | None = None,
    maps: Sequence[int] | None = None,
) -> Tensor:
    """Return how much of each answer flowed from each input map of `layer` to each output map: `(A, M, C)`.

    A map is a channel of `(C, H, W)`, or a unit of `(C,)`. `image` is one picture `(C, H, W)` in [0, 1],
    which is the input of the first layer. `maps` are the M input maps to follow, by default all. `against` is
    an answer to subtract from each.

    For one picture a layer is linear. So each input map is pushed through it alone (a directional derivative,
    which does not depend on the answer), and the result is weighted by the gradient of the answer. Summed
    over M these are the contributions that `paths` finds for the layer's output less the offsets inside it;
    summed over C, those of its input. In a network that is not piecewise linear they are gradient ×
    activation only, and do not sum exactly.

    Errors: `UsageError` for a layer or an answer that the network does not have, a picture that it does not
    accept, or a network that is no chain of layers.
    """
    network.layer(layer)
    _check_chain(network)
    chosen = [checked(network, answer) for answer in answers]
    with (
        torch.inference_mode(False),
        eval_mode(network),
        explain_size_errors(network, image),
        torch.no_grad(),
    ):
        x = as_batch_of_one(network, image)
        names = list(network.layers)
        index = names.index(layer)
        if index:
            x = next(output for name, output in network.run(x) if name == names[index - 1])
        later = names[index + 1 :]
        layer_input = x if index else network.preprocess(x)
        other = None if against is None else checked(network, against)
        gradients = _gradients(network, network.layer_output(layer, layer_input), later, chosen, other)
    return links_between(network, layer, x, gradients, maps)


def links_between(
    network: Network, layer: str, x: Tensor, gradients: Tensor, maps: Sequence[int] | None = None
) -> Tensor:
    """Return the same as `links`, from the results of `look` and `paths`.

    `x` `(1, C, …)` is the layer's input, `gradients` `(A, C, …)` the gradient of each answer with respect to
    its output.

    Errors: `UsageError` for a network that is no chain of layers.
    """
    _check_chain(network)
    module = network.layers[layer]
    with torch.inference_mode(False), eval_mode(network), torch.no_grad():
        gradients = gradients.flatten(2) if gradients.dim() > 2 else gradients.unsqueeze(2)  # (A, C, P)
        first = layer == next(iter(network.layers))
        layer_input = network.preprocess(x) if first else x
        followed = torch.arange(x.shape[1]) if maps is None else torch.as_tensor(maps)
        flows = []
        for batch in torch.split(followed, _BATCH):
            single_maps = torch.zeros(len(batch), *x.shape[1:]).to(x)
            single_maps[torch.arange(len(batch)), batch] = x[0, batch]
            if first:
                single_maps = single_maps / network.get_buffer("std")
            pushed = _push_forward(module, layer_input, single_maps)
            pushed = pushed.reshape(len(batch), *gradients.shape[1:])  # (M, C, P)
            flows.append(torch.einsum("acp,mcp->amc", gradients, pushed))
    return torch.cat(flows, 1)


def _check_chain(network: Network) -> None:
    if isinstance(network, UntracedNetwork):
        raise UsageError(f"{network.name} is no chain of layers, so there are no links between its layers")


def _gradients(
    network: Network, y: Tensor, later: Sequence[str], chosen: Sequence[int], against: int | None
) -> Tensor:
    """Return the gradient of each answer with respect to a layer's output, `(A, C, …)`, in one pass."""
    with torch.enable_grad():
        copies = y.expand(len(chosen), *y.shape[1:]).clone().requires_grad_()
        logits = copies
        for layer in later:
            logits = network.layer_output(layer, logits)  # finally (A, classes)
        value = logits[torch.arange(len(chosen)), torch.tensor(chosen)].sum()
        if against is not None:
            value = value - logits[:, against].sum()
        return network.gradients(value, [copies])[0]


def _push_forward(module: nn.Module, x: Tensor, tangents: Tensor) -> Tensor:
    """Return the directional derivative of a module at `x` `(1, C, …)` along `tangents` `(M, C, …)`."""
    if all(_is_known(part) for part in module.modules()):
        linearised = [part for part in module.modules() if type(part) in _LINEARISED]
        hooks = [part.register_forward_hook(_linearise) for part in linearised]
        try:
            derivatives: Tensor = module(torch.cat([x, tangents]))[1:]
        finally:
            for hook in hooks:
                hook.remove()
        return derivatives

    def push(tangent: Tensor) -> Tensor:
        derivative: Tensor = torch.func.jvp(module, (x,), (tangent.unsqueeze(0),))[1]
        return derivative

    with warnings.catch_warnings():  # torch's own code triggers deprecation warnings on first use
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        pushed: Tensor = torch.func.vmap(push)(tangents)
    return pushed


_LINEARISED = (nn.Conv2d, SameConv2d, nn.Linear, nn.BatchNorm2d, nn.ReLU, nn.ReLU6, nn.MaxPool2d)
"""Modules that `_linearise` linearises at one picture."""

_LINEAR = (nn.Sequential, Block, nn.Identity, nn.Flatten, nn.Dropout, nn.AvgPool2d, nn.AdaptiveAvgPool2d)


def _is_known(part: nn.Module) -> bool:
    unsupported = getattr(part, "inplace", False) or getattr(part, "running_mean", part) is None
    return type(part) in (*_LINEARISED, *_LINEAR) and not unsupported


def _linearise(module: nn.Module, inputs: tuple[Tensor], y: Tensor) -> None:
    """Replace the outputs of a batch, from the second on, by the module's linearisation at the first input.

    torch's forward-mode derivatives decompose a batch norm in Python, and import a compiler to do so.
    """
    (x,) = inputs
    per_map = (-1, *[1] * (y.dim() - 2))
    if isinstance(module, nn.Conv2d | nn.Linear):
        if module.bias is not None:
            y[1:] -= module.bias.view(per_map)
    elif isinstance(module, nn.BatchNorm2d):
        weight = 1 if module.weight is None else module.weight
        scale = weight * (module.get_buffer("running_var") + module.eps).rsqrt()
        torch.mul(x[1:], scale.view(per_map), out=y[1:])
    elif isinstance(module, nn.MaxPool2d):
        arguments = module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode
        _, argmax = F.max_pool2d(x[:1], *arguments, return_indices=True)
        y[1:] = x[1:].flatten(2).gather(2, argmax.flatten(2).expand(len(x) - 1, -1, -1)).view_as(y[1:])
    else:
        active = (x[:1] > 0) & (x[:1] < module.max_val) if isinstance(module, nn.ReLU6) else x[:1] > 0
        torch.mul(x[1:], active, out=y[1:])
