"""`lanterna render`: many pictures, on this machine or on many, and nothing lost."""

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
from lanterna.images import open_picture
from lanterna.images.film_reading import Film, open_film
from lanterna.images.films import SUFFIXES as FILM_SUFFIXES
from lanterna.images.films import check_film_place, save_film
from lanterna.images.recipe import note_input
from lanterna.networks import shelf_items
from lanterna.surfaces.cli.arguments import Request, parse_command
from lanterna.surfaces.cli.common import (
    Device,
    Force,
    Json,
    Output,
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
from lanterna.techniques.registry import all_techniques, of_verb
from lanterna.techniques.technique import Output as Kind
from lanterna.techniques.technique import Technique

if TYPE_CHECKING:
    from collections.abc import Callable

    from lanterna.surfaces.render.plan import Source
    from lanterna.surfaces.render.scheduler import Summary
    from lanterna.surfaces.render.task import Engine

_CHUNKS = (16, 48)  # frames of a part: shorter ones repeat more, longer ones leave workers waiting
_OVERLAP = 8  # frames
_SHOWN = 5  # pictures that went wrong, told one by one


@dataclass(frozen=True)
class What:
    """What is to be made: where it goes, in which variations, and how a film falls into parts."""

    output: Output = None
    sweep: Annotated[
        list[str] | None,
        Parameter(help="Vary a setting: NAME=FIRST:LAST:COUNT or NAME=A,B,C; all combinations of several."),
    ] = None
    form: Annotated[
        Literal["png", "jpg", "webp", "avif"] | None, Parameter(help="What pictures are saved as: PNG.")
    ] = None
    flow: Annotated[
        bool | None,
        Parameter(help="Carry each frame over into the next, as the picture moves; a film is, a folder not."),
    ] = None
    chunk: Annotated[
        int | None,
        Parameter(
            help="Frames of a shot that one worker makes, with --flow: 16 to 48 by the workers there are."
        ),
    ] = None
    overlap: Annotated[
        int | None, Parameter(help="Frames over which two such parts go over into one another: 8.")
    ] = None

    @property
    def place(self) -> Path:
        """Where the pictures go. Errors: `UsageError` where that was not said."""
        if self.output is None:
            raise UsageError("expected where the pictures go: -o FOLDER, or -o film.mp4 for a film")
        return self.output

    @property
    def to_film(self) -> bool:
        """Whether a film is made of the pictures."""
        return self.place.suffix.lower() in FILM_SUFFIXES

    @property
    def folder(self) -> Path:
        """Where the pictures are until they are a film, or for good."""
        return self.place.with_name(f"{self.place.name}.frames") if self.to_film else self.place

    def check(self, technique: Technique, begun: "Source", *, force: bool) -> None:
        """Errors: `UsageError` for what cannot be made of such pictures."""
        if self.to_film:
            few = begun.film is None and len(begun.names) < 2
            if technique.output is Kind.WORDS or self.sweep or few:
                raise UsageError(
                    f"{self.place}: a film is made of a film or a folder of pictures: name a folder"
                )
            if self.form:
                raise UsageError(f"--form is for pictures in a folder: {self.place} is a film")
            check_film_place(self.place, force=force)
        if self.chunk is not None and not 2 <= self.chunk <= 100_000:
            raise UsageError(f"--chunk: expected 2 to 100,000 frames, got {self.chunk}")
        if self.overlap is not None and not 0 <= self.overlap < (self.chunk or _CHUNKS[0]):
            raise UsageError(
                f"--overlap: expected 0 to {(self.chunk or _CHUNKS[0]) - 1}, less than a part, "
                f"got {self.overlap}"
            )

    def cut(self, film: Film, workers: int, *, force: bool) -> list[Chunk]:
        """The pieces in which a film is made: as it was begun, with more workers perhaps, or anew."""
        if self.chunk is None and self.overlap is None and not force:
            begun = read_chunks(read_plan(self.folder), film.count)
            if begun:
                return begun
        each = film.count // (2 * workers)  # or one worker would have the last part alone
        length = self.chunk or min(max(each, _CHUNKS[0]), _CHUNKS[1])
        overlap = min(_OVERLAP, length - 1) if self.overlap is None else self.overlap
        return split_chunks(film.count, find_cuts(film), length, overlap)


@dataclass(frozen=True)
class Who:
    """Who does the work, and on what."""

    engine: Annotated[Literal["local", "ray", "dask"], Parameter(help="Who moves the work.")] = "local"
    workers: Annotated[int | None, Parameter(help="How many at a time; as many as there are cores.")] = None
    address: Annotated[str | None, Parameter(help="A running Ray cluster, or Dask's scheduler.")] = None
    silence: Annotated[
        float, Parameter(help="Seconds after which a cluster that is not heard is given up.")
    ] = SILENCE
    device: Device = "auto"

    @property
    def count(self) -> int:
        """How many workers there are at most."""
        return self.workers or os.cpu_count() or 1

    def check(self) -> None:
        """Errors: `UsageError` for what does not go together, or is too little or too much."""
        if self.address and self.engine == "local":
            raise UsageError("--address is of a cluster: add --engine ray or --engine dask")
        if self.workers is not None and not 1 <= self.workers <= 10_000:
            raise UsageError(f"--workers: expected 1 to 10,000, got {self.workers}")
        if not 1 <= self.silence <= 86_400:
            raise UsageError(f"--silence: expected 1 to 86,400 seconds, got {self.silence:g}")

    def start(self, config: RenderConfig, tasks: int) -> "Engine":
        """Start the engine, for so many tasks."""
        if self.engine == "local":
            return LocalEngine(config, min(self.count, max(1, tasks)))
        engine = RayEngine if self.engine == "ray" else DaskEngine
        return engine(config, self.workers, self.address, os.cpu_count() or 1, self.silence)


def render(
    source: Annotated[
        Path,
        Parameter(help="A folder of pictures, a film, or a picture; or random, feature, which need none."),
    ],
    verb: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,  # where the source is `random`, its options follow
            help="What to do with each: dream, style, instant, paint, classify, read …",
        ),
    ] = None,
    /,
    *words: Annotated[str, Parameter(allow_leading_hyphen=True, help="The verb's own options, as ever.")],
    what: Annotated[What | None, Settings] = None,
    who: Annotated[Who | None, Settings] = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int | None:
    """Do one thing to many pictures: a folder to a folder, a film to a film, or one picture in many settings.

    `lanterna render photos dream --preset eyes -o dreamed`, `lanterna render clip.mp4 style --style waves.jpg
    -o painted.mp4`, `lanterna render cat.jpg dream --sweep step_size=0.5:4:8 -o steps`.

    Whatever happens, what was made is kept; the same words again make what is missing. A picture that cannot
    be made is set aside after three tries and named (exit code 1); the others are made all the same.
    """
    what, who = what or What(), who or Who()
    place = what.place
    sweeps = [Sweep.read(text) for text in what.sweep or ()]
    if len({each.name for each in sweeps}) < len(sweeps):
        raise UsageError("--sweep: a setting is swept twice: put all of its values into one")
    begun, wanted, carried = _understood(source, verb, words, what)
    what.check(wanted.technique, begun, force=force)
    who.check()
    ways = variations(wanted.settings, sweeps)
    fetch_missing(*_needs(wanted), quiet=quiet)
    config = _kit(wanted, what, who, chunks=carried)
    film = begun.film or (open_film(source) if carried else None)
    whole: PictureRun | FilmRun = PictureRun(begun, ways)
    if carried and film is not None:
        cut = what.cut(film, who.count, force=force)
        whole = FilmRun(begun, film, cut, wanted.settings.model_dump(mode="json"))
    folder = Folder(what.folder, _plan(config, begun, whole), config.suffix, force=force)
    missing = whole.missing(folder)
    begin = time.perf_counter()
    summary = _run(whole, missing, folder, partial(who.start, config, len(missing)), quiet=quiet)
    unsteady = None
    if summary.finished:
        with progress("putting together", quiet=quiet):
            unsteady = whole.put_together(folder)
    if summary.finished and what.to_film:
        made = [folder.paths(name)[0] for name in whole.names]
        with progress("saving", quiet=quiet):
            save_film((open_picture(each) for each in made), place, count=len(made),
                      fps=film.fps if film else 25.0, force=force)  # fmt: skip
        shutil.rmtree(what.folder)
    seconds = time.perf_counter() - begin
    return _tell(summary, whole.count, place, seconds, unsteady, json=json, quiet=quiet)


