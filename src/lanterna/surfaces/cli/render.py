"""`lanterna render`: process many pictures, on one machine or on many."""

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from lanterna.errors import UsageError
from lanterna.files import refuse_to_replace
from lanterna.images import open_picture
from lanterna.images.decoding import describe_unread, is_folder
from lanterna.images.film_reading import FilmReader, open_film
from lanterna.images.films import SUFFIXES as FILM_SUFFIXES
from lanterna.images.films import check_film_path, save_film
from lanterna.images.recipe import make_recipe_input
from lanterna.networks import shelf_items
from lanterna.surfaces.cli.arguments import Request, parse_command
from lanterna.surfaces.cli.common import (
    Device,
    Force,
    Json,
    Quiet,
    Settings,
    emit_json,
    fetch_missing,
    progress,
    say,
    stoppable,
)
from lanterna.surfaces.render.chunks import Chunk, FilmRun, find_cuts, read_chunks, split_chunks
from lanterna.surfaces.render.dask_engine import DaskEngine
from lanterna.surfaces.render.folder import MANIFEST, Folder, read_plan
from lanterna.surfaces.render.local_engine import LocalEngine
from lanterna.surfaces.render.plan import PictureRun, Sweep, no_source, open_source, variations
from lanterna.surfaces.render.ray_engine import RayEngine
from lanterna.surfaces.render.scheduler import run_tasks
from lanterna.surfaces.render.task import SILENCE, InputFile, RenderConfig
from lanterna.techniques.registry import all_techniques, techniques_for
from lanterna.techniques.technique import Output as Kind
from lanterna.techniques.technique import Technique

if TYPE_CHECKING:
    from collections.abc import Callable

    from lanterna.surfaces.render.plan import Source
    from lanterna.surfaces.render.scheduler import Summary
    from lanterna.surfaces.render.task import Engine

_CHUNK_LENGTHS = (16, 48)  # frames: shorter chunks repeat more work, longer ones leave workers idle
_OVERLAP = 8  # frames
_MAX_REPORTED = 5  # failed pictures that are listed


@dataclass(frozen=True)
class RenderOptions:
    """What to render: the output, the variations, and how a film is split."""

    output: Annotated[
        Path | None, Parameter(name=("--output", "-o"), help="The folder or film to write.")
    ] = None
    sweep: Annotated[
        list[str] | None,
        Parameter(
            consume_multiple=1,
            help="Vary a setting: NAME=FIRST:LAST:COUNT or NAME=A,B,C. Several are combined.",
        ),
    ] = None
    form: Annotated[
        Literal["png", "jpg", "webp", "avif"] | None,
        Parameter(help="The format of the pictures. [default: png]"),
    ] = None
    flow: Annotated[
        bool | None,
        Parameter(help="Carry each frame over to the next, along the motion. [default: for films only]"),
    ] = None
    chunk: Annotated[
        int | None,
        Parameter(
            help="With --flow: frames of a shot per worker. [default: 16 to 48, by the number of workers]"
        ),
    ] = None
    overlap: Annotated[
        int | None, Parameter(help="With --flow: frames over which two chunks cross-fade. [default: 8]")
    ] = None

    @property
    def path(self) -> Path:
        """The output folder or film. Errors: `UsageError` if none was given."""
        if self.output is None:
            raise UsageError("expected an output: -o FOLDER for pictures, or -o film.mp4 for a film")
        return self.output

    @property
    def to_film(self) -> bool:
        """Whether the pictures become a film."""
        return self.path.suffix.lower() in FILM_SUFFIXES

    @property
    def folder(self) -> Path:
        """The folder of the pictures; that of a film's frames is removed once the film is complete."""
        return self.path.with_name(f"{self.path.name}.frames") if self.to_film else self.path

    def check(self, technique: Technique, source: "Source", *, force: bool) -> None:
        """Raise UsageError if the source and the options do not fit together."""
        if self.to_film:
            single = source.film is None and len(source.names) < 2
            if technique.output is Kind.WORDS or self.sweep or single:
                raise UsageError(
                    f"{self.path}: a film needs a film or a folder of pictures as its source: "
                    "give a folder as the output"
                )
            if self.form:
                raise UsageError(f"--form is for pictures in a folder, but {self.path} is a film")
            check_film_path(self.path, force=force)
        if self.chunk is not None and not 2 <= self.chunk <= 100_000:
            raise UsageError(f"--chunk: expected 2 to 100,000 frames, got {self.chunk}")
        if self.overlap is not None and not 0 <= self.overlap < (self.chunk or _CHUNK_LENGTHS[0]):
            raise UsageError(
                f"--overlap: expected 0 to {(self.chunk or _CHUNK_LENGTHS[0]) - 1}, less than a chunk, "
                f"got {self.overlap}"
            )

    def split(self, film: FilmReader, workers: int, *, force: bool) -> list[Chunk]:
        """Split a film into chunks, in the same way as an unfinished run in the folder."""
        if self.chunk is None and self.overlap is None and not force:
            chunks = read_chunks(read_plan(self.folder), film.count)
            if chunks:
                return chunks
        share = film.count // (2 * workers)  # so that no worker is left alone with the last chunk
        length = self.chunk or min(max(share, _CHUNK_LENGTHS[0]), _CHUNK_LENGTHS[1])
        overlap = min(_OVERLAP, length - 1) if self.overlap is None else self.overlap
        return split_chunks(film.count, find_cuts(film), length, overlap)


