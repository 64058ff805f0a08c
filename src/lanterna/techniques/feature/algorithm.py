"""Feature visualisation: a picture of what one channel, unit, class or mix of channels wants to see.

Begin with faint noise; look at it a little shifted, turned and scaled; ask the network how the picture
should change for the channel to fire more; change it so, in Fourier space (`fourier_image.py`). Olah,
Mordvintsev and Schubert, "Feature Visualization", Distill (2017),
https://distill.pub/2017/feature-visualization.

Where we depart from it: what is wanted of a ReLU is wanted of the sum that goes into it, as a silent unit
has no gradient to follow (lucid bends the gradient instead); the step shrinks linearly; amplitudes
fall a little faster than 1/frequency, which makes things larger; and all transforms are one sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from lanterna.devices import uncompiled
from lanterna.errors import UsageError
from lanterna.networks import Network, class_index, open_network
from lanterna.networks.inference import optimize_for_inference
from lanterna.probes import objectives
from lanterna.techniques.fourier_image import FourierImage, random_transform
from lanterna.techniques.technique import Frame, Settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from lanterna.probes.objectives import Objective

BATCH = 8
"""Pictures of a sheet that are made together."""

SHEET_SIDE = 128
"""Pixels along each side of a picture on a sheet, where none are asked for."""

DIGIT_ZOOM = 8
"""How many times larger a made digit is shown: each of its pixels becomes a square."""

_GAP = 8  # pixels between pictures side by side


class Feature(Settings):
    """Make a picture of what a channel, unit or class of a network wants to see."""

    verb: ClassVar[str] = "feature"

    network: str = Field(
        default="efficientnet-lite0", min_length=1, description="Which network to use, or module:function."
    )
    layer: str | None = Field(
        default=None, description="The layer to read; the last, which answers, if none is given."
    )
    channel: int | None = Field(default=None, ge=0, description="The channel (or dense unit) of the layer.")
    class_: str | None = Field(
        default=None, min_length=1, description="A class by its name or number, in place of a channel."
    )
    against: str | None = Field(
        default=None, min_length=1, description="A second channel or class, which should not be excited."
    )
    direction: tuple[int, int] | None = Field(
        default=None, description="Two channels of the layer, for a picture between both."
    )
    mix: float = Field(
        default=0.5, ge=0, le=1, description="How much of the direction is the second channel's."
    )
    unit: bool = Field(
        default=False, description="One position in the middle, in place of the channel everywhere."
    )
    sheet: int = Field(
        default=0, ge=0, le=4096, description="Make a sheet of the layer's first channels, this many."
    )
    diversity: int = Field(default=1, ge=1, le=16, description="How many different pictures of one target.")
    difference: float = Field(
        default=4.0, ge=0, le=1000, description="How strongly these pictures are told to differ."
    )
    steps: int = Field(default=160, ge=1, le=10_000, description="How often the picture is changed.")
    size: int | None = Field(
        default=None,
        ge=32,
        le=2048,
        description="Pixels a side; the network's own if none is given.",
    )
    learning_rate: float = Field(default=0.25, gt=0, le=10, description="How far each step goes.")
    fall: float = Field(
        default=1.4, ge=0, le=3, description="How much of it is large shapes: 0 none, 1 as in photographs."
    )
    robustness: float = Field(
        default=1.0, ge=0, le=3, description="How much the picture is shifted, turned and scaled on the way."
    )
    ink: float = Field(
        default=5.0, ge=0, le=1000, description="How dear ink is, where the network reads drawn digits."
    )

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        """One thing is wanted, and is told how."""
        targets = {
            "a channel": self.channel is not None,
            "a class": self.class_ is not None,
            "a direction": self.direction is not None,
            "a sheet": self.sheet > 0,
        }
        named = [name for name, given in targets.items() if given]
        if len(named) > 1:
            raise UsageError(f"feature: expected one target, got {' and '.join(named)}: leave one out")
        if self.class_ is not None and self.layer is not None:
            raise UsageError(f"feature: a class is of the last layer: leave {self.layer} out")
        if self.sheet and self.diversity > 1:
            raise UsageError("feature: a sheet shows one picture of each channel: leave --diversity out")
        if (self.sheet or self.direction) and (self.against is not None or self.unit):
            raise UsageError("feature: --against and --unit go with a channel or a class")
        return self

    def check_target(self) -> None:
        """Whether anything is wanted, to be asked before the network is opened. Errors: `UsageError`."""
        if self.channel is None and self.class_ is None and self.direction is None and not self.sheet:
            raise UsageError("feature: expected a channel, class, direction or sheet: block9 31, for example")


class Kernels(Settings):
    """Show the kernels of a network's first layer, and what they look like."""

    verb: ClassVar[str] = "feature"

    network: str = Field(default="conv", min_length=1, description="Whose kernels, or module:function.")


