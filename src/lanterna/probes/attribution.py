"""Three published ways to say which part of a picture made an answer, to compare with `paths`.

All take a network, one picture `(C, H, W)` in [0, 1] and the index of an answer, as `paths` does; the answer
is its logit, or with `against` the difference of two. Errors: `UsageError` as `paths`.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lanterna.errors import UsageError
from lanterna.probes.look import as_batch_of_one, eval_mode, explain_size_errors
from lanterna.probes.running import chosen_answers, value_of

if TYPE_CHECKING:
    from lanterna.networks.network import Network

_BATCH = 16


def occlusion(
    network: Network,
    image: Tensor,
    answer: int,
    *,
    against: int | None = None,
    size: int | None = None,
    stride: int | None = None,
    fill: float = 0.5,
) -> Tensor:
    """How far the answer falls when a square of the picture is covered: `(⌈H / stride⌉, ⌈W / stride⌉)`.

    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2014), section 4.2. Squares of
    `size` pixels (a seventh of what the network sees) are covered with the grey `fill`, one every `stride`
    pixels (half a square) from the top left; those at the right and the bottom are cut by the edge. The paper
    shows the answer's probability under each square; we give the fall of the logit, which adds up.
    """
    chosen = chosen_answers(network, answer, against)
    size = size or max(1, network.input_spec.size // 7)
    stride = stride or max(1, size // 2)
    with torch.no_grad(), eval_mode(network), explain_size_errors(network, image):
        picture = as_batch_of_one(network, image)
        rows, columns = (range(0, side, stride) for side in picture.shape[-2:])
        corners = list(product(rows, columns))
        falls = [value_of(network, network(picture), chosen)]
        for start in range(0, len(corners), _BATCH):
            some = corners[start : start + _BATCH]
            covered = picture.repeat(len(some), 1, 1, 1)
            for each, (top, left) in zip(covered, some, strict=True):
                each[:, top : top + size, left : left + size] = fill
            falls.append(falls[0] - value_of(network, network(covered), chosen))
    return torch.cat(falls[1:]).view(len(rows), len(columns))


def integrated_gradients(
    network: Network,
    image: Tensor,
    answer: int,
    *,
    against: int | None = None,
    baseline: Tensor | None = None,
    steps: int = 64,
) -> Tensor:
    """What each value of the picture adds on the straight way from `baseline` to it: `(C, H, W)`.

    Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks" (2017), equation 1, by the midpoint
    rule where the paper sums at the right ends (equation 3). The sum of all is the answer minus the answer
    to the baseline (their proposition 1), the nearer the more `steps`. The baseline is black where none is
    given.
    """
    chosen = chosen_answers(network, answer, against)
    if steps < 1:
        raise UsageError(f"steps is at least 1, got {steps}")
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        eval_mode(network),
        explain_size_errors(network, image),
    ):
        picture = as_batch_of_one(network, image)
        start = torch.zeros_like(picture) if baseline is None else as_batch_of_one(network, baseline)
        if start.shape != picture.shape:
            raise UsageError(
                f"the baseline has the picture's shape {tuple(image.shape)}, got {tuple(start.shape[1:])}"
            )
        middles = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
        total = torch.zeros_like(picture)
        for some in torch.split(middles.to(picture.dtype).to(picture.device), _BATCH):
            along = torch.lerp(start, picture, some.view(-1, 1, 1, 1)).requires_grad_()
            value = value_of(network, network(along), chosen).sum()
            total += torch.autograd.grad(value, along)[0].sum(0, keepdim=True)
        return ((picture - start) * total / steps)[0].detach()


def grad_cam(
    network: Network, image: Tensor, answer: int, layer: str, *, against: int | None = None
) -> Tensor:
    """Where in a layer's maps `(C, H, W)` the answer was found: `(H, W)`, zero or more.

    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization"
    (2017), equations 1 and 2: the maps are summed, each weighted with the mean of the answer's gradient over
    its places, and what is below zero is cut off. For a network that ends in a mean of its maps and one
    linear layer this is the class activation map of Zhou et al. (2016) but for a constant factor.
    """
    chosen = chosen_answers(network, answer, against)
    network.layer(layer)
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        eval_mode(network),
        explain_size_errors(network, image),
    ):
        picture = as_batch_of_one(network, image).requires_grad_()
        outputs = dict(network.run(picture))
        maps, logits = outputs[layer], list(outputs.values())[-1]
        if maps.dim() != 4:
            raise UsageError(f"{layer} has no maps: its shape is {tuple(maps.shape[1:])}")
        (slopes,) = torch.autograd.grad(value_of(network, logits, chosen).sum(), maps)
        weights = slopes.mean((2, 3), keepdim=True)  # (1, C, 1, 1)
        return (weights * maps).sum(1)[0].relu().detach()
