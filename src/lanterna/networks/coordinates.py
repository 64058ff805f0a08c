"""Networks that paint: from a position in the picture to the colour there.

`relu`: positions into layers of rectified sums, as in Mital's "Creative Applications of Deep Learning"
(session 2) after Karpathy's image regression in convnetjs. It paints soft large shapes: what changes quickly
from place to place is learned last.
`fourier`: first the sines and cosines of random waves over the picture (Tancik et al. 2020, "Fourier Features
Let Networks Learn High Frequency Functions in Low Dimensional Domains").
`siren`: every neuron is a sine (Sitzmann et al. 2020, "Implicit Neural Representations with Periodic
Activation Functions").
`hash`: first features learned on grids of many sizes (`hash_grid.py`).
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lanterna.networks.hash_grid import Corners, HashGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lanterna.networks.coordinate_plan import CoordinatePlan

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu, "sine": torch.sin, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "gelu": F.gelu,
}  # fmt: skip


class Coordinates(nn.Module):
    """Colours `(N, 3)`, 0 black and 1 white, of positions `(N, 2)`: x and y as fractions of the frame.

    Positions beyond the frame are allowed. `size` (height, width) is the picture's: a position is told to the
    network in the same unit across and down, so that square things stay square. Of several `pictures`,
    `which` says which is meant: whole numbers `(N,)`, or `(N, pictures)` how much of each, to look between
    them; the first, if not given.
    """

    def __init__(self, plan: CoordinatePlan, size: tuple[int, int], pictures: int = 1) -> None:
        super().__init__()
        plan = plan.resolved()
        self.size, self.pictures = size, pictures
        suits = {
            "frequency": max(size) / 24,
            "finest": max(16, round(0.75 * max(size))),
            "grid_entries": min(17, max(8, round(math.log2(size[0] * size[1] * pictures / 16)))),
        }
        plan = plan.model_copy(
            update={key: value for key, value in suits.items() if getattr(plan, key) is None}
        )
        self.plan = plan
        self.fast: torch.dtype | None = None  # bfloat16 may be set where the machine is quick at it
        height, width = size
        longest = max(size)
        self.grid: HashGrid | None = None
        if plan.network == "hash":
            assert plan.finest is not None
            assert plan.grid_entries is not None
            coarsest = min(plan.coarsest, plan.finest)
            self.grid = HashGrid(
                (width / longest, height / longest),
                plan.grid_levels,
                2**plan.grid_entries,
                plan.grid_features,
                coarsest,
                plan.finest,
            )
            inputs = plan.grid_levels * plan.grid_features
        elif plan.network == "fourier":
            self.register_buffer("waves", torch.empty(2, plan.waves))
            inputs = 2 * plan.waves
        else:
            inputs = len(plan.features)
        self.codes: nn.Parameter | None = None
        if pictures > 1:
            self.codes = nn.Parameter(torch.empty(pictures, plan.code or 1), requires_grad=plan.code > 0)
            inputs += plan.code or 1
        assert plan.layers is not None
        assert plan.neurons is not None
        widths = [inputs] + plan.layers * [plan.neurons]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.output = nn.Linear(widths[-1], 3)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw new weights in place.

        `kaiming`: deviation sqrt(2 / inputs); `lecun`: sqrt(1 / inputs), and biases of 0.1, as convnetjs
        does; `siren`: the paper's, section 3.2. A plan's `spread` takes the place of these. The first colour
        is grey, but for `lecun` and `spread`, which begin where their sources begin.
        """
        plan = self.plan
        layers = [layer for layer in [*self.hidden, self.output] if isinstance(layer, nn.Linear)]
        with torch.no_grad():
            for number, layer in enumerate(layers):
                inputs = layer.in_features
                layer.bias.zero_()
                if plan.spread is not None:
                    layer.weight.normal_(0, plan.spread, generator=generator)
                elif plan.weight_start == "siren":
                    most = 1 / inputs if number == 0 else math.sqrt(6 / inputs) / plan.omega
                    layer.weight.uniform_(-most, most, generator=generator)
                    layer.bias.uniform_(-1 / math.sqrt(inputs), 1 / math.sqrt(inputs), generator=generator)
                else:
                    gain = 2 if plan.weight_start == "kaiming" else 1
                    layer.weight.normal_(0, math.sqrt(gain / inputs), generator=generator)
                    if plan.weight_start == "lecun" and layer is not self.output:
                        layer.bias.fill_(0.1)
            if plan.spread is None and plan.weight_start != "lecun":
                self.output.bias.fill_(0.5 * plan.white)
            if self.grid is not None:
                self.grid.initialise(generator)
            if plan.network == "fourier":
                # A painting's file has 16 bits for each number; these must not change in it.
                waves = torch.randn(2, plan.waves, generator=generator) * (plan.frequency or 1.0)
                self.get_buffer("waves").copy_(waves.half())
            if self.codes is not None and plan.code:
                self.codes.normal_(0, 0.1, generator=generator)
            elif self.codes is not None:
                self.codes.copy_(torch.linspace(-1, 1, self.pictures)[:, None])

    def encode(self, positions: Tensor) -> Tensor | Corners:
        """What positions `(N, 2)` are to the network before anything learned, to be kept perhaps."""
        if self.grid is not None:
            return self.grid.corners(positions)
        placed = self._placed(positions)
        if self.plan.network == "fourier":
            # The paper's positions go from 0 to 1 over the picture, ours from -1 to 1.
            turns = math.pi * (placed @ self.get_buffer("waves"))
            return torch.cat([turns.sin(), turns.cos()], 1)
        if self.plan.features == ("x", "y"):
            return placed
        return torch.stack([_feature(name, *placed.unbind(1)) for name in self.plan.features], 1)

    def run(self, inputs: Tensor | Corners, which: Tensor | None = None) -> Iterator[Tensor]:
        """What each hidden layer puts out, `(N, neurons)`, then colours `(N, 3)`, white as in the plan."""
        plan = self.plan
        x: Tensor = inputs if isinstance(inputs, Tensor) else self._read(inputs)
        if self.codes is not None:
            x = torch.cat([x, self._code(which, x)], 1)
        exact = self.output.weight.dtype
        fast = self.fast or exact
        # A position in bfloat16 would be blurred to 1/256 of the picture.
        x = x.to(fast if plan.network in ("hash", "fourier") else exact)
        assert plan.activation is not None
        activation = ACTIVATIONS[plan.activation]
        swing = plan.omega if plan.activation == "sine" else 1.0
        for layer in self.hidden:
            x = activation(_linear(x, layer, swing)).to(fast)
            yield x
        yield _linear(x.to(exact), self.output)

    def forward(self, positions: Tensor, which: Tensor | None = None) -> Tensor:
        """Colours of positions."""
        return self.colours(self.encode(positions), which) / self.plan.white

    def colours(self, inputs: Tensor | Corners, which: Tensor | None = None) -> Tensor:
        """What the last layer puts out, `(N, 3)`: white is as in the plan."""
        for x in self.run(inputs, which):
            last = x
        return last

    def _read(self, corners: Corners) -> Tensor:
        assert self.grid is not None
        return self.grid.forward(corners)

    def _placed(self, positions: Tensor) -> Tensor:
        height, width = self.size
        sides = positions.new_tensor([width, height])
        pixels = (positions - 0.5) * sides
        if self.plan.positions == "centred":
            return positions - 0.5
        if self.plan.positions == "square":
            return pixels * (2 / max(self.size))
        # The lecture has one mean and one deviation for rows and columns together.
        middle = (sides - 1) / 2
        variance = ((sides**2 - 1) / 12 + middle**2).mean() - middle.mean() ** 2
        return (pixels + middle - middle.mean()) / variance.sqrt()

    def _code(self, which: Tensor | None, x: Tensor) -> Tensor:
        codes = self.get_parameter("codes")
        if which is None:
            which = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        if which.dim() == 2:
            return which.to(codes.dtype) @ codes
        return F.embedding(which, codes)


def _linear(x: Tensor, layer: nn.Module, swing: float = 1.0) -> Tensor:
    assert isinstance(layer, nn.Linear)
    weight: Tensor = layer.weight
    bias: Tensor = layer.bias
    if swing != 1:
        weight, bias = weight * swing, bias * swing  # fewer than what comes out
    return F.linear(x, weight.to(x.dtype), bias.to(x.dtype))


def _feature(name: str, x: Tensor, y: Tensor) -> Tensor:
    if name == "angle":
        return torch.atan2(y, x)
    if name == "radius":
        return torch.hypot(x, y)
    if name == "xy":
        return x * y
    value = x if name.endswith("x") or name.startswith("x") else y
    if name.endswith("2"):
        return value * value
    turned = math.pi * value
    return turned.sin() if name.startswith("sin") else turned.cos() if name.startswith("cos") else value
