"""List the techniques for `make`, and the inputs and settings of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanterna.errors import UsageError
from lanterna.surfaces.notebook.lessons import Sheet
from lanterna.techniques import registry

if TYPE_CHECKING:
    from lanterna.techniques.technique import Input, Technique


def find_technique(name: str) -> Technique:
    """Find a technique by its name. Errors: `UsageError`, with a list of all techniques."""
    known = registry.all_techniques()
    if name not in known:
        registry.techniques_for(name)  # raises if the technique's package is broken
        raise UsageError(f"unknown technique {name!r}: the techniques are {', '.join(known)}")
    return known[name]


def techniques(name: str = "") -> Sheet:
    """List all techniques; or the inputs, presets and settings of one.

    Errors: `UsageError` for an unknown technique.
    """
    if not name:
        known = registry.all_techniques().values()
        return Sheet("techniques", "\n".join(f"- `{each.name}`: {each.help}" for each in known))
    technique = find_technique(name)
    settings = [
        f"- `{name}`: {field.description} Default: `{field.get_default(call_default_factory=True)!r}`"
        for name, field in technique.settings.model_fields.items()
    ]
    parts = [
        technique.help,
        _list("Inputs", [_input(each) for each in technique.inputs]),
        _list("Presets", [_preset(technique, preset) for preset in technique.presets]),
        _list("Settings", settings),
    ]
    return Sheet(name, "\n\n".join(filter(None, parts)))


def _list(title: str, lines: list[str]) -> str:
    return "\n".join([f"**{title}**", "", *lines]) if lines else ""


def _preset(technique: Technique, name: str) -> str:
    described = technique.settings.preset_help.get(name, "")
    return f"- `{name}`" + (described and f": {described}")


def _input(each: Input) -> str:
    notes = ", ".join(["required"] * each.required + ["one or more"] * each.many)
    return f"- `{each.name.replace('-', '_')}`: {each.help}" + (f" ({notes})" if notes else "")
