"""The catalogue of networks: list them, describe their layers and open them by name."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from torch import fx, nn

from lanterna import shelf
from lanterna.devices import choose_device
from lanterna.documents import runs_code
from lanterna.errors import LanternaError, UsageError
from lanterna.networks.cache import cached
from lanterna.networks.classes import imagenet_classes
from lanterna.networks.efficientnet import SCALES, efficientnet
from lanterna.networks.foreign import open_foreign
from lanterna.networks.taught import describe_classes
from lanterna.networks.tracing import ForeignNetwork
from lanterna.networks.trained import is_trained, open_trained, trained_folder
from lanterna.networks.vgg import BLOCKS, vgg
from lanterna.settings import networks_folder

if TYPE_CHECKING:
    from lanterna.networks.network import Network

ALIASES = {"lite0": "efficientnet-lite0", "lite2": "efficientnet-lite2", "vgg": "vgg16"}
_PRETRAINED = {
    "efficientnet-lite0": "classifies photographs, 1,000 ImageNet classes; small and fast",
    "efficientnet-lite2": "classifies photographs, 1,000 ImageNet classes; larger and more accurate",
    "vgg19": "features of photographs for style and dreams; no classes",
    "vgg16": "the same, fine-tuned for edges; no classes",
}
DIGIT_NETWORKS = {
    "dense": "reads a digit: fully connected layers",
    "conv": "reads a digit: convolutions",
}
BUILT_IN = frozenset({*ALIASES, *_PRETRAINED, *DIGIT_NETWORKS})
"""Names reserved for Lanterna's own networks."""


@dataclass(frozen=True)
class Listing:
    """One network in the catalogue: its name, description, source, availability and the command to get it.

    `input` is the shape of one input, `layers` and `parameters` are counts; all three are None for a
    trained network that is missing or damaged.
    """

    name: str
    what: str
    source: str
    here: bool
    command: str
    input: tuple[int, ...] | None = None
    layers: int | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class Layer:
    """A layer: the shape of its output for one picture of the network's size, and its parameter count."""

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int


def networks() -> list[Listing]:
    """List all networks: the pretrained ones, the digit networks, and those trained or taught locally."""
    listings = [
        Listing(
            name,
            what,
            "the shelf",
            all(shelf.is_fetched(item) for item in shelf_items(name)),
            f"lanterna shelf fetch {' '.join(shelf_items(name))}",
            *_pretrained_sizes(name),
        )
        for name, what in _PRETRAINED.items()
    ]
    trained = _trained_names()
    for name in (*DIGIT_NETWORKS, *(name for name in trained if name not in DIGIT_NETWORKS)):
        what = DIGIT_NETWORKS.get(name, "reads a digit")
        command = f"lanterna train {name}" if name in DIGIT_NETWORKS else ""
        listing = Listing(name, what, "trained locally", name in trained, command)
        with contextlib.suppress(LanternaError):  # a missing or damaged network is listed, too
            network = open_trained(name)
            what = what if network.input_spec.is_of_digits else describe_classes(network.classes)
            listing = Listing(name, what, "trained locally", name in trained, command, *_sizes(network))
        listings.append(listing)
    return listings


def network_names() -> list[str]:
    """List the names of the networks that can be fetched and of those trained locally."""
    return [*_PRETRAINED, *_trained_names()]


@cache  # building one takes 30 ms
def _pretrained_sizes(name: str) -> tuple[tuple[int, ...], int, int]:
    return _sizes(_plan(name))


def _sizes(network: Network) -> tuple[tuple[int, ...], int, int]:
    """Return the shape of one input, the number of layers and the number of parameters."""
    spec = network.input_spec
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return (spec.channels, spec.size, spec.size), len(network.layers), parameters


