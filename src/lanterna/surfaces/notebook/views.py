"""Interactive views in a cell: the live look, a drawing pad, and the widgets of lessons.

Each is one of Lanterna's standalone pages, in a frame that can reach nothing but the cell's model
(`web/cell/cell.js`). The page sends what the user does to Python, and Python can answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import torch
import traitlets

from lanterna.errors import UsageError
from lanterna.images.digits import mnist
from lanterna.images.drawing import layer_sheet
from lanterna.lessons import LESSONS
from lanterna.networks import open_network, shelf_items
from lanterna.probes.look import look as outputs
from lanterna.surfaces.cli.common import fetch_missing
from lanterna.surfaces.notebook.mime import MimeBundle, mime_bundle
from lanterna.surfaces.web.lesson_page import LOOK_LESSONS, WIDGETS, lesson_page
from lanterna.surfaces.web.look_page import look_page
from lanterna.surfaces.web.page import asset, standalone, with_imports
from lanterna.techniques.train.technique import open_or_train

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from lanterna.networks.network import Network

_LOOK_HEIGHT, _PAD_HEIGHT, _PLAY_HEIGHT = 900, 440, 480  # initial heights in pixels
_PIXELS = 28 * 28
_INKS = range(256)


class View(anywidget.AnyWidget):
    """A page in a cell. `from_page` is its last message, `to_page` the last one sent to it."""

    _esm = asset("cell/cell.js")
    page = traitlets.Unicode("").tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)
    height = traitlets.Int(480).tag(sync=True)
    from_page: Any = traitlets.Dict().tag(sync=True)
    to_page: Any = traitlets.Dict().tag(sync=True)

    fallback: Tensor | None = None
    """A picture `(3, H, W)` to show if no view can be."""

    live = ""
    """The lesson whose page of the site shows the same, if there is one."""

    def __repr__(self) -> str:
        return self.title if self.fallback is not None else f"{self.title}: run the cell to use it"

    def _repr_mimebundle_(self, **_: object) -> MimeBundle:
        """Return the view, and a picture to show if it cannot be."""
        return mime_bundle(self.model_id, repr(self), self.fallback, self.live)


class Pad(View):
    """A pad to draw a digit on, which a network reads.

    `image` `(1, 28, 28)` in [0, 1] is the drawing, scaled and centred like MNIST's digits, or None before the
    first. `digit` is what it was read as, `shares` the probability of each digit.
    """

    def __init__(self, network: Network) -> None:
        self._network = network.eval()
        classes = list(network.classes)
        page = standalone(
            "Draw a digit", sheets=["cell/cell.css"], modules=with_imports("cell/pad.js"),
            entry="cell/pad.js", data={"classes": classes}, arrays={}, body="",
        )  # fmt: skip
        super().__init__(page=page, title="A pad to draw a digit on", height=_PAD_HEIGHT)
        self.image: Tensor | None = None
        self.digit: int | None = None
        self.shares: list[float] = []
        self.observe(self._read, "from_page")

    def _read(self, change: Mapping[str, Any]) -> None:
        """Read the drawing that the page sent, and send the result back."""
        pixels, number = change["new"].get("pixels"), change["new"].get("number", 0)
        self.image, self.digit, self.shares = None, None, []
        if isinstance(pixels, list) and len(pixels) == _PIXELS and all(each in _INKS for each in pixels):
            self.image = torch.tensor(pixels, dtype=torch.float32).div(255).view(1, 28, 28)
            with torch.no_grad():
                device = next(self._network.parameters()).device
                shares = self._network(self.image[None].to(device)).softmax(1)[0]
            self.digit, self.shares = int(shares.argmax()), shares.tolist()
        self.to_page = {"number": number, "shares": self.shares}


class LessonWidget(View):
    """A lesson's interactive widget. `settings` follow what the user does, and can be set from Python."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(page=lesson_page(name, settings), title=LESSONS[name].title, height=_PLAY_HEIGHT)
        self.live = name
        self._settings = dict(settings)
        self.observe(self._update, "from_page")

    @property
    def settings(self) -> dict[str, Any]:
        """The current settings, for `lesson`: `lesson("curve", **widget.settings)`."""
        return dict(self._settings)

    @settings.setter
    def settings(self, changes: Mapping[str, Any]) -> None:
        self._settings |= changes
        self.to_page = {"settings": dict(changes)}

    def _update(self, change: Mapping[str, Any]) -> None:
        self._settings |= change["new"].get("settings", {})


def look(network: Network | str, image: Tensor, *, title: str = "A digit") -> View:
    """Show a picture `(C, H, W)` in [0, 1] inside a network, live: hover, switch units off, draw another.

    `network` is a network or its name; `conv` and `dense` are trained first if they do not exist yet.

    Errors: `UsageError` if the network cannot take the picture, `MissingError` if it is not available.
    """
    fetch_missing("mnist")
    name = network if isinstance(network, str) else network.name
    opened = _opened(network)
    view = View(
        page=look_page(opened, image, name=name, title=title), title=f"{title} in {name}", height=_LOOK_HEIGHT
    )
    layers = outputs(opened, image)
    view.fallback = layer_sheet({"picture": image, **layers})
    return view


def pad(network: Network | str = "conv") -> Pad:
    """Show a pad to draw a digit on; the network reads the drawing in Python, while it is drawn.

    Errors: `UsageError` for a network that does not read digits; those of opening it.
    """
    opened = _opened(network)
    if opened.input_spec.channels != 1 or opened.input_spec.size != 28:
        raise UsageError(
            "pad: expected a network that reads digits of 28 × 28: conv, dense, or one you trained"
        )
    return Pad(opened)


def play(name: str, **values: object) -> View:
    """Show the interactive part of a lesson, starting with these settings: a `LessonWidget`, or a live look.

    Errors: `UsageError` for an unknown lesson or setting, or a lesson without an interactive part.
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
        raise UsageError(f"{name} has no interactive part: choose {', '.join((*WIDGETS, *LOOK_LESSONS))}")
    return LessonWidget(name, settings.model_dump(mode="json"))


def _opened(network: Network | str) -> Network:
    """Return the network, or open it by its name; fetch or train it first if needed."""
    if not isinstance(network, str):
        return network
    if network in ("conv", "dense"):
        fetch_missing("mnist")
        return open_or_train(network)
    fetch_missing(*shelf_items(network))
    return open_network(network)
