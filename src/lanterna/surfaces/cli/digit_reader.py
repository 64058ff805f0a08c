"""Open the network that reads digits, or train it first with its progress shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanterna.networks.catalogue import DIGIT_NETWORKS
from lanterna.networks.trained import CHECKPOINT, is_trained, trained_folder
from lanterna.settings import networks_folder
from lanterna.surfaces.cli import preview
from lanterna.surfaces.cli.common import say
from lanterna.techniques.learned import unfinished
from lanterna.techniques.train import technique

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from lanterna.networks import Network
    from lanterna.techniques.technique import Frame


def watching(*, quiet: bool = False) -> AbstractContextManager[Callable[[Frame], None]]:
    """Show the training: a table with a row for each epoch, above a progress bar."""
    train = technique.TRAIN
    return preview.watching("training", train.describe, train.log_lines, quiet=quiet)


def open_or_train(name: str, *, device: str, quiet: bool = False, chosen: bool = True) -> Network:
    """Open a network that reads digits; train it first if it does not exist yet.

    `chosen` says whether the command's --network could choose another one.

    Errors: those of `lanterna.techniques.train.technique.open_or_train`.
    """
    if name not in ("conv", "dense") or is_trained(name):
        return technique.open_or_train(name, device=device)
    stopped = unfinished(networks_folder() / name).exists()
    first = "its training, which was stopped, continues" if stopped else "training it first, once"
    others = [other for other in DIGIT_NETWORKS if chosen and is_trained(other)]
    instead = f"; --network {others[0]} uses the one that is there" if others else ""
    say(f"there is no network {name} yet: {first}{instead}", quiet=quiet)
    if (trained_folder(name) / CHECKPOINT).exists():
        say(f"a training of {name} was stopped: lanterna train {name} --resume continues it", quiet=quiet)
    with watching(quiet=quiet) as watch:
        return technique.open_or_train(name, device=device, watch=watch)
