"""Neural style transfer: a photograph's content, in a painting's style.

Look for the picture whose features at one deep layer are the photograph's and whose statistics of features at
several layers are the painting's, by gradient descent on its pixels. Gatys, Ecker and Bethge, "A Neural
Algorithm of Artistic Style" (2015) and "Image Style Transfer Using Convolutional Neural Networks" (2016).

Where we depart from it: from a small picture to a large one, each beginning with the last (Gatys et al.,
"Controlling Perceptual Factors in Neural Style Transfer", 2017, section 6); styles are compared by means and
covariances unless Gram matrices are asked for; every part of the loss is relative to what it is compared
with, so that weights mean the same for any network, size and painting; fine layers count most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from lanterna.devices import fitting, reuse_memory
from lanterna.errors import UsageError
from lanterna.images.palette import with_colours, with_histogram, with_statistics
from lanterna.networks import Network, open_network
from lanterna.networks.inference import optimize_for_inference
from lanterna.probes.statistics import gram_distance, wasserstein_distance
from lanterna.techniques.checkpoint import Checkpointer, resumed
from lanterna.techniques.octaves import resized, resized_mask
from lanterna.techniques.style.descent import Descent
from lanterna.techniques.style.layers import layers_of, without_frame
from lanterna.techniques.style.loss import (
    Aim,
    Content,
    Loss,
    Style,
    Weights,
    features_of,
    loss_of,
    moments_of,
    reach,
)
from lanterna.techniques.technique import Frame, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

LONGEST = 512
"""Pixels along the longer side, at most, where no size is asked for."""

_COARSEST = 120  # pixels along the longer side of the smallest picture
_CONTENT, _SMOOTHNESS = 0.15, 8.0  # what a strength and a detail of 1 mean


class Stylize(Settings):
    """Paint a photograph in the style of a painting."""

    verb: ClassVar[str] = "style"
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "portrait": {"strength": 0.6},
        "touch": {"strength": 0.3},
        "faithful": {"strength": 0.6, "keep_colours": "light"},
        "palette": {"strength": 2.0, "keep_colours": "palette"},
        "broad": {"strength": 2.0, "brush": 2.0, "detail": 0.5},
        "wild": {"strength": 5.0, "start": "palette"},
        "draft": {"size": 320, "steps": 12},
    }

    network: str = Field(
        default="vgg16", min_length=1, description="Which network to use, or module:function."
    )
    size: int | None = Field(
        default=None, ge=64, le=16_384,
        description="Pixels along the longer side; the photograph's own, up to 512, if not given.",
    )  # fmt: skip
    strength: float = Field(
        default=1.0,
        gt=0,
        le=100,
        description="How much of the painting: 0.3 a touch, 1 usual, 5 hardly a photograph.",
    )
    brush: float = Field(
        default=1.0,
        ge=0.2,
        le=4,
        description="How broad its strokes: the painting's size against the picture's.",
    )
    detail: float = Field(default=1.0, gt=0, le=20, description="How fine its strokes: less is smoother.")
    weights: tuple[float, ...] = Field(
        default=(), description="How much of each painting, where there are several; alike if not given."
    )
    keep_colours: Literal["no", "light", "palette"] = Field(
        default="no",
        description="No: the painting's. Light: the photograph's, and only light and dark are painted. "
        "Palette: the painting's strokes in the photograph's palette.",
    )
    histogram: bool = Field(default=False, description="Give it exactly the painting's colours at the end.")
    start: Literal["photo", "noise", "palette"] = Field(
        default="photo",
        description="Begin with the photograph, noise, or the photograph in the painting's colours.",
    )
    statistics: Literal["wasserstein", "gram"] = Field(
        default="wasserstein",
        description="What a style is: means and covariances of features, or Gram matrices.",
    )
    content_layer: str | None = Field(default=None, description="The layer that tells the content; relu4_2.")
    style_layers: tuple[str, ...] = Field(
        default=(), description="The layers that tell the style; five of VGG's."
    )
    optimiser: Literal["lbfgs", "adam"] = Field(default="lbfgs", description="Optimiser.")
    steps: int = Field(
        default=36, ge=1, le=5000, description="Steps at the final size; smaller ones have more."
    )
    ratio: float = Field(default=2.0, ge=1.1, le=4, description="How many times larger each size is.")
    tile: int = Field(
        default=1024, ge=256, le=8192, multiple_of=16,
        description="The side of the tiles a larger picture is looked at in, in pixels.",
    )  # fmt: skip

    @field_validator("weights", "style_layers", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str | int | float) else value

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.weights and (min(self.weights) < 0 or not sum(self.weights)):
            raise UsageError(f"weights: expected numbers from 0 on, not all 0, got {self.weights}")
        return self


@dataclass(frozen=True)
class StyleFrame(Frame):
    """How far a picture has come; `picture` is as large as the size that is being painted.

    `numbers`: `loss`, and its parts `style` and `content`, each relative: 1 is as far from the painting (from
    the photograph) as nothing at all would be.
    """

    final: tuple[int, int] = (0, 0)

    def full_size(self) -> Tensor:
        """The picture at its final size, `(3, H, W)`, enlarged where it has not come so far."""
        assert self.picture is not None
        return resized(self.picture, self.final).clamp(0, 1)


def style(
    photo: Tensor,
    settings: Stylize | None = None,
    *,
    styles: Sequence[Tensor],
    masks: Sequence[Tensor | None] = (),
    content_mask: Tensor | None = None,
    start: Tensor | None = None,
    network: Network | None = None,
    device: str = "auto",
    checkpoint: Path | None = None,
    checkpoint_every: float | None = None,
    resume: bool = False,
) -> Generator[StyleFrame, Stylize | None, None]:
    """Paint `photo` `(3, H, W)` in [0, 1] in the style of one or more paintings, `(3, H, W)` each.

    Yields how far it has come after each step; settings that are sent in take over from there, as far as its
    `strength`, `detail` and `weights` go. `masks`, one for each of `styles`, `(H, W)` in [0, 1], say where
    its style is wanted, `content_mask` how much the photograph counts where; all are of any size. `start` is
    a picture to begin with. `checkpoint`, `checkpoint_every` and `resume` as for a dream.

    Errors, before the first step: `UsageError` for layers that are not there, or weights or masks that are
    not as many as the paintings; `MissingError` for a network or checkpoint that is not here.
    """
    settings = settings or Stylize()
    if not styles:
        raise UsageError("style: expected at least one painting, got none")
    for name, given in (("weights", settings.weights), ("masks", masks)):
        if given and len(given) != len(styles):
            raise UsageError(f"style: expected {len(styles)} {name}, one for each painting, got {len(given)}")
    network = network or open_network(settings.network, device=device)
    content_layer, layer_weights = layers_of(network, settings.content_layer, settings.style_layers)
    work = without_frame(optimize_for_inference(network, [content_layer, *layer_weights]))
    sizes = style_sizes(photo.shape[1], photo.shape[2], settings)
    place = network.get_buffer("mean").device
    photo = photo.to(place)
    checkpointer = Checkpointer(
        checkpoint, settings, [photo, *styles, *masks, content_mask, start], checkpoint_every
    )
    begun = checkpointer.read(_STATE) if checkpoint and resume else None
    if settings.keep_colours == "palette":
        styles = [with_statistics(each, photo) for each in styles]
    frames = _frames(
        settings,
        work,
        photo,
        [each.to(place) for each in styles],
        masks,
        content_mask,
        start,
        sizes,
        content_layer,
        layer_weights,
        checkpointer,
        begun,
    )
    return resumed(frames, checkpoint) if begun else frames


def style_sizes(height: int, width: int, settings: Stylize) -> list[tuple[int, int]]:
    """The sizes (height, width) that are painted one after another, small to large."""
    largest = settings.size or min(max(height, width), LONGEST)
    count = (
        1 + max(0, math.floor(math.log(largest / _COARSEST) / math.log(settings.ratio)))
        if largest > _COARSEST
        else 1
    )
    longest = [largest / settings.ratio**number for number in reversed(range(count))]
    return [_fitted(height, width, side) for side in longest]


def steps_at(number: int, count: int, settings: Stylize) -> int:
    """How many steps the size of that number (of `count`, from 0) has: the smaller, the more."""
    return round(settings.steps * min(3.0, 1.35 ** (count - 1 - number)))


def _frames(
    settings: Stylize,
    network: Network,
    photo: Tensor,
    styles: Sequence[Tensor],
    masks: Sequence[Tensor | None],
    content_mask: Tensor | None,
    start: Tensor | None,
    sizes: Sequence[tuple[int, int]],
    content_layer: str,
    layer_weights: dict[str, float],
    checkpointer: Checkpointer,
    begun: dict[str, Any] | None,
) -> Generator[StyleFrame, Stylize | None, None]:
    reuse_memory()  # each step fills and frees the same large blocks
    generator = torch.Generator().manual_seed(settings.seed)
    counts = [steps_at(number, len(sizes), settings) for number in range(len(sizes))]
    picture: Tensor | None = None
    first, done, tile = 0, 0, settings.tile
    # Smaller ones are nearly all margin, which every tile looks at again.
    least = max(256, 4 * reach(network, frozenset({content_layer, *layer_weights})))
    if begun:
        first, done, picture = begun["number"], begun["step"], begun["descent"]["picture"].to(photo)
        settings = settings.changed(begun["live"])
    for number, size in list(enumerate(sizes))[first:]:
        here = resized(photo, size).clamp(0, 1)
        if picture is None:
            picture = _start(settings, here, styles, start, generator)
        descent = Descent(_enlarged(picture, photo, size).clamp(0, 1), settings.optimiser)
        longest = max(here.shape[1:])
        aims = partial(
            _aims, settings, network, here, styles, masks, content_mask, content_layer, list(layer_weights)
        )
        (content, painted), tile = fitting(aims, tile, longest, least)
        if begun and number == first:
            descent.restore(begun["descent"])
            numbers = begun["numbers"]
        for step in range(max(1, done), counts[number] + 1):
            if step > done:  # where it was taken up the step is made already
                aim = _aim(settings, content, painted, layer_weights)
                losses = partial(loss_of, network, aim=aim)
                found, tile = _step(descent, losses, tile, longest, least)
                numbers = {"loss": found.total, "style": found.style, "content": found.content}
            shown = _finished(
                settings,
                descent.measured,
                here,
                styles,
                [each.where for each in painted],
                last=number == len(sizes) - 1 and step == counts[number],
            )
            try:
                changed = yield StyleFrame(
                    step=sum(counts[:number]) + step,
                    steps=sum(counts),
                    numbers=numbers,
                    picture=shown.cpu(),
                    final=sizes[-1],
                )
            except GeneratorExit:  # in the middle of a step, picture and optimiser would not fit each other
                checkpointer.write(_state(number, step, descent, settings, numbers))
                raise
            if changed and (new := settings.changed(changed.model_dump(include=_LIVE))) != settings:
                settings = new
                descent.forget()
            checkpointer.maybe_save(_state(number, step, descent, settings, numbers))
        picture, done = descent.measured, 0


_LIVE = {"strength", "detail", "weights"}  # what settings that are sent in may change
_STATE = {"number", "step", "descent", "live", "numbers"}


def _state(
    number: int, step: int, descent: Descent, settings: Stylize, numbers: dict[str, float]
) -> dict[str, object]:
    """Where the work is: what a checkpoint keeps. `number` is of the size, `step` how many it has had."""
    live = settings.model_dump(include=_LIVE)
    return {
        "number": number, "step": step, "descent": descent.state(), "live": live, "numbers": numbers
    }  # fmt: skip


def _start(
    settings: Stylize,
    photo: Tensor,
    styles: Sequence[Tensor],
    start: Tensor | None,
    generator: torch.Generator,
) -> Tensor:
    if start is not None:
        return resized(start.to(photo), tuple(photo.shape[1:])).clamp(0, 1)
    if settings.start == "noise":
        noise = torch.randn(photo.shape, generator=generator).to(photo)
        return (photo.mean((1, 2), keepdim=True) + 0.2 * noise).clamp(0, 1)
    return with_histogram(photo, styles[0]) if settings.start == "palette" else photo.clone()


def _enlarged(picture: Tensor, photo: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture at the next size, with the photograph's own detail where enlarging has none to give.

    Enlarged alone it is blurred, and a third of the steps go into making up for that.
    """
    smaller = picture.shape[1:]
    if smaller == size:
        return picture
    return resized(picture, size) + resized(photo, size) - resized(resized(photo, tuple(smaller)), size)


