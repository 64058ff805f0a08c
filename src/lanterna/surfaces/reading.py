"""The pictures that `lanterna read` saves, with their records, made now or made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lanterna.errors import UsageError
from lanterna.images.annotate import Mark, page_with_marks, steps_picture
from lanterna.images.record import Input, Record, make_record
from lanterna.recipes.read import Read, ReadPage, read
from lanterna.recipes.results import open_or_train

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torch import Tensor

    from lanterna.networks.stages import Network

Made = Literal["page", "steps"]


def draw(page: ReadPage, made: Made) -> Tensor:
    """The page with boxes and readings, or the steps that led to them, `(3, H, W)`."""
    marks = [Mark(r.digit, r.confidence, r.box, r.doubtful) for r in page]
    if made == "page":
        return page_with_marks(page.page.picture, marks, page.size)
    return steps_picture(page.page, page.segments, page.seen, marks)


def record_of(made: Made, recipe: Read, network: Network, inputs: Iterable[str | Path | Input]) -> Record:
    """How a picture of a reading was made."""
    device = next(network.parameters()).device
    return make_record(
        "read", made, recipe, device=device, inputs=inputs, network=network, network_name=recipe.network,
        shelf_items=["mnist"],
    )  # fmt: skip


def read_picture(record: Record) -> tuple[Tensor, Record]:
    """Make the picture of a reading again from its record. Errors: `UsageError` where it is none."""
    made: Made | None = {"page": "page", "steps": "steps"}.get(record.made)  # type: ignore[assignment]
    if record.verb != "read" or made is None or len(record.inputs) != 1:
        raise UsageError(f"the recipe is not one of a page that was read: {record.verb} {record.made}")
    recipe = Read.checked(record.settings)
    network = open_or_train(recipe.network, device=record.device)
    source = record.inputs[0].path
    return draw(read(source, recipe, network=network), made), record_of(made, recipe, network, [source])
