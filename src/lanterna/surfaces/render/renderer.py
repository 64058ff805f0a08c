"""Making one task, in whatever process and on whatever machine: the network is opened once, then kept."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lanterna.devices import choose_device
from lanterna.errors import LanternaError, called, one_line
from lanterna.files import working_folder
from lanterna.images.drawing import as_png
from lanterna.images.film_reading import Film
from lanterna.images.pictures import open_picture, save_picture
from lanterna.images.recipe import Recipe, make_recipe
from lanterna.networks import cache_networks, open_network
from lanterna.surfaces.render.task import Failed, Rendered
from lanterna.techniques.execute import Job, begin, last_of, make_again
from lanterna.techniques.registry import of_verb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanterna.surfaces.render.task import InputFile, RenderConfig, Task
    from lanterna.techniques.execute import File


class Renderer:
    """Makes tasks of one kit, one after another, in a folder of its own for the files they are made from."""

    def __init__(self, config: RenderConfig) -> None:
        self.config = config
        self._stack = ExitStack()
        self._folder = self._stack.enter_context(working_folder("lanterna-work-"))
        self._stack.enter_context(cache_networks())
        torch.set_num_threads(config.threads)
        self._names: dict[Path, str] = {}
        self._others = [self._placed(given) for given in config.others]

    def __call__(self, task: Task) -> Rendered | Failed:
        """Make it. Whatever goes wrong is told, never raised."""
        begun = time.perf_counter()
        try:
            with called(self._names):
                files = self._chunk(task) if self.config.chunks else [self._one(task)]
        except LanternaError as error:
            return Failed(task.number, one_line(str(error)), final=True)
        except MemoryError:
            return Failed(task.number, "there is not enough memory for it here")
        except Exception as error:
            return Failed(task.number, one_line(f"{type(error).__name__}: {error}"))
        return Rendered(task.number, files, time.perf_counter() - begun)

    def close(self) -> None:
        """Let go of the networks and the folder."""
        self._stack.close()

    def _placed(self, given: InputFile) -> Path:
        """The input as a file here, whose name is its sha256: the same is written once."""
        suffix = Path(given.note.path.partition("#")[0]).suffix
        place = self._folder / f"{given.note.sha256}{suffix if len(suffix) < 10 else ''}"
        if not place.exists():
            place.write_bytes(given.data)
        self._names[place] = given.note.path
        return place

    def _one(self, task: Task) -> bytes:
        config = self.config
        given = [*task.sources, *config.others]
        files = [*map(self._placed, task.sources), *self._others]
        try:
            if config.suffix == ".json":
                return _words(self._job(task, given, files))
            notes = [each.note for each in given]
            here = [note.model_copy(update={"path": str(f)}) for note, f in zip(notes, files, strict=True)]
            asked = make_recipe(config.verb, config.output, task.settings, inputs=here)
            asked = asked.model_copy(
                update={"device": choose_device(config.device).type, "threads": config.threads}
            )
            picture, now = make_again(asked, trust=True)
            recipe: Recipe = now.model_copy(update={"inputs": tuple(notes)})
            place = self._folder / f"made{config.suffix}"
            save_picture(picture, place, recipe=recipe, force=True)
            return place.read_bytes()
        finally:
            for file in files[: len(task.sources)]:
                file.unlink(missing_ok=True)

    def _chunk(self, task: Task) -> list[bytes]:
        """The frames of one piece of a film, each going on from the one before, as files without a recipe."""
        job = self._job(task, self.config.others, self._others)
        pictures = [each.data for each in task.sources]
        job.moving = Film(self._folder, 0, 0, 0.0, len(pictures), lambda _: map(open_picture, pictures))
        assert job.technique.film_frames is not None
        frames = job.technique.film_frames(job, 0)
        return [as_png(frame.picture) for frame in frames if frame.picture is not None]

    def _job(self, task: Task, given: Sequence[InputFile], files: Sequence[Path]) -> Job:
        """The job of a task, about inputs that are files here, with nothing trained for it."""
        output = self.config.output
        technique = next(each for each in of_verb(self.config.verb) if output in (*each.outputs, each.name))
        names = {technique.role(each.name): each.name for each in technique.inputs}
        found: dict[str, list[File]] = {}
        for each, file in zip(given, files, strict=True):
            found.setdefault(names[each.note.role], []).append(file)
        return Job(
            technique, technique.settings.checked(task.settings), found, device=self.config.device,
            names={file: each.note.path for each, file in zip(given, files, strict=True)},
            open_reader=open_network,
        )  # fmt: skip


def _words(job: Job) -> bytes:
    """What a technique of words says, as a JSON document."""
    work = begin(job)
    document = work.report(last_of(work.frames)).document
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()
