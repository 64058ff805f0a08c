"""Training a digit network, declared; it is saved under a name for everything else to use."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image, ImageDraw
from torch import nn

from lanterna.errors import UsageError
from lanterna.images.digits import Digits, mnist
from lanterna.images.drawing import DIM, NIGHT, as_picture, font, signed_picture
from lanterna.networks.trained import is_trained
from lanterna.settings import networks_folder
from lanterna.techniques.technique import Output, Result, Technique, Work
from lanterna.techniques.train.algorithm import logits_of, train
from lanterna.techniques.train.results import confusion_picture, examine, keep, mistakes_picture
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from collections.abc import Container

    from torch import Tensor

    from lanterna.networks import Network
    from lanterna.techniques.execute import Job
    from lanterna.techniques.train.algorithm import TrainFrame

_SIDE, _GAP, _MOST = 112, 8, 40  # of kernels side by side: pixels of each and between them, how many
_WATCHED, _WRONG, _WRONG_IN_A_ROW, _LINE = 1000, 16, 8, 40  # test digits read, and of those misread shown


NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""What a network may be called that is trained in the studio."""


def new_name(wanted: str, taken: Container[str] = ()) -> str:
    """The name of a network that is to be. Errors: `UsageError` for no name, or one that is taken."""
    if not NAME.fullmatch(wanted):
        raise UsageError(f"a network's name has small letters, digits and -, up to 40, got {wanted[:60]!r}")
    if wanted in taken or (networks_folder() / wanted).exists():
        raise UsageError(f"there is a network {wanted!r} already: give another name")
    return wanted


def presets() -> dict[str, dict[str, Any]]:
    """The presets by name; those of a network that is not the preset's usual one are called `fast-dense`."""
    return {
        name if number == 0 else f"{name}-{network}": Train.preset(name, network)
        for name, made_for in Train.presets.items()
        for number, network in enumerate(made_for)
    }


def name_for(wished: str, recipe: Train, taken: Container[str]) -> str:
    """What the network is to be called: as wished, or after its kind, with a number where that is taken.

    Errors: `UsageError` where the name is no name or there is such a network already.
    """
    if wished:
        return new_name(wished, taken)
    names = [recipe.network, *(f"{recipe.network}-{number}" for number in range(2, 10_000))]
    return next(name for name in names if name not in taken and not is_trained(networks_folder() / name))


def kernels(network: Network) -> Tensor:
    """What the first units look for, side by side, `(3, H, W)`: amber for, blue against."""
    layer = next(part for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear))
    weights = layer.weight.detach().float().cpu()[:_MOST]
    weights = weights.view(len(weights), -1, 28, 28) if weights.ndim == 2 else weights
    tiles = [signed_picture(each.mean(0)) for each in weights]
    columns = min(8, len(tiles))
    rows = -(-len(tiles) // columns)
    pitch = _SIDE + _GAP
    page = torch.zeros(3, rows * pitch - _GAP, columns * pitch - _GAP)
    for place, tile in enumerate(tiles):
        large = nn.functional.interpolate(tile[None], (_SIDE, _SIDE))[0]
        y, x = place // columns * pitch, place % columns * pitch
        page[:, y : y + _SIDE, x : x + _SIDE] = large
    return page


def learned_so_far(network: Network, digits: Digits) -> Tensor:
    """The kernels, and beneath them digits that are misread now, `(3, H, W)`."""
    images = digits.images.to(next(network.parameters()).device)
    answers = logits_of(network, images).argmax(1).cpu()
    wrong = (answers != digits.labels).nonzero().flatten().tolist()[:_WRONG]
    above = kernels(network)
    side = (above.shape[2] + _GAP) // _WRONG_IN_A_ROW - _GAP
    rows = -(-_WRONG // _WRONG_IN_A_ROW)
    image = Image.new("RGB", (above.shape[2], rows * (side + _LINE + _GAP)), NIGHT)
    draw, letters = ImageDraw.Draw(image), font(30)
    for place, index in enumerate(wrong):
        x, y = place % _WRONG_IN_A_ROW * (side + _GAP), place // _WRONG_IN_A_ROW * (side + _LINE + _GAP)
        digit = Image.fromarray(digits.images[index, 0].numpy()).resize(
            (side, side), Image.Resampling.BICUBIC
        )
        image.paste(digit.convert("RGB"), (x, y))
        told = f"{int(digits.labels[index])} as {int(answers[index])}"
        draw.text((x + 4, y + side + 2), told, DIM, letters)
    return torch.cat([above, above.new_zeros(3, 3 * _GAP, above.shape[2]), as_picture(image)], 1)


def _train(job: Job) -> Work:
    job.fetch("mnist")
    test = mnist("test")
    watched = Digits(test.images[:_WATCHED], test.labels[:_WATCHED])
    begun = time.perf_counter()
    frames = train(job.settings, device=job.device, **job.saving)

    def results(frame: TrainFrame, now: Train) -> list[Result]:
        seconds = time.perf_counter() - begun
        found = examine(frame.network, now)
        if job.title:
            keep(networks_folder() / job.title, frame.network, now, found, frame.history, seconds)
        made = {"mistakes": mistakes_picture(found, now), "confusion": confusion_picture(found)}
        numbers = {"accuracy": found.accuracy}
        return [
            Result(picture, name, network=frame.network.eval(), numbers=numbers)
            for name, picture in made.items()
        ]

    return Work(frames, results, lambda frame: learned_so_far(frame.network, watched))


TRAIN = Technique(
    name="train", title="Train", help="A network learns to read handwritten digits.",
    settings=Train, run=_train, output=Output.NETWORK, makes=("mistakes", "confusion"), presets=presets(),
    shown_first=("network", "epochs", "learning_rate", "hidden", "channels", "optimiser"),
    live=("learning_rate",), networks=lambda _: (), title_of=name_for,
)  # fmt: skip

TECHNIQUES = (TRAIN,)
