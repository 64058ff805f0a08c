"""The multiresolution hash grid: learned features on grids of many sizes, read between their corners.

Müller, Evans, Schied and Keller, "Instant Neural Graphics Primitives with a Multiresolution Hash Encoding"
(2022), section 3, in two dimensions. A coarse grid has an entry of its own for each corner; a fine one has
more corners than its table has entries, and corners share entries by a hash of their place.

Reading features is multiplying the table by a sparse matrix: four entries a position and level, weighed by
how near each corner is. The matrix depends on positions alone, so for a batch that is seen many times it is
made once, and its transpose as well, which the gradient is multiplied by: then both ways are weighted sums of
gathered rows (`embedding_bag`), with nothing scattered, in the same order each time.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_PRIME = -1_640_531_535  # the paper's second prime, 2,654,435,761, as 32 bits with a sign


class Corners:
    """The corners around N positions on L grids: rows of the table and their weights, `(N * L * 4,)`."""

    def __init__(self, rows: Tensor, weights: Tensor, levels: int, entries: int) -> None:
        self.rows, self.weights, self.levels, self._entries = rows, weights, levels, entries
        self.starts = torch.arange(0, len(rows) + 1, 4, dtype=torch.int32, device=rows.device)
        self._transpose: tuple[Tensor, Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.rows) // (4 * self.levels)

    @property
    def nbytes(self) -> int:
        """Bytes it takes with its transpose: row and weight of each corner, twice, and where they begin."""
        return 2 * 8 * len(self.rows) + len(self.rows) + 4 * self._entries

    def transpose(self) -> tuple[Tensor, Tensor, Tensor]:
        """For each entry of the table who reads it: numbers, weights, and where those of each entry begin."""
        if self._transpose is None:
            rows, order = self.rows.sort(stable=True)
            ends = torch.arange(self._entries + 1, dtype=torch.int32, device=rows.device)
            starts = torch.searchsorted(rows, ends, out_int32=True)
            self._transpose = (order // 4).int(), self.weights[order], starts
        return self._transpose


class HashGrid(nn.Module):
    """Features `(N, levels * features)` of positions `(N, 2)` in fractions of the frame.

    `sides` (width, height) of the frame, the longer 1. Beyond the frame it is mirrored: a grid knows nothing
    of places where nothing was learned.
    """

    def __init__(
        self, sides: tuple[float, float], levels: int, entries: int, features: int, coarsest: int, finest: int
    ) -> None:
        super().__init__()
        growth = (finest / coarsest) ** (1 / max(1, levels - 1))
        cells = [round(coarsest * growth**level) for level in range(levels)]
        across = [math.ceil(side * sides[0]) + 1 for side in cells]
        corners = [wide * (math.ceil(side * sides[1]) + 1) for wide, side in zip(across, cells, strict=True)]
        sizes = [min(entries, count) for count in corners]
        self.features, self.entries, self.total = features, entries, sum(sizes)
        self.dense = sum(count <= entries for count in corners)  # these come first
        self.table = nn.Parameter(torch.empty(self.total, features))
        scale = torch.tensor([[side * sides[0], side * sides[1]] for side in cells])
        first = [0, *itertools.accumulate(sizes[:-1])]
        for name, each in ("first", first), ("across", across):
            self.register_buffer(name, torch.tensor(each, dtype=torch.int32), persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def initialise(self, generator: torch.Generator) -> None:
        """Begin with almost nothing, as the paper does: uniform within 0.0001."""
        with torch.no_grad():
            self.table.uniform_(-1e-4, 1e-4, generator=generator)

    def corners(self, positions: Tensor) -> Corners:
        """Where positions `(N, 2)` lie on every grid."""
        scale, first, across = (self.get_buffer(name) for name in ("scale", "first", "across"))
        inside = 1 - (1 - positions.remainder(2)).abs()  # mirrored at the frame
        places = inside[:, None, :] * scale  # (N, L, 2)
        cells = places.floor().clamp_(min=0).minimum((scale.ceil() - 1).clamp_(min=0))
        x1, y1 = (places - cells).unbind(2)
        x0, y0 = 1 - x1, 1 - y1
        weights = torch.stack([x0 * y0, x1 * y0, x0 * y1, x1 * y1], 2)
        step = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=torch.int32, device=positions.device)
        x, y = (cells.int()[:, :, None, :] + step).unbind(3)  # (N, L, 4)
        n = self.dense
        plain = x[:, :n] + y[:, :n] * across[:n, None]
        hashed = (x[:, n:] ^ (y[:, n:] * _PRIME)) & (self.entries - 1)
        rows = torch.cat([plain, hashed], 1) + first[:, None]
        return Corners(rows.flatten(), weights.flatten(), len(first), self.total)

    def forward(self, corners: Corners) -> Tensor:
        """Features of positions, `(N, L * F)`."""
        read: Tensor = _Read.apply(self.table, corners)  # type: ignore[no-untyped-call]
        return read.view(len(corners), -1)


class _Read(torch.autograd.Function):
    """Weighted sums of entries, `(N * L, F)`; its gradient is a weighted sum of who read each entry."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, corners: Corners) -> Tensor:  # noqa: ANN401  # torch has no type
        ctx.corners = corners
        return _summed(table, corners.rows, corners.weights, corners.starts)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return _summed(slopes[0].contiguous(), *ctx.corners.transpose()), None


def _summed(table: Tensor, rows: Tensor, weights: Tensor, starts: Tensor) -> Tensor:
    """Weighted sums of rows, each of those from one start to the next."""
    return F.embedding_bag(
        rows, table, starts, mode="sum", per_sample_weights=weights.to(table.dtype), include_last_offset=True
    )
