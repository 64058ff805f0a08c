"""Trained networks on disk: a folder with the plan, the weights as safetensors and files of the training.

A network that was trained in a page (`web/site/training.js`) is one file: safetensors with the plan in its
metadata.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field, TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from lanterna.errors import LanternaError, MissingError, UsageError
from lanterna.files import atomic_write, read_regular
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
_MAX_PLAN_BYTES = 2**22  # a plan with 2,000 classes has a tenth of that
_plans = TypeAdapter[Plan | TaughtPlan](Annotated[Plan | TaughtPlan, Field(discriminator="network")])


def trained_folder(name: str | Path) -> Path:
    """Return a trained network's folder, given by its name or as a path.

    A bare name never means a folder in the current one: that is written as a path, `./name` or `name.net`.
    """
    own = networks_folder() / name
    bare = isinstance(name, str) and name == Path(name).name != ".." and (not own.suffix or own.exists())
    return own if bare else Path(name)


def is_trained(name: str | Path) -> bool:
    """Whether there is a trained network with this name or in this folder."""
    return (trained_folder(name) / WEIGHTS).is_file()


def save_trained(network: Network, plan: Plan | TaughtPlan, folder: Path) -> None:
    """Save a network to `folder`: first its plan, then its weights, each file atomically."""
    fields = Plan.model_fields if isinstance(plan, Plan) else TaughtPlan.model_fields
    with atomic_write(folder / PLAN) as temporary:
        temporary.write_text(plan.model_dump_json(include=set(fields), indent=2) + "\n", encoding="utf-8")
    weights = {key: value.contiguous().cpu() for key, value in network.state_dict().items()}
    with atomic_write(folder / WEIGHTS) as temporary:
        temporary.write_bytes(save(weights))


def open_trained(name: str | Path) -> Network:
    """Open a trained network by its name, its folder, or the file that a page saved, in eval mode.

    Errors: `MissingError` with the command that trains it; `LanternaError` if its files are damaged.
    """
    folder = trained_folder(name)
    file, text = folder, _plan_in(folder)
    if text is None:
        if not is_trained(name):
            raise _missing(name, folder)
        file = folder / WEIGHTS
    try:
        plan = _plans.validate_json(text or read_regular(folder / PLAN, _MAX_PLAN_BYTES))
        weights = current_weights(load_file(file))
        if not all(bool(weight.isfinite().all()) for weight in weights.values()):
            raise ValueError("weights that are not finite")
        if isinstance(plan, TaughtPlan):
            return build_taught(plan, weights, folder.name)
        with torch.device("meta"):  # check the shapes before allocating
            shapes = {key: value.shape for key, value in build(plan).state_dict().items()}
        if shapes != {key: value.shape for key, value in weights.items()}:
            raise ValueError("weights that do not fit the plan")
    except (OSError, ValueError, SafetensorError, RuntimeError) as error:
        again = "train it again with --force" if text is None else "save it again"
        raise LanternaError(f"the network in {folder} is damaged: {again}") from error
    network = build(plan)
    network.load_state_dict(weights)
    to_channels_last(network)
    return network.eval()


def _plan_in(file: Path) -> str | None:
    """Return the plan in a file of weights, None if it has none, or "" if it is damaged."""
    if file.suffix != ".safetensors" or not file.is_file():
        return None
    try:
        with safe_open(file, "pt") as opened:
            metadata: dict[str, str] = opened.metadata() or {}
    except (OSError, SafetensorError):
        return None if file.name == WEIGHTS else ""  # those of a folder have their plan beside them
    return metadata.get("plan")


def _missing(name: str | Path, folder: Path) -> LanternaError:
    """Describe what is at a path without a trained network."""
    if folder.suffix == ".py":
        what = f"a Python file: expected {name}:function, whose function returns the network"
        return UsageError(f"{name} is {what}" if folder.is_file() else f"there is no file {name}")
    if folder.suffix == ".safetensors" and not folder.exists():
        return UsageError(f"there is no file {name}")
    if folder.is_file():
        inside = is_trained(folder.parent)
        expected = str(folder.parent) if inside else "the folder of a trained network, or file.py:function"
        return UsageError(f"{name} is a file: expected {expected}")
    if folder == Path(name) and folder.is_dir() and not (folder / CHECKPOINT).exists():
        return UsageError(
            f"{name} is a folder without a network: expected one that `lanterna train` or "
            "`lanterna teach` wrote, or file.py:function"
        )
    kind = name if name in ("dense", "conv") else "conv"
    return MissingError(f"no trained network at {folder}: train one with `lanterna train {kind} -o {name}`")
