"""Declare the techniques of `grow shape`: a drawing that grows from one cell, and its film."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lanterna.techniques.derive import film_of
from lanterna.techniques.grow.estimate import seconds_to_learn
from lanterna.techniques.grow.rule import Rule, check_values, grown
from lanterna.techniques.grow.saved import (
    SHORT,
    SUFFIX,
    describe,
    learned_once,
    note_if_plain,
    open_learned,
    rule_file,
)
from lanterna.techniques.grow.shape import ShapeLearning, ShapeTraining, drawing_of, learn_shape
from lanterna.techniques.grow.training import LearningFrame
from lanterna.techniques.octaves import resized
from lanterna.techniques.technique import Estimate, Frame, Input, Report, Result, Technique, Work

if TYPE_CHECKING:
    from collections.abc import Generator

    from lanterna.techniques.execute import Job
    from lanterna.techniques.learned import LearnedOnce
    from lanterna.techniques.technique import Frames

_LONGEST = 1024  # pixels of a drawing that are enough to find its outline
_SHOWN = 480  # pixels along each side of the preview
_MEMORY = 600 * 2**20  # bytes: Python, torch and a step of training with 48 × 48 cells


class Shape(ShapeLearning):
    """Learn a drawing, and grow it from one cell."""

    size: int = Field(default=512, ge=64, le=8192, description="Pixels along each side.")
    steps: int = Field(default=160, ge=1, le=10_000, description="Steps of the rule, from one cell.")


class ShapeFilm(Shape):
    """A film of a drawing that grows, is wiped in half, and grows again."""

    verb: ClassVar[str] = "grow shape"

    size: int = Field(default=480, ge=64, le=2048, description="Pixels along each side.")
    frames: int = Field(default=144, ge=4, le=10_000, description="The number of frames.")
    fps: float = Field(default=24.0, ge=1, le=60, description="Frames per second.")
    speed: int = Field(default=2, ge=1, le=100, description="Steps of the rule between two frames.")


def enlarged(picture: Tensor, size: int) -> Tensor:
    """Return a square picture of cells at `size` pixels: each cell has as many whole pixels, white around."""
    side = picture.shape[1]
    if size < side:
        return resized(picture, (size, size)).clamp(0, 1)
    cells = F.interpolate(picture[None], scale_factor=size // side, mode="nearest")[0]
    before = (size - cells.shape[1]) // 2
    after = size - cells.shape[1] - before
    return F.pad(cells, (before, after, before, after), value=1.0)


def _drawing(job: Job) -> Tensor:
    (picture,) = job.pictures("drawing", longest=_LONGEST)
    return picture


def _learned(job: Job) -> LearnedOnce[LearningFrame]:
    picture, learning = _drawing(job), job.settings.as_base(ShapeLearning)
    file = rule_file(drawing_of(picture, learning.detail), learning)
    return learned_once(
        job, file, learning.training, lambda checkpointing: learn_shape(picture, learning, **checkpointing)
    )


@dataclass(frozen=True)
class _Grown(Frame):
    """Cells after a step of the rule."""

    size: int = field(kw_only=True)
    rule: Rule = field(kw_only=True, repr=False)

    def full_size(self) -> Tensor:
        assert self.picture is not None
        return enlarged(self.picture, self.size)


def _growing(rule: Rule, settings: Shape) -> Generator[_Grown, Any, None]:
    assert rule.first
    side = rule.first.side
    for step, cells in enumerate(grown(rule, side, side, settings.steps, settings.seed), start=1):
        yield _Grown(step, settings.steps, picture=rule.picture(cells), size=settings.size, rule=rule)


def _shape(job: Job) -> Work:
    learned, settings = _learned(job), job.settings
    frames = learned.then(lambda: _growing(open_learned(learned.file), settings), settings.steps, "growing")
    notes: list[str] = []

    def results(frame: LearningFrame | _Grown, _: Any) -> list[Result]:
        if isinstance(frame, LearningFrame):  # stopped: what the rule grows so far
            (frame,) = deque(_growing(frame.rule, settings), maxlen=1)
            notes.extend(note_if_plain(frame.picture))
        return [Result(frame.full_size(), sidecar=(SUFFIX, frame.rule.save))]

    return Work(
        frames, results, preview=lambda frame: enlarged(frame.picture, _SHOWN),
        report=lambda _: Report(notes=notes),
    )  # fmt: skip


def _estimate(job: Job) -> Estimate | None:
    """Estimate learning the rule, if that is still to be done; growing takes a second or two."""
    learning = job.settings.as_base(ShapeLearning)
    drawing = drawing_of(_drawing(job), learning.detail)
    if learning.training < SHORT or rule_file(drawing, learning).is_file():
        return None
    training = ShapeTraining(drawing, learning)
    training.pool[:, :4] = drawing  # as later in the training, when more cells live
    return Estimate(seconds_to_learn(training), _MEMORY)


SHAPE = Technique(
    name="grow-shape", file="shape", title="Shape", help="A drawing that grows from one cell, and regrows.",
    verb="grow", command=("grow", "shape"), settings=Shape, run=_shape, networks=lambda _: (),
    inputs=(Input("drawing", "a picture of a drawing on plain paper", required=True, example="-"),),
    on_device=False,
    shown_first=("training", "detail", "seed", "size"), resumes="always", describe=describe,
    estimate=_estimate, sidecar=("shape", SUFFIX),
    manual="""Let a drawing grow from one cell, and grow again where it is wiped.

    `lanterna grow shape fish.png` learns, in minutes, the one small rule by which all cells grow into the
    drawing, and saves it beside the picture as shape.safetensors. The colour of the paper becomes
    transparent. `--film fish.webp` shows how it grows, is wiped in half, and grows again.

    `lanterna grow page shape.safetensors` saves a page in which it lives. Ctrl-C saves the shape so far;
    --resume continues. Without -o it is written to shape.png.
    """,
)  # fmt: skip


def _film(job: Job, done: int) -> Frames:
    """Yield the frames after `done`: in the first half it grows, then half of it is wiped and regrows."""
    settings: ShapeFilm = job.settings
    rule, count = open_learned(_learned(job).file), settings.frames
    assert rule.first
    side = rule.first.side
    cells, number = rule.beginning(side, side), 0
    for frame in range(count):
        check_values(cells, number, "--frames")
        if frame == count // 2:
            cells[:, :, :, side // 2 :] = 0
        if frame >= done:
            yield Frame(frame + 1, count, picture=enlarged(rule.picture(cells), settings.size))
        for _ in range(settings.speed):
            rule.advance(cells, number, settings.seed)
            number += 1


SHAPE_FILM = film_of(
    SHAPE, name="grow-shape-film", title="A film of a shape",
    help="A film of a drawing that grows, is wiped in half, and grows again.",
    settings=ShapeFilm, film_flag="film", outputs=("shape-film",), sidecar=None,
    shown_first=("size", "frames", "fps", "speed"), frames=_film, learned=_learned,
    length=lambda job: (job.settings.frames, job.settings.fps),
)  # fmt: skip
