"""Feature visualisation: generate a picture that maximises a channel, unit, class or mix of channels.

Start from faint noise; shift, rotate and scale it a little at random; compute the gradient of the activation
with respect to its Fourier coefficients (`fourier_image.py`); take a step along it; and repeat. Olah,
Mordvintsev and Schubert, "Feature Visualization", Distill (2017),
https://distill.pub/2017/feature-visualization.

Differences: for a ReLU, the objective is its input, because the gradient of a ReLU that does not fire is 0
(lucid replaces the gradient instead); the learning rate decays linearly; amplitudes fall a little faster than
1/frequency, which favours larger forms; and all transforms are one resampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from lanterna.devices import without_dynamo
from lanterna.errors import UsageError
from lanterna.networks import Network, class_index, open_network
from lanterna.networks.inference import optimize_for_inference
from lanterna.networks.pooling import Pooling, with_pooling
from lanterna.probes import objectives
from lanterna.techniques.fourier_image import FourierImage, random_transform
from lanterna.techniques.technique import Frame, Settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from lanterna.probes.objectives import Objective

BATCH = 8
"""The number of pictures of a sheet that are optimised together."""

SHEET_SIDE = 128
"""Default length of the sides of pictures on a sheet, in pixels."""

DIGIT_ZOOM = 8
"""The side of the square that shows each pixel of a generated digit, in pixels."""

_GAP = 8  # pixels between pictures in a row


class Feature(Settings):
    """Generate a picture that a channel, unit or class of a network responds to most."""

    verb: ClassVar[str] = "feature"

    network: str = Field(
        default="efficientnet-lite0", min_length=1, description="Which network to use, or module:function."
    )
    pooling: Pooling = Field(
        default="maximum", description="How the network's pooling layers pool; average is smoother."
    )
    layer: str | None = Field(
        default=None, description="The layer; the last, with the classes, if none is given.",
        json_schema_extra={"picks": "layer"},
    )  # fmt: skip
    channel: int | None = Field(
        default=None, ge=0, description="The channel (or dense unit) of the layer.",
        json_schema_extra={"picks": "channel"},
    )  # fmt: skip
    class_: str | None = Field(
        default=None, min_length=1, description="A class by its name or number, instead of a channel.",
        json_schema_extra={"picks": "class"},
    )  # fmt: skip
    against: str | None = Field(
        default=None, min_length=1, description="A second channel or class, to suppress."
    )
    direction: tuple[int, int] | None = Field(
        default=None, description="Two channels of the layer, for a picture between both.",
        json_schema_extra={"picks": "channel"},
    )  # fmt: skip
    mix: float = Field(
        default=0.5, ge=0, le=1, description="The weight of the second channel in the direction."
    )
    unit: bool = Field(
        default=False, description="Only the unit in the middle, instead of the channel at all positions."
    )
    sheet: int = Field(
        default=0, ge=0, le=4096, description="Make a sheet of this many of the layer's first channels."
    )
    diversity: int = Field(
        default=1, ge=1, le=16, description="The number of different pictures of one target."
    )
    difference: float = Field(
        default=4.0, ge=0, le=1000, description="The weight of the difference between these pictures."
    )
    steps: int = Field(default=160, ge=1, le=10_000, description="The number of optimisation steps.")
    size: int | None = Field(
        default=None,
        ge=32,
        le=2048,
        description="The side of the picture in pixels; the network's input size if not given.",
    )
    learning_rate: float = Field(
        default=0.25, gt=0, le=10, description="The learning rate at the start; it falls to a tenth."
    )
    fall: float = Field(
        default=1.4,
        ge=0,
        le=3,
        description="How much large shapes prevail: 0 not at all, 1 as in photographs.",
    )
    robustness: float = Field(
        default=1.0,
        ge=0,
        le=3,
        description="How much the picture is shifted, rotated and scaled between steps.",
    )
    ink: float = Field(
        default=5.0, ge=0, le=1000, description="The cost of ink, for networks that read digits."
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        targets = {
            "a channel": self.channel is not None,
            "a class": self.class_ is not None,
            "a direction": self.direction is not None,
            "a sheet": self.sheet > 0,
        }
        given = [name for name, is_given in targets.items() if is_given]
        if len(given) > 1:
            raise UsageError(f"feature: expected one target, got {' and '.join(given)}: leave one out")
        if self.class_ is not None and self.layer is not None:
            raise UsageError(f"feature: classes belong to the last layer: leave {self.layer} out")
        if self.sheet and self.diversity > 1:
            raise UsageError("feature: a sheet shows one picture of each channel: leave --diversity out")
        if (self.sheet or self.direction) and (self.against is not None or self.unit):
            raise UsageError("feature: --against and --unit go with a channel or a class")
        return self

    def check_target(self) -> None:
        """Raise `UsageError` if there is no target."""
        if self.channel is None and self.class_ is None and self.direction is None and not self.sheet:
            examples = {"vg": "relu5_1", "ef": "block9"}  # by the start of the network's name
            target = f"{self.layer or examples.get(self.network[:2], 'LAYER')} 31"
            raise UsageError(f"feature: expected a channel, class, direction or sheet: {target}, for example")


class Kernels(Settings):
    """Show the kernels of a network's first layer, and the patterns that they resemble."""

    verb: ClassVar[str] = "feature"

    network: str = Field(
        default="conv", min_length=1, description="Which network's kernels, or module:function."
    )


