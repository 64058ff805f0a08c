"""Training a digit network, top to bottom: batches, forward, loss, backward, step.

The digits stay one uint8 tensor from which each batch is indexed: on small pictures a loader with workers
would cost more than the network. Every step draws its randomness from (seed, step) alone, so a run that is
stopped anywhere and resumed sees what an unbroken one sees.
"""

from __future__ import annotations

import math
import time
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from lanterna.devices import choose_device, fast_dtype, reuse_memory, uncompiled
from lanterna.images.digits import Digits, by_another_hand, mnist, scattered, shifted
from lanterna.networks.digits import build, lay_channels_last, start_weights
from lanterna.techniques.checkpoint import Checkpointer, TrainingState
from lanterna.techniques.technique import Frame
from lanterna.techniques.train.parallel import ALONE

if TYPE_CHECKING:
    from collections.abc import Container, Generator, Mapping
    from pathlib import Path

    from lanterna.networks.network import Network
    from lanterna.techniques.train.parallel import Team
    from lanterna.techniques.train.settings import Train

SECONDS_BETWEEN_FRAMES = 0.2


@dataclass(frozen=True, kw_only=True)
class TrainFrame(Frame):
    """How far training has come, with the network as it is and the numbers of the epochs that ended.

    `numbers`: `epoch`, `loss` (mean since the last frame), `training_accuracy` (of this epoch so far, on the
    digits as training saw them), `validation_accuracy` (at an epoch's end, where digits are held out),
    `examples_a_second` and `seconds_left`.
    """

    network: Network
    history: tuple[Mapping[str, float], ...]
    epoch_ended: bool


def new_network(settings: Train) -> Network:
    """The network of the settings, with freshly drawn weights."""
    network = build(settings)
    start_weights(
        network, settings.weight_start, settings.bias_start, torch.Generator().manual_seed(settings.seed)
    )
    lay_channels_last(network)
    return network


def training_digits(settings: Train) -> tuple[Digits, Digits]:
    """The digits to train on, and those it holds out: the last `hold_out` of MNIST's first 60,000."""
    train, validation = mnist("train"), mnist("validation")
    images = torch.cat([train.images, validation.images])
    labels = torch.cat([train.labels, validation.labels])
    if not settings.normalised:
        images = scatter(images, settings.seed)
    rest = len(images) - settings.hold_out
    held_out = Digits(images[rest:], labels[rest:])
    if settings.fraction < 1:
        chosen = torch.randperm(rest, generator=torch.Generator().manual_seed(settings.seed))[
            : settings.digits
        ]
        return Digits(images[chosen], labels[chosen]), held_out
    return Digits(images[:rest], labels[:rest]), held_out


def scatter(images: Tensor, seed: int) -> Tensor:
    """Digits moved off their normalised size and place, each once and for all. uint8 in, uint8 out."""
    generator = torch.Generator().manual_seed(seed)
    parts = [scattered(part.float(), generator).round().to(torch.uint8) for part in torch.split(images, 2000)]
    return torch.cat(parts)


