"""Connected components of a boolean mask: runs along each row, joined where they touch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int32]


class Components(NamedTuple):
    """The labelled components of a mask.

    `labels` `(H, W)`: 0 for background, 1 to N; `boxes` `(N, 4)`: x0, y0, x1, y1, ends excluded; `areas`
    `(N,)` in pixels.
    """

    labels: Labels
    boxes: NDArray[np.int64]
    areas: NDArray[np.int64]


def components(mask: NDArray[np.bool_]) -> Components:
    """Label 8-connected components. Time and memory grow with the number of runs, not of labels."""
    height, width = mask.shape
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).view(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    if not len(rows):
        return Components(np.zeros(mask.shape, np.int32), np.zeros((0, 4), np.int64), np.zeros(0, np.int64))
    roots = _join(len(rows), *_touching(rows, starts, ends, width))
    names, run_labels = np.unique(roots, return_inverse=True)
    lengths = ends - starts
    # Each run adds its label where it starts and subtracts it where it ends; the cumulative sum fills it.
    steps = np.zeros((height, width + 1), np.int32)
    np.add.at(steps, (rows, starts), (run_labels + 1).astype(np.int32))
    np.subtract.at(steps, (rows, ends), (run_labels + 1).astype(np.int32))
    labels = np.cumsum(steps, axis=1, dtype=np.int32)[:, :width]
    boxes = np.empty((len(names), 4), np.int64)
    boxes[:, :2], boxes[:, 2:] = np.iinfo(np.int32).max, 0
    np.minimum.at(boxes[:, 0], run_labels, starts)
    np.minimum.at(boxes[:, 1], run_labels, rows)
    np.maximum.at(boxes[:, 2], run_labels, ends)
    np.maximum.at(boxes[:, 3], run_labels, rows + 1)
    areas = np.bincount(run_labels, weights=lengths, minlength=len(names)).astype(np.int64)
    return Components(labels, boxes, areas)


def _touching(
    rows: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64], width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of touching runs in neighbouring rows, as two arrays of run numbers."""
    # Runs are in reading order, so a run's partners in the row above are consecutive: from the first that
    # ends after it starts to the last that starts before it ends (one more each way, for corners).
    stride = width + 2
    first = np.searchsorted(rows * stride + ends, (rows - 1) * stride + starts)
    last = np.searchsorted(rows * stride + starts, (rows - 1) * stride + ends, side="right")
    counts = np.maximum(last - first, 0)
    below = np.repeat(np.arange(len(rows)), counts)
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(first, counts) + offsets, below


def _join(count: int, above: NDArray[np.int64], below: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the smallest run number of each run's component, by pointer jumping until nothing changes."""
    parents = np.arange(count)
    while True:
        a, b = parents[above], parents[below]
        apart = a != b
        if not apart.any():
            return parents
        low, high = np.minimum(a[apart], b[apart]), np.maximum(a[apart], b[apart])
        np.minimum.at(parents, high, low)
        while True:
            shorter = parents[parents]
            if (shorter == parents).all():
                break
            parents = shorter
