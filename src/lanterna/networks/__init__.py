"""Networks as named layers, with their weights: pretrained, trained locally or your own."""

from lanterna.networks.cache import cache_networks
from lanterna.networks.catalogue import (
    Layer,
    Listing,
    layers,
    networks,
    note_on,
    open_network,
    shelf_items,
)
from lanterna.networks.classes import class_index
from lanterna.networks.network import InputSpec, Network
from lanterna.networks.preprocessing import to_input

__all__ = [
    "InputSpec",
    "Layer",
    "Listing",
    "Network",
    "cache_networks",
    "class_index",
    "layers",
    "networks",
    "note_on",
    "open_network",
    "shelf_items",
    "to_input",
]
