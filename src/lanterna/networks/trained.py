"""A trained network is a folder: its plan, its weights as safetensors, and what training left beside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field, TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from lanterna.errors import LanternaError, MissingError
from lanterna.files import read_regular, replacing
from lanterna.networks.digits import build, to_channels_last
from lanterna.networks.plan import Plan
from lanterna.networks.taught import TaughtPlan, build_taught
from lanterna.renamed import current_weights
from lanterna.settings import networks_folder

if TYPE_CHECKING:
    from lanterna.networks.network import Network

PLAN = "network.json"
WEIGHTS = "weights.safetensors"
CHECKPOINT = "checkpoint.pt"
_PLAN_LIMIT = 2**22  # bytes; that of 2,000 classes has a tenth of them
_plans = TypeAdapter[Plan | TaughtPlan](Annotated[Plan | TaughtPlan, Field(discriminator="network")])


def trained_folder(name: str | Path) -> Path:
    """Where a trained network lives: a bare name is one of the networks trained here, else a path.

    Whatever lies in the current folder: one there is written `./name`.
    """
    bare = isinstance(name, str) and name == Path(name).name != ".."
    return networks_folder() / name if bare else Path(name)


def is_trained(name: str | Path) -> bool:
    """Whether there is a trained network of that name or in that folder."""
    return (trained_folder(name) / WEIGHTS).is_file()


def save_trained(network: Network, plan: Plan | TaughtPlan, folder: Path) -> None:
    """Write a network into `folder`: first its plan, then its weights, each whole or not at all."""
    fields = Plan.model_fields if isinstance(plan, Plan) else TaughtPlan.model_fields
    with replacing(folder / PLAN) as temporary:
        kept = plan.model_dump_json(include=set(fields), indent=2)
        temporary.write_text(kept + "\n", encoding="utf-8")
    weights = {key: value.contiguous().cpu() for key, value in network.state_dict().items()}
    with replacing(folder / WEIGHTS) as temporary:
        temporary.write_bytes(save(weights))


def open_trained(name: str | Path) -> Network:
    """The trained network of that name or in that folder, at rest.

    Errors: `MissingError` with the command that trains it; `LanternaError` where its files are damaged.
    """
    folder = trained_folder(name)
    if not is_trained(name):
        kind = name if name in ("dense", "conv") else "conv"
        raise MissingError(f"no trained network at {folder}: lanterna train {kind} -o {name} makes one")
    try:
        plan = _plans.validate_json(read_regular(folder / PLAN, _PLAN_LIMIT))
        weights = current_weights(load_file(folder / WEIGHTS))
        if not all(bool(each.isfinite().all()) for each in weights.values()):
            raise ValueError("numbers that are none")
        if isinstance(plan, TaughtPlan):
            return build_taught(plan, weights, folder.name)
        with torch.device("meta"):  # nothing is made before it is known to fit
            shapes = {name: each.shape for name, each in build(plan).state_dict().items()}
        if shapes != {name: each.shape for name, each in weights.items()}:
            raise ValueError("a plan and weights that do not fit each other")
    except (OSError, ValueError, SafetensorError, RuntimeError) as error:
        raise LanternaError(f"the network in {folder} is damaged: train it again with --force") from error
    network = build(plan)
    network.load_state_dict(weights)
    to_channels_last(network)
    return network.eval()
