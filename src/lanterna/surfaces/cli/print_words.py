"""Running a technique of words: for each picture a document, or lines, and what is drawn of it."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanterna.errors import LanternaError, UsageError
from lanterna.images import check_place
from lanterna.surfaces.cli.common import emit_json, progress, say, show
from lanterna.surfaces.cli.run_picture import create_job
from lanterna.techniques import execute

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lanterna.surfaces.cli.arguments import Request
    from lanterna.techniques.execute import Job
    from lanterna.techniques.technique import Frame, Frames, Work

    Places = Mapping[str, Path]  # where pictures go, by what they are called in their recipes


def _check_places(what: Request, options: Mapping[str, Any]) -> Sequence[Places]:
    """Where the pictures go that are drawn of each file. Errors: `UsageError` where they cannot go there."""
    technique = what.technique
    about = technique.inputs[0].name if technique.inputs else ""
    paths = what.files.get(about, [Path(technique.name)])
    given = {
        name: options["output" if name == technique.default_output else name] for name in technique.outputs
    }
    places = [{name: _place(place, path, paths) for name, place in given.items() if place} for path in paths]
    every = [place for each in places for place in each.values()]
    if len(set(every)) < len(every):
        raise UsageError("two pictures would be written to the same place: give them one by one")
    for place in every:
        check_place(place, force=options["force"])
    return places


def _place(given: Path, path: Path, paths: Sequence[Path]) -> Path:
    """The file that was named, or a file in the folder that was named where there are several pictures."""
    if len(paths) == 1:
        return given
    if given.suffix and not given.is_dir():
        raise UsageError(f"{given}: with several pictures, name a folder to write into")
    return given / f"{path.stem}.png"


def print_words(what: Request, options: Mapping[str, Any]) -> int:
    """Say what each picture gives. One of several that cannot be read is named, and the others are done."""
    places = _check_places(what, options)
    job = create_job(what, options)
    quiet, json = options["quiet"], options["json"]
    parts = _parts(job)
    parts = chain([next(parts)], parts)  # what is missing is fetched, and trained, before there is a bar
    documents, failed = [], 0
    with progress(job.technique.title.lower(), quiet=quiet) as update:
        for number, (wanted, (name, part, work, frames)) in enumerate(zip(places, parts, strict=True), 1):
            update(number, len(places), name)
            try:
                frame = execute.last_of(frames)
                report = work.report(frame)
            except LanternaError as error:
                if len(places) == 1:
                    raise
                failed += 1
                say(f"lanterna: {error}")
                continue
            documents.append(report.document)
            _save(part, work, frame, wanted, force=options.get("force", False))
            if not json:
                heading = [f"{name}:"] if len(places) > 1 and not job.technique.inputs[0].many else []
                show(*heading, *report.lines) if heading or report.lines else None
            for note in report.notes:
                say(note, quiet=quiet or json)
    if json:
        emit_json(documents)
    if failed:
        say(f"lanterna: {failed} of {len(places)} pictures could not be read")
    return 1 if failed else 0


def _save(job: Job, work: Work, frame: Frame, places: Places, *, force: bool) -> None:
    """Save the pictures that are wanted of a frame, and make no more of them than that."""
    left = dict(places)
    for result in work.results(frame, job.settings) if left else ():
        place = left.pop(result.output or job.technique.default_output, None)
        if place is not None:
            execute.save_result(result, place, execute.recipe_of(job, result), force=force)
        if not left:
            return


def _parts(job: Job) -> Iterator[tuple[str, Job, Work, Frames]]:
    """For each picture its name, a job about it alone, the work, and its frames.

    It is all one piece of work where the technique takes many pictures, so that it can read ahead.
    """
    first = next(iter(job.technique.inputs), None)
    files = job.files.get(first.name, ()) if first else ()
    if first is None or not files:
        work = execute.begin(job)
        yield "", job, work, work.frames
    elif first.many:
        work = execute.begin(job)
        for number, (file, frame) in enumerate(zip(files, work.frames, strict=True)):
            yield job.called(first.name, number), job.about(file), work, (each for each in [frame])
    else:
        for file in files:
            job = job.about(file)
            work = execute.begin(job)
            yield job.called(first.name), job, work, work.frames
