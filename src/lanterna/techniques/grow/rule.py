"""The rule of a texture or a shape: what each cell does next, from its values and its eight neighbours'.

A neural cellular automaton (Mordvintsev, Randazzo, Niklasson and Levin, "Growing neural cellular automata",
Distill 2020), of the size that grows textures (Niklasson, Mordvintsev, Randazzo and Levin, "Self-organising
textures", Distill 2021): 12 values for each cell, of which the first three are its colour, and 5,856
parameters. Cells have no position: the plane is a torus, and every cell follows the same rule. In each step
about half of the cells change, so that nothing depends on a common clock.

A shape starts from one cell, a texture from nothing. In a shape the fourth value is alpha, how much of a cell
is there, and the colours are multiplied by it. A cell lives while it or one of its neighbours has an alpha
above 0.1; all values of the others are zero.

Different from the articles: which cells change is a hash of their place and the step, not a random number
generator's state. The same seed therefore grows the same texture in a page, and in parts. Which cells live is
decided once in a step, before it, so that a page can do it in the same pass. What a cell sees
and the first layer after it are one convolution here, whose kernel is computed from both. The differences are
divided by 8 and 12, because without that most rules run away in the first twenty training steps.
"""

from __future__ import annotations

import json
import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lanterna.devices import fast_dtype
from lanterna.errors import LanternaError, MissingError, UsageError
from lanterna.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHANNELS, HIDDEN = 12, 96

# What a cell sees of each of its values: the value itself, how it changes across and down (Sobel), and how it
# differs from its neighbours (Laplace).
SEES = torch.tensor(
    [
        [[0, 0, 0], [0, 12, 0], [0, 0, 0]],
        [[-1.5, 0, 1.5], [-3, 0, 3], [-1.5, 0, 1.5]],
        [[-1.5, -3, -1.5], [0, 0, 0], [1.5, 3, 1.5]],
        [[1, 2, 1], [2, -12, 2], [1, 2, 1]],
    ]
).div(12)  # (4, 3, 3)

_TEXTURE, _SHAPE = "lanterna texture 1", "lanterna shape 1"
_LIVES = 0.1  # the alpha above which a cell and its neighbours live
_MAX_BYTES = 2**20  # more than a rule needs; a limit for files from elsewhere
_LEAST_SIDE, _MAX_SIDE = 24, 256  # cells of a shape's plane, for files from elsewhere
_BAND = 2**16  # cells that are computed at a time: at 4,096 px, half as long as with 2**18
_MASK = 2**32 - 1


class First(NamedTuple):
    """The cell that a shape starts from, on a plane of `side` × `side` cells with the shape in the middle."""

    side: int
    row: int
    column: int


