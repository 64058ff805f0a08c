"""Ablation: zero the strongest connections of a network and measure how its answer changes.

This checks the contributions of `paths`. If they are right, zeroing the connections with the largest ones
changes the answer far more than zeroing the largest weights, those after the most active units, or random
ones.
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
    """Return the answer to one picture with the strongest connections zeroed, for each of `shares` (0 to 1).

    A connection is one weight of a convolution or a fully connected layer. Connections are ranked by their
    contribution to the answer (`for`), its absolute value (`contribution`), the absolute weight (`weight`),
    the mean absolute activation of the unit before it (`activation`), or at random (`random`). Biases and
    batch norms are unchanged, and the network is restored afterwards.

    Errors: `UsageError` as for `paths`, or for a share outside 0 to 1.
    """
    if by not in BY:
        raise UsageError(f"expected connections ranked by one of {', '.join(BY)}, got {by!r}")
    if not all(0 <= share <= 1 for share in shares):
        raise UsageError(f"expected shares of the connections from 0 to 1, got {list(shares)}")
    chosen = chosen_answers(network, answer, against)
    strengths = _strengths(network, image, answer, by, against, seed)
    order = torch.cat([strength.flatten() for strength in strengths.values()]).argsort(descending=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    weights = weights_of(network)
    sizes = [weight.numel() for weight in weights.values()]
    answers = []
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        eval_mode(network),
        explain_size_errors(network, image),
    ):
        picture = as_batch_of_one(network, image)
        original = {layer: weight.data for layer, weight in weights.items()}
        try:
            for share in shares:
                masks = torch.split(rank >= round(share * len(rank)), sizes)
                for (layer, weight), mask in zip(weights.items(), masks, strict=True):
                    weight.data = original[layer] * mask.view(weight.shape)
                answers.append(value_of(network, network(picture), chosen))
        finally:
            for layer, weight in weights.items():
                weight.data = original[layer]
    return torch.cat(answers)


def _strengths(
    network: Network, image: Tensor, answer: int, by: By, against: int | None, seed: int
) -> dict[str, Tensor]:
    """Return the strength of each connection, by layer, in the shape of its weight."""
    weights = weights_of(network)
    if by in ("for", "contribution"):
        connections = paths(network, image, answer, against=against).connections
        return {layer: terms if by == "for" else terms.abs() for layer, terms in connections.items()}
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
            activations = {call.layer: _mean_activation(call) for call in calls if call.layer in weights}
        return {layer: activations[layer] for layer in weights}
    generator = torch.Generator().manual_seed(seed)
    return {
        layer: torch.rand(weight.shape, generator=generator).to(weight.device)
        for layer, weight in weights.items()
    }


def _mean_activation(call: ModuleCall) -> Tensor:
    """Return the mean absolute activation before each connection, over all positions, in the weight's shape.

    The gradient of a layer's summed output with respect to a weight is the sum of the inputs to that weight;
    here the inputs are the absolute activations.
    """
    weight = call.module.get_parameter("weight").detach().requires_grad_()
    output: Tensor = torch.func.functional_call(call.module, {"weight": weight}, call.x.detach().abs())
    (sums,) = torch.autograd.grad(output.sum(), weight)
    return sums / (output.numel() / output.shape[1])