def _aims(
    settings: Stylize,
    network: Network,
    photo: Tensor,
    styles: Sequence[Tensor],
    masks: Sequence[Tensor | None],
    content_mask: Tensor | None,
    content_layer: str,
    layers: Sequence[str],
    tile: int,
) -> tuple[Content, list[Style]]:
    """What is wanted at this size: the photograph's content, and each painting's statistics."""
    features = features_of(network, photo, content_layer, tile)
    unit = max(features.float().var().item(), 1e-12)
    where = None if content_mask is None else content_mask.reshape(1, *content_mask.shape[-2:]).to(photo)
    distance = gram_distance if settings.statistics == "gram" else wasserstein_distance
    painted = []
    for each, mask in zip(styles, masks or [None] * len(styles), strict=True):
        longest = max(64, round(settings.brush * max(photo.shape[1:])))
        painting = resized(each, _fitted(each.shape[1], each.shape[2], longest)).clamp(0, 1)
        found = moments_of(network, painting, layers, tile)
        painted.append(
            Style(
                1.0,
                {name: distance(found[name]) for name in layers},
                None if mask is None else mask.reshape(1, *mask.shape[-2:]).to(photo),
            )
        )
    return Content(content_layer, features, unit, where), painted


def _step(
    descent: Descent, losses: Callable[..., Loss], tile: int, longest: int, least: int
) -> tuple[Loss, int]:
    """One step down, in smaller tiles from where memory runs out; the loss there, and the tile."""

    def measure(picture: Tensor) -> Loss:
        nonlocal tile
        found, tile = fitting(lambda side: losses(picture, tile=side), tile, longest, least)
        return found

    return descent.step(measure), tile


