"""The pixels that a network learns to paint: their positions and colours, and which it trains on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lanterna.errors import UsageError
from lanterna.techniques.octaves import resized

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST = 512
"""Default limit of the longer side, in pixels."""


class Pixels:
    """The pixels of one or more pictures of one size, stored as bytes to save memory.

    `colours` is `(P * H * W, 3)` uint8. `trained` has the indices of the pixels to train on, or None for all;
    `held_out` those of all others whose colours are known, or None if there are none.
    """

    def __init__(self, colours: Tensor, size: tuple[int, int], pictures: int) -> None:
        self.colours, self.size, self.pictures = colours, size, pictures
        self.trained: Tensor | None = None
        self.held_out: Tensor | None = None

    def __len__(self) -> int:
        """Return how many pixels to train on."""
        return len(self.colours) if self.trained is None else len(self.trained)

    def hold_out(self, trained: Tensor, known: Tensor) -> None:
        """Train only on some pixels; `trained` and `known` are bool, `(P * H * W,)`."""
        self.trained, rest = trained.nonzero().flatten(), (known & ~trained).nonzero().flatten()
        self.held_out = rest if len(rest) else None

    def indices(self, ranks: Tensor) -> Tensor:
        """Return the indices of pixels, given their ranks among those to train on."""
        return ranks if self.trained is None else self.trained[ranks]

    def positions(self, indices: Tensor) -> Tensor:
        """Return the centres of pixels, `(N, 2)`: x and y as fractions of the frame."""
        height, width = self.size
        row = (indices // width) % height
        return torch.stack([(indices % width + 0.5) / width, (row + 0.5) / height], 1)

    def which(self, indices: Tensor) -> Tensor | None:
        """Return the picture that each pixel belongs to, `(N,)`, or None if there is only one."""
        return indices // (self.size[0] * self.size[1]) if self.pictures > 1 else None

    def colours_at(self, indices: Tensor) -> Tensor:
        """Return colours `(N, 3)` in [0, 1]."""
        return self.colours[indices].float().div_(255)


def prepare_pixels(
    pictures: Sequence[Tensor], masks: Sequence[Tensor], size: int | None, keep: float, seed: int
) -> Pixels:
    """Crop pictures `(3, H, W)` to the shape of the first, resize them for training, and split the pixels.

    `masks`, one for all or one for each, are light where pixels are hidden; `keep` is the share of the
    visible pixels to train on. Hidden pixels do not affect the colours of others, even when the picture is
    shrunk: they may be NaN.
    """
    _check_input(pictures, masks)
    height, width = pictures[0].shape[1:]
    longest = size or min(max(height, width), LONGEST)
    target = tuple(max(1, round(side * longest / max(height, width))) for side in (height, width))
    cropped_masks = [_crop(mask.reshape(1, *mask.shape[-2:]).float(), height, width) for mask in masks]
    colours, trained, known = [], [], []
    for index, picture in enumerate(pictures):
        cropped = _crop(picture.detach().cpu().float(), height, width)
        finite = cropped.isfinite().all(0, keepdim=True)
        visible = finite
        if cropped_masks:
            mask = cropped_masks[index if len(cropped_masks) > 1 else 0]
            visible = finite & (resized(mask, cropped.shape[1:]) < 0.5)
        picture_colours, is_visible = _shrink(cropped, visible, target)
        if visible is not finite:  # hidden colours are only used to measure the held-out PSNR
            hidden_colours, is_known = _shrink(cropped, finite, target)
            picture_colours = torch.where(is_visible, picture_colours, hidden_colours)
        else:
            is_known = is_visible
        colours.append(picture_colours.flatten(1).T)
        trained.append(is_visible.flatten())
        known.append(is_known.flatten())
    pixels = Pixels(torch.cat(colours), (target[0], target[1]), len(pictures))
    is_trained = torch.cat(trained)
    if keep < 1:
        generator = torch.Generator().manual_seed(seed)
        is_trained &= torch.rand(len(is_trained), generator=generator) < keep
    if not is_trained.all():
        pixels.hold_out(is_trained, torch.cat(known))
        if not len(pixels):
            raise UsageError("paint: no pixels are left to train on: mask less, or keep more")
    return pixels


def psnr(mean_squared_error: float) -> float:
    """Return the peak signal-to-noise ratio in dB, for colours in [0, 1]."""
    return -10 * math.log10(max(mean_squared_error, 1e-12))


def _check_input(pictures: Sequence[Tensor], masks: Sequence[Tensor]) -> None:
    if not 1 <= len(pictures) <= 100:
        raise UsageError(f"paint: expected 1 to 100 pictures, got {len(pictures)}")
    for picture in pictures:
        if (
            picture.dim() != 3
            or picture.shape[0] != 3
            or not picture.is_floating_point()
            or not picture.numel()
        ):
            raise UsageError(
                f"expected a picture, floats (3, height, width), got {picture.dtype} {tuple(picture.shape)}"
            )
    if len(masks) not in (0, 1, len(pictures)):
        raise UsageError(f"mask: expected one, or one for each picture, got {len(masks)} for {len(pictures)}")


def _crop(picture: Tensor, height: int, width: int) -> Tensor:
    """Return the largest central crop `(C, H', W')` with the aspect ratio of `height` to `width`."""
    tall, wide = picture.shape[1:]
    scale = min(tall / height, wide / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (tall - rows) // 2, (wide - columns) // 2
    return picture[:, top : top + rows, left : left + columns]


def _shrink(picture: Tensor, visible: Tensor, target: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Resize the visible pixels of a picture to bytes `(3, H, W)`; also return where all were visible."""
    if not visible.all():
        clean = torch.where(visible, picture, 0.0)
        coverage = resized(visible.float(), target)
        complete = coverage > 0.999
        colours = resized(clean, target) / coverage.clamp_min(0.1)
    else:
        colours, complete = resized(picture, target), torch.ones(1, *target, dtype=torch.bool)
    return colours.clamp(0, 1).mul_(255).round_().to(torch.uint8), complete
