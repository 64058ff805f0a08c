"""Choose the name and folder of a new network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lanterna.errors import MissingError, UsageError
from lanterna.networks.catalogue import BUILT_IN, DIGIT_NETWORKS
from lanterna.networks.trained import CHECKPOINT, PLAN, WEIGHTS, is_trained, trained_folder

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def slugify(text: str) -> str:
    """Turn a text into a network name of letters, digits and hyphens; empty if it has neither."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")


def choose_name(requested: str, default: str = "", *, kind: str = "", taken: Container[str] = ()) -> str:
    """Choose the name of a new network among those trained locally.

    Return the requested name, or the default one, numbered if it is taken. `kind` is the built-in network
    that the new one is trained from, and `taken` are names reserved for networks still in training.

    Errors: `UsageError` if the requested name is invalid or taken.
    """
    if not requested:
        candidates = [default, *(f"{default}-{number}" for number in range(2, 10_000))]
        name = next(name for name in candidates if name not in taken and not is_trained(name))
    elif not _NAME.fullmatch(requested):
        raise UsageError(
            f"expected a network name of up to 40 lower-case letters, digits and -, got {requested[:60]!r}"
        )
    elif requested in taken or trained_folder(requested).exists():
        raise UsageError(f"there is already a network {requested!r}: give another name")
    else:
        name = requested
    _check_not_built_in(name, kind)
    return name


def output_folder(name: str, *, kind: str = "", resume: bool = False, force: bool = False) -> Path:
    """Return the folder of a new network, given by its name or as a path; `kind` as in `choose_name`.

    The folder must not be in use, unless it is to be overwritten (`force`) or training resumed (`resume`).
    Errors: `UsageError`; `MissingError` if there is nothing to resume.
    """
    folder = trained_folder(name)
    if folder == trained_folder(folder.name):
        _check_not_built_in(name, kind)
    if not folder.name.isprintable() or ":" in folder.name:
        raise UsageError(f"a network cannot be called {name[:60]!r}: use letters, digits, - and _")
    unfinished = (folder / CHECKPOINT).exists()
    if resume and not unfinished:
        if is_trained(name):
            raise UsageError(f"the network in {folder} is finished: --force trains it again")
        raise MissingError(f"nothing to resume at {folder / CHECKPOINT}: start without --resume")
    if resume or force:
        return folder
    if is_trained(name):
        raise UsageError(f"{folder} already has a network: -o gives another name, --force replaces it")
    if unfinished:
        raise UsageError(f"{folder} has unfinished work: --resume continues it, --force starts again")
    network_files = (folder / PLAN, folder / WEIGHTS)
    if folder.is_dir() and any(folder.iterdir()) and not any(file.exists() for file in network_files):
        raise UsageError(f"{folder} has other files in it: -o gives another folder, --force uses this one")
    return folder


def _check_not_built_in(name: str, kind: str) -> None:
    """Raise UsageError if the name is that of another, built-in network."""
    if name in BUILT_IN and not {name, kind} <= DIGIT_NETWORKS.keys():
        raise UsageError(f"{name} is the name of a built-in network: give another name")
