"""Run what makes a picture or a film from the command line: estimated, watched as it is made, and saved."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanterna.errors import UsageError
from lanterna.files import human_size, refuse_to_overwrite
from lanterna.images import check_place
from lanterna.images.films import check_film_place, usual_film
from lanterna.images.pictures import check_print_place
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
from lanterna.techniques.rerun import commands_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor

    from lanterna.images import Recipe
    from lanterna.surfaces.cli.arguments import Request
    from lanterna.techniques.execute import File, Job
    from lanterna.techniques.technique import Estimate, Result, Technique

_LONG_WORK = 15.0  # seconds; longer work is announced


def run_picture(what: Request, options: Mapping[str, Any]) -> int | None:
    """Run what is asked for, show how far it is, and save what it made."""
    technique, quiet, json = what.technique, options["quiet"], options["json"]
    overwrite = options["force"] or options.get("resume", False)
    places = _OutputPaths(what, options)
    places.check(overwrite=overwrite)
    checkpoint = _checkpoint(technique, options, places)
    job = create_job(what, options, places.film, checkpoint)
    ahead = _estimate(job, what.explicit)
    begun = time.perf_counter()
    work = execute.begin(job)  # what is wrong is said here, alone
    for line in ahead:
        say(line, quiet=quiet)
    if technique.resumes or job.opened_network:
        report_device(job.device, quiet=quiet)
    frame = run_through(
        work.frames, technique.title.lower(), technique.describe, shown=options["preview"], quiet=quiet
    )
    if frame is None:
        raise UsageError(f"the work in {checkpoint} has nothing left to do: --force starts anew")
    finished = frame.step == frame.steps
    if not finished and not technique.partial:
        raise KeyboardInterrupt  # half of it would be no picture
    document: dict[str, Any] = {}
    results = list(work.results(frame, job.settings))
    report = work.report(frame)  # before anything is saved, as it may raise
    for result in results:
        recipe = execute.recipe_of(job, result)
        document |= places.save(result, recipe, overwrite=overwrite, quiet=quiet)
    if finished:
        execute.finish(job)
    seconds = round(time.perf_counter() - begun, 2)
    numbers = {name: round(value, 5) for name, value in frame.numbers.items()}
    document = {
        **document, **numbers, "finished": finished, "seconds": seconds,
        "settings": job.settings.model_dump(mode="json"), **report.document,
    }  # fmt: skip
    finished = document["finished"]
    large = {} if recipe is None else commands_of(recipe)
    if large:
        document["sheet"] = [{"label": name, "command": command} for name, command in large.items()]
    if json:
        emit_json(document)
    else:
        show(*report.lines, *large.values()) if report.lines or large else None
        say(f"{places.said(document)}, {seconds:.1f} s{technique.describe(frame)}", quiet=quiet)
    for note in report.notes:
        say(note, quiet=quiet or json)
    if not finished:
        where = "frames" if places.film and technique.output is declared.Output.FILM else "steps"
        again = checkpoint or technique.output is declared.Output.FILM
        on = ": --resume with the same words goes on" if again else "; its recipe makes all of them"
        say(f"stopped after {frame.step} of {frame.steps} {where}{on}", quiet=quiet)
        return 130
    return None


def create_job(
    what: Request, options: Mapping[str, Any], film: Path | None = None, checkpoint: Path | None = None
) -> Job:
    """The job that is asked for. What is wrong with a picture is said before anything is fetched."""
    quiet = options["quiet"]
    files: dict[str, list[File]] = {
        name: [sys.stdin.buffer.read() if path == Path("-") else path for path in paths]
        for name, paths in what.files.items()
    }
    job = execute.Job(
        what.technique, what.settings, files, device=options.get("device", "auto"), checkpoint=checkpoint,
        resume=options.get("resume", False), force=options.get("force", False), film=film,
        options=what.technique.run_with(options.get("options")),
        say=lambda text: say(text, quiet=quiet), fetch_item=lambda item: fetch_missing(item, quiet=quiet),
        open_reader=partial(open_or_train, quiet=quiet),
    )  # fmt: skip
    for each in what.technique.inputs[1:]:
        job.pictures(each.name)
    return job


def _checkpoint(technique: Technique, options: Mapping[str, Any], places: _OutputPaths) -> Path | None:
    """Where the state of the work is saved. Errors: `UsageError` where unfinished work would be lost."""
    force, resume = options["force"], options.get("resume", False)
    if technique.output is declared.Output.FILM:
        if options.get("checkpoint"):
            raise UsageError("a film saves its own frames: leave --checkpoint out")
        return None
    place: Path | None = options.get("checkpoint")
    if place is not None and not technique.resumes:
        raise UsageError(f"{technique.title.lower()} is quickly made anew: leave --checkpoint out")
    if technique.resumes == "always" and place is None:
        place = places.output.with_suffix(".unfinished")
    if resume and not technique.resumes:
        raise UsageError("--resume is for films and for work that saves its state: leave it out")
    if resume and place is None:
        raise UsageError("--resume wants --checkpoint PATH, where the work was saved when it was stopped")
    if place is not None and place.exists() and not (resume or force):
        raise UsageError(f"{place} has unfinished work: --resume goes on, --force starts anew")
    return place


class _OutputPaths:
    """Where a command's pictures go."""

    def __init__(self, what: Request, options: Mapping[str, Any]) -> None:
        self.technique = technique = what.technique
        self.settings = what.settings
        self.film: Path | None = None
        if technique.film_flag:
            self.film = options.get(technique.film_flag) or usual_film(technique.verb)
        if technique.output is declared.Output.FILM and options.get("output"):
            raise UsageError(f"a film goes where --{technique.film_flag} says: leave -o out")
        made = (
            f"{technique.verb}-{getattr(what.settings, technique.output_setting)}"
            if technique.output_setting
            else ""
        )
        self.output: Path = options.get("output") or Path(f"{made or technique.file}.png")
        self.beside = self.output.with_suffix(technique.beside[1]) if technique.beside else None
        self.has_picture = technique.output is not declared.Output.FILM and self.output != self.beside

    def check(self, *, overwrite: bool) -> None:
        """Refuse what cannot be written, before the work begins. Errors: `UsageError`."""
        if self.film:
            check_film_place(self.film, force=overwrite)
        if self.has_picture:
            check_place(self.output, force=overwrite)
        if self.beside:
            refuse_to_overwrite(self.beside, force=overwrite)
        if getattr(self.settings, "print", None) and self.technique.output is declared.Output.PICTURE:
            check_print_place(self.output)

    def save(self, result: Result, recipe: Recipe | None, *, overwrite: bool, quiet: bool) -> dict[str, Any]:
        """Save one result, and say where in the document of `--json`."""
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
        if result.also is not None and self.beside is not None and self.technique.beside is not None:
            result.also[1](self.beside)
            document |= {self.technique.beside[0]: str(self.beside), "bytes": self.beside.stat().st_size}
        return {**document, "width": result.picture.shape[2], "height": result.picture.shape[1]}

    def said(self, document: Mapping[str, Any]) -> str:
        """What was written, in words."""
        names = [self.technique.beside[0]] if self.technique.beside else []
        written = ", ".join(document[name] for name in ("picture", *names, "film") if name in document)
        if "frames" in document:
            return f"{written}: {document['frames']} frames"
        size = f", {human_size(document['bytes'])}" if "bytes" in document else ""
        return f"{written}: {document['width']:,} × {document['height']:,} pixels{size}"


def _estimate(job: Job, given: Mapping[str, Any]) -> list[str]:
    """How long it will take where that is long, in words; settings are changed to keep to the memory."""
    estimate: Estimate | None = job.technique.estimate(job)
    if estimate is None:
        return []
    said = []
    if estimate.narrower and not estimate.narrower.keys() & given.keys():
        job.settings = job.settings.changed(estimate.narrower)
        side = next(iter(estimate.narrower.values()))
        said.append(f"to keep to the memory, in tiles of {side} pixels")
    if estimate.seconds > _LONG_WORK:
        said.append(f"{format_duration(estimate.seconds)}, {human_size(estimate.memory)} of memory")
    return said
