"""Objectives for pictures: small functions that can be added, weighted and maximised.

    objective = 2 * channel("block9", 31) + energy("block5") - 0.1 * smoothness()
    objective(network, images)   # (N,): the value of each picture

The idea of composable objectives is from lucid, the library of Olah, Mordvintsev and Schubert, "Feature
Visualization" (2017). Here an objective returns one value per picture of a batch, not one for the batch:
pictures with different objectives can share a batch without influencing each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from lanterna.errors import UsageError

if TYPE_CHECKING:
    from lanterna.networks.network import Network

Outputs = Mapping[str, Tensor]


@dataclass(frozen=True)
class Objective:
    """The layers that an objective reads, and a function from their outputs to one value per picture.

    `measure(images, outputs)` takes pictures `(N, C, H, W)` in [0, 1] and the layers' outputs by name, in
    float32, and returns `(N,)`: higher is better.
    """

    layers: frozenset[str]
    measure: Callable[[Tensor, Outputs], Tensor]

    def __call__(self, network: Network, images: Tensor) -> Tensor:
        """Return the value `(N,)` of each of `images` `(N, C, H, W)` in [0, 1], with gradients.

        The network runs only up to the last layer that is read. Errors: `UsageError` for a layer or channel
        that the network does not have.
        """
        return self.measure(images, layer_outputs(network, images, self.layers))

    def __add__(self, other: Objective) -> Objective:
        return Objective(
            self.layers | other.layers,
            lambda images, outputs: self.measure(images, outputs) + other.measure(images, outputs),
        )

    def __mul__(self, weight: float) -> Objective:
        return Objective(self.layers, lambda images, outputs: weight * self.measure(images, outputs))

    __rmul__ = __mul__

    def __neg__(self) -> Objective:
        return -1.0 * self

    def __sub__(self, other: Objective) -> Objective:
        return self + -other


def layer_outputs(network: Network, images: Tensor, layers: frozenset[str]) -> dict[str, Tensor]:
    """Return the outputs of `layers` by name, in float32 or higher precision; later layers do not run."""
    outputs = native_layer_outputs(network, images, layers)
    return {
        name: output.to(torch.promote_types(output.dtype, torch.float32)) for name, output in outputs.items()
    }


def native_layer_outputs(network: Network, images: Tensor, layers: frozenset[str]) -> dict[str, Tensor]:
    """Return the outputs of `layers` by name, in the network's own precision."""
    return dict(each_layer_output(network, images, layers))


def each_layer_output(
    network: Network, images: Tensor, layers: frozenset[str]
) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and output of each of `layers`, in the network's order and precision, once computed."""
    for name in layers:
        network.layer(name)
    left = len(layers)
    for name, output in network.run(images) if layers else ():
        if name in layers:
            yield name, output
            left -= 1
            if not left:
                break


def channel(layer: str, index: int | Sequence[int]) -> Objective:
    """Maximise the mean of one channel over its positions, or one unit of a layer without positions.

    Several indices are one for each picture of the batch, in order.
    """
    return Objective(frozenset({layer}), lambda _, outputs: _maps(outputs, layer, index).mean((1, 2)))


