"""`lanterna teach`: a network learns to tell the subfolders of a folder of pictures apart."""

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from lanterna.errors import UsageError
from lanterna.images.folders import gather
from lanterna.surfaces.cli.common import (
    Device,
    Force,
    Json,
    Quiet,
    Settings,
    emit_json,
    fetch_missing,
    given,
    progress,
    say,
    stoppable,
)
from lanterna.techniques.teach.settings import Teach

if TYPE_CHECKING:
    from collections.abc import Generator

    from lanterna.techniques.teach.algorithm import TeachFrame
    from lanterna.techniques.teach.results import LeftOut, Results

_NAMED = 10  # pictures that are left out and named, at most
_UNEVEN = 3  # times as many pictures in the largest class as in the smallest: it is said
_FEW = 10  # pictures to test with


def teach(
    folder: Annotated[Path, Parameter(help="A folder whose subfolders are classes, with pictures in each.")],
    /,
    *,
    settings: Annotated[Teach | None, Settings] = None,
    output: Annotated[
        str | None,
        Parameter(
            name=("--output", "-o", "--name"), help="A name for the network, or a folder. [default: FOLDER's]"
        ),
    ] = None,
    workers: Annotated[
        int | None, Parameter(help="Processes that decode pictures; 0 is none. [default: as many as pay]")
    ] = None,
    resume: Annotated[
        bool, Parameter(negative="", help="Go on with a fine-tuning that was stopped.")
    ] = False,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int | None:
    """Teach a network your own classes: each subfolder of FOLDER is one, with twenty pictures or more in it.

    It says how many of the pictures that it held out the network names right, and keeps the network under a
    name that `classify`, `look`, `feature` and `dream` know. What it saw in a picture is kept, so that the
    same command with more pictures looks at the new ones only, and one that was stopped goes on.
    """
    from lanterna.networks import open_network, shelf_items
    from lanterna.networks.trained import CHECKPOINT, is_trained, refuse_strange_files, trained_folder
    from lanterna.techniques.teach.algorithm import teach as teaching
    from lanterna.techniques.teach.results import keep_taught

    recipe = Teach.checked(given(settings))
    if workers is not None and not 0 <= workers <= 64:
        raise UsageError(f"--workers: expected 0 to 64, got {workers}")
    gathered = gather(folder)
    name = output or _name_of(folder)
    _refuse_taken(name)
    place = trained_folder(name)
    checkpoint = place / CHECKPOINT
    if is_trained(name) and not (force or resume):
        raise UsageError(f"{place} has a network already: -o gives another name, --force teaches it anew")
    if checkpoint.exists() and not (force or resume):
        raise UsageError(f"{place} has an unfinished fine-tuning: --resume goes on, --force starts anew")
    if not (force or resume):
        refuse_strange_files(place)
    if resume and not recipe.fine_tune:
        raise UsageError("--resume is for --fine-tune: without it the same command goes on by itself")
    fetch_missing(*shelf_items(recipe.network), quiet=quiet)
    if gathered.loose:
        say(
            f"{gathered.loose} pictures beside the subfolders of {folder} belong to no class: left out",
            quiet=quiet,
        )
    begun = time.perf_counter()
    frames = teaching(
        gathered,
        recipe,
        network=open_network(recipe.network, device=device),
        name=place.name,
        workers=workers,
        checkpoint=checkpoint if recipe.fine_tune else None,
        resume=resume,
    )
    frame = _watched(frames, quiet=quiet)
    if frame is None or frame.results is None or frame.network is None:
        goes_on = "add --resume to" if checkpoint.exists() else "give"
        say(f"stopped; what was looked at is kept: {goes_on} the same command to go on", quiet=quiet)
        return 130
    seconds = time.perf_counter() - begun
    _tell_left_out(frame.results.left_out, quiet=quiet)
    summary = keep_taught(place, frame.network, recipe, frame.results, folder, seconds)
    checkpoint.unlink(missing_ok=True)
    if json:
        emit_json({"folder": str(place), **summary})
    else:
        _tell(frame.results, place, name, seconds, quiet=quiet)
    return None


def _name_of(folder: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:40].strip("-")
    if not name:
        raise UsageError(f"{folder} gives no name to call the network by: -o NAME gives one")
    return name


def _refuse_taken(name: str) -> None:
    """Errors: `UsageError` for a name that is another network's."""
    from lanterna.networks.catalogue import BUILT_IN

    if name in BUILT_IN:
        raise UsageError(f"{name} is the name of a network of Lanterna's own: -o NAME gives another")
    if not name.isprintable() or ":" in name:
        raise UsageError(f"a network cannot be called {name[:60]!r}: use letters, digits, - and _")


def _watched(frames: "Generator[TeachFrame, None, None]", *, quiet: bool) -> "TeachFrame | None":
    """The last frame, with a bar meanwhile; one without results where Ctrl-C stopped the work."""
    frame = None
    with stoppable() as stop_wished, progress("teaching", quiet=quiet) as update:
        for frame in frames:
            n = frame.numbers
            words = (
                f"{frame.doing}, {n['pictures_a_second']:.0f} a second" if "computed" in n else frame.doing
            )
            update(frame.step, frame.steps, f"{words}, loss {n['loss']:.3f}" if "loss" in n else words)
            if stop_wished() and frame.doing != "done":
                break
        frames.close()
    return frame


def _tell_left_out(left_out: "LeftOut", *, quiet: bool) -> None:
    """What was not used and why; what cannot be read is told even to those who asked for quiet."""
    for error in left_out.unreadable[:_NAMED]:
        say(f"lanterna: left out: {error}")
    if (more := len(left_out.unreadable) - _NAMED) > 0:
        say(f"lanterna: and {more} more that cannot be read; results.json names all")
    if left_out.contradictory:
        shown = ", ".join(left_out.contradictory[:4]) + (" …" if len(left_out.contradictory) > 4 else "")
        say(
            f"left out: {len(left_out.contradictory)} files whose very bytes are in two classes: {shown}",
            quiet=quiet,
        )
    if left_out.twice:
        say(f"left out: {left_out.twice} copies of pictures within their class", quiet=quiet)


def _tell(results: "Results", place: Path, name: str, seconds: float, *, quiet: bool) -> None:
    low, high = results.interval
    say(
        f"{results.right} of {results.held_out} pictures held out are named right ({results.accuracy:.1%}), "
        f"after {seconds:.1f} s",
        quiet=quiet,
    )
    few = (
        "so few pictures can tell no more than that" if results.held_out < _FEW * len(results.classes) else ""
    )
    say(
        f"of all such pictures that is {low:.0%} to {high:.0%}, 95 % confident" + (f"; {few}" if few else ""),
        quiet=quiet,
    )
    if not results.better_than_guessing:
        say(
            f"that may be no better than always saying the largest class, {results.guessing:.0%}: "
            "give more pictures, or classes that can be told apart",
            quiet=quiet,
        )
    if results.before_tuning is not None:
        say(f"before fine-tuning it was {results.before_tuning:.1%}", quiet=quiet)
    if results.uneven >= _UNEVEN:
        say(
            f"the largest class has {results.uneven:.0f} times the pictures of the smallest; "
            f"with all classes counted the same {results.even_accuracy:.1%} are right",
            quiet=quiet,
        )
    for number, label in enumerate(results.classes[:20]):
        tested, right = results.tested_with[number], int(results.confusion[number, number])
        others = results.confusion[number].clone()
        others[number] = 0
        mostly = f", otherwise mostly named {results.classes[int(others.argmax())]}" if others.any() else ""
        say(f"  {label}: {right} of {tested}{mostly}", quiet=quiet)
    say(f"kept in {place}: weights, settings, confusion.png, mistakes.png", quiet=quiet)
    say(f"now: lanterna classify PHOTO --network {name}", quiet=quiet)