@dataclass(frozen=True)
class WorkerOptions:
    """The engine, and the workers that it uses."""

    engine: Annotated[Literal["local", "ray", "dask"], Parameter(help="What distributes the work.")] = "local"
    workers: Annotated[int | None, Parameter(help="How many workers. [default: the number of cores]")] = None
    address: Annotated[
        str | None, Parameter(help="The address of a running Ray cluster or Dask scheduler.")
    ] = None
    silence: Annotated[
        float, Parameter(help="Seconds without an answer after which a cluster is given up.")
    ] = SILENCE
    device: Device = "auto"

    @property
    def count(self) -> int:
        """The maximum number of workers."""
        return self.workers or os.cpu_count() or 1

    def check(self) -> None:
        """Raise UsageError if an option is out of range, or does not fit the engine."""
        if self.address and self.engine == "local":
            raise UsageError("--address is for clusters: add --engine ray or --engine dask")
        if self.workers is not None and not 1 <= self.workers <= 10_000:
            raise UsageError(f"--workers: expected 1 to 10,000, got {self.workers}")
        if not 1 <= self.silence <= 86_400:
            raise UsageError(f"--silence: expected 1 to 86,400 seconds, got {self.silence:g}")

    def start(self, config: RenderConfig, tasks: int) -> "Engine":
        """Start the engine for this number of tasks."""
        if self.engine == "local":
            return LocalEngine(config, min(self.count, max(1, tasks)))
        engine = RayEngine if self.engine == "ray" else DaskEngine
        return engine(config, self.workers, self.address, os.cpu_count() or 1, self.silence)


