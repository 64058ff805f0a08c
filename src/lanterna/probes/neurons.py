"""What each neuron paints: every hidden unit's output over the frame, as a picture of its own.

A network that paints goes from a position to a colour. At each layer every neuron has one number for each
position, so each neuron is a picture: in the lecture's network lines first, then corners where two lines
meet, then shapes.

    seen = neurons(painting.network, (120, 120))      # layer by layer: {"layer 1": (64, 120, 120), ...}
    save_picture(neurons_sheet(painting.network), "neurons.png")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from lanterna.images.drawing import DIM, LIGHT, NIGHT, SHADE, as_image, as_picture, font, signed_picture
from lanterna.networks.hash_grid import Corners

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lanterna.networks.coordinates import Coordinates

_TILE = 2**14  # positions that are run at a time
_SILENT = 1e-6  # a neuron that changes less than this share of its layer's most over the frame


@torch.no_grad()
def neurons(network: Coordinates, size: tuple[int, int], which: Tensor | None = None) -> dict[str, Tensor]:
    """What every hidden unit puts out over the frame at `size` (height, width), layer by layer.

    For each layer `(units, H, W)`, by name: for a hash grid first `grid`, its features level by level; for
    random waves first `waves`, their sines and cosines; then `layer 1`, `layer 2` and so on; last `colours`,
    red, green and blue, where 1 is white and nothing is cut off. `which` of several pictures, `(1,
    pictures)`, as `Painting.mixture` gives it.
    """
    height, width = size
    device = network.output.weight.device
    parts: dict[str, list[Tensor]] = {}
    for first in range(0, height * width, _TILE):
        number = torch.arange(first, min(first + _TILE, height * width), device=device)
        positions = torch.stack([(number % width + 0.5) / width, (number // width + 0.5) / height], 1)
        told = network.encode(positions)
        if isinstance(told, Corners):
            assert network.grid is not None
            parts.setdefault("grid", []).append(network.grid(told))
        elif network.plan.network == "fourier":
            parts.setdefault("waves", []).append(told)
        weights = None if which is None else which.to(device).expand(len(number), -1)
        *hidden, colours = network.run(told, weights)
        for layer, outputs in enumerate(hidden, start=1):
            parts.setdefault(f"layer {layer}", []).append(outputs)
        parts.setdefault("colours", []).append(colours / network.plan.white)
    return {name: torch.cat(each).T.reshape(-1, height, width).cpu() for name, each in parts.items()}


def rank_units(network: Coordinates, seen: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The numbers of the units of each layer that say anything, those that the next layer hears most first.

    How much is heard: how far a unit's output varies over the frame, times the length of its weights in the
    next layer. Units that are the same everywhere are left out: a rectified one that is never on, say. The
    grid's features keep their order, coarse to fine, which random waves are put in; of these only the sines.
    """
    layers = [layer for layer in [*network.hidden, network.output] if isinstance(layer, nn.Linear)]
    heard = dict(zip((name for name in seen if name.startswith("layer")), layers[1:], strict=True))
    order = {}
    for name, values in seen.items():
        varies = values.flatten(1).std(1)
        speaks = varies > _SILENT * varies.max()
        if name in heard:
            varies = varies * heard[name].weight.detach().norm(dim=0).cpu()
            order[name] = varies.argsort(descending=True, stable=True)
            order[name] = order[name][speaks[order[name]]]
        elif name == "waves":
            order[name] = network.get_buffer("waves").norm(dim=0).argsort(stable=True).cpu()
        else:
            order[name] = speaks.nonzero().flatten()
    return order


def neurons_sheet(
    network: Coordinates,
    *,
    which: Tensor | None = None,
    columns: int = 16,
    rows: int = 4,
    side: int = 72,
) -> Tensor:
    """All of them on one sheet `(3, H, W)`, a block for each layer with its heading.

    Above zero amber, below it blue, zero the page; each as bright as it can be. At most `rows` rows of
    `columns` for each layer, the strongest first. Pictures are `side` pixels along the longer side.
    """
    tall, wide = (max(1, round(side * each / max(network.size))) for each in network.size)
    # Averaged from four places a pixel: what is finer would be noise.
    seen = {
        name: nn.functional.avg_pool2d(values, 2)
        for name, values in neurons(network, (2 * tall, 2 * wide), which).items()
    }
    chosen = rank_units(network, seen)
    gap, margin, heading = 6, 24, 44
    blocks = []
    for name, order in chosen.items():
        if name == "colours":
            continue
        most = columns * rows
        shown = order[:: -(-len(order) // most)] if name == "waves" else order[:most]
        blocks.append((name, shown, -(-max(1, len(shown)) // columns) * (tall + gap)))
    large = 3 * max(tall, wide)
    top = margin + round(large * tall / max(tall, wide)) + gap
    width = 2 * margin + columns * (wide + gap) - gap
    page = Image.new("RGB", (width, top + sum(heading + high for *_, high in blocks) + margin), NIGHT)
    draw = ImageDraw.Draw(page)
    fine = neurons(network, _scaled(network.size, large), which)["colours"].clamp(0, 1)
    page.paste(as_image(fine), (margin, margin))
    x = margin + fine.shape[2] + margin
    plan = network.plan
    draw.text((x, margin), "What each neuron paints", LIGHT, font(24))
    lines = (
        f"{plan.network}: {plan.layers} layers of {plan.neurons}, {plan.activation}.",
        "Each small picture is what one neuron puts out at every place of the frame:",
        "amber above zero, blue below it, dark where it is zero.",
        "First those that the next layer hears most.",
    )
    for number, line in enumerate(lines):
        draw.text((x, margin + 44 + 24 * number), line, DIM, font(15))
    y = top
    for name, shown, high in blocks:
        draw.text((margin, y + heading - 12), _title(name), LIGHT, font(18), anchor="ls")
        words = _words(name, len(seen[name]), len(chosen[name]), len(shown), network)
        draw.text((margin + 100, y + heading - 12), words, DIM, font(15), anchor="ls")
        y += heading
        for place, unit in enumerate(shown.tolist()):
            x, below = margin + place % columns * (wide + gap), y + place // columns * (tall + gap)
            draw.rectangle((x - 1, below - 1, x + wide, below + tall), outline=SHADE)
            page.paste(as_image(signed_picture(seen[name][unit])), (x, below))
        y += high
    return as_picture(page)


def _scaled(size: tuple[int, int], longest: int) -> tuple[int, int]:
    height, width = (max(1, round(longest * each / max(size))) for each in size)
    return height, width


def _title(name: str) -> str:
    return name[0].upper() + name[1:]


def _words(name: str, units: int, speaking: int, shown: int, network: Coordinates) -> str:
    what = "neurons"
    if name == "grid":
        plan = network.plan
        what = f"features, {plan.grid_features} on each of {plan.grid_levels} grids, coarse to fine"
    elif name == "waves":
        what = "random waves, coarse to fine"
        units //= 2  # a sine and a cosine of each
    words = f"{units} {what}"
    if speaking < units:
        words += f", {units - speaking} silent"
    return words if shown == speaking else f"{words}; {shown} of them"
