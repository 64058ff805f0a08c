"""The settings of drawing imagined digits."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_validator

from lanterna.techniques.technique import Settings

MAX_DIGITS = 400


class OwnDrawings(Settings):
    """Learn from a folder of your own drawings, and draw others."""

    verb: ClassVar[str] = "imagine"

    samples: int = Field(default=24, ge=1, le=MAX_DIGITS, description="Pictures to draw.")
    steps: int = Field(default=20, ge=1, le=200, description="Steps from noise to picture.")
    training: int = Field(
        default=2000, ge=1, le=100_000, description="Training steps, if the network has to learn first."
    )
    mirror: bool = Field(default=False, description="Learn from each drawing and its mirror image.")
    pairs: bool = Field(
        default=True, description="Show beside each picture the drawing that is nearest to it."
    )


class Drawing(Settings):
    """What all ways of drawing share."""

    verb: ClassVar[str] = "imagine"

    guidance: float = Field(
        default=2.0, ge=0, le=10,
        description="How much the class counts: 1 as learned, more for clearer digits that differ less.",
    )  # fmt: skip
    steps: int = Field(default=20, ge=1, le=200, description="Steps from noise to digit.")
    epochs: int = Field(
        default=6, ge=1, le=1000,
        description="Passes over the training digits, if the network has to learn first.",
    )  # fmt: skip


class Imagine(Drawing):
    """Draw digits that nobody wrote."""

    digits: str = Field(default="0123456789", description="The digits to draw, such as 4096.")

    @field_validator("digits", mode="before")
    @classmethod
    def _check_digits(cls, value: Any) -> Any:
        text = str(value) if isinstance(value, int) else value  # `--set digits=4096` is a number
        if isinstance(text, str) and not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
            raise ValueError(f"expected 1 to {MAX_DIGITS} digits from 0 to 9, such as 4096")
        return text


class ImagineFilm(Imagine):
    """A film of the way from noise to digits."""

    frames: int = Field(default=60, ge=2, le=201, description="The number of frames.")
    fps: float = Field(default=24.0, ge=1, le=60, description="Frames per second.")


class Between(Drawing):
    """The way from one digit to another, from the same noise."""

    between: tuple[int, int] = Field(default=(3, 8), description="The digits at both ends, such as 3 8.")
    pictures: int = Field(
        default=10, ge=2, le=MAX_DIGITS, description="Pictures on the way, both ends included."
    )

    @field_validator("between")
    @classmethod
    def _check_ends(cls, ends: tuple[int, int]) -> tuple[int, int]:
        if not all(0 <= end <= 9 for end in ends):
            raise ValueError("expected two digits from 0 to 9, such as 3 8")
        return ends


class Like(Imagine):
    """Digits in the manner of one of your own."""

    strength: float = Field(
        default=0.8, gt=0, le=1, description="How far back to noise your digit goes: 1 forgets it."
    )
