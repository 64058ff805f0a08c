"""The one loop of all learning here: measure how wrong it is, ask for the slope, take a step down it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from lanterna.devices import reuse_memory, without_dynamo
from lanterna.lessons.progress import told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torch import Tensor


def descend(what: Iterable[Tensor], loss: Callable[[int], Tensor], steps: int, rate: float) -> list[float]:
    """Change `what`, tensors that take gradients, so that `loss` falls; the losses, one for each step.

    `loss` is given the number of the step, and gives one number. Steps are Adam's (Kingma and Ba 2015), and
    shrink to nothing in a straight line.
    """
    reuse_memory()  # each step fills and frees the same blocks
    optimiser = without_dynamo(torch.optim.Adam)(list(what), rate, fused=True)
    losses = []
    for step in told(range(steps), "taking steps"):
        optimiser.param_groups[0]["lr"] = rate * (1 - step / steps)
        optimiser.zero_grad()
        here = loss(step)
        torch.autograd.backward(here)
        optimiser.step()
        losses.append(here.item())
    return losses


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread: networks this small wait for each other's threads longer than they compute.

    Measured on two busy cores: a digit network of 64 units a layer trains four times as fast.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
