"""Training a digit network, top to bottom: batches, forward, loss, backward, step.

All digits are held in one uint8 tensor that each batch indexes: for pictures this small, a DataLoader with
workers would cost more than the network. Every step draws its randomness from (seed, step) alone, so a run
that is stopped at any step and resumed gets the same batches as an uninterrupted one.
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

from lanterna.devices import choose_device, fast_dtype, reuse_memory, without_dynamo
from lanterna.images.digits import Digits, mnist, random_handwriting, random_scatter, random_shift
from lanterna.networks.digits import build, initialise_weights, to_channels_last
from lanterna.techniques.checkpoint import Checkpointer, TrainingState
from lanterna.techniques.technique import Frame
from lanterna.techniques.train.parallel import SINGLE_PROCESS

if TYPE_CHECKING:
    from collections.abc import Container, Generator, Mapping
    from pathlib import Path

    from lanterna.networks.network import Network
    from lanterna.techniques.train.parallel import Team
    from lanterna.techniques.train.settings import Train

SECONDS_BETWEEN_FRAMES = 0.2


@dataclass(frozen=True, kw_only=True)
class TrainFrame(Frame):
    """Progress of a training run: the current network and the numbers of each finished epoch.

    `numbers`: `epoch`, `loss` (mean since the last frame), `training_accuracy` (this epoch so far, on the
    augmented digits), `validation_accuracy` (at the end of an epoch, if there is a validation set),
    `examples_a_second` and `seconds_left`. `earlier` are the seconds that it had taken before it was resumed.
    """

    network: Network
    history: tuple[Mapping[str, float], ...]
    epoch_ended: bool
    earlier: float = 0.0


def new_network(settings: Train) -> Network:
    """Build the network that the settings describe, with newly initialised weights."""
    network = build(settings)
    initialise_weights(
        network, settings.weight_start, settings.bias_start, torch.Generator().manual_seed(settings.seed)
    )
    to_channels_last(network)
    return network


def training_digits(settings: Train) -> tuple[Digits, Digits]:
    """Load the training and the validation set: the last `hold_out` of MNIST's 60,000 are for validation."""
    train, validation = mnist("train"), mnist("validation")
    images = torch.cat([train.images, validation.images])
    labels = torch.cat([train.labels, validation.labels])
    if not settings.normalised:
        images = scatter(images, settings.seed)
    count = len(images) - settings.hold_out
    held_out = Digits(images[count:], labels[count:])
    if settings.fraction < 1:
        chosen = torch.randperm(count, generator=torch.Generator().manual_seed(settings.seed))[
            : settings.digits
        ]
        return Digits(images[chosen], labels[chosen]), held_out
    return Digits(images[:count], labels[:count]), held_out


def scatter(images: Tensor, seed: int) -> Tensor:
    """Give each digit a fixed random size and position instead of the normalised ones. uint8 in and out."""
    generator = torch.Generator().manual_seed(seed)
    parts = [
        random_scatter(part.float(), generator).round().to(torch.uint8) for part in torch.split(images, 2000)
    ]
    return torch.cat(parts)


