"""Train a rule by what it grows: the part that textures and shapes share.

A pool holds planes of cells. Each step takes some of them, lets the rule run for a few steps of its own, and
goes back through all of these to change the rule. The planes return to the pool as they have become. Each
gradient is divided by its norm, and the learning rate rises first and then falls along a cosine.

Each step draws its randomness from (seed, step) alone, so a run that is stopped and resumed ends with the
rule of an uninterrupted one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from lanterna.devices import without_dynamo
from lanterna.techniques.checkpoint import load_optimiser, step_generator
from lanterna.techniques.technique import Frame

if TYPE_CHECKING:
    from lanterna.techniques.grow.rule import Rule

_TOO_LARGE = 3.0  # a value that only a rule that has run away reaches
_WARM_UP = 40  # steps in which the learning rate rises, or an eighth of the training if that is shorter
_SHOWN_STEPS = 12  # of the rule, between two frames of the preview


@dataclass(frozen=True)
class LearningFrame(Frame):
    """The state of the training. `picture` shows cells that live by the rule so far, from the first step on.

    `numbers`: `loss`, the mean since the last frame, and `seconds_left`. `rule` continues to train.
    """

    rule: Rule = field(kw_only=True, repr=False)


class RuleTraining:
    """A rule in training, its pool of `planes` planes, the optimiser, and cells to show."""

    shown_for: ClassVar[float] = math.inf  # steps of the rule, after which the preview starts again

    def __init__(self, rule: Rule, settings: Any, side: int, planes: int, shown: int) -> None:
        self.rule, self.settings = rule, settings
        self.step, self.steps = 0, settings.training
        self.device = rule.bias.device
        self.pool = rule.beginning(side, side).repeat(planes, 1, 1, 1)
        self.optimiser = without_dynamo(torch.optim.Adam)(
            rule.parameters(), settings.learning_rate, fused=True
        )
        self.shown, self.shown_steps = rule.beginning(shown, shown), 0
        self.loss, self.losses = 0.0, list[float]()

    def advance(self) -> None:
        """Train for one step."""
        raise NotImplementedError

    def finish_step(self, loss: Tensor, chosen: Tensor, cells: Tensor) -> None:
        """Change the rule by the gradients of a loss, and return the chosen planes to the pool.

        A plane with values that are too large, or not finite, starts again.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * _schedule(self.step, self.steps)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        for parameter in self.rule.parameters():
            assert parameter.grad is not None
            parameter.grad /= parameter.grad.norm() + 1e-8
        self.optimiser.step()
        cells = cells.detach().cpu()
        lost = ~(cells.abs().amax((1, 2, 3), keepdim=True) < _TOO_LARGE)  # NaN, too
        self.pool[chosen] = torch.where(lost, self.rule.beginning(*cells.shape[2:]), cells)
        self.step += 1

    def frame(self, steps_a_second: float) -> LearningFrame:
        """Let the cells that are shown go on living by the rule so far, and return the frame."""
        if self.losses:
            self.loss, self.losses = sum(self.losses) / len(self.losses), []
        numbers = {"loss": self.loss}
        if steps_a_second:
            numbers["seconds_left"] = (self.steps - self.step) / steps_a_second
        beginning = self.rule.beginning(*self.shown.shape[2:])
        if self.shown_steps >= self.shown_for:
            self.shown, self.shown_steps = beginning.clone(), 0
        for number in range(_SHOWN_STEPS):
            self.rule.advance(self.shown, self.step * _SHOWN_STEPS + number, self.settings.seed)
        self.shown_steps += _SHOWN_STEPS
        if not 0 < self.shown.abs().max() < _TOO_LARGE:
            self.shown, self.shown_steps = beginning, 0
        picture = self.rule.picture(self.shown)
        return LearningFrame(self.step, self.steps, numbers, picture, rule=self.rule)

    def state(self) -> dict[str, object]:
        """Return everything that a checkpoint stores."""
        return {
            "rule": self.rule.state_dict(), "optimiser": self.optimiser.state_dict(), "pool": self.pool,
            "at": self.step, "loss": self.loss,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.rule.load_state_dict(state["rule"])
        load_optimiser(self.optimiser, state["optimiser"])
        self.pool.copy_(state["pool"])
        self.step, self.loss = int(state["at"]), float(state["loss"])

    def random(self) -> torch.Generator:
        """Return the random numbers of the next step."""
        return step_generator(self.settings.seed, self.step)


def _schedule(step: int, steps: int) -> float:
    """Return the learning rate's factor: rising, then along a cosine to a tenth."""
    cosine = (1 + math.cos(math.pi * step / steps)) / 2
    return min(1.0, (step + 1) / min(_WARM_UP, steps / 8)) * (0.1 + 0.9 * cosine)
