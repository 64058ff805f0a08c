"""Run a technique that makes a picture or a film: estimate it, show its progress, and save the results."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanterna.errors import UsageError
from lanterna.files import format_size, refuse_to_overwrite, refuse_to_replace
from lanterna.images import check_picture_path
from lanterna.images.films import check_film_path, default_film_path
from lanterna.images.pictures import check_print_path
from lanterna.surfaces.cli.common import (
    emit_json,
    fetch_missing,
    format_duration,
    progress,
    report_device,
    say,
    show,
)
from lanterna.surfaces.cli.digit_reader import open_or_train
from lanterna.surfaces.cli.preview import run_through
from lanterna.techniques import execute
from lanterna.techniques import technique as declared
from lanterna.techniques.checkpoint import check_replaceable
from lanterna.techniques.learned import LEARNING
from lanterna.techniques.rerun import cell_commands

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor

    from lanterna.images import Recipe
    from lanterna.surfaces.cli.arguments import Request
    from lanterna.techniques.execute import File, Job
    from lanterna.techniques.technique import Estimate, Result, Technique

_LONG_WORK = 15.0  # seconds; the estimate of longer work is printed


def run_picture(request: Request, options: Mapping[str, Any]) -> int | None:
    """Run the request, show its progress, save its results, and return the exit code."""
    technique, quiet, json = request.technique, options["quiet"], options["json"]
    overwrite = options["force"] or options.get("resume", False)
    paths = _OutputPaths(request, options)
    paths.check(overwrite=overwrite)
    checkpoint = _checkpoint(technique, options, paths)
    job = create_job(request, options, paths.film, checkpoint)
    estimate = _estimate(job, request.explicit)
    begun = time.perf_counter()
    resumed = job.resume and (checkpoint is None or checkpoint.exists())
    work = execute.begin(job)  # raises what is wrong before anything else is printed
    for line in estimate:
        say(line, quiet=quiet)
    if technique.resumes or job.opened_network:
        report_device(job.device, quiet=quiet)
    frame = run_through(
        work.frames, technique.title.lower(), technique.describe, shown=options["preview"], quiet=quiet
    )
    if frame is None:
        raise UsageError(f"the work in {checkpoint} is finished already: --force starts again")
    finished, learning = frame.step == frame.steps, frame.count.part == LEARNING
    if not (finished or learning or technique.saves_partial):
        raise KeyboardInterrupt  # an unfinished picture is of no use
    document: dict[str, Any] = {}
    results = list(work.results(frame, job.settings))
    recipe, report = None, work.report(frame)  # before anything is saved, as it may raise
    if not overwrite:
        paths.avoid_new_files()
    for result in results:
        recipe = execute.recipe_of(job, result)
        document |= paths.save(result, recipe, overwrite=overwrite, quiet=quiet)
    if finished:
        execute.clean_up(job)
    seconds = round(time.perf_counter() - begun, 2)
    numbers = {name: round(value, 5) for name, value in frame.numbers.items()}
    document = {
        **document, **numbers, "finished": finished, "seconds": seconds, "resumed": resumed,
        "settings": job.settings.model_dump(mode="json"), **report.document,
    }  # fmt: skip
    finished = document["finished"]
    commands = {} if recipe is None else cell_commands(recipe)
    if commands:
        document["sheet"] = [{"label": name, "command": command} for name, command in commands.items()]
    if json:
        emit_json(document)
    else:
        show(*report.lines, *commands.values()) if report.lines or commands else None
        since = " since it was resumed" if resumed else ""
        if results:
            say(f"{paths.describe(document)}, {seconds:.1f} s{since}{technique.describe(frame)}", quiet=quiet)
    for note in report.notes:
        say(note, quiet=quiet or json)
    if not finished:
        film = technique.output is declared.Output.FILM
        part, step, steps = frame.count
        unit = "frames" if film and not learning else f"steps of {part}" if part else "steps"
        hint = ", so rerun makes all steps"
        if checkpoint and part and not learning:
            hint = ": what it learned is saved, and rerun makes all steps"
        elif film or (checkpoint and checkpoint.exists()):
            hint = ": add --resume to the same command to continue"
        elif learning:
            hint = ": give the same command to continue"
        say(f"stopped after {step:,} of {steps:,} {unit}{hint}", quiet=quiet)
        return 130
    return None


def create_job(
    request: Request, options: Mapping[str, Any], film: Path | None = None, checkpoint: Path | None = None
) -> Job:
    """Create the job of a request. Errors: those of a bad picture, before anything is fetched."""
    quiet = options["quiet"]
    files: dict[str, list[File]] = {
        name: [sys.stdin.buffer.read() if path == Path("-") else path for path in paths]
        for name, paths in request.files.items()
    }
    job = execute.Job(
        request.technique, request.settings, files, device=options.get("device", "auto"),
        checkpoint=checkpoint, resume=options.get("resume", False), force=options.get("force", False),
        film=film, options=request.technique.run_options(options.get("options")),
        notify=lambda text: say(text, quiet=quiet), fetch_item=lambda item: fetch_missing(item, quiet=quiet),
        open_reader=partial(open_or_train, quiet=quiet),
    )  # fmt: skip
    for each in request.technique.inputs[1:]:
        job.pictures(each.name)
    return job


def _checkpoint(technique: Technique, options: Mapping[str, Any], paths: _OutputPaths) -> Path | None:
    """Return the checkpoint's path. Errors: `UsageError` if unfinished work would be lost."""
    force, resume = options["force"], options.get("resume", False)
    if technique.output is declared.Output.FILM:
        if options.get("checkpoint"):
            raise UsageError("a film saves its own frames: leave --checkpoint out")
        return None
    path: Path | None = options.get("checkpoint")
    if path is not None and not technique.resumes:
        raise UsageError(f"{technique.title.lower()} is too quick to need one: leave --checkpoint out")
    if technique.resumes == "always" and path is None:
        path = paths.output.with_suffix(".unfinished")
    if resume and not technique.resumes:
        raise UsageError("--resume is for films and for work with a checkpoint: leave it out")
    if resume and path is None:
        raise UsageError("--resume needs --checkpoint PATH, the file that the stopped work was saved to")
    if path is not None and path.resolve() == paths.output.resolve():
        raise UsageError(f"--checkpoint and -o name the same file, {path}: choose two")
    if path is not None:
        check_replaceable(path)
    if path is not None and path.exists() and not (resume or force):
        raise UsageError(f"{path} has unfinished work: --resume continues it, --force starts again")
    return path


