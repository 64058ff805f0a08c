"""What to want of a picture: small objectives that can be added, weighted and maximised.

    objective = 2 * channel("block9", 31) + energy("block5") - 0.1 * smoothness()
    objective(network, images)   # (N,): how well each picture has of it

Olah, Mordvintsev and Schubert, "Feature Visualization" (2017), and their library lucid, from which the idea
of objectives as a small algebra comes. Here an objective gives a number for each picture of a batch, not one
for the whole batch: pictures with different objectives can share a batch, and one picture's does not move
another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    """An objective: which layers it reads, and how pictures and those layers' outputs become a number each.

    `measure(images, outputs)` takes the pictures `(N, C, H, W)` in [0, 1] and what the layers put out, by
    name, in float32, and gives `(N,)`: the more, the better.
    """

    layers: frozenset[str]
    measure: Callable[[Tensor, Outputs], Tensor]

    def __call__(self, network: Network, images: Tensor) -> Tensor:
        """How well each of `images` `(N, C, H, W)` in [0, 1] reaches the objective, `(N,)`, with gradients.

        The network is run up to the last layer that is read and no further. Errors: `UsageError` for a layer
        or channel that the network does not have.
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
    """What `layers` put out, by name, in float32 or finer; nothing behind the last of them is computed."""
    outputs = native_layer_outputs(network, images, layers)
    return {
        name: output.to(torch.promote_types(output.dtype, torch.float32)) for name, output in outputs.items()
    }


def native_layer_outputs(network: Network, images: Tensor, layers: frozenset[str]) -> dict[str, Tensor]:
    """What `layers` put out, by name, in the network's own precision; otherwise as `read`."""
    for name in layers:
        network.layer(name)
    outputs: dict[str, Tensor] = {}
    if layers:
        for name, output in network.run(images):
            if name in layers:
                outputs[name] = output
                if len(outputs) == len(layers):
                    break
    return outputs


def channel(layer: str, index: int | Sequence[int]) -> Objective:
    """The mean of one map over its positions, or one unit of a layer without positions.

    With several indices, each picture of the batch wants its own: the first picture the first, and so on.
    """
    return Objective(frozenset({layer}), lambda _, outputs: _maps(outputs, layer, index).mean((1, 2)))


