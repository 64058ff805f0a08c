"""The look page: one picture in one network, as a self-contained HTML file.

A digit network is embedded with its weights, and the page computes it (`web/compute.js`). Any other is
recorded: the outputs of its layers, and their contributions to its top answers (`web/export_activations.py`).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError

from lanterna.errors import UsageError
from lanterna.files import read_regular
from lanterna.images.digits import mnist
from lanterna.networks.trained import is_trained, trained_folder
from lanterna.surfaces.web.export_activations import record
from lanterna.surfaces.web.export_network import embedded
from lanterna.surfaces.web.page import asset, standalone
from lanterna.techniques.train.algorithm import new_network
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor

    from lanterna.networks.network import Network

MAX_DIGIT_PAGE_BYTES = 5_000_000
"""The maximum size of a page for a digit network."""

_DIGITS_PER_CLASS = 10  # test digits of each class to choose from
_MODULES = (
    *("look.js", "compute.js", "computed.js", "integrate.js", "recorded.js", "flow.js", "curves.js"),
    *("layout.js", "lines.js", "canvas.js", "draw.js", "panel.js", "arithmetic.js", "pad.js", "pictures.js"),
    *("controls.js", "keys.js", "state.js", "words.js"),
)  # fmt: skip


def look_page(network: Network, image: Tensor, **options: Any) -> str:  # noqa: ANN401  (those of look_pages)
    """Return the finest page that `look_pages` yields."""
    (page,) = deque(look_pages(network, image, **options), maxlen=1)
    return page


def look_pages(
    network: Network,
    image: Tensor,
    *,
    name: str,
    title: str,
    answer: int | None = None,
    against: int | None = None,
    watch: Callable[[int, int], object] = lambda *_: None,
) -> Iterator[str]:
    """Yield the page as HTML for one input of `network`, `(C, H, W)` in [0, 1], and finer ones if it is slow.

    `name` is the network's name or path, `title` the picture's. `answer` and `against` are the answers to
    explain at first: by default the network's own. `watch` is as in `record`.

    Errors: `UsageError` if the network has no such answer, or the picture does not fit its input.
    """
    start = {key: value for key, value in (("answer", answer), ("against", against)) if value is not None}
    data: dict[str, object] = {"title": title, "name": name, "start": start}
    arrays: dict[str, Tensor]
    exported = embedded(network)
    if exported is not None and _bytes(exported[1]) < 0.9 * MAX_DIGIT_PAGE_BYTES:
        description, arrays = exported
        images, labels = _digits_to_choose()
        data |= {"network": description, "classes": description["classes"], "given": title, "digits": labels}
        arrays = {**arrays, "given": image.float().flatten(), "digits": images}
        untrained = _untrained(name, network)
        if untrained is not None and _bytes(arrays) + _bytes(untrained[1]) < 0.9 * MAX_DIGIT_PAGE_BYTES:
            data["untrained"] = untrained[0]
            arrays |= untrained[1]
        yield _html(title, data, arrays)
        return
    if exported is not None:
        data["why"] = "This network is too large to compute in the page, so one picture was recorded."
    for recording, arrays in record(network, image, answer=answer, against=against, watch=watch):
        yield _html(title, data | recording, arrays)


def drawing_page(network: Network, image: Tensor, *, name: str, title: str, head: str) -> str:
    """Return a page to draw digits in a digit network, without any picture of a data set.

    It begins with `image` `(1, 28, 28)`. The weights are rounded to 16 bits; `head` is HTML above the page.

    Errors: `UsageError` if the page cannot compute the network.
    """
    exported = embedded(network)
    if exported is None:
        raise UsageError(f"{name} has a layer that a page cannot compute: give conv or dense")
    description, weights = exported
    arrays = {key: weight.half() for key, weight in weights.items()} | {"given": image.float().flatten()}
    data = {"title": title, "name": name, "start": {}, "network": description, "given": title}
    return _html(title, data | {"classes": description["classes"]}, arrays, head)


def _html(title: str, data: Mapping[str, object], arrays: Mapping[str, Tensor], head: str = "") -> str:
    return standalone(
        f"{title} – Lanterna",
        sheets=["look.css", *(["site/site.css"] if head else [])],
        modules=_MODULES,
        entry="look.js",
        data=data,
        arrays=arrays,
        body=head + asset("look.html"),
    )


def _bytes(arrays: dict[str, Tensor]) -> float:
    """Return the size of arrays in the page: base64 turns three bytes into four."""
    return sum(array.nbytes for array in arrays.values()) * 4 / 3


def _digits_to_choose() -> tuple[Tensor, list[int]]:
    """Return the first test digits of each class, `(100, 784)` uint8, class after class, and their labels."""
    test = mnist("test")
    first = [(test.labels == digit).nonzero().flatten()[:_DIGITS_PER_CLASS] for digit in range(10)]
    chosen = torch.cat(first)
    return test.images[chosen].flatten(1), test.labels[chosen].tolist()


def _untrained(name: str, network: Network) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Return the network before its training, or None if the recipe of its training is missing."""
    if ":" in name or not is_trained(name):
        return None
    try:
        settings = read_regular(trained_folder(name) / "recipe.json", 2**20)
        start = new_network(Train.model_validate_json(settings)).eval().requires_grad_(False)
    except (OSError, ValidationError):
        return None
    shapes = [tuple(weight.shape) for weight in start.parameters()]
    if shapes != [tuple(weight.shape) for weight in network.parameters()]:
        return None
    return embedded(start, "untrained ")
