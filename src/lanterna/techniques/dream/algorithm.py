"""DeepDream: change a picture so that a network sees more of what it sees in it already.

Show the picture to the network up to one layer; ask how each pixel should change for that layer to be more
excited; change it a little so; again. On a small copy of the picture first and then on larger ones, each
beginning with what was dreamed before: so forms grow at every scale. Mordvintsev, Olah and Tyka,
"Inceptionism: Going Deeper into Neural Networks" (2015), and its notebook in google/deepdream.

Where we depart from it: steps are taken in the colours of photographs (`fourier_image.py`); targets can be
added, weighted and masked, each in its own units (`targets.py`); a picture too large for memory is dreamed
window by window (`windows.py`); and the network runs as quickly as this machine lets it
(`networks/inference.py`).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from lanterna.devices import fitting, reuse_memory
from lanterna.errors import UsageError
from lanterna.networks import Network, open_network
from lanterna.networks.digits import DIGIT_INPUT
from lanterna.networks.inference import optimize_for_inference
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

    _Parts = Sequence[tuple[Objective, Tensor | None]]

LONGEST = 1024
"""Pixels along the longer side of a dream, at most, where no size is asked for."""

MARGIN = 96
"""Pixels around the core of a window, where it has room for so many.

The gradient of EfficientNet-Lite0's block9 is then within 1 % of that of the whole picture (root mean square;
4 % with 64, 0.1 % with 128, which takes a quarter longer).
"""

_FIRST_LAYERS = {
    "efficientnet-lite0": "block9", "efficientnet-lite2": "block13", "vgg16": "relu5_1",
    "conv": "relu3", "dense": "output",
}  # fmt: skip

_TARGETS = {"layer", "class_", "mask_layer", "smoothness"}
LIVE = {"step_size", "jitter", "smoothing", "vivid", "keep_colours", "blend", *_TARGETS}
"""Settings that may change while a dream is under way."""

_LITE2 = "efficientnet-lite2"
PRESETS: dict[str, dict[str, Any]] = {
    # Named for what is seen in the results; docs/dream.jpg shows each.
    "eyes": {"layer": "block9"},
    "creatures": {"network": _LITE2, "layer": "block13", "octaves": 5},
    "berries": {"layer": "block12"},
    "scales": {"layer": "block9:25"},
    "flowers": {"layer": "block9:36"},
    "weave": {"layer": "block9:4", "vivid": 0.0, "step_size": 2.0},
    "windows": {"layer": "block9:18"},
    "mosaic": {"layer": "block9:38"},
    "spirals": {"network": _LITE2, "layer": "block9"},
    # Gentle ones, for portraits.
    "engraving": {"layer": "block5", "step_size": 1.2, "keep_colours": True, "blend": 0.7},
    "gentle": {"layer": ("block9", "block14"), "steps": 6, "blend": 0.7},
    # What a network that reads digits sees; a page of handwriting stays readable.
    "crackle": {"network": "conv", "layer": "relu3", "octaves": 6, "step_size": 1.5, "blend": 0.85},
}
"""Settings to begin with, by name: each is quick, and unlike the others on any picture."""


class Dream(Settings):
    """Dream with your own picture: more of what a network sees in it."""

    verb: ClassVar[str] = "dream"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    network: str = Field(
        default="efficientnet-lite0", min_length=1, description="Which network to use, or module:function."
    )
    layer: tuple[str, ...] = Field(
        default=(),
        description="What to see more of: layers, perhaps with channels and a weight (block9:31,40*0.5); "
        "the network's own choice if none is given.",
    )
    class_: tuple[str, ...] = Field(default=(), description="Classes to see more of, by name or number.")
    guided: bool = Field(default=False, description="Whether a second picture, the guide, is to be matched.")
    mask_layer: tuple[str, ...] = Field(
        default=(),
        description="What to see more of in each mask, in order; the same as anywhere if not given.",
    )
    size: int | None = Field(
        default=None, ge=32, le=16_384,
        description="Pixels along the longer side; the picture's own, up to 1024, if not given.",
    )  # fmt: skip
    octaves: int = Field(default=4, ge=1, le=12, description="At how many sizes to dream, small to large.")
    ratio: float = Field(default=1.5, gt=1, le=3, description="How many times larger each octave is.")
    steps: int = Field(default=10, ge=1, le=1000, description="How often the picture is changed per octave.")
    step_size: float = Field(
        default=2.5, gt=0, le=64, description="How far a step changes pixels, in levels of 255, on average."
    )
    jitter: int = Field(default=32, ge=0, le=512, description="Pixels the picture is shifted by at random.")
    smoothing: Literal["none", "gaussian", "laplacian"] = Field(
        default="laplacian",
        description="How steps are smoothed: not, with large forms favoured, or every size of form alike.",
    )
    smoothness: float = Field(default=0.0, ge=0, le=10, description="How much neighbours should be alike.")
    vivid: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Colours: 0 those of photographs, 1 as loud as the network likes.",
    )
    keep_colours: bool = Field(default=False, description="Change how bright things are, not their colours.")
    blend: float = Field(default=1.0, ge=0, le=1, description="How much of the dream to show: 0 none of it.")
    tile: int = Field(
        default=768, ge=256, le=4096, multiple_of=32,
        description="The side of the windows that a picture too large for one is dreamed in, in pixels.",
    )  # fmt: skip

    @field_validator("layer", "class_", "mask_layer", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _targets_can_be_read(self) -> Self:
        for text in (*self.layer, *self.mask_layer):
            Target.read(text)
        for text in self.class_:
            read_class(text)
        return self

    def targets(self, network: Network) -> list[Target]:
        """What to see more of, of this network's layers: none where the targets are classes only."""
        if self.layer or (self.class_ and not self.guided):
            return [Target.read(text) for text in self.layer]
        return [Target(first_layer(network))]


