"""DeepDream: amplify what a network detects in a picture, by gradient ascent on the activations of a layer.

Run the network on the picture up to one layer, compute the gradient of that layer's energy with respect to
the pixels, take a small step along it, and repeat: first on a small copy of the picture, then on larger ones,
each starting with what was dreamed before, so that forms grow at every scale. Mordvintsev, Olah and Tyka,
"Inceptionism: Going Deeper into Neural Networks" (2015), and its notebook in google/deepdream.

Differences: gradients have the colour statistics of photographs (`fourier_image.py`); targets can be added,
weighted and masked, each normalised (`targets.py`); large pictures are dreamed tile by tile (`tiles.py`); and
the network is optimised for inference (`networks/inference.py`).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from lanterna.devices import fit_tiles, reuse_memory
from lanterna.errors import UsageError
from lanterna.networks import Network, open_network
from lanterna.networks.inference import optimize_for_inference
from lanterna.networks.pooling import Pooling, with_pooling
from lanterna.networks.preprocessing import light_edged
from lanterna.probes import objectives
from lanterna.techniques.checkpoint import Checkpointer, restoring, resumed
from lanterna.techniques.dream.targets import Target, build_objective, read_class
from lanterna.techniques.dream.tiles import STRIDE, Tiling, gradient, match_channels
from lanterna.techniques.fourier_image import decorrelate
from lanterna.techniques.octaves import octave_sizes, resized, resized_mask, smoothed
from lanterna.techniques.technique import Frame, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from lanterna.probes.objectives import Objective

    _Terms = Sequence[tuple[Objective, Tensor | None]]

LONGEST = 1024
"""Maximum length of a dream's longer side, in pixels, if no size is given."""

MARGIN = 96
"""Margin of tiles in pixels; small tiles have less.

With it, the gradient of EfficientNet-Lite0's block9 is within 1 % of that of the full picture (root mean
square; 4 % with 64, 0.1 % with 128, which takes a quarter longer).
"""

_DEFAULT_LAYERS = {
    "efficientnet-lite0": ("block9", "block12"), "efficientnet-lite2": ("block13",),
    "vgg16": ("relu5_1",), "vgg19": ("relu5_1",), "conv": ("relu3",), "dense": ("output",),
}  # fmt: skip

_TARGETS = {"layer", "class_", "mask_layer", "smoothness"}
LIVE = {"step_size", "jitter", "smoothing", "vivid", "keep_colours", "blend", *_TARGETS}
"""Settings that may change while a dream runs."""

_VGG = {"network": "vgg19", "octaves": 6, "ratio": 1.4, "steps": 8, "blend": 0.9}
PRESETS: dict[str, dict[str, Any]] = {
    # Named after what appears in the results; docs/dream-presets.jpg shows each.
    "creatures": {**_VGG, "layer": "relu5_1", "step_size": 1.7},
    "eyes": {**_VGG, "layer": "relu4_2", "step_size": 1.4},
    "fur": {**_VGG, "layer": "relu3_3", "step_size": 1.2},
    "berries": {"network": "efficientnet-lite2", "layer": "block17", "step_size": 2.0, "vivid": 0.05},
    "scales": {"layer": "block9", "step_size": 2.0},
    "weave": {"layer": "block7", "step_size": 1.6, "vivid": 0.0},
    "wool": {"layer": "block9:56", "step_size": 1.4, "vivid": 0.0, "blend": 0.8},
    "facets": {"layer": "block9:102", "step_size": 1.8, "vivid": 0.0},
    "mosaic": {"layer": "block9:38", "step_size": 2.0},
    # Gentle ones, for portraits.
    "engraving": {"layer": "block5", "step_size": 1.2, "keep_colours": True, "blend": 0.7},
    "gentle": {"layer": ("block9", "block12"), "step_size": 1.5, "blend": 0.7},
    # With a network that reads digits; a page of handwriting stays readable.
    "crackle": {
        "network": "conv",
        "layer": "relu3",
        "octaves": 6,
        "step_size": 1.0,
        "vivid": 0.0,
        "blend": 0.75,
    },
}
"""Settings to start from, by name: each differs from the others on any picture.

Those with VGG-19 take about 15 times longer than the others, which take seconds.
"""

