"""The pictures that `lanterna read` saves, with their records, made now or made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lanterna.images.record import Input, Record, make_record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lanterna.networks.stages import Network
    from lanterna.recipes.read import Read

Made = Literal["page", "steps"]


def record_of(made: Made, recipe: Read, network: Network, inputs: Iterable[str | Path | Input]) -> Record:
    """How a picture of a reading was made."""
    device = next(network.parameters()).device
    return make_record(
        "read", made, recipe, device=device, inputs=inputs, network=network, network_name=recipe.network,
        shelf_items=["mnist"],
    )  # fmt: skip