def _understood(
    source: Path, verb: str | None, words: Sequence[str], what: What
) -> tuple["Source", Request, bool]:
    """What is worked on, what is done with each, and whether frames are carried over into the next.

    Errors: `UsageError` where there is no such thing to do, or its words are wrong.
    """
    names = _techniques()
    if verb not in names and str(source) in names and not names[str(source)].inputs:
        verb, words = str(source), words if verb is None else (verb, *words)
        begun = no_source(verb)
    elif verb not in names:
        of_verb(verb or "")  # says why, where its package cannot be used
        got = "" if verb is None else f", got {verb[:40]!r}"
        raise UsageError(f"expected what to do with each: {', '.join(names)}{got}")
    else:
        begun = open_source(source)
    wanted = _wanted(names[verb], words)
    carried = what.flow if what.flow is not None else begun.film is not None
    if carried and (what.sweep or not _has_film(wanted)):
        carried = False
        if what.flow:
            raise UsageError("--flow is for a film that is dreamed or painted, without --sweep or --mask")
    return begun, _wanted(names[verb], words, film=True) if carried else wanted, carried


def _wanted(technique: Technique, words: Sequence[str], *, film: bool = False) -> Request:
    """What the words of a technique ask for, read by its own command line, without what it is about."""
    found = parse_command(words, technique, film=film)
    if found.technique.name != technique.name and not film:
        title = found.technique.title.lower()
        raise UsageError(f"{title} is not for many pictures: leave its options out")
    about = found.technique.inputs[0].name if found.technique.inputs else ""
    files = {name: paths for name, paths in found.files.items() if name != about}
    return replace(found, files=files)


