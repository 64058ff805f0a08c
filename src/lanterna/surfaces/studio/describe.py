"""What the studio can do: every kind of job with the schema of its settings."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lanterna.surfaces.studio.kinds import KINDS

if TYPE_CHECKING:
    from lanterna.surfaces.studio.task import Kind


@cache
def recipes() -> list[dict[str, Any]]:
    """Every kind of job with the schema of its settings, made from the recipe's own fields."""
    return [_recipe(kind) for kind in KINDS.values()]


def _thumbnails(kind: Kind) -> dict[str, str]:
    """What each preset makes, as the address of a small picture; "" is what is usual."""
    folder, technique = files("lanterna.surfaces") / "web" / "studio" / "presets", kind.name.partition("-")[0]
    names = {name: f"{technique}-{name}".strip("-") for name in ("", *kind.presets) if kind.presets}
    return {
        name: f"/web/studio/presets/{file}.jpg"
        for name, file in names.items()
        if (folder / f"{file}.jpg").is_file()
    }


def _recipe(kind: Kind) -> dict[str, Any]:
    schema = kind.recipe.model_json_schema()
    return {
        "kind": kind.name,
        "room": kind.room,
        "title": kind.title,
        "words": kind.words,
        "schema": schema,
        "presets": {name: dict(preset) for name, preset in kind.presets.items()},
        "thumbnails": _thumbnails(kind),
        "inputs": [
            {"role": role.role, "words": role.words, "required": role.required, "many": role.many}
            for role in kind.inputs
        ],
        "steers": list(kind.steers),
        "plain": list(kind.plain),
        "hidden": list(kind.hidden),
    }
