"""Minimise a loss over a picture's pixels with L-BFGS or Adam, undoing steps that increase it much."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import torch

from lanterna.devices import without_dynamo
from lanterna.techniques.style.loss import Loss

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

_MAX_INCREASE = 1.2  # a step may increase the loss by this factor before it is shortened
_MAX_RETRIES = 8
_HISTORY_MEMORY = 600 * 2**20  # bytes for the history of L-BFGS
_FIRST_CHANGE = 0.03  # mean change of a value in the first step of L-BFGS, which knows no curvature yet
_MIN_HISTORY, _MAX_HISTORY = 4, 12  # steps


def history_size(size: int) -> int:
    """Return how many steps L-BFGS stores for a picture of `size` bytes: each takes twice the picture."""
    return max(_MIN_HISTORY, min(_MAX_HISTORY, _HISTORY_MEMORY // (2 * size)))


class Descent:
    """Gradient descent on a picture `(3, H, W)`: one evaluation of the loss per step.

    L-BFGS without a line search (Nocedal 1980) takes large steps and sometimes a bad one, more often when
    gradients are rounded. A step that increases the loss too much is cut to a quarter, repeatedly. A step to
    values that are not finite is undone, and the optimiser starts afresh. `measured` is the last picture
    whose loss is known: show and save this one; `change` is the mean change of a value by the step to it.
    """

    def __init__(self, picture: Tensor, method: Literal["lbfgs", "adam"]) -> None:
        self.picture = self.measured = picture.contiguous()
        self._method = method
        self._previous: tuple[Tensor, Loss] | None = None
        self.reset()

    def reset(self) -> None:
        """Start a new optimiser from the current picture, as after a change of the loss."""
        self._previous = None
        self.change = math.inf
        if self._method == "adam":
            self._optimiser = without_dynamo(torch.optim.Adam)([self.picture], lr=0.03, betas=(0.9, 0.99))
            return
        self._optimiser = without_dynamo(torch.optim.LBFGS)(
            [self.picture], lr=_FIRST_CHANGE * self.picture.numel(), max_iter=1,
            history_size=history_size(self.picture.nbytes), tolerance_grad=0, tolerance_change=0,
        )  # fmt: skip

    def step(self, evaluate: Callable[[Tensor], Loss]) -> Loss:
        """Evaluate the current picture, shorten the last step if it was bad, and take the next one.

        Return the loss before the new step.
        """
        loss = evaluate(self.picture)
        if self._previous is not None:
            before, previous = self._previous
            for _ in range(_MAX_RETRIES):
                if loss.total < max(_MAX_INCREASE * previous.total, 1e-12):
                    break
                if self._method == "adam" and math.isfinite(loss.total):
                    break  # Adam's loss is not monotonic
                if self._method == "adam" or not self.picture.isfinite().all():
                    self.picture.copy_(before)
                    self.reset()
                    loss = previous
                    break
                self._shorten(before)
                loss = evaluate(self.picture)
        assert math.isfinite(loss.total), "the loss of the first picture is not finite"
        if self._previous is not None:
            self.change = (self.picture - self._previous[0]).abs().mean().item()
        self.measured = self.picture.clone()
        self._previous = (self.measured, loss)
        self.picture.grad = loss.gradient.contiguous()  # it is channels-last, and L-BFGS flattens it
        self._optimiser.step(lambda: loss.total)
        if self._method == "lbfgs":
            self._optimiser.param_groups[0]["lr"] = 1
        return loss

    def _shorten(self, before: Tensor) -> None:
        """Shorten the last step of L-BFGS to a quarter, in its state as well."""
        self.picture.copy_(torch.lerp(before, self.picture, 0.25))
        self._optimiser.state[self.picture]["t"] *= 0.25

    def state(self) -> dict[str, object]:
        """Return everything that the next step depends on, as tensors and plain values."""
        before = None if self._previous is None else (self._previous[0], *self._previous[1])
        return {"picture": self.picture, "before": before, "optimiser": self._optimiser.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.picture.copy_(state["picture"])
        if state["before"] is not None:
            self.measured, *loss = state["before"]
            self._previous = (self.measured, Loss(*loss))
        self._optimiser.load_state_dict(state["optimiser"])
