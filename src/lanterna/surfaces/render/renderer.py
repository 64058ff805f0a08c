"""Render tasks in a worker, with the networks cached between them."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lanterna.devices import choose_device
from lanterna.errors import LanternaError, display_names, explain_blamed_networks, one_line
from lanterna.files import working_folder
from lanterna.images.drawing import as_png
from lanterna.images.film_reading import FilmReader
from lanterna.images.pictures import open_picture, save_picture
from lanterna.images.recipe import Recipe, make_recipe
from lanterna.networks import cache_networks, open_network
from lanterna.surfaces.render.task import Failed, Rendered
from lanterna.techniques.execute import Job, begin, last_frame, rerun_recipe
from lanterna.techniques.registry import techniques_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanterna.surfaces.render.task import InputFile, RenderConfig, Task
    from lanterna.techniques.execute import File


class Renderer:
    """Renders tasks of one configuration, one after another, with their input files in its own folder."""

    def __init__(self, config: RenderConfig) -> None:
        self.config = config
        self._stack = ExitStack()
        self._folder = self._stack.enter_context(working_folder("lanterna-work-"))
        self._stack.enter_context(cache_networks())
        torch.set_num_threads(config.threads)
        self._names: dict[Path, str] = {}
        self._others = [self._write(file) for file in config.others]

    def __call__(self, task: Task) -> Rendered | Failed:
        """Render a task. Errors are returned, never raised."""
        begun = time.perf_counter()
        try:
            with display_names(self._names), explain_blamed_networks():
                files = self._render_chunk(task) if self.config.chunks else [self._render_picture(task)]
        except LanternaError as error:
            return Failed(task.number, one_line(str(error)), final=True)
        except MemoryError:
            return Failed(task.number, "this worker has not enough memory for it")
        except Exception as error:
            return Failed(task.number, one_line(f"{type(error).__name__}: {error}"))
        return Rendered(task.number, files, time.perf_counter() - begun)

    def close(self) -> None:
        """Release the networks, and remove the folder."""
        self._stack.close()

    def _write(self, file: InputFile) -> Path:
        """Write an input file to the folder, once, named by its sha256."""
        suffix = Path(file.note.path.partition("#")[0]).suffix
        path = self._folder / f"{file.note.sha256}{suffix if len(suffix) < 10 else ''}"
        if not path.exists():
            path.write_bytes(file.data)
        self._names[path] = file.note.path
        return path

    def _render_picture(self, task: Task) -> bytes:
        """Return the bytes of a picture with its recipe, or of a JSON document."""
        config = self.config
        inputs = [*task.sources, *config.others]
        paths = [*map(self._write, task.sources), *self._others]
        try:
            if config.suffix == ".json":
                return _report(self._job(task, inputs, paths))
            notes = [each.note for each in inputs]
            local = [note.model_copy(update={"path": str(p)}) for note, p in zip(notes, paths, strict=True)]
            requested = make_recipe(config.verb, config.output, task.settings, inputs=local)
            requested = requested.model_copy(
                update={"device": choose_device(config.device).type, "threads": config.threads}
            )
            picture, used = rerun_recipe(requested, trust=True)
            recipe: Recipe = used.model_copy(update={"inputs": tuple(notes)})
            path = self._folder / f"result{config.suffix}"
            save_picture(picture, path, recipe=recipe, force=True)
            return path.read_bytes()
        finally:
            for path in paths[: len(task.sources)]:
                path.unlink(missing_ok=True)

    def _render_chunk(self, task: Task) -> list[bytes]:
        """Return the frames of a chunk, each carried over from the one before, as PNG without a recipe."""
        job = self._job(task, self.config.others, self._others)
        pictures = [each.data for each in task.sources]
        job.input_film = FilmReader(
            self._folder, 0, 0, 0.0, len(pictures), lambda _: map(open_picture, pictures)
        )
        assert job.technique.film_frames is not None
        frames = job.technique.film_frames(job, 0)
        return [as_png(frame.picture) for frame in frames if frame.picture is not None]

    def _job(self, task: Task, inputs: Sequence[InputFile], paths: Sequence[Path]) -> Job:
        """Create the job of a task from local files. It trains no network."""
        output = self.config.output
        technique = next(
            each for each in techniques_for(self.config.verb) if output in (*each.outputs, each.name)
        )
        names = {technique.role(each.name): each.name for each in technique.inputs}
        files: dict[str, list[File]] = {}
        for each, path in zip(inputs, paths, strict=True):
            files.setdefault(names[each.note.role], []).append(path)
        return Job(
            technique, technique.settings.checked(task.settings), files, device=self.config.device,
            names={path: each.note.path for each, path in zip(inputs, paths, strict=True)},
            open_reader=open_network,
        )  # fmt: skip


def _report(job: Job) -> bytes:
    """Run a technique whose output is words, and return its JSON document."""
    work = begin(job)
    document = work.report(last_frame(work.frames)).document
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()
