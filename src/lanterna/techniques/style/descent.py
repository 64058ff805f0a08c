"""Minimise a loss over a picture's pixels with L-BFGS or Adam, undoing steps that increase it much.

L-BFGS works on the picture with its fine detail amplified, so that a step changes large forms more. It then
takes a fifth to a third fewer steps to the same loss (three pairs of pictures). Olah, Mordvintsev and
Schubert, "Feature Visualization" (2017), precondition with the spectrum of photographs; this is its root.
"""

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
_FALL = 0.5  # exponent with which a step's amplitude falls with frequency; 0.35 is as good, 1 worse than 0
_LOWEST = 0.02  # cycles per pixel, below which it falls no more


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
        self._amplitudes = None if method == "adam" else _amplitudes(picture)
        self.reset()

    def reset(self) -> None:
        """Start a new optimiser from the current picture, as after a change of the loss."""
        self._previous: tuple[Tensor, Tensor, Loss] | None = None  # the last picture, its values and loss
        self.change = math.inf
        self._optimiser: torch.optim.Optimizer
        if self._amplitudes is None:
            self._values = self.picture.clone()
            self._optimiser = without_dynamo(torch.optim.Adam)([self._values], lr=0.03, betas=(0.9, 0.99))
            return
        self._values = _filter(self.picture, 1 / self._amplitudes)
        self._optimiser = without_dynamo(torch.optim.LBFGS)(
            [self._values], max_iter=1, history_size=history_size(self.picture.nbytes),
            tolerance_grad=0, tolerance_change=0,
        )  # fmt: skip

    def step(self, evaluate: Callable[[Tensor], Loss]) -> Loss:
        """Evaluate the current picture, shorten the last step if it was bad, and take the next one.

        Return the loss before the new step.
        """
        loss = evaluate(self.picture)
        if self._previous is not None:
            before, values, previous = self._previous
            for _ in range(_MAX_RETRIES):
                if loss.total < max(_MAX_INCREASE * previous.total, 1e-12):
                    break
                if self._amplitudes is None and math.isfinite(loss.total):
                    break  # Adam's loss is not monotonic
                if self._amplitudes is None or not self.picture.isfinite().all():
                    self.picture = before.clone()
                    self.reset()
                    loss = previous
                    break
                self._shorten(values)
                loss = evaluate(self.picture)
        assert math.isfinite(loss.total), "the loss of the first picture is not finite"
        if self._previous is not None:
            self.change = (self.picture - self._previous[0]).abs().mean().item()
        self.measured = self.picture
        self._previous = (self.measured, self._values.clone(), loss)
        gradient = self._picture_of(loss.gradient.contiguous())  # by the chain rule: the filter is symmetric
        self._values.grad = gradient
        if self._amplitudes is not None:
            first = not self._optimiser.state
            self._optimiser.param_groups[0]["lr"] = self._first_rate(gradient) if first else 1.0
        self._optimiser.step(lambda: loss.total)
        self.picture = self._picture_of(self._values)
        return loss

    def _picture_of(self, values: Tensor) -> Tensor:
        return values.clone() if self._amplitudes is None else _filter(values, self._amplitudes)

    def _first_rate(self, gradient: Tensor) -> float:
        """Return the learning rate for a first step of `_FIRST_CHANGE`, which L-BFGS divides by Σ|g| > 1."""
        taken = min(1.0, 1 / max(gradient.abs().sum().item(), 1e-12)) * self._picture_of(gradient)
        return _FIRST_CHANGE / max(taken.abs().mean().item(), 1e-12)

    def _shorten(self, before: Tensor) -> None:
        """Shorten the last step of L-BFGS to a quarter, in its state as well."""
        self._values.copy_(torch.lerp(before, self._values, 0.25))
        self._optimiser.state[self._values]["t"] *= 0.25
        self.picture = self._picture_of(self._values)

    def state(self) -> dict[str, object]:
        """Return everything that the next step depends on, as tensors and plain values."""
        before = None if self._previous is None else (*self._previous[:2], *self._previous[2])
        return {
            "picture": self.picture, "values": self._values, "before": before,
            "optimiser": self._optimiser.state_dict(),
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.picture = state["picture"].to(self.picture)
        self._values.copy_(state["values"])
        if state["before"] is not None:
            self.measured, values, *loss = state["before"]
            self._previous = (self.measured, values, Loss(*loss))
        self._optimiser.load_state_dict(state["optimiser"])


def _amplitudes(picture: Tensor) -> Tensor:
    """Return by how much a step changes each frequency of a picture `(3, H, W)`, `(H, W // 2 + 1)`."""
    height, width = picture.shape[1:]
    down, across = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    amplitudes: Tensor = (down.square() + across.square() + _LOWEST**2).pow(-_FALL / 2)
    return amplitudes.to(picture)


def _filter(picture: Tensor, amplitudes: Tensor) -> Tensor:
    filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(picture) * amplitudes, s=picture.shape[1:])
    return filtered
