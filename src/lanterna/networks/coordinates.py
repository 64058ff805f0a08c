"""Coordinate networks, which paint a picture: they map a position to the colour there.

`relu`: a multilayer perceptron on positions, as in Mital's "Creative Applications of Deep Learning"
(session 2) after Karpathy's image regression in convnetjs. It paints large soft shapes, because it learns
high frequencies last.
`fourier`: positions are first encoded as the sines and cosines of random waves over the picture (Tancik et
al. 2020, "Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains").
`siren`: all activations are sines (Sitzmann et al. 2020, "Implicit Neural Representations with Periodic
Activation Functions").
`hash`: positions are first encoded as features learned on grids of many resolutions (`hash_grid.py`).
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
    """A network from positions `(N, 2)`, x and y as fractions of the frame, to colours `(N, 3)` in [0, 1].

    Positions beyond the frame are allowed. `size` is the picture's (height, width): positions are scaled by
    the same unit in x and y, so that squares stay squares. A network of several `pictures` takes `which`:
    their indices `(N,)`, or their weights `(N, pictures)` to interpolate; the default is the first.
    """

    def __init__(self, plan: CoordinatePlan, size: tuple[int, int], pictures: int = 1) -> None:
        super().__init__()
        plan = plan.resolved()
        self.size, self.pictures = size, pictures
        defaults = {
            "frequency": max(size) / 24,
            "finest": max(16, round(0.75 * max(size))),
            "grid_entries": min(17, max(8, round(math.log2(size[0] * size[1] * pictures / 16)))),
        }
        plan = plan.model_copy(
            update={key: value for key, value in defaults.items() if getattr(plan, key) is None}
        )
        self.plan = plan
        self.fast: torch.dtype | None = None  # may be set to bfloat16 on hardware that supports it
        height, width = size
        longer_side = max(size)
        self.grid: HashGrid | None = None
        if plan.network == "hash":
            assert plan.finest is not None
            assert plan.grid_entries is not None
            coarsest = min(plan.coarsest, plan.finest)
            self.grid = HashGrid(
                (width / longer_side, height / longer_side),
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
        """Initialise the weights in place.

        `kaiming`: std sqrt(2 / inputs); `lecun`: std sqrt(1 / inputs) and biases of 0.1, as in convnetjs;
        `siren`: section 3.2 of the paper. A plan's `spread` overrides these. The output bias is mid-grey,
        except for `lecun` and `spread`, which follow their sources.
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
                    bound = 1 / inputs if number == 0 else math.sqrt(6 / inputs) / plan.omega
                    layer.weight.uniform_(-bound, bound, generator=generator)
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
                # Paintings are saved in float16: round now, so that saving does not change the waves.
                waves = torch.randn(2, plan.waves, generator=generator) * (plan.frequency or 1.0)
                self.get_buffer("waves").copy_(waves.half())
            if self.codes is not None and plan.code:
                self.codes.normal_(0, 0.1, generator=generator)
            elif self.codes is not None:
                self.codes.copy_(torch.linspace(-1, 1, self.pictures)[:, None])

    def encode(self, positions: Tensor) -> Tensor | Corners:
        """Encode positions `(N, 2)`. Nothing here is learned, so the result can be cached."""
        if self.grid is not None:
            return self.grid.corners(positions)
        scaled = self._scale(positions)
        if self.plan.network == "fourier":
            # The paper's positions go from 0 to 1 over the picture, ours from -1 to 1.
            phases = math.pi * (scaled @ self.get_buffer("waves"))
            return torch.cat([phases.sin(), phases.cos()], 1)
        if self.plan.features == ("x", "y"):
            return scaled
        return torch.stack([_feature(name, *scaled.unbind(1)) for name in self.plan.features], 1)

    def run(self, encoded: Tensor | Corners, which: Tensor | None = None) -> Iterator[Tensor]:
        """Yield each hidden layer's output `(N, neurons)`, then colours `(N, 3)`, as `colours`."""
        plan = self.plan
        x: Tensor = encoded if isinstance(encoded, Tensor) else self._interpolate(encoded)
        if self.codes is not None:
            x = torch.cat([x, self._code(which, x)], 1)
        full = self.output.weight.dtype
        fast = self.fast or full
        # In bfloat16 a position would be rounded to 1/256 of the picture.
        x = x.to(fast if plan.network in ("hash", "fourier") else full)
        assert plan.activation is not None
        activation = ACTIVATIONS[plan.activation]
        omega = plan.omega if plan.activation == "sine" else 1.0
        for layer in self.hidden:
            x = activation(_linear(x, layer, omega)).to(fast)
            yield x
        yield _linear(x.to(full), self.output)

    def forward(self, positions: Tensor, which: Tensor | None = None) -> Tensor:
        """Return the colours of positions."""
        return self.colours(self.encode(positions), which) / self.plan.white

    def colours(self, encoded: Tensor | Corners, which: Tensor | None = None) -> Tensor:
        """Return the last layer's output `(N, 3)`, in which white is the plan's `white`."""
        for x in self.run(encoded, which):
            last = x
        return last

    def _interpolate(self, corners: Corners) -> Tensor:
        assert self.grid is not None
        return self.grid.forward(corners)

    def _scale(self, positions: Tensor) -> Tensor:
        """Convert positions from fractions of the frame to the plan's coordinates."""
        height, width = self.size
        sides = positions.new_tensor([width, height])
        pixels = (positions - 0.5) * sides
        if self.plan.positions == "centred":
            return positions - 0.5
        if self.plan.positions == "square":
            return pixels * (2 / max(self.size))
        # The lecture uses one mean and one std for rows and columns together.
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


def _linear(x: Tensor, layer: nn.Module, omega: float = 1.0) -> Tensor:
    assert isinstance(layer, nn.Linear)
    weight: Tensor = layer.weight
    bias: Tensor = layer.bias
    if omega != 1:
        weight, bias = weight * omega, bias * omega  # fewer values than the output has
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
    phase = math.pi * value
    return phase.sin() if name.startswith("sin") else phase.cos() if name.startswith("cos") else value
