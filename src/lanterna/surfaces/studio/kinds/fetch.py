"""What the shelf does not have yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from lanterna import shelf
from lanterna.errors import UsageError
from lanterna.recipes.recipe import Frame, Recipe
from lanterna.surfaces.studio.task import Doing, Kind, Task

if TYPE_CHECKING:
    from collections.abc import Mapping


class Fetch(Recipe):
    """Fetch something to the shelf."""

    verb: ClassVar[str] = "fetch"

    item: str = Field(
        default="mnist", description="What to fetch.", json_schema_extra={"enum": list(shelf.ITEMS)}
    )


def _on_the_shelf(recipe: Fetch, _: Mapping[str, int]) -> Fetch:
    if recipe.item not in shelf.ITEMS:
        raise UsageError(f"the shelf has no {recipe.item[:60]!r}: it has {', '.join(shelf.ITEMS)}")
    return recipe


def _begin_fetch(task: Task) -> Doing:
    task.fetch(task.recipe.item)
    return Doing((frame for frame in [Frame(1, 1)]), lambda *_: [])


KINDS = (
    Kind(
        "fetch", "shelf", "Fetch", "Fetch data or weights to the shelf.", Fetch, _begin_fetch,
        check=_on_the_shelf,
    ),
)  # fmt: skip