def unit(layer: str, index: int | Sequence[int], at: tuple[int, int] | None = None) -> Objective:
    """Maximise one channel at one position `at` (row, column), by default the centre.

    Errors (when evaluated): `UsageError` for a position outside the map.
    """

    def measure(_: Tensor, outputs: Outputs) -> Tensor:
        maps = _maps(outputs, layer, index)  # (N, H, W)
        height, width = maps.shape[1:]
        row, column = at or (height // 2, width // 2)
        if not (0 <= row < height and 0 <= column < width):
            raise UsageError(f"expected a position within {height} × {width} of {layer}, got {row}, {column}")
        return maps[:, row, column]

    return Objective(frozenset({layer}), measure)


def logit(index: int | Sequence[int], layer: str = "output") -> Objective:
    """Maximise a class's logit.

    Unlike the probability, it cannot be raised by removing evidence for other classes.
    """
    return channel(layer, index)


def log_odds(index: int, layer: str = "output") -> Objective:
    """Maximise a class's log-odds against all others together: log(p / (1 - p)).

    Unlike the logit it reflects the network's confidence; unlike the probability it does not saturate.
    """

    def measure(_: Tensor, outputs: Outputs) -> Tensor:
        logits = outputs[layer]  # (N, classes)
        check_channel(layer, index, logits.shape[1])
        others = torch.ones(logits.shape[1], dtype=torch.bool, device=logits.device)
        others[index] = False
        return logits[:, index] - logits[:, others].logsumexp(1)

    return Objective(frozenset({layer}), measure)


def direction(layer: str, weights: Mapping[int, float]) -> Objective:
    """Maximise a direction in channel space by dot product times cosine similarity, as lucid does.

    `weights` are the direction's channels, `{31: 1, 40: 1}` halfway between two. At each position the output
    is a vector over channels; for the unit direction d, the value is the mean of (vector · d) × cosine, with
    the cosine at least 0.1. The dot product alone could be maximised by one of the channels alone.
    """

    def measure(_: Tensor, outputs: Outputs) -> Tensor:
        maps = with_positions(outputs[layer]).flatten(2)  # (N, C, positions)
        for index in weights:
            check_channel(layer, index, maps.shape[1])
        unit_vector = maps.new_zeros(maps.shape[1])
        unit_vector[list(weights)] = maps.new_tensor(list(weights.values()))
        unit_vector = unit_vector / unit_vector.norm().clamp_min(1e-12)
        dot_product = torch.einsum("ncp,c->np", maps, unit_vector)
        cosine = dot_product / maps.norm(dim=1).clamp_min(1e-6)
        value: Tensor = (dot_product * cosine.clamp_min(0.1)).mean(1)
        return value

    return Objective(frozenset({layer}), measure)


def energy(layer: str) -> Objective:
    """Maximise half the mean square of a layer's output, which amplifies its features (DeepDream)."""
    return Objective(frozenset({layer}), lambda _, outputs: outputs[layer].flatten(1).square().mean(1).div(2))


def channels(layer: str, indices: Sequence[int]) -> Objective:
    """Maximise the mean of several channels of a layer, the same for every picture."""

    def measure(_: Tensor, outputs: Outputs) -> Tensor:
        maps = with_positions(outputs[layer])
        for index in indices:
            check_channel(layer, index, maps.shape[1])
        return maps[:, list(indices)].flatten(1).mean(1)

    return Objective(frozenset({layer}), measure)


def guide(layer: str, features: Tensor) -> Objective:
    """Match each position to the most similar position of a guide picture (DeepDream's guided dreams).

    `features` is the layer's output for the guide, `(1, C, H, W)`. At each position the output is a vector
    over channels, whose best match is the guide's vector with the largest cosine similarity; the value is the
    mean dot product with the normalised match, divided by the number of channels.

    The notebook of Mordvintsev, Olah and Tyka, "Inceptionism" (2015), matches by dot product. The few
    positions of the guide with the largest activations then match everywhere, and most of the guide is
    ignored.
    """
    # (C, positions of the guide)
    guide_vectors = F.normalize(with_positions(features)[0].flatten(1), dim=0)

    def measure(_: Tensor, outputs: Outputs) -> Tensor:
        maps = with_positions(outputs[layer]).flatten(2)  # (N, C, positions)
        # Among unit vectors the largest dot product is the largest cosine similarity.
        best = guide_vectors[
            :, (maps.detach().transpose(1, 2) @ guide_vectors).argmax(2)
        ]  # (C, N, positions)
        return (maps * best.transpose(0, 1)).sum(1).mean(1) / len(guide_vectors)

    return Objective(frozenset({layer}), measure)


def diversity(layer: str) -> Objective:
    """Maximise the differences between the pictures of a batch; -1 if they are all the same.

    The value is minus the mean cosine similarity of a picture's Gram matrix with those of the others (Olah et
    al. 2017, section "Diversity"). A single picture has the value 0.
    """

    def measure(_: Tensor, outputs: Outputs) -> Tensor:
        maps = with_positions(outputs[layer]).flatten(2)  # (N, C, positions)
        gram = F.normalize((maps @ maps.transpose(1, 2)).flatten(1), dim=1)
        similarity = gram @ gram.T
        others = len(maps) - 1
        return -(similarity.sum(1) - similarity.diagonal()) / max(1, others)

    return Objective(frozenset({layer}), measure)


def smoothness() -> Objective:
    """Minimise the mean difference between neighbouring pixels (anisotropic total variation)."""

    def measure(images: Tensor, _: Outputs) -> Tensor:
        down = images.diff(dim=2).abs().flatten(1).mean(1)
        across = images.diff(dim=3).abs().flatten(1).mean(1)
        return -(down + across)

    return Objective(frozenset(), measure)


def ink() -> Objective:
    """Minimise the mean brightness: for drawings in white on black, with few strokes."""
    return Objective(frozenset(), lambda images, _: -images.flatten(1).mean(1))


def with_positions(output: Tensor) -> Tensor:
    """Return a layer's output as `(N, C, H, W)`: a transformer's tokens are positions, else there is one."""
    if output.dim() == 3:
        return output.transpose(1, 2)[..., None]
    return output if output.dim() == 4 else output.flatten(1)[:, :, None, None]


def _maps(outputs: Outputs, layer: str, index: int | Sequence[int]) -> Tensor:
    """Return the requested channel of each picture, `(N, H, W)`."""
    maps = with_positions(outputs[layer])
    indices = [index] * len(maps) if isinstance(index, int) else list(index)
    for channel_index in indices:
        check_channel(layer, channel_index, maps.shape[1])
    if len(indices) != len(maps):
        raise UsageError(f"expected a channel for each of {len(maps)} pictures, got {len(indices)}")
    return maps[torch.arange(len(maps)), indices]


def check_channel(layer: str, index: int, channels: int) -> None:
    """Check that a layer has a channel. Errors: `UsageError`."""
    if not 0 <= index < channels:
        raise UsageError(f"{layer} has channels 0 to {channels - 1}, got {index}")
