"""A network as a sequence of named layers, so that the output of each can be read."""

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
    """A network's input: channels, size in pixels, and normalisation.

    A picture in [0, 1] becomes `(picture - mean) / std`, channel by channel. `crop` is the side of the
    centre crop that the network was evaluated on, as a share of the picture's shorter side.
    """

    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float = 1.0

    @property
    def is_of_digits(self) -> bool:
        """Whether it is one channel of 28 × 28 pixels, as MNIST's digits have."""
        return (self.channels, self.size) == (1, 28)


class Network(nn.Module):
    """Named layers in order, applied one after another to a batch of pictures in [0, 1].

    `network(images)` takes `(N, channels, H, W)` in [0, 1], normalises it and returns the last layer's output
    (logits `(N, classes)` for a classifier).
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
        """Normalise pictures `(N, C, H, W)` in [0, 1] for the first layer."""
        parameter = next(self.parameters())
        normalised = (images - self.get_buffer("mean")) / self.get_buffer("std")
        return normalised.to(parameter.dtype)

    def run(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield each layer's name and output, in order. Layers are computed lazily."""
        x = self.preprocess(images)
        for name in self.layers:
            x = self.layer_output(name, x)
            yield name, x

    def forward(self, images: Tensor) -> Tensor:
        """Return the last layer's output."""
        x = self.preprocess(images)
        for name in self.layers:
            x = self.layer_output(name, x)
        return x

    def layer_output(self, name: str, x: Tensor) -> Tensor:
        """Return the output of one layer, given its input."""
        output: Tensor = self.layers[name](x)
        return output

    def gradients(self, value: Tensor, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the gradients of a value that this network computed; zeros for tensors it does not use."""
        return torch.autograd.grad(value, tensors, materialize_grads=True)

    def layer(self, name: str) -> nn.Module:
        """Return a layer by its name. Errors: `UsageError` with the names of all layers."""
        if name not in self.layers:
            raise UsageError(f"{self.name} has no layer {name!r}: it has {', '.join(self.layers)}")
        return self.layers[name]
