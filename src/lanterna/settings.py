"""Lanterna's folders, and its settings in environment variables.

`LANTERNA_HOME` moves all folders into one; without it the platform's folders are used. Only this user can
read them (`files.make_private`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import platformdirs

from lanterna.errors import UsageError


def shelf_folder() -> Path:
    """Return the folder of fetched data and weights: a cache that can be fetched again."""
    return _home("shelf") or platformdirs.user_cache_path("lanterna") / "shelf"


def features_folder() -> Path:
    """Return the folder of features that networks computed: a cache that can be computed again."""
    return _home("features") or platformdirs.user_cache_path("lanterna") / "features"


def networks_folder() -> Path:
    """Return the folder of networks trained on this machine, which exist nowhere else."""
    return _home("networks") or platformdirs.user_data_path("lanterna") / "networks"


def studio_folder() -> Path:
    """Return the studio's folder: its pictures, its gallery and its jobs."""
    return _home("studio") or platformdirs.user_data_path("lanterna") / "studio"


def answers_folder() -> Path:
    """Return the folder of this user's answers to exercises, which exist nowhere else."""
    return _home("answers") or platformdirs.user_data_path("lanterna") / "answers"


def classes_folder() -> Path:
    """Return the folder of the classes that were held on this machine, a file for each."""
    return _home("classes") or platformdirs.user_data_path("lanterna") / "classes"


def own_folders() -> list[Path]:
    """Return the folders above that Lanterna owns: not symbolic links, which the user has set up."""
    caches = (shelf_folder(), features_folder())
    folders = (*caches, networks_folder(), studio_folder(), answers_folder(), classes_folder())
    return [folder for folder in folders if not folder.is_symlink()]


def offline() -> bool:
    """Return whether `LANTERNA_OFFLINE` forbids downloads."""
    return os.environ.get("LANTERNA_OFFLINE", "").lower() not in ("", "0", "false", "no")


def precision() -> Literal["auto", "float32"]:
    """Return `LANTERNA_PRECISION`: `float32` computes as on processors without bfloat16.

    Errors: `UsageError` for any value but `auto` and `float32`.
    """
    match os.environ.get("LANTERNA_PRECISION", "auto"):
        case "auto" | "":
            return "auto"
        case "float32":
            return "float32"
        case other:
            raise UsageError(f"LANTERNA_PRECISION: expected auto or float32, got {other!r}")


def _home(folder: str) -> Path | None:
    home = os.environ.get("LANTERNA_HOME")
    try:
        return Path(home).expanduser() / folder if home else None
    except RuntimeError as error:  # ~name of a user that this machine does not have
        raise UsageError(
            f"LANTERNA_HOME: expected a folder, got {home}, and there is no such user"
        ) from error
