"""Run a technique: open its inputs, fetch missing data and weights, run it, make a recipe, save the result.

Every surface runs techniques through this module: the command line, the studio's worker, `render`, `rerun`,
notebooks and the tour.
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
from lanterna.files import is_network_path
from lanterna.images import make_recipe, make_recipe_input, open_picture, save_picture
from lanterna.images.decoding import is_folder, open_image, source_name
from lanterna.images.film_reading import is_film, open_film
from lanterna.images.films import save_film
from lanterna.images.prints import Print
from lanterna.images.recipe import printable
from lanterna.networks import note_on, open_network, shelf_items
from lanterna.techniques import registry
from lanterna.techniques.frame_folder import FrameFolder
from lanterna.techniques.technique import Settings, Work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from lanterna.images import Recipe, RecipeInput
    from lanterna.images.film_reading import FilmReader
    from lanterna.networks import Network
    from lanterna.techniques.technique import Frame, Frames, Result, Technique

File = Path | bytes
"""The path of a file, or the bytes of one that was read from standard input."""

Fetch = Callable[[str], None]
"""Fetches one item to the shelf, showing progress if the surface can."""


def fetch_quietly(item: str) -> None:
    """Fetch one item to the shelf without showing progress. Errors: `MissingError` if it is unavailable."""
    shelf.need(item)


@dataclass
class Job:
    """A technique with the settings and files to run it with. Inputs and networks are opened on first use."""

    technique: Technique
    settings: Any
    files: Mapping[str, Sequence[File]] = field(default_factory=dict)
    """The files of each input, by its name."""
    device: str = "auto"
    checkpoint: Path | None = None
    """Where the state of long work is saved, every `checkpoint_every` seconds, and read from to `resume`."""
    checkpoint_every: float | None = None
    resume: bool = False
    force: bool = False
    film: Path | None = None
    """The path of a film; its frames are collected in a folder next to it."""
    title: str = ""
    """The name of the network to train, or its folder."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The values of `Technique.options`."""
    names: Mapping[Path, str] = field(default_factory=dict)
    """The names of files in recipes and messages, if they are not their paths."""
    fetch_item: Fetch = fetch_quietly
    progress: Callable[[str, int, int], None] = lambda *_: None
    """Called before the first frame with what is being done, how much is done, and the total; may raise to
    end the job."""
    notify: Callable[[str], None] = lambda _: None
    """Prints a line for the person."""
    open_reader: Callable[..., Network] | None = None
    """Opens a network that reads digits; `open_or_train` if None."""
    trust: bool = True
    """Whether the name of a network may run code from outside Lanterna."""
    open_pictures: Mapping[str, Sequence[Tensor]] = field(default_factory=dict)
    """Pictures that are given as tensors instead of files, by input."""
    extra_steps: Container[int] = ()
    """Steps after which training yields a frame, in addition to its own choice."""
    items: list[str] = field(default_factory=list)
    """The items of the shelf that were used, for the recipe."""
    _opened: dict[tuple[str, int | None], list[Tensor]] = field(default_factory=dict)

    def source(self, name: str) -> File:
        """Return the first file of a required input. Errors: as `sources`."""
        return self.sources(name)[0]

    def sources(self, name: str) -> Sequence[File]:
        """Return the files of an input. Errors: `UsageError` if it was given as open pictures."""
        if name in self._without_file:
            raise UsageError(
                f"{self.technique.name} takes {name} as a file, got an open picture: save it first"
            )
        return self.files.get(name, ())

    def count(self, name: str) -> int:
        """Count the files or open pictures of an input."""
        return len(self.open_pictures.get(name) or self.files.get(name, ()))

    @property
    def _without_file(self) -> set[str]:
        """The inputs that were given as open pictures only."""
        return set(self.open_pictures) - set(self.files)

    @property
    def checkpointing(self) -> dict[str, Any]:
        """The keyword arguments of algorithms that save and resume their state."""
        return {
            "checkpoint": self.checkpoint, "checkpoint_every": self.checkpoint_every, "resume": self.resume,
        }  # fmt: skip

    def display_name(self, name: str, number: int = 0) -> str:
        """Return the name of an input's file in messages."""
        if name in self._without_file:
            return "the open picture"
        file = self.sources(name)[number]
        return "standard input" if isinstance(file, bytes) else self._name_of(file) or source_name(file)

    def _name_of(self, file: File) -> str | None:
        return None if isinstance(file, bytes) else self.names.get(file)

    def pictures(self, name: str, *, longest: int | None = None) -> list[Tensor]:
        """Open the pictures of an input, `(3, H, W)` in [0, 1], `(H, W)` for masks; no side over `longest`.

        Errors: `UsageError` if a file cannot be read as a picture.
        """
        if name in self.open_pictures:
            return list(self.open_pictures[name])

        def read() -> list[Tensor]:
            grey = any(each.name == name and each.grey for each in self.technique.inputs)
            pictures = [open_picture(file, longest=longest) for file in self.sources(name)]
            return [each.mean(0) for each in pictures] if grey else pictures

        return self.opened_once(name, read, longest)

    def opened_once(
        self, name: str, read: Callable[[], list[Tensor]], longest: int | None = None
    ) -> list[Tensor]:
        """Return what `read` makes of the files of an input, at this size; it is called once."""
        if (name, longest) not in self._opened:
            self._opened[name, longest] = read()
        return self._opened[name, longest]

    def picture(self, name: str) -> Tensor | None:
        """Open the first picture of an input; None if there is none."""
        return next(iter(self.pictures(name)), None)

    @cached_property
    def input_film(self) -> FilmReader | None:
        """The first input as a film, if it is an animation, a video or a folder of frames; else None."""
        name = self.technique.inputs[0].name
        source = None if name in self._without_file else self.source(name)
        return open_film(source) if isinstance(source, Path) and is_animation(source) else None

    def fetch(self, *items: str) -> None:
        """Fetch the items that are not on the shelf yet, and record all of them for the recipe."""
        for item in items:
            self.fetch_item(item)
            if item not in self.items:
                self.items.append(item)

    @cached_property
    def network(self) -> Network:
        """The network that the settings name; its weights are fetched if necessary."""
        return self.open_network(self.settings.network)

    def open_network(self, name: str) -> Network:
        """Open a network by its name, fetching its weights if necessary."""
        self.fetch(*shelf_items(name))
        seed = getattr(self.settings, "seed", 0)
        network = open_network(name, device=self.device, trust=self.trust, seed=seed)
        if note := note_on(name, network):
            self.notify(note)
        return network

    @cached_property
    def frames(self) -> FrameFolder:
        """The frames of the output film that exist already. Errors: as `FrameFolder`."""
        return self.frame_folder(resume=self.resume)

    def frame_folder(self, *, resume: bool) -> FrameFolder:
        """Open the folder for the frames of the output film. Errors: as `FrameFolder`."""
        assert self.film is not None
        made_from = {
            "settings": self.settings.model_dump(mode="json"),
            "inputs": {
                name: [_fingerprint(file) for file in files] for name, files in self.files.items() if files
            },
        }
        return FrameFolder(self.film, self.technique.verb, made_from, resume=resume, force=self.force)

    def has_frames(self) -> bool:
        """Return whether frames of the output film exist already."""
        return self.film is not None and self.film.with_name(f"{self.film.name}.frames").exists()

    @cached_property
    def input_notes(self) -> list[RecipeInput]:
        """The recipe's entries for all input files; folders of frames have none."""
        if not self.technique.records_inputs:
            return []
        return [
            make_recipe_input(file, role=self.technique.role(each.name), name=self._name_of(file))
            for each in self.technique.inputs
            for file in self.files.get(each.name, ())
            if isinstance(file, bytes) or not is_folder(file)
        ]

    @property
    def opened_network(self) -> Network | None:
        """The network, or None if it has not been opened yet."""
        return self.__dict__.get("network")

    def for_file(self, file: File) -> Job:
        """Return the same job for one file of the first input, sharing the network if it is open."""
        first = self.technique.inputs[0].name
        opened = {key: pictures for key, pictures in self._opened.items() if key[0] != first}
        job = replace(self, files={**self.files, first: [file]}, _opened=opened)
        if self.opened_network is not None:
            job.network = self.opened_network
        return job

    def with_settings(self, settings: Settings) -> Job:
        """Return the same job with other settings, for one cell of a sheet; sharing what is open."""
        job = replace(self, settings=settings, checkpoint=None, resume=False)
        if (name := getattr(settings, "network", None)) and name == self.settings.network:
            job.network = self.network
        return job


