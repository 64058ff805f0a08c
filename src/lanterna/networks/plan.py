"""The architecture of a digit network: the settings from which `networks.digits` builds it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Activation = Literal["relu", "sigmoid", "tanh"]
Units = Annotated[int, Field(ge=1, le=4096)]


class Plan(BaseModel):
    """The architecture of a digit network: part of the settings of `train`, and saved with the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: Literal["dense", "conv"] = Field(
        default="conv", description="dense: fully connected layers; conv: convolutional layers."
    )
    hidden: tuple[Units, ...] = Field(
        default=(), max_length=12, description="Units of each fully connected hidden layer, first to last."
    )
    channels: tuple[Units, ...] = Field(
        default=(16, 32, 64),
        min_length=1,
        max_length=3,
        description="Channels of each group of convolutions (conv).",
    )
    convolutions: int = Field(default=1, ge=1, le=4, description="Convolutions in each group (conv).")
    activation: Activation = Field(default="relu", description="Activation function.")
    bias: bool = Field(default=True, description="Whether units have a bias.")
    dropout: float = Field(
        default=0.0, ge=0, le=0.95, description="Share of hidden units dropped at each step."
    )