def train(
    settings: Train,
    *,
    device: str = "auto",
    checkpoint: Path | None = None,
    checkpoint_every: float | None = None,
    resume: bool = False,
    extra_steps: Container[int] = (),
    team: Team = ALONE,
) -> Generator[TrainFrame, Train | None, None]:
    """Train, yielding a frame a few times a second, one at the end of every epoch and at steps `extra_steps`.

    Each frame holds the network: the last one is the trained network. With `checkpoint` the state is written
    there every few seconds, at the end, and when the generator is closed; with `resume` it goes on from
    there, first with a frame of where it was, and ends where an unbroken run would (bit for bit on the same
    CPU and thread count). Settings that are sent in take over, as far as its `learning_rate` goes.

    Several processes that call this with the `team` they joined train together (`parallel.py`). Each must
    draw all frames, or close the generator after the same one as the others; the numbers are the first's.

    Errors: `MissingError` without the digits; `UsageError` where the checkpoint is of other settings.
    """
    place = choose_device(device)
    reuse_memory()
    usual = torch.float32 if place.type == "cpu" else fast_dtype(place)  # bfloat16 takes a fifth longer there
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}.get(settings.precision, usual)
    digits, held_out = (Digits(*(part.to(place) for part in split)) for split in training_digits(settings))
    network = new_network(settings).to(place)
    averaged = deepcopy(network) if settings.average else network
    optimiser, right = _optimiser(settings, network), torch.zeros((), device=place)
    state = TrainingState(network, averaged, optimiser, 0, right, settings.learning_rate)
    if resume and checkpoint is not None:
        state.load(checkpoint, settings, team)
    if not team.first:
        checkpoint = None  # one writes for all
    learner = team.learner(network)

    randomness = torch.Generator()
    order = _order(settings, state.step // settings.steps_an_epoch)
    loss_sum = torch.zeros((), device=place)
    clock = _Clock(state.step)

    def frame(*, epoch_ended: bool) -> TrainFrame:
        return TrainFrame(
            step=state.step,
            steps=settings.steps,
            numbers=state.numbers,
            network=averaged,
            history=tuple(state.history),
            epoch_ended=epoch_ended,
        )

    try:
        if state.step:  # taken up; it may be done
            changed = yield frame(epoch_ended=False)
            state.rate = changed.learning_rate if changed else state.rate
        while state.step < settings.steps:
            epoch, batch = divmod(state.step, settings.steps_an_epoch)
            if batch == 0:
                order = _order(settings, epoch)
                state.right.zero_()
            chosen = order[batch * settings.batch_size : (batch + 1) * settings.batch_size].to(place)
            randomness.manual_seed(_mixed(settings.seed, state.step))
            if settings.dropout:
                torch.manual_seed(_mixed(settings.seed, state.step))  # it draws from torch's own source
            images = _augmented(digits.images.index_select(0, chosen), settings, state.step, randomness)
            mine = team.part(len(chosen))  # all of it, if this is the only process
            images, labels = images[mine], digits.labels[chosen[mine]]

            network.train()
            for group in state.optimiser.param_groups:
                group["lr"] = state.rate * _schedule(settings, state.step)
            with torch.autocast(place.type, dtype, enabled=dtype != torch.float32):
                logits = learner(images)
            losses = F.cross_entropy(
                logits.float(), labels, label_smoothing=settings.label_smoothing, reduction="none"
            )
            loss = losses.sum() / len(chosen)
            state.optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss * team.size)  # a team takes the mean of its gradients
            state.optimiser.step()
            state.step += 1
            if settings.average:
                _average(averaged, network, settings, state.step)

            loss_sum += loss.detach()
            state.right += (logits.detach().argmax(1) == labels).sum()
            epoch_ended = state.step % settings.steps_an_epoch == 0
            due = team.frame_is_due(state.step, clock.since_frame(), SECONDS_BETWEEN_FRAMES)
            if epoch_ended or state.step in extra_steps or due:
                team.gather(loss_sum, state.right)
                seen = min((batch + 1) * settings.batch_size, settings.digits)
                steps_a_second = clock.steps_a_second(state.step)
                state.numbers = {
                    "epoch": epoch + 1.0,
                    "loss": loss_sum.item() / clock.steps_since_frame(state.step),
                    "training_accuracy": state.right.item() / seen,
                    "examples_a_second": steps_a_second * settings.batch_size,
                    "seconds_left": (settings.steps - state.step) / steps_a_second,
                }
                if epoch_ended:
                    if len(held_out.labels):
                        state.numbers["validation_accuracy"] = accuracy(averaged, held_out, dtype, team)
                    state.history.append(state.numbers)
                changed = yield frame(epoch_ended=epoch_ended)
                state.rate = changed.learning_rate if changed else state.rate
                if checkpoint is not None and clock.since_checkpoint() > (
                    checkpoint_every or Checkpointer.every
                ):
                    state.save(checkpoint, settings)
                    clock.checkpoint_made()
                loss_sum.zero_()
                clock.frame_made(state.step)
    except RuntimeError:
        checkpoint = None  # it broke in mid-step, when another process was lost, say: keep the one before
        raise
    finally:
        if checkpoint is not None:
            state.save(checkpoint, settings)