def begin(job: Job, technique: Technique | None = None) -> Work:
    """Start a job, or run another technique with its settings and files.

    Errors: those of the technique, and of opening its inputs.
    """
    work = (technique or job.technique).run(job)
    return work if isinstance(work, Work) else Work(work)


def last_frame(frames: Frames) -> Frame:
    """Run to the end and return the last frame."""
    (last,) = deque(frames, maxlen=1)
    return last


def clean_up(job: Job) -> None:
    """Remove the checkpoint of a finished job, and the frames of its film."""
    if job.checkpoint is not None:
        job.checkpoint.unlink(missing_ok=True)
    if job.has_frames():
        job.frame_folder(resume=True).remove()


def recipe_of(job: Job, result: Result, settings: Settings | None = None) -> Recipe | None:
    """Return the recipe of a result, with the settings that the work ended with.

    None if an input is a folder, or a picture that is not in a file: it could not be made again.
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
    """Save a picture or film together with its recipe, atomically. Errors: as `save_picture`."""
    if result.film is None:
        options = print_options(recipe, place) if recipe is not None else {}
        save_picture(result.picture, place, recipe=recipe, force=force, **options)
    else:
        film = result.film
        save_film(
            film.frames, place, count=film.count, fps=film.fps, hold=film.hold, recipe=recipe, force=force
        )


def print_options(recipe: Recipe, place: Path) -> dict[str, Any]:
    """Return the resolution and bit depth with which a picture for print is saved, if its format has them."""
    size = recipe.settings.get("print")
    suffix = place.suffix.lower()
    if not isinstance(size, str) or recipe.output.endswith("sheet") or suffix in (".webp", ".avif"):
        return {}
    return {"dpi": Print.read(size).dpi, "bits": 16 if suffix == ".png" else 8}


def job_from_recipe(recipe: Recipe, *, trust: bool = False) -> Job:
    """Return the job that makes the picture of a recipe again, after `locate_inputs`.

    Errors: `UsageError` if this version of Lanterna has no such technique, a setting is invalid, or the
    network's name would run code from outside Lanterna and `trust` is false.
    """
    technique = registry.find_technique(recipe.verb, recipe.output)
    if technique is None and recipe.verb not in registry.BUILT_IN:
        registry.techniques_for(recipe.verb)  # raises if its package is installed but unusable
        raise UsageError(
            f"the technique {recipe.verb!r} is not installed here: install the package that brings it"
        )
    if technique is None:
        raise UsageError(
            f"this Lanterna cannot make the {recipe.output!r} picture of {recipe.verb!r} again: "
            f"it was made by Lanterna {printable(recipe.lanterna)}"
        )
    for name in networks_in(recipe):
        if is_network_path(name) and not trust:
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
    counts = {name: len(paths) for name, paths in files.items()}
    settings = technique.checked(None, recipe_settings(recipe, technique), counts)
    return Job(technique, settings, files, device=recipe.device, trust=trust)


def rerun_recipe(recipe: Recipe, *, trust: bool = False) -> tuple[Tensor, Recipe]:
    """Make the picture of a recipe again, after `locate_inputs`; return it with its new recipe.

    As many threads are used as in the recipe, because the order of summation, and so the last bits of sums,
    depends on it. Errors: those of `job_from_recipe`.
    """
    job = job_from_recipe(recipe, trust=trust)
    with _threads(recipe.threads):
        work = begin(job)
        results = list(work.results(last_frame(work.frames), job.settings))
        default = job.technique.default_output
        result = next((each for each in results if (each.output or default) == recipe.output), results[0])
        now = recipe_of(job, result)
    assert now is not None
    before, after = ([(note.role, note.sha256) for note in each.inputs] for each in (recipe, now))
    return result.picture, now.model_copy(update={"inputs": recipe.inputs}) if before == after else now


def recipe_settings(recipe: Recipe, technique: Technique) -> dict[str, Any]:
    """Return the settings in a recipe, including the one that chooses the output."""
    chooser = technique.output_setting
    return {**({chooser: recipe.output} if chooser else {}), **recipe.settings}


def networks_in(recipe: Recipe) -> list[str]:
    """Return the names of the networks in a recipe."""
    names = [recipe.network.name if recipe.network else None, recipe.settings.get("network")]
    return [name for name in names if isinstance(name, str)]


def is_animation(source: Path) -> bool:
    """Return whether a file is a video or an animation, or a folder of frames."""
    if is_film(source):
        return True
    with open_image(source) as image:
        return bool(getattr(image, "is_animated", False))


def _fingerprint(file: File) -> object:
    """Return a value that distinguishes a file, or folder of frames, from others."""
    if isinstance(file, bytes) or not is_folder(file):
        return make_recipe_input(file).sha256
    return sorted([each.name, each.stat().st_size] for each in file.iterdir() if each.is_file())


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    if count <= 4 * (os.cpu_count() or 1):  # a stranger's recipe may name any number
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
