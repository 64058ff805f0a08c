"""The names of what networks answer with."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING

from lanterna import shelf
from lanterna.errors import UsageError

if TYPE_CHECKING:
    from lanterna.networks.network import Network

# Where the shelf's list explains instead of naming, or has one name for two classes: ImageNet's own words.
_PLAINER = {282: "tiger cat", 638: "maillot", 744: "projectile", 837: "dark glasses", 998: "ear of grain"}


def imagenet_classes() -> tuple[str, ...]:
    """The 1,000 names of ImageNet's classes in the order that networks are trained in.

    Errors: `MissingError` where the names are not on the shelf and cannot be fetched.
    """
    names: list[str] = json.loads(
        (shelf.need("imagenet-classes") / "imagenet1k_clean_names.json").read_text("utf-8")
    )
    return tuple(_PLAINER.get(index, name) for index, name in enumerate(names))


def numbered_classes(count: int) -> tuple[str, ...]:
    """`class 0`, `class 1`, …: for a network whose classes have no names that we know."""
    return tuple(f"class {index}" for index in range(count))


def class_index(name: str, network: Network) -> int:
    """The number of a class, given by its number or its name in any case.

    Errors: `UsageError` where the network has no classes or none of that name; it tells which come near.
    """
    names = [each.casefold() for each in network.classes]
    if not names:
        raise UsageError(f"{network.name} has no classes to choose from")
    if name.casefold() in names:
        return names.index(name.casefold())
    if name.isascii() and name.isdigit() and int(name) < len(names):
        return int(name)
    near = [each for each in network.classes if name.casefold() in each.casefold()]
    near += difflib.get_close_matches(name, network.classes, 3)
    hint = f"did you mean {', '.join(dict.fromkeys(near[:5]))}?" if near else "give a number"
    raise UsageError(f"{network.name} has no class {name[:60]!r} and has {len(names)} of them: {hint}")
