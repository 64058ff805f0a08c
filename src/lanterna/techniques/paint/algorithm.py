"""Paint: a network learns a picture as a function from position to colour.

Feed the network the positions of some pixels, compare its colours with theirs, and take an optimiser step;
repeat. Mital, "Creative Applications of Deep Learning with TensorFlow" (2016), session 2, after Karpathy's
image regression in convnetjs; the presets `lecture` and `convnetjs` reproduce their settings.

Equal seeds and equal steps give equal paintings, bit for bit on the same machine. If the settings give
seconds, the clock decides when the learning rate falls and when to stop: the recipe of the last frame has the
steps at which that happened, and so reproduces the painting.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from lanterna.devices import choose_device, fast_dtype, reuse_memory, without_dynamo
from lanterna.networks.coordinate_plan import CoordinatePlan
from lanterna.networks.coordinates import Coordinates
from lanterna.networks.hash_grid import Corners
from lanterna.techniques.checkpoint import Checkpointer, load_optimiser, step_generator
from lanterna.techniques.paint.painting import TILE, Painting
from lanterna.techniques.paint.pixels import Pixels, prepare_pixels, psnr
from lanterna.techniques.technique import Frame, Settings

if TYPE_CHECKING:
    from collections.abc import Container, Generator, Sequence
    from pathlib import Path

_CONSTANT_SHARE = 0.4  # share of the training before the learning rate starts to fall
_FALLS = 32  # number of steps in which the rate falls
_CACHE = 400 * 2**20  # bytes of cached batches
_MAX_PREVIEW, _MIN_PREVIEW = 2**18, 192**2  # pixels
_SLOW = 0.04  # seconds for a preview, from which the next one is smaller, so that two come in a second
_MAX_SAMPLE = 2**16  # pixels over which the PSNR of a large picture is measured before the end

LEARNING: dict[str, dict[str, Any]] = {
    "hash": {"rate": 1e-2, "batch": 4096, "cost": "squared"},
    "siren": {"rate": 5e-4, "batch": 2048, "cost": "squared"},
    "fourier": {"rate": 5e-3, "batch": 1024, "cost": "squared"},
    "relu": {"rate": 3e-3, "batch": 1024, "cost": "squared"},
}
"""The defaults of each network's training settings."""

PRESETS: dict[str, dict[str, Any]] = {
    # The notebook's network and settings; it shrinks its picture to 64 px and trains for 500 epochs.
    "lecture": {
        "network": "relu", "layers": 6, "neurons": 64, "spread": 0.1,
        "positions": "normalised", "white": 255.0,
        "cost": "absolute", "optimiser": "adam", "rate": 1e-3, "schedule": "constant", "batch": 50,
    },
    # Seven layers of 20, as on its page. It draws pixels with replacement, which we do not.
    "convnetjs": {
        "network": "relu", "layers": 7, "neurons": 20, "weight_start": "lecun", "positions": "centred",
        "cost": "squared", "optimiser": "sgd", "rate": 0.01, "schedule": "constant", "batch": 5,
    },
    "small": {"grid_entries": 10, "grid_levels": 6},
    "waves": {"network": "siren"},
    "soft": {"network": "fourier", "frequency": 4.0},
    "guess": {"network": "siren", "omega": 15.0, "keep": 0.05},
    "facets": {"network": "relu", "features": ("x", "y", "xy", "x2", "y2", "radius")},
}  # fmt: skip


class Paint(CoordinatePlan, Settings):
    """Train a network to paint a picture."""

    verb: ClassVar[str] = "paint"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    size: int | None = Field(
        default=None, ge=8, le=16_384,
        description="Pixels along the longer side; by default the picture's own, up to 512.",
    )  # fmt: skip
    seconds: float = Field(
        default=15.0, gt=0, le=86_400, description="How many seconds to train, if no steps are given."
    )
    steps: int | None = Field(
        default=None, ge=1, le=100_000_000, description="How many steps to train, instead of seconds."
    )
    falls: tuple[int, ...] = Field(
        default=(), description="The steps at which the learning rate fell, if timed by the clock; else even."
    )
    cost: Literal["squared", "absolute"] | None = Field(
        default=None,
        description="The loss of an error, squared or absolute; by default it depends on the network.",
    )
    optimiser: Literal["adam", "sgd"] = Field(
        default="adam", description="The optimiser: adam, or sgd with momentum 0.9."
    )
    rate: float | None = Field(
        default=None, gt=0, le=10, description="The learning rate; by default it depends on the network."
    )
    schedule: Literal["decay", "constant"] = Field(
        default="decay", description="decay: the learning rate falls towards the end; constant: it stays."
    )
    batch: int | None = Field(
        default=None,
        ge=1,
        le=262_144,
        description="Pixels in each batch; by default it depends on the network.",
    )
    keep: float = Field(
        default=1.0, gt=0, le=1, description="The share of the pixels to train on, drawn at random."
    )

    def resolved(self) -> Self:
        """Return the settings with every None replaced by the network's default."""
        missing = {
            name: value for name, value in LEARNING[self.network].items() if getattr(self, name) is None
        }
        return super().resolved().model_copy(update=missing)


