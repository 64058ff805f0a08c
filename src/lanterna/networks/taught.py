"""A network of somebody's own classes: an EfficientNet-Lite that was taught with pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from lanterna.images.folders import CLASS_NAME_LONGEST, CLASSES_MOST
from lanterna.networks.efficientnet import planned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from lanterna.networks.network import Network

Teachable = Literal["efficientnet-lite0", "efficientnet-lite2"]
ClassName = Annotated[str, Field(min_length=1, max_length=CLASS_NAME_LONGEST)]


class TaughtPlan(BaseModel):
    """What a taught network keeps beside its weights: whose layers it has, and its classes in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: Teachable
    classes: tuple[ClassName, ...] = Field(min_length=2, max_length=CLASSES_MOST)


def build_taught(plan: TaughtPlan, weights: Mapping[str, Tensor], name: str) -> Network:
    """The network of a plan, called `name`, with these weights, at rest.

    Errors: `RuntimeError` where the weights are not those of such a network.
    """
    network = planned(plan.network, name, len(plan.classes), plan.classes)
    for key, value in network.state_dict().items():
        if key in weights and weights[key].dtype != value.dtype:
            raise RuntimeError(f"{key} holds {weights[key].dtype}, not {value.dtype}")
    network.load_state_dict(weights, assign=True)
    return network.eval().requires_grad_(False)


def with_classes(
    network: Network, name: str, classes: Sequence[str], weight: Tensor, bias: Tensor
) -> Network:
    """The same network with another last layer, `weight` (C, 1280) and `bias` (C,): its own classes.

    The layers before it are shared with `network`, not copied.
    """
    output = torch.nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    output.weight, output.bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias)
    layers = {**dict(network.layers.items()), "output": output}
    taught = type(network)(name, network.input_spec, layers, classes).to(weight.device)
    return taught.eval().requires_grad_(False)


def describe_classes(classes: Sequence[str]) -> str:
    """What a network of these classes does, in a few words."""
    shown = classes if len(classes) <= 4 else classes[:3]
    rest = f" and {len(classes) - 3} more" if len(classes) > 4 else ""
    return f"tells your own classes apart: {', '.join(shown)}{rest}"
