"""The multiresolution hash grid: learned features on grids of many resolutions, interpolated.

Müller, Evans, Schied and Keller, "Instant Neural Graphics Primitives with a Multiresolution Hash Encoding"
(2022), section 3, in two dimensions. A coarse grid has one entry for each corner; a fine one has more corners
than its table has entries, and corners share entries by a hash of their coordinates.

Interpolation multiplies the table by a sparse matrix with four bilinear weights per position and level. The
matrix depends on the positions alone, so it is computed once for a batch that is used many times, and so is
its transpose, which the backward pass multiplies by. Both passes are then weighted sums of gathered rows
(`embedding_bag`), which need no scatter and are deterministic.
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
        self.offsets = torch.arange(0, len(rows) + 1, 4, dtype=torch.int32, device=rows.device)
        self._transpose: tuple[Tensor, Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.rows) // (4 * self.levels)

    @property
    def nbytes(self) -> int:
        """Bytes in memory, with the transpose: rows, weights and offsets."""
        return 2 * 8 * len(self.rows) + len(self.rows) + 4 * self._entries

    def transpose(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return, for each entry of the table, the outputs that read it: indices, weights and offsets."""
        if self._transpose is None:
            rows, order = self.rows.sort(stable=True)
            entries = torch.arange(self._entries + 1, dtype=torch.int32, device=rows.device)
            offsets = torch.searchsorted(rows, entries, out_int32=True)
            self._transpose = (order // 4).int(), self.weights[order], offsets
        return self._transpose


class HashGrid(nn.Module):
    """Learned features `(N, levels * features)` of positions `(N, 2)`, given as fractions of the frame.

    `sides` are the frame's (width, height), the longer one 1. Positions beyond the frame are mirrored into
    it, because entries outside are never trained.
    """

    def __init__(
        self, sides: tuple[float, float], levels: int, entries: int, features: int, coarsest: int, finest: int
    ) -> None:
        super().__init__()
        growth = (finest / coarsest) ** (1 / max(1, levels - 1))
        cells = [round(coarsest * growth**level) for level in range(levels)]
        across = [math.ceil(side * sides[0]) + 1 for side in cells]
        down = [math.ceil(side * sides[1]) + 1 for side in cells]
        corners = [columns * rows for columns, rows in zip(across, down, strict=True)]
        sizes = [min(entries, count) for count in corners]
        self.features, self.entries, self.total = features, entries, sum(sizes)
        self.dense = sum(count <= entries for count in corners)  # levels without hashing, the first ones
        self.table = nn.Parameter(torch.empty(self.total, features))
        scale = torch.tensor([[side * sides[0], side * sides[1]] for side in cells])
        first = [0, *itertools.accumulate(sizes[:-1])]
        for name, values in ("first", first), ("across", across):
            self.register_buffer(name, torch.tensor(values, dtype=torch.int32), persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def initialise(self, generator: torch.Generator) -> None:
        """Initialise the table as in the paper: uniform within 0.0001."""
        with torch.no_grad():
            self.table.uniform_(-1e-4, 1e-4, generator=generator)

    def corners(self, positions: Tensor) -> Corners:
        """Find the corners around positions `(N, 2)` on every grid."""
        scale, first, across = (self.get_buffer(name) for name in ("scale", "first", "across"))
        inside = 1 - (1 - positions.remainder(2)).abs()  # mirrored at the frame
        scaled = inside[:, None, :] * scale  # (N, L, 2)
        cells = scaled.floor().clamp_(min=0).minimum((scale.ceil() - 1).clamp_(min=0))
        x1, y1 = (scaled - cells).unbind(2)
        x0, y0 = 1 - x1, 1 - y1
        weights = torch.stack([x0 * y0, x1 * y0, x0 * y1, x1 * y1], 2)
        step = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=torch.int32, device=positions.device)
        x, y = (cells.int()[:, :, None, :] + step).unbind(3)  # (N, L, 4)
        n = self.dense
        indexed = x[:, :n] + y[:, :n] * across[:n, None]
        hashed = (x[:, n:] ^ (y[:, n:] * _PRIME)) & (self.entries - 1)
        rows = torch.cat([indexed, hashed], 1) + first[:, None]
        return Corners(rows.flatten(), weights.flatten(), len(first), self.total)

    def forward(self, corners: Corners) -> Tensor:
        """Interpolate the features `(N, L * F)`."""
        features: Tensor = _Interpolate.apply(self.table, corners)  # type: ignore[no-untyped-call]
        return features.view(len(corners), -1)


class _Interpolate(torch.autograd.Function):
    """Weighted sums of entries `(N * L, F)`; the backward pass multiplies by the transposed weights."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, corners: Corners) -> Tensor:  # noqa: ANN401  # torch has no type
        ctx.corners = corners
        return _weighted_sums(table, corners.rows, corners.weights, corners.offsets)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return _weighted_sums(gradients[0].contiguous(), *ctx.corners.transpose()), None


def _weighted_sums(table: Tensor, rows: Tensor, weights: Tensor, offsets: Tensor) -> Tensor:
    """Sum weighted rows of the table, from each offset to the next."""
    return F.embedding_bag(
        rows, table, offsets, mode="sum", per_sample_weights=weights.to(table.dtype), include_last_offset=True
    )