@dataclass(frozen=True)
class FeatureFrame(Frame):
    """How far the pictures have come: `pictures` is `(N, C, S, S)` in [0, 1], `picture` shows them in a row.

    `numbers`: `activation`, how strongly the target is excited (mean over the pictures being made), and for a
    class its mean `probability`. In the last frame both are those of the pictures as they are; before, of the
    pictures shifted, turned and scaled.
    """

    pictures: Tensor | None = None


def feature(
    settings: Feature, *, network: Network | None = None, device: str = "auto"
) -> Generator[FeatureFrame, None, None]:
    """Make the pictures of `settings`, yielding how far they have come after each step.

    `network` is used where given (and left as it is), else the one that the settings name.

    Errors, before the first step: `UsageError` for a layer, channel or class that is not there, or a size
    that the network cannot see; `MissingError` for a network that is not here.
    """
    settings.check_target()
    network = network or open_network(settings.network, device=device)
    if network.input_spec.channels not in (1, 3):
        raise UsageError(f"a picture has 1 or 3 channels, {network.name} wants {network.input_spec.channels}")
    layer = target_layer(settings, network)
    channels = count_channels(network, layer, _side(settings, network))
    index = class_index(settings.class_, network) if settings.class_ is not None else settings.channel
    if settings.sheet:
        first = range(min(settings.sheet, channels))
        batches = [first[start : start + BATCH] for start in first[::BATCH]]
        targets = [(objectives.channel(layer, batch), len(batch)) for batch in batches]
    else:
        wanted = [index, *(settings.direction or ())]
        for each in wanted:
            if each is not None and each >= channels:
                raise UsageError(f"{layer} has channels 0 to {channels - 1}, got {each}")
        targets = [(_objective(settings, network, layer, index), settings.diversity)]
    work = optimize_for_inference(network, [layer])
    return _frames(settings, work, targets, index if settings.class_ is not None else None)


def target_layer(settings: Feature, network: Network) -> str:
    """The layer that is read: that of the settings or the last, or what goes into it where it is a ReLU.

    Errors: `UsageError` for a layer that is not there.
    """
    names = list(network.layers)
    layer = settings.layer or names[-1]
    rectifies = isinstance(network.layer(layer), nn.ReLU | nn.ReLU6)
    return names[names.index(layer) - 1] if rectifies and names[0] != layer else layer


def count_channels(network: Network, layer: str, side: int) -> int:
    """How many channels (or units) a layer has for pictures of `side` × `side`.

    Errors: `UsageError` where the network cannot see pictures of this size.
    """
    blank = torch.zeros(1, network.input_spec.channels, side, side, device=network.get_buffer("mean").device)
    try:
        with torch.no_grad():
            output = objectives.read(network, blank, frozenset({layer}))[layer]
    except RuntimeError as error:
        raise UsageError(f"{network.name} cannot see {side} × {side} pixels: leave --size out") from error
    return output.shape[1] if output.dim() == 4 else output[0].numel()


def picture_row(pictures: Tensor) -> Tensor:
    """Pictures `(N, C, S, S)` in a row as one picture `(3, H, W)`; digits with each pixel a square."""
    if pictures.shape[1] == 1:
        pictures = pictures.repeat_interleave(DIGIT_ZOOM, 2).repeat_interleave(DIGIT_ZOOM, 3)
    first, *others = pictures.expand(-1, 3, -1, -1)
    gap = torch.zeros(3, first.shape[1], _GAP)
    return torch.cat([first, *(part for other in others for part in (gap, other))], 2)


