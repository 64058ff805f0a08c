"""What a kind of job is: the pictures it takes, the task it is given, and the work it gives back."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lanterna import shelf
from lanterna.errors import UsageError
from lanterna.images import note_input
from lanterna.images.decoding import opened
from lanterna.networks import open_network, shelf_items
from lanterna.networks.catalogue import ALIASES, names
from lanterna.recipes.paint import Paint
from lanterna.recipes.recipe import Frame, Recipe
from lanterna.recipes.train import Train
from lanterna.settings import networks_folder

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from lanterna.images import Input, Record
    from lanterna.networks import Network

Frames = Generator[Frame, Any, None]
Tell = Callable[[str, int, int], None]
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""What a network trained in the studio may be called."""


def new_name(wished: str, taken: Container[str] = ()) -> str:
    """The name of a network that is to be. Errors: `UsageError` for no name, or one that is taken."""
    if not NAME.fullmatch(wished):
        raise UsageError(f"a network's name has small letters, digits and -, up to 40, got {wished[:60]!r}")
    if wished in taken or (networks_folder() / wished).exists():
        raise UsageError(f"there is a network {wished!r} already: give another name")
    return wished


@dataclass(frozen=True)
class Role:
    """What a picture is for in a job."""

    role: str
    words: str
    required: bool = False
    many: bool = False


@dataclass(frozen=True)
class Tile:
    """A picture on a contact sheet: what is written beneath it, and the job that makes it large."""

    label: str
    kind: str
    recipe: Recipe


@dataclass(frozen=True)
class Film:
    """The frames of a film, `(3, H, W)` each, how many they are, how many a second, and how many seconds the
    last one stands."""

    frames: Iterable[Tensor]
    count: int
    fps: float
    hold: float = 0.0


@dataclass(frozen=True)
class Result:
    """A picture to keep, with its record; `also` writes a file that belongs to it, with that suffix.

    Where it is a `film`, the picture stands for it. `words` say what it shows, where it shows a finding.

    `tiles` are the pictures of a contact sheet, in so many `columns`, `gap` pixels apart.
    """

    picture: Tensor
    record: Record
    also: tuple[str, Callable[[Path], object]] | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    tiles: Sequence[Tile] = ()
    columns: int = 1
    gap: int = 16
    film: Film | None = None
    words: str = ""


def evenly(frame: Frame) -> float:
    """The share of the work that is done where every step is as much work; 0 where steps are not known."""
    return frame.step / frame.steps if frame.steps else 0.0


def by_pixels(sizes: Sequence[tuple[int, int]], steps: Sequence[int]) -> Callable[[Frame], float]:
    """The share of the work that is done where sizes (height, width) follow each other, with their steps."""
    costs = [float(height * width) for height, width in sizes]
    whole = sum(cost * count for cost, count in zip(costs, steps, strict=True))

    def share(frame: Frame) -> float:
        done, before = 0.0, 0
        for cost, count in zip(costs, steps, strict=True):
            done += cost * min(count, max(0, frame.step - before))
            before += count
        return done / whole

    return share


@dataclass(frozen=True)
class Doing:
    """Work under way: its frames, what to keep at the end, what to show of a frame, how much of it is done.

    `results` is given the last frame and the recipe as it was steered.
    """

    frames: Frames
    results: Callable[[Any, Any], Sequence[Result]]
    shown: Callable[[Any], Tensor | None] = lambda frame: frame.picture
    share: Callable[[Any], float] = evenly


@dataclass(frozen=True)
class Task:
    """What a kind begins with: its recipe, files by role, and a place for its checkpoint.

    `names` are what people call those files, which is how a record names them. `tell` is told (what is done,
    how much, of how much) of what takes a while before the first frame, and raises where the job is to end.
    `resume` goes on from the checkpoint.
    """

    recipe: Any
    files: Mapping[str, Sequence[Path]]
    checkpoint: Path
    resume: bool
    title: str
    tell: Tell
    names: Mapping[Path, str] = field(default_factory=dict)

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
            note_input(path, role="" if role == "picture" else role, name=self.names.get(path))
            for role, paths in self.files.items()
            for path in paths
        ]

    def fetch(self, *items: str) -> None:
        """See to it that these are on the shelf."""
        shelf.fetch(items, lambda what, done, of: self.tell(f"fetching {what} ({of / 1e6:.1f} MB)", done, of))

    def network(self, name: str) -> Network:
        """The network of that name, with what it needs fetched."""
        self.fetch(*shelf_items(name))
        return open_network(name, device="auto", trust=False)


@dataclass(frozen=True)
class Kind:
    """A kind of job: where it belongs, what its settings and pictures are, and how it begins.

    `steers` are the settings that may change while it runs, `plain` those that are shown first; `hidden` are
    told by the pictures given and not by a person. `check` is given the recipe and the number of pictures of
    each role; `title_of` a title, the recipe and the titles of other jobs of its kind, and gives the title.
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
    title_of: Callable[[str, Any, Container[str]], str] = lambda title, *_: title

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
        network = getattr(recipe, "network", None)
        if isinstance(network, str):
            check_network(network, recipe)
        return recipe


def is_animated(file: Path) -> bool:
    """Whether a picture file has several pictures, one after another."""
    with opened(file) as image:
        return bool(getattr(image, "is_animated", False))


def check_network(name: str, recipe: Recipe) -> None:
    """Refuse a network that is none of the names that are known here: one may be a path, or run code.

    Errors: `UsageError`.
    """
    if isinstance(recipe, Train | Paint):
        return  # a kind of network, and not one that is opened
    known = names()
    if name not in known and name not in ALIASES:
        raise UsageError(f"there is no network {name[:60]!r} in the studio: there are {', '.join(known)}")
