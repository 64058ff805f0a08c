"""Lanterna: classify and generate images with deep neural networks, and inspect those networks.

    import lanterna

    for frame in lanterna.train(lanterna.Train(network="conv")):
        print(frame.step, "of", frame.steps, frame.numbers)
    lanterna.read("page.jpg", network=frame.network).text

Importing it is quick: torch is imported by the first function that needs it.
"""

from __future__ import annotations

import os
from importlib import import_module

TYPE_CHECKING = False  # importing typing would double the time until the command line starts
if TYPE_CHECKING:
    from lanterna.errors import LanternaError, MissingError, UsageError
    from lanterna.images import Recipe, open_picture, read_recipe, save_picture
    from lanterna.images.folders import gather
    from lanterna.lessons.answers import check
    from lanterna.networks import InputSpec, Network, open_network
    from lanterna.probes.look import Look, look
    from lanterna.probes.paths import Paths, paths
    from lanterna.surfaces import notebook
    from lanterna.surfaces.notebook.lessons import exercises, lesson
    from lanterna.techniques.classify.algorithm import Classify, classify
    from lanterna.techniques.dream.algorithm import Dream, dream
    from lanterna.techniques.feature.algorithm import Feature, feature
    from lanterna.techniques.paint.algorithm import Paint, paint
    from lanterna.techniques.paint.painting import Painting, open_painting
    from lanterna.techniques.paint.race import Race, race
    from lanterna.techniques.paint.random_picture import RandomPicture, random_picture
    from lanterna.techniques.read.algorithm import Read, read
    from lanterna.techniques.style.algorithm import Stylize, style
    from lanterna.techniques.style.instant import Instant, instant
    from lanterna.techniques.teach.algorithm import teach
    from lanterna.techniques.teach.settings import Teach
    from lanterna.techniques.technique import Frame, Settings
    from lanterna.techniques.train.algorithm import train
    from lanterna.techniques.train.settings import Train

__version__ = "0.1.0"

# After each small operation torch's threads wait for each other, by default in a busy loop of several
# milliseconds: next to another busy program, training steps then take fifty times as long. Sleeping after
# some tens of microseconds costs nothing on an idle machine. GNU's OpenMP reads this variable when torch is
# imported; a value that the user has set is left alone.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

_EXPORTS = {
    "lanterna.errors": ("LanternaError", "MissingError", "UsageError"),
    "lanterna.images": ("Recipe", "open_picture", "read_recipe", "save_picture"),
    "lanterna.lessons.answers": ("check",),
    "lanterna.images.folders": ("gather",),
    "lanterna.networks": ("InputSpec", "Network", "open_network"),
    "lanterna.probes.look": ("Look", "look"),
    "lanterna.probes.paths": ("Paths", "paths"),
    "lanterna.techniques.classify.algorithm": ("Classify", "classify"),
    "lanterna.techniques.paint.random_picture": ("RandomPicture", "random_picture"),
    "lanterna.techniques.dream.algorithm": ("Dream", "dream"),
    "lanterna.techniques.feature.algorithm": ("Feature", "feature"),
    "lanterna.techniques.style.instant": ("Instant", "instant"),
    "lanterna.techniques.paint.algorithm": ("Paint", "paint"),
    "lanterna.techniques.paint.race": ("Race", "race"),
    "lanterna.techniques.paint.painting": ("Painting", "open_painting"),
    "lanterna.techniques.read.algorithm": ("Read", "read"),
    "lanterna.techniques.technique": ("Frame", "Settings"),
    "lanterna.techniques.style.algorithm": ("Stylize", "style"),
    "lanterna.techniques.teach.settings": ("Teach",),
    "lanterna.techniques.teach.algorithm": ("teach",),
    "lanterna.techniques.train.settings": ("Train",),
    "lanterna.techniques.train.algorithm": ("train",),
    "lanterna.surfaces.notebook.lessons": ("exercises", "lesson"),
}

__all__ = [
    "Classify",
    "Dream",
    "Feature",
    "Frame",
    "InputSpec",
    "Instant",
    "LanternaError",
    "Look",
    "MissingError",
    "Network",
    "Paint",
    "Painting",
    "Paths",
    "Race",
    "RandomPicture",
    "Read",
    "Recipe",
    "Settings",
    "Stylize",
    "Teach",
    "Train",
    "UsageError",
    "check",
    "classify",
    "dream",
    "exercises",
    "feature",
    "gather",
    "instant",
    "lesson",
    "look",
    "notebook",
    "open_network",
    "open_painting",
    "open_picture",
    "paint",
    "paths",
    "race",
    "random_picture",
    "read",
    "read_recipe",
    "save_picture",
    "style",
    "teach",
    "train",
]


def __getattr__(name: str) -> object:
    if name == "notebook":
        return import_module("lanterna.surfaces.notebook")
    for module, names in _EXPORTS.items():
        if name in names:
            value = getattr(import_module(module), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'lanterna' has no attribute {name!r}")
