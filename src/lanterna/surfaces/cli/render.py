"""`lanterna render`: many pictures, on this machine or on many, and nothing lost."""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from cyclopts import Parameter

from lanterna.errors import UsageError
from lanterna.images import open_picture
from lanterna.images.film_reading import open_film
from lanterna.images.films import SUFFIXES as FILM_SUFFIXES
from lanterna.images.films import check_film_place, save_film
from lanterna.images.record import note_input
from lanterna.networks import shelf_items
from lanterna.surfaces.cli.common import (
    Device,
    Force,
    Json,
    Output,
    Quiet,
    emit_json,
    fetch_missing,
    given,
    progress,
    say,
    stoppable,
)
from lanterna.surfaces.cli.frame import make_app
from lanterna.surfaces.cli.techniques import understood
from lanterna.surfaces.render.folder import MANIFEST, Folder, plan_in
from lanterna.surfaces.render.local import Local
from lanterna.surfaces.render.on_dask import OnDask
from lanterna.surfaces.render.on_ray import OnRay
from lanterna.surfaces.render.pieces import Carried, cuts, pieces, pieces_of
from lanterna.surfaces.render.plan import Pictures, Sweep, originals, variations, without_pictures
from lanterna.surfaces.render.task import SILENCE, Given, Kit
from lanterna.surfaces.render.work import work
from lanterna.techniques.classify.algorithm import Classify
from lanterna.techniques.read.algorithm import Read
from lanterna.techniques.registry import of_verb, paths
from lanterna.techniques.technique import Output as Kind
from lanterna.techniques.technique import Settings, Technique

if TYPE_CHECKING:
    from collections.abc import Callable

    from lanterna.surfaces.render.plan import Originals
    from lanterna.surfaces.render.task import Engine
    from lanterna.surfaces.render.work import Summary

WORDS = ("classify", "read")
"""The verbs that answer in words."""