@dataclass(frozen=True)
class DreamFrame(Frame):
    """How far a dream has come; `picture` is as large as the octave that is being dreamed.

    `numbers`: `octave` from 1 on, and `energy`, how well the targets are reached, each in units of the
    start. In the last frame `picture` has the final size; `whole()` gives that size at any time.
    """

    base: Tensor = field(default_factory=lambda: torch.zeros(3, 1, 1), repr=False)

    def full_size(self) -> Tensor:
        """The picture as it would be if dreaming ended here, `(3, H, W)` at the final size."""
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
    """Dream with `picture` `(3, H, W)` in [0, 1], yielding how far it has come after each step.

    `network` is used where given (and left as it is), else the one in the settings. `guide` `(3, H, W)` is a
    picture to match, for settings that are `guided`. `masks` are `(H, W)` or `(1, H, W)` in [0, 1], of
    any size: where to dream, and how much. `objective` takes the place of the settings' targets. With a
    `checkpoint` the state is saved there every `checkpoint_every` seconds (10) and when the work is ended
    early, and `resume` goes on from it, first with the frame that it was saved after: the picture is that of
    an unbroken dream. Settings that are sent in take over from there, as far as `LIVE` goes.

    Errors, before the first step: `UsageError` for a layer, channel or class that is not there, masks or a
    guide that do not fit the settings; `MissingError` for a network or checkpoint that is not here.
    """
    settings = settings or Dream()
    if settings.guided != (guide is not None):
        raise UsageError("dream: a guided dream needs a guide picture, and only a guided dream takes one")
    if len(settings.mask_layer) > len(masks):
        raise UsageError(
            f"dream: {len(settings.mask_layer)} mask layers for {len(masks)} masks: give each a mask"
        )
    network = network or open_network(settings.network, device=device)
    if network.input_spec.channels not in (1, 3):
        raise UsageError(f"a picture has 1 or 3 channels, {network.name} wants {network.input_spec.channels}")
    height, width = picture.shape[1:]
    longest = settings.size or min(max(height, width), LONGEST)
    sizes = octave_sizes(height, width, longest, settings.octaves, settings.ratio)
    base = resized(picture.to(network.get_buffer("mean").device), sizes[-1]).clamp(0, 1)
    negative = network.input_spec == DIGIT_INPUT and light_edged(base.mean(0, keepdim=True))
    if negative:  # these networks know white ink on black
        base = 1 - base
    start = resized(base, sizes[0])

    def parts_of(current: Dream) -> _Parts:
        return _parts(current, network, start, guide, masks, objective)

    checkpointer = Checkpointer(checkpoint, settings, [base], checkpoint_every)
    names = set(_State.__dataclass_fields__)
    begun = _State(**checkpointer.read(names)) if checkpoint and resume else None
    if begun:
        with restoring(checkpoint):
            settings = settings.changed(begun.live)
    parts = parts_of(settings)
    frames = _frames(settings, network, base, sizes, parts, parts_of, begun, checkpointer)
    if begun:
        frames = resumed(frames, checkpoint)
    return _negatives(frames) if negative else frames


