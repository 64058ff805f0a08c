"""What moved where between two frames: dense optical flow, how far it can be believed, and flicker.

The method is Bruhn, Weickert and Schnörr, "Lucas/Kanade meets Horn/Schunck" (2005): Lucas and Kanade's
windows say where texture moved, Horn and Schunck's smoothness fills in what has none. We depart from it as
much that came later does: coarse to fine with warping (Brox et al. 2004); weights instead of squares, so that
what does not fit (something hidden, a shadow) counts little; smoothness that yields at edges of the picture
and of the flow. Of brightness we take what remains when local mean and contrast are taken out, so that a
lamp that dims moves nothing.
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
_MISFIT = 0.2  # local contrasts: what differs by this much counts half
_EDGE = 0.05  # levels of brightness between neighbours at which smoothness yields
_JUMP = 0.5  # pixels of flow between neighbours, likewise
_FLAT = 0.015  # levels: less contrast than this is noise, and is not enlarged
_CONVERGENCE = 0.98  # the spectral radius that Chebyshev's weights suppose


@torch.no_grad()
def flow(before: Tensor, after: Tensor) -> Tensor:
    """Where each pixel of `after` was in `before`: `(2, H, W)`, in pixels to the right and down.

    Both are pictures `(C, H, W)` in [0, 1] of one size; what is at `(x, y)` in `after` was at
    `(x + flow[0], y + flow[1])` in `before`, so that `warp(before, flow)` looks like `after`. Parts of a
    pixel count. Movements of some tens of pixels are found; something that moves by more than its own size
    over a background with texture may be lost, and what was hidden before is guessed: `trust` tells.

    Errors: `UsageError` where the two are not of one size.
    """
    _check(before, after)
    levels = [(before[None].float(), after[None].float())]
    while min(levels[-1][0].shape[-2:]) >= 2 * _SMALLEST:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    found = before.new_zeros((1, 2, *levels[-1][0].shape[-2:]), dtype=torch.float32)
    for level, (then, now) in reversed(list(enumerate(levels))):
        found = _enlarged(found, now.shape[-2:])
        edges = _edges(now)
        then, now = _contrasts(then), _contrasts(now)
        for _ in range(_WARPS[min(level, len(_WARPS) - 1)]):
            tensor = _motion_tensor(then, now, found)
            better = _solved(tensor, _stiffness(found, edges), found, _SWEEPS[min(level, len(_SWEEPS) - 1)])
            found = found + (better - found).clamp(-2, 2)  # what is linear is so only nearby
    return found[0]


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """`picture` `(..., H, W)` moved: at each pixel what was where `flow` `(2, H, W)` leads from there.

    Between pixels it is bilinear. Beyond the border is what is nearest at the border.

    Errors: `UsageError` where picture and flow differ in size.
    """
    height, width = picture.shape[-2:]
    if flow.shape != (2, height, width):
        raise UsageError(
            f"the flow for a picture of {width} × {height} has {tuple(flow.shape)}: give its own"
        )
    x, y = _places(flow)
    where = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)[None].to(picture.dtype)
    layers = picture.reshape(1, -1, height, width)
    moved = F.grid_sample(layers, where, mode="bilinear", padding_mode="border", align_corners=False)
    return moved.view(picture.shape)


@torch.no_grad()
def flow_confidence(before: Tensor, after: Tensor, there: Tensor, back: Tensor) -> Tensor:
    """How far `there = flow(before, after)` can be believed at each pixel of `after`: `(1, H, W)` in [0, 1].

    `back` is `flow(after, before)`. The product of three: 1 where the flow comes from inside the picture,
    else 0; `1 / (1 + q²)`, where q = |w + v|² / (0.01 (|w|² + |v|²) + 0.5), w the flow and v the way back
    from where it leads; and exp(−r / 0.02), where r is the squared difference of `after` from the warped
    `before`, its mean over channels and 5 × 5 pixels.

    q = 1 is where Ruder, Dosovitskiy and Brox ("Artistic style transfer for videos", 2016) call a pixel newly
    seen; we go from 1 to 0 there without a jump. In place of their test for borders of motion we look at the
    pictures themselves.
    """
    _check(before, after)
    height, width = after.shape[-2:]
    x, y = _places(there)
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    returned = warp(back, there)
    allowed = 0.01 * (there.square().sum(0) + returned.square().sum(0)) + 0.5
    missed = (there + returned).square().sum(0) / allowed
    differs = _mean((warp(before, there) - after).square().mean(0)[None, None], 2)[0, 0]
    return (inside / (1 + missed.square()) * torch.exp(-differs / 0.02))[None]


def flow_and_confidence(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """`flow(before, after)` and its `trust`. Errors: as `flow`."""
    there = flow(before, after)
    return there, flow_confidence(before, after, there, flow(after, before))


@torch.no_grad()
def flicker(frames: Iterable[Tensor], originals: Iterable[Tensor]) -> float:
    """How unsteady `frames` are where `originals`, of which they were made, only move. Lower is steadier.

    For each two that follow each other: the squared distance in colour (the sum over channels) of a frame
    from the one before it, warped along the flow of the originals; the mean over pixels, weighted by `trust`.
    The result is the mean of these: the warping error of Lai et al., "Learning blind video temporal
    consistency" (2018), with `trust` for their mask of 0 and 1. 0.0003 is 1 % of full range in each of three
    channels. Originals have some themselves (noise, what is between pixels): `flicker(originals, originals)`
    is what to compare with. Two frames of each are in memory.

    Errors: `UsageError` where there are fewer than two frames, not as many of both, or of other sizes.
    """
    errors: list[float] = []
    last: tuple[Tensor, Tensor] | None = None
    try:
        for frame, original in zip(frames, originals, strict=True):
            if last is not None:
                there, believed = flow_and_confidence(last[1], original)
                _check(last[0], frame)
                distance = (frame - warp(last[0], there)).square().sum(0)
                errors.append(float((believed * distance).sum() / believed.sum().clamp_min(1e-9)))
            last = frame, original
    except ValueError as error:
        raise UsageError("flicker: there are not as many frames as originals") from error
    if not errors:
        raise UsageError("flicker: it takes two frames at least")
    return sum(errors) / len(errors)


def _check(before: Tensor, after: Tensor) -> None:
    if before.shape != after.shape or before.ndim != 3:
        shapes = f"{tuple(before.shape)} and {tuple(after.shape)}"
        raise UsageError(f"two frames of one film are (3, height, width) alike, got {shapes}")


def _places(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Where `flow` `(2, H, W)` leads from each pixel: x and y, `(H, W)`."""
    height, width = flow.shape[-2:]
    x = torch.arange(width, device=flow.device) + flow[0]
    y = torch.arange(height, device=flow.device)[:, None] + flow[1]
    return x, y


