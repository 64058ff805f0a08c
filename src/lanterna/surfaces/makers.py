"""Makers: for each kind of picture, its verb's work done again from a record. `rerun` says which is whose."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from lanterna.images import Record, make_record
from lanterna.recipes.results import confusion_picture, examine, mistakes_picture
from lanterna.recipes.train import Train
from lanterna.recipes.training import train

if TYPE_CHECKING:
    from torch import Tensor


def train_picture(record: Record) -> tuple[Tensor, Record]:
    """Train again, and draw the network's `mistakes` or its `confusion`. No network is kept."""
    recipe = Train.checked(record.settings)
    (last,) = deque(train(recipe, device=record.device), maxlen=1)
    network = last.network
    results = examine(network, recipe)
    picture = mistakes_picture(results, recipe) if record.made == "mistakes" else confusion_picture(results)
    device = next(network.parameters()).device
    now = make_record(
        "train", record.made, recipe, device=device, network=network.eval(), shelf_items=["mnist"]
    )
    return picture, now
