"""Every setting of training a digit network: the knobs that the lecture names, each defined here once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lanterna.networks.plan import Plan
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping


class Train(Plan, Settings):
    """Train a network on the handwritten digits of MNIST."""

    verb: ClassVar[str] = "train"
    # Those of a network that is not a preset's usual one have its name behind the preset's.
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "fast": {"network": "conv"},
        "fast-dense": {
            "network": "dense",
            "hidden": (128,),
            "learning_rate": 0.015,
            "weight_decay": 0.01,
            "batch_size": 256,
            "epochs": 5,
            "augmentation": "none",
            "precision": "float32",  # so small a network spends more on changing the type than it gains
        },
        "best": {
            "network": "conv",
            "channels": (32, 64, 128),
            "convolutions": 2,
            "learning_rate": 4e-3,
            "weight_decay": 0.01,
            "average": 0.998,
            "batch_size": 128,
            "epochs": 8,
            "hold_out": 5_000,
        },
        # TensorFlow's beginner quickstart: its network, start, steps, batches and all 60,000 digits.
        "quickstart": {
            "network": "dense",
            "hidden": (128,),
            "dropout": 0.2,
            "weight_start": "xavier",
            "optimiser": "adam",
            "learning_rate": 1e-3,
            "schedule": "constant",
            "weight_decay": 0.0,
            "batch_size": 32,
            "epochs": 5,
            "augmentation": "none",
            "hold_out": 0,
        },
    }

    bias_start: float = Field(default=0.0, ge=-10, le=10, description="The value every bias starts from.")
    weight_start: Literal["kaiming", "xavier", "normal", "zero"] = Field(
        default="kaiming", description="How weights are drawn at the start."
    )
    optimiser: Literal["sgd", "adam", "adamw"] = Field(
        default="adamw", description="How weights follow the gradient."
    )
    momentum: float = Field(default=0.9, ge=0, lt=1, description="How much of the last step is kept (sgd).")
    learning_rate: float = Field(
        default=0.012, gt=0, le=100, description="How far weights move at each step."
    )
    schedule: Literal["constant", "linear", "cosine"] = Field(
        default="linear",
        description="How the learning rate falls, after a short warm-up (constant has none).",
    )
    weight_decay: float = Field(
        default=0.05, ge=0, le=10, description="How strongly weights are pulled to zero."
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the wanted answer spread over all ten digits."
    )
    average: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Running average of the weights: share of the old kept each step; 0 for none.",
    )
    batch_size: int = Field(default=256, ge=1, le=10_000, description="Digits seen at each step.")
    epochs: int = Field(default=6, ge=1, le=1000, description="Passes over the training set.")
    augmentation: Literal["none", "shift", "hand"] = Field(
        default="hand",
        description="shift: moved by up to 2 px; hand: as if another hand with another pen wrote it.",
    )
    settle: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Share of the steps, the last ones, that augment by no more than a pixel's shift.",
    )
    normalised: bool = Field(
        default=True,
        description="Whether digits keep MNIST's normalised size and place; if not they are scattered.",
    )
    fraction: float = Field(default=1.0, gt=0, le=1, description="Share of the training digits that is used.")
    hold_out: int = Field(
        default=10_000, ge=0, le=10_000, description="Digits held out of training for validation, of 60,000."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="auto is float32 on a processor, and bfloat16 on a graphics card that has it.",
    )

    @model_validator(mode="after")
    def _enough_digits(self) -> Self:
        if (left := self.digits) < self.batch_size:
            raise ValueError(f"batch_size {self.batch_size} is more than the {left} digits left to train on")
        return self

    @property
    def digits(self) -> int:
        """How many digits are trained on."""
        return int((60_000 - self.hold_out) * self.fraction)

    @property
    def steps(self) -> int:
        """How many steps the whole training takes. The last batch of an epoch may be smaller."""
        return self.epochs * self.steps_an_epoch

    @property
    def steps_an_epoch(self) -> int:
        """How many steps see every digit once."""
        return -(-self.digits // self.batch_size)
