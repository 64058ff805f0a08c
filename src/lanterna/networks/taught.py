"""Taught networks: an EfficientNet-Lite with the user's own classes, trained on folders of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from lanterna.images.folders import MAX_CLASS_NAME_LENGTH, MAX_CLASSES
from lanterna.networks.efficientnet import without_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from lanterna.networks.network import Network

Teachable = Literal["efficientnet-lite0", "efficientnet-lite2"]
ClassName = Annotated[str, Field(min_length=1, max_length=MAX_CLASS_NAME_LENGTH)]


class TaughtPlan(BaseModel):
    """What is saved with a taught network's weights: its architecture and its classes, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: Teachable
    classes: tuple[ClassName, ...] = Field(min_length=2, max_length=MAX_CLASSES)


def build_taught(plan: TaughtPlan, weights: Mapping[str, Tensor], name: str) -> Network:
    """Build the network of a plan with these weights, in eval mode.

    Errors: `RuntimeError` if the weights do not fit the plan.
    """
    network = without_weights(plan.network, name, len(plan.classes), plan.classes)
    for key, value in network.state_dict().items():
        if key in weights and weights[key].dtype != value.dtype:
            raise RuntimeError(f"{key} is {weights[key].dtype}: expected {value.dtype}")
    network.load_state_dict(weights, assign=True)
    return network.eval().requires_grad_(False)


def with_classes(
    network: Network, name: str, classes: Sequence[str], weight: Tensor, bias: Tensor
) -> Network:
    """Return the network with a new last layer, `weight` (C, 1280) and `bias` (C,), for its own classes.

    The other layers are shared with `network`, not copied.
    """
    output = torch.nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    output.weight, output.bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias)
    layers = {**dict(network.layers.items()), "output": output}
    taught = type(network)(name, network.input_spec, layers, classes).to(weight.device)
    return taught.eval().requires_grad_(False)


def describe_classes(classes: Sequence[str]) -> str:
    """Describe a network with these classes in a few words."""
    shown = classes if len(classes) <= 4 else classes[:3]
    rest = f" and {len(classes) - 3} more" if len(classes) > 4 else ""
    return f"distinguishes your own classes: {', '.join(shown)}{rest}"
