"""Neural style transfer: a photograph's content, in a painting's style.

Optimise a picture's pixels by gradient descent so that its features at one deep layer match the photograph's
and the statistics of its features at several layers match the painting's. Gatys, Ecker and Bethge, "A Neural
Algorithm of Artistic Style" (2015) and "Image Style Transfer Using Convolutional Neural Networks" (2016).

Differences from the papers: pictures are painted from small to large, each size starting from the one before
(Gatys et al., "Controlling Perceptual Factors in Neural Style Transfer", 2017, section 6), and a size ends
early if the picture no longer changes; styles are compared by means and covariances by default, not by Gram
matrices, and the colours of the pixels likewise; every part of the loss is relative to the target's own
magnitude, so that weights mean the same for any network, size and painting.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from lanterna.devices import fit_tiles, reuse_memory
from lanterna.errors import UsageError
from lanterna.images.palette import match_histogram, match_statistics, transfer_colours
from lanterna.networks import Network, open_network
from lanterna.networks.inference import optimize_for_inference
from lanterna.networks.pooling import Pooling, with_pooling
from lanterna.probes.statistics import gram_distance, wasserstein_distance
from lanterna.techniques.checkpoint import Checkpointer, resumed
from lanterna.techniques.octaves import resized, resized_mask
from lanterna.techniques.style.descent import Descent
from lanterna.techniques.style.layers import Balance, choose_layers, replicate_edges
from lanterna.techniques.style.loss import (
    Content,
    Loss,
    Style,
    Target,
    Weights,
    compute_colour_moments,
    compute_features,
    compute_loss,
    compute_moments,
    receptive_radius,
)
from lanterna.techniques.technique import Frame, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

LONGEST = 512
"""Default limit of the longer side, in pixels."""

_COARSE = 240  # pixels along the longer side, from which a size is preceded by a smaller one


class Stylize(Settings):
    """Paint a photograph in the style of a painting."""

    verb: ClassVar[str] = "style"
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "painting": {},
        "touch": {"strength": 0.45, "detail": 0.5, "keep_colours": "light"},
        "portrait": {"strength": 0.5, "detail": 0.5},
        "wild": {"strength": 2.0},
        "broad": {"brush": 2.0},
        "faithful": {"keep_colours": "light"},
        "palette": {"keep_colours": "palette"},
        "draft": {"size": 320, "steps": 12},
        "print": {"size": 1600, "steps": 16},
    }
    preset_help: ClassVar[dict[str, str]] = {
        "painting": "strokes, light and colours of the painting, over the lines of the photograph",
        "touch": "the photograph in its own colours, with a breath of paint",
        "portrait": "soft strokes, so that a face stays itself",
        "wild": "the painting takes over",
        "broad": "large, bold strokes",
        "faithful": "strokes in the photograph's own colours",
        "palette": "strokes mixed from the photograph's colours",
        "draft": "small and quick, to see whether a painting fits",
        "print": "1,600 pixels, for paper; takes minutes",
    }

    network: str = Field(
        default="vgg19", min_length=1, description="The network to use, by name or as module:function."
    )
    pooling: Pooling = Field(
        default="average", description="How the network's pooling layers pool; average is smoother."
    )
    size: int | None = Field(
        default=None, ge=64, le=16_384,
        description="Pixels along the longer side; by default the photograph's own, up to 512.",
    )  # fmt: skip
    strength: float = Field(
        default=1.0,
        gt=0,
        le=100,
        description="How strong the painting's style is: 0.5 is a touch, 2 leaves little of the photograph.",
    )
    brush: float = Field(
        default=1.0,
        ge=0.2,
        le=4,
        description="How broad the strokes are: the painting's size relative to the picture's.",
    )
    detail: float = Field(
        default=1.0, gt=0, le=20, description="How fine the strokes are: lower is smoother."
    )
    weights: tuple[float, ...] = Field(
        default=(), description="The share of each painting if there are several; equal by default."
    )
    keep_colours: Literal["no", "light", "palette"] = Field(
        default="no",
        description="no: use the painting's colours; light: keep the photograph's colours and paint only "
        "light and dark; palette: paint the strokes in the photograph's palette.",
    )
    histogram: bool = Field(
        default=False, description="Match the painting's colour histogram exactly at the end."
    )
    start: Literal["photo", "noise", "palette"] = Field(
        default="photo",
        description="Start from the photograph, noise, or the photograph in the painting's colours.",
    )
    statistics: Literal["wasserstein", "gram"] = Field(
        default="wasserstein",
        description="How styles are compared: by means and covariances of features, or by Gram matrices.",
    )
    content_layer: str | None = Field(
        default=None, description="The layer for the content; relu4_2 in VGG.",
        json_schema_extra={"picks": "layer"},
    )  # fmt: skip
    style_layers: tuple[str, ...] = Field(
        default=(), description="The layers for the style; by default one at each of VGG's five resolutions.",
        json_schema_extra={"picks": "layer"},
    )  # fmt: skip
    optimiser: Literal["lbfgs", "adam"] = Field(default="lbfgs", description="The optimiser of the pixels.")
    steps: int = Field(
        default=20, ge=1, le=5000, description="Steps at the final size; smaller sizes take more."
    )
    ratio: float = Field(
        default=3.0, ge=1.1, le=4, description="How many times larger each size is than the one before."
    )
    tolerance: float = Field(
        default=0.15, ge=0, le=255,
        description="Stop at a size when a step changes the picture by less than this, in levels of 255 on "
        "average; 0 takes all steps.",
    )  # fmt: skip
    tile: int = Field(
        default=1024, ge=256, le=8192, multiple_of=16,
        description="The side, in pixels, of the tiles that a larger picture is processed in.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.weights and (min(self.weights) < 0 or not sum(self.weights)):
            given = " ".join(f"{weight:g}" for weight in self.weights)
            raise UsageError(f"weights: expected numbers of 0 or more, not all 0, got {given}")
        return self


@dataclass(frozen=True)
class StyleFrame(Frame):
    """The state after a step; `picture` is at the size that is being painted, `final` is the last size.

    `numbers` has the `loss` and its parts, `style` and `content`. Each part is relative: a
    picture without any features would have about 1. `unchanged_after` is how many steps were taken at this
    size if the rest was skipped because the picture no longer changed.
    """

    final: tuple[int, int] = (0, 0)
    unchanged_after: int | None = None

    def full_size(self) -> Tensor:
        """Return the picture at its final size, `(3, H, W)`, enlarged if it is still smaller."""
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

    Yield a frame after each step. Settings sent to the generator change `strength`, `detail` and `weights`
    from the next step on. `masks`, one for each of `styles`, `(H, W)` in [0, 1], say where each style goes;
    `content_mask` weighs the photograph's content by position; masks may have any size. `start` is a picture
    to start from. `checkpoint`, `checkpoint_every` and `resume` are as for `dream`.

    Errors, before the first step: `UsageError` if a layer does not exist or the number of weights or masks
    differs from the number of paintings; `MissingError` if the network or the checkpoint is missing.
    """
    settings = settings or Stylize()
    if not styles:
        raise UsageError("style: expected at least one painting, got none")
    for name, values in (("weights", settings.weights), ("masks", masks)):
        if values and len(values) != len(styles):
            raise UsageError(f"{name}: expected one for each painting, got {len(values)} for {len(styles)}")
    network = network or open_network(settings.network, device=device, seed=settings.seed)
    network = with_pooling(network, settings.pooling)
    content_layer, balance = choose_layers(network, settings.content_layer, settings.style_layers)
    work = replicate_edges(optimize_for_inference(network, [content_layer, *balance.layers]))
    sizes = style_sizes(photo.shape[1], photo.shape[2], settings)
    place = network.get_buffer("mean").device
    photo = photo.to(place)
    checkpointer = Checkpointer(
        checkpoint, settings, [photo, *styles, *masks, content_mask, start], checkpoint_every
    )
    saved = checkpointer.read(_STATE) if checkpoint and resume else None
    if settings.keep_colours == "palette":
        styles = [match_statistics(each, photo) for each in styles]
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
        balance,
        checkpointer,
        saved,
    )
    return resumed(frames, checkpoint) if saved else frames


