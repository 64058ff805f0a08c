"""A network is named layers in order, so that any of them can be read."""

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
    """Named layers in order, applied one after another to a batch of pictures in [0, 1].

    `network(images)` takes `(N, channels, H, W)` in [0, 1] and gives what the last layer puts out (logits
    `(N, classes)` for a network that classifies). The shift into the network's own range is part of the call.
    """

    def __init__(
        self, name: str, input_spec: InputSpec, layers: Mapping[str, nn.Module], classes: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.name = name
        self.input_spec = input_spec
        self.classes = tuple(classes)
        self.layers = nn.ModuleDict(layers)
        shape = (1, input_spec.channels, 1, 1)
        self.register_buffer("mean", torch.tensor(input_spec.mean).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(input_spec.std).view(shape), persistent=False)

    def preprocess(self, images: Tensor) -> Tensor:
        """Normalise pictures in [0, 1], `(N, C, H, W)`, to the range that the first layer expects."""
        parameter = next(self.parameters())
        shifted = (images - self.get_buffer("mean")) / self.get_buffer("std")
        return shifted.to(parameter.dtype)

    def run(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield each layer's name and what it put out, in order. What is not asked for is not computed."""
        x = self.preprocess(images)
        for name, layer in self.layers.items():
            x = layer(x)
            yield name, x

    def forward(self, images: Tensor) -> Tensor:
        """What the last layer puts out."""
        x = self.preprocess(images)
        for layer in self.layers.values():
            x = layer(x)
        return x

    def layer(self, name: str) -> nn.Module:
        """One layer by its name. Errors: `UsageError` that lists the names there are."""
        if name not in self.layers:
            raise UsageError(f"{self.name} has no layer {name!r}: it has {', '.join(self.layers)}")
        return self.layers[name]
