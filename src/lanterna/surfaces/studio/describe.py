"""What the studio can do: every kind of job with the schema of its settings."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from lanterna.surfaces.studio.techniques import techniques

if TYPE_CHECKING:
    from lanterna.surfaces.studio.messages import Recipe
    from lanterna.techniques.technique import Technique


@cache
def recipes() -> list[Recipe]:
    """Every kind of job with the schema of its settings, made from the recipe's own fields."""
    return [_recipe(technique) for technique in techniques().values()]


def _thumbnails(technique: Technique) -> dict[str, str]:
    """What each preset makes, as the address of a small picture; "" is what is usual."""
    folder, verb = files("lanterna.surfaces") / "web" / "studio" / "presets", technique.name.partition("-")[0]
    names = {name: f"{verb}-{name}".strip("-") for name in ("", *technique.presets) if technique.presets}
    return {
        name: f"/web/studio/presets/{file}.jpg"
        for name, file in names.items()
        if (folder / f"{file}.jpg").is_file()
    }


def _recipe(technique: Technique) -> Recipe:
    schema = technique.settings.model_json_schema()
    return {
        "kind": technique.name,
        "room": technique.room,
        "title": technique.title,
        "words": technique.help,
        "schema": schema,
        "presets": {name: dict(preset) for name, preset in technique.presets.items()},
        "thumbnails": _thumbnails(technique),
        "inputs": [
            {"role": each.name, "words": each.help, "required": each.required, "many": each.many}
            for each in technique.inputs
        ],
        "steers": list(technique.live),
        "plain": list(technique.shown_first),
        "hidden": list(technique.hidden),
    }
