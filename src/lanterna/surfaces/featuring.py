"""The pictures that `lanterna feature` saves, with their records, made now or made again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanterna.images import make_record
from lanterna.networks import shelf_items
from lanterna.networks.digits import DIGIT_EYE

if TYPE_CHECKING:
    from lanterna.images import Record
    from lanterna.networks import Network
    from lanterna.recipes.feature import Feature, Kernels


def feature_record(recipe: Feature, network: Network) -> Record:
    """How a picture, or a sheet, of what a network wants was made."""
    items = shelf_items(recipe.network)
    if recipe.sheet:
        items += ("mnist",) if network.eye == DIGIT_EYE else ("photographs",)
    return make_record(
        "feature", "sheet" if recipe.sheet else "feature", recipe, network=network,
        device=network.get_buffer("mean").device, network_name=recipe.network, shelf_items=items,
    )  # fmt: skip


def kernels_record(recipe: Kernels, network: Network) -> Record:
    """How a picture of first-layer kernels was made."""
    return make_record(
        "feature", "kernels", recipe, network=network, network_name=recipe.network,
        shelf_items=shelf_items(recipe.network),
    )  # fmt: skip
