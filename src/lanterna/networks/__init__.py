"""Networks as named stages, with their weights: pretrained, trained here, or anyone's."""

from lanterna.networks.cache import cache_networks
from lanterna.networks.catalogue import (
    Listing,
    Stage,
    networks,
    open_network,
    shelf_items,
    stages,
)
from lanterna.networks.classes import class_index
from lanterna.networks.preprocessing import to_input
from lanterna.networks.stages import InputSpec, Network

__all__ = [
    "InputSpec",
    "Listing",
    "Network",
    "Stage",
    "cache_networks",
    "class_index",
    "networks",
    "open_network",
    "shelf_items",
    "stages",
    "to_input",
]
