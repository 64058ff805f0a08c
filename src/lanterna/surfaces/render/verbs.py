"""The verbs that can be done many times over: the recipe and the inputs that their words mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lanterna.errors import UsageError
from lanterna.recipes.classify import Classify
from lanterna.recipes.dream import Dream
from lanterna.recipes.dream_film import DreamFilm
from lanterna.recipes.paint import Paint
from lanterna.recipes.read import Read
from lanterna.recipes.style import Stylize
from lanterna.recipes.style_film import InstantFilm, StyleFilm
from lanterna.surfaces.dreaming import preset_settings
from lanterna.techniques.style.technique import InstantlyPainted, Painted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lanterna.recipes.recipe import Recipe


@dataclass(frozen=True)
class Wish:
    """What is to be made of each picture: the verb and which of its pictures, the recipe, and inputs by role.

    `film` is what is made of a film whose frames go on from one another, where the verb has that.
    """

    verb: str
    made: str
    recipe: Recipe
    others: Mapping[str, list[Path]] = field(default_factory=dict)
    film: tuple[str, Recipe] | None = None


_USED = {
    "dream": {"preset", "settings", "guide", "mask"},
    "style": {"preset", "settings", "style", "mask", "content_mask", "start_from", "instant"},
    "paint": {"preset", "settings", "mask"},
    "classify": {"settings"},
    "read": {"network", "surface", "cut"},
}
VERBS = tuple(_USED)
WORDS = ("classify", "read")
"""The verbs that answer in words."""


def wish(verb: str, given: Mapping[str, Any], settings: Mapping[str, Any]) -> Wish:
    """What the words of a verb mean: `given` by the names of its parameters, `settings` of its recipe.

    Errors: `UsageError` where the verb cannot be done many times, or an option makes no sense there.
    """
    if others := sorted(given.keys() - _USED[verb]):
        option = f"--{others[0].replace('_', '-')}"
        raise UsageError(f"{option} is not for many pictures: leave it out, or see lanterna render --help")
    if verb == "classify":
        return Wish(verb, "words", Classify.checked(settings))
    if verb == "read":
        return Wish(verb, "words", Read.checked({**given, "nearest": 0}))
    roles = ("mask", "content_mask", "start_from")
    inputs = {role.replace("_", "-"): _paths(given.get(role)) for role in roles}
    if verb == "paint":
        return Wish(verb, "paint", Paint.checked(_with_preset(Paint, given, settings)), inputs)
    if verb == "dream":
        guided = {"guided": True} if given.get("guide") else {}
        chosen = {**_with_preset(Dream, given, settings), **guided}
        alone = {name: value for name, value in chosen.items() if name in Dream.model_fields}
        film = ("film", DreamFilm.checked(chosen))
        inputs = {"guide": _paths(given.get("guide")), **inputs}
        return Wish(verb, "dream", Dream.checked(alone), inputs, None if inputs["mask"] else film)
    return _styled(given, settings, {"style": _paths(given.get("style")), **inputs})


def _styled(given: Mapping[str, Any], settings: Mapping[str, Any], inputs: Mapping[str, list[Path]]) -> Wish:
    at_once = bool(given.get("instant"))
    one: type[Recipe] = InstantlyPainted if at_once else Painted
    many: type[Recipe] = InstantFilm if at_once else StyleFilm
    chosen = {name: value for name, value in _with_preset(Stylize, given, settings).items()
              if at_once or name != "built_in"}  # fmt: skip
    if others := sorted(chosen.keys() - one.model_fields.keys() - many.model_fields.keys()):
        raise UsageError(f"--{others[0].replace('_', '-')} is for the other way to paint: leave it out")
    if not inputs["style"] and not chosen.get("built_in"):
        raise UsageError("expected a painting: --style PAINTING, or --instant --built-in 19")
    film = None  # with masks every frame is painted by itself
    if not (inputs["mask"] or inputs["content-mask"] or inputs["start-from"]):
        own = {name: value for name, value in chosen.items() if name in many.model_fields}
        film = ("instant-film" if at_once else "film", many.checked(own))
    alone = one.checked({name: value for name, value in chosen.items() if name in one.model_fields})
    return Wish("style", "instant" if at_once else "style", alone, inputs, film)


def _with_preset(kind: type[Recipe], given: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    start = preset_settings(given["preset"], kind) if given.get("preset") is not None else {}
    return {**start, **settings}


def _paths(given: Path | list[Path] | None) -> list[Path]:
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple) else [given]
