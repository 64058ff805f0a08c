"""Reading a drawing at once, in a process beside the worker: it waits for no job, and no page for it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

from lanterna.errors import LanternaError, MissingError

if TYPE_CHECKING:
    from lanterna.networks import Network

_USUAL = "conv"


class Reader:
    """A process that reads, with one of torch's threads. `warm_up` starts it before anybody draws."""

    def __init__(self) -> None:
        self._process = self._started()

    def warm_up(self) -> None:
        """Begin to import what reading needs, and to open the usual network."""
        self._process.submit(_warm_up)

    def close(self) -> None:
        """Let the process end."""
        self._process.shutdown(wait=False, cancel_futures=True)

    async def read(self, drawing: bytes, network: str, surface: str) -> dict[str, Any]:
        """The digits of a page or of a pad's drawing.

        Errors: `UsageError` where it is no picture, `MissingError` for a network that is not here,
        `LanternaError` where the process ended over it.
        """
        loop, process = asyncio.get_running_loop(), self._process
        try:
            return await loop.run_in_executor(process, _read, drawing, network, surface)
        except BrokenProcessPool:
            if process is self._process:
                self._process = self._started()
            raise LanternaError(
                "the process that reads has ended: it begins anew, so try once more"
            ) from None

    @staticmethod
    def _started() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin)


# In the process.

_networks: dict[str, tuple[float, Network]] = {}


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this one
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    import torch

    torch.set_num_threads(1)


def _end_with_the_server() -> None:
    server = multiprocessing.parent_process()
    assert server is not None
    server.join()
    os._exit(0)


def _warm_up() -> None:
    """Read a dot, so that all that is worked out once for a network is worked out before somebody waits."""
    import io

    from PIL import Image

    dot = Image.new("L", (80, 80))
    dot.paste(255, (30, 20, 38, 60))
    file = io.BytesIO()
    dot.save(file, "PNG")
    _read(file.getvalue(), _USUAL, "pad")


def _read(drawing: bytes, name: str, surface: str) -> dict[str, Any]:
    from lanterna.recipes.read import Read, read

    begun = time.perf_counter()
    recipe = Read.checked({"network": name, "surface": surface})
    page = read(drawing, recipe, network=_network(name))
    digits = [
        {
            "digit": reading.digit,
            "chances": [round(value, 4) for value in reading.probabilities],
            "confidence": round(reading.confidence, 4),
            "box": [round(value, 1) for value in reading.box],
            "row": reading.row,
            "note": reading.note,
            "seen": [round(value * 255) for value in reading.image.flatten().tolist()],
        }
        for reading in page
    ]
    width, height = page.size
    took = (time.perf_counter() - begun) * 1000
    return {
        "digits": digits,
        "text": page.text,
        "notes": list(page.notes),
        "width": width,
        "height": height,
        "milliseconds": round(took, 2),
    }


def _network(name: str) -> Network:
    from lanterna.networks.trained import WEIGHTS, open_trained
    from lanterna.settings import networks_folder

    here = [each.parent for each in networks_folder().glob(f"*/{WEIGHTS}")]
    folder = next((each for each in here if each.name == name), None)
    if folder is None:
        there = ", ".join(each.name for each in here)
        raise MissingError(f"no network {name[:60]!r} has been trained yet: {there or 'there is none'}")
    when = (folder / WEIGHTS).stat().st_mtime
    known = _networks.get(name)
    if known is None or known[0] != when:
        known = _networks[name] = when, open_trained(folder)
    return known[1]
