"""Declare the techniques of `grow`: a texture from a picture or its rule, a film that loops, and a page.

Those of `grow shape` are in shape_technique.py.
"""

from __future__ import annotations

import itertools
import math
import shlex
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from lanterna.devices import choose_device
from lanterna.errors import UsageError
from lanterna.files import atomic_write
from lanterna.techniques.derive import film_of
from lanterna.techniques.grow.algorithm import Learning, Training, example_of, learn
from lanterna.techniques.grow.estimate import estimate_growth, seconds_to_learn
from lanterna.techniques.grow.page import check_rules, still, texture_page
from lanterna.techniques.grow.rule import Rule, grown, grown_picture
from lanterna.techniques.grow.saved import (
    RULE,
    SHORT,
    SUFFIX,
    describe,
    given_rule,
    learned_once,
    note_if_plain,
    open_learned,
    rule_file,
)
from lanterna.techniques.grow.shape_technique import SHAPE, SHAPE_FILM
from lanterna.techniques.grow.training import LearningFrame
from lanterna.techniques.technique import Frame, Input, Report, Result, Settings, Technique, Work

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from torch import Tensor

    from lanterna.techniques.execute import Job
    from lanterna.techniques.learned import LearnedOnce
    from lanterna.techniques.technique import Estimate, Frames

_SHOWN = 512  # cells along each side of the preview of a large texture


class Growing(Settings):
    """Grow a texture from its rule."""

    verb: ClassVar[str] = "grow"

    size: int = Field(default=512, ge=16, le=8192, description="Pixels along each side.")
    steps: int = Field(default=160, ge=1, le=10_000, description="Steps of the rule, from nothing.")


class Grow(Growing, Learning):
    """Learn the texture of a picture, and grow it."""


class Film(Grow):
    """A film of a texture that moves, and ends where it begins."""

    size: int = Field(default=320, ge=16, le=2048, description="Pixels along each side.")
    frames: int = Field(default=96, ge=4, le=10_000, description="The number of frames.")
    fps: float = Field(default=24.0, ge=1, le=60, description="Frames per second.")
    speed: int = Field(default=2, ge=1, le=100, description="Steps of the rule between two frames.")


def learning_of(settings: Learning) -> Learning:
    """Return how the rule for these settings is learned."""
    return settings.as_base(Learning)


def _learned(job: Job) -> LearnedOnce[LearningFrame]:
    """Return the rule of a job: the one on this machine, or one that is learned first."""
    learning = learning_of(job.settings)
    (picture,) = job.pictures("picture")
    file = rule_file(example_of(picture, learning.detail), learning)

    def begin(checkpointing: dict[str, Any]) -> Generator[LearningFrame, Any, None]:
        network = job.open_network("vgg19")
        return learn(picture, learning, network, device=job.device, **checkpointing)

    return learned_once(job, file, learning.training, begin)


@dataclass(frozen=True)
class _Grown(Frame):
    """Cells after a step of the rule. `picture` shows a corner of them if they are many."""

    cells: Tensor = field(kw_only=True, repr=False)
    rule: Rule = field(kw_only=True, repr=False)

    def full_size(self) -> Tensor:
        """Return the picture of all cells."""
        return self.rule.picture(self.cells)


def _growing(rule: Rule, settings: Growing) -> Generator[_Grown, Any, None]:
    size = settings.size
    for step, cells in enumerate(grown(rule, size, size, settings.steps, settings.seed), start=1):
        picture = rule.picture(cells[:, :, :_SHOWN, :_SHOWN])
        yield _Grown(step, settings.steps, picture=picture, cells=cells, rule=rule)


def _grow(job: Job) -> Work:
    learned, settings = _learned(job), job.settings
    frames = learned.then(lambda: _growing(open_learned(learned.file), settings), settings.steps, "growing")
    notes: list[str] = []

    def results(frame: LearningFrame | _Grown, _: Any) -> list[Result]:
        used = settings
        if isinstance(frame, LearningFrame):  # stopped: what the rule grows so far, without a long wait
            used = settings.changed({"size": min(settings.size, _SHOWN)})
            (frame,) = deque(_growing(frame.rule, used), maxlen=1)
            notes.extend(note_if_plain(frame.picture))
        return [Result(frame.full_size(), settings=used, sidecar=(SUFFIX, frame.rule.save))]

    return Work(frames, results, report=lambda _: Report(notes=notes))


def _estimate(job: Job) -> Estimate:
    """Estimate growing the texture, and learning its rule if that is still to be done."""
    settings: Grow = job.settings
    growing = estimate_growth(settings.size, settings.steps)
    learning = learning_of(settings)
    (picture,) = job.pictures("picture")
    example = example_of(picture, learning.detail)
    if learning.training < SHORT or rule_file(example, learning).is_file():
        return growing
    training = Training(example, learning, job.open_network("vgg19"), choose_device(job.device))
    return replace(growing, seconds=growing.seconds + seconds_to_learn(training))


