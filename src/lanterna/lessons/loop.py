"""The one training loop of all lessons: compute the loss, backpropagate, take a step downhill."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from lanterna.devices import reuse_memory, without_dynamo
from lanterna.lessons.progress import track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torch import Tensor


def descend(
    parameters: Iterable[Tensor], loss_fn: Callable[[int], Tensor], steps: int, rate: float
) -> list[float]:
    """Minimise a loss over `parameters`, tensors that require gradients. Return the loss at each step.

    `loss_fn` takes the step's number and returns a scalar. The optimiser is Adam (Kingma and Ba 2015), with a
    learning rate that falls linearly to 0.
    """
    reuse_memory()  # each step allocates and frees the same blocks
    optimiser = without_dynamo(torch.optim.Adam)(list(parameters), rate, fused=True)
    losses = []
    for step in track(range(steps), "taking steps"):
        optimiser.param_groups[0]["lr"] = rate * (1 - step / steps)
        optimiser.zero_grad()
        loss = loss_fn(step)
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(loss.item())
    return losses


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread: networks this small spend more time synchronising threads than computing.

    Measured on two busy cores: a digit network of 64 units a layer trains four times as fast.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
