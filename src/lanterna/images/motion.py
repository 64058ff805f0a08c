"""Dense optical flow between two frames, its confidence, and the flicker of a film.

The method is Bruhn, Weickert and Schnörr, "Lucas/Kanade meets Horn/Schunck" (2005): Lucas and Kanade's
windows find the motion of texture, Horn and Schunck's smoothness fills in areas without texture. We add
later improvements: coarse to fine with warping (Brox et al. 2004); robust weights instead of squares, so that
outliers (occlusions, shadows) count little; and smoothness that is weaker at edges of the picture and of the
flow. Brightness is normalised by its local mean and contrast, so that a dimming lamp causes no motion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from lanterna.errors import UsageError
from lanterna.images.light import sliding_sum

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

_SMALLEST = 8  # pixels: the shorter side of the coarsest level
_WARPS = (2, 4, 6, 8)  # at the finest level, the next, and so on
_SWEEPS = (20, 30, 40)  # of the linear solver in each of them, likewise
_WINDOW = 3  # Lucas and Kanade's windows are squares of 7 × 7
_SMOOTHNESS = 0.12
_MISFIT = 0.2  # local contrasts: a difference of this size counts half
_EDGE = 0.05  # difference of brightness between neighbours at which smoothness weakens
_JUMP = 0.5  # pixels of flow between neighbours, likewise
_FLAT = 0.015  # contrast below this is noise, and is not amplified
_CONVERGENCE = 0.98  # the spectral radius assumed by Chebyshev's weights


@torch.no_grad()
def flow(before: Tensor, after: Tensor) -> Tensor:
    """Return the optical flow from `after` back to `before`: `(2, H, W)`, in pixels to the right and down.

    Both are pictures `(C, H, W)` in [0, 1] of the same size; the point at `(x, y)` in `after` was at
    `(x + flow[0], y + flow[1])` in `before`, so that `warp(before, flow)` resembles `after`. The flow has
    subpixel accuracy. Motion of some tens of pixels is found; an object that moves by more than its size over
    a textured background may be lost, and occluded areas are guessed: see `flow_confidence`.

    Errors: `UsageError` if the two differ in size.
    """
    _check(before, after)
    levels = [(before[None].float(), after[None].float())]
    while min(levels[-1][0].shape[-2:]) >= 2 * _SMALLEST:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    estimate = before.new_zeros((1, 2, *levels[-1][0].shape[-2:]), dtype=torch.float32)
    for level, (then, now) in reversed(list(enumerate(levels))):
        estimate = _upsample_flow(estimate, now.shape[-2:])
        edges = _edges(now)
        then, now = _contrasts(then), _contrasts(now)
        sweeps = _SWEEPS[min(level, len(_SWEEPS) - 1)]
        for _ in range(_WARPS[min(level, len(_WARPS) - 1)]):
            tensor = _motion_tensor(then, now, estimate)
            solution = _solve(tensor, _stiffness(estimate, edges), estimate, sweeps)
            estimate = estimate + (solution - estimate).clamp(-2, 2)  # the linearisation holds only nearby
    return estimate[0]


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """Warp `picture` `(..., H, W)`: sample it at each pixel's position plus `flow` `(2, H, W)`.

    Interpolation is bilinear; positions outside the picture take the nearest border pixel.

    Errors: `UsageError` if picture and flow differ in size.
    """
    height, width = picture.shape[-2:]
    if flow.shape != (2, height, width):
        raise UsageError(
            f"a flow for a picture of {width} × {height} must be (2, {height}, {width}), "
            f"got {tuple(flow.shape)}"
        )
    x, y = _positions(flow)
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)[None].to(picture.dtype)
    channels = picture.reshape(1, -1, height, width)
    warped = F.grid_sample(channels, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return warped.view(picture.shape)


@torch.no_grad()
def flow_confidence(before: Tensor, after: Tensor, backward: Tensor, forward: Tensor) -> Tensor:
    """Return the confidence of a flow at each pixel of `after`: `(1, H, W)` in [0, 1].

    `backward` is `flow(before, after)` and `forward` is `flow(after, before)`. The product of three factors:
    1 if the flow leads into the picture, else 0; `1 / (1 + q²)` for the consistency of the two flows, with
    q = |w + v|² / (0.01 (|w|² + |v|²) + 0.5), w the flow and v the opposite flow at its end; and
    exp(−r / 0.02), with r the squared difference of `after` from the warped `before`, averaged over channels
    and 5 × 5 pixels.

    Ruder, Dosovitskiy and Brox ("Artistic style transfer for videos", 2016) call a pixel disoccluded if
    q > 1; here the transition is smooth. Instead of their test for motion boundaries we compare the pictures.
    """
    _check(before, after)
    height, width = after.shape[-2:]
    x, y = _positions(backward)
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    returned = warp(forward, backward)
    tolerance = 0.01 * (backward.square().sum(0) + returned.square().sum(0)) + 0.5
    inconsistency = (backward + returned).square().sum(0) / tolerance
    difference = _mean((warp(before, backward) - after).square().mean(0)[None, None], 2)[0, 0]
    return (inside / (1 + inconsistency.square()) * torch.exp(-difference / 0.02))[None]


def flow_and_confidence(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Return `flow(before, after)` and its `flow_confidence`. Errors: as `flow`."""
    backward = flow(before, after)
    return backward, flow_confidence(before, after, backward, flow(after, before))