def _mean(values: Tensor, reach: int) -> Tensor:
    """The mean over squares of 2 · reach + 1 pixels. `(N, C, H, W)`."""
    side = 2 * reach + 1
    across = sliding_sum(F.pad(values, (reach, reach, 0, 0), mode="replicate"), side, -1) / side
    return sliding_sum(F.pad(across, (0, 0, reach, reach), mode="replicate"), side, -2) / side


def _halved(pictures: Tensor) -> Tensor:
    size = [-(-side // 2) for side in pictures.shape[-2:]]
    return F.interpolate(pictures, size, mode="bilinear", antialias=True, align_corners=False)


def _enlarged(found: Tensor, size: torch.Size) -> Tensor:
    """A flow `(1, 2, h, w)` for a larger picture: more places, and as much longer."""
    height, width = found.shape[-2:]
    longer = found.new_tensor([size[1] / width, size[0] / height]).view(1, 2, 1, 1)
    return F.interpolate(found, size, mode="bilinear", align_corners=False) * longer


def _contrasts(picture: Tensor) -> Tensor:
    """How each value stands out from its 9 × 9 neighbours, in their standard deviations."""
    over = picture - _mean(picture, 4)
    return over / (_mean(over.square().mean(1, keepdim=True), 4).sqrt() + _FLAT)


def _steps(values: Tensor) -> tuple[Tensor, Tensor]:
    """From each pixel to its right neighbour `(N, C, H, W - 1)` and to its lower one `(N, C, H - 1, W)`."""
    return values.diff(dim=-1), values.diff(dim=-2)


def _edges(picture: Tensor) -> tuple[Tensor, Tensor]:
    """How far neighbours look alike, to the right and down: 1 where they are equal."""
    across, down = (torch.exp(-step.abs().mean(1, keepdim=True) / _EDGE) for step in _steps(picture))
    return across, down


def _motion_tensor(then: Tensor, now: Tensor, found: Tensor) -> Tensor:
    """The windowed normal equations at `found`: xx, xy, yy of the gradient, and xt, yt. `(1, 5, H, W)`."""
    x, y = _places(found[0])
    height, width = now.shape[-2:]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    moved = warp(then, found[0])
    middle = F.pad((moved + now) / 2, (1, 1, 1, 1), mode="replicate")
    across = (middle[..., 1:-1, 2:] - middle[..., 1:-1, :-2]) / 2
    down = (middle[..., 2:, 1:-1] - middle[..., :-2, 1:-1]) / 2
    misfit = moved - now
    weight = inside / (1 + misfit.square().mean(1, keepdim=True) / _MISFIT**2)
    pairs = ((across, across), (across, down), (down, down), (across, misfit), (down, misfit))
    products = torch.cat([(one * other).mean(1, keepdim=True) for one, other in pairs], 1)
    return _mean(products * weight, _WINDOW)


def _stiffness(found: Tensor, edges: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """How strongly each pixel's flow is tied to its left, right, upper and lower neighbour's."""
    across, down = (
        _SMOOTHNESS * (alike * (1 + step.square().sum(1, keepdim=True) / _JUMP**2).rsqrt() + 0.01)
        for alike, step in zip(edges, _steps(found), strict=True)
    )
    return F.pad(across, (1, 0)), F.pad(across, (0, 1)), F.pad(down, (0, 0, 1, 0)), F.pad(down, (0, 0, 0, 1))


def _solved(tensor: Tensor, ties: tuple[Tensor, ...], found: Tensor, sweeps: int) -> Tensor:
    """The flow at which windows and neighbours agree best, by Jacobi's sweeps with Chebyshev's weights.

    At each pixel: (J + Σ ties) flow = J found − (xt, yt) + Σ ties · neighbours' flow; J is (xx, xy; xy, yy).
    """
    xx, xy, yy, xt, yt = tensor.chunk(5, 1)
    left, right, above, below = ties
    tied = (left + right + above + below).clamp_min(1e-6)  # a picture of one pixel is tied to nothing
    determinant = (xx + tied) * (yy + tied) - xy * xy
    ixx, ixy, iyy = (yy + tied) / determinant, -xy / determinant, (xx + tied) / determinant

    def divided(x: Tensor, y: Tensor) -> Tensor:
        return torch.cat([ixx * x + ixy * y, ixy * x + iyy * y], 1)

    u, v = found.chunk(2, 1)
    constant = divided(xx * u + xy * v - xt, xy * u + yy * v - yt)
    last = current = found
    weight = 1.0
    for sweep in range(sweeps):
        wide = F.pad(current, (1, 1, 1, 1))
        pull = left * wide[..., 1:-1, :-2] + right * wide[..., 1:-1, 2:]
        pull = pull + above * wide[..., :-2, 1:-1] + below * wide[..., 2:, 1:-1]
        following = constant + divided(*pull.chunk(2, 1))
        if sweep:
            weight = 1 / (1 - _CONVERGENCE**2 * (weight / 4 if sweep > 1 else 0.5))
            following = last + weight * (following - last)
        last, current = current, following
    return current
