"""Instant style transfer: a photograph in the style of any painting, without optimising anything.

One network predicts a style vector of 100 numbers from the painting; another paints the photograph
conditioned on it (Ghiasi et al. 2017; both in `lanterna.networks.instant`). Or the styles are some of the 26
that a second style transformer was trained on (Dumoulin et al. 2017).

Differences from the papers: the transformer runs several times, from coarse to fine, first on a small picture
for broad strokes, then at about twice the size, up to the picture's own. The input of each pass is half the
photograph, so that faces stay faces, and half the output of the pass before. Large pictures are processed in
parts, with the statistics of the whole (`lanterna.networks.tiles`). As for strength, Ghiasi et al.
interpolate from the photograph's own style to the painting's, but this transformer does not reproduce a
photograph from its own style (13 dB on the astronaut). So the photograph itself is mixed in as well, and
strength 0 is the photograph.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import torch
from pydantic import BeforeValidator, Field, model_validator
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
"""Size (square root of the area, in pixels) of the first pass, at brush 1."""

STYLE_NAMES = (
    "ochre-and-blue", "yellow-comic", "ink-and-peach", "bright-tangle", "crimson-poster",
    "rust-and-violet", "midnight-dots", "primary-colours", "coloured-pencils", "teal-mosaic",
    "burnt-copper", "golden-ink", "lilac-and-gold", "lime-woodcut", "pale-blue-wash",
    "stained-glass", "blue-crayon", "red-weaving", "carved-wood", "blue-brush-strokes",
    "dark-red-strokes", "pink-outlines", "thick-outlines", "dark-shadows",
    "blue-woodcut", "thick-oil-paint",
)  # fmt: skip
"""The names of the built-in styles, by what a photograph looks like in each."""

_FINEST = 1.5  # the last pass is at least this much larger than the first, however small the picture
_PHOTOGRAPH = 0.5  # the photograph's share of a pass's input; less for a broad brush
_MARGIN = 16  # pixels of padding, cropped from the output: the network draws a frame along the border


def _style_number(style: object) -> object:
    """Return the number of a built-in style that is given by its name; leave numbers as they are."""
    if isinstance(style, bool):
        raise ValueError(f"expected a style's name or its number, from 0 to {STYLES - 1}")
    if not isinstance(style, str) or style.strip().lstrip("+-").isdecimal():
        return style
    name = style.strip().lower().replace(" ", "-")
    if name in STYLE_NAMES:
        return STYLE_NAMES.index(name)
    close = [each for each in STYLE_NAMES if name in each] or difflib.get_close_matches(
        name, STYLE_NAMES, n=1
    )
    raise ValueError(f"no built-in style has this name: choose from {', '.join(close or STYLE_NAMES)}")


class Instant(Settings):
    """Paint a picture in the style of others, in seconds."""

    verb: ClassVar[str] = "style"

    strength: float = Field(
        default=1.0, ge=0, le=1, description="How strong the style is: 0 is the unchanged photograph."
    )
    brush: float = Field(
        default=1.0, ge=0.5, le=4, description="How broad the strokes are: 2 is twice as broad."
    )
    weights: tuple[Annotated[float, Field(ge=0, le=1000)], ...] = Field(
        default=(), description="The share of each style, in order; equal by default."
    )
    built_in: tuple[Annotated[int, Field(ge=0, lt=STYLES), BeforeValidator(_style_number)], ...] = Field(
        default=(),
        description="Built-in styles instead of paintings, by name or number.",
        json_schema_extra={"names": list(STYLE_NAMES)},
    )
    size: int | None = Field(
        default=None,
        ge=16,
        le=16_384,
        description="Pixels along the longer side; by default the photograph's own.",
    )

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        if self.weights and not sum(self.weights):
            raise UsageError("weights: at least one style needs a weight above 0")
        return self

    def shares(self, styles: int) -> list[float]:
        """Return the share of each style. Errors: `UsageError` if there are more or fewer weights."""
        weights = self.weights or (1.0,) * styles
        if len(weights) != styles:
            raise UsageError(f"weights: expected one for each style, got {len(weights)} for {styles}")
        return [weight / sum(weights) for weight in weights]


@dataclass(frozen=True)
class Painter:
    """A style transformer on its device, with the style `(1, S)` mixed from the requested ones.

    `predictor` predicts the photograph's own style; None for built-in styles.
    """

    network: StyleTransformer
    style: Tensor
    predictor: StylePredictor | None


def open_painter(
    settings: Instant | None = None, *, styles: Sequence[Tensor] = (), device: str = "auto"
) -> Painter:
    """Open the networks and predict the style, once for any number of pictures.

    Errors: `UsageError` for invalid pictures, no style, both paintings and built-in styles, or a number of
    weights that differs from that of styles; `MissingError` if the networks cannot be downloaded.
    """
    settings = settings or Instant()
    _check_pictures(styles)
    if bool(styles) == bool(settings.built_in):
        raise UsageError("instant: expected paintings as styles, or built-in styles, and not both")
    shares = settings.shares(len(styles) or len(settings.built_in))
    place = choose_device(device)
    if styles:
        predictor = cached("style predictor", open_style_predictor)
        style = torch.tensor([shares]) @ torch.cat([_predict_style(predictor, each) for each in styles])
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
    """Yield frames with the picture so far, which changes after each pass; the last has the result.

    `picture` and the paintings in `styles` are `(3, H, W)` in [0, 1], of any sizes. The result, on the CPU,
    has the size of the settings, by default that of `picture`. The settings' `built_in` styles replace
    `styles`.

    An opened `painter` replaces `styles`, `device` and the settings' `weights` and `built_in`.

    Errors, before the first frame: as `open_painter`.
    """
    settings = settings or Instant()
    _check_pictures([picture])
    painter = painter or open_painter(settings, styles=styles, device=device)
    reuse_memory()  # each layer allocates and frees the same large blocks
    place = next(painter.network.parameters()).device
    picture = picture.detach().to(place, torch.float32)
    if settings.size is not None:
        scale = settings.size / max(picture.shape[1:])
        picture = _resize(picture, [max(1, round(side * scale)) for side in picture.shape[1:]])
    style = painter.style
    if painter.predictor and settings.strength < 1:
        style = torch.lerp(_predict_style(painter.predictor, picture), style, settings.strength)
    return _paint(painter.network, picture, style.to(place), settings)


def pass_sizes(height: int, width: int, brush: float = 1.0) -> list[tuple[int, int]]:
    """Return the size (height, width) of each pass, from coarse to fine, all multiples of 4.

    Each is about twice as large as the one before. The last is the picture's own size, rounded up, or larger
    if the picture is small for the brush.
    """
    own = math.sqrt(height * width)
    first = COARSEST / brush
    last = max(own, _FINEST * first)
    count = max(1, round(math.log2(last / first)))
    scales = [first / own * (last / first) ** (index / count) for index in range(count)] + [last / own]
    return [(4 * math.ceil(height * scale / 4), 4 * math.ceil(width * scale / 4)) for scale in scales]


def _check_pictures(pictures: Sequence[Tensor]) -> None:
    for picture in pictures:
        if (
            picture.dim() != 3
            or picture.shape[0] != 3
            or not picture.is_floating_point()
            or 0 in picture.shape
        ):
            raise UsageError(
                f"expected a picture, floats (3, height, width), got {picture.dtype} {tuple(picture.shape)}"
            )


def _predict_style(predictor: StylePredictor, painting: Tensor) -> Tensor:
    """Predict the style of a picture `(3, H, W)`: `(1, 100)`."""
    painting = painting.detach().cpu().float()
    # As many pixels as in training, but the complete painting, undistorted.
    scale = PREDICTOR_SIDE / math.sqrt(painting.shape[1] * painting.shape[2])
    size = [max(1, round(side * scale)) for side in painting.shape[1:]]
    vector: Tensor = predictor(_resize(painting, size)[None])
    return vector


def _paint(
    network: StyleTransformer, picture: Tensor, style: Tensor, settings: Instant
) -> Generator[Frame, None, None]:
    _, height, width = picture.shape
    passes = pass_sizes(height, width, settings.brush)
    steps_per_pass = tiles.steps(network)
    # With paintings, strength already weakens the style itself, so mix in less of the photograph.
    opacity = settings.strength if settings.built_in else settings.strength * (2 - settings.strength)
    painted: Tensor | None = None
    shown: Tensor | None = None
    for index, size in enumerate(passes):
        outputs = tiles.paint(network, _pass_input(picture, painted, size, settings), style)
        for step, output in enumerate(outputs, start=index * steps_per_pass + 1):
            if output is not None:  # the last output of a pass is the picture, all others are None
                painted = output[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
                fits = _is_own_size(size, picture)
                result = painted[:, :height, :width] if fits else _resize(painted, (height, width))
                shown = torch.lerp(picture, result, opacity).clamp_(0, 1).cpu()
            yield Frame(step=step, steps=len(passes) * steps_per_pass, picture=shown)


def _pass_input(picture: Tensor, painted: Tensor | None, size: tuple[int, int], settings: Instant) -> Tensor:
    """Return a pass's input at its size: the photograph, blended with the output of the pass before."""
    blended = _fit(picture, size)
    if painted is not None:
        blended = torch.lerp(_resize(painted, size), blended, _PHOTOGRAPH / max(settings.brush, 1))
    return F.pad(blended[None], (_MARGIN,) * 4, mode="replicate")[0]


def _is_own_size(size: tuple[int, int], picture: Tensor) -> bool:
    """Return whether this is the picture's own size, rounded up to a multiple of 4."""
    return all(0 <= new - old < 4 for new, old in zip(size, picture.shape[1:], strict=True))


def _fit(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the picture at a size; at its own, with unchanged pixels and replicated edges."""
    if _is_own_size(size, picture):
        down, across = (new - old for new, old in zip(size, picture.shape[1:], strict=True))
        return F.pad(picture[None], (0, across, 0, down), mode="replicate")[0]
    return _resize(picture, size)


def _resize(picture: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(picture.shape[1:]) == tuple(size):
        return picture
    return F.interpolate(picture[None], list(size), mode="bicubic", antialias=True)[0].clamp_(0, 1)