@dataclass(frozen=True)
class FeatureFrame(Frame):
    """The state of the optimisation: `pictures` is `(N, C, S, S)` in [0, 1], `picture` shows them in a row.

    `numbers`: `activation`, of the layer as named (mean over the current pictures), and for a class its mean
    `probability`. In the last frame they are measured without, before that with the random transform.
    """

    pictures: Tensor | None = None


def feature(
    settings: Feature, *, network: Network | None = None, device: str = "auto"
) -> Generator[FeatureFrame, None, None]:
    """Generate the pictures of `settings`, yielding a frame after each step.

    `network` is used if given (and not modified), else the one that the settings name.

    Errors, before the first step: `UsageError` for a layer, channel or class that does not exist, or a size
    that the network does not accept; `MissingError` for a network that does not exist.
    """
    settings.check_target()
    network = network or open_network(settings.network, device=device, seed=settings.seed)
    network = with_pooling(network, settings.pooling)
    if network.input_spec.channels not in (1, 3):
        raise UsageError(f"a picture has 1 or 3 channels, {network.name} takes {network.input_spec.channels}")
    layer = target_layer(settings, network)
    channels = count_channels(network, layer, _side(settings, network))
    index = class_index(settings.class_, network) if settings.class_ is not None else settings.channel
    if settings.sheet:
        first = range(min(settings.sheet, channels))
        batches = [first[start : start + BATCH] for start in first[::BATCH]]
        targets = [(objectives.channel(layer, batch), len(batch)) for batch in batches]
    else:
        for each in (index, *(settings.direction or ())):
            if each is not None and each >= channels:
                raise UsageError(f"{layer} has channels 0 to {channels - 1}, got {each}")
        targets = [(_objective(settings, network, layer, index), settings.diversity)]
    # For a ReLU its input is maximised, but its own activation is reported.
    activation = network.layer(settings.layer) if settings.layer not in (None, layer) else nn.Identity()
    fast_network = optimize_for_inference(network, [layer])
    class_number = index if settings.class_ is not None else None
    return _frames(settings, fast_network, targets, class_number, activation)


def target_layer(settings: Feature, network: Network) -> str:
    """Return the layer to maximise: that of the settings or the last; if it is a ReLU, the one before it.

    Errors: `UsageError` for a layer that does not exist.
    """
    names = list(network.layers)
    layer = settings.layer or names[-1]
    is_relu = isinstance(network.layer(layer), nn.ReLU | nn.ReLU6)
    return names[names.index(layer) - 1] if is_relu and names[0] != layer else layer


def count_channels(network: Network, layer: str, side: int) -> int:
    """Return the number of channels (or units) of a layer for pictures of `side` × `side`.

    Errors: `UsageError` if the network does not accept pictures of this size.
    """
    blank = torch.zeros(1, network.input_spec.channels, side, side, device=network.get_buffer("mean").device)
    try:
        with torch.no_grad():
            output = objectives.layer_outputs(network, blank, frozenset({layer}))[layer]
    except RuntimeError as error:
        raise UsageError(
            f"{network.name} does not accept {side} × {side} pixels: leave --size out"
        ) from error
    return output.shape[1] if output.dim() == 4 else output[0].numel()


