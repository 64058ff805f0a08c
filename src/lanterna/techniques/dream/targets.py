"""Targets in words, `block9`, `block9:31,40`, `block9:strongest4`, `block5*-0.5`, and their objectives.

A target names a layer, perhaps channels of it, and perhaps a weight; or a class and perhaps a weight.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lanterna.errors import UsageError
from lanterna.networks import class_index
from lanterna.probes import objectives

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from lanterna.networks import Network
    from lanterna.probes.objectives import Objective

_RANKS = ("strongest", "weakest", "average")
_TARGET = re.compile(
    r"(?P<layer>[^:*\s]+)(?::(?P<channels>\d+(?:,\d+)*|(?P<rank>strongest|weakest|average)(?P<count>\d*)))?"
    r"(?:\*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+)))?"
)
_CLASS = re.compile(r"(?P<name>.+?)(?:\*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+)))?")


@dataclass(frozen=True)
class Target:
    """More of what a layer sees: all of it, these `channels`, or the `count` channels of a `rank`."""

    layer: str
    channels: tuple[int, ...] = ()
    rank: str = ""
    count: int = 1
    weight: float = 1.0

    @classmethod
    def read(cls, text: str) -> Target:
        """Read a target from its words. Errors: `UsageError`."""
        found = _TARGET.fullmatch(text.strip())
        if not found:
            raise UsageError(
                "expected a target such as block9, block9:31,40, block9:strongest4 or block9*-0.5, "
                f"got {text[:60]!r}"
            )
        listed = "" if found["rank"] else found["channels"] or ""
        return cls(
            found["layer"],
            tuple(int(part) for part in listed.split(",") if part),
            found["rank"] or "",
            max(1, int(found["count"] or 1)),
            float(found["weight"] or 1),
        )


def read_class(text: str) -> tuple[str, float]:
    """A class and its weight from words: `goldfish`, `goldfish*2`. Errors: `UsageError`."""
    found = _CLASS.fullmatch(text.strip())
    if not found:
        raise UsageError(f"expected a class such as goldfish or goldfish*2, got {text[:60]!r}")
    return found["name"], float(found["weight"] or 1)


def build_objective(
    network: Network,
    targets: Sequence[Target],
    classes: Sequence[tuple[str, float]],
    start: Tensor,
    guide: Tensor | None = None,
) -> Objective:
    """Add all targets up to one objective: each counts by its weight and nothing else.

    What layers put out differs by orders of magnitude. So each part is measured in units of what `start`, the
    picture dreaming begins with, `(N, C, H, W)` as the network sees it, has of it: an energy in units of its
    own energy, channels and classes in units of how much their layer varies. With a `guide`, `(1, C, H, W)`
    likewise, targets without channels become similarity to the guide.

    Errors: `UsageError` for a layer, channel or class that is not there.
    """
    if classes and not network.classes:
        raise UsageError(f"{network.name} has no classes: give it a layer in place of one")
    last = list(network.layers)[-1]
    named = [(class_index(name, network), weight) for name, weight in classes]
    layers = frozenset(target.layer for target in targets) | (frozenset({last}) if named else frozenset())
    with torch.no_grad():
        outputs = objectives.layer_outputs(network, start, layers)
        guided = objectives.layer_outputs(network, guide, layers) if guide is not None else {}
    parts = []
    for target in targets:
        output = outputs[target.layer]
        energy = objectives.energy(target.layer)
        std = output.std(correction=0).item()
        if target.rank or target.channels:
            chosen = _ranked(output, target) if target.rank else target.channels
            part, unit = objectives.channels(target.layer, chosen), std
            part.measure(start, outputs)  # says so where there is no such channel
        elif guided:
            part = objectives.guide(target.layer, guided[target.layer])
            unit = part.measure(start, outputs).abs().mean().item()
        else:
            part, unit = energy, energy.measure(start, outputs).mean().item()
        parts.append((target.weight / max(unit, 1e-12)) * part)
    for index, weight in named:
        unit = outputs[last].std(correction=0).item()
        parts.append((weight / max(unit, 1e-12)) * objectives.logit(index, last))
    return _added(parts)


def _added(parts: Iterable[Objective]) -> Objective:
    first, *others = parts
    for other in others:
        first = first + other
    return first


def _ranked(output: Tensor, target: Target) -> tuple[int, ...]:
    """The channels of a layer's output whose mean over this picture is largest, smallest or in the middle."""
    means = output.flatten(2).mean((0, 2)) if output.dim() > 2 else output.mean(0)
    order = means.argsort(descending=True).tolist()
    count = min(target.count, len(order))
    if target.rank == "weakest":
        order = order[::-1]
    elif target.rank == "average":
        first = (len(order) - count) // 2
        order = order[first:]
    return tuple(order[:count])
