"""`lanterna train`: a digit network learns, with a table that grows by a row an epoch."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from lanterna.errors import UsageError
from lanterna.recipes.train import Train
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

if TYPE_CHECKING:
    from lanterna.recipes.training import TrainFrame


def train(
    network: Literal["dense", "conv"] | None = None,
    /,
    *,
    preset: Annotated[str, Parameter(help="Where settings start: fast, best or quickstart.")] = "fast",
    settings: Annotated[Train | None, Settings] = None,
    output: Annotated[
        str | None, Parameter(name=("--output", "-o"), help="A name for the network, or a folder.")
    ] = None,
    resume: Annotated[bool, Parameter(negative="", help="Go on with a training that was stopped.")] = False,
    film: Annotated[
        list[Path] | None,
        Parameter(
            consume_multiple=True,
            negative="",
            help="Film it as it learns: film.html and film.webp in its folder, or the files named here "
            "(.html, .webp, .mp4, .gif).",
        ),
    ] = None,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train a network on MNIST's handwritten digits, and keep it under a name.

    It says the share of the 10,000 test digits that the network reads right, and keeps its weights, its
    settings, its history and its worst mistakes in a folder. Ctrl-C keeps what was learned; --resume goes on.
    """
    wishes = given(settings)
    network = network or wishes.get("network")
    if network != wishes.get("network", network):
        raise UsageError(f"train {network} with --network {wishes['network']}: say it once")
    start = Train.preset(preset, network)
    recipe = Train.checked({**start, **wishes, "network": start["network"]})
    name = output or recipe.network
    return train_and_keep(
        recipe, name, film=film, device=device, resume=resume, force=force, json=json, quiet=quiet
    )


def train_and_keep(
    recipe: Train,
    name: str,
    *,
    film: Sequence[Path] | None = None,
    device: str = "auto",
    resume: bool = False,
    force: bool = False,
    json: bool = False,
    quiet: bool = False,
) -> int:
    """Train, show the table, test, and write the network's folder. Gives the exit code.

    `film` is None for no film, or where to put it: nothing named is film.html and film.webp in the folder. A
    training that goes on replaces the film that was kept when it was stopped.
    """
    from lanterna.networks.trained import is_trained, trained_folder
    from lanterna.recipes.film import Film
    from lanterna.recipes.results import examine, keep
    from lanterna.recipes.training import train as training
    from lanterna.surfaces.film import check_places, save

    folder = trained_folder(name)
    checkpoint = folder / "checkpoint.pt"
    if not (resume or force):
        if is_trained(name):
            raise UsageError(f"{folder} has a network already: -o gives another name, --force trains it anew")
        if checkpoint.exists():
            raise UsageError(f"{folder} has an unfinished training: --resume goes on, --force starts anew")
    if resume and is_trained(name) and not checkpoint.exists():
        raise UsageError(f"the training in {folder} is finished: --force trains it anew")
    places = list(dict.fromkeys(film or (folder / "film.html", folder / "film.webp")))
    if film is not None:
        check_places(places, force=force or resume)
    fetch_missing("mnist", quiet=quiet)

    snapshots = folder / "film.pt"
    filmed = Film(recipe, snapshots, resume=resume) if film is not None else None
    begun = time.perf_counter()
    also_at = filmed.steps if filmed else ()
    frames = training(recipe, device=device, checkpoint=checkpoint, resume=resume, also_at=also_at)
    frame = None
    with stoppable() as stop_wished, watching(quiet=quiet) as watch, filmed or contextlib.nullcontext():
        for frame in frames:
            watch(frame)
            if filmed:
                filmed.watch(frame)
            if stop_wished():
                break
        frames.close()
    seconds = time.perf_counter() - begun
    assert frame is not None
    stopped = frame.step < frame.steps
    results = examine(frame.network, recipe)
    summary = keep(folder, frame.network, recipe, results, frame.history, seconds)
    summary = {"folder": str(folder), "finished": not stopped, **summary}
    if filmed:
        for place in places:
            save(filmed, place, force=force or resume)
        summary["film"] = [str(place) for place in places]
    if json:
        emit_json(summary)
    else:
        say(
            f"{results.accuracy:.2%} of the 10,000 test digits read right, after {seconds:.1f} s", quiet=quiet
        )
        say(f"kept in {folder}: weights, settings, history, confusion.png, mistakes.png", quiet=quiet)
    if filmed:
        say(f"filmed in {' and '.join(map(str, places))}", quiet=quiet)
    if stopped:
        say("stopped early: add --resume to the same command to go on", quiet=quiet)
        return 130
    checkpoint.unlink()
    snapshots.unlink(missing_ok=True)
    return 0


@contextlib.contextmanager
def watching(*, quiet: bool = False) -> Iterator[Callable[["TrainFrame"], None]]:
    """A table that grows by a row an epoch, over a bar; what it gives shows a frame."""
    with progress("training", quiet=quiet) as update:

        def watch(frame: "TrainFrame") -> None:
            n = frame.numbers
            if frame.epoch_ended and len(frame.history) == 1:
                say("epoch    loss  training  validation  digits a second", quiet=quiet)
            update(frame.step, frame.steps, f"loss {n['loss']:.4f}  {n['training_accuracy']:.2%}")
            if frame.epoch_ended:
                validation = f"{n['validation_accuracy']:.2%}" if "validation_accuracy" in n else "none"
                row = f"{n['epoch']:5.0f}  {n['loss']:.4f}  {n['training_accuracy']:8.2%}  {validation:>10}"
                say(f"{row}  {n['examples_a_second']:15,.0f}", quiet=quiet)

        yield watch
