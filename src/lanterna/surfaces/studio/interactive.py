"""Requests that are answered immediately, in a process next to the worker: reading and classifying never
wait for a job, and never block the page."""

from __future__ import annotations

import _thread
import contextlib
import signal
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from lanterna.errors import LanternaError, MissingError, UsageError
from lanterna.surfaces.studio.isolated import IsolatedProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lanterna.networks import Network
    from lanterna.surfaces.studio.messages import Noise
    from lanterna.techniques.imagine.network import FlowNetwork
    from lanterna.techniques.read.algorithm import Reading
    from lanterna.techniques.technique import Settings

_Result = TypeVar("_Result")
_DEFAULT_NETWORK = "conv"
_MAX_EXPLAINED = 40  # digits of a page whose contributions are computed
_MAX_EXPERIMENT_SECONDS = 20.0  # for a lesson's experiment
_MAX_SECONDS = 60.0  # for any call, after which the process is killed


class InteractiveProcess:
    """A process that reads, classifies, imagines and runs quick lessons.

    `warm_up` starts it before the first call.
    """

    def __init__(self) -> None:
        self._process = IsolatedProcess(_MAX_SECONDS)
        self.close = self._process.close

    def warm_up(self) -> None:
        """Start importing what reading needs, and open the default network."""
        self._process.submit(_warm_up)

    async def read(
        self, drawing: bytes, network: str, surface: str, *, cut: bool, why: bool
    ) -> dict[str, Any]:
        """Return the digits of a page or of a pad's drawing, with each pixel's contribution if `why`.

        Errors, here and below: `UsageError` if it is not a picture, `MissingError` if the network has not
        been trained or fetched, `LanternaError` if the process died or took longer than `_MAX_SECONDS`.
        """
        return await self._run(_read, drawing, network, surface, cut, why)

    async def steps(self, drawing: bytes, network: str, surface: str) -> bytes:
        """Return every step from a page to the network's input, as a PNG."""
        return await self._run(_steps, drawing, network, surface)

    async def classify(self, picture: bytes, network: str, top: int) -> dict[str, Any]:
        """Return the classes of a picture, the most probable first."""
        return await self._run(_classify, picture, network, top)

    async def imagine(self, place: Noise) -> dict[str, Any]:
        """Return the digit that is drawn from a place in a plane of noise, as 28 × 28 levels."""
        return await self._run(_imagine, place.model_dump())

    async def run_lesson(self, lesson: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outcome of a quick lesson's experiment.

        Errors: also `UsageError` if it takes longer than `_MAX_EXPERIMENT_SECONDS`.
        """
        return await self._run(_run_lesson, lesson, dict(settings))

    async def check_answer(self, lesson: str, exercise: object, answer: object) -> dict[str, Any]:
        """Return whether an answer to an exercise is right, with feedback; never the right answer itself."""
        return await self._run(_check_answer, lesson, exercise, answer)

    async def _run(self, function: Callable[..., _Result], *args: object) -> _Result:
        try:
            return await self._process.run(function, *args)
        except BrokenProcessPool:
            raise LanternaError("the process that reads has died and is restarting: try again") from None


# In the child process.

_MAX_OPEN = 4  # networks in memory
_networks: dict[str, tuple[float, Network]] = {}  # by name, with the time its weights were saved


def _warm_up() -> None:
    """Read a dot, so that the one-time work for a network is done before the first real call."""
    import io

    from PIL import Image

    dot = Image.new("L", (80, 80))
    dot.paste(255, (30, 20, 38, 60))
    file = io.BytesIO()
    dot.save(file, "PNG")
    _read(file.getvalue(), _DEFAULT_NETWORK, "pad", True, True)


def _run_lesson(name: str, values: dict[str, Any]) -> dict[str, Any]:
    from lanterna.lessons import LESSONS

    if name not in LESSONS:
        raise MissingError(f"there is no lesson {name[:40]!r}: there are {', '.join(LESSONS)}")
    if not LESSONS[name].quick:
        raise UsageError(f"the lesson {name} takes a while: start it as a job of the kind learn-{name}")
    settings = LESSONS[name].settings.checked(values)
    with time_limit(_MAX_EXPERIMENT_SECONDS):
        return _outcome(name, settings)


def _check_answer(lesson: str, exercise: int, answer: object) -> dict[str, Any]:
    from lanterna.lessons.exercises import check

    with time_limit(_MAX_EXPERIMENT_SECONDS):
        reply = check(lesson, exercise, answer)
    return {"right": reply.right, "words": reply.words}


@lru_cache(maxsize=64)  # for a control set back to an earlier value, and a page opened again
def _outcome(name: str, settings: Settings) -> dict[str, Any]:
    from lanterna.lessons import LESSONS
    from lanterna.lessons.documents import outcome_as_json

    return outcome_as_json(LESSONS[name].experiment(settings))


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Limit the time of a block that runs in a process's main thread. Errors: `UsageError` if it is late."""

    def late(*_: object) -> None:
        raise UsageError(f"this takes longer than {seconds:g} seconds: choose smaller numbers")

    # A signal that nobody else sends. Its handler runs between two Python instructions, on every system.
    before = signal.signal(signal.SIGTERM, late)
    timer = threading.Timer(seconds, _thread.interrupt_main, (signal.SIGTERM,))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGTERM, before)