def render(
    source: Annotated[
        Path,
        Parameter(help="A folder of pictures, a film or a picture; or random or feature, which need none."),
    ],
    verb: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,  # if the source is `random`, its options follow
            help="The technique: dream, style, instant, paint, classify, read …",
        ),
    ] = None,
    /,
    *words: Annotated[str, Parameter(allow_leading_hyphen=True, help="The technique's own options.")],
    options: Annotated[RenderOptions | None, Settings] = None,
    worker_options: Annotated[WorkerOptions | None, Settings] = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int | None:
    """Process thousands of pictures, on one machine or on many.

    A folder becomes a folder, a film a film, and one picture many variations:

    `lanterna render photos dream --preset facets -o dreamed`

    `lanterna render clip.mp4 style --style waves.jpg -o painted.mp4`

    `lanterna render cat.jpg dream --sweep step_size=0.5:4:8 -o steps`

    Finished pictures are saved one by one; give the same command again to render
    the missing ones. A picture that fails three times is skipped and reported
    (exit code 1); all others are rendered.
    """
    options, workers = options or RenderOptions(), worker_options or WorkerOptions()
    path = options.path
    sweeps = [Sweep.parse(text) for text in options.sweep or ()]
    if len({each.name for each in sweeps}) < len(sweeps):
        raise UsageError("--sweep: a setting is swept twice: give all of its values at once")
    pictures, request, carried = _parse(source, verb, words, options)
    options.check(request.technique, pictures, force=force)
    refuse_to_replace(path, [source])
    if is_folder(source) and (unread := describe_unread(each.name for each in source.iterdir())):
        say(unread, quiet=quiet)
    workers.check()
    varied = variations(request.settings, sweeps)
    fetch_missing(*_shelf_items(request), quiet=quiet)
    config = _config(request, options, workers, chunks=carried)
    film = pictures.film or (open_film(source) if carried else None)
    run: PictureRun | FilmRun = PictureRun(pictures, varied)
    if carried and film is not None:
        chunks = options.split(film, workers.count, force=force)
        run = FilmRun(pictures, film, chunks, request.settings.model_dump(mode="json"))
    folder = Folder(options.folder, _plan(config, pictures, run), config.suffix, force=force)
    missing = run.missing(folder)
    begun = time.perf_counter()
    summary = _run(run, missing, folder, partial(workers.start, config, len(missing)), quiet=quiet)
    seam = None
    if summary.finished:
        with progress("assembling", quiet=quiet):
            seam = run.assemble(folder)
    if summary.finished and options.to_film:
        with progress("saving", quiet=quiet):
            _save_film(run, folder, path, film.fps if film else 25.0, force=force)
    seconds = time.perf_counter() - begun
    return _report(summary, run.count, path, seconds, seam, json=json, quiet=quiet)


def _save_film(run: PictureRun | FilmRun, folder: Folder, path: Path, fps: float, *, force: bool) -> None:
    """Save the pictures of a finished run as a film, and remove their folder."""
    frames = [folder.paths(name)[0] for name in run.names]
    save_film((open_picture(each) for each in frames), path, count=len(frames), fps=fps, force=force)
    shutil.rmtree(folder.path)


def _parse(
    source: Path, verb: str | None, words: Sequence[str], options: RenderOptions
) -> tuple["Source", Request, bool]:
    """Return the source pictures, what to do with each, and whether frames are carried over.

    Errors: `UsageError` for an unknown technique or wrong options.
    """
    names = _techniques()
    if verb not in names and str(source) in names and not names[str(source)].inputs:
        verb, words = str(source), words if verb is None else (verb, *words)
        pictures = no_source(verb)
    elif verb not in names:
        techniques_for(verb or "")  # raises if the technique's package is broken
        got = "" if verb is None else f", got {verb[:40]!r}"
        raise UsageError(f"expected a technique, one of {', '.join(names)}{got}")
    else:
        pictures = open_source(source)
    request = _parse_words(names[verb], words)
    carried = options.flow if options.flow is not None else pictures.film is not None
    if carried and (options.sweep or not _has_film(request)):
        carried = False
        if options.flow:
            raise UsageError("--flow is for a film, dreamed or painted in a style, without --sweep or --mask")
    return pictures, _parse_words(names[verb], words, film=True) if carried else request, carried


def _parse_words(technique: Technique, words: Sequence[str], *, film: bool = False) -> Request:
    """Parse the technique's options with its own command line; the picture is not among the files."""
    request = parse_command(words, technique, film=film)
    if request.technique.name != technique.name and not film:
        title = request.technique.title.lower()
        raise UsageError(f"{title} does not work on many pictures: leave its options out")
    first = request.technique.inputs[0].name if request.technique.inputs else ""
    files = {name: paths for name, paths in request.files.items() if name != first}
    return replace(request, files=files)


def _has_film(request: Request) -> bool:
    """Whether the technique can make a film whose frames are carried over, with these inputs."""
    technique = request.technique
    return any(
        each.film_frames is not None
        and (each.command, each.flags) == (technique.command, technique.flags)
        and request.files.keys() <= {one.name for one in each.inputs}
        for each in techniques_for(technique.verb)
    )


