"""The pixels that a network learns to paint: where they are, their colours, and which it may see."""

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
"""Pixels along the longer side, at most, where no size is asked for."""


class Pixels:
    """The pixels of one or more pictures of one size, kept as bytes, so that a large picture fits.

    `colours` `(P * H * W, 3)` uint8. `seen` are the numbers of the pixels that are trained on, `held_out` of
    those that are not and whose colours are known; None for all, and for none.
    """

    def __init__(self, colours: Tensor, size: tuple[int, int], pictures: int) -> None:
        self.colours, self.size, self.pictures = colours, size, pictures
        self.seen: Tensor | None = None
        self.held_out: Tensor | None = None

    def __len__(self) -> int:
        """How many pixels are trained on."""
        return len(self.colours) if self.seen is None else len(self.seen)

    def hold_out(self, seen: Tensor, known: Tensor) -> None:
        """Train on no others than `seen`; both `(P * H * W,)` of bool."""
        self.seen, rest = seen.nonzero().flatten(), (known & ~seen).nonzero().flatten()
        self.held_out = rest if len(rest) else None

    def numbers(self, chosen: Tensor) -> Tensor:
        """The numbers of pixels, of their numbers among those that are trained on."""
        return chosen if self.seen is None else self.seen[chosen]

    def positions(self, numbers: Tensor) -> Tensor:
        """Where pixels are, `(N, 2)`: x and y of their middles as fractions of the frame."""
        height, width = self.size
        row = (numbers // width) % height
        return torch.stack([(numbers % width + 0.5) / width, (row + 0.5) / height], 1)

    def which(self, numbers: Tensor) -> Tensor | None:
        """Of which picture pixels are, `(N,)`, where there are several."""
        return numbers // (self.size[0] * self.size[1]) if self.pictures > 1 else None

    def colours_of(self, numbers: Tensor) -> Tensor:
        """Colours `(N, 3)` in [0, 1]."""
        return self.colours[numbers].float().div_(255)


def prepare_pixels(
    pictures: Sequence[Tensor], masks: Sequence[Tensor], size: int | None, keep: float, seed: int
) -> Pixels:
    """The pixels of pictures `(3, H, W)` at the size that is trained at, all cut to the shape of the first.

    `masks`, one for all or one for each, are light where a pixel is not to be seen; `keep` is the share of
    the others that is. Pixels that are hidden have no part in the colours of the others, not even where the
    picture is made smaller: they may as well be NaN.
    """
    _check(pictures, masks)
    height, width = pictures[0].shape[1:]
    longest = size or min(max(height, width), LONGEST)
    goal = tuple(max(1, round(side * longest / max(height, width))) for side in (height, width))
    hidden = [_cut(mask.reshape(1, *mask.shape[-2:]).float(), height, width) for mask in masks]
    colours, seen, known = [], [], []
    for number, picture in enumerate(pictures):
        fitting = _cut(picture.detach().cpu().float(), height, width)
        exists = fitting.isfinite().all(0, keepdim=True)
        visible = exists
        if hidden:
            mask = hidden[number if len(hidden) > 1 else 0]
            visible = exists & (resized(mask, fitting.shape[1:]) < 0.5)
        bytes_, where = _shrunk(fitting, visible, goal)
        if visible is not exists:  # what is hidden is compared with, later, and nothing else
            hidden_bytes, there = _shrunk(fitting, exists, goal)
            bytes_ = torch.where(where, bytes_, hidden_bytes)
        else:
            there = where
        colours.append(bytes_.flatten(1).T)
        seen.append(where.flatten())
        known.append(there.flatten())
    pixels = Pixels(torch.cat(colours), (goal[0], goal[1]), len(pictures))
    may_see = torch.cat(seen)
    if keep < 1:
        generator = torch.Generator().manual_seed(seed)
        may_see &= torch.rand(len(may_see), generator=generator) < keep
    if not may_see.all():
        pixels.hold_out(may_see, torch.cat(known))
        if not len(pixels):
            raise UsageError("paint: no pixel is left to learn from: mask less, or keep more")
    return pixels


def psnr(mean_squared_error: float) -> float:
    """Peak signal to noise ratio in dB, of colours in [0, 1]."""
    return -10 * math.log10(max(mean_squared_error, 1e-12))


def _check(pictures: Sequence[Tensor], masks: Sequence[Tensor]) -> None:
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
                f"a picture is floats (3, height, width), got {picture.dtype} {tuple(picture.shape)}"
            )
    if len(masks) not in (0, 1, len(pictures)):
        raise UsageError(
            f"paint: expected one mask, or {len(pictures)}, one for each picture, got {len(masks)}"
        )


def _cut(picture: Tensor, height: int, width: int) -> Tensor:
    """The largest middle part `(C, H', W')` that has the shape of `height` to `width`."""
    tall, wide = picture.shape[1:]
    scale = min(tall / height, wide / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (tall - rows) // 2, (wide - columns) // 2
    return picture[:, top : top + rows, left : left + columns]


def _shrunk(picture: Tensor, visible: Tensor, goal: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """A picture's bytes `(3, H, W)` at another size, of visible pixels alone; and where all were visible."""
    if not visible.all():
        clean = torch.where(visible, picture, 0.0)
        share = resized(visible.float(), goal)
        where = share > 0.999
        colours = resized(clean, goal) / share.clamp_min(0.1)
    else:
        colours, where = resized(picture, goal), torch.ones(1, *goal, dtype=torch.bool)
    return colours.clamp(0, 1).mul_(255).round_().to(torch.uint8), where