def train(
    settings: Train,
    *,
    device: str = "auto",
    checkpoint: Path | None = None,
    checkpoint_every: float | None = None,
    resume: bool = False,
    extra_steps: Container[int] = (),
    team: Team = SINGLE_PROCESS,
) -> Generator[TrainFrame, Train | None, None]:
    """Train, yielding a frame a few times a second, at the end of every epoch and at the steps `extra_steps`.

    Each frame holds the network; the last frame holds the trained one. If `checkpoint` is given, the state is
    saved there every few seconds, at the end, and when the generator is closed. With `resume`, training
    continues from that state, yields a first frame at the step it had reached, and ends with the same weights
    as an uninterrupted run (bit for bit on the same CPU and thread count). If settings are sent into the
    generator, their `learning_rate` is used from then on.

    Several processes that call this with the `team` they joined train together (`parallel.py`). Each must
    exhaust the generator, or close it after the same frame as the others; only the first process's numbers
    are valid.

    Errors: `MissingError` if the digits have not been downloaded; `UsageError` if the checkpoint was written
    with other settings.
    """
    torch_device = choose_device(device)
    reuse_memory()
    # On the CPU bfloat16 takes a fifth longer.
    default_dtype = torch.float32 if torch_device.type == "cpu" else fast_dtype(torch_device)
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}.get(settings.precision, default_dtype)
    digits, held_out = (
        Digits(*(tensor.to(torch_device) for tensor in split)) for split in training_digits(settings)
    )
    network = new_network(settings).to(torch_device)
    averaged = deepcopy(network) if settings.average else network
    optimiser, correct = _optimiser(settings, network), torch.zeros((), device=torch_device)
    state = TrainingState(network, averaged, optimiser, 0, correct, settings.learning_rate)
    if resume and checkpoint is not None:
        state.load(checkpoint, settings, team)
    if not team.is_first:
        checkpoint = None  # only the first process writes
    model = team.distribute(network)

    randomness = torch.Generator()
    order = _epoch_order(settings, state.step // settings.steps_an_epoch)
    loss_sum = torch.zeros((), device=torch_device)
    clock = _Clock(state.step)

    def make_frame(*, epoch_ended: bool) -> TrainFrame:
        return TrainFrame(
            step=state.step,
            steps=settings.steps,
            numbers=state.numbers,
            network=averaged,
            history=tuple(state.history),
            epoch_ended=epoch_ended,
            earlier=state.earlier,
        )

    try:
        if state.step:  # resumed, and possibly finished
            changed = yield make_frame(epoch_ended=False)
            state.rate = changed.learning_rate if changed else state.rate
        while state.step < settings.steps:
            epoch, batch = divmod(state.step, settings.steps_an_epoch)
            if batch == 0:
                order = _epoch_order(settings, epoch)
                state.right.zero_()
            chosen = order[batch * settings.batch_size : (batch + 1) * settings.batch_size].to(torch_device)
            randomness.manual_seed(_mix(settings.seed, state.step))
            if settings.dropout:
                torch.manual_seed(
                    _mix(settings.seed, state.step)
                )  # nn.Dropout draws from the global generator
            images = _augmented(digits.images.index_select(0, chosen), settings, state.step, randomness)
            shard = team.shard(len(chosen))  # the whole batch, if this is the only process
            images, labels = images[shard], digits.labels[chosen[shard]]

            network.train()
            for group in state.optimiser.param_groups:
                group["lr"] = state.rate * _schedule(settings, state.step)
            with torch.autocast(torch_device.type, dtype, enabled=dtype != torch.float32):
                logits = model(images)
            losses = F.cross_entropy(
                logits.float(), labels, label_smoothing=settings.label_smoothing, reduction="none"
            )
            loss = losses.sum() / len(chosen)
            state.optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss * team.size)  # DistributedDataParallel averages the gradients
            state.optimiser.step()
            state.step += 1
            if settings.average:
                _average(averaged, network, settings, state.step)

            loss_sum += loss.detach()
            state.right += (logits.detach().argmax(1) == labels).sum()
            epoch_ended = state.step % settings.steps_an_epoch == 0
            due = team.frame_is_due(state.step, clock.since_frame(), SECONDS_BETWEEN_FRAMES)
            if epoch_ended or state.step in extra_steps or due:
                team.reduce_to_first(loss_sum, state.right)
                processed = min((batch + 1) * settings.batch_size, settings.digits)
                steps_a_second = clock.steps_a_second(state.step)
                state.numbers = {
                    "epoch": epoch + 1.0,
                    "loss": loss_sum.item() / clock.steps_since_frame(state.step),
                    "training_accuracy": state.right.item() / processed,
                    "examples_a_second": steps_a_second * settings.batch_size,
                    "seconds_left": (settings.steps - state.step) / steps_a_second,
                }
                if epoch_ended:
                    if len(held_out.labels):
                        state.numbers["validation_accuracy"] = accuracy(averaged, held_out, dtype, team)
                    state.history.append(state.numbers)
                changed = yield make_frame(epoch_ended=epoch_ended)
                state.rate = changed.learning_rate if changed else state.rate
                if checkpoint is not None and clock.since_checkpoint() > (
                    checkpoint_every or Checkpointer.every
                ):
                    state.save(checkpoint, settings)
                    clock.checkpoint_saved()
                loss_sum.zero_()
                clock.frame_yielded(state.step)
    except RuntimeError:
        checkpoint = None  # failed in mid-step, e.g. another process died: do not overwrite the last good one
        raise
    finally:
        if checkpoint is not None:
            state.save(checkpoint, settings)