def style_sizes(height: int, width: int, settings: Stylize) -> list[tuple[int, int]]:
    """Return the sizes (height, width) that are painted one after another, small to large."""
    largest = settings.size or min(max(height, width), LONGEST)
    coarsest = _COARSE / min(max(2.0, settings.ratio), 4.0)
    count = (
        1 + max(0, math.floor(math.log(largest / coarsest) / math.log(settings.ratio)))
        if largest > coarsest
        else 1
    )
    sides = [largest / settings.ratio**power for power in reversed(range(count))]
    return [_fit_size(height, width, side) for side in sides]


def steps_at(index: int, count: int, settings: Stylize) -> int:
    """Return the number of steps at a size, by its index among `count`: smaller sizes take more."""
    growth: float = 1.35 ** math.log2(settings.ratio)
    return round(settings.steps * min(3.0, growth ** (count - 1 - index)))


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
    balance: Balance,
    checkpointer: Checkpointer,
    saved: dict[str, Any] | None,
) -> Generator[StyleFrame, Stylize | None, None]:
    reuse_memory()  # each step allocates and frees the same large blocks
    generator = torch.Generator().manual_seed(settings.seed)
    counts = [steps_at(index, len(sizes), settings) for index in range(len(sizes))]
    picture: Tensor | None = None
    first, done, tile = 0, 0, settings.tile
    # Smaller tiles are nearly all margin, which each of them processes again.
    min_tile = max(256, 4 * receptive_radius(network, frozenset({content_layer, *balance.layers})))
    if saved:
        first, done, picture = saved["number"], saved["step"], saved["optimisation"]["picture"].to(photo)
        settings = settings.changed(saved["live"])
    for index, size in list(enumerate(sizes))[first:]:
        sized_photo = resized(photo, size).clamp(0, 1)
        if picture is None:
            picture = _initial_picture(settings, sized_photo, styles, start, generator)
        descent = Descent(_enlarge(picture, photo, size).clamp(0, 1), settings.optimiser)
        longest = max(size)
        targets = partial(
            _compute_targets,
            settings,
            network,
            sized_photo,
            styles,
            masks,
            content_mask,
            content_layer,
            list(balance.layers),
        )
        (content, style_targets), tile = fit_tiles(targets, tile, longest, min_tile)
        if saved and index == first:
            descent.restore(saved["optimisation"])
            numbers = saved["numbers"]
        for step in range(max(1, done), counts[index] + 1):
            if step > done:  # a resumed run begins with the frame of the last step it took
                target = _weighted_target(settings, content, style_targets, balance)
                evaluate = partial(compute_loss, network, target=target)
                loss, tile = _step(descent, evaluate, tile, longest, min_tile)
                numbers = {"loss": loss.total, "style": loss.style, "content": loss.content}
            unchanged = 255 * descent.change < settings.tolerance  # the rest of the steps is skipped
            reached = counts[index] if unchanged else step
            shown = _postprocess(
                settings,
                descent.measured,
                sized_photo,
                styles,
                [each.mask for each in style_targets],
                last=index == len(sizes) - 1 and reached == counts[index],
            )
            try:
                changed = yield StyleFrame(
                    step=sum(counts[:index]) + reached,
                    steps=sum(counts),
                    numbers=numbers,
                    picture=shown.cpu(),
                    final=sizes[-1],
                    unchanged_after=step if unchanged and step < reached else None,
                )
            except GeneratorExit:  # between two steps, so that picture and optimiser match
                checkpointer.write(_state(index, reached, descent, settings, numbers))
                raise
            if changed and (new := settings.changed(changed.model_dump(include=_LIVE))) != settings:
                settings = new
                descent.reset()
            checkpointer.maybe_save(_state(index, reached, descent, settings, numbers))
            if 255 * descent.change < settings.tolerance:
                break
        picture, done = descent.measured, 0


