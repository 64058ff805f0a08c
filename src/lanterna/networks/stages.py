"""A network is named stages in order, so that any of them can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lanterna.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True)
class InputSpec:
    """What a network takes as its input: channels, size in pixels, and how values are normalised.

    A picture in [0, 1] becomes `(picture - mean) / std`, channel by channel. `crop` is the share of
    the picture's shorter side that the centre crop keeps where a network was trained on such crops.
    """

    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float = 1.0


class Network(nn.Module):
    """Named stages in order, applied one after another to a batch of pictures in [0, 1].

    `network(images)` takes `(N, channels, H, W)` in [0, 1] and gives what the last stage puts out (logits
    `(N, classes)` for a network that classifies). The shift into the network's own range is part of the call.
    """

    def __init__(
        self, name: str, input_spec: InputSpec, stages: Mapping[str, nn.Module], classes: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.name = name
        self.input_spec = input_spec
        self.classes = tuple(classes)
        self.stages = nn.ModuleDict(stages)
        shape = (1, input_spec.channels, 1, 1)
        self.register_buffer("mean", torch.tensor(input_spec.mean).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(input_spec.std).view(shape), persistent=False)

    def preprocess(self, images: Tensor) -> Tensor:
        """Normalise pictures in [0, 1], `(N, C, H, W)`, to the range that the first stage expects."""
        parameter = next(self.parameters())
        shifted = (images - self.get_buffer("mean")) / self.get_buffer("std")
        return shifted.to(parameter.dtype)

    def run(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield each stage's name and what it put out, in order. What is not asked for is not computed."""
        x = self.preprocess(images)
        for name, stage in self.stages.items():
            x = stage(x)
            yield name, x

    def forward(self, images: Tensor) -> Tensor:
        """What the last stage puts out."""
        x = self.preprocess(images)
        for stage in self.stages.values():
            x = stage(x)
        return x

    def stage(self, name: str) -> nn.Module:
        """One stage by its name. Errors: `UsageError` that lists the names there are."""
        if name not in self.stages:
            raise UsageError(f"{self.name} has no stage {name!r}: it has {', '.join(self.stages)}")
        return self.stages[name]
