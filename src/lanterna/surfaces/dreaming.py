"""The pictures that `lanterna dream` saves, dreams and sheets of them, with their records."""

from __future__ import annotations

import difflib
import math
import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field
from torch import nn

from lanterna import shelf
from lanterna.errors import UsageError
from lanterna.images import make_record, open_picture
from lanterna.images.drawing import contact_sheet
from lanterna.networks import open_network, shelf_items
from lanterna.networks.trained import is_trained
from lanterna.probes import objectives
from lanterna.recipes.dream import Dream, dream, first_stage
from lanterna.recipes.octaves import resized
from lanterna.recipes.recipe import Frame, Recipe
from lanterna.recipes.windows import as_seen

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from torch import Tensor

    from lanterna.images import Input, Record
    from lanterna.images.decoding import Source
    from lanterna.networks import Network

Kind = Literal["stages", "channels", "presets"]

SIDE = 224
"""Pixels of the longer side of a picture on a sheet."""

CHANNELS = 24
"""How many channels a sheet shows, the strongest of this picture, where none are named."""

_STEPS, _OCTAVES = 8, 3  # of a picture on a sheet, at most


class Sheet(Dream):
    """A contact sheet of small dreams, each from the same picture, with one thing changed."""

    shown: tuple[str, ...] = Field(
        default=(), description="What is shown, in order: stages, STAGE:CHANNEL, or presets."
    )


@dataclass(frozen=True)
class Pictures:
    """What goes into a dream: the picture and a guide or None, `(3, H, W)`, and masks `(H, W)`, in [0, 1]."""

    picture: Tensor
    guide: Tensor | None = None
    masks: tuple[Tensor, ...] = ()


def preset_settings(name: str, recipe: type[Recipe] = Dream) -> dict[str, Any]:
    """The settings of a preset. Errors: `UsageError` that lists the presets there are."""
    if name not in recipe.presets:
        close = difflib.get_close_matches(name, recipe.presets, n=1)
        there = f"there are {', '.join(recipe.presets)}" if recipe.presets else "it has none yet"
        hint = f"did you mean {close[0]}?" if close else there
        raise UsageError(f"{recipe.verb} has no preset {name[:60]!r}: {hint}")
    return dict(recipe.presets[name])


def open_pictures(picture: Source, guide: Source | None = None, masks: Iterable[Source] = ()) -> Pictures:
    """Open what goes into a dream. Errors: `UsageError` where one cannot be read as a picture."""
    return Pictures(
        open_picture(picture),
        None if guide is None else open_picture(guide),
        tuple(open_picture(mask).mean(0) for mask in masks),
    )


def dream_record(made: str, recipe: Dream, network: Network, inputs: Iterable[Input]) -> Record:
    """How a dream, or a sheet of them, was made."""
    return make_record(
        "dream", made, recipe, device=network.get_buffer("mean").device, inputs=inputs, network=network,
        network_name=recipe.network, shelf_items=shelf_items(recipe.network),
    )  # fmt: skip


def choose(kind: Kind, recipe: Sheet, network: Network, picture: Tensor) -> Sheet:
    """The recipe of a sheet with all that it shows named, unless it is already.

    Stages: those that are asked for, or every one in which something is left to be seen. Channels: the
    strongest of one stage on this picture. Presets: all whose network is here.

    Errors: `UsageError` where the stages asked for do not fit the sheet.
    """
    if recipe.shown:
        return recipe
    if recipe.mask_stage:
        raise UsageError("a sheet chooses what the masks dream: leave --mask-stage out")
    if kind == "stages":
        shown = recipe.stage or tuple(sensible_stages(network))
    elif kind == "channels":
        stage, *more = recipe.stage or (first_stage(network),)
        if more or stage not in network.stages:
            raise UsageError(
                f"--sheet channels is of one stage: --stage with one of {', '.join(network.stages)}"
            )
        shown = tuple(f"{stage}:{index}" for index in strongest(network, stage, picture))
    else:
        shown = tuple(name for name, preset in Dream.presets.items() if _here(preset, recipe.network))
    if not shown:
        raise UsageError(f"{network.name} has no {kind} to show on a sheet")
    return recipe.changed({"shown": shown})


