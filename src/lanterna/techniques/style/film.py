"""Films in the style of a painting: each frame starts from the previous one, so that strokes move along.

Frames that are painted independently flicker, because the painting leaves much undetermined and each frame
settles it differently. So the previous result is warped along the film's optical flow (`images/motion.py`)
and weighted by the confidence of the flow, as in Ruder, Dosovitskiy and Brox, "Artistic style transfer for
videos" (2016). The optimised film starts each frame from it (section 4.1), for a few steps at the final
size; both kinds of film are blended with it.

Differences from the paper: its temporal loss (eq. 7) pulls the picture towards the warped one during the
optimisation; we blend the two afterwards, which is as steady and converges no slower. Newly revealed regions
start from the photograph in the colours of the previous frame, and get a style loss of their own: within the
whole frame's they would hardly count, and would stay photographic. Regions that enter from the border count
as newly revealed, as networks paint artefacts along the border that would otherwise be drawn into the
picture.

Each frame is rounded to 8 bits before the next starts from it, as a frame on disk is: a film that is resumed
from its frames equals an uninterrupted one.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field
from torch import Tensor

from lanterna.errors import UsageError
from lanterna.images.drawing import round_to_8_bits
from lanterna.images.motion import flow_and_confidence, warp
from lanterna.images.palette import match_histogram
from lanterna.networks import open_network
from lanterna.networks.inference import optimize_for_inference
from lanterna.networks.pooling import with_pooling
from lanterna.techniques.octaves import resized
from lanterna.techniques.style.algorithm import Stylize, style, style_sizes
from lanterna.techniques.style.instant import Instant, instant, open_painter
from lanterna.techniques.style.layers import choose_layers
from lanterna.techniques.technique import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from lanterna.networks import Network

_REVEALED_WEIGHT = 0.3  # style weight of newly revealed regions, relative to the whole frame
_MIN_REVEALED = 0.002  # share of the frame below which a region is too small to have statistics
_BORDER = 8  # pixels along the border with artefacts


class StyleFilm(Stylize):
    """A film in the style of a painting."""

    frame_steps: int = Field(default=10, ge=1, le=1000, description="Steps for every frame after the first.")
    carry: float = Field(
        default=0.65,
        ge=0,
        le=1,
        description="How much of the previous frame is carried over, from 0 (nothing) to 1.",
    )


class InstantFilm(Instant):
    """A film in the style of a painting, each frame in a single pass."""

    carry: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="How much of the previous frame is carried over, from 0 (nothing) to 1.",
    )


def style_frames(
    originals: Iterable[Tensor],
    settings: StyleFilm | None = None,
    *,
    styles: Sequence[Tensor],
    count: int,
    network: Network | None = None,
    device: str = "auto",
    done: int = 0,
    last: Tensor | None = None,
) -> Generator[Frame, None, None]:
    """Paint each of `count` frames `originals`, `(3, H, W)` in [0, 1], and yield the results.

    The first frame is painted as the settings say; each later frame starts from the previous result and takes
    `frame_steps`. With a `carry` of 0 every frame is painted independently. `styles` are paintings
    `(3, H, W)`.

    To resume a film, pass how many frames are `done` and the `last` of them; `originals` then begins with the
    original of that frame.

    Errors, before the first frame: as `style`.
    """
    settings = settings or StyleFilm()
    first = settings.as_base(Stylize)
    network = network or open_network(settings.network, device=device, seed=settings.seed)
    network = with_pooling(network, settings.pooling)
    content, balance = choose_layers(network, first.content_layer, first.style_layers)
    work = optimize_for_inference(network, [content, *balance.layers])
    style(
        torch.zeros(3, 64, 64), first, styles=styles, network=work
    )  # raises its errors before the first frame
    # Only the final size: smaller sizes would blur what the previous frame contributes.
    later = first.model_copy(update={"ratio": math.inf, "steps": settings.frame_steps})
    shares = settings.weights or (1.0,) * len(styles)

    def fit(original: Tensor) -> Tensor:
        return resized(original, style_sizes(original.shape[1], original.shape[2], first)[-1]).clamp(0, 1)

    def paint(original: Tensor, warped: Tensor | None, confidence: Tensor) -> tuple[Tensor, dict[str, float]]:
        options: dict[str, Any] = {"styles": styles}
        frame_settings = first
        if warped is not None:
            frame_settings = later
            options["start"] = torch.lerp(match_histogram(original, warped), warped, confidence)
            revealed = (1 - confidence)[0]
            if revealed.mean() > _MIN_REVEALED:
                options["styles"] = [*styles, *styles]
                options["masks"] = [None] * len(styles) + [revealed] * len(styles)
                weights = (*shares, *(_REVEALED_WEIGHT * share for share in shares))
                frame_settings = later.model_copy(update={"weights": weights})
        (frame,) = deque(style(original, frame_settings, network=work, **options), 1)
        return frame.full_size(), dict(frame.numbers)

    return _film(originals, fit, paint, settings.carry, count=count, done=done, last=last)


def instant_frames(
    originals: Iterable[Tensor],
    settings: InstantFilm | None = None,
    *,
    styles: Sequence[Tensor] = (),
    count: int,
    device: str = "auto",
    done: int = 0,
    last: Tensor | None = None,
) -> Generator[Frame, None, None]:
    """Paint each frame in a single pass and blend it with the previous one; otherwise as `style_frames`.

    Errors, before the first frame: as `instant`.
    """
    settings = settings or InstantFilm()
    base = settings.as_base(Instant)
    painter = open_painter(base, styles=styles, device=device)

    def fit(original: Tensor) -> Tensor:
        scale = (base.size or max(original.shape[1:])) / max(original.shape[1:])
        size = tuple(max(16, round(side * scale)) for side in original.shape[1:])
        return resized(original, size).clamp(0, 1)

    frame_settings = base.changed({"size": None})

    def paint(
        original: Tensor, _warped: Tensor | None, _confidence: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        (frame,) = deque(instant(original, frame_settings, painter=painter), 1)
        assert frame.picture is not None
        return frame.picture, {}

    return _film(originals, fit, paint, settings.carry, count=count, done=done, last=last)


def _film(
    originals: Iterable[Tensor],
    fit: Callable[[Tensor], Tensor],
    paint: Callable[[Tensor, Tensor | None, Tensor], tuple[Tensor, dict[str, float]]],
    carry: float,
    *,
    count: int,
    done: int,
    last: Tensor | None,
) -> Generator[Frame, None, None]:
    """Yield frame after frame. `paint` gets the original, the warped previous result and its confidence."""
    previous: tuple[Tensor, Tensor] | None = None  # original and result
    number = done
    for frame in originals:
        original = fit(frame)
        if number and previous is None and last is not None:
            if last.shape != original.shape:
                raise UsageError(f"the last frame is {tuple(last.shape)}, expected {tuple(original.shape)}")
            previous = original, last
            continue
        if previous is None or not carry:
            painted, numbers = paint(original, None, original.new_zeros(1, *original.shape[1:]))
        else:
            flow, confidence = flow_and_confidence(previous[0], original)
            confidence = confidence * _inside(flow)
            warped = warp(previous[1], flow)
            painted, numbers = paint(original, warped, confidence)
            painted = torch.lerp(painted, warped, carry * confidence)
        previous = original, round_to_8_bits(painted)
        number += 1
        yield Frame(number, count, numbers, previous[1])


def _inside(flow: Tensor) -> Tensor:
    """Return `(1, H, W)`: 1, or less where the flow `(2, H, W)` brings pixels from nearer to the border."""
    height, width = flow.shape[1:]
    down = torch.arange(1, height + 1).minimum(torch.arange(height, 0, -1))
    across = torch.arange(1, width + 1).minimum(torch.arange(width, 0, -1))
    distance = down[:, None].minimum(across).clamp(max=_BORDER).to(flow)[None]  # 1 to _BORDER
    return (warp(distance, flow) / distance).clamp(max=1)
