"""Training on few digits of one's own: a small network learns from variations of each.

A class draws a hundred or two. Every batch redraws some of them as if by another hand and pen
(`images.digits.random_handwriting`), so that the network never sees the same picture twice. Without that it
knows the drawings by heart, and no others.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from safetensors.torch import load, save
from torch import Tensor

from lanterna.devices import without_dynamo
from lanterna.images.digits import random_handwriting
from lanterna.networks.digits import dense, initialise_weights
from lanterna.techniques.technique import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lanterna.networks.network import Network

_HIDDEN = (128,)
_BATCH, _RATE, _DECAY = 64, 3e-3, 0.02
_SECONDS_BETWEEN_FRAMES = 0.2


@dataclass(frozen=True, kw_only=True)
class FewFrame(Frame):
    """Progress of training on few digits.

    `reads` is what the network reads each digit as, `weights` the network as safetensors. `numbers`: `loss`
    of the last batch, and `accuracy` on the digits themselves, which it learns from.
    """

    reads: list[int]
    weights: bytes


def train_few(images: Tensor, labels: Tensor, *, steps: int = 1200, seed: int = 0) -> Iterator[FewFrame]:
    """Train a fully connected network on `images` `(N, 1, 28, 28)` in [0, 1] with their `labels` `(N,)`.

    Yields a frame before the first step, a few times a second, and after the last. The network is the same
    for the same digits and seed.
    """
    randomness = torch.Generator().manual_seed(seed)
    network = dense(_HIDDEN)
    initialise_weights(network, "kaiming", 0.0, randomness)
    optimiser = without_dynamo(torch.optim.AdamW)(
        network.parameters(), _RATE, weight_decay=_DECAY, fused=True
    )
    shown, loss = 0.0, torch.tensor(0.0)
    for step in range(steps + 1):
        if step in (0, steps) or time.perf_counter() - shown > _SECONDS_BETWEEN_FRAMES:
            yield _frame(network, images, labels, step, steps, loss.item())
            shown = time.perf_counter()
        if step == steps:
            return
        for group in optimiser.param_groups:
            group["lr"] = _RATE * (1 - step / steps)
        chosen = torch.randint(len(images), (_BATCH,), generator=randomness)
        loss = F.cross_entropy(network(random_handwriting(images[chosen], randomness)), labels[chosen])
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()


def open_few(weights: bytes) -> Network:
    """Open a network that `train_few` trained. Errors: `RuntimeError` if the weights do not fit."""
    network = dense(_HIDDEN)
    network.load_state_dict(load(weights))
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def _frame(network: Network, images: Tensor, labels: Tensor, step: int, steps: int, loss: float) -> FewFrame:
    reads = network(images).argmax(1)
    numbers = {"loss": loss, "accuracy": (reads == labels).float().mean().item()}
    weights = save({name: value.contiguous() for name, value in network.state_dict().items()})
    return FewFrame(step, steps, numbers=numbers, reads=reads.tolist(), weights=weights)
