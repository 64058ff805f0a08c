"""Grow: learn the rule by which one cell grows into a drawing, and grows it again where it is wiped.

Mordvintsev, Randazzo, Niklasson and Levin, "Growing neural cellular automata" (Distill 2020). In each step of
the training, take four of the pool's planes (training.py). One of them starts again from one cell: in every
other step the one that is farthest from the drawing, else any. The one that is nearest to it is damaged. Let
the rule run for 40 to 64 steps of its own, and compare colours and alpha with the drawing, cell by cell:
their mean squared difference is the loss. So the rule learns to grow the drawing, to keep it, and to repair
it. Values that leave [-2, 2] are penalised.

Different from the article: 12 values for each cell instead of 16 and 96 hidden values instead of 128, smaller
batches, a smaller pool and fewer steps, as in algorithm.py. Damage is a disc, or everything on one side of a
line, and the worst plane does not always start again, because it is often one that is still growing back.
Which cells live is decided once in a step (rule.py). Only the cells that live and change are computed, about
a fifth, from the gathered values of their neighbours. That is exact, and took half as long as convolutions
of the whole plane.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lanterna.errors import UsageError
from lanterna.techniques.checkpoint import Checkpointer
from lanterna.techniques.grow.rule import CHANNELS, HIDDEN, First, Rule, living
from lanterna.techniques.grow.training import LearningFrame, RuleTraining
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_POOL, _BATCH = 32, 4  # planes of cells, and those of a step
_SHORTEST, _LONGEST = 40, 64  # steps of the rule in a step of the training
_MARGIN = 4  # empty cells around the drawing
_UNHARMED = 100  # steps of training before the first damage
_PAPER, _INK = 0.06, 0.26  # how far a colour is from the paper's where alpha begins, and where it is 1
_FOUND = 0.5  # the alpha that belongs to the drawing


class ShapeLearning(Settings):
    """How the rule of a shape is learned. Equal values and drawings give equal rules on a machine."""

    verb: ClassVar[str] = "grow shape"

    training: int = Field(
        default=2500, ge=1, le=100_000, description="Training steps, if there is no rule yet."
    )
    detail: int = Field(default=40, ge=16, le=64, description="Cells along the drawing's longer side.")
    learning_rate: float = Field(default=2e-3, gt=0, le=0.1, description="The largest learning rate.")


def learn_shape(
    picture: Tensor,
    settings: ShapeLearning,
    *,
    checkpoint: Path | None = None,
    checkpoint_every: float | None = None,
    resume: bool = False,
) -> Generator[LearningFrame, Any, None]:
    """Learn the rule of a drawing `(3, H, W)` in [0, 1] on plain paper, yielding a frame every second or two.

    With a `checkpoint` the state is saved there every `checkpoint_every` seconds (10) and when the generator
    is closed early; `resume` continues from it.

    Errors, before the first step: those of `drawing_of`; `UsageError` for a checkpoint of another drawing;
    `MissingError` if there is no checkpoint to resume from.
    """
    drawing = drawing_of(picture, settings.detail)
    checkpointer = Checkpointer(checkpoint, settings, [drawing], checkpoint_every)
    return checkpointer.train(ShapeTraining(drawing, settings), resume=resume)


def drawing_of(picture: Tensor, detail: int) -> Tensor:
    """Return what is learned: colours and alpha `(4, S, S)` of a drawing, in the middle; S is detail + 8.

    The paper is the median colour of the picture's edge; alpha rises with the distance from it, and the
    colours are multiplied by alpha. The drawing is cut out, and its longer side scaled to `detail`.

    Errors: `UsageError` if there is no plain paper, or nothing on it.
    """
    if picture.ndim != 3 or picture.shape[0] != 3 or not picture.isfinite().all():
        raise UsageError("expected a drawing (3, H, W) with finite values")
    edge = torch.cat([picture[:, 0], picture[:, -1], picture[:, :, 0], picture[:, :, -1]], 1)
    paper = edge.median(1).values[:, None, None]
    if ((edge - paper[:, 0]).abs().amax(0) < _INK / 2).float().mean() < 0.5:
        raise UsageError("expected a drawing on plain paper, got a picture whose edge has many colours")
    alpha = (((picture - paper).abs().amax(0, keepdim=True) - _PAPER) / (_INK - _PAPER)).clamp(0, 1)
    rows, columns = ((alpha[0] > _FOUND).any(axis).nonzero() for axis in (1, 0))
    if not len(rows):
        raise UsageError("expected a drawing on plain paper, got a picture of a single colour")
    colour = (picture - (1 - alpha) * paper).clamp(0, 1)
    found = torch.cat([colour, alpha])[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = detail / max(found.shape[1:])
    height, width = (max(1, round(side * scale)) for side in found.shape[1:])
    small = F.interpolate(found[None], (height, width), mode="bilinear", antialias=True)[0]
    if small[3].max() < _FOUND:
        raise UsageError("expected a drawing with thicker lines: these vanish at this detail")
    side = detail + 2 * _MARGIN
    top, left = (side - height) // 2, (side - width) // 2
    return F.pad(small, (left, side - width - left, top, side - height - top))


def first_cell(drawing: Tensor) -> First:
    """Return the cell that a drawing `(4, S, S)` grows from: with ink, and as near the middle as possible."""
    side = drawing.shape[1]
    away = torch.arange(side) - (side - 1) / 2
    distance = away[:, None] ** 2 + away**2
    distance[drawing[3] < min(0.9, float(drawing[3].max()))] = math.inf
    return First(side, *divmod(int(distance.argmin()), side))


class ShapeTraining(RuleTraining):
    """The training of a shape `(4, S, S)`."""

    shown_for = 96

    def __init__(self, drawing: Tensor, settings: ShapeLearning) -> None:
        side = drawing.shape[1]
        super().__init__(Rule(settings.seed, first_cell(drawing)), settings, side, _POOL, side)
        self.drawing, self.near = drawing, neighbours(_BATCH, side)

    def advance(self) -> None:
        """Train for one step."""
        random = self.random()
        chosen = torch.randperm(_POOL, generator=random)[:_BATCH]
        chosen = chosen[self._losses(self.pool[chosen]).argsort(descending=True)]
        cells = self.pool[chosen]
        new = 0 if self.step % 2 else int(torch.randint(_BATCH - 1, (), generator=random))
        cells[new] = self.rule.beginning(*cells.shape[2:])[0]
        if self.step >= _UNHARMED:
            cells[-1:] *= ~_damage(cells.shape[2], random)
        steps = int(torch.randint(_SHORTEST, _LONGEST + 1, (), generator=random))
        cells = lived(self.rule, cells, steps, self.near, random)
        losses = self._losses(cells)
        self.losses.append(losses.mean().item())
        self.finish_step(losses.mean() + (cells - cells.clamp(-2, 2)).abs().mean(), chosen, cells)

    def _losses(self, cells: Tensor) -> Tensor:
        return (cells[:, :4] - self.drawing).square().mean((1, 2, 3))


def neighbours(planes: int, side: int) -> Tensor:
    """Return the numbers of the nine cells that each cell of some planes sees, `(planes · side², 9)`."""
    numbers = torch.arange(planes * side**2).view(planes, side, side)
    around = [numbers.roll((-i, -j), (1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return torch.stack(around, -1).flatten(0, 2)


def lived(rule: Rule, cells: Tensor, steps: int, near: Tensor, random: torch.Generator) -> Tensor:
    """Return the cells of a shape `(N, 12, S, S)` after some steps, for training: with gradients."""
    kernel = rule.kernel().permute(2, 3, 1, 0).reshape(9 * CHANNELS, HIDDEN)
    planes, _, side, _ = cells.shape
    flat = cells.permute(0, 2, 3, 1).reshape(-1, CHANNELS)  # (M, 12)
    for _ in range(steps):
        with torch.no_grad():
            alpha = flat[:, 3].view(planes, 1, side, side)
            lives = living(F.pad(alpha, (1, 1, 1, 1), mode="circular")).view(-1, 1)
            changing = torch.rand(lives.shape, generator=random) < 0.5
            places = (lives & changing).nonzero()[:, 0]  # (n,)
        sees = flat.gather(0, near[places].view(-1, 1).expand(-1, CHANNELS)).view(-1, 9 * CHANNELS)
        change = torch.addmm(rule.bias, sees, kernel).relu_() @ rule.act.T
        flat = (flat * lives).scatter_add(0, places[:, None].expand(-1, CHANNELS), change)
    return flat.view(planes, side, side, CHANNELS).permute(0, 3, 1, 2)


def _damage(side: int, random: torch.Generator) -> Tensor:
    """Return which cells `(side, side)` are wiped: a disc, or everything on one side of a line."""
    y, x, angle, size, kind = torch.rand(5, generator=random).tolist()
    row, column = (torch.arange(side) - side * (0.25 + 0.5 * centre) for centre in (y, x))
    if kind < 0.5:
        return torch.hypot(row[:, None], column).lt(side * (0.1 + 0.15 * size))
    across: Tensor = math.sin(2 * math.pi * angle) * row[:, None] + math.cos(2 * math.pi * angle) * column
    return across.gt(0)