def unit(layer: str, index: int | Sequence[int], at: tuple[int, int] | None = None) -> Objective:
    """One map at one position `at` (row, column), in the middle if none is given.

    Errors (when it is measured): `UsageError` for a position outside of the map.
    """

    def measure(_: Tensor, outputs: Outputs) -> Tensor:
        maps = _maps(outputs, layer, index)  # (N, H, W)
        height, width = maps.shape[1:]
        row, column = at or (height // 2, width // 2)
        if not (0 <= row < height and 0 <= column < width):
            raise UsageError(f"{layer} has {height} × {width} positions, got {row}, {column}")
        return maps[:, row, column]

    return Objective(frozenset({layer}), measure)


def logit(index: int | Sequence[int], layer: str = "output") -> Objective:
    """The evidence for one class before the softmax.

    Not its probability, which can be raised as well by removing what speaks for the others.
    """
    return channel(layer, index)


def log_odds(index: int, layer: str = "output") -> Objective:
    """The logarithm of how much likelier one class is than all others together: log(p / (1 - p)).

    Unlike the logit it says how sure the network is; unlike the probability it has a gradient everywhere.
    """

    def measure(_: Tensor, outputs: Outputs) -> Tensor:
        logits = outputs[layer]  # (N, classes)
        _check(layer, index, logits.shape[1])
        others = torch.ones(logits.shape[1], dtype=torch.bool, device=logits.device)
        others[index] = False
        return logits[:, index] - logits[:, others].logsumexp(1)

    return Objective(frozenset({layer}), measure)


def direction(layer: str, weights: Mapping[int, float]) -> Objective:
    """A mix of channels: how far the outputs reach along it, times how truly they point there.

    `weights` are the mix's channels, `{31: 1, 40: 1}` halfway between two. At each position the outputs are
    a vector over channels; d being the mix at length 1, the measure is the mean of (vector · d) × cosine,
    with the cosine never below 0.1. The plain sum would be content with one of the two channels alone
    (the "dot product and cosine similarity" objective of lucid).
    """

    def measure(_: Tensor, outputs: Outputs) -> Tensor:
        maps = _with_positions(outputs[layer]).flatten(2)  # (N, C, positions)
        for index in weights:
            _check(layer, index, maps.shape[1])
        along = maps.new_zeros(maps.shape[1])
        along[list(weights)] = maps.new_tensor(list(weights.values()))
        along = along / along.norm().clamp_min(1e-12)
        reach = torch.einsum("ncp,c->np", maps, along)
        cosine = reach / maps.norm(dim=1).clamp_min(1e-6)
        measured: Tensor = (reach * cosine.clamp_min(0.1)).mean(1)
        return measured

    return Objective(frozenset({layer}), measure)


def energy(layer: str) -> Objective:
    """Half the mean square of all that a layer puts out: more of whatever it sees already (DeepDream)."""
    return Objective(frozenset({layer}), lambda _, outputs: outputs[layer].flatten(1).square().mean(1).div(2))


def channels(layer: str, indices: Sequence[int]) -> Objective:
    """The mean of several maps of a layer over their positions: every picture wants all of them."""

    def measure(_: Tensor, outputs: Outputs) -> Tensor:
        maps = _with_positions(outputs[layer])
        for index in indices:
            _check(layer, index, maps.shape[1])
        return maps[:, list(indices)].flatten(1).mean(1)

    return Objective(frozenset({layer}), measure)


def guide(layer: str, features: Tensor) -> Objective:
    """How well each position matches whatever in a guide picture it is most like (DeepDream's guided dreams).

    `features` is what the layer put out for the guide, `(1, C, H, W)`. At each position the outputs are a
    vector over channels, and its best match is the guide's vector that points most nearly the same way; the
    measure is the mean over positions of how far the outputs reach along it, divided by the channels.

    The notebook of Mordvintsev, Olah and Tyka, "Inceptionism" (2015), matches by dot product, not by
    direction. The few loudest places of the guide then match everywhere, and most of what it shows is
    never dreamed.
    """
    # (C, positions of the guide)
    wanted = F.normalize(_with_positions(features)[0].flatten(1), dim=0)

    def measure(_: Tensor, outputs: Outputs) -> Tensor:
        maps = _with_positions(outputs[layer]).flatten(2)  # (N, C, positions)
        # Of vectors of length 1, the one with the largest dot product is the nearest in direction.
        best = wanted[:, (maps.detach().transpose(1, 2) @ wanted).argmax(2)]  # (C, N, positions)
        return (maps * best.transpose(0, 1)).sum(1).mean(1) / len(wanted)

    return Objective(frozenset({layer}), measure)


def diversity(layer: str) -> Objective:
    """How differently from its batch each picture looks to a layer, from -1 (the same) on.

    Minus the mean cosine similarity of a picture's Gram matrix (which channels fire together, wherever) with
    those of the others (Olah et al. 2017, section "Diversity"). A batch of one has nothing to differ from: 0.
    """

    def measure(_: Tensor, outputs: Outputs) -> Tensor:
        maps = _with_positions(outputs[layer]).flatten(2)  # (N, C, positions)
        gram = F.normalize((maps @ maps.transpose(1, 2)).flatten(1), dim=1)
        alike = gram @ gram.T
        others = len(maps) - 1
        return -(alike.sum(1) - alike.diagonal()) / max(1, others)

    return Objective(frozenset({layer}), measure)


def smoothness() -> Objective:
    """Minus the mean difference between neighbouring pixels (anisotropic total variation), at most 0."""

    def measure(images: Tensor, _: Outputs) -> Tensor:
        down = images.diff(dim=2).abs().flatten(1).mean(1)
        across = images.diff(dim=3).abs().flatten(1).mean(1)
        return -(down + across)

    return Objective(frozenset(), measure)


def ink() -> Objective:
    """Minus the mean brightness of a picture, at most 0: for drawings, white on black, with few strokes."""
    return Objective(frozenset(), lambda images, _: -images.flatten(1).mean(1))


def _with_positions(output: Tensor) -> Tensor:
    """What a layer put out as `(N, C, H, W)`; a layer without positions has one."""
    return output if output.dim() == 4 else output.flatten(1)[:, :, None, None]


def _maps(outputs: Outputs, layer: str, index: int | Sequence[int]) -> Tensor:
    """For each picture the map it wants, `(N, H, W)`."""
    maps = _with_positions(outputs[layer])
    wanted = [index] * len(maps) if isinstance(index, int) else list(index)
    for each in wanted:
        _check(layer, each, maps.shape[1])
    if len(wanted) != len(maps):
        raise UsageError(f"expected a channel for each of {len(maps)} pictures, got {len(wanted)}")
    return maps[torch.arange(len(maps)), wanted]


def _check(layer: str, index: int, channels: int) -> None:
    if not 0 <= index < channels:
        raise UsageError(f"{layer} has channels 0 to {channels - 1}, got {index}")
