"""Lanterna in notebooks: experiments that display themselves, and interactive views.

    from lanterna import notebook

    notebook.lesson("curve", degree=9)            # an experiment: its idea, its finding and its charts
    notebook.measured("squash")                   # the same of a slow experiment, measured in advance
    notebook.pad()                                # draw a digit, and see what it is read as
    notebook.look("conv", digit)                  # the digit inside the network, live
    notebook.make("dream", "cat.jpg")             # any technique: live frames, with a Stop button
    notebook.techniques("dream")                  # its inputs, presets and settings
    notebook.watch(lanterna.dream(cat))           # any other frames, shown in the same way
    notebook.play("functions")                    # the interactive part of a lesson

Lessons need nothing more; views need anywidget: `pip install "lanterna[notebook]"`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from lanterna.lessons.answers import check
from lanterna.surfaces.notebook.lessons import exercises, lesson, measured

if TYPE_CHECKING:
    from lanterna.surfaces.notebook.listing import techniques
    from lanterna.surfaces.notebook.run import make, watch
    from lanterna.surfaces.notebook.views import look, pad, play

_MODULES = {
    **dict.fromkeys(("make", "watch"), "run"),
    **dict.fromkeys(("look", "pad", "play"), "views"),
    "techniques": "listing",
}

__all__ = [
    "check",
    "exercises",
    "lesson",
    "look",
    "make",
    "measured",
    "pad",
    "play",
    "techniques",
    "watch",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in ("anywidget", "traitlets"):
            raise
        from lanterna.errors import MissingError

        raise MissingError(f'notebook.{name} needs anywidget: pip install "lanterna[notebook]"') from None