_LITE2 = "efficientnet-lite2"
OLD_PRESETS: dict[str, dict[str, Any]] = {
    "eyes": {"layer": "block9"},
    "creatures": {"network": _LITE2, "layer": "block13", "octaves": 5},
    "berries": {"layer": "block12"},
    "scales": {"layer": "block9:25"},
    "flowers": {"layer": "block9:36"},
    "weave": {"layer": "block9:4", "vivid": 0.0, "step_size": 2.0},
    "windows": {"layer": "block9:18"},
    "mosaic": {"layer": "block9:38"},
    "spirals": {"network": _LITE2, "layer": "block9"},
    "engraving": {"layer": "block5", "step_size": 1.2, "keep_colours": True, "blend": 0.7},
    "gentle": {"layer": ("block9", "block14"), "steps": 6, "blend": 0.7},
    "crackle": {"network": "conv", "layer": "relu3", "octaves": 6, "step_size": 1.5, "blend": 0.85},
}
"""The presets of 0.1.0: a sheet made then shows them when it is made again."""

PRESET_HELP = {
    "creatures": "animals wherever something is round; takes a minute or more",
    "eyes": "eyes everywhere; takes a minute or more",
    "fur": "a leopard's coat on animals, furrows elsewhere; takes a minute or more",
    "berries": "berries and beads on things, a spotted coat on animals",
    "scales": "scales, suckers and a few eyes",
    "weave": "grooves and woven bands; faces stay",
    "wool": "combed wool, for things more than for faces",
    "facets": "folded paper, in the picture's own colours",
    "mosaic": "stone tiles, on anything",
    "engraving": "fine lines in the picture's own colours, for portraits",
    "gentle": "a little of everything, for portraits",
    "crackle": "cracked varnish, for pages of handwriting",
}
"""What each preset is for."""


