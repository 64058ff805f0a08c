"""Imagine: a network learns the way from noise to digits, and follows it in small steps.

Training (flow matching: Lipman et al. 2022; rectified flow: Liu et al. 2022). Take a digit x₁ and a picture
of noise x₀, and mix them: xₜ = (1 - t) x₀ + t x₁. On this straight way from one to the other the velocity is
x₁ - x₀. The network sees only the mixture, its time t and the class. It predicts the digit, and so the
velocity (digit - xₜ) / (1 - t). Many pairs lead through the same mixture, so what it learns is their mean
velocity, which turns noise into digits when it is followed.

Drawing: start with noise and follow the velocity from t = 0 to 1, in Heun's steps of second order. Guidance
without a classifier (Ho and Salimans 2022): a tenth of the training digits are shown without their class, so
the network also knows the velocity to any digit; going further in the direction from that velocity to the
class's makes the digits clearer, and more alike.

Each training step draws its randomness from (seed, step) alone, so a run that is stopped and resumed ends
with the weights of an uninterrupted one.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lanterna.devices import choose_device, fast_dtype, without_dynamo
from lanterna.images.digits import random_shift
from lanterna.networks.digits import CLASSES, SIDE
from lanterna.techniques.checkpoint import Checkpointer, load_optimiser, step_generator
from lanterna.techniques.imagine.network import FlowNetwork
from lanterna.techniques.technique import Frame, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from lanterna.images.digits import Digits

    Velocity = Callable[[Tensor, float], Tensor]
    """From pictures `(N, 1, 28, 28)` and their time to their velocity, of the same shape."""

_HAZE = 16 / 255  # light that is taken away: then as many pixels are black as in training digits
_SHADE = 13 / 255  # darkness that is taken away: then as much ink is white as in training digits
_DROPPED = 0.1  # the share of training digits that are shown without their class
_PREVIEW_STEPS = 6
_SHOWN = 10  # pictures of a preview
_BATCH = 250  # pictures that are drawn at once


class Learning(Settings):
    """How the network learns. Equal values give equal networks on the same machine."""

    verb: ClassVar[str] = "imagine"

    epochs: int = Field(default=6, ge=1, le=1000, description="Passes over the training digits.")
    batch_size: int = Field(default=128, ge=1, le=10_000, description="Digits in each step.")
    learning_rate: float = Field(default=4e-3, gt=0, le=1, description="The largest learning rate.")
    average: float = Field(default=0.995, ge=0, lt=1, description="Decay of the weights' running average.")
    width: int = Field(default=384, ge=8, le=4096, description="Values of the fully connected layers.")
    blocks: int = Field(default=3, ge=0, le=32, description="Blocks of fully connected layers.")
    channels: int = Field(default=32, ge=4, le=512, description="Channels of the convolutions.")
    strokes: int = Field(default=2, ge=0, le=32, description="Blocks of convolutions.")

    def varied(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Return a batch of training pictures as they are shown: the digits as they are."""
        del random
        return images

    def steps(self, count: int) -> int:
        """Return the number of steps for `count` digits. The last batch of an epoch may be smaller."""
        return self.epochs * -(-count // self.batch_size)


class LearningDrawings(Learning):
    """How the network learns from a person's own drawings, which are few: each is shown in other places."""

    epochs: int = Field(default=1000, ge=1, le=100_000, description="Passes over the drawings.")
    shift: int = Field(default=2, ge=0, le=8, description="Pixels by which drawings are shifted at most.")
    mirror: bool = Field(default=False, description="Mirror every second drawing, left to right.")

    def varied(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Shift and mirror a batch of drawings `(N, 1, 28, 28)`."""
        if self.mirror:
            mirrored = torch.rand(len(images), 1, 1, 1, generator=random) < 0.5
            images = torch.where(mirrored.to(images.device), images.flip(3), images)
        return random_shift(images, random, self.shift) if self.shift else images


@dataclass(frozen=True)
class LearningFrame(Frame):
    """The state of the training. `picture` shows ten of them, always from the same noise.

    `numbers`: `loss` (the mean since the last frame), `epoch`, `examples_a_second` and `seconds_left`.
    `network` has the averaged weights so far.
    """

    network: FlowNetwork = field(kw_only=True, repr=False)


def new_network(settings: Learning) -> FlowNetwork:
    """Build the network of the settings, with newly initialised weights."""
    return FlowNetwork(
        settings.width, settings.blocks, settings.channels, settings.strokes, seed=settings.seed
    )


def learn(
    digits: Digits,
    settings: Learning,
    *,
    device: str = "auto",
    checkpoint: Path | None = None,
    checkpoint_every: float | None = None,
    resume: bool = False,
) -> Generator[LearningFrame, Any, None]:
    """Learn the way from noise to `digits`, yielding a frame about once a second and after the last step.

    With a `checkpoint` the state is saved there every `checkpoint_every` seconds (10) and when the generator
    is closed early; `resume` continues from it, with a first frame at the step it had reached.

    Errors, before the first step: `MissingError` if there is no checkpoint to resume from, `UsageError` if it
    belongs to other settings or digits, `LanternaError` if it is damaged.
    """
    checkpointer = Checkpointer(checkpoint, settings, [digits.images, digits.labels], checkpoint_every)
    training = Training(digits, settings, choose_device(device))
    return checkpointer.train(training, resume=resume)


class Training:
    """The network in training, its average and its optimiser."""

    def __init__(self, digits: Digits, settings: Learning, device: torch.device) -> None:
        self.images, self.labels = digits.images.to(device), digits.labels.to(device)
        self.settings, self.device = settings, device
        kinds = torch.tensor(sorted(set(self.labels.tolist())))
        self.shown = one_hot(kinds[torch.arange(_SHOWN) % len(kinds)])
        self.network, self.averaged = (new_network(settings).to(device) for _ in range(2))
        self.optimiser = _optimiser(self.network, settings)
        self.step, self.steps = 0, settings.steps(len(self.images))
        self.steps_an_epoch = self.steps // settings.epochs
        self.loss, self.losses, self.loss_sum = 0.0, 0, torch.zeros((), device=device)
        self._order, self._epoch = torch.empty(0, dtype=torch.int64), -1

    def advance(self) -> None:
        """Train on one batch."""
        epoch, batch = divmod(self.step, self.steps_an_epoch)
        if epoch != self._epoch:
            self._order, self._epoch = (
                torch.randperm(len(self.images), generator=step_generator(self.settings.seed, -1 - epoch)),
                epoch,
            )
        size = self.settings.batch_size
        chosen = self._order[batch * size : (batch + 1) * size].to(self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * _schedule(self.step / self.steps)
        random = step_generator(self.settings.seed, self.step)
        images = self.settings.varied(self.images[chosen], random)
        loss = flow_loss(self.network, as_values(images), one_hot(self.labels[chosen]), random)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimiser.step()
        self.step += 1
        self.loss_sum += loss.detach()
        self.losses += 1
        self._average()

    @torch.no_grad()
    def _average(self) -> None:
        """Update the weights' running average, whose decay rises so that the first ones are forgotten."""
        decay = min(self.settings.average, self.step / (self.step + 10))
        for mean, value in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)

    def frame(self, steps_a_second: float) -> LearningFrame:
        """Draw ten pictures from the same noise as always, and return the frame."""
        picture = digit_row(draw(self.averaged, self.shown, steps=_PREVIEW_STEPS))
        if self.losses:
            self.loss, self.losses = self.loss_sum.item() / self.losses, 0
            self.loss_sum.zero_()
        numbers = {"loss": self.loss, "epoch": self.step / self.steps_an_epoch}
        if steps_a_second:
            numbers["examples_a_second"] = steps_a_second * self.settings.batch_size
            numbers["seconds_left"] = (self.steps - self.step) / steps_a_second
        return LearningFrame(self.step, self.steps, numbers, picture, network=self.averaged)

    def state(self) -> dict[str, object]:
        """Return everything that a checkpoint stores."""
        return {
            "network": self.network.state_dict(), "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(), "at": self.step, "loss": self.loss,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        load_optimiser(self.optimiser, state["optimiser"])
        self.step, self.loss = int(state["at"]), float(state["loss"])


def flow_loss(network: FlowNetwork, digits: Tensor, classes: Tensor, randomness: torch.Generator) -> Tensor:
    """Return the mean squared error of the predicted digits, for a batch `(N, 1, 28, 28)` in [-1, 1].

    It is the velocity's, times (1 - t)². The papers leave that factor out, so that noise near the end counts
    most; with it, the Frechet distance after a minute on one core was 18 instead of 48.

    `classes` `(N, 10)` are their classes, some of which are dropped here. Times in the middle of the way,
    where most is decided, are drawn more often (Esser et al. 2024, section 3.1).
    """
    count, device = len(digits), digits.device
    noise = torch.randn(digits.shape, generator=randomness).to(device)
    times = torch.sigmoid(torch.randn(count, generator=randomness)).to(device)
    shown = (torch.rand(count, 1, generator=randomness) >= _DROPPED).to(classes)
    t = times[:, None, None, None]  # (N, 1, 1, 1)
    mixed = torch.lerp(noise, digits, t)
    predicted = predict(network, mixed, times, classes * shown)
    return (predicted - digits).square().mean()


def predict(network: FlowNetwork, mixed: Tensor, times: Tensor, classes: Tensor) -> Tensor:
    """Return the digits that a network predicts, `(N, 1, 28, 28)`, in the device's fast arithmetic."""
    dtype = fast_dtype(mixed.device)
    with torch.autocast(mixed.device.type, dtype, enabled=dtype != torch.float32):
        predicted: Tensor = network(mixed, times, classes)
    return predicted.float()


def guided(network: FlowNetwork, classes: Tensor, guidance: float) -> Velocity:
    """Return the velocity towards `classes` `(N, 10)`: shares of each class, all zero for any digit.

    `guidance` 1 is what was learned; at 0 the class does not count, above 1 it counts more. What it
    exaggerates is limited to [-1, 1], which no digit exceeds (Saharia et al. 2022, section 2.3).
    """

    def velocity(x: Tensor, time: float) -> Tensor:
        times = torch.full((len(x),), time, device=x.device)
        if guidance == 1 or not classes.any():
            digits = predict(network, x, times, classes)
        else:
            both = torch.cat([classes, torch.zeros_like(classes)])
            towards, anywhere = predict(network, x.repeat(2, 1, 1, 1), times.repeat(2), both).chunk(2)
            digits = torch.lerp(anywhere, towards, guidance)
            digits = digits.clamp(-1, 1) if guidance > 1 else digits
        return (digits - x) / (1 - time)

    return velocity


def follow(velocity: Velocity, start: Tensor, steps: int, begin: float = 0.0) -> Iterator[Tensor]:
    """Follow a velocity from the pictures `start` at time `begin` to 1, yielding them after each step.

    Heun's method, of second order (Karras et al. 2022, algorithm 1): the mean of the velocities at both ends
    of a step. The last step is Euler's, because the velocity is not defined at t = 1.
    """
    times = [begin + (1 - begin) * step / steps for step in range(steps + 1)]
    x = start
    for now, after in itertools.pairwise(times):
        first = velocity(x, now)
        ahead = x + (after - now) * first
        if after < 1:
            ahead = x + (after - now) * (first + velocity(ahead, after)) / 2
        x = ahead
        yield x


def noise_of(seed: int, count: int) -> Tensor:
    """Return `count` pictures of noise `(N, 1, 28, 28)`; the first are the same for every count."""
    randomness = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randn(1, SIDE, SIDE, generator=randomness) for _ in range(count)])


