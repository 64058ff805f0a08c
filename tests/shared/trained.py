"""The digit networks that many tests read with: trained once, then copied from a cache.

Training takes almost two minutes on a CPU without bfloat16. The cache key covers the code that trains the
networks and the arithmetic of the machine; if either changes, they are trained again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import torch

import lanterna
from lanterna import settings, shelf
from lanterna.devices import choose_device, fast_dtype
from lanterna.techniques.train.technique import open_or_train
from places import ROOT

NAMES = ("conv", "dense")
_PACKAGE = Path(lanterna.__file__).parent
_SOURCES = (
    "devices.py",
    "images/digits.py",
    "networks/*.py",
    "techniques/train/*.py",
    "techniques/evaluation.py",
)


def cache_folder() -> Path:
    """Return the folder of the networks that the current code trains."""
    key = hashlib.sha256()
    for pattern in _SOURCES:
        for file in sorted(_PACKAGE.glob(pattern)):
            key.update(file.read_bytes())
    arithmetic = (
        torch.__version__,
        torch.backends.cpu.get_cpu_capability(),
        fast_dtype(choose_device("cpu")),
    )
    key.update(repr(arithmetic).encode())
    return ROOT / "build" / "trained-for-tests" / key.hexdigest()[:16]


def put_trained(home: Path) -> None:
    """Copy `conv` and `dense` into a home folder, as `lanterna read` and `look` would train them."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        with (cache / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # other test processes wait, then copy
            if not (cache / name).exists():
                _train(name, home, cache)
        if not (home / "networks" / name).exists():
            shutil.copytree(cache / name, home / "networks" / name)


def _train(name: str, home: Path, cache: Path) -> None:
    work = cache / f"{name}-{os.getpid()}"
    work.mkdir()
    (work / "shelf").symlink_to((home / "shelf").resolve(), target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANTERNA_HOME", str(work))
        open_or_train(name, device="cpu")
    (work / "networks" / name).rename(cache / name)
    shutil.rmtree(work)


def main() -> None:
    """Train the networks before the tests start, with all cores, so that no test waits for another."""
    shelf.fetch(shelf.ITEMS)
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "shelf").symlink_to(settings.shelf_folder().resolve(), target_is_directory=True)
        put_trained(Path(home))


if __name__ == "__main__":
    main()
