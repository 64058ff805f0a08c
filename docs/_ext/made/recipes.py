"""Every recipe with every setting, from the recipes themselves and the options of the command line."""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING

import lanterna
from lanterna.recipes.recipe import Recipe
from lanterna.surfaces.cli import VERBS
from lanterna.surfaces.cli.frame import make_app
from lanterna.surfaces.makings import MAKINGS
from made.words import hyphened, plain, presets, settings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from sphinx.application import Sphinx

    from lanterna.surfaces.makings import Making


def recipes(_: Sphinx | None = None) -> str:
    """All recipes but those of lessons: one section for each verb, one below it for each recipe."""
    found = makings()
    lines = ["## Every recipe\n", _section(Recipe, [])]
    for verb, what in VERBS.items():
        kinds = [kind for kind in found if kind is not Recipe and _verb(kind, found[kind]) == verb]
        if kinds and verb != "learn":
            kinds.sort(key=lambda kind: len(kind.__mro__))
            lines.append(f"## {verb}\n\n{plain(what)}\n")
            lines += [_section(kind, found[kind]) for kind in kinds]
    return "\n".join(lines)


def makings() -> dict[type[Recipe], list[Making]]:
    """Every recipe that Lanterna exports or makes pictures from, and how it does."""
    exported = (getattr(lanterna, name) for name in lanterna.__all__)
    found: dict[type[Recipe], list[Making]] = {
        each: [] for each in exported if isinstance(each, type) and issubclass(each, Recipe)
    }
    for making in MAKINGS.values():
        found.setdefault(pkgutil.resolve_name(making.recipe), []).append(making)
    return found


def anchor(kind: type[Recipe]) -> str:
    """Where a recipe stands on the page."""
    return f"recipe-{kind.__name__.lower()}"


def own_fields(
    kind: type[Recipe], known: set[type[Recipe]]
) -> tuple[dict[str, FieldInfo], type[Recipe] | None]:
    """The fields that a recipe does not have from another on the page, and that other one."""
    parent = next((base for base in kind.__mro__[1:] if base in known), None)
    inherited = parent.model_fields if parent else {}
    fields = kind.model_fields
    return {name: field for name, field in fields.items() if repr(field) != repr(inherited.get(name))}, parent


def options(command: str) -> dict[str, str]:
    """By the name of a setting, the option of the verb that a command begins with."""
    app = make_app()
    for word in command.partition("{")[0].split():
        if word == "--random" or not (word.startswith("-") or word.isupper()):
            app = app[word]
    named = [name for argument in app.assemble_argument_collection() for name in argument.names]
    return {name.removeprefix("--"): name for name in named if name.startswith("--")}


def _verb(kind: type[Recipe], made: list[Making]) -> str:
    return made[0].command.split()[0] if made else kind.verb.split()[0]


def _section(kind: type[Recipe], made: list[Making]) -> str:
    fields, parent = own_fields(kind, set(makings()))
    there = options(made[0].command if made else kind.verb) if kind is not Recipe else {"seed": "--seed"}
    without = {name for making in made for name in making.without_option}
    named = {
        name: there[hyphened(name)] for name in fields if hyphened(name) in there and name not in without
    }
    also = ""
    if parent not in (None, Recipe):
        also = f"And all settings of [{parent.__name__}](#{anchor(parent)}).\n"
    chosen = "" if kind is Recipe or (parent and kind.presets is parent.presets) else presets(kind)
    return "\n".join(
        [
            f"({anchor(kind)})=\n### {kind.__name__}\n",
            plain((kind.__doc__ or "").split("\n\n")[0]) + "\n",
            *_commands(made),
            settings(fields, named, anchor(kind)),
            also,
            f"**Presets**\n\n{chosen}" if kind.presets and chosen else "",
        ]
    )


def _commands(made: list[Making]) -> list[str]:
    """The command lines that make a picture from a recipe, without settings."""
    lines = dict.fromkeys(
        " ".join(making.command.format(inputs="PICTURE", settings="", picture="RESULT").split())
        for making in made
    )
    return ["".join(f"    lanterna {line}\n" for line in lines)] if lines else []