@dataclass(frozen=True)
class PaintFrame(Frame):
    """The state of a painting. If the settings give seconds, `steps` is extrapolated from the speed so far.

    `picture` is the painting, the first of several, at the size it is trained at; a smaller preview if that
    is large, except in the last frame. `numbers`: `loss` (the mean since the last frame), `psnr` in dB over
    the pixels that are trained on, `held_out` over the others, if any, `seconds` of training so far, previews
    included, and `rate`. The PSNR of large pictures is measured on a fixed sample, except in the last frame.
    `painting` shares the network, which continues to train; `settings` reproduce the painting.
    """

    painting: Painting = field(kw_only=True, repr=False)
    settings: Paint = field(kw_only=True)


def paint(
    pictures: Tensor | Sequence[Tensor],
    settings: Paint | None = None,
    *,
    masks: Sequence[Tensor] = (),
    device: str = "auto",
    checkpoint: Path | None = None,
    checkpoint_every: float | None = None,
    resume: bool = False,
    extra_steps: Container[int] = (),
) -> Generator[PaintFrame, Paint | None, None]:
    """Learn to paint one picture `(3, H, W)` in [0, 1], or up to 100, yielding frames a few times a second.

    Frames are also yielded at the steps `extra_steps`, and more often at first, when most happens.

    Several pictures are all cropped around their middle to the shape of the first. Each has a code of a few
    numbers that is trained with the weights and is an input besides the position (an auto-decoder: Park et
    al., "DeepSDF", 2019). With four photographs at 128 px, the homework's plain number (`code` 0) gave a hash
    grid 38.5 dB instead of 41.2; a siren 35.5 instead of 31.1, but noise between two pictures, where learned
    codes give forms of both. A hash grid fades, a siren transforms.

    `masks`, one for all or one for each picture, `(H, W)` or `(1, H, W)` in [0, 1] of any size, are light
    where a picture is hidden. Settings sent to the generator change the `rate`. With a `checkpoint` the state
    is saved there every `checkpoint_every` seconds (10) and when the generator is closed early; `resume`
    continues from it. With a fixed number of steps the painting is that of an uninterrupted run.

    Errors, before the first step: `UsageError` for an invalid picture, a wrong number of masks, or no pixels
    left to train on; `MissingError` if the checkpoint does not exist.
    """
    settings = settings or Paint()
    all_pictures = [pictures] if isinstance(pictures, Tensor) else list(pictures)
    pixels = prepare_pixels(all_pictures, masks, settings.size, settings.keep, settings.seed)
    checkpointer = Checkpointer(checkpoint, settings, [pixels.colours, pixels.trained], checkpoint_every)
    place = choose_device(device)
    if place.type == "mps":  # on which torch has no embedding_bag
        place = torch.device("cpu")
    training = _Training(pixels, settings, place)
    return checkpointer.frames_of(training, _frames(training, checkpointer, extra_steps), resume=resume)


