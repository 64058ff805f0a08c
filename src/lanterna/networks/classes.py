"""The names of networks' classes."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING

from lanterna import shelf
from lanterna.errors import UsageError

if TYPE_CHECKING:
    from lanterna.networks.network import Network

# ImageNet's own names, for classes that the shelf's list describes at length or names twice.
_FROM_IMAGENET = {
    282: "tiger cat",
    638: "maillot",
    744: "projectile",
    837: "dark glasses",
    998: "ear of grain",
}


def imagenet_classes() -> tuple[str, ...]:
    """Return the names of ImageNet's 1,000 classes, in the order of the logits.

    Errors: `MissingError` if the names are not on the shelf and cannot be fetched.
    """
    names: list[str] = json.loads(
        (shelf.need("imagenet-classes") / "imagenet1k_clean_names.json").read_text("utf-8")
    )
    return tuple(_FROM_IMAGENET.get(index, name) for index, name in enumerate(names))


def numbered_classes(count: int) -> tuple[str, ...]:
    """Return `class 0`, `class 1`, …: for a network with unnamed classes."""
    return tuple(f"class {index}" for index in range(count))


def class_index(name: str, network: Network) -> int:
    """Return the index of a class, given by its index or its name in any case.

    Errors: `UsageError` if the network has no classes or none of that name; it suggests similar names.
    """
    names = [class_name.casefold() for class_name in network.classes]
    if not names:
        raise UsageError(f"{network.name} has no classes to choose from: try efficientnet-lite0")
    if name.casefold() in names:
        return names.index(name.casefold())
    if name.isascii() and name.isdigit() and int(name) < len(names):
        return int(name)
    similar = [class_name for class_name in network.classes if name.casefold() in class_name.casefold()]
    similar += difflib.get_close_matches(name, network.classes, 3)
    hint = f"did you mean {', '.join(dict.fromkeys(similar[:5]))}?" if similar else "give a class's number"
    raise UsageError(f"{network.name} has no class {name[:60]!r} among its {len(names)} classes: {hint}")
