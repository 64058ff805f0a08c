"""Real pictures beside the made ones: what, of all that is on the shelf, excites each channel most."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from lanterna import shelf
from lanterna.images import open_picture
from lanterna.images.digits import mnist
from lanterna.networks.digits import DIGIT_INPUT
from lanterna.probes import objectives

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanterna.networks.network import Network

PHOTOGRAPHS = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png",
    "gravel.png", "hubble_deep_field.jpg", "retina.jpg", "rocket.jpg",
)  # fmt: skip
LONGEST = 512  # pixels along the longer side of a photograph


@dataclass(frozen=True)
class Example:
    """A real picture `(C, S, S)` in [0, 1], where it is from, and how strongly it excites the channel (the
    mean of the channel's map, as `objectives.channel` measures it)."""

    picture: Tensor
    source: str
    activation: float


@torch.no_grad()
def best_examples(network: Network, layer: str, channels: Sequence[int], side: int) -> list[Example]:
    """For each channel the real picture that excites it most.

    For a digit network, of MNIST's 50,000 training digits. Else of the windows of `side` × `side` pixels of
    the shelf's photographs: eleven photographs, not the million of ImageNet, so what a channel was made for
    may not be among them: where none fires at all, the picture is black.

    Errors: `MissingError` where they are not on the shelf.
    """
    if network.input_spec == DIGIT_INPUT:
        return _best_digits(network, layer, channels)
    return _best_windows(network, layer, channels, side)


def _best_digits(network: Network, layer: str, channels: Sequence[int]) -> list[Example]:
    digits = mnist("train")
    values = []
    for start in range(0, len(digits.images), 1000):
        images = digits.images[start : start + 1000].float() / 255
        output = _output(network, layer, images)[:, list(channels)]
        values.append(output.flatten(2).mean(2) if output.dim() == 4 else output)
    strongest = torch.cat(values).max(0)  # over all digits, (channels,)
    return [
        Example(digits.images[place].float() / 255, f"a {int(digits.labels[place])}", value)
        for value, place in zip(strongest.values.tolist(), strongest.indices.tolist(), strict=True)
    ]


def _best_windows(network: Network, layer: str, channels: Sequence[int], side: int) -> list[Example]:
    blank = Example(torch.zeros(network.input_spec.channels, side, side), "none fires", -torch.inf)
    best = [blank] * len(channels)
    for name in PHOTOGRAPHS:
        photograph = open_picture(shelf.need("photographs") / name, longest=LONGEST)
        output = _output(network, layer, photograph.unsqueeze(0))[:, list(channels)]
        if output.dim() != 4:  # no positions: the whole layer sees one window
            output = output[:, :, None, None]
        sizes = zip(output.shape[2:], photograph.shape[1:], strict=True)
        steps = [max(1, round(side * here / full)) for here, full in sizes]
        means = F.avg_pool2d(output, steps, stride=1)[0]  # of every window, (channels, rows, columns)
        for which, maps in enumerate(means):
            value, place = maps.flatten().max(0)
            if value > best[which].activation and value != 0:  # a ReLU that is silent is not excited
                row, column = divmod(int(place), maps.shape[1])
                window = _window(photograph, row / output.shape[2], column / output.shape[3], side)
                best[which] = Example(window, Path(name).stem.replace("_", " "), float(value))
    # What a window excites by itself, as the made pictures are measured.
    alone = [_output(network, layer, one.picture.unsqueeze(0)) for one in best]
    return [
        Example(one.picture, one.source, float(output[0, channel].mean()))
        for one, output, channel in zip(best, alone, channels, strict=True)
    ]


def _window(photograph: Tensor, down: float, across: float, side: int) -> Tensor:
    """The window whose corner lies at these shares of the height and width, moved to lie inside."""
    height, width = photograph.shape[1:]
    top = min(round(down * height), max(0, height - side))
    left = min(round(across * width), max(0, width - side))
    return photograph[:, top : top + side, left : left + side]


def _output(network: Network, layer: str, images: Tensor) -> Tensor:
    device = network.get_buffer("mean").device
    images = images.to(device, memory_format=torch.channels_last)  # three times quicker for digits
    return objectives.read(network, images, frozenset({layer}))[layer].cpu()
