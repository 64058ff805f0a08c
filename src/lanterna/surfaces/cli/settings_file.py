"""Read `lanterna.toml`: defaults for the options of verbs.

A folder may come from a stranger, and others may write into shared ones. So the file is used only if it
belongs to this user and nobody else can write it; it is searched for no further up than the project or the
home folder; and it can set numbers and names, but nothing that lets others in: see `FORBIDDEN`.
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
    "trust", "force", "forget", "host", "allow", "token", "output",
    "engine", "address", "nodes", "node_rank",  # a cluster can run code on this machine
    "sweep", "set", "changes", "words",  # settings as text, which may name a network
}  # fmt: skip
"""Options that a settings file can never set; nor can it set any path, or a network that runs code."""
_MAX_SIZE = 65_536  # bytes


def fill_in(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Set the options that neither the command line nor the environment sets.

    Errors: `UsageError` if the file is not valid, or sets what it must not.
    """
    if commands == ("doctor",):  # it has no such options, and reports itself what is wrong with the file
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
    """Return the nearest settings file, or None; print a line if it is ignored as unsafe.

    It is searched for in the current folder and those above, up to the project (a folder with `.git` or
    `pyproject.toml`) or the home folder; outside both, only in the current folder.
    """
    path, reason = _nearest()
    if path is not None and reason is not None:
        print(f"lanterna: {one_line(f'{path} is ignored: {reason}')}", file=sys.stderr)
        return None
    return path


def _nearest() -> tuple[Path | None, str | None]:
    """Return the nearest settings file, and why it is unsafe, or None if it is safe."""
    try:
        current = Path.cwd()
    except OSError:  # the current folder was removed
        return None, None
    for folder in _search_path(current):
        path = folder / NAME
        if os.path.lexists(path):
            return path, _why_unsafe(path)
    return None, None


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings of each verb.

    Errors: `UsageError` if the file is not valid, or sets what it must not.
    """
    try:
        with open_regular(path) as file:
            content = file.read(_MAX_SIZE + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > _MAX_SIZE:
        raise UsageError(f"{path} is too large for a settings file: expected at most {_MAX_SIZE:,} bytes")
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
        f"{path}: [{section}] {option}: a settings file cannot set {what}: "
        "remove the line, and give the option on the command line"
    )


def _search_path(current: Path) -> list[Path]:
    """Return the folders to search, nearest first."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (it never fails)
    folders = []
    for folder in (current, *current.parents):
        folders.append(folder)
        if folder == home or (folder / ".git").exists() or (folder / "pyproject.toml").exists():
            return folders
    return [current]


def _why_unsafe(path: Path) -> str | None:
    """Return why a file is not safe to use, or None if it is."""
    if not hasattr(os, "getuid"):
        return None  # Windows has no such owners and modes
    try:
        status = path.stat()
    except OSError:
        return None  # reading it raises the error
    if status.st_uid != os.getuid():
        return "it belongs to another user"
    own_group = status.st_gid == status.st_uid  # many systems give each user their own group
    if status.st_mode & (stat.S_IWOTH if own_group else stat.S_IWOTH | stat.S_IWGRP):
        return "other users can write to it (chmod go-w prevents that)"
    return None


def _is_called(argument: Argument, option: str) -> bool:
    return option.replace("_", "-") in {name.lstrip("-").replace("_", "-") for name in argument.names}


def _takes_path(argument: Argument) -> bool:
    return "Path" in str(argument.hint)


def _texts(value: object) -> Iterator[str]:
    """Yield all strings in a TOML value; of `KEY=VALUE`, the value."""
    if isinstance(value, str):
        yield value.rpartition("=")[2]
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))


def facts() -> Mapping[str, object]:
    """Return which file is used and what it sets, for `lanterna doctor`.

    Errors: `UsageError` if the file is unsafe; those of `read_settings`.
    """
    path, reason = _nearest()
    if path is None:
        return {"file": None}
    if reason is not None:
        raise UsageError(f"{path} is ignored: {reason}")
    return {"file": str(path)} | {
        f"{section}.{option}": value
        for section, options in read_settings(path).items()
        for option, value in options.items()
    }
