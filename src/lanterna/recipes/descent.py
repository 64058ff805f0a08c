"""Going down a loss with a picture, by L-BFGS or Adam, and never far up again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from lanterna.recipes.style_loss import Loss

_WORSE = 1.2  # how many times the loss before a step's outcome may have and not be taken back
_MEMORY = 600 * 2**20  # bytes that L-BFGS may keep of the steps before
_HISTORY = (4, 12)  # the fewest and the most steps it keeps


def kept_steps(size: int) -> int:
    """How many steps L-BFGS keeps for a picture of `size` bytes: twice the picture each."""
    fewest, most = _HISTORY
    return max(fewest, min(most, _MEMORY // (2 * size)))


class Descent:
    """A picture `(3, H, W)` that goes down a loss step by step; one measurement each.

    L-BFGS without a line search (Nocedal 1980) takes large steps and sometimes a wrong one, the more where
    slopes are rounded: an outcome that is much worse, or no number at all, is taken back, and what it had
    learned forgotten.
    """

    def __init__(self, picture: Tensor, how: Literal["lbfgs", "adam"]) -> None:
        self.picture = picture.contiguous()
        self._how = how
        self._before: tuple[Tensor, Loss] | None = None
        self.forget()

    def forget(self) -> None:
        """Begin anew from here, as after a change of the loss."""
        self._before = None
        if self._how == "adam":
            self._optimiser: torch.optim.Optimizer = torch.optim.Adam(
                [self.picture], lr=0.03, betas=(0.9, 0.99)
            )
            return
        self._optimiser = torch.optim.LBFGS(
            [self.picture],
            lr=1,
            max_iter=1,
            history_size=kept_steps(self.picture.nbytes),
            tolerance_grad=0,
            tolerance_change=0,
        )

    def step(self, measure: Callable[[Tensor], Loss]) -> Loss:
        """One step down; the loss before it. Where the step before went wrong, that from where it began."""
        found = measure(self.picture)
        if self._before and not found.total < max(_WORSE * self._before[1].total, 1e-12):
            picture, found = self._before
            self.picture.copy_(picture)
            self.forget()
        assert math.isfinite(found.total), "the loss of the first picture is no number"
        self._before = (self.picture.clone(), found)
        self.picture.grad = found.slope.contiguous()  # channels last comes back, and L-BFGS wants it flat
        self._optimiser.step(lambda: found.total)
        return found