def noise_at(seed: int, across: float, down: float) -> Tensor:
    """Return the noise `(1, 1, 28, 28)` at a place of a plane, that of the seed in its middle.

    The plane is spanned by three pictures of noise. Their mixture is divided by its standard deviation, so
    that each place has noise as the network knows it.
    """
    weights = torch.tensor([1.0, across, down])
    noise: Tensor = torch.tensordot(weights / weights.norm(), noise_of(seed, 3), 1)
    return noise[None]


@torch.inference_mode()
def draw(
    network: FlowNetwork,
    classes: Tensor,
    *,
    seed: int = 0,
    noise: Tensor | None = None,
    guidance: float = 2.0,
    steps: int = 20,
) -> Tensor:
    """Draw digits of `classes` `(N, 10)`, as light in [0, 1], from `noise` or that of a seed.

    Noise and digits are `(N, 1, 28, 28)`.
    """
    device = next(network.parameters()).device
    noise, parts = (noise_of(seed, len(classes)) if noise is None else noise).to(device), []
    for part, some in zip(torch.split(noise, _BATCH), torch.split(classes.to(device), _BATCH), strict=True):
        *_, last = follow(guided(network, some, guidance), part, steps)
        parts.append(as_light(last))
    return torch.cat(parts)


def one_hot(labels: Tensor) -> Tensor:
    """Return labels `(N,)` as shares of each class, `(N, 10)`."""
    return F.one_hot(labels, CLASSES).float()


