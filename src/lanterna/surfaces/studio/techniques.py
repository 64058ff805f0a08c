"""The studio's techniques: every registered one, and fetching items that the shelf lacks."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from lanterna import shelf
from lanterna.errors import MissingError, UsageError
from lanterna.networks import class_index, layers
from lanterna.networks.catalogue import ALIASES, network_names
from lanterna.networks.classes import imagenet_classes
from lanterna.networks.efficientnet import SCALES
from lanterna.probes.objectives import check_channel
from lanterna.techniques import registry
from lanterna.techniques.dream.targets import Target, read_class
from lanterna.techniques.technique import Frame, Settings, Technique, Work

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from lanterna.techniques.execute import Job


class Fetch(Settings):
    """Fetch an item to the shelf."""

    verb: ClassVar[str] = "fetch"

    item: str = Field(
        default="mnist", description="What to fetch.", json_schema_extra={"enum": list(shelf.ITEMS)}
    )


def _on_the_shelf(settings: Fetch, _: Mapping[str, int]) -> Fetch:
    if settings.item not in shelf.ITEMS:
        raise UsageError(f"the shelf has no {settings.item[:60]!r}: expected one of {', '.join(shelf.ITEMS)}")
    return settings


def _fetch(job: Job) -> Work:
    job.fetch(job.settings.item)
    return Work((frame for frame in [Frame(1, 1)]), lambda *_: [])


@cache
def techniques() -> dict[str, Technique]:
    """Return every technique with an output to look at, by name."""
    fetch = Technique(
        name="fetch", title="Fetch", help="Fetch data or weights to the shelf.", room="shelf",
        settings=Fetch, run=_fetch, check=_on_the_shelf,
    )  # fmt: skip
    visible = {name: each for name, each in registry.all_techniques().items() if each.outputs}
    return {**visible, fetch.name: fetch}


def technique_named(name: str) -> Technique:
    """Return a technique by its name. Errors: `UsageError` if there is none."""
    if name not in techniques():
        if name in registry.load_errors():
            raise UsageError(registry.load_errors()[name])
        raise UsageError(f"there is no kind of job {name[:40]!r}: expected one of {', '.join(techniques())}")
    return techniques()[name]


def checked(
    technique: Technique, preset: str | None, given: Mapping[str, Any], inputs: list[dict[str, str]]
) -> Settings:
    """Return a job's settings, validated as on the command line, with networks known here and no others.

    Errors: `UsageError`, in one line.
    """
    counts: dict[str, int] = {}
    for note in inputs:
        counts[note["role"]] = counts.get(note["role"], 0) + 1
    settings = technique.checked(preset, given, counts)
    for network in technique.networks(settings):
        check_network(network)
    _check_picks(settings)
    return settings


def named_values(technique: Technique, settings: Mapping[str, Any]) -> list[str]:
    """Return the names of the values of a technique's wall that these settings have, as they are read."""
    names = technique.settings.model_json_schema()["properties"].get(technique.wall, {}).get("names", [])
    return [names[number].replace("-", " ") for number in settings.get(technique.wall, ()) if names]


def _check_picks(settings: Settings) -> None:
    """Check the layers, channels and classes of the settings against the network, if it is here already.

    Errors: `UsageError`.
    """
    picked: dict[str, list[str]] = {"target": [], "class": []}
    picked_channels: list[int] = []  # of the layer that the settings name
    for name, field in type(settings).model_fields.items():
        value, extra = getattr(settings, name), field.json_schema_extra
        if isinstance(extra, dict) and value and extra.get("picks") in ("layer", "target", "class"):
            texts = [value] if isinstance(value, str) else [*value]
            picked["class" if extra["picks"] == "class" else "target"] += texts
        elif isinstance(extra, dict) and value is not None and extra.get("picks") == "channel":
            picked_channels += [value] if isinstance(value, int) else [*value]
    network_name = getattr(settings, "network", None)
    if not (any(picked.values()) or picked_channels) or not isinstance(network_name, str):
        return
    try:
        network, found = layers(network_name)
    except MissingError:
        return  # it is trained first
    if network_name in SCALES and not network.classes:  # opened without its weights
        network.classes = imagenet_classes() if shelf.is_fetched("imagenet-classes") else ()
        picked["class"] = picked["class"] if network.classes else []
    channels = {each.name: each.shape[0] for each in found}
    for target in map(Target.read, picked["target"]):
        network.layer(target.layer)
        for index in target.channels:
            check_channel(target.layer, index, channels[target.layer])
    for index in picked_channels:
        layer = getattr(settings, "layer", None) or found[-1].name
        check_channel(layer, index, channels[layer])
    for text in picked["class"]:
        class_index(read_class(text)[0], network)


def check_network(name: str) -> None:
    """Refuse a network whose name is unknown here: it could be a path, or run code.

    Errors: `UsageError`.
    """
    known = network_names()
    if name not in known and name not in ALIASES:
        raise UsageError(
            f"there is no network {name[:60]!r} in the studio: expected one of {', '.join(known)}"
        )