def _has_film(wanted: Request) -> bool:
    """Whether there is a film of such pictures whose frames go on from one another."""
    technique = wanted.technique
    return any(
        each.film_frames is not None
        and (each.command, each.flags) == (technique.command, technique.flags)
        and wanted.files.keys() <= {one.name for one in each.inputs}
        for each in of_verb(technique.verb)
    )


def _techniques() -> dict[str, Technique]:
    """The techniques that can be run many times over, by name: of a picture, or of nothing."""
    return {
        name: each
        for name, each in all_techniques().items()
        if each.verb != "learn"
        and (each.output is Kind.WORDS or (each.output is Kind.PICTURE and each.again))
        and not any(one.suffix for one in each.inputs)
    }


def _needs(wanted: Request) -> list[str]:
    """What must be on the shelf before workers ask for it."""
    technique = wanted.technique
    items = [item for name in technique.networks(wanted.settings) for item in shelf_items(name)]
    return [*items, *technique.items(wanted.settings)]


def _kit(wanted: Request, what: What, who: Who, *, chunks: bool) -> RenderConfig:
    """What all workers are given."""
    technique = wanted.technique
    suffix = "json" if technique.output is Kind.WORDS else what.form or "png"
    others = tuple(
        InputFile(note_input(path, role=role), path.read_bytes())
        for role, paths in wanted.files.items()
        for path in paths
    )
    threads = max(1, (os.cpu_count() or 1) // who.count)
    return RenderConfig(
        technique.verb, technique.default_output, f".{suffix}", who.device, threads, others, chunks
    )


def _plan(config: RenderConfig, begun: "Source", whole: PictureRun | FilmRun) -> dict[str, object]:
    """What tells one run from another: a second call with the same goes on."""
    return {
        "verb": config.verb, "made": config.output, **whole.plan,
        "inputs": [each.note.model_dump() for each in config.others],
        "source": [path.name for path in begun.paths] or (begun.film and note_input(begun.source).sha256),
    }  # fmt: skip


def _run(
    whole: PictureRun | FilmRun,
    missing: list[int],
    folder: Folder,
    start: "Callable[[], Engine]",
    *,
    quiet: bool,
) -> "Summary":
    with stoppable() as should_stop, progress("rendering", quiet=quiet) as update:

        def watch(summary: "Summary", running: int) -> None:
            note = f"{running} under way" + (f", {len(summary.failed)} set aside" if summary.failed else "")
            update(summary.made + summary.already + len(summary.failed), whole.count, note)

        there = whole.count - len(missing)
        coming = whole.tasks(missing)
        return run_tasks(coming, folder, start, already=there, watch=watch, should_stop=should_stop)


def _tell(
    summary: "Summary",
    count: int,
    place: Path,
    seconds: float,
    seam: float | None,
    *,
    json: bool,
    quiet: bool,
) -> int | None:
    done = summary.made + summary.already
    if json:
        emit_json(
            {
                "output": str(place), "finished": summary.finished, "tasks": count, "made": summary.made,
                "already": summary.already, "tried_again": summary.tried_again, "failed": summary.failed,
                "seconds": round(seconds, 2), "working_seconds": round(summary.working, 2), "seam": seam,
            }
        )  # fmt: skip
    else:
        there = f", {summary.already} were there" if summary.already else ""
        again = f", {summary.tried_again} tried again" if summary.tried_again else ""
        say(f"{place}: {summary.made} of {count} made{there}{again}, {seconds:.1f} s", quiet=quiet)
        if seam is not None:
            say(f"where parts meet it is {seam:.2f} times as unsteady as elsewhere", quiet=quiet)
    for name, words in list(summary.failed.items())[:_SHOWN]:
        say(f"lanterna: {name.rpartition('/')[2]}: {words}")
    if len(summary.failed) > _SHOWN:
        say(f"lanterna: and {len(summary.failed) - _SHOWN} more: see {MANIFEST}")
    if summary.stopped:
        say(f"stopped after {done} of {count}: the same words go on", quiet=quiet)
        return 130
    if summary.failed:
        say(f"lanterna: {len(summary.failed)} of {count} set aside: the same words try them again")
        return 1
    return None
