"""How much of an answer flowed from each map of one stage to each map of the next."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lanterna.errors import UsageError
from lanterna.networks.tracing import UntracedNetwork
from lanterna.probes.look import at_rest, one_picture, told_size
from lanterna.probes.running import checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanterna.networks.stages import Network

_TOGETHER = 64  # maps that are pushed through a stage at once: their memory is what limits it


def links(
    network: Network,
    image: Tensor,
    stage: str,
    answers: Sequence[int],
    *,
    against: int | None = None,
    maps: Sequence[int] | None = None,
) -> Tensor:
    """How much of each answer flowed from each map before `stage` into each map it puts out: `(A, M, C)`.

    A map is a channel of `(C, H, W)`, or a unit of `(C,)`. `image` is one picture `(C, H, W)` in [0, 1]; what
    stands before the first stage is the picture. `maps` are the M maps of the stage before to follow, all of
    them where it is not given. `against` is an answer to subtract from each.

    For one picture a stage is linear. So each map is pushed forward through it alone (a directional
    derivative, in forward mode, which no answer plays a part in), and what arrives in each map is weighted by
    the gradient of the answer there. Summed over M these are the contributions that `paths` gives for the
    stage's maps less the offsets inside it; summed over C, those of the stage before. In a network that is
    not piecewise linear they are gradient × activation only, and sum to no contribution exactly.

    Errors: `UsageError` for a stage or an answer that the network does not have, a picture it cannot take,
    or a network that is no chain of stages.
    """
    network.stage(stage)
    if isinstance(network, UntracedNetwork):
        raise UsageError(f"{network.name} is no chain of stages, so its links cannot be told")
    chosen = [checked(network, answer) for answer in answers]
    with torch.inference_mode(False), at_rest(network), told_size(network, image), torch.no_grad():
        names = list(network.stages)
        place = names.index(stage)
        module, rest = network.stages[stage], [network.stages[name] for name in names[place + 1 :]]
        x = one_picture(network, image)
        if place == 0:
            module = _Seeing(network, module)
        else:
            x = next(output for name, output in network.run(x) if name == names[place - 1])
        slopes = _slopes(module(x), rest, chosen, None if against is None else checked(network, against))
        slopes = slopes.flatten(2) if slopes.dim() > 2 else slopes.unsqueeze(2)  # (A, C, P)
        followed = torch.arange(x.shape[1]) if maps is None else torch.as_tensor(maps)
        arrived = []
        for some in torch.split(followed, _TOGETHER):
            alone = torch.zeros(len(some), *x.shape[1:]).to(x)
            alone[torch.arange(len(some)), some] = x[0, some]
            pushed = _pushed(module, x, alone).reshape(len(some), *slopes.shape[1:])  # (M, C, P)
            arrived.append(torch.einsum("acp,mcp->amc", slopes, pushed))
    return torch.cat(arrived, 1)


class _Seeing(nn.Module):
    """The first stage with the network's eye before it."""

    def __init__(self, network: Network, stage: nn.Module) -> None:
        super().__init__()
        self.network, self.stage = network, stage

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.stage(self.network.see(x))
        return y


def _slopes(y: Tensor, rest: Sequence[nn.Module], chosen: Sequence[int], against: int | None) -> Tensor:
    """The gradient of each answer with respect to what a stage put out, `(A, C, …)`, in one pass."""
    with torch.enable_grad():
        many = y.expand(len(chosen), *y.shape[1:]).clone().requires_grad_()
        logits = many
        for stage in rest:
            logits = stage(logits)  # at last (A, classes)
        value = logits[torch.arange(len(chosen)), torch.tensor(chosen)].sum()
        if against is not None:
            value = value - logits[:, against].sum()
        return torch.autograd.grad(value, many)[0]


def _pushed(module: nn.Module, x: Tensor, alone: Tensor) -> Tensor:
    """Each of `alone` `(M, C, …)` pushed through a module as it acts at `x` `(1, C, …)`, linearly."""

    def push(one: Tensor) -> Tensor:
        pushed: Tensor = torch.func.jvp(module, (x,), (one.unsqueeze(0),))[1]
        return pushed

    with warnings.catch_warnings():  # torch itself uses what it warns of, the first time it goes this way
        warnings.simplefilter("ignore", DeprecationWarning)
        all_pushed: Tensor = torch.func.vmap(push)(alone)
    return all_pushed