class Dream(Settings):
    """Dream with a picture: amplify what a network sees in it."""

    verb: ClassVar[str] = "dream"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS
    preset_help: ClassVar[dict[str, str]] = PRESET_HELP

    network: str = Field(
        default="efficientnet-lite0", min_length=1, description="Which network to use, or module:function."
    )
    layer: tuple[str, ...] = Field(
        default=(),
        description="Layers to excite, optionally with channels and a weight (block9:31,40*0.5); the "
        "network's default if none is given.",
        json_schema_extra={"picks": "target"},
    )
    class_: tuple[str, ...] = Field(
        default=(), description="Classes to excite, by name or number.", json_schema_extra={"picks": "class"}
    )
    pooling: Pooling = Field(
        default="maximum", description="How the network's pooling layers pool; average is smoother."
    )
    guided: bool = Field(default=False, description="Whether to match a second picture, the guide.")
    mask_layer: tuple[str, ...] = Field(
        default=(),
        description="The target in each mask, in order; those without one have the others' target.",
        json_schema_extra={"picks": "target"},
    )
    size: int | None = Field(
        default=None, ge=32, le=16_384,
        description="Pixels along the longer side; the picture's own, up to 1024, if not given.",
    )  # fmt: skip
    octaves: int = Field(
        default=4,
        ge=1,
        le=12,
        description="The number of sizes to dream at, from small to large; tiny ones are left out.",
    )
    ratio: float = Field(
        default=1.5, gt=1, le=3, description="How many times larger each octave is than the one before."
    )
    steps: int = Field(default=10, ge=1, le=1000, description="The number of steps per octave.")
    step_size: float = Field(
        default=2.5, gt=0, le=64, description="The mean change of a pixel per step, in levels of 255."
    )
    jitter: int = Field(
        default=32, ge=0, le=512, description="The maximum random shift before each step, in pixels."
    )
    smoothing: Literal["none", "gaussian", "laplacian"] = Field(
        default="laplacian",
        description="How gradients are smoothed: not at all, favouring large forms, or all scales equally.",
    )
    smoothness: float = Field(
        default=0.0, ge=0, le=10, description="The weight of smoothness between neighbouring pixels."
    )
    vivid: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Colours: 0 as in photographs, 1 as vivid as the network makes them.",
    )
    keep_colours: bool = Field(default=False, description="Change brightness only, not colours.")
    blend: float = Field(
        default=1.0, ge=0, le=1, description="The opacity of the dream over the picture; 0 shows none of it."
    )
    tile: int = Field(
        default=768, ge=256, le=4096, multiple_of=32,
        description="The side of the tiles that a large picture is divided into, in pixels.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _check_targets(self) -> Self:
        for text in (*self.layer, *self.mask_layer):
            Target.read(text)
        for text in self.class_:
            read_class(text)
        return self

    def targets(self, network: Network) -> list[Target]:
        """Return the layers to excite; none if the targets are classes only."""
        if self.layer or (self.class_ and not self.guided):
            return [Target.read(text) for text in self.layer]
        return [Target(name) for name in default_layers(network)]


@dataclass(frozen=True)
class DreamFrame(Frame):
    """The state of a dream; `picture` has the size of the current octave, in the last frame the final one.

    `numbers`: `octave`, counted from 1, and `energy`, the value of the objective, in which each target is
    normalised by its value at the start.
    """

    base: Tensor = field(default_factory=lambda: torch.zeros(3, 1, 1), repr=False)

    def full_size(self) -> Tensor:
        """Return the picture `(3, H, W)` at its final size, as if the dream ended now."""
        assert self.picture is not None
        size, final = tuple(self.picture.shape[1:]), tuple(self.base.shape[1:])
        if size == final:
            return self.picture
        base = self.base.cpu()
        return (base + resized(self.picture - resized(base, size), final)).clamp(0, 1)


def dream(
    picture: Tensor,
    settings: Dream | None = None,
    *,
    network: Network | None = None,
    guide: Tensor | None = None,
    masks: Sequence[Tensor] = (),
    objective: Objective | None = None,
    device: str = "auto",
    checkpoint: Path | None = None,
    checkpoint_every: float | None = None,
    resume: bool = False,
) -> Generator[DreamFrame, Dream | None, None]:
    """Dream with `picture` `(3, H, W)` in [0, 1], yielding a frame after each step.

    `network` is used if given (and not modified), else the one in the settings. `guide` `(3, H, W)` is a
    picture to match, for settings that are `guided`. `masks` are `(H, W)` or `(1, H, W)` in [0, 1], of
    any size: where to dream, and how strongly. `objective` replaces the targets in the settings. The state is
    saved to `checkpoint` every `checkpoint_every` seconds (10) and when the generator is closed; `resume`
    continues from it, starting with the last frame, and ends with the same picture as an uninterrupted
    dream. Settings that are sent in apply from the next step, as far as they are `LIVE`.

    Errors, before the first step: `UsageError` for a layer, channel or class that does not exist, or masks or
    a guide that do not fit the settings; `MissingError` for a network or checkpoint that does not exist.
    """
    settings = settings or Dream()
    if settings.guided != (guide is not None):
        raise UsageError("dream: a guided dream needs a guide picture, and only a guided dream takes one")
    if len(settings.mask_layer) > len(masks):
        raise UsageError(
            f"mask_layer: expected at most one for each mask, got {len(settings.mask_layer)} for {len(masks)}"
        )
    network = network or open_network(settings.network, device=device, seed=settings.seed)
    network = with_pooling(network, settings.pooling)
    if network.input_spec.channels not in (1, 3):
        raise UsageError(f"a picture has 1 or 3 channels, {network.name} takes {network.input_spec.channels}")
    height, width = picture.shape[1:]
    longest = settings.size or min(max(height, width), LONGEST)
    sizes = octave_sizes(height, width, longest, settings.octaves, settings.ratio)
    base = resized(picture.to(network.get_buffer("mean").device), sizes[-1]).clamp(0, 1)
    negative = network.input_spec.is_of_digits and light_edged(base.mean(0, keepdim=True))
    if negative:  # these networks were trained on white ink on black
        base = 1 - base
    start = resized(base, sizes[0])

    def terms_of(current: Dream) -> _Terms:
        return _terms(current, network, start, guide, masks, objective)

    checkpointer = Checkpointer(checkpoint, settings, [base], checkpoint_every)
    names = set(_State.__dataclass_fields__)
    saved = _State(**checkpointer.read(names)) if checkpoint and resume else None
    if saved:
        with restoring(checkpoint):
            settings = settings.changed(saved.live)
    terms = terms_of(settings)
    frames = _frames(settings, network, base, sizes, terms, terms_of, saved, checkpointer)
    if saved:
        frames = resumed(frames, checkpoint)
    return _negatives(frames) if negative else frames


def default_layers(network: Network) -> tuple[str, ...]:
    """Return the layers to excite if none are given: for unknown networks, the middle one with positions."""
    spatial = [name for name in network.layers if name not in ("flatten", "pool", "output")]
    return _DEFAULT_LAYERS.get(network.name, (spatial[len(spatial) // 2],))


def _terms(
    settings: Dream,
    network: Network,
    start: Tensor,
    guide: Tensor | None,
    masks: Sequence[Tensor],
    objective: Objective | None,
) -> list[tuple[Objective, Tensor | None]]:
    """Return the objectives, each with the mask `(1, H, W)` in which it applies, or None for everywhere."""
    start = _to_input_size(start, network)
    guide = _to_input_size(guide.to(start), network) if guide is not None else None
    main = objective or build_objective(
        network, settings.targets(network), [read_class(text) for text in settings.class_], start, guide
    )
    if settings.smoothness:
        unit = objectives.smoothness().measure(start, {}).abs().item()
        main = main + (settings.smoothness / max(unit, 1e-6)) * objectives.smoothness()
    if not masks:
        return [(main, None)]
    masked = [build_objective(network, [Target.read(text)], (), start, guide) for text in settings.mask_layer]
    masked += [main] * (len(masks) - len(masked))
    regions = [mask.reshape(1, *mask.shape[-2:]).to(start).clamp(0, 1) for mask in masks]
    return list(zip(masked, regions, strict=True))


def _frames(
    settings: Dream,
    network: Network,
    base: Tensor,
    sizes: Sequence[tuple[int, int]],
    terms: _Terms,
    terms_of: Callable[[Dream], _Terms],
    saved: _State | None,
    checkpointer: Checkpointer,
) -> Generator[DreamFrame, Dream | None, None]:
    """Dream octave by octave, step by step, from the start or from a saved state."""
    generator = torch.Generator().manual_seed(settings.seed)
    fast_network, tiling = _prepared(settings, network, terms)
    reuse_memory()  # each step allocates and frees the same large blocks
    first_octave = saved.octave if saved else 1
    dreamed = torch.zeros_like(base[:, :1, :1])
    state = saved
    try:
        for octave, size in list(enumerate(sizes, start=1))[first_octave - 1 :]:
            original = resized(base, size)
            masks = [None if mask is None else resized_mask(mask, size) for _, mask in terms]
            if saved and octave == first_octave:
                done, image = saved.step, saved.picture.to(base)
                energy = saved.energy
                generator.set_state(saved.randomness)
            else:
                done, image = 0, (original + _within(resized(dreamed, size), masks)).clamp(0, 1)
            for step in range(max(1, done), settings.steps + 1):
                if step > done:  # if resumed, the first frame is that of the saved step
                    compute = partial(
                        _ascent,
                        settings,
                        fast_network,
                        image,
                        terms,
                        masks,
                        tiling,
                        generator,
                        generator.get_state(),
                    )
                    (change, energy), side = fit_tiles(compute, tiling.side, max(size))
                    tiling = _with_side(tiling, side)
                    image = change.mul_(settings.step_size / 255).add_(image).clamp_(0, 1)
                    state = _State(
                        octave, step, image, energy, generator.get_state(),
                        settings.model_dump(mode="json", include=LIVE),
                    )  # fmt: skip
                changed = yield DreamFrame(
                    step=(octave - 1) * settings.steps + step,
                    steps=len(sizes) * settings.steps,
                    numbers={"octave": octave, "energy": energy},
                    picture=_blended(original, image, settings.blend).cpu(),
                    base=base,
                )
                if changed:
                    before, settings = settings, settings.changed(changed.model_dump(include=LIVE))
                    if any(getattr(settings, name) != getattr(before, name) for name in _TARGETS):
                        terms = terms_of(settings)
                        fast_network, tiling = _prepared(settings, network, terms)
                    if state:
                        state = replace(state, live=settings.model_dump(mode="json", include=LIVE))
                if state:
                    checkpointer.maybe_save(vars(state))
            dreamed = image - original
    finally:
        if state:
            checkpointer.write(vars(state))


def _blended(original: Tensor, image: Tensor, blend: float) -> Tensor:
    return original + blend * (image - original) if blend < 1 else image


def _ascent(
    settings: Dream,
    network: Network,
    image: Tensor,
    terms: _Terms,
    masks: Sequence[Tensor | None],
    tiling: Tiling,
    generator: torch.Generator,
    randomness: Tensor,
    side: int,
) -> tuple[Tensor, float]:
    """Return the direction of a step `(3, H, W)`, with a mean change of 1, and the value of the objective.

    `side` is that of the tiles, and `randomness` the state of the generator at the start of the step.
    """
    generator.set_state(randomness)  # a retry with smaller tiles draws the same numbers
    tiling = _with_side(tiling, side)
    down, across = (_shift(generator, settings.jitter, tiling.period(length)) for length in image.shape[1:])
    change, energy = torch.zeros_like(image), 0.0
    for (objective, _), mask in zip(terms, masks, strict=True):
        direction, value = gradient(network, image, objective, tiling, (down, across))
        direction = decorrelate(smoothed(direction, settings.smoothing), settings.vivid)
        if settings.keep_colours:
            direction = direction.mean(0, keepdim=True).expand_as(direction).clone()
        direction /= direction.abs().mean().clamp_min(1e-12)
        change += direction if mask is None else direction.mul_(mask)
        energy += value / len(terms)
    return change, energy


@dataclass(frozen=True)
class _State:
    """The state of a dream, as a checkpoint stores it."""

    octave: int
    step: int
    picture: Tensor
    energy: float
    randomness: Tensor
    live: dict[str, Any]


def _prepared(settings: Dream, network: Network, terms: _Terms) -> tuple[Network, Tiling]:
    """Return the network up to the last layer of these objectives, optimised, and the tiling for it."""
    layers = frozenset[str]().union(*(objective.layers for objective, _ in terms))
    return optimize_for_inference(network, layers), tiling_for(settings, network, layers)


def tiling_for(settings: Dream, network: Network, layers: frozenset[str]) -> Tiling:
    """Return tiles of the size in the settings, or of the network's input size if it takes no other."""
    mean, side = network.get_buffer("mean"), network.input_spec.size
    for height, width in ((2 * STRIDE, 3 * STRIDE), (side + STRIDE, side)):  # some take no small pictures
        with contextlib.suppress(RuntimeError), torch.no_grad():
            objectives.layer_outputs(network, mean.new_zeros(1, mean.shape[1], height, width), layers)
            return _tiling(settings.tile)
    return Tiling(side, margin=0, exact=True)


def _tiling(side: int) -> Tiling:
    """Return tiles of a side, with a margin of at most a quarter of it."""
    return Tiling(side, margin=min(MARGIN, side // 4 // STRIDE * STRIDE))


def _with_side(tiling: Tiling, side: int) -> Tiling:
    """Return tiles of another side, unless the network takes one size only."""
    return tiling if tiling.exact or tiling.side == side else _tiling(side)


def _to_input_size(picture: Tensor, network: Network) -> Tensor:
    """Resize a picture to the network's square input `(1, C, S, S)`, ignoring its aspect ratio."""
    side = (network.input_spec.size, network.input_spec.size)
    return match_channels(resized(picture, side).clamp(0, 1).unsqueeze(0), network)


def _within(dreamed: Tensor, masks: Sequence[Tensor | None]) -> Tensor:
    """Set what was dreamed to 0 outside all masks: enlarging has blurred its edges."""
    given = [mask for mask in masks if mask is not None]
    return dreamed * (torch.stack(given).amax(0) > 0) if given else dreamed


def _shift(generator: torch.Generator, jitter: int, period: int) -> int:
    """Draw a shift: of the grid of tiles, by less than its period; or if that is 0, by up to the jitter."""
    low, high = (0, period - 1) if period else (-jitter, jitter)
    return int(torch.randint(low, high + 1, (), generator=generator))


def _negatives(
    frames: Generator[DreamFrame, Dream | None, None],
) -> Generator[DreamFrame, Dream | None, None]:
    changed = None
    with contextlib.closing(frames), contextlib.suppress(StopIteration):
        while True:
            frame = frames.send(changed)
            assert frame.picture is not None
            changed = yield replace(frame, picture=1 - frame.picture, base=1 - frame.base)
