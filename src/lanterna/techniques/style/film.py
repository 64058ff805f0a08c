"""Films in the style of a painting: each frame goes on from the one before, so that strokes move along.

A film that is painted frame by frame flickers: whatever the painting leaves open falls out anew in each. So
what the last frame became is moved along the motion that is found in the film (optical flow,
`images/motion.py`), and counts as far as that can be trusted, as in Ruder, Dosovitskiy and Brox, "Artistic
style transfer for videos" (2016): the optimised one begins with it (section 4.1), for a few steps at the
final size; both are drawn towards it.

Where we depart from it: their temporal loss (eq. 7) pulls a picture to the moved one while it is optimised;
we blend the two afterwards, which is as steady and goes down no slower. What is newly seen begins with the
photograph in the colours of the last frame, and is given the painting's statistics by itself: as a part of
the whole it would hardly count, and stay the photograph. What comes in from the border is taken for newly
seen, as the frame that networks draw there would be drawn into the picture.

Frames go through 8 bits before the next begins with them, as a frame on disk does: so a film that is taken up
again from its frames is the film that would have been.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field
from torch import Tensor

from lanterna.errors import UsageError
from lanterna.images.drawing import in_8_bits
from lanterna.images.motion import follow, warp
from lanterna.images.palette import with_histogram
from lanterna.networks import open_network
from lanterna.networks.inference import optimize_for_inference
from lanterna.techniques.octaves import resized
from lanterna.techniques.style.algorithm import Stylize, style, style_sizes
from lanterna.techniques.style.instant import Instant, instant, open_painter
from lanterna.techniques.style.layers import layers_of
from lanterna.techniques.technique import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from lanterna.networks import Network

_NEW = 0.3  # how much the statistics of what is newly seen count, beside those of the whole frame
_FEW = 0.002  # a part of the frame too small to have statistics
_BORDER = 8  # pixels along the border that networks do not paint as they paint the rest


class StyleFilm(Stylize):
    """A film in the style of a painting."""

    frame_steps: int = Field(default=10, ge=1, le=1000, description="Steps of every frame but the first.")
    carry: float = Field(
        default=0.5, ge=0, le=1, description="How much each frame is drawn to the last; 0: by itself."
    )


class InstantFilm(Instant):
    """A film in the style of a painting, in one go for each frame."""

    carry: float = Field(
        default=0.8, ge=0, le=1, description="How much each frame is drawn to the last; 0: by itself."
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
    """A film painted: a frame for each of `originals` `(3, H, W)` in [0, 1], of which there are `count`.

    The first is painted as the settings say; each other goes on from the last one for `frame_steps`. With a
    `carry` of 0 every frame is painted by itself. `styles` are paintings `(3, H, W)`.

    To take a film up again, give how many frames are `done` and the `last` of them; `originals` then begins
    with the original of that one.

    Errors, before the first frame: as `style`.
    """
    settings = settings or StyleFilm()
    first = settings.as_base(Stylize)
    network = network or open_network(settings.network, device=device)
    content, layers = layers_of(network, first.content_layer, first.style_layers)
    work = optimize_for_inference(network, [content, *layers])
    style(torch.zeros(3, 64, 64), first, styles=styles, network=work)  # what is wrong is told now
    # One size, the final one: a smaller one before it would lose what the last frame brings.
    onward = first.model_copy(update={"ratio": math.inf, "steps": settings.frame_steps})
    shares = settings.weights or (1.0,) * len(styles)

    def fitted(original: Tensor) -> Tensor:
        return resized(original, style_sizes(original.shape[1], original.shape[2], first)[-1]).clamp(0, 1)

    def paint(here: Tensor, moved: Tensor | None, sure: Tensor) -> tuple[Tensor, dict[str, float]]:
        given: dict[str, Any] = {"styles": styles}
        how = first
        if moved is not None:
            how = onward
            given["start"] = torch.lerp(with_histogram(here, moved), moved, sure)
            new = (1 - sure)[0]
            if new.mean() > _FEW:
                given = {**given, "styles": [*styles, *styles]}
                given["masks"] = [None] * len(styles) + [new] * len(styles)
                how = onward.model_copy(update={"weights": (*shares, *(_NEW * each for each in shares))})
        (frame,) = deque(style(here, how, network=work, **given), 1)
        return frame.full_size(), dict(frame.numbers)

    return _film(originals, fitted, paint, settings.carry, count=count, done=done, last=last)


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
    """A film painted in one go for each frame, and drawn to the one before: otherwise as `style_frames`.

    Errors, before the first frame: as `instant`.
    """
    settings = settings or InstantFilm()
    alone = settings.as_base(Instant)
    painter = open_painter(alone, styles=styles, device=device)

    def fitted(original: Tensor) -> Tensor:
        larger = (alone.size or max(original.shape[1:])) / max(original.shape[1:])
        size = tuple(max(16, round(side * larger)) for side in original.shape[1:])
        return resized(original, size).clamp(0, 1)

    own = alone.changed({"size": None})

    def paint(here: Tensor, _moved: Tensor | None, _sure: Tensor) -> tuple[Tensor, dict[str, float]]:
        (frame,) = deque(instant(here, own, painter=painter), 1)
        assert frame.picture is not None
        return frame.picture, {}

    return _film(originals, fitted, paint, settings.carry, count=count, done=done, last=last)


def _film(
    originals: Iterable[Tensor],
    fitted: Callable[[Tensor], Tensor],
    paint: Callable[[Tensor, Tensor | None, Tensor], tuple[Tensor, dict[str, float]]],
    carry: float,
    *,
    count: int,
    done: int,
    last: Tensor | None,
) -> Generator[Frame, None, None]:
    """Frame after frame: `paint` is given the original, the last frame moved to it, and how sure that is."""
    before: tuple[Tensor, Tensor] | None = None
    number = done
    for original in originals:
        here = fitted(original)
        if number and before is None and last is not None:
            if last.shape != here.shape:
                raise UsageError(f"the last frame is {tuple(last.shape)}, expected {tuple(here.shape)}")
            before = here, last
            continue
        if before is None or not carry:
            painted, numbers = paint(here, None, here.new_zeros(1, *here.shape[1:]))
        else:
            there, sure = follow(before[0], here)
            sure = sure * _inner(there)
            moved = warp(before[1], there)
            painted, numbers = paint(here, moved, sure)
            painted = torch.lerp(painted, moved, carry * sure)
        before = here, in_8_bits(painted)
        number += 1
        yield Frame(number, count, numbers, before[1])


def _inner(there: Tensor) -> Tensor:
    """1, or less where what was nearer to the border by the flow `(2, H, W)` comes in, `(1, H, W)`."""
    height, width = there.shape[1:]
    down = torch.arange(1, height + 1).minimum(torch.arange(height, 0, -1))
    across = torch.arange(1, width + 1).minimum(torch.arange(width, 0, -1))
    inside = down[:, None].minimum(across).clamp(max=_BORDER).to(there)[None]  # 1 to _BORDER
    return (warp(inside, there) / inside).clamp(max=1)
