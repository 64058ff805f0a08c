"""Instant style transfer: a photograph in the style of any painting, without optimising anything.

A network looks at the painting and puts its style into 100 numbers; another paints the photograph as these
tell (Ghiasi et al. 2017; both in `lanterna.networks.instant`). Or the styles are some of the 26 that a second
painter was trained on (Dumoulin et al. 2017).

Where we depart from it: the painter goes over the picture from coarse to fine, first small, for broad
strokes, then at twice the size, up to the picture's own. Each pass sees half the photograph, which keeps
faces faces, and half what was painted before. Large pictures are painted strip by strip with the statistics
of the whole (`lanterna.networks.tiles`). And strength: Ghiasi et al. move from the photograph's own style to
the painting's, but this painter does not give a photograph back when it is told its own style (13 dB on the
astronaut). So the photograph itself is mixed in as well, and strength 0 is the photograph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from lanterna.devices import choose_device, reuse_memory
from lanterna.errors import UsageError
from lanterna.networks import tiles
from lanterna.networks.cache import cached
from lanterna.networks.instant import (
    PREDICTOR_SIDE,
    STYLES,
    open_multistyle_transformer,
    open_style_predictor,
    open_style_transformer,
)
from lanterna.techniques.technique import Frame, Settings

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from lanterna.networks.instant import StylePredictor, StyleTransformer

COARSEST = 512
"""The size (square root of the area, in pixels) of the first pass, at brush 1."""

_FINEST = 1.5  # the last pass is at least this much larger than the first, however small the picture
_PHOTOGRAPH = 0.5  # how much of what a pass sees is the photograph; less where the brush is broad
_MARGIN = 16  # the border's pixels repeated outwards and cut off again: the network draws a frame there


class Instant(Settings):
    """Paint a picture in the style of others, in seconds."""

    verb: ClassVar[str] = "style"

    strength: float = Field(
        default=1.0, ge=0, le=1, description="How much of the style: 0 is the photograph as it was."
    )
    brush: float = Field(
        default=1.0, ge=0.5, le=4, description="How broad the strokes are, beside the picture: 2 is twice."
    )
    weights: tuple[Annotated[float, Field(ge=0, le=1000)], ...] = Field(
        default=(), description="How much of each style, in their order; equally much if none are given."
    )
    built_in: tuple[Annotated[int, Field(ge=0, lt=STYLES)], ...] = Field(
        default=(), description=f"One of {STYLES} built-in styles, 0 to {STYLES - 1}, instead of a painting."
    )
    size: int | None = Field(
        default=None, ge=16, le=16_384, description="Pixels of the longer side; the photograph's own if none."
    )

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        """Weights are weights of something."""
        if self.weights and not sum(self.weights):
            raise UsageError("weights: at least one style needs a weight above 0")
        return self

    def shares(self, styles: int) -> list[float]:
        """How much of each of so many styles, in sum 1. Errors: `UsageError` for more or fewer weights."""
        weights = self.weights or (1.0,) * styles
        if len(weights) != styles:
            raise UsageError(f"weights: expected {styles}, one for each style, got {len(weights)}")
        return [weight / sum(weights) for weight in weights]


@dataclass(frozen=True)
class Painter:
    """What paints: the network, at its device, and the style `(1, S)` mixed from all that are wanted.

    `predictor` finds the photograph's own style, where the style is told by such numbers.
    """

    network: StyleTransformer
    style: Tensor
    predictor: StylePredictor | None


def open_painter(
    settings: Instant | None = None, *, styles: Sequence[Tensor] = (), device: str = "auto"
) -> Painter:
    """Open the networks and look at the paintings, once for as many pictures as are painted with them.

    Errors: `UsageError` for what is no picture, no style, both paintings and built-in styles, or weights that
    are not one for each; `MissingError` where the shelf cannot be filled.
    """
    settings = settings or Instant()
    _check(styles)
    if bool(styles) == bool(settings.built_in):
        raise UsageError("instant: expected paintings as styles, or built-in styles, and not both")
    shares = settings.shares(len(styles) or len(settings.built_in))
    place = choose_device(device)
    if styles:
        predictor = cached("style predictor", open_style_predictor)
        style = torch.tensor([shares]) @ torch.cat([_predicted(predictor, each) for each in styles])
        transformer = cached(("style transformer", place), lambda: open_style_transformer().to(place))
        return Painter(transformer, style, predictor)
    style = torch.zeros(1, STYLES)
    for index, share in zip(settings.built_in, shares, strict=True):
        style[0, index] += share
    transformer = cached(("26 styles", place), lambda: open_multistyle_transformer().to(place))
    return Painter(transformer, style, None)


def instant(
    picture: Tensor,
    settings: Instant | None = None,
    *,
    styles: Sequence[Tensor] = (),
    painter: Painter | None = None,
    device: str = "auto",
) -> Generator[Frame, None, None]:
    """Yield frames: the picture so far, which changes as often as it is gone over; the last is the result.

    `picture` and the paintings in `styles` are `(3, H, W)` in [0, 1], of any sizes; what comes out, on the
    CPU, is as large as the settings say, by default as `picture`. The 26 styles take the place of `styles`.

    An opened `painter` takes the place of `styles`, `device` and the settings' `weights` and `built_in`.

    Errors, before anything is painted: as `open_painter`.
    """
    settings = settings or Instant()
    _check([picture])
    painter = painter or open_painter(settings, styles=styles, device=device)
    reuse_memory()  # each layer fills and frees the same large blocks
    place = next(painter.network.parameters()).device
    picture = picture.detach().to(place, torch.float32)
    if settings.size is not None:
        larger = settings.size / max(picture.shape[1:])
        picture = _resized(picture, [max(1, round(side * larger)) for side in picture.shape[1:]])
    style = painter.style
    if painter.predictor and settings.strength < 1:
        style = torch.lerp(_predicted(painter.predictor, picture), style, settings.strength)
    return _paint(painter.network, picture, style.to(place), settings)


def sizes(height: int, width: int, brush: float = 1.0) -> list[tuple[int, int]]:
    """The heights and widths at which a picture is gone over, from coarse to fine, all multiples of 4.

    Each pass is about twice as large as the one before. The last is the picture's own size, rounded up, or
    larger where the picture is small for the brush.
    """
    own = math.sqrt(height * width)
    first = COARSEST / brush
    last = max(own, _FINEST * first)
    count = max(1, round(math.log2(last / first)))
    scales = [first / own * (last / first) ** (index / count) for index in range(count)] + [last / own]
    return [(4 * math.ceil(height * scale / 4), 4 * math.ceil(width * scale / 4)) for scale in scales]


def _check(pictures: Sequence[Tensor]) -> None:
    for given in pictures:
        if given.dim() != 3 or given.shape[0] != 3 or not given.is_floating_point() or 0 in given.shape:
            raise UsageError(
                f"a picture is floats (3, height, width), got {given.dtype} {tuple(given.shape)}"
            )


def _predicted(predictor: StylePredictor, painting: Tensor) -> Tensor:
    """The style of a picture `(3, H, W)`, `(1, 100)`."""
    painting = painting.detach().cpu().float()
    # As much to see as in training, but all of the painting and undistorted.
    scale = PREDICTOR_SIDE / math.sqrt(painting.shape[1] * painting.shape[2])
    size = [max(1, round(side * scale)) for side in painting.shape[1:]]
    vector: Tensor = predictor(_resized(painting, size)[None])
    return vector


def _paint(
    network: StyleTransformer, picture: Tensor, style: Tensor, settings: Instant
) -> Generator[Frame, None, None]:
    _, height, width = picture.shape
    passes = sizes(height, width, settings.brush)
    each = tiles.steps(network)
    # With paintings the style itself is weakened, and the photograph comes through later.
    opacity = settings.strength if settings.built_in else settings.strength * (2 - settings.strength)
    painted: Tensor | None = None
    shown: Tensor | None = None
    for index, size in enumerate(passes):
        work = tiles.paint(network, _seen(picture, painted, size, settings), style)
        for step, came in enumerate(work, start=index * each + 1):
            if came is not None:
                painted = came[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
                fits = _is_own(size, picture)
                result = painted[:, :height, :width] if fits else _resized(painted, (height, width))
                shown = torch.lerp(picture, result, opacity).clamp_(0, 1).cpu()
            yield Frame(step=step, steps=len(passes) * each, picture=shown)


def _seen(picture: Tensor, painted: Tensor | None, size: tuple[int, int], settings: Instant) -> Tensor:
    """What a pass of that size sees: the photograph, and what the pass before has painted."""
    seen = _fitted(picture, size)
    if painted is not None:
        seen = torch.lerp(_resized(painted, size), seen, _PHOTOGRAPH / max(settings.brush, 1))
    return F.pad(seen[None], (_MARGIN,) * 4, mode="replicate")[0]


def _is_own(size: tuple[int, int], picture: Tensor) -> bool:
    """Whether this is the picture's own size, but for what makes it a multiple of 4."""
    return all(0 <= new - old < 4 for new, old in zip(size, picture.shape[1:], strict=True))


def _fitted(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """The picture at that size; at its own with no pixel changed, the last ones repeated."""
    if _is_own(size, picture):
        down, across = (new - old for new, old in zip(size, picture.shape[1:], strict=True))
        return F.pad(picture[None], (0, across, 0, down), mode="replicate")[0]
    return _resized(picture, size)


def _resized(picture: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(picture.shape[1:]) == tuple(size):
        return picture
    return F.interpolate(picture[None], list(size), mode="bicubic", antialias=True)[0].clamp_(0, 1)
