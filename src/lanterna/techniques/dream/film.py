"""Films of dreams: the endless zoom into one picture, and a film dreamed frame by frame.

In both, each frame starts with what the previous one dreamed, moved as the picture moves: by the zoom, or by
the optical flow of the film (`images/motion.py`). So forms persist, and do not flicker. The first is as old
as DeepDream (Mordvintsev, Olah and Tyka, "Inceptionism", 2015); the second follows Ruder, Dosovitskiy and
Brox, "Artistic style transfer for videos" (2016), section 4, who initialise each frame of a style transfer
with the previous one, warped.

Frames are quantised to 8 bits before the next one starts from them, as on disk: so a film that is resumed
from its frames is identical to an uninterrupted one.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from lanterna.images.drawing import round_to_8_bits
from lanterna.images.motion import flow_and_confidence, warp
from lanterna.networks import open_network
from lanterna.techniques.dream.algorithm import LONGEST, Dream, dream
from lanterna.techniques.octaves import octave_sizes, resized
from lanterna.techniques.technique import Frame

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from lanterna.networks import Network


class DreamFilm(Dream):
    """Dream a film: an endless zoom into a picture, or an animation frame by frame."""

    verb: ClassVar[str] = "dream"

    frames: int = Field(default=120, ge=2, le=100_000, description="The number of frames of the zoom.")
    fps: float = Field(
        default=25.0, gt=0, le=120, description="The frame rate of the zoom, in frames per second."
    )
    zoom: float = Field(
        default=1.025, ge=0.8, le=1.25, description="The scale of each frame relative to the one before."
    )
    turn: float = Field(
        default=0.0, ge=-30, le=30, description="The rotation per frame, in degrees anticlockwise."
    )
    shift: tuple[float, float] = Field(
        default=(0.0, 0.0), description="The shift per frame, right and down, in percent of its size."
    )
    loop: bool = Field(
        default=True, description="Make a loop, by blending the first frame into the last ones."
    )
    frame_octaves: int = Field(default=2, ge=1, le=12, description="Octaves of each frame after the first.")
    frame_steps: int = Field(
        default=3, ge=1, le=100, description="Steps per octave of each frame after the first."
    )
    carry: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="How much of the dream is carried over to the next frame of a film.",
    )


def dream_zoom(
    picture: Tensor,
    settings: DreamFilm,
    *,
    network: Network | None = None,
    guide: Tensor | None = None,
    device: str = "auto",
    done: int = 0,
    first: Tensor | None = None,
    last: Tensor | None = None,
) -> Generator[Frame, None, None]:
    """Yield the frames of an endless zoom into `picture` `(3, H, W)` in [0, 1].

    The first is a dream with these settings; each further one is the previous one enlarged, rotated and
    shifted, and dreamed for a few steps more. Its mean and std are drawn a little towards those of the
    first frame, because otherwise all would end in black and white. For a loop, the first frame is blended
    into the middle of the last ones, at the scale of the zoom, so that the last one leads into the first.

    To resume a film, pass the number of frames `done`, and the `first` and `last` of them.

    Errors: as `dream`.
    """
    network = network or open_network(settings.network, device=device, seed=settings.seed)
    if done == 0 or first is None or last is None:
        (frame,) = deque(dream(picture, settings.as_base(Dream), network=network, guide=guide), 1)
        first = last = round_to_8_bits(frame.full_size())
        done = 1
        yield Frame(1, settings.frames, dict(frame.numbers), first)
    short = _short_dream(settings)
    for number in range(done, settings.frames):
        start = _toned(zoomed(last, settings), first)
        seeded = short.changed({"seed": (settings.seed + number) % 2**31})
        (frame,) = deque(dream(start, seeded, network=network, guide=guide), 1)
        dreamed = frame.full_size()
        if settings.loop:
            dreamed = with_first(dreamed, first, settings.frames - number, settings)
        last = round_to_8_bits(dreamed)
        yield Frame(number + 1, settings.frames, dict(frame.numbers), last)


def dream_frames(
    originals: Iterable[Tensor],
    settings: DreamFilm,
    *,
    count: int,
    network: Network | None = None,
    guide: Tensor | None = None,
    device: str = "auto",
    done: int = 0,
    last: Tensor | None = None,
) -> Generator[Frame, None, None]:
    """Dream a film frame by frame: yield a frame for each of the `count` `originals` `(3, H, W)` in [0, 1].

    What the previous frame dreamed is warped by the optical flow to the current one, weighted by the
    confidence of the flow, and the dream continues from there; its steps are weaker where more was carried
    over. With a `carry` of 0 every frame is dreamed by itself.

    To resume a film, pass the number of frames `done` and the `last` of them; `originals` then starts with
    the original of that one.

    Errors: as `dream`.
    """
    network = network or open_network(settings.network, device=device, seed=settings.seed)
    dream_settings = settings.as_base(Dream)
    previous: tuple[Tensor, Tensor] | None = None  # original and dreamed
    number = done
    for original in originals:
        height, width = original.shape[1:]
        longest = settings.size or min(max(height, width), LONGEST)
        current = resized(original, octave_sizes(height, width, longest, 1, 2.0)[0]).clamp(0, 1)
        if number and previous is None and last is not None:
            previous = current, last
            continue
        start, masks = current, []
        if previous is not None and settings.carry:
            flow, confidence = flow_and_confidence(previous[0], current)
            carried = settings.carry * confidence
            start = (current + carried * warp(previous[1] - previous[0], flow)).clamp(0, 1)
            masks = [(1 - carried).sqrt()]
        (frame,) = deque(dream(start, dream_settings, network=network, guide=guide, masks=masks), 1)
        dreamed = round_to_8_bits(frame.full_size())
        previous = current, dreamed
        number += 1
        yield Frame(number, count, dict(frame.numbers), dreamed)


def zoomed(picture: Tensor, settings: DreamFilm, times: float = 1.0) -> Tensor:
    """Zoom, rotate and shift a frame `(3, H, W)` as `times` frames do, with reflection padding."""
    return F.grid_sample(
        picture[None], _grid(picture, settings, times), "bicubic", "reflection", align_corners=False
    )[0].clamp(0, 1)


def with_first(picture: Tensor, first: Tensor, left: int, settings: DreamFilm) -> Tensor:
    """Blend the first frame into the middle of a frame, `left` frames before the loop closes.

    It has the size from which the zoom enlarges it to the full frame in that time, and fades in from a fifth
    of the frame on. Its edge is soft, the more so the smaller it is. Without a zoom, the first frame fades in
    over the last quarter of the film.
    """
    scale = settings.zoom**-left
    if not 0.2 < scale <= 1 or settings.zoom <= 1:
        opacity = 0.0 if settings.zoom > 1 else max(0.0, 1 - left / (settings.frames / 4))
        return (1 - opacity) * picture + opacity * first
    grid = _grid(first, settings, -left)
    small = F.grid_sample(first[None], grid, "bicubic", "border", align_corners=False)[0].clamp(0, 1)
    inside = 1 - grid[0].abs().amax(2)  # 0 at the edge of the first frame, 1 in its middle
    alpha = (inside / (0.01 + 0.4 * (1 - scale))).clamp(0, 1)
    alpha = alpha * alpha * (3 - 2 * alpha) * min(1.0, (scale - 0.2) / 0.3)
    return alpha * small + (1 - alpha) * picture


def _short_dream(settings: DreamFilm) -> Dream:
    """Return the settings of the dream of each frame after the first."""
    changes = {"octaves": settings.frame_octaves, "steps": settings.frame_steps, "blend": 1.0}
    return settings.as_base(Dream).changed(changes)


def _grid(picture: Tensor, settings: DreamFilm, times: float) -> Tensor:
    """Return the positions of a frame's pixels `times` frames before, `(1, H, W, 2)` from -1 to 1."""
    height, width = picture.shape[1:]
    scale, angle = settings.zoom**-times, math.radians(settings.turn * times)
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    right, down = (-2 * times * part / 100 for part in settings.shift)
    matrix = [[cos, -sin * height / width, right], [sin * width / height, cos, down]]
    return F.affine_grid(picture.new_tensor([matrix]), [1, 3, height, width], align_corners=False)


def _toned(picture: Tensor, first: Tensor, pull: float = 0.15) -> Tensor:
    """Draw the mean and std of each channel towards those of the first frame."""
    mean, std = picture.mean((1, 2), keepdim=True), picture.std((1, 2), keepdim=True)
    target_mean, target_std = first.mean((1, 2), keepdim=True), first.std((1, 2), keepdim=True)
    toned = (picture - mean) / std.clamp_min(1e-3) * target_std + target_mean
    return torch.lerp(picture, toned, pull).clamp(0, 1)
