"""Films of dreams: the endless zoom into one picture, and a film dreamed frame after frame.

In both each frame begins with what the one before it dreamed, moved as the picture moves: by the zoom, or by
the motion that is found in the film (optical flow, `images/motion.py`). So forms live on, and do not flicker.
The first is as old as DeepDream (Mordvintsev, Olah and Tyka, "Inceptionism", 2015); the second follows Ruder,
Dosovitskiy and Brox, "Artistic style transfer for videos" (2016), section 4, who begin each frame of a style
transfer with the last one, warped.

Frames go through 8 bits before the next begins with them, as a frame on disk does: so a film that is taken up
again from its frames is the film that would have been.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from lanterna.images.drawing import in_8_bits
from lanterna.images.motion import follow, warp
from lanterna.networks import open_network
from lanterna.techniques.dream.algorithm import LONGEST, Dream, dream
from lanterna.techniques.octaves import octave_sizes, resized
from lanterna.techniques.technique import Frame

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from lanterna.networks import Network


class DreamFilm(Dream):
    """A film of dreams: an endless zoom into a picture, or somebody's film, dreamed."""

    verb: ClassVar[str] = "dream"

    frames: int = Field(default=120, ge=2, le=100_000, description="How many frames the zoom has.")
    fps: float = Field(default=25.0, gt=0, le=120, description="Frames a second of the zoom.")
    zoom: float = Field(
        default=1.025, ge=0.8, le=1.25, description="How much larger each frame shows the one before it."
    )
    turn: float = Field(default=0.0, ge=-30, le=30, description="Degrees each frame turns, anticlockwise.")
    shift: tuple[float, float] = Field(
        default=(0.0, 0.0), description="How far each frame moves, right and down, in percent of its size."
    )
    loop: bool = Field(
        default=True, description="End where it began: the first frame lies in the middle of the last ones."
    )
    frame_octaves: int = Field(default=2, ge=1, le=12, description="Octaves of every frame but the first.")
    frame_steps: int = Field(default=3, ge=1, le=100, description="Steps an octave, but for the first frame.")
    carry: float = Field(
        default=0.9, ge=0, le=1, description="How much of the dream goes over to the next frame of a film."
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
    """The endless zoom into `picture` `(3, H, W)` in [0, 1]: one frame for each of the film.

    The first is the dream of the settings; each other shows the one before it larger, turned and shifted, and
    dreams on for a few steps. Light and colour are held: a frame is drawn a little towards the mean and the
    contrast of the first, or all would end in black and white. For a loop, the first frame is laid into the
    middle of the last ones, as small as the zoom asks, so that the last goes over into the first.

    To take a film up again, give how many frames are `done`, and the `first` and the `last` of them.

    Errors: as `dream`.
    """
    network = network or open_network(settings.network, device=device)
    if done == 0 or first is None or last is None:
        begin = settings.as_base(Dream)
        for part in dream(picture, begin, network=network, guide=guide):
            whole = part
        first = last = in_8_bits(whole.full_size())
        done = 1
        yield Frame(1, settings.frames, dict(whole.numbers), first)
    onward = _onward(settings)
    for number in range(done, settings.frames):
        moved = _toned(zoomed(last, settings), first)
        (part,) = deque(
            dream(moved, onward.changed({"seed": _seed(settings, number)}), network=network, guide=guide), 1
        )
        dreamed = part.full_size()
        if settings.loop:
            dreamed = with_first(dreamed, first, settings.frames - number, settings)
        last = in_8_bits(dreamed)
        yield Frame(number + 1, settings.frames, dict(part.numbers), last)


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
    """A film dreamed: a frame for each of `originals` `(3, H, W)` in [0, 1], of which there are `count`.

    What the last frame dreamed is moved along the motion from its original to this one, as far as that can
    be trusted, and dreaming goes on from there: for as many steps as the settings say where nothing came
    over, for few where almost all did. With a `carry` of 0 every frame is dreamed by itself.

    To take a film up again, give how many frames are `done` and the `last` of them; `originals` then begins
    with the original of that one.

    Errors: as `dream`.
    """
    network = network or open_network(settings.network, device=device)
    begin = settings.as_base(Dream)
    before: tuple[Tensor, Tensor] | None = None
    number = done
    for original in originals:
        height, width = original.shape[1:]
        longest = settings.size or min(max(height, width), LONGEST)
        here = resized(original, octave_sizes(height, width, longest, 1, 2.0)[0]).clamp(0, 1)
        if number and before is None and last is not None:
            before = here, last
            continue
        start, masks = here, []
        if before is not None and settings.carry:
            moved, sure = follow(before[0], here)
            sure = settings.carry * sure
            start = (here + sure * warp(before[1] - before[0], moved)).clamp(0, 1)
            masks = [(1 - sure).sqrt()]
        (part,) = deque(dream(start, begin, network=network, guide=guide, masks=masks), 1)
        dreamed = in_8_bits(part.full_size())
        before = here, dreamed
        number += 1
        yield Frame(number, count, dict(part.numbers), dreamed)


def zoomed(picture: Tensor, settings: DreamFilm, times: float = 1.0) -> Tensor:
    """A frame `(3, H, W)` as it looks `times` frames on, undreamed; beyond its border lies its mirror."""
    return F.grid_sample(
        picture[None], _grid(picture, settings, times), "bicubic", "reflection", align_corners=False
    )[0].clamp(0, 1)


def with_first(picture: Tensor, first: Tensor, left: int, settings: DreamFilm) -> Tensor:
    """A frame with the first one in its middle, as small as it is `left` frames before it is reached again.

    Its edge is soft, and the softer the smaller it is; it shows itself over the time in which it grows from
    a fifth of the frame. Without a zoom, which it could grow by, it comes in over the last quarter.
    """
    scale = settings.zoom**-left
    if not 0.2 < scale <= 1 or settings.zoom <= 1:
        shown = 0.0 if settings.zoom > 1 else max(0.0, 1 - left / (settings.frames / 4))
        return (1 - shown) * picture + shown * first
    grid = _grid(first, settings, -left)
    small = F.grid_sample(first[None], grid, "bicubic", "border", align_corners=False)[0].clamp(0, 1)
    inside = 1 - grid[0].abs().amax(2)  # 0 at the edge of the first frame, 1 in its middle
    soft = (inside / (0.01 + 0.4 * (1 - scale))).clamp(0, 1)
    soft = soft * soft * (3 - 2 * soft) * min(1.0, (scale - 0.2) / 0.3)
    return soft * small + (1 - soft) * picture


def _onward(settings: DreamFilm) -> Dream:
    few = {"octaves": settings.frame_octaves, "steps": settings.frame_steps, "blend": 1.0}
    return settings.as_base(Dream).changed(few)


def _seed(settings: DreamFilm, number: int) -> int:
    return (settings.seed + number) % 2**31


def _grid(picture: Tensor, settings: DreamFilm, times: float) -> Tensor:
    """Where each pixel of a frame lay `times` frames ago, `(1, H, W, 2)` from -1 to 1."""
    height, width = picture.shape[1:]
    scale, angle = settings.zoom**-times, math.radians(settings.turn * times)
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    right, down = (-2 * times * part / 100 for part in settings.shift)
    matrix = [[cos, -sin * height / width, right], [sin * width / height, cos, down]]
    return F.affine_grid(picture.new_tensor([matrix]), [1, 3, height, width], align_corners=False)


def _toned(picture: Tensor, first: Tensor, pull: float = 0.15) -> Tensor:
    """A frame with the mean and the contrast of each colour drawn towards the first frame's."""
    mean, std = picture.mean((1, 2), keepdim=True), picture.std((1, 2), keepdim=True)
    wanted = first.mean((1, 2), keepdim=True), first.std((1, 2), keepdim=True)
    toned = (picture - mean) / std.clamp_min(1e-3) * wanted[1] + wanted[0]
    return torch.lerp(picture, toned, pull).clamp(0, 1)