def _side(settings: Feature, network: Network) -> int:
    small = settings.sheet and network.input_spec.channels == 3
    return settings.size or (SHEET_SIDE if small else network.input_spec.size)


def _objective(settings: Feature, network: Network, layer: str, index: int | None) -> Objective:
    if settings.direction:
        first, second = settings.direction
        return objectives.direction(layer, {first: 1 - settings.mix, second: settings.mix})
    assert index is not None  # else there is no target
    one = objectives.unit if settings.unit else objectives.channel
    objective = one(layer, index)
    if settings.against is not None:
        if settings.class_ is not None:
            other = class_index(settings.against, network)
        elif settings.against.isascii() and settings.against.isdigit():
            other = int(settings.against)
        else:
            raise UsageError(f"against: expected the number of a channel, got {settings.against[:60]!r}")
        objective = objective - one(layer, other)
    return objective


def _frames(
    settings: Feature, network: Network, targets: Sequence[tuple[Objective, int]], answer: int | None
) -> Generator[FeatureFrame, None, None]:
    generator = torch.Generator().manual_seed(settings.seed)
    finished: list[Tensor] = []
    for objective, count in targets:
        for step, numbers, made in _ascend(settings, network, objective, count, answer, generator):
            pictures = torch.cat([*finished, made])
            yield FeatureFrame(
                step=len(finished) * settings.steps + step,
                steps=len(targets) * settings.steps,
                numbers=numbers,
                picture=picture_row(pictures),
                pictures=pictures,
            )
        finished.append(made)


def _ascend(
    settings: Feature,
    network: Network,
    objective: Objective,
    count: int,
    answer: int | None,
    generator: torch.Generator,
) -> Iterator[tuple[int, dict[str, float], Tensor]]:
    """Gradient ascent of one batch: the step, its numbers, and the pictures so far `(count, C, S, S)`."""
    spec, (layer,) = network.input_spec, objective.layers
    drawn = spec.channels == 1  # a digit, white ink on black
    side = _side(settings, network)
    margin = side // 7 if drawn else 0  # where MNIST has no ink, a network's objectives mean nothing
    waves = FourierImage(
        count,
        spec.channels,
        side - 2 * margin,
        side - 2 * margin,
        generator,
        fall=settings.fall,
        level=0.05 if drawn else 0.5,
    ).to(network.get_buffer("mean").device)

    def canvas() -> Tensor:
        return F.pad(waves(), (margin,) * 4)

    with torch.no_grad():
        # In units of how much the layer varies on noise, an objective weighs the same whatever the layer.
        spread = objectives.read(network, canvas(), objective.layers)[layer].std().item()
    whole = (1 / max(spread, 1e-6)) * objective
    if count > 1 and not settings.sheet:
        whole = whole + settings.difference * objectives.diversity(layer)
    if drawn:
        whole = whole + settings.ink * objectives.ink()

    optimiser = uncompiled(torch.optim.Adam)(waves.parameters(), lr=settings.learning_rate)
    for step in range(1, settings.steps + 1):
        optimiser.param_groups[0]["lr"] = settings.learning_rate * (1 - 0.9 * (step - 1) / settings.steps)
        seen = random_transform(canvas(), generator, settings.robustness)
        outputs = objectives.read(network, seen, whole.layers)
        optimiser.zero_grad()
        torch.autograd.backward(whole.measure(seen, outputs).sum().neg())
        optimiser.step()
        with torch.no_grad():
            pictures = canvas()
            if step == settings.steps:
                seen, outputs = pictures, objectives.read(network, pictures, whole.layers)
            numbers = {"activation": objective.measure(seen, outputs).mean().item()}
            if answer is not None:
                numbers["probability"] = outputs[layer].softmax(1)[:, answer].mean().item()
        yield step, numbers, pictures.cpu()
