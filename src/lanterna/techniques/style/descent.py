"""Going down a loss with a picture, by L-BFGS or Adam, and never far up again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import torch

from lanterna.devices import without_dynamo
from lanterna.techniques.style.loss import Loss

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

_WORSE = 1.2  # how many times the loss before a step's outcome may have and stand as it is
_TRIES = 8
_MEMORY = 600 * 2**20  # bytes that L-BFGS may keep of the steps before
_FIRST = 0.03  # the mean change of a value by the first step of L-BFGS, which knows no curvature yet
_HISTORY = (4, 12)  # the fewest and the most steps it keeps


def kept_steps(size: int) -> int:
    """How many steps L-BFGS keeps for a picture of `size` bytes: twice the picture each."""
    fewest, most = _HISTORY
    return max(fewest, min(most, _MEMORY // (2 * size)))


class Descent:
    """A picture `(3, H, W)` that goes down a loss step by step; one measurement each.

    L-BFGS without a line search (Nocedal 1980) takes large steps and sometimes a wrong one, the more where
    slopes are rounded: one whose outcome is much worse is shortened to a quarter, again and again. One that
    ends in no numbers at all is taken back, and all that was learned forgotten. So `measured`, the last
    picture whose loss is known, is the one to show and to keep.
    """

    def __init__(self, picture: Tensor, how: Literal["lbfgs", "adam"]) -> None:
        self.picture = self.measured = picture.contiguous()
        self._how = how
        self._before: tuple[Tensor, Loss] | None = None
        self.forget()

    def forget(self) -> None:
        """Begin anew from here, as after a change of the loss."""
        self._before = None
        if self._how == "adam":
            self._optimiser = without_dynamo(torch.optim.Adam)([self.picture], lr=0.03, betas=(0.9, 0.99))
            return
        kept = kept_steps(self.picture.nbytes)
        self._optimiser = without_dynamo(torch.optim.LBFGS)(
            [self.picture], lr=_FIRST * self.picture.numel(), max_iter=1, history_size=kept,
            tolerance_grad=0, tolerance_change=0,
        )  # fmt: skip

    def step(self, measure: Callable[[Tensor], Loss]) -> Loss:
        """One step down, from where the last one ended or was shortened to; the loss there."""
        found = measure(self.picture)
        if self._before is not None:
            before, was = self._before
            for _ in range(_TRIES):
                if found.total < max(_WORSE * was.total, 1e-12):
                    break
                if self._how == "adam" and math.isfinite(found.total):
                    break  # it goes up and down as it likes
                if self._how == "adam" or not self.picture.isfinite().all():
                    self.picture.copy_(before)
                    self.forget()
                    found = was
                    break
                self._shorten(before)
                found = measure(self.picture)
        assert math.isfinite(found.total), "the loss of the first picture is no number"
        self.measured = self.picture.clone()
        self._before = (self.measured, found)
        self.picture.grad = found.slope.contiguous()  # channels last comes back, and L-BFGS wants it flat
        self._optimiser.step(lambda: found.total)
        if self._how == "lbfgs":
            self._optimiser.param_groups[0]["lr"] = 1
        return found

    def _shorten(self, before: Tensor) -> None:
        """Make the last step of L-BFGS a quarter as long, and let it know."""
        self.picture.copy_(torch.lerp(before, self.picture, 0.25))
        self._optimiser.state[self.picture]["t"] *= 0.25

    def state(self) -> dict[str, object]:
        """All that the next step depends on, as tensors and plain values."""
        before = None if self._before is None else (self._before[0], *self._before[1])
        return {"picture": self.picture, "before": before, "optimiser": self._optimiser.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.picture.copy_(state["picture"])
        if state["before"] is not None:
            self.measured, *loss = state["before"]
            self._before = (self.measured, Loss(*loss))
        self._optimiser.load_state_dict(state["optimiser"])
