"""Training a digit network, declared; it is saved under a name for everything else to use."""

from __future__ import annotations

import time
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image, ImageDraw
from torch import nn

from lanterna.devices import choose_device
from lanterna.images.digits import Digits, mnist
from lanterna.images.drawing import DIM, NIGHT, as_picture, font, signed_picture
from lanterna.networks.trained import is_trained, open_trained, trained_folder
from lanterna.techniques.execute import Job, begin
from lanterna.techniques.technique import Output, Report, Result, Technique, Work
from lanterna.techniques.train.algorithm import logits_of, train
from lanterna.techniques.train.film import Film, film_steps
from lanterna.techniques.train.parallel import ALONE, Processes
from lanterna.techniques.train.results import confusion_picture, examine, keep, mistakes_picture
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from torch import Tensor

    from lanterna.networks import Network
    from lanterna.techniques.technique import Frames
    from lanterna.techniques.train.algorithm import TrainFrame

_SIDE, _GAP, _MOST = 112, 8, 40  # of kernels side by side: pixels of each and between them, how many
_WATCHED, _WRONG, _WRONG_IN_A_ROW, _LINE = 1000, 16, 8, 40  # test digits read, and of those misread shown


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


@cache
def _watched() -> Digits:
    """The test digits of which those misread are shown as it learns."""
    test = mnist("test")
    return Digits(test.images[:_WATCHED], test.labels[:_WATCHED])


def _train(job: Job) -> Work:
    job.fetch("mnist")
    settings: Train = job.settings
    team, snapshots = job.options.get("team", ALONE), job.options.get("film")
    film = Film(settings, snapshots, resume=job.resume) if snapshots and team.first else None
    extra_steps = film_steps(settings.steps) if snapshots else ()
    begun = time.perf_counter()
    frames = train(settings, device=job.device, **job.checkpointing, extra_steps=extra_steps, team=team)
    summary: dict[str, Any] = {}

    def results(frame: TrainFrame, now: Train) -> list[Result]:
        seconds = time.perf_counter() - begun
        found = examine(frame.network, now)
        made = {"mistakes": mistakes_picture(found, now), "confusion": confusion_picture(found)}
        if job.title:
            folder = trained_folder(job.title)
            summary.update(keep(folder, frame.network, now, found, frame.history, seconds, made))
        numbers = {"accuracy": found.accuracy}
        return [
            Result(picture, name, network=frame.network.eval(), numbers=numbers)
            for name, picture in made.items()
        ]

    def report(_: TrainFrame) -> Report:
        right, seconds = summary["test_accuracy"], summary["seconds"]
        notes = [
            f"{right:.2%} of the 10,000 test digits read right, after {seconds:.1f} s",
            f"kept in {trained_folder(job.title)}: weights, settings, history, confusion.png, mistakes.png",
        ]
        return Report(summary, notes=notes)

    def shown(frame: TrainFrame) -> Tensor:
        return learned_so_far(frame.network, _watched())

    return Work(_filmed(film, frames) if film else frames, results, shown, report=report, film=film)


def _filmed(film: Film, frames: Generator[TrainFrame, Any, None]) -> Frames:
    """The same frames, which the film sees as well."""
    with film, closing(frames):
        for frame in frames:
            film.watch(frame)
            yield frame


def _described(frame: TrainFrame) -> str:
    n = frame.numbers
    return f", loss {n['loss']:.4f}, {n['training_accuracy']:.2%}" if "loss" in n else ""


def _rows(frame: TrainFrame) -> list[str]:
    """A table that grows by a row an epoch."""
    if not frame.epoch_ended:
        return []
    n = frame.numbers
    validation = f"{n['validation_accuracy']:.2%}" if "validation_accuracy" in n else "none"
    row = f"{n['epoch']:5.0f}  {n['loss']:.4f}  {n['training_accuracy']:8.2%}  {validation:>10}"
    head = ["epoch    loss  training  validation  digits a second"] if len(frame.history) == 1 else []
    return [*head, f"{row}  {n['examples_a_second']:15,.0f}"]


TRAIN = Technique(
    name="train", title="Train", help="A network learns to read handwritten digits.",
    settings=Train, run=_train, output=Output.NETWORK, outputs=("mistakes", "confusion"),
    default_preset="fast", arguments=("network",), options=Processes, resumes="always", films_training=True,
    shown_first=("network", "epochs", "learning_rate", "hidden", "channels", "optimiser"),
    live=("learning_rate",), networks=lambda _: (), default_name=lambda settings, _: settings.network,
    describe=_described, log_lines=_rows,
    manual="""Train a network on MNIST's handwritten digits, and keep it under a name.

    It says the share of the 10,000 test digits that the network reads right, and keeps its weights, its
    settings, its history and its worst mistakes in a folder. Ctrl-C keeps what was learned; --resume goes on.

    Several processes end at the same network as one, sooner: --devices 2 on one machine; on two machines
    --nodes 2 --address HOST:PORT, and --node-rank 1 on the second. torchrun may start it too.
    """,
)  # fmt: skip

TECHNIQUES = (TRAIN,)


def open_or_train(
    name: str = "conv", *, device: str = "auto", watch: Callable[[Any], object] | None = None
) -> Network:
    """The network trained under that name; where there is none yet, `fast` is trained and kept first.

    Only `conv` and `dense` are trained so; `watch` is called with each frame.

    Errors: `MissingError` for another name that is not there.
    """
    if name in ("conv", "dense") and not is_trained(name):
        settings = Train.checked(Train.presets["fast" if name == "conv" else "fast-dense"])
        job = Job(TRAIN, settings, device=device, title=name)
        work = begin(job)
        for frame in work.frames:
            if watch is not None:
                watch(frame)
        work.results(frame, job.settings)
    return open_trained(name).to(choose_device(device))
