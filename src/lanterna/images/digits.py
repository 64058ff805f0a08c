"""The handwritten digits of MNIST, and small changes to them that a hand could have made.

LeCun, Bottou, Bengio, Haffner (1998), "Gradient-based learning applied to document recognition".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor

from lanterna import shelf

if TYPE_CHECKING:
    from collections.abc import Callable

Split = Literal["train", "validation", "test"]


class Digits(NamedTuple):
    """Digits as they are kept: `images` uint8 `(N, 1, 28, 28)`, white ink on black; `labels` int64 `(N,)`."""

    images: Tensor
    labels: Tensor


def mnist(split: Split) -> Digits:
    """The 50,000 `train`, 10,000 `validation` or 10,000 `test` digits, from the shelf.

    Errors: `MissingError` where they are not on the shelf and cannot be fetched.
    """
    with safe_open(shelf.need("mnist") / "mnist.safetensors", "pt") as file:
        images, labels = (file.get_tensor(f"{split}_{part}") for part in ("images", "labels"))
    return Digits(images.unsqueeze(1), labels.long())


def random_shift(images: Tensor, generator: torch.Generator, max_shift: int = 2) -> Tensor:
    """Move each digit by up to `max_shift` whole pixels either way, at random. `(N, 1, 28, 28)`, any type."""
    count, _, side, _ = images.shape
    padded = F.pad(images, (max_shift, max_shift, max_shift, max_shift))
    by = torch.randint(0, 2 * max_shift + 1, (2, count, 1), generator=generator).to(images.device)
    along = torch.arange(side, device=images.device)
    rows, columns = by[0] + along, by[1] + along  # (N, 28) each
    each = torch.arange(count, device=images.device)
    return padded[each[:, None, None], 0, rows[:, :, None], columns[:, None, :]].unsqueeze(1)


def random_affine(
    images: Tensor,
    generator: torch.Generator,
    *,
    turn: float,
    scale: float,
    shear: float,
    move: float,
    wobble: float = 0.0,
) -> Tensor:
    """Turn, stretch, slant, move and wobble each digit at random. `(N, 1, 28, 28)` float in [0, 1].

    `turn` in degrees, `scale` as the share by which each side may grow or shrink, `shear` as the share of the
    height by which the top slides against the middle, `move` and `wobble` in pixels. A wobble is a smooth
    random field of displacements (Simard, Steinkraus and Platt 2003, section 2), here drawn on a 5 × 5 grid
    and interpolated, where the paper blurs noise at every pixel.
    """
    count, side = len(images), images.shape[-1]

    def either_way(most: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * most

    angle = either_way(torch.pi * turn / 180)
    wide, high, slant = 1 + either_way(scale), 1 + either_way(scale), either_way(shear)
    cos, sin = angle.cos(), angle.sin()
    half = side / 2  # affine_grid counts from -1 to 1
    across = torch.stack([cos * wide, slant * cos - sin * high, either_way(move / half)], 1)
    down = torch.stack([sin * wide, slant * sin + cos * high, either_way(move / half)], 1)
    grid = F.affine_grid(torch.stack([across, down], 1), [count, 1, side, side], align_corners=False)
    if wobble:
        coarse = torch.randn(count, 2, 5, 5, generator=generator) * (wobble / half)
        smooth = F.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=True)
        grid = grid + smooth.permute(0, 2, 3, 1)
    return F.grid_sample(images, grid.to(images), align_corners=False)


def random_pen(images: Tensor, generator: torch.Generator) -> Tensor:
    """Make each digit bolder or finer by up to a pixel, softer, and its ink fuller. Float in [0, 1]."""

    def up_to(most: float) -> Tensor:
        return (torch.rand(len(images), 1, 1, 1, generator=generator) * most).to(images)

    half = len(images) // 2
    bolder = torch.lerp(images[:half], _over_3x3(images[:half], torch.maximum, 0.0), up_to(0.8)[:half])
    finer = torch.lerp(images[half:], _over_3x3(images[half:], torch.minimum, 1.0), up_to(0.7)[half:])
    drawn = torch.cat([bolder, finer])
    softer = torch.lerp(drawn, _over_3x3(drawn, torch.add, 0.0) / 9, up_to(0.6))
    return (softer * (1 + up_to(0.8))).clamp_(max=1)


def _over_3x3(images: Tensor, join: Callable[[Tensor, Tensor], Tensor], beyond: float) -> Tensor:
    """Each pixel joined with its eight neighbours, `beyond` past the edge: rows first, then columns.

    What torch's own 3 × 3 pooling gives, but many times faster for pictures of a single channel.
    """
    padded = F.pad(images, (1, 1, 1, 1), value=beyond)
    rows = join(join(padded[..., :-2, :], padded[..., 1:-1, :]), padded[..., 2:, :])
    return join(join(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])


def random_handwriting(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each digit as another hand with another pen might have written it, `(N, 1, 28, 28)` in [0, 1]."""
    drawn = random_affine(images, generator, turn=17, scale=0.18, shear=0.3, move=2.0)
    return random_pen(drawn, generator)


def random_scatter(images: Tensor, generator: torch.Generator) -> Tensor:
    """Undo what the makers of MNIST did: digits of different sizes and turns, off the middle."""
    return random_affine(images, generator, turn=25, scale=0.35, shear=0.0, move=5.0)