@torch.no_grad()
def flicker(frames: Iterable[Tensor], originals: Iterable[Tensor]) -> float:
    """Return the warping error of `frames` along the motion of their `originals`. Lower is steadier.

    For each pair of consecutive frames: the squared colour difference (summed over channels) between a frame
    and its predecessor warped along the flow of the originals, averaged over pixels with the flow's
    confidence as weight. The result is the mean over pairs, as in Lai et al., "Learning blind video temporal
    consistency" (2018), with the confidence instead of their binary mask. 0.0003 is 1 % of full range in each
    of three channels. Originals flicker too (noise, interpolation): compare with
    `flicker(originals, originals)`. Two frames of each are in memory.

    Errors: `UsageError` if there are fewer than two frames, different numbers of both, or different sizes.
    """
    errors: list[float] = []
    last: tuple[Tensor, Tensor] | None = None
    try:
        for frame, original in zip(frames, originals, strict=True):
            if last is not None:
                motion, confidence = flow_and_confidence(last[1], original)
                _check(last[0], frame)
                distance = (frame - warp(last[0], motion)).square().sum(0)
                errors.append(float((confidence * distance).sum() / confidence.sum().clamp_min(1e-9)))
            last = frame, original
    except ValueError as error:
        raise UsageError("flicker: expected as many frames as originals") from error
    if not errors:
        raise UsageError("flicker: expected at least two frames")
    return sum(errors) / len(errors)


def _check(before: Tensor, after: Tensor) -> None:
    if before.shape != after.shape or before.ndim != 3:
        shapes = f"{tuple(before.shape)} and {tuple(after.shape)}"
        raise UsageError(f"two frames must both be (3, height, width) and of one size, got {shapes}")


