"""Three published attribution methods, to compare with `paths`.

All take a network, one picture `(C, H, W)` in [0, 1] and the index of an answer, as `paths` does; the answer
is a logit, or with `against` the difference of two. Errors: `UsageError` as for `paths`.
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
    """Return how far the answer drops for each occluded square: `(⌈H / stride⌉, ⌈W / stride⌉)`.

    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2014), section 4.2. Squares of
    `size` pixels (by default a seventh of the network's input size) are filled with grey `fill`, one every
    `stride` pixels (by default half a square) from the top left; those at the right and the bottom are
    clipped. The paper shows the probability for each square; we return the drop of the logit, which is
    additive.
    """
    chosen = chosen_answers(network, answer, against)
    size = size or max(1, network.input_spec.size // 7)
    stride = stride or max(1, size // 2)
    with torch.no_grad(), eval_mode(network), explain_size_errors(network, image):
        picture = as_batch_of_one(network, image)
        rows, columns = (range(0, side, stride) for side in picture.shape[-2:])
        corners = list(product(rows, columns))
        values = [value_of(network, network(picture), chosen)]
        for start in range(0, len(corners), _BATCH):
            batch = corners[start : start + _BATCH]
            occluded = picture.repeat(len(batch), 1, 1, 1)
            for copy, (top, left) in zip(occluded, batch, strict=True):
                copy[:, top : top + size, left : left + size] = fill
            values.append(value_of(network, network(occluded), chosen))
    return (values[0] - torch.cat(values[1:])).view(len(rows), len(columns))


def integrated_gradients(
    network: Network,
    image: Tensor,
    answer: int,
    *,
    against: int | None = None,
    baseline: Tensor | None = None,
    steps: int = 64,
) -> Tensor:
    """Return each value's contribution along the straight line from `baseline` to the picture: `(C, H, W)`.

    Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks" (2017), equation 1, by the midpoint
    rule; the paper sums at the right ends (equation 3). The contributions sum to the answer minus the answer
    to the baseline (their proposition 1), more exactly with more `steps`. The default baseline is black.
    """
    chosen = chosen_answers(network, answer, against)
    if steps < 1:
        raise UsageError(f"steps: expected at least 1, got {steps}")
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
                f"expected a baseline of shape {tuple(image.shape)}, got {tuple(start.shape[1:])}"
            )
        midpoints = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
        total = torch.zeros_like(picture)
        for batch in torch.split(midpoints.to(picture.dtype).to(picture.device), _BATCH):
            images = torch.lerp(start, picture, batch.view(-1, 1, 1, 1)).requires_grad_()
            value = value_of(network, network(images), chosen).sum()
            total += network.gradients(value, [images])[0].sum(0, keepdim=True)
        return ((picture - start) * total / steps)[0].detach()


def grad_cam(
    network: Network, image: Tensor, answer: int, layer: str, *, against: int | None = None
) -> Tensor:
    """Return the class activation map of a layer with output `(C, H, W)`: `(H, W)`, not negative.

    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization"
    (2017), equations 1 and 2: the maps are summed, each weighted with the mean of the answer's gradient over
    its positions, and rectified. For a network that ends in global average pooling and one linear layer this
    is the class activation map of Zhou et al. (2016) up to a constant factor.
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
        (gradients,) = network.gradients(value_of(network, logits, chosen).sum(), [maps])
        weights = gradients.mean((2, 3), keepdim=True)  # (1, C, 1, 1)
        return (weights * maps).sum(1)[0].relu().detach()
