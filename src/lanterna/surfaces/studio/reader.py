"""Answers at once, in a process beside the worker: reading and classifying wait for no job, and no page
waits for them."""

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
from lanterna.surfaces.studio.apart import Apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lanterna.networks import Network
    from lanterna.techniques.read.algorithm import Reading
    from lanterna.techniques.technique import Settings

_Answer = TypeVar("_Answer")
_USUAL = "conv"
_EXPLAINED = 40  # digits of a page, at most, of which it is told why
_PATIENCE = 20.0  # seconds after which an experiment is given up
_LONGEST = 60.0  # seconds after which the process is ended, whatever it does


class Reader:
    """A process that reads. `warm_up` starts it before anybody draws."""

    def __init__(self) -> None:
        self._process = Apart(_LONGEST)
        self.close = self._process.close

    def warm_up(self) -> None:
        """Begin to import what reading needs, and to open the usual network."""
        self._process.begin(_warm_up)

    async def read(
        self, drawing: bytes, network: str, surface: str, *, cut: bool, why: bool
    ) -> dict[str, Any]:
        """The digits of a page or of a pad's drawing; of each, if wanted, what in it speaks for the answer.

        Errors, here and below: `UsageError` where it is no picture, `MissingError` for a network that is not
        here, `LanternaError` where the process ended over it or it took longer than `_LONGEST`.
        """
        return await self._answer(_read, drawing, network, surface, cut, why)

    async def steps(self, drawing: bytes, network: str, surface: str) -> bytes:
        """Every step from a page to what the network sees, as a PNG."""
        return await self._answer(_steps, drawing, network, surface)

    async def classify(self, picture: bytes, network: str, top: int) -> dict[str, Any]:
        """What is in a picture, the likeliest first."""
        return await self._answer(_classify, picture, network, top)

    async def learn(self, lesson: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What a quick lesson's experiment gives. `UsageError` too where it takes longer than `_PATIENCE`."""
        return await self._answer(_learn, lesson, dict(settings))

    async def check(self, lesson: str, exercise: object, answer: object) -> dict[str, Any]:
        """Whether an answer to an exercise is right, and what there is to say; never the answer itself."""
        return await self._answer(_check, lesson, exercise, answer)

    async def _answer(self, does: Callable[..., _Answer], *given: object) -> _Answer:
        try:
            return await self._process.do(does, *given)
        except BrokenProcessPool:
            raise LanternaError(
                "the process that reads has ended: it begins anew, so try once more"
            ) from None


# In the process.

_networks: dict[str, tuple[float, Network]] = {}
_classifiers: dict[str, Network] = {}


def _warm_up() -> None:
    """Read a dot, so that all that is worked out once for a network is worked out before somebody waits."""
    import io

    from PIL import Image

    dot = Image.new("L", (80, 80))
    dot.paste(255, (30, 20, 38, 60))
    file = io.BytesIO()
    dot.save(file, "PNG")
    _read(file.getvalue(), _USUAL, "pad", True, True)


def _learn(name: str, values: dict[str, Any]) -> dict[str, Any]:
    from lanterna.lessons import LESSONS

    if name not in LESSONS:
        raise MissingError(f"there is no lesson {name[:40]!r}: there are {', '.join(LESSONS)}")
    if not LESSONS[name].quick:
        raise UsageError(f"{name} takes a while: start it as a job of the kind learn-{name}")
    settings = LESSONS[name].settings.checked(values)
    with at_most(_PATIENCE):
        return _outcome(name, settings)


def _check(lesson: str, exercise: int, answer: object) -> dict[str, Any]:
    from lanterna.lessons.exercises import check

    with at_most(_PATIENCE):
        reply = check(lesson, exercise, answer)
    return {"right": reply.right, "words": reply.words}


@lru_cache(maxsize=64)  # a control that goes back, and a page that is opened again
def _outcome(name: str, settings: Settings) -> dict[str, Any]:
    from lanterna.lessons import LESSONS
    from lanterna.lessons.documents import outcome_as_json

    return outcome_as_json(LESSONS[name].experiment(settings))


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """A bound on what is done in it, in a process's main thread. Errors: `UsageError` where it is late."""

    def late(*_: object) -> None:
        raise UsageError(f"this takes longer than {seconds:g} seconds: choose smaller numbers")

    # A signal that nobody sends: its handler is called between two of Python's instructions, on every system.
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

    settings, begun = Classify.checked({"network": name, "top": top}), time.perf_counter()
    check_network(name)
    if missing := [item for item in shelf_items(name) if not is_fetched(item)]:
        raise MissingError(f"{name} is not here yet: lanterna shelf fetch {' '.join(missing)}")
    if name not in _classifiers:
        _classifiers[name] = open_network(name, device="cpu", trust=False)
    (found,) = classify([picture], settings, network=_classifiers[name])
    if found.error is not None:
        raise found.error
    answers = [
        {"class": each.index, "name": each.name, "chance": round(each.probability, 4)}
        for each in found.answers
    ]
    return {"answers": answers, "milliseconds": round(1000 * (time.perf_counter() - begun), 2)}


def _why(reading: Reading, network: Network) -> dict[str, Any]:
    """What in the digit speaks for its answer rather than for the second likeliest, in hundredths."""
    from lanterna.probes import paths

    found = paths(network, reading.image, reading.digit, against=reading.runner_up)
    terms = found.contributions["input"].flatten()
    most = terms.abs().max().clamp_min(1e-12)
    return {"rather_than": reading.runner_up, "terms": (terms / most * 100).round().int().tolist()}


def _read(drawing: bytes, name: str, surface: str, cut: bool, why: bool) -> dict[str, Any]:
    from lanterna.techniques.read.algorithm import Read, read

    begun = time.perf_counter()
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
            "seen": [round(value * 255) for value in reading.image.flatten().tolist()],
            "why": _why(reading, network) if why and place < _EXPLAINED else None,
        }
        for place, reading in enumerate(page)
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
