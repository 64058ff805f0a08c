"""Pictures without a picture that `lanterna paint --random` saves, with their records."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from pydantic import Field

from lanterna.errors import UsageError
from lanterna.images import make_record
from lanterna.recipes.cppn import Cppn, random_picture, random_sheet
from lanterna.recipes.rendering import MOST
from lanterna.surfaces.rerun import command_line

if TYPE_CHECKING:
    from collections.abc import Generator

    from torch import Tensor

    from lanterna.images import Record
    from lanterna.recipes.recipe import Frame


class RandomSheet(Cppn):
    """A contact sheet of seeds, beginning with `seed`."""

    sheet: int = Field(default=16, ge=1, le=400, description="A sheet of so many seeds, to choose from.")


class RandomLoop(Cppn):
    """A round trip through weight space."""

    frames: int = Field(default=120, ge=2, le=100_000, description="In a loop: how many frames.")
    fps: float = Field(default=24.0, ge=1, le=60, description="In a loop: frames a second.")


def check_size(recipe: Cppn) -> None:
    """Refuse what is too large to paint. Errors: `UsageError`."""
    if recipe.width * recipe.height > MOST:
        raise UsageError(
            f"at most {MOST:,} pixels are painted, {recipe.width} × {recipe.height} are more: "
            "--width and --height with less"
        )


def sheet_frames(recipe: RandomSheet) -> Generator[Frame, None, None]:
    """Paint the pictures of a sheet, small."""
    return random_sheet(recipe.only(Cppn), range(recipe.seed, recipe.seed + recipe.sheet))


def random_record(made: str, recipe: Cppn) -> Record:
    """How a random picture was made."""
    return make_record("paint", made, recipe)


def random_again(record: Record) -> tuple[Tensor, Record]:
    """Paint a random picture again from its record."""
    recipe = Cppn.checked(record.settings)
    check_size(recipe)
    return random_picture(recipe), random_record("random", recipe)


def sheet_picture(record: Record) -> tuple[Tensor, Record]:
    """Make a sheet of random pictures again from its record."""
    recipe = RandomSheet.checked(record.settings)
    (last,) = deque(sheet_frames(recipe), maxlen=1)
    assert last.picture is not None
    return last.picture, random_record("random-sheet", recipe)


def commands(record: Record) -> dict[str, str]:
    """For each picture of a sheet's record the command that makes it large, by its seed."""
    recipe = RandomSheet.checked(record.settings)
    found = {}
    for seed in range(recipe.seed, recipe.seed + recipe.sheet):
        settings = recipe.only(Cppn).changed({"seed": seed}).model_dump(mode="json")
        one = record.model_copy(update={"made": "random", "settings": settings})
        found[str(seed)] = command_line(one, f"random-{seed}.png")
    return found
