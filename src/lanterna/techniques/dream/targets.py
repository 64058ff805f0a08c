"""Parse targets such as `block9`, `block9:31,40`, `block9:strongest4`, `block5*-0.5`; build their objective.

A target names a layer, optionally some of its channels, and optionally a weight; or a class and optionally a
weight.
"""

from __future__ import annotations

import functools
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lanterna.errors import UsageError
from lanterna.networks import class_index
from lanterna.probes import objectives

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """A layer to excite: all of it, these `channels`, or the `count` channels of a `rank`."""

    layer: str
    channels: tuple[int, ...] = ()
    rank: str = ""
    count: int = 1
    weight: float = 1.0

    @classmethod
    def read(cls, text: str) -> Target:
        """Parse a target. Errors: `UsageError`."""
        match = _TARGET.fullmatch(text.strip())
        if not match:
            raise UsageError(
                "expected a target such as block9, block9:31,40, block9:strongest4 or block9*-0.5, "
                f"got {text[:60]!r}"
            )
        channels = "" if match["rank"] else match["channels"] or ""
        return cls(
            match["layer"],
            tuple(int(part) for part in channels.split(",") if part),
            match["rank"] or "",
            max(1, int(match["count"] or 1)),
            float(match["weight"] or 1),
        )


def read_class(text: str) -> tuple[str, float]:
    """Parse a class and its weight: `goldfish`, `goldfish*2`. Errors: `UsageError`."""
    match = _CLASS.fullmatch(text.strip())
    if not match:
        raise UsageError(f"expected a class such as goldfish or goldfish*2, got {text[:60]!r}")
    return match["name"], float(match["weight"] or 1)


def build_objective(
    network: Network,
    targets: Sequence[Target],
    classes: Sequence[tuple[str, float]],
    start: Tensor,
    guide: Tensor | None = None,
) -> Objective:
    """Add up all targets to one objective, in which each counts by its weight alone.

    The activations of layers differ by orders of magnitude. So each term is normalised by its value for
    `start`, the picture that the dream starts from, `(N, C, H, W)` as preprocessed for the network: an energy
    by the energy there, channels and classes by the std of their layer. With a `guide`, `(1, C, H, W)`,
    targets without channels become similarity to the guide.

    Errors: `UsageError` for a layer, channel or class that does not exist.
    """
    if classes and not network.classes:
        raise UsageError(f"{network.name} has no classes: name a layer instead")
    last = list(network.layers)[-1]
    indices = [(class_index(name, network), weight) for name, weight in classes]
    layers = frozenset(target.layer for target in targets) | (frozenset({last}) if indices else frozenset())
    with torch.no_grad():
        outputs = objectives.layer_outputs(network, start, layers)
        guide_outputs = objectives.layer_outputs(network, guide, layers) if guide is not None else {}
    terms = []
    for target in targets:
        output = outputs[target.layer]
        energy = objectives.energy(target.layer)
        std = output.std(correction=0).item()
        if target.rank or target.channels:
            chosen = _ranked(output, target) if target.rank else target.channels
            term, unit = objectives.channels(target.layer, chosen), std
            term.measure(start, outputs)  # raises if there is no such channel
        elif guide_outputs:
            term = objectives.guide(target.layer, guide_outputs[target.layer])
            unit = term.measure(start, outputs).abs().mean().item()
        else:
            term, unit = energy, energy.measure(start, outputs).mean().item()
        terms.append((target.weight / max(unit, 1e-12)) * term)
    for index, weight in indices:
        unit = outputs[last].std(correction=0).item()
        terms.append((weight / max(unit, 1e-12)) * objectives.logit(index, last))
    return functools.reduce(operator.add, terms)


def _ranked(output: Tensor, target: Target) -> tuple[int, ...]:
    """Return the channels whose mean over a layer's output is largest, smallest or in the middle."""
    means = objectives.with_positions(output).mean((0, 2, 3))
    order = means.argsort(descending=True).tolist()
    count = min(target.count, len(order))
    if target.rank == "weakest":
        order = order[::-1]
    elif target.rank == "average":
        first = (len(order) - count) // 2
        order = order[first:]
    return tuple(order[:count])