def open_network(
    name: str, *, device: str | torch.device = "cpu", trust: bool = True, seed: int = 0
) -> Network:
    """Open a network with its weights, in eval mode and with `requires_grad` off.

    `name` is a pretrained network (`efficientnet-lite0`, `efficientnet-lite2`, `vgg19`, `vgg16`), a network
    trained locally (`dense`, `conv` or another name), a trained network's folder, or `module:function` for
    your own PyTorch network. The last runs that module's code: pass `trust=False` for a name from an
    untrusted source, such as the recipe in a picture. If its weights are random, `seed` chooses them.

    Errors: `MissingError` with the command that gets the weights if they are missing; `UsageError` if the
    name is unknown, or would run code and `trust` is False.
    """
    target = device if isinstance(device, torch.device) else choose_device(device)
    name = ALIASES.get(name, name)
    version = seed if runs_code(name) else 0
    return cached((name, target), lambda: _open(name, trust=trust, seed=seed).to(target), version)


def _open(name: str, *, trust: bool, seed: int) -> Network:
    if name in _PRETRAINED:
        network = _open_pretrained(name)
    elif runs_code(name) and not is_trained(name):
        if not trust:
            raise UsageError(
                f"{name} would run code from {name.rpartition(':')[0]}: "
                "give --trust if you trust that code and the source of this name"
            )
        network = open_foreign(name, seed)
    elif name in DIGIT_NETWORKS or _may_be_folder(name):
        network = open_trained(name)
    else:
        known = ", ".join(dict.fromkeys((*_PRETRAINED, *DIGIT_NETWORKS, *_trained_names())))
        hint = f"; for the folder, write ./{name}" if Path(name).is_dir() else ""
        raise UsageError(f"there is no network {name!r}: expected one of {known}, or module:function{hint}")
    return network.eval().requires_grad_(False)


def note_on(name: str, network: Network) -> str:
    """Return what a person should know about a network that was opened by this name; empty if nothing."""
    if isinstance(network, ForeignNetwork):
        return f"{name}: {network.note}" if network.note else ""
    here = Path(name)
    if trained_folder(name) != here and is_trained(here):
        return f"{name} is the network of this name: for the one in the folder here, write ./{name}"
    return ""


def shelf_items(name: str) -> tuple[str, ...]:
    """List the shelf items that a network needs: only the pretrained ones need any."""
    name = ALIASES.get(name, name)
    if name not in _PRETRAINED:
        return ()
    return (name, "imagenet-classes") if name in SCALES else (name,)


def layers(name: str) -> tuple[Network, list[Layer]]:
    """Return a network and its layers in order, each with its output shape and parameter count.

    A pretrained network is built on the meta device, without its weights; any other is opened and run once.

    Errors: those of `open_network`.
    """
    name = ALIASES.get(name, name)
    network = _plan(name) if name in _PRETRAINED else open_network(name)
    spec = network.input_spec
    device = next(network.parameters()).device
    picture = torch.zeros(1, spec.channels, spec.size, spec.size, device=device)
    with torch.no_grad():
        shapes = {layer: tuple(output.shape[1:]) for layer, output in network.run(picture)}
    listed = [
        Layer(layer, _kind(module), shapes[layer], sum(p.numel() for p in module.parameters()))
        for layer, module in network.layers.items()
        if layer in shapes
    ]
    return network, listed


def _kind(module: nn.Module) -> str:
    """Return a layer's class name, or `steps` for traced operations without a class."""
    return "steps" if isinstance(module, fx.GraphModule) else type(module).__name__


def _open_pretrained(name: str) -> Network:
    weights = load_file(shelf.need(name) / "weights.safetensors")
    return vgg(name, weights) if name in BLOCKS else efficientnet(name, weights, imagenet_classes())


def _plan(name: str) -> Network:
    return vgg(name) if name in BLOCKS else efficientnet(name)


def _may_be_folder(name: str) -> bool:
    """Whether `name` is a trained network or is written as a path: with a separator or a suffix."""
    return is_trained(name) or "/" in name or "\\" in name or Path(name).suffix != ""


def _trained_names() -> list[str]:
    """List the names of all locally trained networks."""
    parent = networks_folder()
    return sorted(path.name for path in parent.iterdir() if is_trained(path)) if parent.is_dir() else []
