"""Every network by its name: what there is, where it comes from, and opening it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
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
from lanterna.networks.digits import DIGIT_INPUT
from lanterna.networks.efficientnet import SCALES, efficientnet
from lanterna.networks.foreign import open_foreign
from lanterna.networks.taught import describe_classes
from lanterna.networks.trained import is_trained, open_trained
from lanterna.networks.vgg import vgg16
from lanterna.settings import networks_folder

if TYPE_CHECKING:
    from lanterna.networks.network import Network

ALIASES = {"lite0": "efficientnet-lite0", "lite2": "efficientnet-lite2", "vgg": "vgg16"}
_PRETRAINED = {
    "efficientnet-lite0": "names a photograph, 1,000 ImageNet classes; small and quick",
    "efficientnet-lite2": "names a photograph, 1,000 ImageNet classes; larger and surer",
    "vgg16": "features of photographs for style and dreams; no classes",
}
DIGIT_NETWORKS = {
    "dense": "reads a digit: every pixel to every unit",
    "conv": "reads a digit: convolutions",
}
BUILT_IN = frozenset({*ALIASES, *_PRETRAINED, *DIGIT_NETWORKS})
"""The names that are Lanterna's own."""


@dataclass(frozen=True)
class Listing:
    """One network: its name, what it is, where it comes from, whether it is here, and how to get it.

    `input` is the shape of one picture as the network sees it, `layers` and `parameters` are how many it
    has; a trained network that is not here, or is damaged, has none of them.
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
    """One layer: the shape it puts out for one picture of the network's own size, and its parameters."""

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int


def networks() -> list[Listing]:
    """The networks there are: the pretrained ones, the digit networks, and whatever else was trained
    or taught here."""
    listings = [
        Listing(
            name,
            what,
            "the shelf",
            all(shelf.is_here(item) for item in shelf_items(name)),
            f"lanterna shelf fetch {' '.join(shelf_items(name))}",
            *_measures(_plan(name)),
        )
        for name, what in _PRETRAINED.items()
    ]
    here = sorted(folder.name for folder in _folders(networks_folder()) if is_trained(folder))
    for name in (*DIGIT_NETWORKS, *(name for name in here if name not in DIGIT_NETWORKS)):
        what = DIGIT_NETWORKS.get(name, "reads a digit")
        command = f"lanterna train {name}" if name in DIGIT_NETWORKS else ""
        listing = Listing(name, what, "trained here", name in here, command)
        with contextlib.suppress(LanternaError):  # one that is not here, or damaged, is listed all the same
            network = open_trained(name)
            what = what if network.input_spec == DIGIT_INPUT else describe_classes(network.classes)
            listing = Listing(name, what, "trained here", name in here, command, *_measures(network))
        listings.append(listing)
    return listings


def network_names() -> list[str]:
    """The names of the networks that can be fetched, and of those that were trained here."""
    here = sorted(folder.name for folder in _folders(networks_folder()) if is_trained(folder))
    return [*_PRETRAINED, *here]


def _measures(network: Network) -> tuple[tuple[int, ...], int, int]:
    spec = network.input_spec
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return (spec.channels, spec.size, spec.size), len(network.layers), parameters


def open_network(name: str, *, device: str | torch.device = "cpu", trust: bool = True) -> Network:
    """Open a network, with its weights and at rest: no dropout, weights that ask for no gradient.

    `name` is a pretrained network (`efficientnet-lite0`, `efficientnet-lite2`, `vgg16`), a network trained
    here (`dense`, `conv` or another name), a trained network's folder, or `module:function` for anyone's
    PyTorch network. The last runs the code of that module: pass `trust=False` for a name that came from
    somebody else, such as the recipe in a picture.

    Errors: `MissingError` with the command that gets it where the weights are not here; `UsageError` where
    the name is none of these, or runs code and `trust` is False.
    """
    target = device if isinstance(device, torch.device) else choose_device(device)
    name = ALIASES.get(name, name)
    return cached((name, target), lambda: _opened(name, trust=trust).to(target))


def _opened(name: str, *, trust: bool) -> Network:
    if name in _PRETRAINED:
        network = _open_pretrained(name)
    elif runs_code(name) and not is_trained(name):
        if not trust:
            raise UsageError(
                f"{name} would run code from {name.rpartition(':')[0]}: "
                "give --trust if you know that code and where this name comes from"
            )
        network = open_foreign(name)
    elif name in DIGIT_NETWORKS or _may_be_folder(name):
        network = open_trained(name)
    else:
        here = sorted(folder.name for folder in _folders(networks_folder()) if is_trained(folder))
        known = ", ".join(dict.fromkeys((*_PRETRAINED, *DIGIT_NETWORKS, *here)))
        folder = f"; the folder here is written ./{name}" if Path(name).is_dir() else ""
        raise UsageError(f"there is no network {name!r}: there are {known}, and module:function{folder}")
    return network.eval().requires_grad_(False)


def shelf_items(name: str) -> tuple[str, ...]:
    """What opening a network needs from the shelf: nothing, but for the pretrained ones."""
    name = ALIASES.get(name, name)
    if name not in _PRETRAINED:
        return ()
    return (name, "imagenet-classes") if name in SCALES else (name,)


def layers(name: str) -> tuple[Network, list[Layer]]:
    """The network and its layers in order, each with its shape for one picture and its parameter count.

    A pretrained network is planned only, so its weights need not be here; any other is opened and run once.

    Errors: as `open_network`.
    """
    name = ALIASES.get(name, name)
    network = _plan(name) if name in _PRETRAINED else open_network(name)
    spec = network.input_spec
    device = next(network.parameters()).device
    picture = torch.zeros(1, spec.channels, spec.size, spec.size, device=device)
    with torch.no_grad():
        shapes = {layer: tuple(out.shape[1:]) for layer, out in network.run(picture)}
    listed = [
        Layer(layer, _kind(module), shapes[layer], sum(p.numel() for p in module.parameters()))
        for layer, module in network.layers.items()
        if layer in shapes
    ]
    return network, listed


def _kind(module: nn.Module) -> str:
    """What a layer is, by its class; steps that were traced together have none."""
    return "steps" if isinstance(module, fx.GraphModule) else type(module).__name__


def _open_pretrained(name: str) -> Network:
    weights = load_file(shelf.need(name) / "weights.safetensors")
    return vgg16(weights) if name == "vgg16" else efficientnet(name, weights, imagenet_classes())


def _plan(name: str) -> Network:
    return vgg16() if name == "vgg16" else efficientnet(name)


def _may_be_folder(name: str) -> bool:
    """Whether `name` is a network trained here or a path: anything with a separator, or that is there."""
    return is_trained(name) or "/" in name or "\\" in name


def _folders(inside: Path) -> list[Path]:
    return [folder for folder in inside.iterdir() if folder.is_dir()] if inside.is_dir() else []
