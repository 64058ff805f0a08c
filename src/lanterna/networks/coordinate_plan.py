"""What a network that paints is made of: the settings from which `networks.coordinates` builds it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

CoordinateNetwork = Literal["hash", "siren", "fourier", "relu"]
InputFeature = Literal["x", "y", "x2", "y2", "xy", "sin_x", "sin_y", "cos_x", "cos_y", "radius", "angle"]

SUITS: dict[CoordinateNetwork, dict[str, Any]] = {
    "hash": {"layers": 2, "neurons": 64, "activation": "relu", "weight_start": "kaiming"},
    "siren": {"layers": 4, "neurons": 128, "activation": "sine", "weight_start": "siren"},
    "fourier": {"layers": 3, "neurons": 128, "activation": "relu", "weight_start": "kaiming"},
    "relu": {"layers": 6, "neurons": 64, "activation": "relu", "weight_start": "kaiming"},
}
"""What suits each network, where a plan says nothing."""


class CoordinatePlan(BaseModel):
    """A network from positions to colours. The settings of `paint` include these, and a painting saves them.

    None means what suits the network; `resolved` puts it in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: CoordinateNetwork = Field(
        default="hash",
        description="hash: a grid of learned features at many sizes; siren: sines of sines; fourier: random "
        "waves; relu: the lecture's, positions alone.",
    )
    layers: int | None = Field(
        default=None, ge=1, le=32, description="Hidden layers; what suits the network."
    )
    neurons: int | None = Field(
        default=None, ge=1, le=1024, description="Neurons of each hidden layer; what suits the network."
    )
    activation: Literal["relu", "sine", "tanh", "sigmoid", "gelu"] | None = Field(
        default=None, description="What each neuron does to its sum; what suits the network."
    )
    weight_start: Literal["kaiming", "lecun", "siren"] | None = Field(
        default=None, description="How weights are drawn at the start; what suits the network."
    )
    spread: float | None = Field(
        default=None, ge=0, le=10, description="Draw all weights with this deviation instead, biases 0."
    )
    features: tuple[InputFeature, ...] = Field(
        default=("x", "y"), min_length=1, description="What a position is told by (relu and siren)."
    )
    positions: Literal["square", "normalised", "centred"] = Field(
        default="square",
        description="square: -1 to 1 along the longer side; normalised: mean 0, deviation 1 (the lecture); "
        "centred: -0.5 to 0.5 along each side (convnetjs).",
    )
    white: float = Field(
        default=1.0, gt=0, le=255, description="What white is to the network: 1, or the lecture's 255."
    )
    omega: float = Field(
        default=30.0, gt=0, le=1000, description="How fast a siren's sines swing: the paper's 30."
    )
    waves: int = Field(default=128, ge=1, le=4096, description="How many random waves (fourier).")
    frequency: float | None = Field(
        default=None,
        gt=0,
        le=10_000,
        description="Deviation of the waves' frequencies, in waves per picture (fourier); one for 24 pixels.",
    )
    grid_levels: int = Field(default=8, ge=1, le=32, description="Grids, coarse to fine (hash).")
    grid_entries: int | None = Field(
        default=None,
        ge=4,
        le=24,
        description="Entries in each grid's table, as a power of two (hash); one for 16 pixels, up to 17.",
    )
    grid_features: int = Field(default=4, ge=1, le=16, description="Numbers in each entry (hash).")
    coarsest: int = Field(
        default=16, ge=1, le=1024, description="Cells along the longer side of the coarsest grid (hash)."
    )
    finest: int | None = Field(
        default=None,
        ge=1,
        le=65_536,
        description="Cells of the finest grid (hash); three quarters of the picture's pixels.",
    )
    code: int = Field(
        default=8,
        ge=0,
        le=64,
        description="Numbers learned for each of several pictures; 0: its number alone.",
    )

    def resolved(self) -> Self:
        """The same plan with what suits its network in place of None."""
        return self.model_copy(
            update={k: v for k, v in SUITS[self.network].items() if getattr(self, k) is None}
        )