def _techniques() -> dict[str, Technique]:
    """Return the techniques that can be rendered, by name."""
    return {
        name: each
        for name, each in all_techniques().items()
        if each.verb != "learn"
        and (each.output is Kind.WORDS or (each.output is Kind.PICTURE and each.reruns))
        and not any(one.suffix for one in each.inputs)
    }


def _shelf_items(request: Request) -> list[str]:
    """Return the shelf items that the workers will need."""
    technique = request.technique
    items = [item for name in technique.networks(request.settings) for item in shelf_items(name)]
    return [*items, *technique.items(request.settings)]


def _config(
    request: Request, options: RenderOptions, workers: WorkerOptions, *, chunks: bool
) -> RenderConfig:
    """Create the configuration of all workers."""
    technique = request.technique
    suffix = "json" if technique.output is Kind.WORDS else options.form or "png"
    others = tuple(
        InputFile(make_recipe_input(path, role=role), path.read_bytes())
        for role, paths in request.files.items()
        for path in paths
    )
    threads = max(1, (os.cpu_count() or 1) // workers.count)
    return RenderConfig(
        technique.verb, technique.default_output, f".{suffix}", workers.device, threads, others, chunks
    )


def _plan(config: RenderConfig, pictures: "Source", run: PictureRun | FilmRun) -> dict[str, object]:
    """Return what identifies this run, so that the same command continues it."""
    return {
        "verb": config.verb, "made": config.output, **run.plan,
        "inputs": [each.note.model_dump() for each in config.others],
        "source": [path.name for path in pictures.paths]
        or (pictures.film and make_recipe_input(pictures.path).sha256),
    }  # fmt: skip


def _run(
    run: PictureRun | FilmRun,
    missing: list[int],
    folder: Folder,
    start: "Callable[[], Engine]",
    *,
    quiet: bool,
) -> "Summary":
    with stoppable() as should_stop, progress("rendering", quiet=quiet) as update:

        def watch(summary: "Summary", running: int) -> None:
            note = f"{running} running" + (f", {len(summary.failed)} failed" if summary.failed else "")
            update(summary.made + summary.already + len(summary.failed), run.count, note)

        already = run.count - len(missing)
        tasks = run.tasks(missing)
        return run_tasks(tasks, folder, start, already=already, watch=watch, should_stop=should_stop)


def _report(
    summary: "Summary",
    count: int,
    path: Path,
    seconds: float,
    seam: float | None,
    *,
    json: bool,
    quiet: bool,
) -> int | None:
    """Print the summary, and return the exit code."""
    done = summary.made + summary.already
    if json:
        emit_json(
            {
                "output": str(path), "finished": summary.finished, "tasks": count, "made": summary.made,
                "already": summary.already, "tried_again": summary.tried_again, "failed": summary.failed,
                "seconds": round(seconds, 2), "working_seconds": round(summary.working, 2), "seam": seam,
            }
        )  # fmt: skip
    else:
        already = f", {summary.already} already there" if summary.already else ""
        retries = f", {summary.tried_again} retried" if summary.tried_again else ""
        say(f"{path}: {summary.made} of {count} made{already}{retries}, {seconds:.1f} s", quiet=quiet)
        if seam is not None:
            say(f"flicker where chunks meet: {seam:.2f} times that elsewhere", quiet=quiet)
    for name, reason in list(summary.failed.items())[:_MAX_REPORTED]:
        say(f"lanterna: {name.rpartition('/')[2]}: {reason}")
    if len(summary.failed) > _MAX_REPORTED:
        say(f"lanterna: and {len(summary.failed) - _MAX_REPORTED} more: see {MANIFEST}")
    if summary.stopped:
        say(f"stopped after {done} of {count}: give the same command to continue", quiet=quiet)
        return 130
    if summary.failed:
        say(f"lanterna: {len(summary.failed)} of {count} failed: give the same command to try them again")
        return 1
    return None
