"""The digit networks that many tests use: trained once, then copied from a cache.

Training takes almost two minutes on a CPU without bfloat16. The cache's key is a hash of the code that trains
them and of the machine's arithmetic, so a change of either trains them again.
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
from lanterna.techniques.imagine.algorithm import new_network
from lanterna.techniques.imagine.network import save_network
from lanterna.techniques.imagine.settings import Imagine
from lanterna.techniques.imagine.technique import learning_of, network_file
from lanterna.techniques.train.technique import open_or_train
from places import ROOT

NAMES = ("conv", "dense")
_SOURCE = Path(lanterna.__file__).parent
_TRAINING_CODE = (
    "devices.py",
    "images/digits.py",
    "networks/*.py",
    "techniques/train/*.py",
    "techniques/evaluation.py",
)


def trained_cache() -> Path:
    """Return the cache folder of the networks that the current code trains."""
    key = hashlib.sha256()
    for pattern in _TRAINING_CODE:
        for file in sorted(_SOURCE.glob(pattern)):
            key.update(file.read_bytes())
    arithmetic = (
        torch.__version__,
        torch.backends.cpu.get_cpu_capability(),
        fast_dtype(choose_device("cpu")),
    )
    key.update(repr(arithmetic).encode())
    return ROOT / "build" / "trained-for-tests" / key.hexdigest()[:16]


def install_trained(home: Path) -> None:
    """Install `conv` and `dense` in a home, as `lanterna read` and `look` train them if they are missing."""
    cache = trained_cache()
    cache.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        with (cache / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the other test processes wait, and copy
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
    """Train the networks before the tests, on all cores, so that no test waits for another."""
    shelf.fetch(shelf.ITEMS)
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "shelf").symlink_to(settings.shelf_folder().resolve(), target_is_directory=True)
        install_trained(Path(home))


if __name__ == "__main__":
    main()


def install_untrained_flow(home: Path) -> Path:
    """Save a network for imagined digits in a home and return its file: as quick as one that has learned."""
    learning = learning_of(Imagine())
    file = home / "networks" / network_file(learning).name
    save_network(new_network(learning), file, learning.model_dump_json())
    return file