GROW = Technique(
    name="grow", title="Grow", help="A texture that grows from nothing, learned from a picture.",
    settings=Grow, run=_grow, networks=lambda _: ("vgg19",),
    inputs=(Input("picture", "a picture of the texture", required=True, example="gravel"),),
    shown_first=("size", "seed", "training", "detail"), resumes="always", describe=describe,
    estimate=_estimate,
    sidecar=("texture", SUFFIX),
    manual="""Let a texture grow from nothing, learned from a picture of bark, bricks or brush strokes.

    Every pixel is a cell that sees its eight neighbours and follows one small rule. `lanterna grow bark.jpg`
    learns the rule, in minutes, and saves it beside the picture as grow.safetensors. From then on, any size
    grows without learning: `--size 4096`, `--seed 7`; `--film bark.webp` moves and ends where it begins.

    `lanterna grow wall grow.safetensors --size 4096` needs only the rule, and `lanterna grow page
    grow.safetensors` saves a page in which it lives. Ctrl-C saves the texture so far; --resume continues.
    """,
)  # fmt: skip


# From a rule, without its picture.


def _wall(job: Job) -> Frames:
    rule = given_rule(job)
    if rule.first:
        name = job.display_name("texture")
        use = f"lanterna grow page {shlex.quote(name)}"
        raise UsageError(f"{name} is a shape, which fills no wall: use {use}")
    return _growing(rule, job.settings)


WALL = Technique(
    name="grow-wall", file="wall", title="Wall", help="Grow a texture again, at any size, from its rule.",
    verb="grow", command=("grow", "wall"), settings=Growing, inputs=(RULE,), networks=lambda _: (),
    run=_wall, shown_first=("size", "seed", "steps"),
    saves_partial=True,
    manual="""Grow a texture again, at any size, from the rule that `lanterna grow` saved.

    `lanterna grow wall grow.safetensors --size 4096`. Without -o it is written to wall.png.
    """,
)  # fmt: skip


# The page in which it lives.


class Page(Settings):
    """Save a page in which a shape lives, or one or two textures."""

    verb: ClassVar[str] = "grow page"

    steps: int = Field(default=160, ge=1, le=10_000, description="Steps of the rule until the still picture.")


def _page(job: Job) -> Work:
    count, settings = job.count("texture"), job.settings
    rules = [given_rule(job, number) for number in range(count)]
    check_rules(rules)
    paths = [PurePath(job.display_name("texture", number)) for number in range(count)]
    names = [path.name.removesuffix(SUFFIX) for path in paths]  # a page that is sent on names no folders

    def frames() -> Frames:
        for rule in rules[1:]:
            grown_picture(rule, 16, settings.steps, settings.seed)  # raises if its values run away
        yield Frame(1, 1, picture=still(rules[0], settings.steps, settings.seed))

    def results(frame: Frame, _: Any) -> list[Result]:
        assert frame.picture is not None
        page = texture_page(rules, names, frame.picture)

        def write(path: Path) -> None:
            with atomic_write(path) as temporary:
                temporary.write_text(page, encoding="utf-8")

        return [Result(frame.picture, sidecar=(".html", write))]

    return Work(frames(), results)


PAGE = Technique(
    name="grow-page", file="page", title="A page",
    help="A page in which a texture or a shape lives: wipe it, and it heals.",
    verb="grow", command=("grow", "page"), settings=Page, run=_page, networks=lambda _: (),
    inputs=(replace(RULE, help="a texture or a shape from lanterna grow, or two textures", many=True),),
    sidecar=("page", ".html"), saves_partial=False,
    manual="""Save a page in which a texture or a shape lives, in one file that needs nothing else.

    `lanterna grow page bark.safetensors -o bark.html`; with two textures, paint one into the other. In the
    page, wipe it with a finger and watch it heal; change its speed, angle and scale. Tap beside a shape, and
    another grows there.

    Without -o it is written to page.html, with a picture beside it.
    """,
)  # fmt: skip


# The film.


def _film(job: Job, done: int) -> Frames:
    """Yield the frames of a loop, from the one after `done` on.

    The last third of the film is blended from frames after its end to those before its beginning.
    """
    settings: Film = job.settings
    rule, size = open_learned(_learned(job).file), settings.size
    count, blended = settings.frames, max(1, settings.frames // 3)
    every = grown(rule, size, size, settings.steps + (count + blended - 1) * settings.speed, settings.seed)
    shown = itertools.islice(every, settings.steps - 1, None, settings.speed)
    before = [rule.picture(next(shown)) for _ in range(blended)]
    for number, cells in enumerate(shown):
        late = number - (count - blended)
        if number >= done:
            picture = rule.picture(cells)
            if late >= 0:
                picture = _blend(picture, before[late], (late + 1) / (blended + 1))
            yield Frame(number + 1, count, picture=picture)


def _blend(old: Tensor, new: Tensor, share: float) -> Tensor:
    """Blend two textures; their contrast stays, as their differences from the mean are added as variances."""
    mean = ((old + new) / 2).mean((1, 2), keepdim=True)
    sum_ = (1 - share) * (old - mean) + share * (new - mean)
    return (mean + sum_ / math.hypot(1 - share, share)).clamp(0, 1)


FILM = film_of(
    GROW, name="grow-film", title="A film", help="A film of a texture that moves, and ends where it begins.",
    settings=Film, film_flag="film", outputs=("film",), sidecar=None, estimate=lambda _: None,
    shown_first=("size", "frames", "fps", "speed"), frames=_film, learned=_learned,
    length=lambda job: (job.settings.frames, job.settings.fps),
)  # fmt: skip

TECHNIQUES = (GROW, FILM, WALL, PAGE, SHAPE, SHAPE_FILM)
