"""Run a technique whose output is words: print them for each picture, and save the pictures drawn of it."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanterna.errors import LanternaError, UsageError
from lanterna.files import refuse_to_replace
from lanterna.images import check_picture_path, open_picture
from lanterna.surfaces.cli.common import emit_json, progress, say, show
from lanterna.surfaces.cli.run_picture import create_job
from lanterna.techniques import execute

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lanterna.surfaces.cli.arguments import Request
    from lanterna.techniques.execute import Job
    from lanterna.techniques.technique import Frame, Frames, Work

    OutputPaths = Mapping[str, Path]  # by the output's name in the recipe

_CHECKED = 256  # pixels: a JPEG is decoded quickly at this size


def print_words(request: Request, options: Mapping[str, Any]) -> int:
    """Print the result for each picture. If one of several cannot be read, report it and continue."""
    output_paths = _check_output_paths(request, options)
    job = create_job(request, options)
    quiet, json = options["quiet"], options["json"]
    if errors := _unreadable(job):
        for error in errors:
            say(f"lanterna: {error}")
        say(f"lanterna: {len(errors)} of {len(errors)} pictures could not be read")
        return 1
    runs = _begin_each(job)
    runs = chain([next(runs)], runs)  # fetch and train what is missing before the progress bar starts
    documents, failures = [], 0
    count = len(output_paths)
    with progress(job.technique.title.lower(), quiet=quiet) as update:
        for number, (paths, (name, part, work, frames)) in enumerate(zip(output_paths, runs, strict=True), 1):
            update(number, count, name)
            try:
                frame = execute.last_frame(frames)
                report = work.report(frame)
            except LanternaError as error:
                if count == 1:
                    raise
                failures += 1
                say(f"lanterna: {error}")
                continue
            documents.append(report.document)
            _save(part, work, frame, paths, force=options.get("force", False))
            if not json:
                heading = [f"{name}:"] if count > 1 and not job.technique.inputs[0].many else []
                show(*heading, *report.lines) if heading or report.lines else None
            for note in report.notes:
                say(note, quiet=quiet or json)
    if json:
        emit_json(documents)
    if failures:
        say(f"lanterna: {failures} of {count} pictures could not be read")
    return 1 if failures else 0


def _check_output_paths(request: Request, options: Mapping[str, Any]) -> Sequence[OutputPaths]:
    """Return where to save the pictures drawn of each file. Errors: `UsageError` for a bad path."""
    technique = request.technique
    first = technique.inputs[0].name if technique.inputs else ""
    sources = request.files.get(first, [Path(technique.name)])
    given = {
        name: options["output" if name == technique.default_output else name] for name in technique.outputs
    }
    paths = [
        {name: _output_path(path, source, sources) for name, path in given.items() if path}
        for source in sources
    ]
    flat = [path for each in paths for path in each.values()]
    if len(set(flat)) < len(flat):
        raise UsageError("two pictures would be written to the same file: give them one by one")
    for path in flat:
        check_picture_path(path, force=options["force"])
        refuse_to_replace(path, chain.from_iterable(request.files.values()))
    return paths


def _unreadable(job: Job) -> list[UsageError]:
    """Return why the pictures cannot be opened if none of several can, before anything is trained.

    Errors: that of a single picture.
    """
    first = next(iter(job.technique.inputs), None)
    files = job.files.get(first.name, ()) if first and not first.folder else ()
    errors = []
    for file in files:
        try:
            open_picture(file, longest=_CHECKED)
            return []
        except UsageError as error:
            if len(files) == 1:
                raise
            errors.append(error)
    return errors


def _output_path(given: Path, source: Path, sources: Sequence[Path]) -> Path:
    """Return the given file, or a file in the given folder if there are several pictures."""
    if len(sources) == 1:
        return given
    if given.suffix and not given.is_dir():
        raise UsageError(f"{given}: expected a folder to write several pictures into")
    return given / f"{source.stem}.png"


def _save(job: Job, work: Work, frame: Frame, paths: OutputPaths, *, force: bool) -> None:
    """Save the requested pictures of a frame, and compute no others."""
    left = dict(paths)
    for result in work.results(frame, job.settings) if left else ():
        path = left.pop(result.output or job.technique.default_output, None)
        if path is not None:
            execute.save_result(result, path, execute.recipe_of(job, result), force=force)
        if not left:
            return


def _begin_each(job: Job) -> Iterator[tuple[str, Job, Work, Frames]]:
    """Yield each picture's name, a job for it alone, its work and its frames.

    A technique that takes many pictures runs as one piece of work, so that it can prefetch them.
    """
    first = next(iter(job.technique.inputs), None)
    files = job.files.get(first.name, ()) if first else ()
    if first is None or not files:
        work = execute.begin(job)
        yield "", job, work, work.frames
    elif first.many:
        work = execute.begin(job)
        for number, (file, frame) in enumerate(zip(files, work.frames, strict=True)):
            yield job.display_name(first.name, number), job.for_file(file), work, (each for each in [frame])
    else:
        for file in files:
            job = job.for_file(file)
            work = execute.begin(job)
            yield job.display_name(first.name), job, work, work.frames
