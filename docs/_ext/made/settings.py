"""Every technique's settings, from their classes and the options of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lanterna
from lanterna.surfaces.cli import VERBS, verbs
from lanterna.surfaces.cli.dispatch import make_app
from lanterna.techniques.registry import all_techniques
from lanterna.techniques.rerun import usage
from lanterna.techniques.technique import Settings
from made.words import hyphened, plain, presets, settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic.fields import FieldInfo
    from sphinx.application import Sphinx

    from lanterna.techniques.technique import Technique


def all_settings(_: Sphinx | None = None) -> str:
    """All settings but those of lessons: a section for each verb, one below it for each class of settings."""
    found = settings_classes()
    lines = ["## Every technique\n", _section(Settings, [])]
    for verb, what in {**VERBS, **verbs()}.items():
        kinds = [kind for kind in found if kind is not Settings and _verb(kind, found[kind]) == verb]
        if kinds and verb != "learn":
            kinds.sort(key=lambda kind: len(kind.__mro__))
            lines.append(f"## {verb}\n\n{plain(what)}\n")
            lines += [_section(kind, found[kind]) for kind in kinds]
    return "\n".join(lines)


def settings_classes() -> dict[type[Settings], list[Technique]]:
    """Every class of settings that Lanterna exports or that a technique has, with those techniques."""
    exported = (getattr(lanterna, name) for name in lanterna.__all__)
    found: dict[type[Settings], list[Technique]] = {
        each: [] for each in exported if isinstance(each, type) and issubclass(each, Settings)
    }
    for technique in all_techniques().values():
        found.setdefault(technique.settings, []).append(technique)
    return found


def anchor(kind: type[Settings]) -> str:
    """Where a class of settings stands on the page."""
    return f"settings-{kind.__name__.lower()}"


def own_fields(
    kind: type[Settings], known: set[type[Settings]]
) -> tuple[dict[str, FieldInfo], type[Settings] | None]:
    """The fields that a class does not have from another on the page, and that other one."""
    parent = next((base for base in kind.__mro__[1:] if base in known), None)
    inherited = parent.model_fields if parent else {}
    fields = kind.model_fields
    return {name: field for name, field in fields.items() if repr(field) != repr(inherited.get(name))}, parent


def options(command: Sequence[str]) -> dict[str, str]:
    """By the name of a setting, the option of a command."""
    app = make_app()
    for word in command:
        app = app[word]
    named = [name for argument in app.assemble_argument_collection() for name in argument.names]
    return {name.removeprefix("--"): name for name in named if name.startswith("--")}


def _verb(kind: type[Settings], made: list[Technique]) -> str:
    return made[0].verb if made else kind.verb.split()[0]


def _section(kind: type[Settings], made: list[Technique]) -> str:
    fields, parent = own_fields(kind, set(settings_classes()))
    there = (
        options(made[0].command if made else kind.verb.split())
        if kind is not Settings
        else {"seed": "--seed"}
    )
    without = {name for technique in made for name in technique.hidden}
    named = {
        name: there[hyphened(name)] for name in fields if hyphened(name) in there and name not in without
    }
    also = ""
    if parent not in (None, Settings):
        also = f"And all settings of [{parent.__name__}](#{anchor(parent)}).\n"
    chosen = "" if kind is Settings or (parent and kind.presets is parent.presets) else presets(kind)
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


def _commands(made: list[Technique]) -> list[str]:
    """The command lines that make a picture with these settings, none of them given."""
    lines = dict.fromkeys(line for technique in made for line in usage(technique))
    return ["".join(f"    {line}\n" for line in lines)] if lines else []