def first_layer(network: Network) -> str:
    """The layer to dream with where none is asked for: the middle one, where nothing better is known."""
    spatial = [name for name in network.layers if name not in ("flatten", "pool", "output")]
    return _FIRST_LAYERS.get(network.name, spatial[len(spatial) // 2])


def _parts(
    settings: Dream,
    network: Network,
    start: Tensor,
    guide: Tensor | None,
    masks: Sequence[Tensor],
    objective: Objective | None,
) -> list[tuple[Objective, Tensor | None]]:
    """What to see more of, and where: everywhere, or where a mask `(1, H, W)` is light."""
    begin = _squeezed(start, network)
    matched = _squeezed(guide.to(start), network) if guide is not None else None
    usual = objective or build_objective(
        network, settings.targets(network), [read_class(text) for text in settings.class_], begin, matched
    )
    if settings.smoothness:
        unit = objectives.smoothness().measure(begin, {}).abs().item()
        usual = usual + (settings.smoothness / max(unit, 1e-6)) * objectives.smoothness()
    if not masks:
        return [(usual, None)]
    own = [build_objective(network, [Target.read(text)], (), begin, matched) for text in settings.mask_layer]
    own += [usual] * (len(masks) - len(own))
    where = [mask.reshape(1, *mask.shape[-2:]).to(start).clamp(0, 1) for mask in masks]
    return list(zip(own, where, strict=True))


def _frames(
    settings: Dream,
    network: Network,
    base: Tensor,
    sizes: Sequence[tuple[int, int]],
    parts: _Parts,
    parts_of: Callable[[Dream], _Parts],
    begun: _State | None,
    checkpointer: Checkpointer,
) -> Generator[DreamFrame, Dream | None, None]:
    """The dream itself: octave by octave, step by step."""
    generator = torch.Generator().manual_seed(settings.seed)
    work, tiling = _work_for(settings, network, parts)
    reuse_memory()  # each step fills and frees the same large blocks
    first = begun.octave if begun else 1
    dreamed = torch.zeros_like(base[:, :1, :1])
    state = begun
    try:
        for octave, size in list(enumerate(sizes, start=1))[first - 1 :]:
            here = resized(base, size)
            where = [None if mask is None else resized_mask(mask, size) for _, mask in parts]
            if begun and octave == first:
                done, image = begun.step, begun.picture.to(base)
                energy = begun.energy
                generator.set_state(begun.randomness)
            else:
                done, image = 0, (here + _only(resized(dreamed, size), where)).clamp(0, 1)
            for step in range(max(1, done), settings.steps + 1):
                if step > done:  # where it was taken up the step is made already
                    look = partial(
                        _change,
                        settings,
                        work,
                        image,
                        parts,
                        where,
                        tiling,
                        generator,
                        generator.get_state(),
                    )
                    (change, energy), side = fitting(look, tiling.side, max(size))
                    tiling = _narrowed(tiling, side)
                    image = change.mul_(settings.step_size / 255).add_(image).clamp_(0, 1)
                    state = _State(
                        octave, step, image, energy, generator.get_state(),
                        settings.model_dump(mode="json", include=LIVE),
                    )  # fmt: skip
                changed = yield DreamFrame(
                    step=(octave - 1) * settings.steps + step,
                    steps=len(sizes) * settings.steps,
                    numbers={"octave": octave, "energy": energy},
                    picture=(here + settings.blend * (image - here) if settings.blend < 1 else image).cpu(),
                    base=base,
                )
                if changed:
                    before, settings = settings, settings.changed(changed.model_dump(include=LIVE))
                    if any(getattr(settings, name) != getattr(before, name) for name in _TARGETS):
                        parts = parts_of(settings)
                        work, tiling = _work_for(settings, network, parts)
                    if state:
                        state = replace(state, live=settings.model_dump(mode="json", include=LIVE))
                if state:
                    checkpointer.maybe_save(vars(state))
            dreamed = image - here
    finally:
        if state:
            checkpointer.write(vars(state))


def _change(
    settings: Dream,
    network: Network,
    image: Tensor,
    parts: _Parts,
    where: Sequence[Tensor | None],
    tiling: Tiling,
    generator: torch.Generator,
    randomness: Tensor,
    side: int,
) -> tuple[Tensor, float]:
    """Where the pixels are to go, `(3, H, W)`, seen through windows of a side, and how excited it is."""
    generator.set_state(randomness)  # a second try, with smaller windows, draws from where the first did
    tiling = _narrowed(tiling, side)
    down, across = (_shift(generator, settings.jitter, tiling.reach(length)) for length in image.shape[1:])
    change, energy = torch.zeros_like(image), 0.0
    for (objective, _), mask in zip(parts, where, strict=True):
        slope, value = gradient(network, image, objective, tiling, (down, across))
        slope = decorrelate(smoothed(slope, settings.smoothing), settings.vivid)
        if settings.keep_colours:
            slope = slope.mean(0, keepdim=True).expand_as(slope).clone()
        slope /= slope.abs().mean().clamp_min(1e-12)
        change += slope if mask is None else slope.mul_(mask)
        energy += value / len(parts)
    return change, energy


@dataclass(frozen=True)
class _State:
    """Where a dream is: what a checkpoint keeps."""

    octave: int
    step: int
    picture: Tensor
    energy: float
    randomness: Tensor
    live: dict[str, Any]


def _work_for(settings: Dream, network: Network, parts: _Parts) -> tuple[Network, Tiling]:
    """The network as far as these objectives need it, made quick, and the windows it looks through."""
    layers = frozenset[str]().union(*(objective.layers for objective, _ in parts))
    return optimize_for_inference(network, layers), tiling_for(settings, network, layers)


def tiling_for(settings: Dream, network: Network, layers: frozenset[str]) -> Tiling:
    """Windows of the size in the settings, or of the network's where it can see no other."""
    side = network.input_spec.size
    other = torch.zeros(
        1, network.input_spec.channels, side + STRIDE, side, device=network.get_buffer("mean").device
    )
    try:
        with torch.no_grad():
            objectives.read(network, other, layers)
    except RuntimeError:
        return Tiling(side, margin=0, exact=True)
    return _tiling_of(settings.tile)


def _tiling_of(side: int) -> Tiling:
    """Windows of a side, with the margin that it has room for."""
    return Tiling(side, margin=min(MARGIN, side // 4 // STRIDE * STRIDE))


def _narrowed(tiling: Tiling, side: int) -> Tiling:
    """Windows of another side, where the network can see any."""
    return tiling if tiling.exact or tiling.side == side else _tiling_of(side)


def _squeezed(picture: Tensor, network: Network) -> Tensor:
    """Squeeze all of a picture into the network's square input, `(1, C, S, S)`."""
    side = (network.input_spec.size, network.input_spec.size)
    return match_channels(resized(picture, side).clamp(0, 1).unsqueeze(0), network)


def _only(dreamed: Tensor, where: Sequence[Tensor | None]) -> Tensor:
    """What was dreamed, and nothing of it where no mask lets it: enlarging has blurred its edges."""
    allowed = [mask for mask in where if mask is not None]
    return dreamed * (torch.stack(allowed).amax(0) > 0) if allowed else dreamed


def _shift(generator: torch.Generator, jitter: int, reach: int) -> int:
    """How far to move what the network looks at: anywhere within the grid of windows, or by the jitter."""
    low, high = (0, reach - 1) if reach else (-jitter, jitter)
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
