"""The activations of a painting network's neurons over the frame, as pictures.

A painting network maps a position to a colour. Each neuron has one activation for each position, so each
neuron is a picture: in the lecture's network lines in the first layer, then corners where two lines meet,
then shapes.

    activations = neurons(painting.network, (120, 120))  # {"layer 1": (64, 120, 120), ...}
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

_BATCH = 2**14  # positions in one forward pass
_SILENT = 1e-6  # a silent neuron's std, as a share of the largest in its layer


@torch.no_grad()
def neurons(network: Coordinates, size: tuple[int, int], which: Tensor | None = None) -> dict[str, Tensor]:
    """Return the activations of all neurons over the frame, at `size` (height, width).

    By layer, `(units, H, W)`: for a hash grid first `grid`, its features level by level; for random waves
    first `waves`, their sines and cosines; then `layer 1`, `layer 2` and so on; finally `colours`, red, green
    and blue, unclamped, with white 1. `which` are the weights of several pictures, `(1, pictures)`, from
    `Painting.mixture`.
    """
    height, width = size
    device = network.output.weight.device
    parts: dict[str, list[Tensor]] = {}
    for first in range(0, height * width, _BATCH):
        index = torch.arange(first, min(first + _BATCH, height * width), device=device)
        positions = torch.stack([(index % width + 0.5) / width, (index // width + 0.5) / height], 1)
        encoded = network.encode(positions)
        if isinstance(encoded, Corners):
            assert network.grid is not None
            parts.setdefault("grid", []).append(network.grid(encoded))
        elif network.plan.network == "fourier":
            parts.setdefault("waves", []).append(encoded)
        weights = None if which is None else which.to(device).expand(len(index), -1)
        *hidden, colours = network.run(encoded, weights)
        for layer, outputs in enumerate(hidden, start=1):
            parts.setdefault(f"layer {layer}", []).append(outputs)
        parts.setdefault("colours", []).append(colours / network.plan.white)
    return {name: torch.cat(batches).T.reshape(-1, height, width).cpu() for name, batches in parts.items()}


def rank_units(network: Coordinates, activations: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the indices of each layer's units, the most influential first, without constant ones.

    A unit's influence is the std of its activation over the frame times the norm of its weights in the next
    layer. Constant units, such as dead ReLUs, are left out. The grid's features and the random waves are
    ordered from coarse to fine instead; of the waves only the sines are included.
    """
    layers = [layer for layer in [*network.hidden, network.output] if isinstance(layer, nn.Linear)]
    names = [name for name in activations if name.startswith("layer")]
    next_layer = dict(zip(names, layers[1:], strict=True))
    order = {}
    for name, values in activations.items():
        std = values.flatten(1).std(1)
        varies = std > _SILENT * std.max()
        if name in next_layer:
            influence = std * next_layer[name].weight.detach().norm(dim=0).cpu()
            order[name] = influence.argsort(descending=True, stable=True)
            order[name] = order[name][varies[order[name]]]
        elif name == "waves":
            order[name] = network.get_buffer("waves").norm(dim=0).argsort(stable=True).cpu()
        else:
            order[name] = varies.nonzero().flatten()
    return order


def neurons_sheet(
    network: Coordinates,
    *,
    which: Tensor | None = None,
    columns: int = 16,
    rows: int = 4,
    side: int = 72,
) -> Tensor:
    """Draw all neurons on one sheet `(3, H, W)`, with a titled block for each layer.

    Positive activations are amber, negative ones blue, zero is the background; each neuron is scaled to full
    brightness. There are at most `rows` rows of `columns` per layer, the most influential neurons first. Each
    picture has `side` pixels along its longer side.
    """
    cell_height, cell_width = _scaled(network.size, side)
    # Averaged over four positions per pixel, to avoid aliasing.
    activations = {
        name: nn.functional.avg_pool2d(values, 2)
        for name, values in neurons(network, (2 * cell_height, 2 * cell_width), which).items()
    }
    ranked = rank_units(network, activations)
    gap, margin, heading = 6, 24, 44
    blocks = []
    for name, order in ranked.items():
        if name == "colours":
            continue
        limit = columns * rows
        shown = order[:: -(-len(order) // limit)] if name == "waves" else order[:limit]
        blocks.append((name, shown, -(-max(1, len(shown)) // columns) * (cell_height + gap)))
    large_side = 3 * max(cell_height, cell_width)
    top = margin + round(large_side * cell_height / max(cell_height, cell_width)) + gap
    width = 2 * margin + columns * (cell_width + gap) - gap
    height = top + sum(heading + block_height for *_, block_height in blocks) + margin
    page = Image.new("RGB", (width, height), NIGHT)
    draw = ImageDraw.Draw(page)
    painting = neurons(network, _scaled(network.size, large_side), which)["colours"].clamp(0, 1)
    page.paste(as_image(painting), (margin, margin))
    x = margin + painting.shape[2] + margin
    plan = network.plan
    draw.text((x, margin), "What each neuron paints", LIGHT, font(24))
    lines = (
        f"{plan.network}: {plan.layers} layers of {plan.neurons}, {plan.activation}.",
        "Each small picture shows one neuron's activation at every position:",
        "amber above zero, blue below zero, dark at zero.",
        "Neurons with the most influence on the next layer come first.",
    )
    for number, line in enumerate(lines):
        draw.text((x, margin + 44 + 24 * number), line, DIM, font(15))
    y = top
    for name, shown, block_height in blocks:
        draw.text((margin, y + heading - 12), name.capitalize(), LIGHT, font(18), anchor="ls")
        caption = _caption(name, len(activations[name]), len(ranked[name]), len(shown), network)
        draw.text((margin + 100, y + heading - 12), caption, DIM, font(15), anchor="ls")
        y += heading
        for index, unit in enumerate(shown.tolist()):
            row, column = divmod(index, columns)
            left, upper = margin + column * (cell_width + gap), y + row * (cell_height + gap)
            draw.rectangle((left - 1, upper - 1, left + cell_width, upper + cell_height), outline=SHADE)
            page.paste(as_image(signed_picture(activations[name][unit])), (left, upper))
        y += block_height
    return as_picture(page)


def _scaled(size: tuple[int, int], longer_side: int) -> tuple[int, int]:
    height, width = (max(1, round(longer_side * side / max(size))) for side in size)
    return height, width


def _caption(name: str, units: int, active: int, shown: int, network: Coordinates) -> str:
    noun = "neurons"
    if name == "grid":
        plan = network.plan
        noun = f"features, {plan.grid_features} on each of {plan.grid_levels} grids, coarse to fine"
    elif name == "waves":
        noun = "random waves, coarse to fine"
        units //= 2  # a sine and a cosine for each wave
    caption = f"{units} {noun}"
    if active < units:
        caption += f", {units - active} silent"
    return caption if shown == active else f"{caption}; {shown} shown"
