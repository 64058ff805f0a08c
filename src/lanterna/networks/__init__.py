"""Networks as named stages, with their weights: pretrained, trained here, or anyone's."""

from lanterna.networks.catalogue import (
    Listing,
    Stage,
    networks,
    open_network,
    shelf_items,
    stages,
)
from lanterna.networks.classes import class_index
from lanterna.networks.kept import keeping_networks
from lanterna.networks.seeing import seen
from lanterna.networks.stages import Eye, Network

__all__ = [
    "Eye",
    "Listing",
    "Network",
    "Stage",
    "class_index",
    "keeping_networks",
    "networks",
    "open_network",
    "seen",
    "shelf_items",
    "stages",
]
