"""Whether contributions mean anything: take the strongest connections away and see how the answer changes.

If `paths` tells the truth, the connections it holds strongest are those the answer rests on, and zeroing them
moves it far more than zeroing the largest weights, those from the brightest units, or any at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor

from lanterna.errors import UsageError
from lanterna.probes.look import as_batch_of_one, eval_mode, explain_size_errors
from lanterna.probes.paths import paths
from lanterna.probes.running import ModuleCall, chosen_answers, forward_pass, value_of, weights_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanterna.networks.network import Network

By = Literal["for", "contribution", "weight", "activation", "random"]
BY: tuple[By, ...] = get_args(By)


def ablation(
    network: Network,
    image: Tensor,
    answer: int,
    by: By,
    shares: Sequence[float],
    *,
    against: int | None = None,
    seed: int = 0,
) -> Tensor:
    """The answer to one picture without the strongest `shares` (0 to 1) of all connections, one for each.

    A connection is one weight of a convolution or a fully connected layer, taken away by setting it to zero.
    Strongest is the largest contribution for the answer (`for`), the largest either way (`contribution`), the
    largest weight (`weight`), the brightest unit before it, on average over all places (`activation`), or
    whichever chance picks (`random`). Biases and batch norms stay. The network is left as it was.

    Errors: `UsageError` as `paths`, or for a share outside 0 to 1.
    """
    if by not in BY:
        raise UsageError(f"connections are ranked by {', '.join(BY)}, got {by!r}")
    if not all(0 <= share <= 1 for share in shares):
        raise UsageError(f"a share of the connections is 0 to 1, got {list(shares)}")
    chosen = chosen_answers(network, answer, against)
    strengths = _strengths(network, image, answer, by, against, seed)
    order = torch.cat([strength.flatten() for strength in strengths.values()]).argsort(descending=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    weights = weights_of(network)
    sizes = [weight.numel() for weight in weights.values()]
    left = []
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        eval_mode(network),
        explain_size_errors(network, image),
    ):
        picture = as_batch_of_one(network, image)
        kept = {layer: weight.data for layer, weight in weights.items()}
        try:
            for share in shares:
                stays = torch.split(rank >= round(share * len(rank)), sizes)
                for (layer, weight), mask in zip(weights.items(), stays, strict=True):
                    weight.data = kept[layer] * mask.view(weight.shape)
                left.append(value_of(network, network(picture), chosen))
        finally:
            for layer, weight in weights.items():
                weight.data = kept[layer]
    return torch.cat(left)


def _strengths(
    network: Network, image: Tensor, answer: int, by: By, against: int | None, seed: int
) -> dict[str, Tensor]:
    """How strong each connection is held to be, by layer, in the shape of its weight."""
    weights = weights_of(network)
    if by in ("for", "contribution"):
        connections = paths(network, image, answer, against=against).connections
        return {layer: each if by == "for" else each.abs() for layer, each in connections.items()}
    if by == "weight":
        return {layer: weight.detach().abs() for layer, weight in weights.items()}
    if by == "activation":
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            eval_mode(network),
            explain_size_errors(network, image),
        ):
            calls = forward_pass(network, as_batch_of_one(network, image), [answer]).calls
            brightness = {call.layer: _brightness(call) for call in calls if call.layer in weights}
        return {layer: brightness[layer] for layer in weights}
    chance = torch.Generator().manual_seed(seed)
    return {
        layer: torch.rand(weight.shape, generator=chance).to(weight.device)
        for layer, weight in weights.items()
    }


def _brightness(call: ModuleCall) -> Tensor:
    """How bright the unit before each connection is, `(weight's shape)`, the mean over all places.

    A weight's gradient of a layer's summed output is the sum of what comes in through it: given the sizes of
    the activations, the sum of these.
    """
    weight = call.module.get_parameter("weight").detach().requires_grad_()
    out: Tensor = torch.func.functional_call(call.module, {"weight": weight}, call.x.detach().abs())
    (sums,) = torch.autograd.grad(out.sum(), weight)
    return sums / (out.numel() / out.shape[1])
