"""Find the real pictures on the shelf that excite each channel most, to compare with generated ones."""

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
from lanterna.probes import objectives

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanterna.networks.network import Network

PHOTOGRAPHS = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png",
    "gravel.png", "hubble_deep_field.jpg", "retina.jpg", "rocket.jpg",
)  # fmt: skip
LONGEST = 512  # maximum length of a photograph's longer side, in pixels


@dataclass(frozen=True)
class Example:
    """A real picture `(C, S, S)` in [0, 1], its source, and the activation of the channel, which is the mean
    over positions, as in `objectives.channel`."""

    picture: Tensor
    source: str
    activation: float


@torch.no_grad()
def best_examples(network: Network, layer: str, channels: Sequence[int], side: int) -> list[Example]:
    """Return, for each channel, the real picture that excites it most.

    For digit networks it is one of MNIST's 50,000 training digits, otherwise a crop of `side` × `side` pixels
    from the photographs on the shelf. Those are eleven, not the million of ImageNet, so what a channel
    responds to may not be among them; if it never fires, the picture is black.

    Errors: `MissingError` if the pictures are not on the shelf.
    """
    if network.input_spec.is_of_digits:
        return _best_digits(network, layer, channels)
    return _best_crops(network, layer, channels, side)


def _best_digits(network: Network, layer: str, channels: Sequence[int]) -> list[Example]:
    digits = mnist("train")
    values = []
    for start in range(0, len(digits.images), 1000):
        images = digits.images[start : start + 1000].float() / 255
        output = _output(network, layer, images)[:, list(channels)]
        values.append(output.flatten(2).mean(2) if output.dim() == 4 else output)
    strongest = torch.cat(values).max(0)  # over all digits, (channels,)
    return [
        Example(digits.images[index].float() / 255, f"a {int(digits.labels[index])}", value)
        for value, index in zip(strongest.values.tolist(), strongest.indices.tolist(), strict=True)
    ]


def _best_crops(network: Network, layer: str, channels: Sequence[int], side: int) -> list[Example]:
    blank = Example(torch.zeros(network.input_spec.channels, side, side), "none fires", -torch.inf)
    best = [blank] * len(channels)
    for name in PHOTOGRAPHS:
        photograph = open_picture(shelf.need("photographs") / name, longest=LONGEST)
        output = _output(network, layer, photograph.unsqueeze(0))[:, list(channels)]
        if output.dim() != 4:  # no positions: the picture is one crop
            output = output[:, :, None, None]
        sizes = zip(output.shape[2:], photograph.shape[1:], strict=True)
        kernel = [max(1, round(side * positions / pixels)) for positions, pixels in sizes]
        means = F.avg_pool2d(output, kernel, stride=1)[0]  # of every crop, (channels, rows, columns)
        for number, channel_means in enumerate(means):
            value, index = channel_means.flatten().max(0)
            if value > best[number].activation and value != 0:  # a ReLU with output 0 does not fire
                row, column = divmod(int(index), channel_means.shape[1])
                crop = _crop(photograph, row / output.shape[2], column / output.shape[3], side)
                best[number] = Example(crop, Path(name).stem.replace("_", " "), float(value))
    # Measure the crops on their own, as generated pictures are measured.
    outputs = [_output(network, layer, example.picture.unsqueeze(0)) for example in best]
    return [
        Example(example.picture, example.source, float(output[0, channel].mean()))
        for example, output, channel in zip(best, outputs, channels, strict=True)
    ]


def _crop(photograph: Tensor, down: float, across: float, side: int) -> Tensor:
    """Cut out a square whose corner is at these fractions of the height and width, moved to fit inside."""
    height, width = photograph.shape[1:]
    top = min(round(down * height), max(0, height - side))
    left = min(round(across * width), max(0, width - side))
    return photograph[:, top : top + side, left : left + side]


def _output(network: Network, layer: str, images: Tensor) -> Tensor:
    device = network.get_buffer("mean").device
    images = images.to(device, memory_format=torch.channels_last)  # three times as fast for digits
    return objectives.layer_outputs(network, images, frozenset({layer}))[layer].cpu()