def picture_row(pictures: Tensor) -> Tensor:
    """Join pictures `(N, C, S, S)` in a row `(3, H, W)`; digits are enlarged."""
    if pictures.shape[1] == 1:
        pictures = pictures.repeat_interleave(DIGIT_ZOOM, 2).repeat_interleave(DIGIT_ZOOM, 3)
    first, *rest = pictures.expand(-1, 3, -1, -1)
    gap = torch.zeros(3, first.shape[1], _GAP)
    return torch.cat([first, *(part for picture in rest for part in (gap, picture))], 2)


def _side(settings: Feature, network: Network) -> int:
    small = settings.sheet and network.input_spec.channels == 3
    return settings.size or (SHEET_SIDE if small else network.input_spec.size)


def _objective(settings: Feature, network: Network, layer: str, index: int | None) -> Objective:
    if settings.direction:
        first, second = settings.direction
        return objectives.direction(layer, {first: 1 - settings.mix, second: settings.mix})
    assert index is not None  # by `check_target`
    objective_of = objectives.unit if settings.unit else objectives.channel
    objective = objective_of(layer, index)
    if settings.against is not None:
        if settings.class_ is not None:
            second = class_index(settings.against, network)
        elif settings.against.isascii() and settings.against.isdigit():
            second = int(settings.against)
        else:
            raise UsageError(f"against: expected the number of a channel, got {settings.against[:60]!r}")
        objective = objective - objective_of(layer, second)
    return objective


def _frames(
    settings: Feature,
    network: Network,
    targets: Sequence[tuple[Objective, int]],
    class_number: int | None,
    activation: nn.Module,
) -> Generator[FeatureFrame, None, None]:
    generator = torch.Generator().manual_seed(settings.seed)
    finished: list[Tensor] = []
    for objective, count in targets:
        for step, numbers, batch in _ascend(
            settings, network, objective, count, class_number, activation, generator
        ):
            pictures = torch.cat([*finished, batch])
            yield FeatureFrame(
                step=len(finished) * settings.steps + step,
                steps=len(targets) * settings.steps,
                numbers=numbers,
                picture=picture_row(pictures),
                pictures=pictures,
            )
        finished.append(batch)


def _ascend(
    settings: Feature,
    network: Network,
    objective: Objective,
    count: int,
    class_number: int | None,
    activation: nn.Module,
    generator: torch.Generator,
) -> Iterator[tuple[int, dict[str, float], Tensor]]:
    """Optimise a batch by gradient ascent; yield the step, its numbers, and pictures `(count, C, S, S)`."""
    spec, (layer,) = network.input_spec, objective.layers
    is_digit = spec.channels == 1  # white ink on black
    side = _side(settings, network)
    margin = side // 7 if is_digit else 0  # MNIST has no ink there
    image = FourierImage(
        count,
        spec.channels,
        side - 2 * margin,
        side - 2 * margin,
        generator,
        fall=settings.fall,
        level=0.05 if is_digit else 0.5,
    ).to(network.get_buffer("mean").device)

    def padded() -> Tensor:
        return F.pad(image(), (margin,) * 4)

    with torch.no_grad():
        # Normalised by the std of the layer on noise, objectives of all layers are on the same scale.
        std = objectives.layer_outputs(network, padded(), objective.layers)[layer].std().item()
    total = (1 / max(std, 1e-6)) * objective
    if count > 1 and not settings.sheet:
        total = total + settings.difference * objectives.diversity(layer)
    if is_digit:
        total = total + settings.ink * objectives.ink()

    parameters = list(image.parameters())
    optimiser = without_dynamo(torch.optim.Adam)(parameters, lr=settings.learning_rate)
    for step in range(1, settings.steps + 1):
        optimiser.param_groups[0]["lr"] = settings.learning_rate * (1 - 0.9 * (step - 1) / settings.steps)
        inputs = random_transform(padded(), generator, settings.robustness)
        outputs = objectives.layer_outputs(network, inputs, total.layers)
        loss = -total.measure(inputs, outputs).sum()
        for parameter, gradient in zip(parameters, network.gradients(loss, parameters), strict=True):
            parameter.grad = gradient
        optimiser.step()
        with torch.no_grad():
            pictures = padded()
            if step == settings.steps:
                inputs, outputs = pictures, objectives.layer_outputs(network, pictures, total.layers)
            activations = {**outputs, layer: activation(outputs[layer].clone())}
            numbers = {"activation": objective.measure(inputs, activations).mean().item()}
            if class_number is not None:
                numbers["probability"] = outputs[layer].softmax(1)[:, class_number].mean().item()
        yield step, numbers, pictures.cpu()