@torch.inference_mode()
def logits_of(network: Network, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return float32 logits `(N, 10)` for uint8 digits `(N, 1, 28, 28)`, on the network's device.

    Sets the network to evaluation mode.
    """
    device = next(network.eval().parameters()).device
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        parts = [network(in_unit_range(part.to(device))).float() for part in torch.split(images, 250)]
    return torch.cat(parts)


def accuracy(
    network: Network, digits: Digits, dtype: torch.dtype = torch.float32, team: Team = SINGLE_PROCESS
) -> float:
    """Return the network's accuracy on `digits`. In a team only the first process gets the right value."""
    shard = team.shard(len(digits.labels))
    predicted = logits_of(network, digits.images[shard], dtype).argmax(1)
    correct = (predicted == digits.labels[shard]).sum()
    team.reduce_to_first(correct)
    return correct.item() / len(digits.labels)


def in_unit_range(images: Tensor) -> Tensor:
    """Convert uint8 digits to float32 in [0, 1]."""
    return images.float().div_(255)


def _augmented(images: Tensor, settings: Train, step: int, randomness: torch.Generator) -> Tensor:
    """Augment a batch as the settings say, and convert it to float in [0, 1].

    The last steps augment very little, so that the network ends on digits like those it will have to read
    (Ge et al. 2021, "YOLOX", section 2.1, also stop augmenting early).
    """
    settling = step >= settings.steps * (1 - settings.settle)
    if settings.augmentation == "none":
        return in_unit_range(images)
    if settings.augmentation == "shift" or settling:
        return in_unit_range(random_shift(images, randomness, max_shift=1 if settling else 2))
    return random_handwriting(in_unit_range(images), randomness)


def _epoch_order(settings: Train, epoch: int) -> Tensor:
    """Return the order of the training digits in this epoch."""
    return torch.randperm(
        settings.digits, generator=torch.Generator().manual_seed(_mix(settings.seed, -1 - epoch))
    )


def _mix(seed: int, step: int) -> int:
    """Hash seed and step to one seed, so that neighbours are independent (SplitMix64, Steele et al. 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + step * 0xD1B54A32D192ED03 + 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (z ^ (z >> 31)) >> 1


def _optimiser(settings: Train, network: Network) -> torch.optim.Optimizer:
    """Build the optimiser. Weight decay applies to weights, not to biases and normalisation parameters."""
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": weights, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if settings.optimiser == "sgd":
        return without_dynamo(torch.optim.SGD)(
            groups, settings.learning_rate, settings.momentum, nesterov=settings.momentum > 0, fused=True
        )
    # Keras's epsilon instead of torch's 1e-8, so that the preset `quickstart` reproduces Keras.
    kind = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    return without_dynamo(kind)(groups, settings.learning_rate, eps=1e-7, fused=True)


def _schedule(settings: Train, step: int) -> float:
    """Return the learning rate's factor at a step: a warm-up over the first tenth, then decay to zero."""
    if settings.schedule == "constant":
        return 1.0
    warm_up = max(1, settings.steps // 10)
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(1, settings.steps - warm_up)
    return 1 - done if settings.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2


@torch.no_grad()
def _average(averaged: Network, network: Network, settings: Train, step: int) -> None:
    """Update the exponential moving average of the weights (after Polyak and Juditsky 1992).

    The decay rises with the number of steps, so that the initial weights are soon forgotten.
    """
    decay = min(settings.average, step / (step + 10))
    for mean, value in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


class _Clock:
    """Time since the last frame and checkpoint, and the speed of training."""

    def __init__(self, step: int) -> None:
        self.start = self.frame = self.checkpoint = time.perf_counter()
        self.first_step = self.frame_step = step

    def since_frame(self) -> float:
        return time.perf_counter() - self.frame

    def since_checkpoint(self) -> float:
        return time.perf_counter() - self.checkpoint

    def steps_since_frame(self, step: int) -> int:
        return step - self.frame_step

    def steps_a_second(self, step: int) -> float:
        return (step - self.first_step) / (time.perf_counter() - self.start)

    def frame_yielded(self, step: int) -> None:
        self.frame, self.frame_step = time.perf_counter(), step

    def checkpoint_saved(self) -> None:
        self.checkpoint = time.perf_counter()
