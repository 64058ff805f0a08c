"""How much of an answer flowed from each map of one layer to each map of the next."""

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

_TOGETHER = 64  # maps that are pushed through a layer at once: their memory is what limits it


def links(
    network: Network,
    image: Tensor,
    layer: str,
    answers: Sequence[int],
    *,
    against: int | None = None,
    maps: Sequence[int] | None = None,
) -> Tensor:
    """How much of each answer flowed from each map before `layer` into each map it puts out: `(A, M, C)`.

    A map is a channel of `(C, H, W)`, or a unit of `(C,)`. `image` is one picture `(C, H, W)` in [0, 1]; what
    stands before the first layer is the picture. `maps` are the M maps of the layer before to follow, all of
    them where it is not given. `against` is an answer to subtract from each.

    For one picture a layer is linear. So each map is pushed forward through it alone (a directional
    derivative, which no answer plays a part in), and what arrives in each map is weighted by
    the gradient of the answer there. Summed over M these are the contributions that `paths` gives for the
    layer's maps less the offsets inside it; summed over C, those of the layer before. In a network that is
    not piecewise linear they are gradient × activation only, and sum to no contribution exactly.

    Errors: `UsageError` for a layer or an answer that the network does not have, a picture it cannot take,
    or a network that is no chain of layers.
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
        place = names.index(layer)
        if place:
            x = next(output for name, output in network.run(x) if name == names[place - 1])
        rest = [network.layers[name] for name in names[place + 1 :]]
        seen = x if place else network.preprocess(x)
        other = None if against is None else checked(network, against)
        slopes = _slopes(network.layers[layer](seen), rest, chosen, other)
    return links_between(network, layer, x, slopes, maps)


def links_between(
    network: Network, layer: str, x: Tensor, slopes: Tensor, maps: Sequence[int] | None = None
) -> Tensor:
    """What `links` gives, from what `look` and `paths` have found.

    `x` `(1, C, …)` is what came into the layer, `slopes` `(A, C, …)` the gradient of each answer with respect
    to what it put out.

    Errors: `UsageError` for a network that is no chain of layers.
    """
    _check_chain(network)
    module = network.layers[layer]
    with torch.inference_mode(False), eval_mode(network), torch.no_grad():
        slopes = slopes.flatten(2) if slopes.dim() > 2 else slopes.unsqueeze(2)  # (A, C, P)
        first = layer == next(iter(network.layers))
        came = network.preprocess(x) if first else x
        followed = torch.arange(x.shape[1]) if maps is None else torch.as_tensor(maps)
        arrived = []
        for some in torch.split(followed, _TOGETHER):
            alone = torch.zeros(len(some), *x.shape[1:]).to(x)
            alone[torch.arange(len(some)), some] = x[0, some]
            if first:
                alone = alone / network.get_buffer("std")
            pushed = _pushed(module, came, alone).reshape(len(some), *slopes.shape[1:])  # (M, C, P)
            arrived.append(torch.einsum("acp,mcp->amc", slopes, pushed))
    return torch.cat(arrived, 1)


def _check_chain(network: Network) -> None:
    if isinstance(network, UntracedNetwork):
        raise UsageError(f"{network.name} is no chain of layers, so its links cannot be told")


def _slopes(y: Tensor, rest: Sequence[nn.Module], chosen: Sequence[int], against: int | None) -> Tensor:
    """The gradient of each answer with respect to what a layer put out, `(A, C, …)`, in one pass."""
    with torch.enable_grad():
        many = y.expand(len(chosen), *y.shape[1:]).clone().requires_grad_()
        logits = many
        for layer in rest:
            logits = layer(logits)  # at last (A, classes)
        value = logits[torch.arange(len(chosen)), torch.tensor(chosen)].sum()
        if against is not None:
            value = value - logits[:, against].sum()
        return torch.autograd.grad(value, many)[0]


def _pushed(module: nn.Module, x: Tensor, alone: Tensor) -> Tensor:
    """Each of `alone` `(M, C, …)` pushed through a module as it acts at `x` `(1, C, …)`, linearly."""
    if all(_is_known(part) for part in module.modules()):
        hooks = [part.register_forward_hook(_linearly) for part in module.modules() if type(part) in _RULED]
        try:
            beside: Tensor = module(torch.cat([x, alone]))[1:]
        finally:
            for hook in hooks:
                hook.remove()
        return beside

    def push(one: Tensor) -> Tensor:
        pushed: Tensor = torch.func.jvp(module, (x,), (one.unsqueeze(0),))[1]
        return pushed

    with warnings.catch_warnings():  # torch itself uses what it warns of, the first time it goes this way
        warnings.simplefilter("ignore", DeprecationWarning)
        all_pushed: Tensor = torch.func.vmap(push)(alone)
    return all_pushed


_RULED = (nn.Conv2d, SameConv2d, nn.Linear, nn.BatchNorm2d, nn.ReLU, nn.ReLU6, nn.MaxPool2d)
"""Modules that are linear at one picture only, as `_linearly` has it."""

_PLAIN = (nn.Sequential, Block, nn.Identity, nn.Flatten, nn.Dropout, nn.AvgPool2d, nn.AdaptiveAvgPool2d)


def _is_known(part: nn.Module) -> bool:
    odd = getattr(part, "inplace", False) or getattr(part, "running_mean", part) is None
    return type(part) in (*_RULED, *_PLAIN) and not odd


def _linearly(module: nn.Module, taken: tuple[Tensor], y: Tensor) -> None:
    """Write over what a module put out, from the second of a batch on, with what it is linearly at the first.

    torch's own derivatives in forward mode take a batch norm apart in Python, and import a compiler for that.
    """
    (x,) = taken
    spread = (-1, *[1] * (y.dim() - 2))  # over each map
    if isinstance(module, nn.Conv2d | nn.Linear):
        if module.bias is not None:
            y[1:] -= module.bias.view(spread)
    elif isinstance(module, nn.BatchNorm2d):
        weight = 1 if module.weight is None else module.weight
        scale = weight * (module.get_buffer("running_var") + module.eps).rsqrt()
        torch.mul(x[1:], scale.view(spread), out=y[1:])
    elif isinstance(module, nn.MaxPool2d):
        where = module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode
        _, won = F.max_pool2d(x[:1], *where, return_indices=True)
        y[1:] = x[1:].flatten(2).gather(2, won.flatten(2).expand(len(x) - 1, -1, -1)).view_as(y[1:])
    else:
        rises = (x[:1] > 0) & (x[:1] < module.max_val) if isinstance(module, nn.ReLU6) else x[:1] > 0
        torch.mul(x[1:], rises, out=y[1:])