def _aim(
    settings: Stylize, content: Content, painted: Sequence[Style], layer_weights: dict[str, float]
) -> Aim:
    """The loss as the settings weigh it now."""
    given = settings.weights or (1.0,) * len(painted)
    share = [weight / sum(given) for weight in given]
    # A strong style and a broad brush are also told more by coarse layers.
    coarser = settings.strength**1.5 * settings.brush**2
    last = max(1, len(layer_weights) - 1)
    tilted = {
        name: weight * coarser ** (number / last)
        for number, (name, weight) in enumerate(layer_weights.items())
    }
    layers = {name: weight / sum(tilted.values()) for name, weight in tilted.items()}
    return Aim(
        content,
        [Style(weight, each.distances, each.where) for weight, each in zip(share, painted, strict=True)],
        Weights(layers, _CONTENT / settings.strength**2, _SMOOTHNESS / settings.detail),
    )


def _finished(
    settings: Stylize,
    picture: Tensor,
    photo: Tensor,
    styles: Sequence[Tensor],
    where: Sequence[Tensor | None],
    *,
    last: bool,
) -> Tensor:
    """The picture as it is shown: within [0, 1], in the colours that are wanted, the photograph off masks."""
    picture = picture.clamp(0, 1)
    if settings.histogram and last:
        picture = with_histogram(picture, styles[0])
    if settings.keep_colours == "light":
        picture = with_colours(picture, photo)
    masks = [resized_mask(mask, tuple(photo.shape[1:])) for mask in where if mask is not None]
    if len(masks) == len(where):
        picture = torch.lerp(photo, picture, torch.stack(masks).sum(0).clamp(0, 1))
    return picture


def _fitted(height: int, width: int, longest: float) -> tuple[int, int]:
    scale = longest / max(height, width)
    return max(16, round(height * scale)), max(16, round(width * scale))
