"""The names of what networks answer with."""

from __future__ import annotations

import json

from lanterna import shelf

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
