"""`lanterna train`: a digit network learns, with a table that grows by a row an epoch."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from lanterna.errors import UsageError
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
    tell_device,
)
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from lanterna.techniques.train.algorithm import TrainFrame
    from lanterna.techniques.train.parallel import Team


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
    devices: Annotated[
        int, Parameter(validator=Number(gte=1), help="Train on so many devices (or CPU processes) at once.")
    ] = 1,
    nodes: Annotated[
        int, Parameter(validator=Number(gte=1), help="And on so many machines: give the command on each.")
    ] = 1,
    node_rank: Annotated[
        int,
        Parameter(validator=Number(gte=0), help="Which machine this is; 0 is the first, which keeps all."),
    ] = 0,
    address: Annotated[str | None, Parameter(help="Where the machines meet: HOST:PORT of the first.")] = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train a network on MNIST's handwritten digits, and keep it under a name.

    It says the share of the 10,000 test digits that the network reads right, and keeps its weights, its
    settings, its history and its worst mistakes in a folder. Ctrl-C keeps what was learned; --resume goes on.

    Several processes end at the same network as one, sooner: --devices 2 on one machine; on two machines
    --nodes 2 --address HOST:PORT, and --node-rank 1 on the second. torchrun may start it too.
    """
    from lanterna.devices import choose_device
    from lanterna.surfaces.cli.launching import launch
    from lanterna.techniques.train.parallel import in_a_team

    wishes = given(settings)
    network = network or wishes.get("network")
    if network != wishes.get("network", network):
        raise UsageError(f"train {network} with --network {wishes['network']}: say it once")
    start = Train.preset(preset, network)
    recipe = Train.checked({**start, **wishes, "network": start["network"]})
    work = partial(
        train_and_keep, recipe, output or recipe.network, film=film, device=device, resume=resume,
        force=force, json=json, quiet=quiet,
    )  # fmt: skip
    if in_a_team():
        return take_part(work, device)
    if devices == nodes == 1 and not (node_rank or address):
        return work()
    fetch_missing("mnist", quiet=quiet)
    return launch(
        partial(take_part, work, device), choose_device(device), devices=devices, nodes=nodes,
        node_rank=node_rank, address=address,
    )  # fmt: skip


def take_part(work: Callable[..., int], device: str) -> int:
    """What each of several processes does: meet the others, and train with them."""
    from lanterna.devices import choose_device
    from lanterna.techniques.train.parallel import join, leave

    code = work(team=join(choose_device(device)))
    leave()
    return code


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
    team: "Team | None" = None,
) -> int:
    """Train, show the table, test, and write the network's folder. Gives the exit code.

    `film` is None for no film, or where to put it: nothing named is film.html and film.webp in the folder. A
    training that goes on replaces the film that was kept when it was stopped. Of a `team` the first process
    shows and writes; started anew after one was lost, it goes on from the checkpoint.
    """
    from lanterna.networks.trained import CHECKPOINT, is_trained, refuse_strange_files, trained_folder
    from lanterna.surfaces.web.film import check_places, save
    from lanterna.techniques.train.algorithm import train as training
    from lanterna.techniques.train.film import Film, film_steps
    from lanterna.techniques.train.parallel import ALONE, RESTARTS
    from lanterna.techniques.train.results import examine, keep

    folder = trained_folder(name)
    checkpoint = folder / CHECKPOINT
    places = list(dict.fromkeys(film or (folder / "film.html", folder / "film.webp")))

    def check() -> None:
        if not (resume or force):
            if is_trained(name):
                raise UsageError(
                    f"{folder} has a network already: -o gives another name, --force trains it anew"
                )
            if checkpoint.exists():
                raise UsageError(
                    f"{folder} has an unfinished training: --resume goes on, --force starts anew"
                )
            refuse_strange_files(folder)
        if resume and is_trained(name) and not checkpoint.exists():
            raise UsageError(f"the training in {folder} is finished: --force trains it anew")
        if film is not None:
            check_places(places, force=force or resume)
        if not resume:
            checkpoint.unlink(missing_ok=True)  # whoever starts anew after a loss must not find an old one

    team = team or ALONE
    quiet = quiet or not team.first
    if team.restarts:
        resume, force = team.once(checkpoint.exists), True
        say(
            f"a process was lost: all start again{' where they were' if resume else ''} "
            f"(restart {team.restarts} of {RESTARTS})",
            quiet=quiet,
        )
    else:
        team.once(check)
    fetch_missing("mnist", quiet=quiet)
    tell_device(device, quiet=quiet)

    snapshots = folder / "film.pt"
    filmed = Film(recipe, snapshots, resume=resume) if film is not None and team.first else None
    begun = time.perf_counter()
    also_at = film_steps(recipe.steps) if film is not None else ()
    frames = training(recipe, device=device, checkpoint=checkpoint, resume=resume, also_at=also_at, team=team)
    frame = None
    with stoppable() as stop_wished, watching(quiet=quiet) as watch, filmed or contextlib.nullcontext():
        for frame in frames:
            watch(frame)
            if filmed:
                filmed.watch(frame)
            if team.once(stop_wished):
                break
        frames.close()
    seconds = time.perf_counter() - begun
    assert frame is not None
    stopped = frame.step < frame.steps
    if not team.first:
        return 130 if stopped else 0
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
