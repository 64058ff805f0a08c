"""Grow: learn the rule by which cells grow a texture, from one picture.

Niklasson and others, "Self-organising textures" (Distill 2021). In each step of the training, take two of
the pool's planes (training.py), replace one by nothing now and then, let the rule run for 12 to 28 steps of
its own, and compare the colours with the picture. So the rule learns to grow the texture from nothing, and to
keep it.

The textures are compared by the features of VGG-19: for each of a few layers, all features are projected onto
random directions, sorted, and compared one by one (the sliced Wasserstein distance; Heitz, Vanhoey, Chambon
and Belcour, "A sliced Wasserstein loss for neural texture synthesis", 2021). Each layer's distance is divided
by the variance of the picture's features, and the colours themselves count as a layer. Cells whose values
leave [-1, 1] are penalised, as in the article.

Different from the article: half the planes, a smaller pool, fewer steps, and a learning rate that rises first
and then falls along a cosine, because training ends after minutes on two cores, not on a graphics card. The
directions are drawn once, so that the picture's features are sorted once. A plane whose values exceed 3 is
replaced by nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from lanterna.devices import choose_device
from lanterna.errors import UsageError
from lanterna.networks.inference import optimize_for_inference
from lanterna.probes.objectives import each_layer_output
from lanterna.techniques.checkpoint import Checkpointer
from lanterna.techniques.grow.rule import Rule, colours
from lanterna.techniques.grow.training import LearningFrame, RuleTraining
from lanterna.techniques.octaves import resized
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from lanterna.networks import Network

LAYERS = frozenset({"relu1_1", "relu2_1", "relu3_1", "relu4_1"})
_POOL, _BATCH, _EMPTY_EVERY = 16, 2, 16  # planes of cells, those of a step, and how often one starts empty
_SHORTEST, _LONGEST = 12, 28  # steps of the rule in a step of the training
_DIRECTIONS, _USED = 512, 32  # for each layer, and in each step
_OVERFLOW = 1000.0  # weight of values outside [-1, 1]
_SHOWN = 160  # cells along each side of the preview


class Learning(Settings):
    """How the rule of a texture is learned. Equal values and pictures give equal rules on a machine."""

    verb: ClassVar[str] = "grow"

    training: int = Field(
        default=1000, ge=1, le=100_000, description="Training steps, if there is no rule yet."
    )
    detail: int = Field(
        default=128, ge=32, le=1024,
        description="Pixels to which the picture's shorter side is scaled: more for larger details.",
    )  # fmt: skip
    side: int = Field(default=64, ge=32, le=256, description="Cells along each side of a plane in training.")
    learning_rate: float = Field(default=2e-3, gt=0, le=0.1, description="The largest learning rate.")


def learn(
    picture: Tensor,
    settings: Learning,
    network: Network,
    *,
    device: str = "auto",
    checkpoint: Path | None = None,
    checkpoint_every: float | None = None,
    resume: bool = False,
) -> Generator[LearningFrame, Any, None]:
    """Learn the rule of a picture `(3, H, W)` in [0, 1], yielding a frame every second or two.

    `network` is VGG-19. With a `checkpoint` the state is saved there every `checkpoint_every` seconds (10)
    and when the generator is closed early; `resume` continues from it.

    Errors, before the first step: `UsageError` for a picture that is too small or has only one colour, or a
    checkpoint of another; `MissingError` if there is no checkpoint to resume from.
    """
    example = example_of(picture, settings.detail)
    checkpointer = Checkpointer(checkpoint, settings, [example], checkpoint_every)
    training = Training(example, settings, network, choose_device(device))
    return checkpointer.train(training, resume=resume)


def example_of(picture: Tensor, detail: int) -> Tensor:
    """Return what is learned: the middle square of a picture, scaled to `detail`. Errors: `UsageError`."""
    if picture.ndim != 3 or picture.shape[0] != 3 or not picture.isfinite().all():
        raise UsageError("expected a picture (3, H, W) with finite values")
    height, width = picture.shape[1:]
    if min(height, width) < 32:
        raise UsageError(f"expected a picture of at least 32 × 32 pixels, got {width} × {height}")
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = resized(picture[:, top : top + side, left : left + side].cpu().float(), (detail, detail))
    if float(square.flatten(1).std(1).max()) < 1e-3:
        raise UsageError("expected a picture with a texture, got one of a single colour")
    return square.clamp(0, 1)


class Training(RuleTraining):
    """The training of a texture."""

    def __init__(self, example: Tensor, settings: Learning, network: Network, device: torch.device) -> None:
        super().__init__(Rule(settings.seed).to(device), settings, settings.side, _POOL, _SHOWN)
        self.distance = TextureDistance(example.to(device), network, settings)

    def advance(self) -> None:
        """Train for one step."""
        random = self.random()
        chosen = torch.randperm(_POOL, generator=random)[:_BATCH]
        cells = self.pool[chosen].to(self.device)
        if self.step % _EMPTY_EVERY == 0:
            cells[0] = 0
        steps = int(torch.randint(_SHORTEST, _LONGEST + 1, (), generator=random))
        cells = self.rule(cells, steps, random)
        overflow = (cells - cells.clamp(-1, 1)).abs().mean((1, 2, 3))
        distances = self.distance(colours(cells), random)
        self.losses.append(distances.mean().item())
        self.finish_step((distances + _OVERFLOW * overflow).log1p().mean(), chosen, cells)


class TextureDistance:
    """The distance of pictures from an example `(3, h, w)` as textures, without regard to places."""

    def __init__(self, example: Tensor, network: Network, settings: Settings) -> None:
        self.network = optimize_for_inference(network, LAYERS)
        random = torch.Generator().manual_seed(settings.seed)
        self.directions, self.sorted, self.units = {}, {}, {}
        with torch.no_grad():
            for name, features in self._features(example[None]):
                flat = features.float().flatten(2)[0]  # (C, h w)
                self.units[name] = flat.var(1).sum().clamp_min(1e-6) / len(flat)
                drawn = torch.randn(_DIRECTIONS, len(flat), generator=random)
                self.directions[name] = F.normalize(drawn, dim=1).to(flat)
                self.sorted[name] = (self.directions[name] @ flat).sort(1).values  # (512, h w)

    def __call__(self, pictures: Tensor, random: torch.Generator) -> Tensor:
        """Return the distance of each picture `(N, 3, H, W)`, `(N,)`; 0 if it is like the example."""
        total = pictures.new_zeros(len(pictures))
        for name, features in self._features(pictures):
            used = torch.randperm(_DIRECTIONS, generator=random)[:_USED]
            flat = features.flatten(2)  # (N, C, H W)
            projected = (self.directions[name][used].to(flat) @ flat).float().sort(2).values  # (N, 32, H W)
            example = _quantiles(self.sorted[name][used], projected.shape[2])
            total = total + (projected - example).square().mean((1, 2)) / self.units[name]
        return total

    def _features(self, pictures: Tensor) -> Iterator[tuple[str, Tensor]]:
        yield "colours", pictures
        yield from each_layer_output(self.network, pictures, LAYERS)


def _quantiles(ordered: Tensor, count: int) -> Tensor:
    """Return `count` evenly spaced values of each row of ordered ones, `(K, n)` to `(K, count)`."""
    places = (torch.arange(count, device=ordered.device) + 0.5) * (ordered.shape[1] / count)
    return ordered[:, places.long()]
