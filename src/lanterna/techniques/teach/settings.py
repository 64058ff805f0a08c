"""The settings of teaching a network your own classes."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from lanterna.networks.catalogue import ALIASES
from lanterna.networks.taught import Teachable  # noqa: TC001  # pydantic reads it
from lanterna.techniques.technique import Settings


class Teach(Settings):
    """Teach a network to classify pictures into the subfolders of a folder."""

    verb: ClassVar[str] = "teach"

    network: Teachable = Field(
        default="efficientnet-lite0",
        description="Which network's features to use; efficientnet-lite2 is larger and more accurate.",
    )
    hold_out: float = Field(
        default=0.2, gt=0, lt=0.9, description="Share of each class's pictures to hold out for testing."
    )
    balance: bool = Field(
        default=True, description="Whether all classes count the same, however many pictures they have."
    )
    fine_tune: bool = Field(
        default=False, description="Whether to train the network's last blocks too; this takes minutes."
    )
    blocks: int = Field(
        default=3, ge=1, le=8, description="How many of the last blocks to train (fine-tune)."
    )
    epochs: int = Field(default=6, ge=1, le=100, description="Passes over the training pictures (fine-tune).")
    learning_rate: float = Field(
        default=3e-4, gt=0, le=1, description="How far the weights move at each step (fine-tune)."
    )

    @field_validator("network", mode="before")
    @classmethod
    def _expand_alias(cls, value: object) -> object:
        return ALIASES.get(value, value) if isinstance(value, str) else value