class Rule(nn.Module):
    """A rule that starts with random sight and changes nothing; of a shape if it has a `first` cell."""

    def __init__(self, seed: int = 0, first: First | None = None) -> None:
        super().__init__()
        self.first = first
        inputs = CHANNELS * len(SEES)
        random = torch.Generator().manual_seed(seed)
        bound = 1 / math.sqrt(inputs)  # torch's for a layer
        self.see = nn.Parameter((torch.rand(HIDDEN, inputs, generator=random) * 2 - 1) * bound)
        self.bias = nn.Parameter((torch.rand(HIDDEN, generator=random) * 2 - 1) * bound)
        self.act = nn.Parameter(torch.zeros(CHANNELS, HIDDEN))

    def kernel(self) -> Tensor:
        """Return what a cell sees and the layer after it as one kernel, `(96, 12, 3, 3)`."""
        see = self.see.view(HIDDEN, CHANNELS, len(SEES))
        kernel = torch.einsum("hcs,sij->hcij", see, SEES.to(see))
        return kernel.contiguous(memory_format=torch.channels_last)

    def step(self, cells: Tensor, changing: Tensor) -> Tensor:
        """Return the cells `(N, 12, H, W)` after a step in which those `changing` `(N, 1, H, W)` change."""
        padded = F.pad(cells, (1, 1, 1, 1), mode="circular")
        return (cells + self._change(padded, self.kernel(), torch.float32) * changing) * self._living(padded)

    def forward(self, cells: Tensor, steps: int, random: torch.Generator) -> Tensor:
        """Return the cells after some steps, for training: in fast arithmetic, and with gradients."""
        kernel, dtype = self.kernel(), fast_dtype(cells.device)
        for _ in range(steps):
            changing = torch.rand(len(cells), 1, *cells.shape[2:], generator=random) < 0.5
            change = self._change(F.pad(cells, (1, 1, 1, 1), mode="circular"), kernel, dtype)
            cells = cells + change * changing.to(cells)
        return cells

    def _change(self, padded: Tensor, kernel: Tensor, dtype: torch.dtype) -> Tensor:
        hidden = F.conv2d(padded.to(dtype), kernel.to(dtype), self.bias.to(dtype)).relu_()  # (N, 96, H, W)
        return F.conv2d(hidden, self.act[:, :, None, None].to(dtype)).float()

    def _living(self, padded: Tensor) -> Tensor | float:
        return living(padded[:, 3:4]).to(padded) if self.first else 1.0

    @torch.no_grad()
    def advance(self, cells: Tensor, number: int, seed: int) -> None:
        """Change the cells `(1, 12, H, W)` in place by the step with this number.

        It computes some rows at a time, in fast arithmetic, and so needs little more memory than the cells.
        """
        kernel, dtype = self.kernel(), fast_dtype(cells.device)
        height, width = cells.shape[2:]
        rows = max(1, _BAND // width)
        first, above = cells[:, :, :1].clone(), cells[:, :, -1:].clone()
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            band = cells[:, :, top:bottom]
            below = first if bottom == height else cells[:, :, bottom : bottom + 1]
            padded = F.pad(torch.cat([above, band, below], 2), (1, 1, 0, 0), mode="circular")
            above = band[:, :, -1:].clone()
            band += self._change(padded, kernel, dtype) * changing(top, bottom, width, number, seed).to(cells)
            band *= self._living(padded)

    def beginning(self, height: int, width: int) -> Tensor:
        """Return the cells `(1, 12, height, width)` that it grows from: nothing, or one cell of a shape.

        The shape will be in their middle. All values of its first cell are 1, but its colour is black.
        """
        cells = nothing(height, width)
        if self.first:
            side, row, column = self.first
            cells[:, 3:, (row + (height - side) // 2) % height, (column + (width - side) // 2) % width] = 1
        return cells

    def picture(self, cells: Tensor) -> Tensor:
        """Return the picture of cells `(1, 12, H, W)`, `(3, H, W)` in [0, 1]; of a shape on white."""
        shown = cells[:, :3] + 1 - cells[:, 3:4].clamp(0, 1) if self.first else colours(cells)
        return shown[0].clamp(0, 1)

    def rounded(self) -> tuple[Rule, dict[str, Tensor]]:
        """Return this rule with weights of 8 bits, and what a page needs for it.

        Each unit's weights share a scale: `see` `(96, 48)` and `act` `(12, 96)` as codes from 0 to 255, of
        which 128 is zero, and float32 `see_scale` `(96,)`, `act_scale` `(12,)` and `bias` `(96,)`.
        """
        rule, codes = Rule(first=self.first), {"bias": self.bias.detach().float().cpu()}
        for name in ("see", "act"):
            weights = getattr(self, name).detach().float().cpu()
            scale = weights.abs().amax(1).clamp_min(1e-8) / 127
            code = (weights / scale[:, None]).round()
            codes |= {name: (code + 128).to(torch.uint8), f"{name}_scale": scale}
            getattr(rule, name).data = code * scale[:, None]
        rule.bias.data = codes["bias"].clone()
        return rule, codes

    def is_finite(self) -> bool:
        """Return whether all weights are finite: those of a training that runs away are not."""
        return all(bool(each.isfinite().all()) for each in self.parameters())

    def save(self, path: Path) -> None:
        """Write the rule to a safetensors file, atomically."""
        kind = {"kind": _SHAPE, "first": self.first} if self.first else {"kind": _TEXTURE}
        metadata = {"lanterna": json.dumps(kind)}
        weights = {name: each.detach().cpu().contiguous() for name, each in self.state_dict().items()}
        with atomic_write(path) as temporary:
            temporary.write_bytes(save(weights, metadata))


def open_rule(path: Path) -> Rule:
    """Open a rule that `Rule.save` wrote; the file cannot run code.

    Errors: `MissingError` if there is none, `UsageError` if it is no rule, `LanternaError` if it is damaged.
    """
    if not path.is_file():
        raise MissingError(f"no texture at {path}: create one with lanterna grow PICTURE")
    invalid = UsageError(f"{path} is not a texture: expected a .safetensors file that lanterna grow wrote")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise invalid
        with safe_open(path, "pt") as file:
            match json.loads((file.metadata() or {}).get("lanterna", "{}")):
                case {"kind": kind} if kind == _TEXTURE:
                    rule = Rule()
                case {"kind": kind, "first": first} if kind == _SHAPE:
                    rule = Rule(first=_first(path, first))
                case _:
                    raise invalid
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if not all(each.is_floating_point() for each in weights.values()):
                raise invalid
            rule.load_state_dict({name: each.float() for name, each in weights.items()})
    except (SafetensorError, OSError, ValueError, AttributeError, RuntimeError) as error:
        raise invalid from error
    if not rule.is_finite():
        raise LanternaError(f"{path} is damaged: it has weights that are not finite")
    return rule


def _first(path: Path, values: object) -> First:
    match values:
        case [int(side), int(row), int(column)] if not any(isinstance(each, bool) for each in values):
            if _LEAST_SIDE <= side <= _MAX_SIDE and 0 <= row < side and 0 <= column < side:
                return First(side, row, column)
    raise LanternaError(f"{path} is damaged: its first cell is nowhere")


def changing(top: int, bottom: int, width: int, number: int, seed: int) -> Tensor:
    """Return which cells of some rows change in a step, `(1, 1, bottom - top, width)`: about half of them.

    The highest bit of a hash of row, column, step and seed, in whole numbers of 32 bits as in the page: the
    finaliser of Wellons, "Prospecting for hash functions" (2018).
    """
    row = torch.arange(top, bottom)[:, None] * 0x9E3779B1
    column = torch.arange(width)[None, :] * 0x85EBCA77
    h = ((row + column) ^ ((number * 0xC2B2AE3D + seed * 0x27D4EB2F) & _MASK)) & _MASK
    h = ((h ^ (h >> 16)) * 0x7FEB352D) & _MASK
    h = ((h ^ (h >> 15)) * 0x846CA68B) & _MASK
    return ((h ^ (h >> 16)) >> 31)[None, None]


def living(padded: Tensor) -> Tensor:
    """Return which cells of a shape live, `(N, 1, H, W)`, from the alpha of these and those around them."""
    return F.max_pool2d(padded.contiguous(), 3, stride=1) > _LIVES


def nothing(height: int, width: int) -> Tensor:
    """Return cells that are all zero, `(1, 12, height, width)`."""
    return torch.zeros(1, CHANNELS, height, width).contiguous(memory_format=torch.channels_last)


def colours(cells: Tensor) -> Tensor:
    """Return the colours of cells `(N, 12, H, W)`, `(N, 3, H, W)` in about [0, 1]."""
    return cells[:, :3] + 0.5


def grown(rule: Rule, height: int, width: int, steps: int, seed: int = 0) -> Iterator[Tensor]:
    """Grow a texture or a shape; yield the same cells `(1, 12, height, width)` after each step.

    Errors: as `check_values`.
    """
    cells = rule.beginning(height, width)
    for number in range(steps):
        rule.advance(cells, number, seed)
        check_values(cells, number + 1)
        yield cells


def check_values(cells: Tensor, steps: int, option: str = "--steps") -> None:
    """Raise `LanternaError` if the values of cells have run away; `option` says how long they grow."""
    if not cells.sum().isfinite():
        raise LanternaError(
            f"the cells' values run away at step {steps:,}: give fewer {option}, or learn again with a "
            "lower --learning-rate"
        )


def grown_picture(rule: Rule, side: int, steps: int, seed: int = 0) -> Tensor:
    """Grow a square of cells, and return its picture, `(3, side, side)` in [0, 1]."""
    (cells,) = deque(grown(rule, side, side, steps, seed), maxlen=1)
    return rule.picture(cells)
