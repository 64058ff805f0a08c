"""The handwritten digits of MNIST, and their augmentation: random shifts, distortions and strokes.

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
    """Labelled digits: `images` uint8 `(N, 1, 28, 28)`, white ink on black; `labels` int64 `(N,)`."""

    images: Tensor
    labels: Tensor


def mnist(split: Split) -> Digits:
    """Return the 50,000 `train`, 10,000 `validation` or 10,000 `test` digits, from the shelf.

    Errors: `MissingError` if they are not on the shelf and cannot be fetched.
    """
    with safe_open(shelf.need("mnist") / "mnist.safetensors", "pt") as file:
        images, labels = (file.get_tensor(f"{split}_{part}") for part in ("images", "labels"))
    return Digits(images.unsqueeze(1), labels.long())


def random_shift(images: Tensor, generator: torch.Generator, max_shift: int = 2) -> Tensor:
    """Shift each digit by up to `max_shift` whole pixels either way. `(N, 1, 28, 28)`, any dtype."""
    count, _, side, _ = images.shape
    padded = F.pad(images, (max_shift, max_shift, max_shift, max_shift))
    offsets = torch.randint(0, 2 * max_shift + 1, (2, count, 1), generator=generator).to(images.device)
    positions = torch.arange(side, device=images.device)
    rows, columns = offsets[0] + positions, offsets[1] + positions  # (N, 28) each
    index = torch.arange(count, device=images.device)
    return padded[index[:, None, None], 0, rows[:, :, None], columns[:, None, :]].unsqueeze(1)


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
    """Rotate, scale, shear, shift and wobble each digit at random. `(N, 1, 28, 28)` float in [0, 1].

    `turn` is the maximum rotation in degrees, `scale` the share by which each side may grow or shrink,
    `shear` the share of the height by which the top slides against the middle, `move` and `wobble` are in
    pixels. A wobble is a smooth random displacement field (Simard, Steinkraus and Platt 2003, section 2),
    here drawn on a 5 × 5 grid and interpolated, whereas the paper blurs noise at every pixel.
    """
    count, side = len(images), images.shape[-1]

    def uniform(limit: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * limit

    angle = uniform(torch.pi * turn / 180)
    wide, high, slant = 1 + uniform(scale), 1 + uniform(scale), uniform(shear)
    cos, sin = angle.cos(), angle.sin()
    half = side / 2  # affine_grid's coordinates are -1 to 1
    across = torch.stack([cos * wide, slant * cos - sin * high, uniform(move / half)], 1)
    down = torch.stack([sin * wide, slant * sin + cos * high, uniform(move / half)], 1)
    grid = F.affine_grid(torch.stack([across, down], 1), [count, 1, side, side], align_corners=False)
    if wobble:
        coarse = torch.randn(count, 2, 5, 5, generator=generator) * (wobble / half)
        smooth = F.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=True)
        grid = grid + smooth.permute(0, 2, 3, 1)
    return F.grid_sample(images, grid.to(images), align_corners=False)


def random_pen(images: Tensor, generator: torch.Generator) -> Tensor:
    """Make each digit bolder or finer by up to a pixel, blur it and strengthen its ink. Float in [0, 1]."""

    def up_to(limit: float) -> Tensor:
        return (torch.rand(len(images), 1, 1, 1, generator=generator) * limit).to(images)

    half = len(images) // 2
    bolder = torch.lerp(images[:half], _over_3x3(images[:half], torch.maximum, 0.0), up_to(0.8)[:half])
    finer = torch.lerp(images[half:], _over_3x3(images[half:], torch.minimum, 1.0), up_to(0.7)[half:])
    drawn = torch.cat([bolder, finer])
    softer = torch.lerp(drawn, _over_3x3(drawn, torch.add, 0.0) / 9, up_to(0.6))
    return (softer * (1 + up_to(0.8))).clamp_(max=1)


def _over_3x3(images: Tensor, join: Callable[[Tensor, Tensor], Tensor], beyond: float) -> Tensor:
    """Reduce each pixel with its eight neighbours by `join`; pixels outside the picture are `beyond`.

    The result is that of torch's 3 × 3 pooling, but many times faster for pictures of a single channel.
    """
    padded = F.pad(images, (1, 1, 1, 1), value=beyond)
    rows = join(join(padded[..., :-2, :], padded[..., 1:-1, :]), padded[..., 2:, :])
    return join(join(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])


def random_handwriting(images: Tensor, generator: torch.Generator) -> Tensor:
    """Vary each digit as if another person had written it with another pen, `(N, 1, 28, 28)` in [0, 1]."""
    drawn = random_affine(images, generator, turn=17, scale=0.18, shear=0.3, move=2.0)
    return random_pen(drawn, generator)


def random_scatter(images: Tensor, generator: torch.Generator) -> Tensor:
    """Undo MNIST's normalisation: digits of different sizes and rotations, off centre."""
    return random_affine(images, generator, turn=25, scale=0.35, shear=0.0, move=5.0)