def _frames(
    training: _Training, checkpointer: Checkpointer, extra_steps: Container[int]
) -> Generator[PaintFrame, Paint | None, None]:
    reuse_memory()  # each step allocates and frees the same large blocks
    due = training.seconds + 0.02
    try:
        if training.steps_done:  # resumed, perhaps after its last step
            training.change((yield training.frame()))
        while not training.finished:
            started = time.perf_counter()
            training.step()
            training.seconds += time.perf_counter() - started
            if training.by_clock:
                training.check_clock()
            if training.seconds < due and training.steps_done not in extra_steps and not training.finished:
                continue
            started = time.perf_counter()
            frame = training.frame()
            if training.seconds >= due:  # frames that `extra_steps` adds do not count as training
                elapsed = time.perf_counter() - started
                training.seconds += elapsed
                # Previews take at most a tenth of the time, except in the first second.
                due = training.seconds + max(0.2, 12 * elapsed) * min(1.0, 0.2 + training.seconds)
                if elapsed > _SLOW and not extra_steps:  # a film needs all pictures alike
                    training.preview = max(_MIN_PREVIEW, training.preview // 2)
            training.change((yield frame))
            checkpointer.maybe_save(training.state())
    finally:
        checkpointer.write(training.state())


class _Training:
    """A network in training: its pixels, optimiser, schedule and clock."""

    def __init__(self, pixels: Pixels, settings: Paint, device: torch.device) -> None:
        self.requested, self.settings = settings, settings.resolved()
        settings = self.settings
        self.pixels, self.device = pixels, device
        self.network = Coordinates(settings, pixels.size, pixels.pictures)
        self.network.initialise(torch.Generator().manual_seed(settings.seed))
        self.network.to(device)
        assert settings.rate is not None
        assert settings.batch is not None
        self.rate, self.batch = settings.rate, min(settings.batch, len(pixels))
        # In small batches the casts cost more than the lower precision saves.
        self.fast = fast_dtype(device) if self.batch * (settings.neurons or 1) >= 2**17 else None
        parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        self.optimiser: torch.optim.Optimizer = (
            without_dynamo(torch.optim.SGD)(parameters, self.rate, momentum=0.9, fused=True)
            if settings.optimiser == "sgd"
            else without_dynamo(torch.optim.Adam)(
                parameters, self.rate, betas=(0.9, 0.99 if settings.network == "hash" else 0.999),
                eps=1e-15 if settings.network == "hash" else 1e-8, fused=True,
            )
        )  # fmt: skip
        # A hash grid has the same batches in every epoch, so that their grid corners are computed once.
        self.fixed_batches = settings.network == "hash"
        self.batches = -(-len(pixels) // self.batch) if self.fixed_batches else len(pixels) // self.batch
        self.pixel_order = torch.empty(0, dtype=torch.int64)
        self.epoch = -1
        self.cache: dict[int, tuple[Tensor | Corners, Tensor | None, Tensor]] = {}
        self.batch_order: Tensor | None = None
        self.steps_done, self.steps, self.seconds = 0, settings.steps or 0, 0.0
        self.preview = _MAX_PREVIEW
        self.by_clock, self.falls = settings.steps is None, list(settings.falls)
        self.loss_sum, self.losses, self.loss = torch.zeros((), device=device), 0, 0.0

    def change(self, settings: Paint | None) -> None:
        """Continue with the rate of the settings sent to the generator."""
        if settings:
            self.rate = settings.resolved().rate or self.rate

    @property
    def finished(self) -> bool:
        return self.steps_done >= self.steps > 0

    def step(self) -> None:
        """Train on one batch."""
        inputs, which, colours = self._batch()
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * self._rate_share()
        self.network.fast = self.fast
        painted = self.network.colours(inputs, which)
        loss, gradient = self._loss(painted.detach() - colours)
        self.optimiser.zero_grad()
        # Backpropagates `gradient`. To pass it to `backward` itself, torch would import sympy first.
        torch.autograd.backward(torch.dot(painted.view(-1), gradient.view(-1)))
        self.optimiser.step()
        self.network.fast = None
        self.loss_sum += loss
        self.losses += 1
        self.steps_done += 1

    def _loss(self, error: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of errors `(N, 3)`, summed over colours and averaged over pixels, and its gradient.

        Half the square, or the lecture's absolute error. Written out, it saves a tenth of a step's time.
        """
        if self.settings.cost == "absolute":
            return error.abs().sum() / len(error), error.sign() / len(error)
        return 0.5 * torch.dot(error.view(-1), error.view(-1)) / len(error), error / len(error)

    def _rate_share(self) -> float:
        """Return this step's share of the learning rate: 1 at first, then along a cosine to 0.01."""
        if self.settings.schedule == "constant":
            return 1.0
        if self.by_clock or self.settings.falls:
            progress = bisect_right(self.falls, self.steps_done) / _FALLS
        else:
            progress = math.floor(_FALLS * self._decay_progress(self.steps_done / self.steps)) / _FALLS
        return 0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2

    def _decay_progress(self, done: float) -> float:
        return min(1.0, max(0.0, done - _CONSTANT_SHARE) / (1 - _CONSTANT_SHARE))

    def check_clock(self) -> None:
        """Update the expected steps, lower the rate and end the training by the time spent."""
        done = self.seconds / self.settings.seconds
        self.steps = max(self.steps_done + 1, round(self.steps_done / max(done, 1e-6)))
        while len(self.falls) < math.floor(_FALLS * self._decay_progress(done)):
            self.falls.append(self.steps_done)
        if done >= 1:
            self.steps = self.steps_done

    def _batch(self) -> tuple[Tensor | Corners, Tensor | None, Tensor]:
        epoch, index = divmod(self.steps_done, self.batches)
        if epoch != self.epoch:
            self.epoch = epoch
            if not self.fixed_batches or not len(self.pixel_order):
                self.pixel_order = _permutation(
                    len(self.pixels), self.settings.seed, 0 if self.fixed_batches else epoch
                )
            if self.fixed_batches:
                self.batch_order = _permutation(self.batches, self.settings.seed, -1 - epoch)
        if self.batch_order is not None:
            index = int(self.batch_order[index])
            if index in self.cache:
                return self.cache[index]
            begin, end = (len(self.pixels) * edge // self.batches for edge in (index, index + 1))
        else:
            begin, end = index * self.batch, (index + 1) * self.batch
        pixels = self.pixels
        indices = pixels.indices(self.pixel_order[begin:end])
        inputs = self.network.encode(pixels.positions(indices).to(self.device))
        which = pixels.which(indices)
        colours = pixels.colours_at(indices).to(self.device)
        if self.settings.white != 1:
            colours *= self.settings.white
        batch = inputs, None if which is None else which.to(self.device), colours
        if isinstance(inputs, Corners) and self.batches * inputs.nbytes <= _CACHE:
            self.cache[index] = batch
        return batch

    @torch.no_grad()
    def frame(self) -> PaintFrame:
        """Render the painting as it is now, and measure its PSNR."""
        pixels, painting = self.pixels, Painting(self.network)
        height, width = pixels.size
        scale = 1.0 if self.finished else min(1.0, math.sqrt(self.preview / (height * width)))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        if self.losses:
            self.loss = self.loss_sum.item() / self.losses
        numbers = {"loss": self.loss}
        picture = painting.render(size)
        # A full-size preview has all colours already.
        rendered = picture.flatten(1).T if size == pixels.size and pixels.pictures == 1 else None
        numbers["psnr"] = self._psnr(pixels.trained, len(pixels), rendered)
        if pixels.held_out is not None:
            numbers["held_out"] = self._psnr(pixels.held_out, len(pixels.held_out), rendered)
        self.loss_sum.zero_()
        self.losses = 0
        settings = self.requested
        if self.by_clock and self.finished:
            settings = settings.model_copy(update={"steps": self.steps, "falls": tuple(self.falls)})
        return PaintFrame(
            step=self.steps_done,
            steps=self.steps,
            numbers={**numbers, "seconds": self.seconds, "rate": self.optimiser.param_groups[0]["lr"]},
            picture=picture,
            painting=painting,
            settings=settings,
        )

    def _psnr(self, subset: Tensor | None, count: int, rendered: Tensor | None) -> float:
        """Return the PSNR over `count` pixels, a subset or all, or over a sample of them."""
        sample = min(_MAX_SAMPLE, self.preview)
        if self.finished or count <= sample or rendered is not None:
            chosen = subset if subset is not None else torch.arange(count)
        else:
            chosen = (torch.arange(sample) * (count / sample)).long()
            chosen = chosen if subset is None else subset[chosen]
        total = 0.0
        for indices in torch.split(chosen, TILE):
            if rendered is not None:
                colours = rendered[indices]
            else:
                which = self.pixels.which(indices)
                positions = self.pixels.positions(indices).to(self.device)
                colours = self.network(positions, None if which is None else which.to(self.device)).clamp(
                    0, 1
                )
            total += (colours.cpu() - self.pixels.colours_at(indices)).square().sum().item()
        return psnr(total / (3 * len(chosen)))

    def state(self) -> dict[str, object]:
        """Return everything that a checkpoint stores."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "at": self.steps_done,
            "steps": self.steps,
            "falls": self.falls,
            "seconds": self.seconds,
            "rate": self.rate,
            "loss": self.loss,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.network.load_state_dict(state["network"])
        load_optimiser(self.optimiser, state["optimiser"])
        self.steps_done, self.steps, self.loss = state["at"], state["steps"], state["loss"]
        self.falls, self.seconds, self.rate = state["falls"], state["seconds"], state["rate"]


def _permutation(count: int, seed: int, epoch: int) -> Tensor:
    """Return a permutation of `count` indices that depends on seed and epoch."""
    generator = step_generator(seed, epoch)
    return torch.randperm(count, generator=generator)
