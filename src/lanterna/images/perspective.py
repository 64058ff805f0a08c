"""Perspective: the map between a flat rectangle and its four corners in a photograph."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Points = NDArray[np.float64]


def homography(source: Points, target: Points) -> Points:
    """Return the `(3, 3)` map that takes four points `(4, 2)` to four others."""
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    solution = np.linalg.solve(np.array(rows, float), target.ravel())
    return np.append(solution, 1).reshape(3, 3)


def project(back: Points, x: NDArray[np.floating], y: NDArray[np.floating]) -> tuple[Points, Points]:
    """Map points; return their x and y."""
    u, v, w = back @ np.stack([x, y, np.ones(len(x))])
    return u / w, v / w


def flatten(picture: Tensor, corners: Points) -> tuple[Tensor, Points]:
    """Cut a quadrilateral out of a picture `(C, H, W)` and make it a rectangle; return it and the map back.

    `corners` `(4, 2)` are x, y in pixels, clockwise from the upper left.
    """
    sides = np.linalg.norm(np.roll(corners, -1, 0) - corners, axis=1)  # top, right, bottom, left
    width, height = sides[[0, 2]].max(), sides[[1, 3]].max()
    back = homography(np.array([(0, 0), (width, 0), (width, height), (0, height)]), corners)
    size = max(8, round(height)), max(8, round(width))
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    u, v = project(back, x.ravel(), y.ravel())
    grid = np.stack([u / picture.shape[2], v / picture.shape[1]], 1).reshape(*size, 2) * 2 - 1
    place = torch.from_numpy(grid).to(picture)[None]
    return F.grid_sample(picture[None], place, padding_mode="border", align_corners=False)[0], back


def quadrilateral(points: Points) -> Points | None:
    """Return the corners `(4, 2)` of a quadrilateral, given its outline, clockwise from the upper left.

    They are the two points farthest apart, and the farthest from their connection on either side; then, as
    corners may be rounded, the intersections of straight lines through the points between them.
    """
    # Only points that are extreme in some direction can be corners.
    angles = np.arange(0, 2 * np.pi, np.pi / 36)
    extremes = points[np.unique((points @ np.stack([np.cos(angles), np.sin(angles)])).argmax(0))]
    apart = np.linalg.norm(extremes[:, None] - extremes, axis=2)
    a, c = np.unravel_index(int(apart.argmax()), apart.shape)
    first, third = extremes[a], extremes[c]
    along = third - first
    off = (extremes - first) @ np.array([-along[1], along[0]])
    if off.max() <= 0 or off.min() >= 0:
        return None
    corners = np.stack([first, extremes[off.argmax()], third, extremes[off.argmin()]])
    middle = corners.mean(0)
    corners = corners[np.argsort(np.arctan2(*(corners - middle).T[::-1]))]  # clockwise, as y points down
    lines = [_fit_side(points, *pair) for pair in zip(corners, np.roll(corners, -1, 0), strict=True)]
    try:
        corners = np.array([
            np.linalg.solve(np.stack([a[:2], b[:2]]), [a[2], b[2]])
            for a, b in zip(np.roll(lines, 1, 0), lines, strict=True)
        ])  # fmt: skip
    except np.linalg.LinAlgError:  # two neighbouring sides are parallel
        return None
    return np.roll(corners, -int(corners.sum(1).argmin()), 0)


def _fit_side(points: Points, start: Points, end: Points) -> Points:
    """Fit a line a x + b y = c to the points near the middle of a side; return a, b, c."""
    along = end - start
    length = max(float(np.linalg.norm(along)), 1e-6)
    share = (points - start) @ along / length**2
    off = (points - start) @ np.array([-along[1], along[0]]) / length
    near = points[(share > 0.15) & (share < 0.85) & (np.abs(off) < 0.05 * length)]
    middle, across = (start + end) / 2, np.array([-along[1], along[0]]) / length
    if len(near) >= 8:
        middle = near.mean(0)
        across = np.linalg.eigh((near - middle).T @ (near - middle))[1][:, 0]
    return np.array([*across, across @ middle])


def area(corners: Points) -> float:
    """Return the area of a polygon `(N, 2)`."""
    x, y = corners.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
