"""The pictures that `lanterna feature` saves, with their records, made now or made again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lanterna.images import make_record
from lanterna.images.drawing import contact_sheet, signed_picture
from lanterna.networks import open_network, shelf_items
from lanterna.networks.digits import DIGIT_EYE
from lanterna.probes import objectives
from lanterna.probes.kernels import first_kernels
from lanterna.recipes.examples import best_examples
from lanterna.recipes.feature import DIGIT_ZOOM, Feature, Kernels, feature

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.images import Record
    from lanterna.networks import Network
    from lanterna.probes.kernels import Kernels as Measured
    from lanterna.recipes.feature import FeatureFrame

KERNEL_SIDE = 112  # pixels of a kernel on its sheet


@dataclass(frozen=True)
class Pair:
    """A channel, how strongly its made picture and the best real one excite it, and what the latter shows."""

    channel: int
    made: float
    real: float
    source: str


def sheet(recipe: Feature, frame: FeatureFrame, network: Network) -> tuple[Tensor, list[Pair]]:
    """The contact sheet of a stage, `(3, H, W)`: each made picture, and the real one that excites most."""
    assert frame.pictures is not None
    stage, side = recipe.stage or list(network.stages)[-1], frame.pictures.shape[-1]
    channels = range(len(frame.pictures))
    examples = best_examples(network, stage, channels, side)
    pictures = frame.pictures.to(network.get_buffer("mean").device)
    with torch.no_grad():
        made = objectives.channel(stage, channels)(network, pictures).tolist()
    pairs = [
        Pair(channel, value, example.excitement, example.source)
        for channel, value, example in zip(channels, made, examples, strict=True)
    ]
    tiles = []
    for pair, picture, example in zip(pairs, frame.pictures, examples, strict=True):
        tiles += [
            (picture, f"{pair.channel}:  {pair.made:.3g}"),
            (example.picture, f"{pair.source}  {pair.real:.3g}"),
        ]
    which = "training digit" if network.eye == DIGIT_EYE else "of the shelf's photographs (not ImageNet)"
    title = f"{stage} of {network.name}: made, and the best {which}"
    return contact_sheet(tiles, columns=8, side=128, title=title), pairs


def kernels_sheet(kernels: Measured, name: str) -> Tensor:
    """Every first-layer kernel with what it looks like, `(3, H, W)`."""
    tiles = []
    shares = kernels.explained.tolist()
    for number, (weight, found, share) in enumerate(zip(kernels.weights, kernels.found, shares, strict=True)):
        if len(weight) == 3:
            picture = 0.5 + weight / (2 * weight.abs().max())
        else:
            picture = signed_picture(weight.mean(0))
        enlarged = picture.repeat_interleave(DIGIT_ZOOM, 1).repeat_interleave(DIGIT_ZOOM, 2)
        tiles.append((enlarged, f"{number}: {found or 'neither'} {share:.0%}"))
    count = sum(found is not None for found in kernels.found)
    title = f"{name}: {count} of {len(tiles)} first kernels are an edge, bar or blob"
    return contact_sheet(tiles, columns=8, side=KERNEL_SIDE, title=title)


def feature_record(recipe: Feature, network: Network) -> Record:
    """How a picture, or a sheet, of what a network wants was made."""
    items = shelf_items(recipe.network)
    if recipe.sheet:
        items += ("mnist",) if network.eye == DIGIT_EYE else ("photographs",)
    return make_record(
        "feature", "sheet" if recipe.sheet else "feature", recipe, network=network,
        device=network.get_buffer("mean").device, network_name=recipe.network, shelf_items=items,
    )  # fmt: skip


def kernels_record(recipe: Kernels, network: Network) -> Record:
    """How a picture of first-layer kernels was made."""
    return make_record(
        "feature", "kernels", recipe, network=network, network_name=recipe.network,
        shelf_items=shelf_items(recipe.network),
    )  # fmt: skip


def feature_picture(record: Record) -> tuple[Tensor, Record]:
    """Make the picture, or the sheet, of what a network wants again from its record."""
    recipe = Feature.checked(record.settings)
    network = open_network(recipe.network, device=record.device)
    (last,) = deque(feature(recipe, network=network), maxlen=1)
    assert last.picture is not None
    picture = sheet(recipe, last, network)[0] if recipe.sheet else last.picture
    return picture, feature_record(recipe, network)


def kernels_picture(record: Record) -> tuple[Tensor, Record]:
    """Make the picture of first-layer kernels again from its record."""
    recipe = Kernels.checked(record.settings)
    network = open_network(recipe.network)
    return kernels_sheet(first_kernels(network), network.name), kernels_record(recipe, network)
