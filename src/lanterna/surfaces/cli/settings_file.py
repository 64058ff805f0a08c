"""`lanterna.toml`: defaults for the options of verbs, from a file that this user wrote.

A folder may come from a stranger, and other users write into shared ones. So a file counts only where it is
this user's and nobody else can write it, it is looked for no further up than the project or the home folder,
and it can give numbers and names, but nothing that opens a door: see `FORBIDDEN`.
"""

from __future__ import annotations

import os
import stat
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts.config import Dict

from lanterna.documents import runs_code
from lanterna.errors import UsageError, one_line
from lanterna.files import open_regular
from lanterna.surfaces.cli import verbs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cyclopts import App, Argument, ArgumentCollection

NAME = "lanterna.toml"
FORBIDDEN = {
    "trust", "force", "host", "allow", "token", "output",
    "engine", "address", "nodes", "node_rank",  # who is asked to work can run code here
    "sweep", "set", "changes", "words",  # settings in a text, which may name a network
}  # fmt: skip
"""Options that a settings file can never give; nor can it give any path, or a network that runs code."""
_LARGEST = 65_536  # bytes


def fill_in(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Fill in what neither the command line nor the environment gives.

    Errors: `UsageError` where the file is no settings file, or gives what none can.
    """
    if commands == ("doctor",):  # it has no such options, and says itself what is wrong with the file
        return
    path = find_settings()
    if path is None:
        return
    settings = read_settings(path)
    if commands:
        for option in settings.get(commands[0], {}):
            if any(_takes_path(each) for each in arguments if _is_called(each, option)):
                raise UsageError(_refusal(path, commands[0], option, "a path"))
    Dict(data=settings, source=str(path))(app, commands, arguments)


def find_settings() -> Path | None:
    """The nearest settings file that counts, or None; one that does not count is said in one line.

    It lies here or in a folder above, up to the project (a folder with `.git` or `pyproject.toml`) or to the
    home folder; outside of both, only here.
    """
    path, why = _nearest()
    if path is not None and why is not None:
        print(f"lanterna: {one_line(f'{path} is left out: {why}')}", file=sys.stderr)
        return None
    return path


def _nearest() -> tuple[Path | None, str | None]:
    """The nearest settings file, and why it does not count, where it does not."""
    try:
        here = Path.cwd()
    except OSError:  # the folder we are in was removed
        return None, None
    for folder in _searched(here):
        path = folder / NAME
        if os.path.lexists(path):
            return path, _distrusted(path)
    return None, None


def read_settings(path: Path) -> dict[str, Any]:
    """The settings of each verb.

    Errors: `UsageError` where the file is no settings file, or gives what none can.
    """
    try:
        with open_regular(path) as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise UsageError(f"{path} is too large for a settings file: expected at most {_LARGEST:,} bytes")
    try:
        settings = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not a settings file in TOML: {error}") from error
    for section, options in settings.items():
        if section not in verbs() or not isinstance(options, dict):
            raise UsageError(f"{path}: expected sections named after verbs, such as [train], got {section!r}")
        for option, value in options.items():
            if option.replace("-", "_").lower() in FORBIDDEN:
                raise UsageError(_refusal(path, section, option, option))
            if any(map(runs_code, _texts(value))):
                raise UsageError(_refusal(path, section, option, "a network that runs code"))
    return settings


def _refusal(path: Path, section: str, option: str, what: str) -> str:
    return (
        f"{path}: [{section}] {option}: a settings file cannot give {what}: "
        "remove the line, and say it each time"
    )


def _searched(here: Path) -> list[Path]:
    """The folders that are searched, the nearest first."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (it never fails)
    folders = []
    for folder in (here, *here.parents):
        folders.append(folder)
        if folder == home or (folder / ".git").exists() or (folder / "pyproject.toml").exists():
            return folders
    return [here]


def _distrusted(path: Path) -> str | None:
    """Why a file does not count, or None where it does."""
    if not hasattr(os, "getuid"):
        return None  # Windows has no owners and modes of this kind
    try:
        status = path.stat()
    except OSError:
        return None  # whoever reads it says what is wrong
    if status.st_uid != os.getuid():
        return "it is another user's"
    own_group = status.st_gid == status.st_uid  # many systems give each user a group of their own
    if status.st_mode & (stat.S_IWOTH if own_group else stat.S_IWOTH | stat.S_IWGRP):
        return "other users can write it (chmod go-w makes it yours alone)"
    return None


def _is_called(argument: Argument, option: str) -> bool:
    return option.replace("_", "-") in {name.lstrip("-").replace("_", "-") for name in argument.names}


def _takes_path(argument: Argument) -> bool:
    return "Path" in str(argument.hint)


def _texts(value: object) -> Iterator[str]:
    """All texts in a value of TOML; of `KEY=VALUE` the value."""
    if isinstance(value, str):
        yield value.rpartition("=")[2]
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))


def facts() -> Mapping[str, object]:
    """Which file is used here, and what it sets, for `lanterna doctor`.

    Errors: `UsageError` for one that does not count, and as `read_settings`.
    """
    path, why = _nearest()
    if path is None:
        return {"file": None}
    if why is not None:
        raise UsageError(f"{path} is left out: {why}")
    return {"file": str(path)} | {
        f"{section}.{option}": value
        for section, options in read_settings(path).items()
        for option, value in options.items()
    }
