"""The one way to run a technique: open what it takes, fetch what is missing, run, recipe, save.

Every surface calls this: the command line, the studio's worker, `render`, `rerun`, the notebook and the tour.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lanterna import shelf
from lanterna.devices import choose_device
from lanterna.documents import runs_code
from lanterna.errors import UsageError
from lanterna.files import names_a_server
from lanterna.images import make_recipe, note_input, open_picture, save_picture
from lanterna.images.decoding import is_folder, named, opened
from lanterna.images.film_reading import is_film, open_film
from lanterna.images.films import save_film
from lanterna.images.prints import Print
from lanterna.images.recipe import printable
from lanterna.networks import open_network, shelf_items
from lanterna.networks.tracing import ForeignNetwork
from lanterna.techniques import registry
from lanterna.techniques.frame_folder import FrameFolder
from lanterna.techniques.technique import Settings, Work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from lanterna.images import Input as Note
    from lanterna.images import Recipe
    from lanterna.images.film_reading import Film
    from lanterna.networks import Network
    from lanterna.techniques.technique import Frame, Frames, Result, Technique

File = Path | bytes
"""A file by its path, or the bytes of one that came by standard input."""

Fetch = Callable[[str], None]
"""Fetches one thing to the shelf, and says so where somebody watches."""


def fetch_quietly(item: str) -> None:
    """Fetch one thing to the shelf without a word. Errors: `MissingError` where it cannot be had."""
    shelf.need(item)


@dataclass
class Job:
    """A technique with its settings and files, about to be run. What it takes is opened when it is asked for.

    `files` are paths, or the bytes of standard input, by input; `names` what people call those paths, which
    is what a recipe says. The state of long work is saved at `checkpoint`, every `checkpoint_every` seconds,
    and with `resume` it goes on from there; the frames of a film go into a folder beside `film`. `title` is
    what a network that is made is called, or its folder; `options` are those of the technique, as its
    algorithm takes them. `fetch_item` fetches one thing to the shelf, `say` says a line to the person, and
    `progress` is called with what is being done, how much, and of how much, before the first frame; it may
    raise to end the job. `open_reader` opens a network that reads digits, where that is not `open_or_train`.
    `open_pictures` are pictures that are already open, by input, and `trust` lets a network's name run
    somebody's code.
    """

    technique: Technique
    settings: Any
    files: Mapping[str, Sequence[File]] = field(default_factory=dict)
    device: str = "auto"
    checkpoint: Path | None = None
    checkpoint_every: float | None = None
    resume: bool = False
    force: bool = False
    film: Path | None = None
    title: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[Path, str] = field(default_factory=dict)
    fetch_item: Fetch = fetch_quietly
    progress: Callable[[str, int, int], None] = lambda *_: None
    notify: Callable[[str], None] = lambda _: None
    open_reader: Callable[..., Network] | None = None
    trust: bool = True
    open_pictures: Mapping[str, Sequence[Tensor]] = field(default_factory=dict)
    extra_steps: Container[int] = ()
    items: list[str] = field(default_factory=list)
    _opened: dict[tuple[str, int | None], list[Tensor]] = field(default_factory=dict)

    def source(self, name: str) -> File:
        """The first file of an input that must be there. Errors: as `sources`."""
        return self.sources(name)[0]

    def sources(self, name: str) -> Sequence[File]:
        """The files of an input. Errors: `UsageError` where it is given as pictures that are open already."""
        if name in self._without_file:
            raise UsageError(
                f"{self.technique.name} takes {name} as a file, got an open picture: save it first"
            )
        return self.files.get(name, ())

    def count(self, name: str) -> int:
        """How many files or open pictures there are of an input."""
        return len(self.open_pictures.get(name) or self.files.get(name, ()))

    @property
    def _without_file(self) -> set[str]:
        """The inputs that are given only as pictures that are open already."""
        return set(self.open_pictures) - set(self.files)

    @property
    def checkpointing(self) -> dict[str, Any]:
        """Where and how often the state is saved, and whether work goes on from it, as algorithms take it."""
        return {
            "checkpoint": self.checkpoint, "checkpoint_every": self.checkpoint_every, "resume": self.resume,
        }  # fmt: skip

    def display_name(self, name: str, number: int = 0) -> str:
        """What a message calls a file of an input, the first if no other is meant."""
        if name in self._without_file:
            return "what was given"
        file = self.sources(name)[number]
        return "standard input" if isinstance(file, bytes) else self._name_of(file) or named(file)

    def _name_of(self, file: File) -> str | None:
        return None if isinstance(file, bytes) else self.names.get(file)

    def pictures(self, name: str, *, longest: int | None = None) -> list[Tensor]:
        """The pictures of an input, `(3, H, W)` in [0, 1], or `(H, W)` of masks; no side over `longest`.

        Errors: `UsageError` where one cannot be read as a picture.
        """
        if name in self.open_pictures:
            return list(self.open_pictures[name])
        if (name, longest) not in self._opened:
            grey = any(each.name == name and each.grey for each in self.technique.inputs)
            found = [open_picture(file, longest=longest) for file in self.sources(name)]
            self._opened[name, longest] = [each.mean(0) for each in found] if grey else found
        return self._opened[name, longest]

    def picture(self, name: str) -> Tensor | None:
        """The only picture of an input, or None."""
        return next(iter(self.pictures(name)), None)

    @cached_property
    def input_film(self) -> Film | None:
        """What the work is about as a film, where it is one, or a folder of frames; else None."""
        name = self.technique.inputs[0].name
        source = None if name in self._without_file else self.source(name)
        return open_film(source) if isinstance(source, Path) and is_animation(source) else None

    def fetch(self, *items: str) -> None:
        """Fetch what is not on the shelf; all of it goes into the recipe."""
        for item in items:
            self.fetch_item(item)
            if item not in self.items:
                self.items.append(item)

    @cached_property
    def network(self) -> Network:
        """The network that the settings name, with what it needs fetched."""
        return self.open_network(self.settings.network)

    def open_network(self, name: str) -> Network:
        """A network by its name, with what it needs fetched."""
        self.fetch(*shelf_items(name))
        network = open_network(name, device=self.device, trust=self.trust)
        if isinstance(network, ForeignNetwork):
            self.notify(f"{name}: {network.note}")
        return network

    @cached_property
    def frames(self) -> FrameFolder:
        """The frames of the film being made that there are already. Errors: as `FrameFolder`."""
        return self.frame_folder(resume=self.resume)

    def frame_folder(self, *, resume: bool) -> FrameFolder:
        """The folder for the frames of a film. Errors: as `FrameFolder`."""
        assert self.film is not None
        made_from = {
            "settings": self.settings.model_dump(mode="json"),
            "inputs": {name: [_mark(file) for file in files] for name, files in self.files.items() if files},
        }
        return FrameFolder(self.film, made_from, resume=resume, force=self.force)

    def has_frames(self) -> bool:
        """Whether frames of the film are there already."""
        return self.film is not None and self.film.with_name(f"{self.film.name}.frames").exists()

    @cached_property
    def input_notes(self) -> list[Note]:
        """The notes of all files, as a recipe says them; of a folder of frames there is none."""
        if not self.technique.records_inputs:
            return []
        return [
            note_input(file, role=self.technique.role(each.name), name=self._name_of(file))
            for each in self.technique.inputs
            for file in self.files.get(each.name, ())
            if isinstance(file, bytes) or not is_folder(file)
        ]

    @property
    def opened_network(self) -> Network | None:
        """The network, if it has been opened."""
        return self.__dict__.get("network")

    def for_file(self, file: File) -> Job:
        """The same job, with the network if that is open, about one file only."""
        first = self.technique.inputs[0].name
        opened = {key: pictures for key, pictures in self._opened.items() if key[0] != first}
        job = replace(self, files={**self.files, first: [file]}, _opened=opened)
        if self.opened_network is not None:
            job.network = self.opened_network
        return job

    def with_settings(self, settings: Settings) -> Job:
        """The same files, open pictures and network with other settings, for one picture of a sheet."""
        job = replace(self, settings=settings, checkpoint=None, resume=False)
        if (name := getattr(settings, "network", None)) and name == self.settings.network:
            job.network = self.network
        return job


def begin(job: Job, technique: Technique | None = None) -> Work:
    """Begin the work of the job's technique, or of the one that it is derived from.

    Errors: those of the technique; those of opening what it takes.
    """
    work = (technique or job.technique).run(job)
    return work if isinstance(work, Work) else Work(work)


def last_frame(frames: Frames) -> Frame:
    """Run to the end, and give the last frame."""
    (last,) = deque(frames, maxlen=1)
    return last


def clean_up(job: Job) -> None:
    """Remove what work that has ended would be resumed from: its checkpoint, and the frames of its film."""
    if job.checkpoint is not None:
        job.checkpoint.unlink(missing_ok=True)
    if job.has_frames():
        job.frame_folder(resume=True).remove()


def recipe_of(job: Job, result: Result, settings: Settings | None = None) -> Recipe | None:
    """How a result was made, with the settings that the work ended with.

    None where a folder went in, or a picture that is in no file: it could not be made again.
    """
    technique = job.technique
    files = [file for each in job.files.values() for file in each if isinstance(file, Path)]
    if job._without_file or any(map(is_folder, files)):
        return None
    network = result.network or job.opened_network
    if network is not None:
        device = next(iter((*network.parameters(), *network.buffers()))).device
    else:
        device = choose_device(job.device if technique.on_device else "cpu")
    used = result.settings or settings or job.settings
    return make_recipe(
        technique.verb, result.output or technique.default_output, used, device=device,
        inputs=job.input_notes, network=network, shelf_items=job.items,
        network_name=None if result.network is not None else getattr(job.settings, "network", None),
    )  # fmt: skip


def save_result(result: Result, place: Path, recipe: Recipe | None, *, force: bool = False) -> None:
    """Save a picture, or a film, with how it was made; whole or not at all. Errors: as `save_picture`."""
    if result.film is None:
        options = print_options(recipe, place) if recipe is not None else {}
        save_picture(result.picture, place, recipe=recipe, force=force, **options)
    else:
        film = result.film
        save_film(
            film.frames, place, count=film.count, fps=film.fps, hold=film.hold, recipe=recipe, force=force
        )


def print_options(recipe: Recipe, place: Path) -> dict[str, Any]:
    """What `save_picture` is given for a picture that was made for a print, as far as its file can say it."""
    wanted = recipe.settings.get("print")
    suffix = place.suffix.lower()
    if not isinstance(wanted, str) or recipe.output.endswith("sheet") or suffix in (".webp", ".avif"):
        return {}
    return {"dpi": Print.read(wanted).dpi, "bits": 16 if suffix == ".png" else 8}


def job_from_recipe(recipe: Recipe, *, trust: bool = False) -> Job:
    """The job that makes the picture of a recipe, whose inputs were found, again.

    Errors: `UsageError` where this Lanterna has no such technique, a setting is wrong, or the network's
    name would run somebody's code and `trust` is not given.
    """
    technique = registry.find_technique(recipe.verb, recipe.output)
    if technique is None and recipe.verb not in registry.BUILT_IN:
        registry.techniques_for(recipe.verb)  # says why, where its package cannot be used
        raise UsageError(
            f"the technique {recipe.verb!r} is not installed here: install the package that brings it"
        )
    if technique is None:
        raise UsageError(
            f"this Lanterna cannot make the {recipe.output!r} picture of {recipe.verb!r} again: "
            f"it was made by Lanterna {printable(recipe.lanterna)}"
        )
    for name in networks_in(recipe):
        if names_a_server(name) and not trust:
            raise UsageError(
                f"the recipe's network {printable(name)} is on another machine: copy it here first"
            )
        if runs_code(name) and not trust:
            raise UsageError(
                f"the recipe's network {printable(name)} runs Python code from outside Lanterna: "
                "give --trust if you know that code and where this picture comes from"
            )
    inputs = {technique.role(each.name): each for each in technique.inputs}
    files: dict[str, list[File]] = {}
    for note in recipe.inputs:
        if note.role not in inputs:
            raise UsageError(f"the recipe is not one of {technique.name}: it has an input {note.role!r}")
        files.setdefault(inputs[note.role].name, []).append(Path(note.path))
    counts = {name: len(found) for name, found in files.items()}
    settings = technique.checked(None, recipe_settings(recipe, technique), counts)
    return Job(technique, settings, files, device=recipe.device, trust=trust)


def rerun_recipe(recipe: Recipe, *, trust: bool = False) -> tuple[Tensor, Recipe]:
    """The picture of a recipe whose inputs were found, and the recipe of this time.

    It is computed with as many threads as then, because the order of sums, and so their last bits, depends
    on it. Errors: those of `job_of`.
    """
    job = job_from_recipe(recipe, trust=trust)
    with _threads(recipe.threads):
        work = begin(job)
        results = list(work.results(last_frame(work.frames), job.settings))
        default = job.technique.default_output
        result = next((each for each in results if (each.output or default) == recipe.output), results[0])
        now = recipe_of(job, result)
    assert now is not None
    then_in, now_in = ([(note.role, note.sha256) for note in each.inputs] for each in (recipe, now))
    return result.picture, now.model_copy(update={"inputs": recipe.inputs}) if then_in == now_in else now


def recipe_settings(recipe: Recipe, technique: Technique) -> dict[str, Any]:
    """The settings in a recipe, as its technique reads them."""
    by = technique.output_setting
    return {**({by: recipe.output} if by else {}), **recipe.settings}


def networks_in(recipe: Recipe) -> list[str]:
    """The names of networks in a recipe."""
    names = [recipe.network.name if recipe.network else None, recipe.settings.get("network")]
    return [name for name in names if isinstance(name, str)]


def is_animation(source: Path) -> bool:
    """Whether a file has several pictures, one after another, or is a folder of frames."""
    if is_film(source):
        return True
    with opened(source) as image:
        return bool(getattr(image, "is_animated", False))


def _mark(file: File) -> object:
    """What tells one file, or folder of frames, from another."""
    if isinstance(file, bytes) or not is_folder(file):
        return note_input(file).sha256
    return sorted([each.name, each.stat().st_size] for each in file.iterdir() if each.is_file())


@contextmanager
def _threads(wanted: int) -> Iterator[None]:
    usual = torch.get_num_threads()
    if wanted <= 4 * (os.cpu_count() or 1):
        torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(usual)
