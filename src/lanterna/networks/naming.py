"""What a network that is to be is called, and where it goes."""

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
    """The letters and digits of a text as the name of a network; nothing where it has none."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")


def choose_name(wanted: str, usual: str = "", *, kind: str = "", taken: Container[str] = ()) -> str:
    """The name of a network that is to be among those trained here.

    It is the one that is wanted, or the usual one, with a number where that is taken; `kind` is the network
    that it is made from, and `taken` are names that will soon be those of networks.

    Errors: `UsageError` for what is no name, and for one that is taken.
    """
    if not wanted:
        names = [usual, *(f"{usual}-{number}" for number in range(2, 10_000))]
        wanted = next(name for name in names if name not in taken and not is_trained(name))
    elif not _NAME.fullmatch(wanted):
        raise UsageError(f"a network's name has small letters, digits and -, up to 40, got {wanted[:60]!r}")
    elif wanted in taken or trained_folder(wanted).exists():
        raise UsageError(f"there is a network {wanted!r} already: give another name")
    _check_is_free(wanted, kind)
    return wanted


def output_folder(name: str, *, kind: str = "", resume: bool = False, force: bool = False) -> Path:
    """The folder of a network that is to be, by its name or the folder itself; `kind` as in `new_name`.

    It has to be free, unless what is there is to be replaced (`force`) or work taken up (`resume`).
    Errors: `UsageError`; `MissingError` where there is no work to take up.
    """
    folder = trained_folder(name)
    if folder == trained_folder(folder.name):
        _check_is_free(name, kind)
    if not folder.name.isprintable() or ":" in folder.name:
        raise UsageError(f"a network cannot be called {name[:60]!r}: use letters, digits, - and _")
    unfinished = (folder / CHECKPOINT).exists()
    if resume and not unfinished:
        if is_trained(name):
            raise UsageError(f"the work in {folder} is finished: --force makes the network anew")
        raise MissingError(f"nothing to resume at {folder / CHECKPOINT}: start without --resume")
    if resume or force:
        return folder
    if is_trained(name):
        raise UsageError(f"{folder} has a network already: -o gives another name, --force makes it anew")
    if unfinished:
        raise UsageError(f"{folder} has unfinished work: --resume goes on, --force starts anew")
    ours = (PLAN, WEIGHTS)
    if folder.is_dir() and any(folder.iterdir()) and not any((folder / each).exists() for each in ours):
        raise UsageError(f"{folder} has other files in it: -o gives another folder, --force uses this one")
    return folder


def _check_is_free(name: str, kind: str) -> None:
    """Errors: `UsageError` for a name by which another network would be opened."""
    if name in BUILT_IN and not {name, kind} <= DIGIT_NETWORKS.keys():
        raise UsageError(f"{name} is the name of a network of Lanterna's own: give another name")
