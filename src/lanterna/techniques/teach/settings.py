"""Every setting of teaching a network your own classes, each defined here once."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from lanterna.networks.catalogue import ALIASES
from lanterna.networks.taught import Teachable  # noqa: TC001  # pydantic reads it
from lanterna.techniques.technique import Settings


class Teach(Settings):
    """Teach a network to tell the subfolders of a folder of pictures apart."""

    verb: ClassVar[str] = "teach"

    network: Teachable = Field(
        default="efficientnet-lite0",
        description="Whose features are used: efficientnet-lite0, or efficientnet-lite2, larger and surer.",
    )
    hold_out: float = Field(
        default=0.2, gt=0, lt=0.9, description="Share of each class's pictures that are kept to test with."
    )
    balance: bool = Field(
        default=True, description="Whether all classes count the same, however many pictures they have."
    )
    fine_tune: bool = Field(
        default=False, description="Whether the last blocks of the network learn too; takes minutes."
    )
    blocks: int = Field(default=3, ge=1, le=8, description="How many of the last blocks learn (fine-tune).")
    epochs: int = Field(default=6, ge=1, le=100, description="Times that every picture is seen (fine-tune).")
    learning_rate: float = Field(
        default=3e-4, gt=0, le=1, description="How far weights move at each step (fine-tune)."
    )

    @field_validator("network", mode="before")
    @classmethod
    def _by_its_short_name(cls, value: object) -> object:
        return ALIASES.get(value, value) if isinstance(value, str) else value