class _OutputPaths:
    """The files that a command writes."""

    def __init__(self, request: Request, options: Mapping[str, Any]) -> None:
        self.technique = technique = request.technique
        self.settings = request.settings
        self.film: Path | None = None
        if technique.film_flag:
            self.film = options.get(technique.film_flag) or default_film_path(technique.verb)
        if technique.output is declared.Output.FILM and options.get("output"):
            use = f"--{technique.film_flag} {options['output'].with_suffix('.mp4')}"
            raise UsageError(f"the result is a film, not a picture: name it with {use}, and leave -o out")
        name = technique.file
        if technique.output_setting:
            name = f"{technique.verb}-{getattr(request.settings, technique.output_setting)}"
        self.output: Path = options.get("output") or Path(f"{name}.png")
        self.sidecar = self.output.with_suffix(technique.sidecar[1]) if technique.sidecar else None
        self.has_picture = technique.output is not declared.Output.FILM and self.output != self.sidecar
        self.inputs = [*chain.from_iterable(request.files.values())]

    def check(self, *, overwrite: bool) -> None:
        """Raise UsageError if one of the files cannot be written, or is one of the inputs."""
        if self.film:
            check_film_path(self.film, force=overwrite)
            refuse_to_replace(self.film, self.inputs)
        if self.has_picture:
            check_picture_path(self.output, force=overwrite)
            refuse_to_replace(self.output, self.inputs)
        if self.sidecar:
            refuse_to_overwrite(self.sidecar, force=overwrite)
            refuse_to_replace(self.sidecar, self.inputs)
        if getattr(self.settings, "print", None) and self.technique.output is declared.Output.PICTURE:
            check_print_path(self.output)

    def avoid_new_files(self) -> None:
        """Choose other names if there are files of these names since `check`, so that no work is lost."""
        ours = [path for path in (self.film, self.has_picture and self.output, self.sidecar) if path]

        def numbered(path: Path, number: int) -> Path:
            return path.with_stem(f"{path.stem}-{number}") if number > 1 else path

        free = next(n for n in count(1) if not any(os.path.lexists(numbered(path, n)) for path in ours))
        if free > 1:
            taken = next(path for path in ours if os.path.lexists(path))
            new = " and ".join(str(numbered(path, free)) for path in ours)
            say(f"{taken} exists by now: saving as {new}")
        self.film = self.film and numbered(self.film, free)
        self.sidecar = self.sidecar and numbered(self.sidecar, free)
        self.output = numbered(self.output, free)

    def save(self, result: Result, recipe: Recipe | None, *, overwrite: bool, quiet: bool) -> dict[str, Any]:
        """Save one result, and return its entries in the JSON document."""
        document: dict[str, Any] = {}
        if result.film is not None:
            assert self.film is not None
            with progress("saving", quiet=quiet) as update:

                def counted(frames: Iterable[Tensor], count: int) -> Iterator[Tensor]:
                    for number, picture in enumerate(frames, start=1):
                        update(number, count)
                        yield picture

                film = replace(result.film, frames=counted(result.film.frames, result.film.count))
                execute.save_result(replace(result, film=film), self.film, recipe, force=overwrite)
            return {"film": str(self.film), "frames": result.film.count}
        if self.has_picture:
            execute.save_result(result, self.output, recipe, force=overwrite)
            document["picture"] = str(self.output)
        if result.sidecar is not None and self.sidecar is not None and self.technique.sidecar is not None:
            result.sidecar[1](self.sidecar)
            document |= {self.technique.sidecar[0]: str(self.sidecar), "bytes": self.sidecar.stat().st_size}
        return {**document, "width": result.picture.shape[2], "height": result.picture.shape[1]}

    def describe(self, document: Mapping[str, Any]) -> str:
        """Describe the files that were written."""
        names = [self.technique.sidecar[0]] if self.technique.sidecar else []
        written = ", ".join(document[name] for name in ("picture", *names, "film") if name in document)
        if "frames" in document:
            return f"{written}: {document['frames']} frames"
        size = f", {format_size(document['bytes'])}" if "bytes" in document else ""
        if "picture" not in document:
            return f"{written}{size}"
        return f"{written}: {document['width']:,} × {document['height']:,} pixels{size}"


def _estimate(job: Job, explicit: Mapping[str, Any]) -> list[str]:
    """Describe the estimated time of long work, and reduce its tiles if memory would not suffice."""
    estimate: Estimate | None = job.technique.estimate(job)
    if estimate is None:
        return []
    lines = []
    if estimate.fallback and not estimate.fallback.keys() & explicit.keys():
        job.settings = job.settings.changed(estimate.fallback)
        side = next(iter(estimate.fallback.values()))
        lines.append(f"using tiles of {side} pixels, to fit in memory")
    if estimate.seconds > _LONG_WORK:
        lines.append(f"{format_duration(estimate.seconds)}, {format_size(estimate.memory)} of memory")
    return lines