def _positions(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Return each pixel's position plus `flow` `(2, H, W)`: x and y, `(H, W)`."""
    height, width = flow.shape[-2:]
    x = torch.arange(width, device=flow.device) + flow[0]
    y = torch.arange(height, device=flow.device)[:, None] + flow[1]
    return x, y


def _mean(values: Tensor, reach: int) -> Tensor:
    """Return the mean over squares of 2 · reach + 1 pixels, `(N, C, H, W)`."""
    side = 2 * reach + 1
    across = sliding_sum(F.pad(values, (reach, reach, 0, 0), mode="replicate"), side, -1) / side
    return sliding_sum(F.pad(across, (0, 0, reach, reach), mode="replicate"), side, -2) / side


def _halved(pictures: Tensor) -> Tensor:
    size = [-(-side // 2) for side in pictures.shape[-2:]]
    return F.interpolate(pictures, size, mode="bilinear", antialias=True, align_corners=False)


def _upsample_flow(estimate: Tensor, size: torch.Size) -> Tensor:
    """Resize a flow `(1, 2, h, w)` to a larger picture, and scale its vectors accordingly."""
    height, width = estimate.shape[-2:]
    scale = estimate.new_tensor([size[1] / width, size[0] / height]).view(1, 2, 1, 1)
    return F.interpolate(estimate, size, mode="bilinear", align_corners=False) * scale


def _contrasts(picture: Tensor) -> Tensor:
    """Return each value's deviation from the mean of its 9 × 9 neighbours, in their standard deviations."""
    deviation = picture - _mean(picture, 4)
    return deviation / (_mean(deviation.square().mean(1, keepdim=True), 4).sqrt() + _FLAT)


def _steps(values: Tensor) -> tuple[Tensor, Tensor]:
    """From each pixel to its right neighbour `(N, C, H, W - 1)` and to its lower one `(N, C, H - 1, W)`."""
    return values.diff(dim=-1), values.diff(dim=-2)


def _edges(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Return the similarity of neighbours, to the right and down: 1 if they are equal."""
    across, down = (torch.exp(-step.abs().mean(1, keepdim=True) / _EDGE) for step in _steps(picture))
    return across, down


def _motion_tensor(then: Tensor, now: Tensor, found: Tensor) -> Tensor:
    """Return the windowed normal equations at a flow: xx, xy, yy of the gradient, xt, yt. `(1, 5, H, W)`."""
    x, y = _positions(found[0])
    height, width = now.shape[-2:]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    warped = warp(then, found[0])
    middle = F.pad((warped + now) / 2, (1, 1, 1, 1), mode="replicate")
    across = (middle[..., 1:-1, 2:] - middle[..., 1:-1, :-2]) / 2
    down = (middle[..., 2:, 1:-1] - middle[..., :-2, 1:-1]) / 2
    misfit = warped - now
    weight = inside / (1 + misfit.square().mean(1, keepdim=True) / _MISFIT**2)
    pairs = ((across, across), (across, down), (down, down), (across, misfit), (down, misfit))
    products = torch.cat([(a * b).mean(1, keepdim=True) for a, b in pairs], 1)
    return _mean(products * weight, _WINDOW)


def _stiffness(found: Tensor, edges: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Return the smoothness weights between each pixel and its left, right, upper and lower neighbours."""
    across, down = (
        _SMOOTHNESS * (weight * (1 + step.square().sum(1, keepdim=True) / _JUMP**2).rsqrt() + 0.01)
        for weight, step in zip(edges, _steps(found), strict=True)
    )
    return F.pad(across, (1, 0)), F.pad(across, (0, 1)), F.pad(down, (0, 0, 1, 0)), F.pad(down, (0, 0, 0, 1))


def _solve(tensor: Tensor, weights: tuple[Tensor, ...], start: Tensor, sweeps: int) -> Tensor:
    """Solve for the flow by Jacobi iterations with Chebyshev acceleration, beginning with `start`.

    At each pixel: (J + Σ w) flow = J start − (xt, yt) + Σ w · neighbour's flow, with J = (xx, xy; xy, yy) and
    w the smoothness weights of its four neighbours.
    """
    xx, xy, yy, xt, yt = tensor.chunk(5, 1)
    left, right, above, below = weights
    total = (left + right + above + below).clamp_min(1e-6)  # a picture of one pixel has no neighbours
    determinant = (xx + total) * (yy + total) - xy * xy
    ixx, ixy, iyy = (yy + total) / determinant, -xy / determinant, (xx + total) / determinant

    def solve_pixels(x: Tensor, y: Tensor) -> Tensor:
        return torch.cat([ixx * x + ixy * y, ixy * x + iyy * y], 1)

    u, v = start.chunk(2, 1)
    constant = solve_pixels(xx * u + xy * v - xt, xy * u + yy * v - yt)
    last = current = start
    weight = 1.0
    for sweep in range(sweeps):
        padded = F.pad(current, (1, 1, 1, 1))
        pull = left * padded[..., 1:-1, :-2] + right * padded[..., 1:-1, 2:]
        pull = pull + above * padded[..., :-2, 1:-1] + below * padded[..., 2:, 1:-1]
        update = constant + solve_pixels(*pull.chunk(2, 1))
        if sweep:
            weight = 1 / (1 - _CONVERGENCE**2 * (weight / 4 if sweep > 1 else 0.5))
            update = last + weight * (update - last)
        last, current = current, update
    return current
