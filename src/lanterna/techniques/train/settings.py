"""The settings of training a digit network: the hyperparameters named in the lecture."""

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
    # A preset for another network than `conv` has that network's name appended.
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
            "precision": "float32",  # for a network this small, casting costs more than bfloat16 saves
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
        # TensorFlow's beginner quickstart: the same network, initialisation, optimiser, batches and digits.
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

    preset_help: ClassVar[Mapping[str, str]] = {
        "fast": "reads 99 of 100 digits right, and your own handwriting",
        "fast-dense": "the same with fully connected layers, the simplest network",
        "best": "the fewest mistakes; takes far longer",
        "quickstart": "as in TensorFlow's beginner tutorial, to compare",
    }

    bias_start: float = Field(default=0.0, ge=-10, le=10, description="Initial value of every bias.")
    weight_start: Literal["kaiming", "xavier", "normal", "zero"] = Field(
        default="kaiming", description="How weights are initialised."
    )
    optimiser: Literal["sgd", "adam", "adamw"] = Field(
        default="adamw", description="Which optimiser updates the weights."
    )
    momentum: float = Field(
        default=0.9, ge=0, lt=1, description="How much of the previous step is carried into the next (sgd)."
    )
    learning_rate: float = Field(
        default=0.012, gt=0, le=100, description="How far the weights move at each step."
    )
    schedule: Literal["constant", "linear", "cosine"] = Field(
        default="linear",
        description="How the learning rate falls after a short warm-up; constant has no warm-up.",
    )
    weight_decay: float = Field(
        default=0.05, ge=0, le=10, description="How strongly the weights are pulled towards zero."
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the target probability spread over all ten digits."
    )
    average: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Decay of the running average of the weights; 0 turns averaging off.",
    )
    batch_size: int = Field(default=256, ge=1, le=10_000, description="Digits in each step.")
    epochs: int = Field(default=6, ge=1, le=1000, description="Passes over the training set.")
    augmentation: Literal["none", "shift", "hand"] = Field(
        default="hand",
        description="shift: move digits by up to 2 px; hand: redraw them as if by another hand and pen.",
    )
    settle: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Share of the steps, at the end of training, that shift digits by at most a pixel.",
    )
    normalised: bool = Field(
        default=True,
        description="Whether digits have MNIST's normalised size and position, or random ones.",
    )
    fraction: float = Field(default=1.0, gt=0, le=1, description="Share of the training digits to use.")
    hold_out: int = Field(
        default=10_000,
        ge=0,
        le=10_000,
        description="How many of the 60,000 training digits to hold out for validation.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="auto is float32 on a CPU, and bfloat16 on a GPU that supports it.",
    )

    @model_validator(mode="after")
    def _enough_digits(self) -> Self:
        if (count := self.digits) < self.batch_size:
            raise ValueError(f"batch_size {self.batch_size} is larger than the {count} training digits")
        return self

    @property
    def unused(self) -> dict[str, str]:
        """The settings that were changed but do nothing with the others, each with the reason."""
        reasons = {}
        if self.network == "dense":
            reasons = dict.fromkeys(("channels", "convolutions"), "dense has no convolutions")
        if self.optimiser != "sgd":
            reasons["momentum"] = f"{self.optimiser} has none"
        defaults = type(self).model_fields
        return {name: why for name, why in reasons.items() if getattr(self, name) != defaults[name].default}

    @property
    def digits(self) -> int:
        """The number of training digits."""
        return int((60_000 - self.hold_out) * self.fraction)

    @property
    def steps(self) -> int:
        """The total number of steps. The last batch of an epoch may be smaller."""
        return self.epochs * self.steps_an_epoch

    @property
    def steps_an_epoch(self) -> int:
        """The number of steps in an epoch."""
        return -(-self.digits // self.batch_size)
