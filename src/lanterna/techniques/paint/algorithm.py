"""Paint: a network learns a picture, pixel by pixel, from where it is to what colour it has.

Show the network some pixels of the picture; ask how its weights should change for its colours to come nearer;
change them a little so; again. Mital, "Creative Applications of Deep Learning with TensorFlow" (2016),
session 2, after Karpathy's image regression in convnetjs; presets `lecture` and `convnetjs` do as they do.

Equal seeds and equal steps give equal paintings, bit for bit on the same machine. Where seconds are given,
the clock says when the learning rate falls and when it is enough: the recipe of the last frame has the steps
at which that was, and so makes the painting again.
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

from lanterna.devices import choose_device, fast_dtype, reuse_memory, uncompiled
from lanterna.networks.coordinate_plan import CoordinatePlan
from lanterna.networks.coordinates import Coordinates
from lanterna.networks.hash_grid import Corners
from lanterna.techniques.checkpoint import Checkpointer, load_optimiser, restoring, resumed
from lanterna.techniques.paint.painting import TILE, Painting
from lanterna.techniques.paint.pixels import Pixels, pixels_of, psnr
from lanterna.techniques.technique import Frame, Settings

if TYPE_CHECKING:
    from collections.abc import Container, Generator, Sequence
    from pathlib import Path

_STEADY = 0.4  # the share of the work that is done before the rate falls
_FALLS = 32  # how many times it falls
_KEPT = 400 * 2**20  # bytes of batches that are kept ready
_PREVIEW = 2**18  # pixels of a preview, at most
_SAMPLE = 2**16  # pixels that a large picture is judged by until the end

LEARNING: dict[str, dict[str, Any]] = {
    "hash": {"rate": 1e-2, "batch": 4096, "cost": "squared"},
    "siren": {"rate": 5e-4, "batch": 2048, "cost": "squared"},
    "fourier": {"rate": 5e-3, "batch": 1024, "cost": "squared"},
    "relu": {"rate": 3e-3, "batch": 1024, "cost": "squared"},
}
"""How each network learns, where the settings say nothing."""

PRESETS: dict[str, dict[str, Any]] = {
    # The notebook's network and settings; it shrinks its picture to 64 px, and sees each pixel 500 times.
    "lecture": {
        "network": "relu", "layers": 6, "neurons": 64, "spread": 0.1,
        "positions": "normalised", "white": 255.0,
        "cost": "absolute", "optimiser": "adam", "rate": 1e-3, "schedule": "constant", "batch": 50,
    },
    # Seven layers of 20, as its page has them. It draws pixels with replacement, which we do not.
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
    """Let a network learn to paint a picture."""

    verb: ClassVar[str] = "paint"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    size: int | None = Field(
        default=None, ge=8, le=16_384,
        description="Pixels along the longer side; the picture's own, up to 512, if not given.",
    )  # fmt: skip
    seconds: float = Field(
        default=15.0, gt=0, le=86_400, description="How long to learn, where no steps are given."
    )
    steps: int | None = Field(
        default=None, ge=1, le=100_000_000, description="How many steps to learn, in place of seconds."
    )
    falls: tuple[int, ...] = Field(
        default=(), description="The steps at which the rate falls, where the clock told them; else evenly."
    )
    cost: Literal["squared", "absolute"] | None = Field(
        default=None, description="What an error costs; what suits the network."
    )
    optimiser: Literal["adam", "sgd"] = Field(
        default="adam", description="How weights follow the gradient: adam, or sgd with momentum 0.9."
    )
    rate: float | None = Field(
        default=None, gt=0, le=10, description="How far weights move at each step; what suits the network."
    )
    schedule: Literal["decay", "constant"] = Field(
        default="decay", description="Whether the rate falls to nothing towards the end."
    )
    batch: int | None = Field(
        default=None, ge=1, le=262_144, description="Pixels seen at each step; what suits the network."
    )
    keep: float = Field(
        default=1.0, gt=0, le=1, description="Share of the pixels to learn from, drawn at random."
    )

    def resolved(self) -> Self:
        """The same settings with what suits its network in place of None."""
        missing = {k: v for k, v in LEARNING[self.network].items() if getattr(self, k) is None}
        return super().resolved().model_copy(update=missing)


@dataclass(frozen=True)
class PaintFrame(Frame):
    """How far a painting has come. Where seconds are given, `steps` are as many as the pace so far promises.

    `picture` is the whole painting, the first of several, at the size that is trained at; smaller where that
    is large, but for the last frame. `numbers`: `loss` (the cost, mean since the last frame), `psnr` in dB
    over the pixels that are trained on, `held_out` over those that are not, where there are any, `seconds` of
    work so far, previews included, and `rate`. Large pictures are judged by a fixed sample, but for the last
    frame. `painting` is what has been learned, and goes on learning with the work; `settings` make it again.
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

    Frames come at steps `extra_steps` besides, and more often at first, when most happens.

    Of several pictures all take the shape of the first, cut to it around their middle. Each has a code of a
    few numbers that is learned with the weights and told to the network beside the position (an auto-decoder:
    Park et al., "DeepSDF", 2019). Of four photographs at 128 px, the homework's plain number (`code` 0) gave
    a hash grid 38.5 dB in place of 41.2; a siren 35.5 in place of 31.1, but noise between two pictures, where
    learned codes give forms of both. A hash grid fades, a siren transforms.

    `masks`, one for all or one for each picture, `(H, W)` or `(1, H, W)` in [0, 1] of any size, are light
    where a picture is not to be seen. Settings that are sent in take over, as far as its `rate` goes. With a
    `checkpoint` the state is saved there every `checkpoint_every` seconds (10) and when the work is ended
    early, and `resume` goes on from it: where the number of steps is given the painting is that of unbroken
    work.

    Errors, before the first step: `UsageError` for what is no picture, masks that are not as many, or where
    no pixel is left; `MissingError` for a checkpoint that is not there.
    """
    settings = settings or Paint()
    several = [pictures] if isinstance(pictures, Tensor) else list(pictures)
    pixels = pixels_of(several, masks, settings.size, settings.keep, settings.seed)
    checkpointer = Checkpointer(checkpoint, settings, [pixels.colours, pixels.seen], checkpoint_every)
    place = choose_device(device)
    if place.type == "mps":  # where torch has no embedding_bag
        place = torch.device("cpu")
    work = _Work(pixels, settings, place)
    if checkpoint and resume:
        state = checkpointer.read(set(work.state()))
        with restoring(checkpoint):
            work.restore(state)
        return resumed(_frames(work, checkpointer, extra_steps), checkpoint)
    return _frames(work, checkpointer, extra_steps)


def _frames(
    work: _Work, checkpointer: Checkpointer, extra_steps: Container[int]
) -> Generator[PaintFrame, Paint | None, None]:
    reuse_memory()  # each step fills and frees the same large blocks
    due = work.seconds + 0.02
    try:
        if work.at:  # taken up; it may be done
            work.take((yield work.frame()))
        while not work.done:
            begun = time.perf_counter()
            work.step()
            work.seconds += time.perf_counter() - begun
            if work.by_clock:
                work.look_at_clock()
            if work.seconds < due and work.at not in extra_steps and not work.done:
                continue
            begun = time.perf_counter()
            frame = work.frame()
            if work.seconds >= due:  # a picture that was asked for besides is not of the seconds
                took = time.perf_counter() - begun
                work.seconds += took
                # A picture takes at most a tenth of the time, but for the first second.
                due = work.seconds + max(0.2, 12 * took) * min(1.0, 0.2 + work.seconds)
            work.take((yield frame))
            checkpointer.maybe_save(work.state())
    finally:
        checkpointer.write(work.state())


class _Work:
    """All that a painting needs while it is learned."""

    def __init__(self, pixels: Pixels, settings: Paint, device: torch.device) -> None:
        self.given, self.settings = settings, settings.resolved()
        settings = self.settings
        self.pixels, self.device = pixels, device
        self.network = Coordinates(settings, pixels.size, pixels.pictures)
        self.network.start(torch.Generator().manual_seed(settings.seed))
        self.network.to(device)
        assert settings.rate is not None
        assert settings.batch is not None
        self.rate, self.batch = settings.rate, min(settings.batch, len(pixels))
        # Small batches spend more on changing the type than they gain.
        self.fast = fast_dtype(device) if self.batch * (settings.neurons or 1) >= 2**17 else None
        learned = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        self.optimiser: torch.optim.Optimizer = (
            uncompiled(torch.optim.SGD)(learned, self.rate, momentum=0.9, fused=True)
            if settings.optimiser == "sgd"
            else uncompiled(torch.optim.Adam)(
                learned, self.rate, betas=(0.9, 0.99 if settings.network == "hash" else 0.999),
                eps=1e-15 if settings.network == "hash" else 1e-8, fused=True,
            )
        )  # fmt: skip
        # A hash grid's batches are the same in every epoch, so that their corners are found once.
        self.same = settings.network == "hash"
        self.batches = -(-len(pixels) // self.batch) if self.same else len(pixels) // self.batch
        self.order = torch.empty(0, dtype=torch.int64)
        self.epoch = -1
        self.kept: dict[int, tuple[Tensor | Corners, Tensor | None, Tensor]] = {}
        self.turn: Tensor | None = None
        self.at, self.steps, self.seconds = 0, settings.steps or 0, 0.0
        self.by_clock, self.falls = settings.steps is None, list(settings.falls)
        self.cost, self.costs, self.loss = torch.zeros((), device=device), 0, 0.0

    def take(self, changed: Paint | None) -> None:
        """Go on with what was sent in, as far as the rate goes."""
        if changed:
            self.rate = changed.resolved().rate or self.rate

    @property
    def done(self) -> bool:
        return self.at >= self.steps > 0

    def step(self) -> None:
        """Learn from one batch."""
        inputs, which, colours = self._batch()
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * self._share()
        self.network.fast = self.fast
        painted = self.network.colours(inputs, which)
        cost, slope = self._cost(painted.detach() - colours)
        self.optimiser.zero_grad()
        # The gradient of this is `slope`. To hand that over, torch would import its algebra first.
        torch.autograd.backward(torch.dot(painted.view(-1), slope.view(-1)))
        self.optimiser.step()
        self.network.fast = None
        self.cost += cost
        self.costs += 1
        self.at += 1

    def _cost(self, error: Tensor) -> tuple[Tensor, Tensor]:
        """What errors `(N, 3)` cost, summed over colours and averaged over pixels, and its slope.

        Half the square, or the lecture's absolute error. By hand, this is a tenth of a step quicker.
        """
        if self.settings.cost == "absolute":
            return error.abs().sum() / len(error), error.sign() / len(error)
        return 0.5 * torch.dot(error.view(-1), error.view(-1)) / len(error), error / len(error)

    def _share(self) -> float:
        """The share of the learning rate at this step: all of it, and then along a cosine to nothing."""
        if self.settings.schedule == "constant":
            return 1.0
        if self.by_clock or self.settings.falls:
            fallen = bisect_right(self.falls, self.at) / _FALLS
        else:
            fallen = math.floor(_FALLS * self._fallen(self.at / self.steps)) / _FALLS
        return 0.01 + 0.99 * (1 + math.cos(math.pi * fallen)) / 2

    def _fallen(self, done: float) -> float:
        return min(1.0, max(0.0, done - _STEADY) / (1 - _STEADY))

    def look_at_clock(self) -> None:
        """Where seconds are given: whether the rate falls now, and whether it is enough."""
        done = self.seconds / self.settings.seconds
        self.steps = max(self.at + 1, round(self.at / max(done, 1e-6)))
        while len(self.falls) < math.floor(_FALLS * self._fallen(done)):
            self.falls.append(self.at)
        if done >= 1:
            self.steps = self.at

    def _batch(self) -> tuple[Tensor | Corners, Tensor | None, Tensor]:
        epoch, number = divmod(self.at, self.batches)
        if epoch != self.epoch:
            self.epoch = epoch
            if not self.same or not len(self.order):
                self.order = _shuffled(len(self.pixels), self.settings.seed, 0 if self.same else epoch)
            if self.same:
                self.turn = _shuffled(self.batches, self.settings.seed, -1 - epoch)
        if self.turn is not None:
            number = int(self.turn[number])
            if number in self.kept:
                return self.kept[number]
            begin, end = (len(self.pixels) * each // self.batches for each in (number, number + 1))
        else:
            begin, end = number * self.batch, (number + 1) * self.batch
        pixels = self.pixels
        numbers = pixels.numbers(self.order[begin:end])
        inputs = self.network.inputs(pixels.positions(numbers).to(self.device))
        which = pixels.which(numbers)
        colours = pixels.colours_of(numbers).to(self.device)
        if self.settings.white != 1:
            colours *= self.settings.white
        batch = inputs, None if which is None else which.to(self.device), colours
        if isinstance(inputs, Corners) and self.batches * inputs.nbytes <= _KEPT:
            self.kept[number] = batch
        return batch

    @torch.no_grad()
    def frame(self) -> PaintFrame:
        """The painting as it is now, and how good it is."""
        pixels, painting = self.pixels, Painting(self.network)
        height, width = pixels.size
        scale = 1.0 if self.done else min(1.0, math.sqrt(_PREVIEW / (height * width)))
        shown = max(1, round(height * scale)), max(1, round(width * scale))
        if self.costs:
            self.loss = self.cost.item() / self.costs
        numbers = {"loss": self.loss}
        picture = painting.render(shown)
        # What is painted already is not painted again to be judged.
        ready = picture.flatten(1).T if shown == pixels.size and pixels.pictures == 1 else None
        numbers["psnr"] = self._psnr(pixels.seen, len(pixels), ready)
        if pixels.held_out is not None:
            numbers["held_out"] = self._psnr(pixels.held_out, len(pixels.held_out), ready)
        self.cost.zero_()
        self.costs = 0
        settings = self.given
        if self.by_clock and self.done:
            settings = settings.model_copy(update={"steps": self.steps, "falls": tuple(self.falls)})
        return PaintFrame(
            step=self.at,
            steps=self.steps,
            numbers={**numbers, "seconds": self.seconds, "rate": self.optimiser.param_groups[0]["lr"]},
            picture=picture,
            painting=painting,
            settings=settings,
        )

    def _psnr(self, among: Tensor | None, count: int, painted: Tensor | None) -> float:
        """PSNR over those pixels, or a sample of them."""
        if self.done or count <= _SAMPLE or painted is not None:
            chosen = among if among is not None else torch.arange(count)
        else:
            chosen = (torch.arange(_SAMPLE) * (count / _SAMPLE)).long()
            chosen = chosen if among is None else among[chosen]
        total = 0.0
        for numbers in torch.split(chosen, TILE):
            if painted is not None:
                found = painted[numbers]
            else:
                which = self.pixels.which(numbers)
                positions = self.pixels.positions(numbers).to(self.device)
                found = self.network(positions, None if which is None else which.to(self.device)).clamp(0, 1)
            total += (found.cpu() - self.pixels.colours_of(numbers)).square().sum().item()
        return psnr(total / (3 * len(chosen)))

    def state(self) -> dict[str, object]:
        """All that a checkpoint keeps."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "at": self.at,
            "steps": self.steps,
            "falls": self.falls,
            "seconds": self.seconds,
            "rate": self.rate,
            "loss": self.loss,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.network.load_state_dict(state["network"])
        load_optimiser(self.optimiser, state["optimiser"])
        self.at, self.steps, self.loss = state["at"], state["steps"], state["loss"]
        self.falls, self.seconds, self.rate = state["falls"], state["seconds"], state["rate"]


def _shuffled(count: int, seed: int, epoch: int) -> Tensor:
    """The numbers below `count` in an order that seed and epoch tell."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    return torch.randperm(count, generator=generator)