def as_values(images: Tensor) -> Tensor:
    """Convert uint8 digits to the network's values in [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


def as_light(values: Tensor) -> Tensor:
    """Convert the network's values to light in [0, 1].

    What a network predicts where there is no ink is not exactly black: 31 % of the pixels had less light than
    16 / 255, but 1 % of those of digits. So that much is taken away, and less of what has up to three times
    as much (firm thresholding: Gao and Bruce 1997).

    In the same way darkness is taken away from what is almost white, or strokes are mottled: of the pixels
    that are lighter than 127 / 255, at guidance 2, 41 % were at least 250 / 255, and are 56 %, as in training
    digits.
    """
    light = values.add(1).div(2)
    light = torch.minimum(light, (light - _HAZE) * 1.5)
    return torch.maximum(light, 1 - (1 - light - _SHADE) * 1.5).clamp(0, 1)


def digit_row(digits: Tensor, *, columns: int = 10, zoom: int = 4) -> Tensor:
    """Return digits `(N, 1, 28, 28)` in rows, enlarged, as a picture `(3, H, W)`; missing ones are black."""
    columns = min(columns, len(digits))
    rows = -(-len(digits) // columns)
    padded = torch.cat([digits.cpu(), torch.zeros(rows * columns - len(digits), 1, SIDE, SIDE)])
    sheet = padded.view(rows, columns, SIDE, SIDE).transpose(1, 2).reshape(1, 1, rows * SIDE, columns * SIDE)
    large = F.interpolate(sheet, scale_factor=zoom, mode="bicubic", align_corners=False)
    return large[0].clamp(0, 1).expand(3, -1, -1).contiguous()


def _optimiser(network: FlowNetwork, settings: Learning) -> torch.optim.Optimizer:
    weights = [each for each in network.parameters() if each.ndim > 1]
    others = [each for each in network.parameters() if each.ndim <= 1]
    groups = [{"params": weights, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    return without_dynamo(torch.optim.AdamW)(groups, settings.learning_rate, betas=(0.9, 0.99), fused=True)


def _schedule(done: float) -> float:
    """Return the learning rate's factor: a short warm-up, then along a cosine to zero."""
    return min(1.0, done / 0.02 + 0.01) * (1 + math.cos(math.pi * done)) / 2
