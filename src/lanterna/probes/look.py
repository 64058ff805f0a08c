"""The activations of a network's layers for a picture."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lanterna.errors import UsageError
from lanterna.images.drawing import as_png, layer_sheet

if TYPE_CHECKING:
    from lanterna.networks.network import Network


class Look(Mapping[str, Tensor]):
    """The layers' activations by name, in order, which a notebook displays as a picture.

    For a batch `(N, C, H, W)` the tensors are `(N, …)`; for one picture `(C, H, W)` they have no N.
    """

    def __init__(self, network: str, images: Tensor, outputs: Mapping[str, Tensor]) -> None:
        self.network = network
        self.images = images
        self._outputs = dict(outputs)

    def __getitem__(self, layer: str) -> Tensor:
        if layer not in self._outputs:
            raise KeyError(layer)
        return self._outputs[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {tuple(output.shape)}" for name, output in self.items())
        return f"Look({self.network}: {shapes})"

    def _repr_png_(self) -> bytes:
        single = self.images.dim() == 3
        rows = {name: output if single else output[0] for name, output in self.items()}
        return as_png(layer_sheet({"picture": self.images if single else self.images[0], **rows}))


def look(network: Network, images: Tensor, *layers: str) -> Look:
    """Return the activations of `layers` (by default all) for `images` in [0, 1].

    `images` is a batch `(N, C, H, W)` or one picture `(C, H, W)`. Nothing after the last requested layer is
    computed. The network runs in eval mode and without gradients, and its mode is restored.

    Errors: `UsageError` for a layer that the network does not have, or pictures that it does not accept.
    """
    for name in layers:
        network.layer(name)
    batch = as_batch(network, images)
    outputs: dict[str, Tensor] = {}
    missing = set(layers or network.layers)
    with eval_mode(network), torch.no_grad(), explain_size_errors(network, images):
        for name, output in network.run(batch):
            if name in missing or not layers:
                outputs[name] = output if images.dim() == 4 else output[0]
                missing.discard(name)
            if not missing:
                break
    return Look(network.name, images, outputs)


def as_batch(network: Network, images: Tensor) -> Tensor:
    """Convert pictures, or one picture `(C, H, W)`, to a batch on the network's device and in its dtype.

    Errors: `UsageError` if they are not floats or their dimensions or channels do not fit the network.
    """
    channels, size = network.input_spec.channels, network.input_spec.size
    batch = images if images.dim() == 4 else images.unsqueeze(0)
    if batch.dim() != 4 or batch.shape[1] != channels or 0 in batch.shape:
        raise UsageError(
            f"{network.name} takes pictures ({channels}, {size}, {size}), got {tuple(images.shape)}"
        )
    if not batch.is_floating_point():
        raise UsageError(
            f"expected a picture of floats in [0, 1], got {str(batch.dtype).removeprefix('torch.')}"
        )
    parameter = next(network.parameters())
    return batch.to(parameter.device, parameter.dtype)


def as_batch_of_one(network: Network, image: Tensor) -> Tensor:
    """Copy one picture `(C, H, W)` to a batch `(1, C, H, W)`, detached from its graph.

    Errors: `UsageError` as for `as_batch`, and for several pictures.
    """
    if image.dim() == 4 and len(image) != 1:
        raise UsageError(f"expected one picture (C, H, W), got {tuple(image.shape)}")
    return as_batch(network, image.detach()).clone()


@contextlib.contextmanager
def eval_mode(network: Network) -> Iterator[None]:
    """Put a network in eval mode, and restore the mode of every module afterwards."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextlib.contextmanager
def explain_size_errors(network: Network, images: Tensor) -> Iterator[None]:
    """Raise a UsageError in one line if the network fails because a picture has the wrong size."""
    size = network.input_spec.size
    try:
        yield
    except RuntimeError as error:
        if tuple(images.shape[-2:]) == (size, size):
            raise
        raise UsageError(
            f"{network.name} takes pictures of {size} × {size} pixels, got {tuple(images.shape[-2:])}"
        ) from error
