"""The architecture of a painting network: the settings from which `networks.coordinates` builds it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

CoordinateNetwork = Literal["hash", "siren", "fourier", "relu"]
InputFeature = Literal["x", "y", "x2", "y2", "xy", "sin_x", "sin_y", "cos_x", "cos_y", "radius", "angle"]

_DEFAULTS: dict[CoordinateNetwork, dict[str, Any]] = {
    "hash": {"layers": 2, "neurons": 64, "activation": "relu", "weight_start": "kaiming"},
    "siren": {"layers": 4, "neurons": 128, "activation": "sine", "weight_start": "siren"},
    "fourier": {"layers": 3, "neurons": 128, "activation": "relu", "weight_start": "kaiming"},
    "relu": {"layers": 6, "neurons": 64, "activation": "relu", "weight_start": "kaiming"},
}
"""The defaults of each network, for settings that are None."""


class CoordinatePlan(BaseModel):
    """The architecture of a network from positions to colours, part of the settings of `paint`.

    A painting saves it. None means the network's default; `resolved` fills it in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: CoordinateNetwork = Field(
        default="hash",
        description="hash: a grid of learned features at many sizes; siren: sines of sines; fourier: random "
        "waves; relu: the lecture's network, positions only.",
    )
    layers: int | None = Field(
        default=None, ge=1, le=32, description="Hidden layers; the default depends on the network."
    )
    neurons: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Neurons per hidden layer; the default depends on the network.",
    )
    activation: Literal["relu", "sine", "tanh", "sigmoid", "gelu"] | None = Field(
        default=None, description="Activation function; the default depends on the network."
    )
    weight_start: Literal["kaiming", "lecun", "siren"] | None = Field(
        default=None, description="Weight initialisation; the default depends on the network."
    )
    spread: float | None = Field(
        default=None,
        ge=0,
        le=10,
        description="Initialise all weights with this std instead, biases to 0.",
    )
    features: tuple[InputFeature, ...] = Field(
        default=("x", "y"),
        min_length=1,
        description="Features of a position (relu and siren).",
    )
    positions: Literal["square", "normalised", "centred"] = Field(
        default="square",
        description="square: -1 to 1 along the longer side; normalised: mean 0, std 1 (the lecture); "
        "centred: -0.5 to 0.5 along each side (convnetjs).",
    )
    white: float = Field(
        default=1.0, gt=0, le=255, description="The network's output for white: 1, or the lecture's 255."
    )
    omega: float = Field(
        default=30.0, gt=0, le=1000, description="Frequency factor of a siren's sines: the paper's 30."
    )
    waves: int = Field(default=128, ge=1, le=4096, description="Number of random waves (fourier).")
    frequency: float | None = Field(
        default=None,
        gt=0,
        le=10_000,
        description="Std of the frequencies, in waves per picture (fourier); by default one per 24 pixels.",
    )
    grid_levels: int = Field(default=8, ge=1, le=32, description="Number of grids, coarse to fine (hash).")
    grid_entries: int | None = Field(
        default=None,
        ge=4,
        le=24,
        description="Log2 of each grid's entries (hash); by default one entry per 16 pixels, at most 17.",
    )
    grid_features: int = Field(default=4, ge=1, le=16, description="Features in each entry (hash).")
    coarsest: int = Field(
        default=16, ge=1, le=1024, description="Cells along the longer side of the coarsest grid (hash)."
    )
    finest: int | None = Field(
        default=None,
        ge=1,
        le=65_536,
        description="Cells along the longer side of the finest grid (hash); by default 3/4 of the pixels.",
    )
    code: int = Field(
        default=8,
        ge=0,
        le=64,
        description="Size of the code learned for each of several pictures; 0: its index only.",
    )

    def resolved(self) -> Self:
        """Return this plan with its network's defaults instead of None."""
        return self.model_copy(
            update={
                key: value for key, value in _DEFAULTS[self.network].items() if getattr(self, key) is None
            }
        )
