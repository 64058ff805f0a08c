"""Plan a run: the pictures of a folder or a film, in each variation of the settings."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lanterna.errors import UsageError
from lanterna.images.decoding import is_folder
from lanterna.images.drawing import as_png
from lanterna.images.film_reading import open_film, pictures_in
from lanterna.images.recipe import RecipeInput, make_recipe_input
from lanterna.surfaces.render.task import InputFile, Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import JsonValue
    from torch import Tensor

    from lanterna.images.film_reading import FilmReader
    from lanterna.surfaces.render.folder import Folder
    from lanterna.techniques.technique import Settings

MAX_PICTURES = 1_000_000
"""The maximum for one run."""


@dataclass(frozen=True)
class Sweep:
    """A setting, and the values to vary it over."""

    name: str
    values: tuple[JsonValue, ...]

    @classmethod
    def parse(cls, text: str) -> Sweep:
        """Parse `step_size=0.5:4:8` (eight values from 0.5 to 4) or `layer=block5,block9` (these two).

        Errors: `UsageError` if it is neither.
        """
        name, equals, listed = text.partition("=")
        parts = listed.split(":")
        problem = f"--sweep: expected NAME=FIRST:LAST:COUNT or NAME=A,B,C, got {text[:60]!r}"
        if not equals or not name.strip() or not listed.strip():
            raise UsageError(problem)
        name = name.strip().replace("-", "_")
        if len(parts) != 3:
            values = tuple(_value(each.strip()) for each in listed.split(","))
            if repeated := [value for number, value in enumerate(values) if value in values[:number]]:
                raise UsageError(f"--sweep {name} has {repeated[0]!r} twice: give it once")
            return cls(name, values)
        try:
            first, last, count = float(parts[0]), float(parts[1]), int(parts[2])
        except ValueError:
            raise UsageError(problem) from None
        if not (math.isfinite(first) and math.isfinite(last) and 1 <= count <= MAX_PICTURES):
            raise UsageError(problem)
        steps = [first + (last - first) * n / max(1, count - 1) for n in range(count)]
        integers = all(float(value).is_integer() for value in (first, last)) and all(
            math.isclose(value, round(value), abs_tol=1e-9) for value in steps
        )
        return cls(name, tuple(round(value) if integers else round(value, 10) for value in steps))


def _value(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


@dataclass(frozen=True)
class Variation:
    """Settings to render each picture with, and the suffix of its name."""

    settings: Mapping[str, JsonValue]
    suffix: str = ""


def variations(settings: Settings, sweeps: Sequence[Sweep]) -> list[Variation]:
    """Return all combinations of the swept values, checked. Errors: `UsageError` if one is not valid."""
    kind = type(settings)
    names = {name.strip("_"): name for name in kind.model_fields}
    for sweep in sweeps:
        if sweep.name not in names:
            raise UsageError(f"--sweep: unknown setting {sweep.name!r}: the settings are {', '.join(names)}")
    if math.prod(len(sweep.values) for sweep in sweeps) > MAX_PICTURES:
        raise UsageError(f"--sweep: more than {MAX_PICTURES:,} pictures: sweep over fewer values")
    found = []
    taken: set[str] = set()
    for values in itertools.product(*(sweep.values for sweep in sweeps)):
        chosen = dict(zip((names[sweep.name] for sweep in sweeps), values, strict=True))
        varied = kind.checked({**settings.model_dump(exclude_unset=True), **chosen}) if chosen else settings
        suffix = "".join(
            f"-{sweep.name}-{_as_file_name(value)}" for sweep, value in zip(sweeps, values, strict=True)
        )
        found.append(Variation(varied.model_dump(mode="json"), _unused(suffix, taken)))
    return found


def _as_file_name(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "".join(c if c.isalnum() or c in "._" else "-" for c in text)[:60]


@dataclass(frozen=True)
class Source:
    """The pictures of a folder or of a film, or a single one. `names` are those of the results."""

    path: Path
    names: Sequence[str]
    paths: Sequence[Path] = ()
    film: FilmReader | None = None

    def files(self, numbers: Sequence[int]) -> Iterator[InputFile | None]:
        """Yield the pictures with these ascending numbers as a task's input files; a film's frames as PNG.

        Without pictures (`no_source`) each is None.
        """
        if self.film is None and not self.paths:
            yield from (None for _ in numbers)
            return
        if self.film is None:
            for number in numbers:
                path = self.paths[number]
                yield InputFile(make_recipe_input(path), path.read_bytes())
            return
        left, first = set(numbers), min(numbers, default=0)
        for number, picture in enumerate(self.film.frames(first), first):
            if number in left:
                yield self.frame_file(number, picture)
                left.remove(number)
            if not left:
                return

    def frame_file(self, number: int, picture: Tensor) -> InputFile:
        """Return a film's frame as an input file, named after the film and the frame's number."""
        data = as_png(picture)
        note = make_recipe_input(data).model_copy(update={"path": f"{self.path.name}#{number}"})
        return InputFile(RecipeInput.model_validate(note.model_dump()), data)


def no_source(name: str) -> Source:
    """Return the source of a technique that takes no picture: only a name for its results."""
    return Source(Path(name), [name])


def open_source(source: Path) -> Source:
    """Open a folder of pictures, a film, or a single picture.

    Errors: `UsageError` if it is none of these.
    """
    if is_folder(source):
        paths = pictures_in(source)
        return Source(source, _names_of(paths), paths)
    film = _film(source)
    if film is not None:
        digits = len(str(film.count - 1))
        return Source(source, [f"{n:0{max(5, digits)}}" for n in range(film.count)], film=film)
    make_recipe_input(source)  # raises if it is missing
    return Source(source, [source.stem], [source])


def _names_of(paths: Sequence[Path]) -> list[str]:
    """Return a name for each picture: its stem, or with its suffix if several have that stem."""
    counts = Counter(path.stem.casefold() for path in paths)
    taken = {stem for stem, count in counts.items() if count == 1}
    return [
        path.stem if counts[path.stem.casefold()] == 1 else _unused(path.name.replace(".", "-"), taken)
        for path in paths
    ]


def _unused(name: str, taken: set[str]) -> str:
    """Return the name, numbered if it is taken, and take it; some file systems ignore case."""
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    found = next(each for each in itertools.chain([name], numbered) if each.casefold() not in taken)
    taken.add(found.casefold())
    return found


def _film(source: Path) -> FilmReader | None:
    try:
        film = open_film(source)
    except UsageError:
        return None
    return film if film.count > 1 else None


@dataclass(frozen=True)
class PictureRun:
    """A run that renders every picture in every variation, each independently."""

    source: Source
    variations: Sequence[Variation]

    @cached_property
    def names(self) -> list[str]:
        """The names of the results, by the number of the task."""
        return [f"{name}{each.suffix}" for name in self.source.names for each in self.variations]

    @property
    def count(self) -> int:
        """The number of tasks."""
        return len(self.names)

    @property
    def plan(self) -> dict[str, JsonValue]:
        """What identifies this run."""
        return {"settings": [dict(each.settings) for each in self.variations]}

    def missing(self, folder: Folder) -> list[int]:
        """Return the numbers of the tasks that the folder has no result of yet."""
        return [number for number, name in enumerate(self.names) if not folder.done(name)]

    def tasks(self, numbers: Sequence[int]) -> Iterator[Task]:
        """Yield the tasks with these ascending numbers, reading only their pictures."""
        count = len(self.variations)
        by_picture = [list(group) for _, group in itertools.groupby(numbers, lambda number: number // count)]
        files = self.source.files([group[0] // count for group in by_picture])
        for file, group in zip(files, by_picture, strict=True):
            for number in group:
                settings = self.variations[number % count].settings
                yield Task(number, self.names[number], settings, (file,) if file else ())

    def assemble(self, _: Folder) -> None:
        """Do nothing: each picture is complete by itself."""
