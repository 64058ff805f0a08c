"""Generate the page of all settings, from their classes and the options of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lanterna
from generated.formatting import hyphened, plain, presets, settings
from lanterna.surfaces.cli import verbs
from lanterna.surfaces.cli.dispatch import make_app
from lanterna.techniques.registry import all_techniques
from lanterna.techniques.rerun import usage
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic.fields import FieldInfo
    from sphinx.application import Sphinx

    from lanterna.techniques.technique import Technique


def all_settings(_: Sphinx | None = None) -> str:
    """Return a section for each verb, with one for each class of settings; without those of lessons."""
    classes = settings_classes()
    lines = ["## Every technique\n", _section(Settings, [])]
    for verb, text in verbs().items():
        kinds = [kind for kind in classes if kind is not Settings and _verb(kind, classes[kind]) == verb]
        if kinds and verb != "learn":
            kinds.sort(key=lambda kind: len(kind.__mro__))
            lines.append(f"## {verb}\n\n{plain(text)}\n")
            lines += [_section(kind, classes[kind]) for kind in kinds]
    return "\n".join(lines)


def settings_classes() -> dict[type[Settings], list[Technique]]:
    """Return every class of settings, exported or a technique's, with its techniques."""
    exported = (getattr(lanterna, name) for name in lanterna.__all__)
    classes: dict[type[Settings], list[Technique]] = {
        each: [] for each in exported if isinstance(each, type) and issubclass(each, Settings)
    }
    for technique in all_techniques().values():
        classes.setdefault(technique.settings, []).append(technique)
    return classes


def anchor(kind: type[Settings]) -> str:
    """Return the anchor of a class of settings."""
    return f"settings-{kind.__name__.lower()}"


def own_fields(
    kind: type[Settings], known: set[type[Settings]]
) -> tuple[dict[str, FieldInfo], type[Settings] | None]:
    """Return the fields that a class does not inherit from another class on the page, and that class."""
    parent = next((base for base in kind.__mro__[1:] if base in known), None)
    inherited = parent.model_fields if parent else {}
    fields = kind.model_fields
    return {name: field for name, field in fields.items() if repr(field) != repr(inherited.get(name))}, parent


def options(command: Sequence[str]) -> dict[str, str]:
    """Return the options of a command by the name of the setting."""
    app = make_app()
    for word in command:
        app = app[word]
    named = [name for argument in app.assemble_argument_collection() for name in argument.names]
    return {name.removeprefix("--"): name for name in named if name.startswith("--")}


def _verb(kind: type[Settings], techniques: list[Technique]) -> str:
    return techniques[0].verb if techniques else kind.verb.split()[0]


def _section(kind: type[Settings], techniques: list[Technique]) -> str:
    fields, parent = own_fields(kind, set(settings_classes()))
    available = (
        options(techniques[0].command if techniques else kind.verb.split())
        if kind is not Settings
        else {"seed": "--seed"}
    )
    hidden = {name for technique in techniques for name in technique.hidden}
    named = {
        name: available[hyphened(name)]
        for name in fields
        if hyphened(name) in available and name not in hidden
    }
    inherited = ""
    if parent not in (None, Settings):
        inherited = f"And all settings of [{parent.__name__}](#{anchor(parent)}).\n"
    preset_list = "" if kind is Settings or (parent and kind.presets is parent.presets) else presets(kind)
    return "\n".join(
        [
            f"({anchor(kind)})=\n### {kind.__name__}\n",
            plain((kind.__doc__ or "").split("\n\n")[0]) + "\n",
            *_commands(techniques),
            settings(fields, named, anchor(kind)),
            inherited,
            f"**Presets**\n\n{preset_list}" if kind.presets and preset_list else "",
        ]
    )


def _commands(techniques: list[Technique]) -> list[str]:
    """Return the shortest command line of each technique."""
    lines = dict.fromkeys(line for technique in techniques for line in usage(technique))
    return ["".join(f"    {line}\n" for line in lines)] if lines else []
