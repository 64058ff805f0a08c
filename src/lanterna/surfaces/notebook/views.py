"""Views in a cell: the live look, a pad to draw on, and the pieces of lessons that one touches.

Each is one of Lanterna's own pages, whole in itself, in a frame that can reach nothing but the cell's model
(`web/cell/cell.js`). What is done by hand there arrives in Python, and Python may answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import torch
import traitlets

from lanterna.errors import UsageError
from lanterna.images.digits import mnist
from lanterna.images.drawing import sheet_of_layers
from lanterna.lessons import LESSONS
from lanterna.networks import open_network, shelf_items
from lanterna.probes.look import look as outputs
from lanterna.surfaces.cli.common import fetch_missing
from lanterna.surfaces.notebook.mime import MimeBundle, mime_bundle
from lanterna.surfaces.web.looking import look_page
from lanterna.surfaces.web.page import asset, standalone, with_imports
from lanterna.techniques.train.technique import open_or_train

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from lanterna.networks.network import Network

_LOOK, _PAD, _PLAY = 900, 440, 480  # pixels that a view takes up at first
_PIXELS = 28 * 28
_INKS = range(256)

WIDGETS = {
    "gates": "gates", "derivative": "slope", "circuits": "circuit", "neuron": "switch", "layers": "rings",
    "descent": "hill", "curve": "sketch", "functions": "sketch",
}  # fmt: skip
"""What one does by hand in a lesson: the module of `web/lessons/`, as in the studio's room."""

LOOK_LESSONS = ("digit", "paths")
"""Lessons in which one looks inside a digit network."""


class View(anywidget.AnyWidget):
    """A page in a cell. `told` is what it last said, `shown` what it was last told."""

    _esm = asset("cell/cell.js")
    page = traitlets.Unicode("").tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)
    height = traitlets.Int(480).tag(sync=True)
    told: Any = traitlets.Dict().tag(sync=True)
    shown: Any = traitlets.Dict().tag(sync=True)

    fallback: Tensor | None = None
    """A picture `(3, H, W)` for where no view can be shown."""

    def __repr__(self) -> str:
        return self.title if self.fallback is not None else f"{self.title}: run this cell to do it by hand"

    def _repr_mimebundle_(self, **_: object) -> MimeBundle:
        """The view, and a picture for where it cannot be."""
        return mime_bundle(self.model_id, repr(self), self.fallback)


class Pad(View):
    """A pad to draw a digit on, and what a network reads in it.

    `image` `(1, 28, 28)` in [0, 1] is the drawing as MNIST's digits are, scaled and centred; None before one
    is drawn. `digit` is what was read, `shares` the probability of each answer.
    """

    def __init__(self, network: Network) -> None:
        self._network = network.eval()
        classes = list(network.classes)
        page = standalone(
            "Draw a digit", sheets=["cell/cell.css"], modules=with_imports("cell/pad.js"),
            entry="cell/pad.js", data={"classes": classes}, arrays={}, body="",
        )  # fmt: skip
        super().__init__(page=page, title="A pad to draw a digit on", height=_PAD)
        self.image: Tensor | None = None
        self.digit: int | None = None
        self.shares: list[float] = []
        self.observe(self._read, "told")

    def _read(self, change: Mapping[str, Any]) -> None:
        """Read what the page says was drawn, and tell it."""
        pixels, number = change["new"].get("pixels"), change["new"].get("number", 0)
        self.image, self.digit, self.shares = None, None, []
        if isinstance(pixels, list) and len(pixels) == _PIXELS and all(each in _INKS for each in pixels):
            self.image = torch.tensor(pixels, dtype=torch.float32).div(255).view(1, 28, 28)
            with torch.no_grad():
                device = next(self._network.parameters()).device
                shares = self._network(self.image[None].to(device)).softmax(1)[0]
            self.digit, self.shares = int(shares.argmax()), shares.tolist()
        self.shown = {"number": number, "shares": self.shares}


class LessonWidget(View):
    """A lesson's piece to touch. `settings` are what it is set to, by hand or from here."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        piece = f"lessons/{WIDGETS[name]}.js"
        page = standalone(
            LESSONS[name].title, sheets=["chart.css", "lessons/lessons.css", "cell/cell.css"],
            modules=with_imports("cell/play.js", piece),
            entry="cell/play.js", data={"piece": piece, "settings": dict(settings)}, arrays={}, body="",
        )  # fmt: skip
        super().__init__(page=page, title=LESSONS[name].title, height=_PLAY)
        self._settings = dict(settings)
        self.observe(self._moved, "told")

    @property
    def settings(self) -> dict[str, Any]:
        """What it is set to now, as `lesson` takes it: `lesson("curve", **piece.settings)`."""
        return dict(self._settings)

    @settings.setter
    def settings(self, changes: Mapping[str, Any]) -> None:
        self._settings |= changes
        self.shown = {"settings": dict(changes)}

    def _moved(self, change: Mapping[str, Any]) -> None:
        self._settings |= change["new"].get("settings", {})


def look(network: Network | str, image: Tensor, *, title: str = "A digit") -> View:
    """The picture `(C, H, W)` in [0, 1] flowing through a network, live: hover, cut, draw another.

    `network` is a network or the name of one; `conv` and `dense` are trained first where they are not here.

    Errors: `UsageError` where the network takes no such picture, `MissingError` for a network that is absent.
    """
    fetch_missing("mnist")
    name = network if isinstance(network, str) else network.name
    opened = _opened(network)
    view = View(
        page=look_page(opened, image, name=name, title=title), title=f"{title} in {name}", height=_LOOK
    )
    layers = outputs(opened, image)
    view.fallback = sheet_of_layers({"picture": image, **layers})
    return view


def pad(network: Network | str = "conv") -> Pad:
    """A pad to draw a digit on; the network reads what is drawn, in Python, as it is drawn.

    Errors: `UsageError` for a network that does not read digits; those of opening it.
    """
    opened = _opened(network)
    if opened.input_spec.channels != 1 or opened.input_spec.size != 28:
        raise UsageError(
            "pad: expected a network that reads digits of 28 × 28: conv, dense, or one you trained"
        )
    return Pad(opened)


def play(name: str, **values: object) -> View:
    """What one does by hand in a lesson, with these settings at first: a `Piece`, or a live look.

    Errors: `UsageError` for a lesson or a setting that is not there, or a lesson without such a piece.
    """
    if name not in LESSONS:
        raise UsageError(f"unknown lesson {name!r}: the lessons are {', '.join(LESSONS)}")
    settings = LESSONS[name].settings.checked(values)
    if name in LOOK_LESSONS:
        fetch_missing("mnist")
        chosen = settings.model_dump()
        image = mnist("test").images[chosen["digit"]].float() / 255
        return look(chosen.get("network", "conv"), image, title=f"Test digit {chosen['digit']}")
    if name not in WIDGETS:
        raise UsageError(f"{name} has nothing to do by hand: {', '.join((*WIDGETS, *LOOK_LESSONS))} have")
    return LessonWidget(name, settings.model_dump(mode="json"))


def _opened(network: Network | str) -> Network:
    """A network, or the one of that name, fetched or trained where it is not here yet."""
    if not isinstance(network, str):
        return network
    if network in ("conv", "dense"):
        fetch_missing("mnist")
        return open_or_train(network)
    fetch_missing(*shelf_items(network))
    return open_network(network)
