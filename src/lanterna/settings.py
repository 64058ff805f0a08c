"""Where Lanterna keeps things, and the few switches that come from the environment.

`LANTERNA_HOME` moves everything into one folder; without it the platform's own folders are used.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


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


def offline() -> bool:
    """Whether `LANTERNA_OFFLINE` forbids the network."""
    return os.environ.get("LANTERNA_OFFLINE", "").lower() not in ("", "0", "false", "no")


def _home(folder: str) -> Path | None:
    home = os.environ.get("LANTERNA_HOME")
    return Path(home).expanduser() / folder if home else None