@torch.inference_mode()
def logits_of(network: Network, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Logits `(N, 10)` float32 of uint8 digits `(N, 1, 28, 28)`, with the network at rest, where it is."""
    device = next(network.eval().parameters()).device
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        parts = [network(in_unit_range(part.to(device))).float() for part in torch.split(images, 250)]
    return torch.cat(parts)


def accuracy(
    network: Network, digits: Digits, dtype: torch.dtype = torch.float32, team: Team = ALONE
) -> float:
    """The share of `digits` that the network reads right. A team shares the work; its first has the sum."""
    mine = team.part(len(digits.labels))
    answers = logits_of(network, digits.images[mine], dtype).argmax(1)
    right = (answers == digits.labels[mine]).sum()
    team.gather(right)
    return right.item() / len(digits.labels)


def in_unit_range(images: Tensor) -> Tensor:
    """uint8 digits as float32 in [0, 1]."""
    return images.float().div_(255)


def _augmented(images: Tensor, settings: Train, step: int, randomness: torch.Generator) -> Tensor:
    """Give a batch as float in [0, 1], with the augmentation of the settings.

    The last steps see digits almost as they are, so that the network settles on what it will be asked
    (Ge et al. 2021, "YOLOX", section 2.1, end augmentation early likewise).
    """
    settling = step >= settings.steps * (1 - settings.settle)
    if settings.augmentation == "none":
        return in_unit_range(images)
    if settings.augmentation == "shift" or settling:
        return in_unit_range(shifted(images, randomness, most=1 if settling else 2))
    return by_another_hand(in_unit_range(images), randomness)


def _order(settings: Train, epoch: int) -> Tensor:
    """In which order this epoch sees the digits."""
    return torch.randperm(
        settings.digits, generator=torch.Generator().manual_seed(_mixed(settings.seed, -1 - epoch))
    )


def _mixed(seed: int, step: int) -> int:
    """One number from two: neighbouring seeds share no randomness (SplitMix64, Steele et al. 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + step * 0xD1B54A32D192ED03 + 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (z ^ (z >> 31)) >> 1


def _optimiser(settings: Train, network: Network) -> torch.optim.Optimizer:
    """The optimiser of a recipe. Weights are pulled to zero, biases and normalisations are not."""
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": weights, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if settings.optimiser == "sgd":
        return uncompiled(torch.optim.SGD)(
            groups, settings.learning_rate, settings.momentum, nesterov=settings.momentum > 0, fused=True
        )
    # Keras's epsilon rather than torch's 1e-8, so that the quickstart is the quickstart.
    kind = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    return uncompiled(kind)(groups, settings.learning_rate, eps=1e-7, fused=True)


def _schedule(settings: Train, step: int) -> float:
    """The share of the learning rate at a step: up over the first tenth, then down to zero."""
    if settings.schedule == "constant":
        return 1.0
    warm_up = max(1, settings.steps // 10)
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(1, settings.steps - warm_up)
    return 1 - done if settings.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2


@torch.no_grad()
def _average(averaged: Network, network: Network, settings: Train, step: int) -> None:
    """Move the running average towards the network (Polyak and Juditsky 1992, with an exponential window).

    The window grows with the steps made, so that the first weights are soon forgotten.
    """
    keep = min(settings.average, step / (step + 10))
    for mean, now in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, 1 - keep)
        else:
            mean.copy_(now)


class _Clock:
    """When frames and checkpoints are due, and how fast steps go."""

    def __init__(self, step: int) -> None:
        self.begun = self.frame = self.checkpoint = time.perf_counter()
        self.first_step = self.frame_step = step

    def since_frame(self) -> float:
        return time.perf_counter() - self.frame

    def since_checkpoint(self) -> float:
        return time.perf_counter() - self.checkpoint

    def steps_since_frame(self, step: int) -> int:
        return step - self.frame_step

    def steps_a_second(self, step: int) -> float:
        return (step - self.first_step) / (time.perf_counter() - self.begun)

    def frame_made(self, step: int) -> None:
        self.frame, self.frame_step = time.perf_counter(), step

    def checkpoint_made(self) -> None:
        self.checkpoint = time.perf_counter()
