"""The technique `train`: train a digit network and save it under a name that other techniques can use."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image, ImageDraw
from torch import nn

from lanterna.images.digits import Digits, mnist
from lanterna.images.drawing import DIM, NIGHT, as_picture, font, signed_picture
from lanterna.networks import open_network
from lanterna.networks.trained import is_trained, trained_folder
from lanterna.settings import networks_folder
from lanterna.techniques.execute import Job, begin, clean_up
from lanterna.techniques.learned import continued, unfinished
from lanterna.techniques.technique import Output, Report, Result, Technique, Work
from lanterna.techniques.train.algorithm import logits_of, train
from lanterna.techniques.train.estimate import estimate_training
from lanterna.techniques.train.film import TrainingFilm, film_steps
from lanterna.techniques.train.parallel import SINGLE_PROCESS, Processes
from lanterna.techniques.train.results import confusion_picture, evaluate, mistakes_picture, save_training
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from torch import Tensor

    from lanterna.networks import Network
    from lanterna.techniques.technique import Frames
    from lanterna.techniques.train.algorithm import TrainFrame

_KERNEL_SIDE, _GAP, _CAPTION_HEIGHT = 112, 8, 40  # pixels
_MAX_KERNELS = 40
_MONITORED = 1000  # test digits that are read for the preview
_MAX_WRONG, _WRONG_PER_ROW = 16, 8  # misread digits shown


def kernels(network: Network) -> Tensor:
    """Draw the first layer's weights side by side, `(3, H, W)`: amber is positive, blue negative."""
    layer = next(part for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear))
    weights = layer.weight.detach().float().cpu()[:_MAX_KERNELS]
    weights = weights.view(len(weights), -1, 28, 28) if weights.ndim == 2 else weights
    pictures = [signed_picture(kernel.mean(0)) for kernel in weights]
    columns = min(8, len(pictures))
    log_lines = -(-len(pictures) // columns)
    pitch = _KERNEL_SIDE + _GAP
    page = torch.zeros(3, log_lines * pitch - _GAP, columns * pitch - _GAP)
    for index, picture in enumerate(pictures):
        large = nn.functional.interpolate(picture[None], (_KERNEL_SIDE, _KERNEL_SIDE))[0]
        y, x = index // columns * pitch, index % columns * pitch
        page[:, y : y + _KERNEL_SIDE, x : x + _KERNEL_SIDE] = large
    return page


def progress_picture(network: Network, digits: Digits) -> Tensor:
    """Draw the kernels with currently misread digits below, `(3, H, W)`."""
    images = digits.images.to(next(network.parameters()).device)
    predicted = logits_of(network, images).argmax(1).cpu()
    wrong = (predicted != digits.labels).nonzero().flatten().tolist()[:_MAX_WRONG]
    top = kernels(network)
    side = (top.shape[2] + _GAP) // _WRONG_PER_ROW - _GAP
    log_lines = -(-_MAX_WRONG // _WRONG_PER_ROW)
    image = Image.new("RGB", (top.shape[2], log_lines * (side + _CAPTION_HEIGHT + _GAP)), NIGHT)
    draw, caption_font = ImageDraw.Draw(image), font(30)
    for position, index in enumerate(wrong):
        row, column = divmod(position, _WRONG_PER_ROW)
        x, y = column * (side + _GAP), row * (side + _CAPTION_HEIGHT + _GAP)
        digit = Image.fromarray(digits.images[index, 0].numpy()).resize(
            (side, side), Image.Resampling.BICUBIC
        )
        image.paste(digit.convert("RGB"), (x, y))
        caption = f"{int(digits.labels[index])} as {int(predicted[index])}"
        draw.text((x + 4, y + side + 2), caption, DIM, caption_font)
    return torch.cat([top, top.new_zeros(3, 3 * _GAP, top.shape[2]), as_picture(image)], 1)


@cache
def _monitored_digits() -> Digits:
    """Load the test digits that the preview reads; it shows the misread ones."""
    test = mnist("test")
    return Digits(test.images[:_MONITORED], test.labels[:_MONITORED])


def _train(job: Job) -> Work:
    job.fetch("mnist")
    settings: Train = job.settings
    for name in settings.unused:
        job.notify(f"{name} does nothing here: {settings.unused[name]}")
    team, snapshots = job.options.get("team", SINGLE_PROCESS), job.options.get("film")
    film = TrainingFilm(settings, snapshots, resume=job.resume) if snapshots and team.is_first else None
    extra_steps = film_steps(settings.steps) if snapshots else ()
    start = time.perf_counter()
    frames = train(settings, device=job.device, **job.checkpointing, extra_steps=extra_steps, team=team)
    summary: dict[str, Any] = {}

    def results(frame: TrainFrame, current: Train) -> list[Result]:
        seconds = frame.earlier + time.perf_counter() - start
        test_results = evaluate(frame.network, current)
        pictures = {
            "mistakes": mistakes_picture(test_results, current),
            "confusion": confusion_picture(test_results),
        }
        if job.title:
            folder = trained_folder(job.title)
            summary.update(
                save_training(folder, frame.network, current, test_results, frame.history, seconds, pictures)
            )
        numbers = {"accuracy": test_results.accuracy}
        return [
            Result(picture, name, network=frame.network.eval(), numbers=numbers)
            for name, picture in pictures.items()
        ]

    def report(_: TrainFrame) -> Report:
        accuracy, seconds = summary["test_accuracy"], summary["seconds"]
        notes = [
            f"{accuracy:.2%} of the 10,000 test digits read correctly, after {seconds:.1f} s",
            f"saved in {trained_folder(job.title)}: weights, settings, history, confusion.png, mistakes.png",
        ]
        return Report(summary, notes=notes)

    def preview(frame: TrainFrame) -> Tensor:
        return progress_picture(frame.network, _monitored_digits())

    return Work(_record(film, frames) if film else frames, results, preview, report=report, film=film)


def _record(film: TrainingFilm, frames: Generator[TrainFrame, Any, None]) -> Frames:
    """Record the frames as they pass."""
    with film, closing(frames):
        for frame in frames:
            film.record(frame)
            yield frame


def _describe(frame: TrainFrame) -> str:
    n = frame.numbers
    return f", loss {n['loss']:.4f}, {n['training_accuracy']:.2%}" if "loss" in n else ""


def _rows(frame: TrainFrame) -> list[str]:
    """Return the row of a finished epoch, the first with the table's head."""
    if not frame.epoch_ended:
        return []
    n = frame.numbers
    validation = f"{n['validation_accuracy']:.2%}" if "validation_accuracy" in n else "none"
    row = f"{n['epoch']:5.0f}  {n['loss']:.4f}  {n['training_accuracy']:8.2%}  {validation:>10}"
    header = ["epoch    loss  training  validation  digits a second"] if len(frame.history) == 1 else []
    return [*header, f"{row}  {n['examples_a_second']:15,.0f}"]


TRAIN = Technique(
    name="train", title="Train", help="Train a network to read handwritten digits.",
    settings=Train, run=_train, output=Output.NETWORK, outputs=("mistakes", "confusion"),
    default_preset="fast", arguments=("network",), options=Processes, resumes="always", films_training=True,
    shown_first=("network", "epochs", "learning_rate", "hidden", "channels", "optimiser"),
    live=("learning_rate",), networks=lambda _: (), default_name=lambda settings, _: settings.network,
    describe=_describe, log_lines=_rows, estimate=lambda job: estimate_training(job.settings, job.device),
    manual="""Train a network on MNIST's handwritten digits, and save it under a name.

    At the end the network is tested on 10,000 digits that it was not trained on, and saved in a
    folder with its settings, history and worst mistakes. Ctrl-C stops and saves; --resume continues.

    Several processes reach the same result faster. On one machine use --devices 2; on two machines
    --nodes 2 --address HOST:PORT, and --node-rank 1 on the second. torchrun can start it too.
    """,
)  # fmt: skip

TECHNIQUES = (TRAIN,)


def fast_settings(name: str) -> Train:
    """Return the settings that train `conv` or `dense` if there is none."""
    return Train.checked(Train.presets["fast" if name == "conv" else "fast-dense"])


def open_or_train(
    name: str = "conv", *, device: str = "auto", watch: Callable[[Any], object] | None = None
) -> Network:
    """Open a network; if `conv` or `dense` does not exist yet, train it with the preset `fast` first.

    `watch` is called with each frame of the training, which continues if it was stopped before. Errors: those
    of `open_network`.
    """
    if name in ("conv", "dense") and not is_trained(name):
        checkpoint = unfinished(networks_folder() / name)
        job = Job(TRAIN, fast_settings(name), device=device, title=name, checkpoint=checkpoint)
        work = continued(checkpoint, lambda checkpointing: begin(replace(job, **checkpointing)), job.notify)
        with closing(work.frames) as frames:
            for frame in frames:
                if watch is not None:
                    watch(frame)
        work.results(frame, job.settings)
        clean_up(job)
    return open_network(name, device=device)
