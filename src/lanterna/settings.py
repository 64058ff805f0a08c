"""Where Lanterna keeps things, and the few switches that come from the environment.

`LANTERNA_HOME` moves everything into one folder; without it the platform's own folders are used. What is in
them is for this user alone (`files.make_private`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import platformdirs

from lanterna.errors import UsageError


def shelf_folder() -> Path:
    """The folder of fetched data and weights: a cache that can be fetched again."""
    return _home("shelf") or platformdirs.user_cache_path("lanterna") / "shelf"


def features_folder() -> Path:
    """The folder of what networks saw in pictures: a cache that can be made again."""
    return _home("features") or platformdirs.user_cache_path("lanterna") / "features"


def networks_folder() -> Path:
    """The folder of networks trained on this machine: nobody else has them."""
    return _home("networks") or platformdirs.user_data_path("lanterna") / "networks"


def studio_folder() -> Path:
    """The folder of the studio: its pictures, its gallery and its jobs."""
    return _home("studio") or platformdirs.user_data_path("lanterna") / "studio"


def own_folders() -> list[Path]:
    """Return those of the folders above that are Lanterna's own: one that is a link is somebody's choice."""
    folders = (shelf_folder(), features_folder(), networks_folder(), studio_folder())
    return [folder for folder in folders if not folder.is_symlink()]


def offline() -> bool:
    """Whether `LANTERNA_OFFLINE` forbids the network."""
    return os.environ.get("LANTERNA_OFFLINE", "").lower() not in ("", "0", "false", "no")


def precision() -> Literal["auto", "float32"]:
    """What `LANTERNA_PRECISION` says: `float32` computes as on processors without bfloat16.

    Errors: `UsageError` for anything but `auto` and `float32`.
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
    except RuntimeError as error:  # ~ of somebody who is not on this machine
        raise UsageError(
            f"LANTERNA_HOME: expected a folder, got {home}, and there is no such user"
        ) from error