def _here(preset: dict[str, Any], usual: str) -> bool:
    """Whether the network of a preset can be opened without fetching or training it first."""
    name = preset.get("network", usual)
    items = shelf_items(name)
    return all(map(shelf.is_here, items)) if items else is_trained(name)


def sensible_stages(network: Network) -> list[str]:
    """The stages worth dreaming, in order: those that see positions, without what only prepares the next.

    A pool or normalisation adds nothing to see, and of a convolution and its ReLU the latter is shown.
    """
    blank = torch.zeros(1, network.eye.channels, network.eye.size, network.eye.size)
    blank = blank.to(network.get_buffer("mean").device)
    with torch.no_grad():
        shapes = {name: output.shape for name, output in network.run(blank)}
    plain = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.BatchNorm2d, nn.Dropout, nn.Identity)
    names = [
        name
        for name, shape in shapes.items()
        if len(shape) == 4 and shape[2] * shape[3] > 1 and not isinstance(network.stage(name), plain)
    ]
    followers = [*names[1:], None]
    return [
        name
        for name, after in zip(names, followers, strict=True)
        if after is None or not isinstance(network.stage(after), nn.ReLU | nn.ReLU6)
    ]


def strongest(network: Network, stage: str, picture: Tensor, count: int = CHANNELS) -> list[int]:
    """The channels with the largest means over a picture `(3, H, W)` as a network sees it, largest first."""
    small = resized(picture, (network.eye.size, network.eye.size)).clamp(0, 1)
    images = as_seen(small[None].to(network.get_buffer("mean").device), network)
    with torch.no_grad():
        outputs = objectives.read(network, images, frozenset({stage}))
    means = outputs[stage][0].flatten(1).mean(1)
    return means.argsort(descending=True, stable=True)[:count].tolist()


def sheet_frames(
    kind: Kind, recipe: Sheet, network: Network, pictures: Pictures
) -> Generator[Frame, None, None]:
    """Dream all that a sheet shows, small; after each a frame with the sheet so far, `(3, H, W)`."""
    count = len(recipe.shown)
    title = {
        "stages": f"What each stage of {network.name} dreams",
        "channels": f"What channels of {recipe.shown[0].partition(':')[0]} in {network.name} dream",
        "presets": "What each preset dreams",
    }[kind]
    columns = columns_for(count)
    tiles: list[tuple[Tensor, str]] = []
    for number, name in enumerate(recipe.shown, start=1):
        large = large_recipe(kind, recipe, name)
        small = large.changed(
            {
                "size": min(large.size or SIDE, SIDE),
                "steps": min(large.steps, _STEPS),
                "octaves": min(large.octaves, _OCTAVES),
            }
        )
        own = network if small.network == recipe.network else open_network(small.network)
        frames = dream(pictures.picture, small, network=own, guide=pictures.guide, masks=pictures.masks)
        (last,) = deque(frames, maxlen=1)
        assert last.picture is not None
        tiles.append((last.picture.cpu(), label(name)))
        _, height, width = tiles[0][0].shape
        page = contact_sheet(tiles, columns=columns, side=width, height=height, places=count, title=title)
        yield Frame(number, count, picture=page)


def columns_for(count: int) -> int:
    """In how many columns a sheet of so many pictures is laid out."""
    return 6 if count > 12 else math.ceil(math.sqrt(count))


def label(name: str) -> str:
    """What is written beneath a picture on a sheet: of a channel its number."""
    return name.rpartition(":")[2] if re.fullmatch(r".+:\d+", name) else name


def large_recipe(kind: Kind, recipe: Sheet, name: str) -> Dream:
    """The recipe that makes one picture of a sheet large."""
    settings = recipe.model_dump(exclude={"shown"})
    if kind == "presets":
        usual = Dream().model_dump()
        changed = {key: value for key, value in settings.items() if value != usual[key]}
        return Dream.checked({**preset_settings(name), **changed})
    return Dream.checked({**settings, "stage": (name,)})
