"""The page of one picture in one network: what it is made of, and the file it becomes.

A digit network goes into the page with its weights, and the page computes (`web/compute.js`). Any other is
recorded: what its layers put out, and what contributed to its top answers (`web/export_activations.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import ValidationError

from lanterna.files import read_regular
from lanterna.images.digits import mnist
from lanterna.networks.trained import is_trained, trained_folder
from lanterna.surfaces.web.export_activations import recorded
from lanterna.surfaces.web.export_network import embedded
from lanterna.surfaces.web.page import asset, standalone
from lanterna.techniques.train.algorithm import new_network
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.networks.network import Network

DIGIT_PAGE_MOST = 5_000_000
"""Bytes of a page for a digit, at most."""

_OF_EACH = 10  # test digits of each class that the page offers
_MODULES = (
    *("look.js", "compute.js", "computed.js", "integrate.js", "recorded.js", "flow.js", "curves.js"),
    *("layout.js", "lines.js", "canvas.js", "draw.js", "panel.js", "arithmetic.js", "pad.js", "pictures.js"),
    *("controls.js", "keys.js", "state.js", "words.js"),
)  # fmt: skip


def look_page(
    network: Network,
    image: Tensor,
    *,
    name: str,
    title: str,
    answer: int | None = None,
    against: int | None = None,
) -> str:
    """The whole page, as HTML, for one picture `(C, H, W)` in [0, 1] as `network` sees it.

    `name` is what the network was opened by, `title` what the picture is called. `answer` and `against` are
    what is asked about at first: without them, whatever the network reads.

    Errors: `UsageError` where the network has no such answer, or takes no such picture.
    """
    start = {key: value for key, value in (("answer", answer), ("against", against)) if value is not None}
    data: dict[str, object] = {"title": title, "name": name, "start": start}
    arrays: dict[str, Tensor]
    found = embedded(network)
    if found is not None and _bytes(found[1]) < 0.9 * DIGIT_PAGE_MOST:
        description, arrays = found
        images, labels = _digits_to_choose()
        data |= {"network": description, "classes": description["classes"], "given": title, "digits": labels}
        arrays = {**arrays, "given": image.float().flatten(), "digits": images}
        untrained = _untrained(name, network)
        if untrained is not None and _bytes(arrays) + _bytes(untrained[1]) < 0.9 * DIGIT_PAGE_MOST:
            data["untrained"] = untrained[0]
            arrays |= untrained[1]
    else:
        recording, arrays = recorded(network, image, answer=answer, against=against)
        data |= recording
        if found is not None:
            data["why"] = "This network is too large to compute in a page, so one picture was recorded."
    return standalone(
        f"{title} – Lanterna",
        sheets=["look.css"],
        modules=_MODULES,
        entry="look.js",
        data=data,
        arrays=arrays,
        body=asset("look.html"),
    )


def _bytes(arrays: dict[str, Tensor]) -> float:
    """What arrays take in the page: base64 makes three bytes four."""
    return sum(array.nbytes for array in arrays.values()) * 4 / 3


def _digits_to_choose() -> tuple[Tensor, list[int]]:
    """The first test digits of each class, `(100, 784)` uint8, class after class, and what was written."""
    test = mnist("test")
    first = [(test.labels == digit).nonzero().flatten()[:_OF_EACH] for digit in range(10)]
    chosen = torch.cat(first)
    return test.images[chosen].flatten(1), test.labels[chosen].tolist()


def _untrained(name: str, network: Network) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """The network as it was before its training, where the recipe of that is kept beside it."""
    if ":" in name or not is_trained(name):
        return None
    try:
        settings = read_regular(trained_folder(name) / "recipe.json", 2**20)
        start = new_network(Train.model_validate_json(settings)).eval().requires_grad_(False)
    except (OSError, ValidationError):
        return None
    same = [tuple(weight.shape) for weight in start.parameters()]
    if same != [tuple(weight.shape) for weight in network.parameters()]:
        return None
    return embedded(start, "untrained ")
