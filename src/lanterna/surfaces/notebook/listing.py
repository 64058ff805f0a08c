"""What `make` makes in a cell: every technique, and what one takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanterna.errors import UsageError
from lanterna.surfaces.notebook.lessons import Sheet
from lanterna.techniques import registry

if TYPE_CHECKING:
    from lanterna.techniques.technique import Input, Technique


def find_technique(name: str) -> Technique:
    """A technique by its name. Errors: `UsageError` that lists the techniques there are."""
    found = registry.all_techniques()
    if name not in found:
        registry.of_verb(name)  # says why, where somebody's package cannot be imported
        raise UsageError(f"there is no technique {name!r}: there are {', '.join(found)}")
    return found[name]


def techniques(name: str = "") -> Sheet:
    """Every technique with what it does; or the inputs, presets and settings of the one with that name.

    Errors: `UsageError` for a technique that is not there.
    """
    if not name:
        found = registry.all_techniques().values()
        return Sheet("techniques", "\n".join(f"- `{each.name}`: {each.help}" for each in found))
    technique = find_technique(name)
    settings = [
        f"- `{name}`: {field.description} Default: `{field.get_default(call_default_factory=True)!r}`"
        for name, field in technique.settings.model_fields.items()
    ]
    parts = [
        technique.help,
        _list("Inputs", [_input(each) for each in technique.inputs]),
        _list("Presets", [f"- `{preset}`" for preset in technique.presets]),
        _list("Settings", settings),
    ]
    return Sheet(name, "\n\n".join(filter(None, parts)))


def _list(title: str, lines: list[str]) -> str:
    return "\n".join([f"**{title}**", "", *lines]) if lines else ""


def _input(each: Input) -> str:
    notes = ", ".join(["needed"] * each.required + ["one or several"] * each.many)
    return f"- `{each.name.replace('-', '_')}`: {each.help}" + (f" ({notes})" if notes else "")
