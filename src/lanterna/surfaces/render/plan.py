"""What is to be made: pictures from a folder or a film, times the settings that are swept over."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lanterna.errors import UsageError
from lanterna.images.decoding import is_folder
from lanterna.images.drawing import as_png
from lanterna.images.film_reading import Film, open_film, pictures_in
from lanterna.images.recipe import Input, note_input
from lanterna.surfaces.render.task import InputFile, Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import JsonValue
    from torch import Tensor

    from lanterna.surfaces.render.folder import Folder
    from lanterna.techniques.technique import Settings

MAX_PICTURES = 1_000_000
"""Pictures that one run makes at most."""


@dataclass(frozen=True)
class Sweep:
    """A setting and the values that it takes, one after another."""

    name: str
    values: tuple[JsonValue, ...]

    @classmethod
    def read(cls, text: str) -> Sweep:
        """`step_size=0.5:4:8` is eight values from 0.5 to 4; `layer=block5,block9` are these two.

        Errors: `UsageError` where it is neither.
        """
        name, equals, told = text.partition("=")
        parts = told.split(":")
        wanted = f"--sweep wants NAME=FIRST:LAST:COUNT or NAME=A,B,C, got {text[:60]!r}"
        if not equals or not name.strip() or not told.strip():
            raise UsageError(wanted)
        name = name.strip().replace("-", "_")
        if len(parts) != 3:
            values = tuple(_value(each.strip()) for each in told.split(","))
            if twice := [value for number, value in enumerate(values) if value in values[:number]]:
                raise UsageError(f"--sweep {name} has {twice[0]!r} twice: once makes the picture")
            return cls(name, values)
        try:
            first, last, count = float(parts[0]), float(parts[1]), int(parts[2])
        except ValueError:
            raise UsageError(wanted) from None
        if not (math.isfinite(first) and math.isfinite(last) and 1 <= count <= MAX_PICTURES):
            raise UsageError(wanted)
        steps = [first + (last - first) * n / max(1, count - 1) for n in range(count)]
        whole = all(float(value).is_integer() for value in (first, last)) and all(
            math.isclose(value, round(value), abs_tol=1e-9) for value in steps
        )
        return cls(name, tuple(round(value) if whole else round(value, 10) for value in steps))


def _value(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


@dataclass(frozen=True)
class Variation:
    """One way to make each picture: its settings, and what is written after the picture's name."""

    settings: Mapping[str, JsonValue]
    suffix: str = ""


def variations(settings: Settings, sweeps: Sequence[Sweep]) -> list[Variation]:
    """All combinations of what is swept over; each is checked. Errors: `UsageError` names what is wrong."""
    kind = type(settings)
    names = {name.strip("_"): name for name in kind.model_fields}
    for sweep in sweeps:
        if sweep.name not in names:
            raise UsageError(f"--sweep: there is no setting {sweep.name!r}: there are {', '.join(names)}")
    if math.prod(len(sweep.values) for sweep in sweeps) > MAX_PICTURES:
        raise UsageError(f"--sweep: that is more than {MAX_PICTURES:,} pictures: sweep over fewer values")
    found = []
    for values in itertools.product(*(sweep.values for sweep in sweeps)):
        chosen = dict(zip((names[sweep.name] for sweep in sweeps), values, strict=True))
        made = kind.checked({**settings.model_dump(exclude_unset=True), **chosen}) if chosen else settings
        words = "".join(
            f"-{sweep.name}-{_in_a_name(value)}" for sweep, value in zip(sweeps, values, strict=True)
        )
        found.append(Variation(made.model_dump(mode="json"), words))
    return found


def _in_a_name(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "".join(c if c.isalnum() or c in "._" else "-" for c in text)[:60]


@dataclass(frozen=True)
class Source:
    """The pictures that are worked on: of a folder, of a film, or one. `names` are those of their results."""

    source: Path
    names: Sequence[str]
    paths: Sequence[Path] = ()
    film: Film | None = None

    def given(self, wanted: Sequence[int]) -> Iterator[InputFile | None]:
        """Those of the numbers `wanted`, which rise, as a task takes them; a film's pictures as PNG files.

        Where there are no pictures (`without_pictures`) each is None.
        """
        if self.film is None and not self.paths:
            yield from (None for _ in wanted)
            return
        if self.film is None:
            for number in wanted:
                path = self.paths[number]
                yield InputFile(note_input(path), path.read_bytes())
            return
        left, first = set(wanted), min(wanted, default=0)
        for number, picture in enumerate(self.film.frames(first), first):
            if number in left:
                yield self.of_the_film(number, picture)
                left.remove(number)
            if not left:
                return

    def of_the_film(self, number: int, picture: Tensor) -> InputFile:
        """One picture of a film as a task takes it: its note names the film and the picture's number."""
        data = as_png(picture)
        note = note_input(data).model_copy(update={"path": f"{self.source.name}#{number}"})
        return InputFile(Input.model_validate(note.model_dump()), data)


def no_source(name: str) -> Source:
    """What a technique begins with that takes no picture: nothing, but a name for its results."""
    return Source(Path(name), [name])


def open_source(source: Path) -> Source:
    """The pictures of a folder, of a film, or the one picture that `source` is.

    Errors: `UsageError` where it is none of these.
    """
    if is_folder(source):
        paths = pictures_in(source)
        stems = [path.stem for path in paths]
        twice = {stem for stem in stems if stems.count(stem) > 1} if len(set(stems)) < len(stems) else set()
        names = [path.name.replace(".", "-") if path.stem in twice else path.stem for path in paths]
        return Source(source, names, paths)
    film = _film(source)
    if film is not None:
        digits = len(str(film.count - 1))
        return Source(source, [f"{n:0{max(5, digits)}}" for n in range(film.count)], film=film)
    note_input(source)  # whether it is there
    return Source(source, [source.stem], [source])


def _film(source: Path) -> Film | None:
    try:
        film = open_film(source)
    except UsageError:
        return None
    return film if film.count > 1 else None


@dataclass(frozen=True)
class PictureRun:
    """All pictures in all variations, each made by itself: what one run makes."""

    open_source: Source
    ways: Sequence[Variation]

    @cached_property
    def names(self) -> list[str]:
        """What each is called; the places in this list are the numbers of tasks."""
        return [f"{name}{way.suffix}" for name in self.open_source.names for way in self.ways]

    @property
    def count(self) -> int:
        """How many tasks there are."""
        return len(self.names)

    @property
    def plan(self) -> dict[str, JsonValue]:
        """What tells this run from another."""
        return {"settings": [dict(way.settings) for way in self.ways]}

    def missing(self, folder: Folder) -> list[int]:
        """The numbers of tasks that the folder does not have yet."""
        return [number for number, name in enumerate(self.names) if not folder.done(name)]

    def tasks(self, wanted: Sequence[int]) -> Iterator[Task]:
        """The tasks of the numbers `wanted`, which rise; no other picture is read."""
        grouped = itertools.groupby(wanted, lambda number: number // len(self.ways))
        by_picture = [list(numbers) for _, numbers in grouped]
        given = self.open_source.given([numbers[0] // len(self.ways) for numbers in by_picture])
        for picture, numbers in zip(given, by_picture, strict=True):
            for number in numbers:
                way = self.ways[number % len(self.ways)]
                yield Task(number, self.names[number], way.settings, (picture,) if picture else ())

    def put_together(self, _: Folder) -> None:
        """Nothing is to be done at the end: each picture is whole by itself."""