_CHUNKS = (16, 48)  # frames of a part: shorter ones repeat more, longer ones leave workers waiting
_OVERLAP = 8  # frames
_SHOWN = 5  # pictures that went wrong, told one by one


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
    output: Output = None,
    sweep: Annotated[
        list[str] | None,
        Parameter(help="Vary a setting: NAME=FIRST:LAST:COUNT or NAME=A,B,C; all combinations of several."),
    ] = None,
    form: Annotated[
        Literal["png", "jpg", "webp", "avif"] | None, Parameter(help="What pictures are saved as: PNG.")
    ] = None,
    flow: Annotated[
        bool | None,
        Parameter(help="Carry each frame over into the next, as the picture moves; a film is, a folder not."),
    ] = None,
    chunk: Annotated[
        int | None,
        Parameter(
            help="Frames of a shot that one worker makes, with --flow: 16 to 48 by the workers there are."
        ),
    ] = None,
    overlap: Annotated[
        int | None, Parameter(help="Frames over which two such parts go over into one another: 8.")
    ] = None,
    engine: Annotated[Literal["local", "ray", "dask"], Parameter(help="Who moves the work.")] = "local",
    workers: Annotated[int | None, Parameter(help="How many at a time; as many as there are cores.")] = None,
    address: Annotated[str | None, Parameter(help="A running Ray cluster, or Dask's scheduler.")] = None,
    silence: Annotated[
        float, Parameter(help="Seconds after which a cluster that is not heard is given up.")
    ] = SILENCE,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int | None:
    """Do one thing to many pictures: a folder to a folder, a film to a film, or one recipe in many settings.

    `lanterna render photos dream --preset eyes -o dreamed`, `lanterna render clip.mp4 style --style waves.jpg
    -o painted.mp4`, `lanterna render cat.jpg dream --sweep step_size=0.5:4:8 -o steps`.

    Whatever happens, what was made is kept; the same words again make what is missing. A picture that cannot
    be made is set aside after three tries and named (exit code 1); the others are made all the same.
    """
    if output is None:
        raise UsageError("expected where the pictures go: -o FOLDER, or -o film.mp4 for a film")
    to_film = output.suffix.lower() in FILM_SUFFIXES
    sweeps = [Sweep.read(text) for text in sweep or ()]
    names = _techniques()
    if verb not in (*names, *WORDS) and str(source) in names and not names[str(source)].inputs:
        verb, words = str(source), words if verb is None else (verb, *words)
        begun = without_pictures(verb)
    elif verb not in (*names, *WORDS):
        got = "" if verb is None else f", got {verb[:40]!r}"
        raise UsageError(f"expected what to do with each: {', '.join([*names, *WORDS])}{got}")
    else:
        begun = originals(source)
    wanted = _wanted(verb, words)
    carried = (flow if flow is not None else begun.film is not None) and not sweeps and wanted.has_film()
    if flow and not carried:
        raise UsageError("--flow is for a film that is dreamed or painted, without --sweep or --mask")
    if carried:
        wanted = _wanted(verb, words, film=True)
    if to_film:
        if verb in WORDS or sweeps or (begun.film is None and len(begun.names) < 2):
            raise UsageError(f"{output}: a film is made of a film or a folder of pictures: name a folder")
        if form:
            raise UsageError(f"--form is for pictures in a folder: {output} is a film")
        check_film_place(output, force=force)
    if address and engine == "local":
        raise UsageError("--address is of a cluster: add --engine ray or --engine dask")
    if workers is not None and not 1 <= workers <= 10_000:
        raise UsageError(f"--workers: expected 1 to 10,000, got {workers}")
    if not 1 <= silence <= 86_400:
        raise UsageError(f"--silence: expected 1 to 86,400 seconds, got {silence:g}")
    if chunk is not None and not 2 <= chunk <= 100_000:
        raise UsageError(f"--chunk: expected 2 to 100,000 frames, got {chunk}")
    if overlap is not None and not 0 <= overlap < (chunk or _CHUNKS[0]):
        raise UsageError(
            f"--overlap: expected 0 to {(chunk or _CHUNKS[0]) - 1}, less than a part, got {overlap}"
        )
    cores = os.cpu_count() or 1
    ways = variations(wanted.settings, sweeps)
    fetch_missing(*_needs(wanted), quiet=quiet)
    kit = Kit(
        wanted.verb, wanted.made,
        ".json" if verb in WORDS else f".{form or 'png'}", device, max(1, cores // (workers or cores)),
        tuple(
            Given(note_input(path, role=role), path.read_bytes())
            for role, paths in wanted.files.items() for path in paths
        ),
        chunks=carried,
    )  # fmt: skip
    place = output.with_name(f"{output.name}.frames") if to_film else output
    film = begun.film or (open_film(source) if carried else None)
    whole: Pictures | Carried
    if carried:
        assert film is not None
        cut = []
        if chunk is None and overlap is None and not force:  # as it was begun, with more workers perhaps
            cut = pieces_of(plan_in(place), film.count)
        if not cut:
            each = film.count // (2 * (workers or cores))  # or one worker would have the last part alone
            length = chunk or min(max(each, _CHUNKS[0]), _CHUNKS[1])
            cut = pieces(
                film.count, cuts(film), length, min(_OVERLAP, length - 1) if overlap is None else overlap
            )
        whole = Carried(begun, film, cut, wanted.settings.model_dump(mode="json"))
    else:
        whole = Pictures(begun, ways)
    folder = Folder(place, _plan(kit, begun, whole), kit.suffix, force=force)
    missing = whole.missing(folder)
    begin = time.perf_counter()
    count = min(workers or cores, max(1, len(missing)))
    start = partial(_engine, engine, kit, count, workers, address, cores, silence)
    summary = _run(whole, missing, folder, start, quiet=quiet)
    unsteady = None
    if summary.finished:
        with progress("putting together", quiet=quiet):
            unsteady = whole.put_together(folder)
    if summary.finished and to_film:
        made = [folder.places(name)[0] for name in whole.names]
        with progress("saving", quiet=quiet):
            save_film((open_picture(each) for each in made), output, count=len(made),
                      fps=film.fps if film else 25.0, force=force)  # fmt: skip
        shutil.rmtree(place)
    seconds = time.perf_counter() - begin
    return _tell(summary, whole.count, output, seconds, unsteady, json=json, quiet=quiet)


class _Wanted(NamedTuple):
    """What is to be made of each picture: verb and `made` as in its record, settings, and inputs by role.

    Verbs that answer in words have no `technique`.
    """

    verb: str
    made: str
    settings: Settings
    files: Mapping[str, Sequence[Path]]
    technique: Technique | None = None

    def has_film(self) -> bool:
        """Whether there is a film of such pictures whose frames go on from one another."""
        if self.technique is None:
            return False
        return any(
            each.film_frames is not None
            and (each.command, each.flags) == (self.technique.command, self.technique.flags)
            and self.files.keys() <= {one.name for one in each.inputs}
            for each in of_verb(self.verb)
        )


def _wanted(verb: str, words: Sequence[str], *, film: bool = False) -> _Wanted:
    """What the words of a verb ask for, read by the verb's own command line."""
    if verb in WORDS:
        tokens = [verb, "picture.png", *words]
        _, bound, _ = make_app().parse_args(tokens, exit_on_error=False, print_error=False)
        options = {name: value for name, value in bound.arguments.items() if name != "photos"}
        kind = Classify if verb == "classify" else Read
        settings = given(options["settings"]) if options.keys() == {"settings"} else options
        return _Wanted(verb, "words", kind.checked(settings), {})
    found = understood(words, _techniques()[verb], film=film)
    technique = found.technique
    if technique.name != verb and not film:
        raise UsageError(f"{technique.title.lower()} is not for many pictures: leave its options out")
    about = technique.inputs[0].name if technique.inputs else ""
    files = {name: paths for name, paths in found.files.items() if name != about}
    return _Wanted(technique.verb, technique.makes[0], found.settings, files, technique)


def _techniques() -> dict[str, Technique]:
    """The techniques that can be run many times over, by name: those of a picture, or of nothing."""
    return {
        each.name: each
        for verb in paths()
        if verb != "learn"
        for each in of_verb(verb)
        if each.output is Kind.PICTURE and each.again and not any(one.suffix for one in each.inputs)
    }


def _needs(wanted: _Wanted) -> list[str]:
    """What must be on the shelf before workers ask for it."""
    technique = wanted.technique
    if wanted.verb == "read":
        return ["mnist"]
    names = (wanted.settings.network,) if technique is None else technique.networks(wanted.settings)  # type: ignore[attr-defined]
    items = [item for name in names for item in shelf_items(name)]
    return items if technique is None else [*items, *technique.items(wanted.settings)]


def _plan(kit: Kit, begun: "Originals", whole: Pictures | Carried) -> dict[str, object]:
    """What tells one run from another: a second call with the same goes on."""
    return {
        "verb": kit.verb, "made": kit.made, **whole.plan,
        "inputs": [each.note.model_dump() for each in kit.others],
        "source": [path.name for path in begun.paths] or (begun.film and note_input(begun.source).sha256),
    }  # fmt: skip


def _engine(
    name: str, kit: Kit, count: int, workers: int | None, address: str | None, cores: int, silence: float
) -> "Engine":
    if name == "local":
        return Local(kit, count)
    return (OnRay if name == "ray" else OnDask)(kit, workers, address, cores, silence)


def _run(
    whole: Pictures | Carried,
    missing: list[int],
    folder: Folder,
    start: "Callable[[], Engine]",
    *,
    quiet: bool,
) -> "Summary":
    with stoppable() as stop_wished, progress("rendering", quiet=quiet) as update:

        def watch(summary: "Summary", running: int) -> None:
            note = f"{running} under way" + (f", {len(summary.failed)} set aside" if summary.failed else "")
            update(summary.made + summary.already + len(summary.failed), whole.count, note)

        there = whole.count - len(missing)
        coming = whole.tasks(missing)
        return work(coming, folder, start, already=there, watch=watch, stop_wished=stop_wished)


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
