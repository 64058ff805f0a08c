"""The pictures that `lanterna style` saves, painted step by step or at once, and sheets of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lanterna.devices import choose_device
from lanterna.errors import UsageError
from lanterna.images import make_record, open_picture
from lanterna.images.drawing import contact_sheet
from lanterna.networks import shelf_items
from lanterna.recipes.instant import Instant, instant
from lanterna.recipes.octaves import resized
from lanterna.recipes.recipe import Frame
from lanterna.recipes.style import Stylize, style

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from torch import Tensor

    from lanterna.images import Input, Record
    from lanterna.images.decoding import Source
    from lanterna.networks import Network
    from lanterna.techniques.style.technique import InstantlyPainted, Painted

ROLES = ("style", "mask", "content-mask", "start-from")
"""What pictures are for in a style transfer, beside the photograph: the options that name them."""

SIDE = 192
"""Pixels of the longer side of a picture on a sheet."""

_STEPS = 16  # of a picture on a sheet, at most
# What a sheet shows: these shares of the strength and the brush that are asked for.
_STRENGTHS, _INSTANT_STRENGTHS = (0.3, 1.0, 3.0), (0.4, 0.7, 1.0)
_BRUSHES = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Pictures:
    """What goes into a style transfer, `(3, H, W)` each and masks `(H, W)`, in [0, 1]."""

    photo: Tensor
    paintings: tuple[Tensor, ...] = ()
    masks: tuple[Tensor, ...] = ()
    content_mask: Tensor | None = None
    start: Tensor | None = None


def open_pictures(
    photo: Source,
    paintings: Iterable[Source] = (),
    masks: Iterable[Source] = (),
    content_mask: Source | None = None,
    start: Source | None = None,
) -> Pictures:
    """Open what goes into a style transfer; paintings without a mask share what the masks leave.

    Errors: `UsageError` where one cannot be read as a picture, or there are more masks than paintings.
    """
    opened = open_picture(photo)
    styles = tuple(open_picture(painting) for painting in paintings)
    given = tuple(open_picture(mask).mean(0) for mask in masks)
    if len(given) > len(styles):
        raise UsageError(
            f"expected a mask for each painting at most, got {len(given)} masks for {len(styles)} paintings"
        )
    if given and len(given) < len(styles):
        there = [resized(mask[None], tuple(opened.shape[1:]))[0].clamp(0, 1) for mask in given]
        rest = (1 - torch.stack(there).sum(0)).clamp(0, 1)
        given += (rest,) * (len(styles) - len(given))
    return Pictures(
        opened,
        styles,
        given,
        None if content_mask is None else open_picture(content_mask).mean(0),
        None if start is None else open_picture(start),
    )


def frames_of(
    recipe: Painted | InstantlyPainted,
    pictures: Pictures,
    *,
    network: Network | None = None,
    device: str = "auto",
    checkpoint: Path | None = None,
    resume: bool = False,
) -> Generator[Frame, None, None]:
    """Paint as the recipe says, step by step or at once. Errors: those of `style` and `instant`."""
    if isinstance(recipe, Instant):
        return instant(pictures.photo, recipe, styles=pictures.paintings, device=device)
    frames: Generator[Frame, Any, None] = style(
        pictures.photo, recipe, styles=pictures.paintings, masks=pictures.masks,
        content_mask=pictures.content_mask, start=pictures.start, network=network, device=device,
        checkpoint=checkpoint, resume=resume,
    )  # fmt: skip
    return frames


def style_record(
    recipe: Painted | InstantlyPainted,
    inputs: Iterable[Input],
    *,
    sheet: bool = False,
    network: Network | None = None,
    device: str = "auto",
) -> Record:
    """How a picture, or a sheet of them, was painted."""
    if isinstance(recipe, Instant):
        made = "instant-sheet" if sheet else "instant"
        place = choose_device(device)
        return make_record("style", made, recipe, device=place, inputs=inputs, shelf_items=["instant-style"])
    assert network is not None
    return make_record(
        "style", "sheet" if sheet else "style", recipe, device=network.get_buffer("mean").device,
        inputs=inputs, network=network, network_name=recipe.network, shelf_items=shelf_items(recipe.network),
    )  # fmt: skip


def grid(recipe: Painted | InstantlyPainted) -> list[list[Painted | InstantlyPainted]]:
    """What a sheet shows: a row for each strength, in it a picture for each brush, from less to more."""
    at_once = isinstance(recipe, Instant)
    fewest, most = (0.5, 4.0) if at_once else (0.2, 4.0)
    brushes = dict.fromkeys(min(most, max(fewest, recipe.brush * share)) for share in _BRUSHES)
    strengths = dict.fromkeys(
        min(100.0, recipe.strength * share) for share in (_INSTANT_STRENGTHS if at_once else _STRENGTHS)
    )
    return [
        [recipe.changed({"strength": round(strength, 3), "brush": round(brush, 3)}) for brush in brushes]
        for strength in strengths
    ]


def label(recipe: Painted | InstantlyPainted) -> str:
    """What is written beneath a picture on a sheet: its strength and its brush."""
    return f"{recipe.strength:g}, {recipe.brush:g}"


def sheet_frames(
    recipe: Painted | InstantlyPainted,
    pictures: Pictures,
    *,
    network: Network | None = None,
    device: str = "auto",
) -> Generator[Frame, None, None]:
    """Paint all that a sheet shows, small; after each a frame with the sheet so far, `(3, H, W)`."""
    rows = grid(recipe)
    shown = [one for row in rows for one in row]
    tiles: list[tuple[Tensor, str]] = []
    for number, large in enumerate(shown, start=1):
        changes: dict[str, Any] = {"size": SIDE, "print": None}
        if isinstance(large, Stylize):
            changes["steps"] = min(large.steps, _STEPS)
        (last,) = deque(frames_of(large.changed(changes), pictures, network=network, device=device), maxlen=1)
        assert last.picture is not None
        tiles.append((last.picture, label(large)))
        _, height, width = last.picture.shape
        page = contact_sheet(
            tiles, columns=len(rows[0]), side=width, height=height, places=len(shown), title="Strength, brush"
        )
        yield Frame(number, len(shown), picture=page)
