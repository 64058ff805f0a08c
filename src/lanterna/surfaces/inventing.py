"""Pictures without a picture that `lanterna paint --random` saves, with their records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanterna.errors import UsageError
from lanterna.images import make_record
from lanterna.recipes.cppn import Cppn, random_sheet
from lanterna.recipes.rendering import MOST

if TYPE_CHECKING:
    from collections.abc import Generator

    from lanterna.images import Record
    from lanterna.recipes.recipe import Frame
    from lanterna.techniques.paint.technique import RandomSheet


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
