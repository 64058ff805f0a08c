"""Reading a drawing at once, in a thread of the server: it never waits for a job."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from lanterna.errors import MissingError

if TYPE_CHECKING:
    from lanterna.networks import Network


class Reader:
    """One thread that reads, with one of torch's threads. `warm_up` imports torch before anybody draws."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._networks: dict[str, tuple[float, Network]] = {}
        self._training = threading.Event()

    def warm_up(self) -> None:
        """Begin to import what reading needs."""
        self._thread.submit(self._import)

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def read(self, drawing: bytes, network: str, surface: str) -> dict[str, Any]:
        """The digits of a page or of a pad's drawing.

        Errors: `UsageError` where it is no picture, `MissingError` for a network that is not here.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._read, drawing, network, surface)

    def _import(self) -> None:
        import torch

        torch.set_num_threads(1)
        import lanterna.recipes.read
        import lanterna.surfaces.studio.kinds  # noqa: F401

    def _read(self, drawing: bytes, name: str, surface: str) -> dict[str, Any]:
        from lanterna.recipes.read import Read, read

        begun = time.perf_counter()
        recipe = Read.checked({"network": name, "surface": surface})
        page = read(drawing, recipe, network=self._network(name))
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

    def _network(self, name: str) -> Network:
        from lanterna.networks.trained import WEIGHTS, open_trained
        from lanterna.settings import networks_folder

        here = [each.parent for each in networks_folder().glob(f"*/{WEIGHTS}")]
        folder = next((each for each in here if each.name == name), None)
        if folder is None:
            there = ", ".join(each.name for each in here)
            raise MissingError(f"no network {name[:60]!r} has been trained yet: {there or 'there is none'}")
        when = (folder / WEIGHTS).stat().st_mtime
        known = self._networks.get(name)
        if known is None or known[0] != when:
            known = self._networks[name] = when, open_trained(folder)
        return known[1]
