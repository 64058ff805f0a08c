"""The kinds of job: what each wants, and how the worker does it. Each is thin over what the library has.

A kind begins its work on a `Task` and gives a `Doing`: the generator of frames, what to show of a frame, and
what to keep when the work ends or is stopped.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from lanterna import shelf
from lanterna.errors import UsageError
from lanterna.images import note_input
from lanterna.networks import open_network, shelf_items
from lanterna.networks.catalogue import ALIASES, names
from lanterna.recipes.cppn import Cppn, random_picture
from lanterna.recipes.dream import LONGEST, Dream, DreamFrame, dream
from lanterna.recipes.feature import Feature, FeatureFrame, feature
from lanterna.recipes.octaves import octave_sizes
from lanterna.recipes.paint import Paint, PaintFrame
from lanterna.recipes.recipe import Frame, Recipe
from lanterna.recipes.rendering import wall
from lanterna.recipes.style import StyleFrame, steps_at, style_sizes
from lanterna.recipes.train import Train
from lanterna.surfaces import dreaming, featuring, inventing, painting, styling

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from lanterna.images import Input, Record
    from lanterna.networks import Network

Frames = Generator[Frame, Any, None]
Tell = Callable[[str, int, int], None]
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_WALL = 2**17  # pixels of several paintings shown together


@dataclass(frozen=True)
class Role:
    """What a picture is for in a job."""

    role: str
    words: str
    required: bool = False
    many: bool = False


@dataclass(frozen=True)
class Result:
    """A picture to keep, with its record; `also` writes a file that belongs to it, with that suffix."""

    picture: Tensor
    record: Record
    also: tuple[str, Callable[[Path], object]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Doing:
    """Work under way. `shares` are (steps, how much work each is), one after another, for the time left."""

    frames: Frames
    results: Callable[[Any, Recipe], Sequence[Result]]
    shown: Callable[[Any], Tensor | None] = lambda frame: frame.picture
    shares: Sequence[tuple[int, float]] = ()
    ended: Callable[[], object] = lambda: None

    def share(self, frame: Frame) -> float:
        """How much of the work is done, 0 to 1; 0 where that is not known."""
        if not self.shares:
            return frame.step / frame.steps if frame.steps else 0.0
        whole, done, before = sum(count * cost for count, cost in self.shares), 0.0, 0
        for count, cost in self.shares:
            done += cost * min(count, max(0, frame.step - before))
            before += count
        return done / whole


@dataclass(frozen=True)
class Task:
    """What a kind begins with: its recipe, files by role, and a place for its checkpoint.

    `tell` is told (what, done, of) while something is fetched. `resume` goes on from the checkpoint.
    """

    recipe: Any
    files: Mapping[str, Sequence[Path]]
    checkpoint: Path
    resume: bool
    title: str
    tell: Tell

    def one(self, role: str) -> Path | None:
        """The file of a role, or None."""
        return next(iter(self.files.get(role, ())), None)

    def all(self, role: str) -> Sequence[Path]:
        """The files of a role."""
        return self.files.get(role, ())

    @cached_property
    def notes(self) -> list[Input]:
        """The notes of all files, as a record keeps them."""
        return [
            note_input(path, role="" if role == "picture" else role)
            for role, paths in self.files.items()
            for path in paths
        ]

    def fetch(self, *items: str) -> None:
        """See to it that these are on the shelf."""
        shelf.fetch(items, self.tell)

    def network(self, name: str) -> Network:
        """The network of that name, with what it needs fetched."""
        self.fetch(*shelf_items(name))
        return open_network(name, device="auto", trust=False)


@dataclass(frozen=True)
class Kind:
    """A kind of job: where it belongs, what its settings and pictures are, and how it begins.

    `steers` are the settings that may change while it runs, `plain` those that are shown first; `hidden` are
    told by the pictures given and not by a person.
    """

    name: str
    room: str
    title: str
    words: str
    recipe: type[Recipe]
    begin: Callable[[Task], Doing]
    inputs: tuple[Role, ...] = ()
    steers: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    check: Callable[[Any, Mapping[str, int]], Any] = lambda recipe, _: recipe
    title_of: Callable[[str, Any], str] | None = None

    def checked(self, preset: str | None, wishes: Mapping[str, Any], counts: Mapping[str, int]) -> Recipe:
        """The recipe of a preset and what is wished beside it, with so many pictures of each role.

        Errors: `UsageError`, in one line.
        """
        if preset is not None and preset not in self.presets:
            there = ", ".join(self.presets) or "it has none"
            raise UsageError(f"{self.name} has no preset {preset[:60]!r}: {there}")
        roles = {role.role: role for role in self.inputs}
        for name, count in counts.items():
            if name not in roles:
                there = ", ".join(roles) or "none"
                raise UsageError(f"{self.name} takes no picture as {name[:40]!r}: its roles are {there}")
            if count > 1 and not roles[name].many:
                raise UsageError(f"{self.name} takes one picture as {name}, got {count}")
        for role in self.inputs:
            if role.required and not counts.get(role.role):
                raise UsageError(f"{self.name} needs a picture: {role.words}")
        start = {} if preset is None else self.presets[preset]
        recipe: Recipe = self.check(self.recipe.checked({**start, **wishes}), counts)
        if isinstance(name := getattr(recipe, "network", None), str):
            check_network(name, recipe)
        return recipe

    def titled(self, title: str, recipe: Recipe) -> str:
        """The title of a job, as the kind wants it."""
        return title if self.title_of is None else self.title_of(title, recipe)


def check_network(name: str, recipe: Recipe) -> None:
    """Refuse a network that is none of the names that are known here: one may be a path, or run code.

    Errors: `UsageError`.
    """
    if isinstance(recipe, Train | Paint):
        return  # a kind of network, and not one that is opened
    known = names()
    if name not in known and name not in ALIASES:
        raise UsageError(f"there is no network {name[:60]!r} in the studio: there are {', '.join(known)}")


# Dream.

_PICTURE = Role("picture", "the picture to dream on", required=True)
_GUIDE = Role("guide", "another picture, whose features are dreamed")
_MASK = Role("mask", "a grey picture: light where to dream", many=True)


class DreamSheet(dreaming.Sheet):
    """A sheet of small dreams to choose from."""

    sheet: Literal["stages", "channels", "presets"] = Field(
        default="presets", description="What differs from one to the next."
    )


def _guided(recipe: Dream, counts: Mapping[str, int]) -> Dream:
    return recipe.changed({"guided": bool(counts.get("guide"))})


def _begin_dream(task: Task) -> Doing:
    recipe: Dream = task.recipe
    source = task.one("picture")
    assert source is not None
    pictures = dreaming.open_pictures(source, task.one("guide"), task.all("mask"))
    network = task.network(recipe.network)
    frames = dream(
        pictures.picture, recipe, network=network, guide=pictures.guide, masks=pictures.masks,
        checkpoint=task.checkpoint, resume=task.resume,
    )  # fmt: skip
    height, width = pictures.picture.shape[1:]
    longest = recipe.size or min(max(height, width), LONGEST)
    sizes = octave_sizes(height, width, longest, recipe.octaves, recipe.ratio)

    def results(frame: DreamFrame, steered: Dream) -> list[Result]:
        return [Result(frame.whole(), dreaming.dream_record("dream", steered, network, task.notes))]

    shares = [(recipe.steps, float(down * across)) for down, across in sizes]
    return Doing(frames, results, shares=shares)


def _begin_dream_sheet(task: Task) -> Doing:
    kind: dreaming.Kind = task.recipe.sheet
    source = task.one("picture")
    assert source is not None
    pictures = dreaming.open_pictures(source, task.one("guide"), task.all("mask"))
    network = task.network(task.recipe.network)
    recipe = dreaming.choose(kind, task.recipe.only(dreaming.Sheet), network, pictures.picture)
    frames = dreaming.sheet_frames(kind, recipe, network, pictures)
    record = dreaming.dream_record(kind, recipe, network, task.notes)
    return Doing(frames, lambda frame, _: [Result(frame.picture, record)])


# Style.

_STYLE_ROLES = (
    Role("picture", "the photograph", required=True),
    Role("style", "a painting, or several", required=True, many=True),
    Role("mask", "a grey picture for each painting: light where its style goes", many=True),
    Role("content-mask", "a grey picture: light where the photograph counts"),
    Role("start-from", "a picture to begin with"),
)


def _painted(task: Task) -> styling.Pictures:
    photo = task.one("picture")
    assert photo is not None
    return styling.open_pictures(
        photo, task.all("style"), task.all("mask"), task.one("content-mask"), task.one("start-from")
    )


def _begin_style(task: Task) -> Doing:
    recipe: styling.Painted = task.recipe
    pictures = _painted(task)
    network = task.network(recipe.network)
    frames = styling.frames_of(
        recipe, pictures, network=network, checkpoint=task.checkpoint, resume=task.resume
    )
    sizes = style_sizes(pictures.photo.shape[1], pictures.photo.shape[2], recipe)
    shares = [
        (steps_at(number, len(sizes), recipe), float(down * across))
        for number, (down, across) in enumerate(sizes)
    ]

    def results(frame: StyleFrame, steered: styling.Painted) -> list[Result]:
        return [Result(frame.whole(), styling.style_record(steered, task.notes, network=network))]

    return Doing(frames, results, shares=shares)


def _begin_instant(task: Task) -> Doing:
    recipe: styling.InstantlyPainted = task.recipe
    task.fetch("instant-style")
    frames = styling.frames_of(recipe, _painted(task))
    return Doing(frames, lambda frame, _: [Result(frame.picture, styling.style_record(recipe, task.notes))])


def _begin_style_sheet(task: Task) -> Doing:
    recipe: styling.Painted = task.recipe
    pictures = _painted(task)
    network = task.network(recipe.network)
    frames = styling.sheet_frames(recipe, pictures, network=network)
    record = styling.style_record(recipe, task.notes, sheet=True, network=network)
    return Doing(frames, lambda frame, _: [Result(frame.picture, record)])


def _some_style(recipe: styling.InstantlyPainted, counts: Mapping[str, int]) -> styling.InstantlyPainted:
    if bool(counts.get("style")) == bool(recipe.built_in):
        raise UsageError("instant: expected a painting as the style, or built_in styles, and not both")
    return recipe


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "dream", "dream", "Dream", "More of what a network sees in your picture.", Dream, _begin_dream,
            inputs=(_PICTURE, _GUIDE, _MASK),
            plain=("stage", "steps", "step_size", "octaves", "size"),
            hidden=("guided",), presets=Dream.presets, check=_guided,
        ),
        Kind(
            "dream-sheet", "dream", "A sheet of dreams", "Small dreams side by side, to choose from.",
            DreamSheet, _begin_dream_sheet, inputs=(_PICTURE, _GUIDE, _MASK), plain=("sheet", "stage"),
            hidden=("guided", "shown"), presets=Dream.presets, check=_guided,
        ),
        Kind(
            "style", "style", "Style", "Your photograph, painted in the style of a painting.",
            styling.Painted, _begin_style, inputs=_STYLE_ROLES, steers=("strength", "detail", "weights"),
            plain=("strength", "brush", "detail", "keep_colours", "size"),
            presets=styling.Painted.presets,
        ),
        Kind(
            "style-sheet", "style", "A sheet of strengths and brushes", "Small pictures, to choose from.",
            styling.Painted, _begin_style_sheet, inputs=_STYLE_ROLES,
            plain=("strength", "brush", "detail", "keep_colours"), presets=styling.Painted.presets,
        ),
        Kind(
            "instant", "style", "Instant style", "The same in a second or two.",
            styling.InstantlyPainted, _begin_instant,
            inputs=(_STYLE_ROLES[0], Role("style", "a painting, or several", many=True)),
            plain=("strength", "brush", "built_in", "size"), check=_some_style,
        ),
    )
}  # fmt: skip
