"""Lanterna in the cells of a notebook: experiments that show themselves, and views to touch.

    from lanterna import notebook

    notebook.lesson("curve", degree=9)            # the experiment: its finding and its charts
    notebook.pad()                                # draw a digit, and see what is read
    notebook.look("conv", digit)                  # the digit flowing through the network, live
    notebook.make("dream", "cat.jpg")             # any technique: frames as they come, with a button to stop
    notebook.techniques("dream")                  # what it takes: inputs, presets, settings
    notebook.watch(lanterna.dream(cat))           # any other work, shown in the same way
    notebook.play("functions")                    # a lesson's piece to touch

Lessons and what they find need nothing more; views need anywidget: `pip install "lanterna[notebook]"`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from lanterna.lessons.exercises import check
from lanterna.surfaces.notebook.lessons import exercises, lesson

if TYPE_CHECKING:
    from lanterna.surfaces.notebook.listing import techniques
    from lanterna.surfaces.notebook.run import make, watch
    from lanterna.surfaces.notebook.views import look, pad, play

_PLACES = {
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
    "pad",
    "play",
    "techniques",
    "watch",
]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in ("anywidget", "traitlets"):
            raise
        from lanterna.errors import MissingError

        raise MissingError(
            f'notebook.{name} is shown by anywidget, which is not here: pip install "lanterna[notebook]"'
        ) from None