def _steps(drawing: bytes, name: str, surface: str) -> bytes:
    from lanterna.images.drawing import as_png
    from lanterna.techniques.read.algorithm import Read, read
    from lanterna.techniques.read.technique import draw

    settings = Read.checked({"network": name, "surface": surface})
    return as_png(draw(read(drawing, settings, network=_network(name)), "steps"))


def _classify(picture: bytes, name: str, top: int) -> dict[str, Any]:
    from lanterna.networks import open_network, shelf_items
    from lanterna.shelf import is_fetched
    from lanterna.surfaces.studio.techniques import check_network
    from lanterna.techniques.classify.algorithm import Classify, classify

    settings, started = Classify.checked({"network": name, "top": top}), time.perf_counter()
    check_network(name)
    if missing := [item for item in shelf_items(name) if not is_fetched(item)]:
        raise MissingError(f"{name} has not been fetched yet: lanterna shelf fetch {' '.join(missing)}")
    network = _cached(name, lambda: open_network(name, device="cpu", trust=False))
    (found,) = classify([picture], settings, network=network)
    if found.error is not None:
        raise found.error
    answers = [
        {"class": each.index, "name": each.name, "chance": round(each.probability, 4)}
        for each in found.answers
    ]
    return {"answers": answers, "milliseconds": round(1000 * (time.perf_counter() - started), 2)}


def _imagine(place: dict[str, Any]) -> dict[str, Any]:
    import torch

    from lanterna.techniques.imagine.algorithm import draw, noise_at, one_hot
    from lanterna.techniques.imagine.settings import Imagine
    from lanterna.techniques.imagine.technique import learning_of, network_file

    file = network_file(learning_of(Imagine()))
    if not file.is_file():
        raise MissingError("no network has learned to draw digits yet: lanterna imagine")
    network = _flow(file.stat().st_mtime)
    begun = time.perf_counter()
    noise = noise_at(place["seed"], place["across"], place["down"])
    classes = one_hot(torch.tensor([place["digit"]]))
    drawn = draw(network, classes, noise=noise, guidance=place["guidance"], steps=place["steps"])
    return {
        "levels": drawn.mul(255).round().int().flatten().tolist(),
        "milliseconds": round(1000 * (time.perf_counter() - begun), 2),
    }


@lru_cache(maxsize=1)
def _flow(_: float) -> FlowNetwork:
    """Return the open network that draws digits, for the time at which its file was written."""
    from lanterna.techniques.imagine.settings import Imagine
    from lanterna.techniques.imagine.technique import learning_of, open_flow

    return open_flow(learning_of(Imagine()))


def _why(reading: Reading, network: Network) -> dict[str, Any]:
    """Return each pixel's contribution to the answer over the runner-up, in hundredths of the largest."""
    from lanterna.probes import paths

    found = paths(network, reading.image, reading.digit, against=reading.runner_up)
    terms = found.contributions["input"].flatten()
    largest = terms.abs().max().clamp_min(1e-12)
    return {"rather_than": reading.runner_up, "terms": (terms / largest * 100).round().int().tolist()}


def _read(drawing: bytes, name: str, surface: str, cut: bool, why: bool) -> dict[str, Any]:
    from lanterna.techniques.read.algorithm import Read, read

    started = time.perf_counter()
    settings = Read.checked({"network": name, "surface": surface, "cut": cut})
    network = _network(name)
    page = read(drawing, settings, network=network)
    digits = [
        {
            "digit": reading.digit,
            "chances": [round(value, 4) for value in reading.probabilities],
            "confidence": round(reading.confidence, 4),
            "box": [round(value, 1) for value in reading.box],
            "row": reading.row,
            "note": reading.note,
            "input": [round(value * 255) for value in reading.image.flatten().tolist()],
            "why": _why(reading, network) if why and place < _MAX_EXPLAINED else None,
        }
        for place, reading in enumerate(page)
    ]
    width, height = page.size
    took = (time.perf_counter() - started) * 1000
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

    trained = [file.parent for file in networks_folder().glob(f"*/{WEIGHTS}")]
    folder = next((each for each in trained if each.name == name), None)
    if folder is None:
        known = ", ".join(each.name for each in trained) or "none"
        raise MissingError(f"no network {name[:60]!r} has been trained yet: trained so far: {known}")
    return _cached(name, lambda: open_trained(folder))


def _cached(name: str, open_it: Callable[[], Network]) -> Network:
    """Return an open network, or open it if it is new or trained again; let go of the one unused longest."""
    from lanterna.networks.trained import WEIGHTS, is_trained, trained_folder

    modified = (trained_folder(name) / WEIGHTS).stat().st_mtime if is_trained(name) else 0.0
    found = _networks.pop(name, None)
    if found is None or found[0] != modified:
        found = modified, open_it()
    _networks[name] = found
    if len(_networks) > _MAX_OPEN:
        del _networks[next(iter(_networks))]
    return found[1]