_LIVE = {"strength", "detail", "weights"}  # settings that may change during a run
_STATE = {"number", "step", "optimisation", "live", "numbers"}


def _state(
    index: int, step: int, descent: Descent, settings: Stylize, numbers: dict[str, float]
) -> dict[str, object]:
    """Return what a checkpoint stores: `index` is that of the size, `step` the steps taken at it."""
    live = settings.model_dump(include=_LIVE)
    return {
        "number": index, "step": step, "optimisation": descent.state(), "live": live, "numbers": numbers
    }  # fmt: skip


def _initial_picture(
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
    return match_histogram(photo, styles[0]) if settings.start == "palette" else photo.clone()


def _enlarge(picture: Tensor, photo: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge a picture to the next size, and add the photograph's detail that is new at that size.

    Without it the picture is blurred, and a third of the steps are spent on that.
    """
    smaller = picture.shape[1:]
    if smaller == size:
        return picture
    return resized(picture, size) + resized(photo, size) - resized(resized(photo, tuple(smaller)), size)


def _compute_targets(
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
    """Compute the targets at this size: the photograph's content, and each painting's statistics."""
    features = compute_features(network, photo, content_layer, tile)
    unit = max(features.float().var().item(), 1e-12)
    mask = None if content_mask is None else content_mask.reshape(1, *content_mask.shape[-2:]).to(photo)
    distance = gram_distance if settings.statistics == "gram" else wasserstein_distance
    targets = []
    for painting, style_mask in zip(styles, masks or [None] * len(styles), strict=True):
        longest = max(64, round(settings.brush * max(photo.shape[1:])))
        painting = resized(painting, _fit_size(painting.shape[1], painting.shape[2], longest)).clamp(0, 1)
        moments = compute_moments(network, painting, layers, tile)
        targets.append(
            Style(
                1.0,
                {name: distance(moments[name]) for name in layers},
                wasserstein_distance(compute_colour_moments(painting)),
                None if style_mask is None else style_mask.reshape(1, *style_mask.shape[-2:]).to(photo),
            )
        )
    return Content(content_layer, features, unit, mask), targets


def _step(
    descent: Descent, losses: Callable[..., Loss], tile: int, longest: int, min_tile: int
) -> tuple[Loss, int]:
    """Take a step, in smaller tiles if memory runs out; return the loss and the tile size."""

    def evaluate(picture: Tensor) -> Loss:
        nonlocal tile
        loss, tile = fit_tiles(lambda side: losses(picture, tile=side), tile, longest, min_tile)
        return loss

    return descent.step(evaluate), tile


def _weighted_target(
    settings: Stylize, content: Content, styles: Sequence[Style], balance: Balance
) -> Target:
    """Return the target with the weights of the current settings."""
    weights = settings.weights or (1.0,) * len(styles)
    shares = [weight / sum(weights) for weight in weights]
    # A strong style or a broad brush shifts weight towards coarse layers.
    tilt = settings.strength**1.5 * settings.brush**2
    last = max(1, len(balance.layers) - 1)
    tilted = {
        name: weight * tilt ** (index / last) for index, (name, weight) in enumerate(balance.layers.items())
    }
    layers = {name: weight / sum(tilted.values()) for name, weight in tilted.items()}
    return Target(
        content,
        [replace(each, weight=share) for share, each in zip(shares, styles, strict=True)],
        Weights(
            layers,
            balance.content / settings.strength**2,
            balance.smoothness / settings.detail,
            balance.colour,
        ),
    )


def _postprocess(
    settings: Stylize,
    picture: Tensor,
    photo: Tensor,
    styles: Sequence[Tensor],
    masks: Sequence[Tensor | None],
    *,
    last: bool,
) -> Tensor:
    """Return the picture to show: in [0, 1], in the requested colours, the photograph outside the masks."""
    picture = picture.clamp(0, 1)
    if settings.histogram and last:
        picture = match_histogram(picture, styles[0])
    if settings.keep_colours == "light":
        picture = transfer_colours(picture, photo)
    sized_masks = [resized_mask(mask, tuple(photo.shape[1:])) for mask in masks if mask is not None]
    if len(sized_masks) == len(masks):
        picture = torch.lerp(photo, picture, torch.stack(sized_masks).sum(0).clamp(0, 1))
    return picture


def _fit_size(height: int, width: int, longest: float) -> tuple[int, int]:
    scale = longest / max(height, width)
    return max(16, round(height * scale)), max(16, round(width * scale))
