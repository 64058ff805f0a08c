"""Settings in words: of what kind a value is, from where to where, and what it is if nobody says."""

from __future__ import annotations

import contextlib
import re
import shlex
import types
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types as bounds

from lanterna.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic.fields import FieldInfo

    from lanterna.techniques.technique import Settings

_KINDS = {bool: "yes or no", int: "a whole number", float: "a number", str: "text"}
_MANY = {"a whole number": "whole numbers", "a number": "numbers", "text": "texts"}


def plain(text: str) -> str:
    """Text as Markdown that shows it as it is; what stands in backticks stays code."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_{}\[\]<>$|])", r"\\\1", part) for part in parts
    )


def hyphened(name: str) -> str:
    """A setting's name as its option and its place on a page have it."""
    return name.rstrip("_").replace("_", "-")


def value(default: object) -> str:
    """A default, as a person says it."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, list | tuple):
        return " ".join(map(value, default)) or "none"
    if isinstance(default, dict):
        return ", ".join(f"{name} {value(each)}" for name, each in default.items()) or "nothing more"
    return "none" if default in (None, "") else str(default)


def changed(settings: type[Settings], name: str) -> str:
    """A setting with another value than its default, `name=value`, as the settings take it."""
    usual = getattr(settings(), name)
    choices = get_args(settings.model_fields[name].annotation)
    other = [each for each in choices if isinstance(each, str) and each != usual]
    if isinstance(usual, int | float):
        other = [usual // 2, usual * 2] if isinstance(usual, int) else [usual / 2, usual * 2]
    for each in other:
        with contextlib.suppress(UsageError):
            settings.checked({name: each})
            return f"{name}={each}"
    text = ",".join(map(value, usual)) if isinstance(usual, list | tuple) else value(usual)
    return shlex.quote(f"{name}={text}")


def kind(field: FieldInfo) -> str:
    """What a field takes: its type and its range."""
    return _kind(field.annotation, field.metadata)


def _kind(annotation: Any, metadata: Iterable[object] = ()) -> str:  # noqa: ANN401  # any annotation
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inside[0], (*inside[1:], *metadata))
    if origin is Literal:
        return "one of " + ", ".join(f"`{each}`" for each in inside)
    if origin in (Union, types.UnionType):
        some = [_kind(each, metadata) for each in inside if each is not types.NoneType]
        return " or ".join(some) + (", or none" if types.NoneType in inside else "")
    if origin in (tuple, list):
        what, comma, each = _kind(inside[0]).partition(", ")
        many = _MANY.get(what, what) + (f" (each {each})" if comma else "")
        fixed = origin is tuple and inside[-1] is not Ellipsis
        return f"{len(inside)} {many}" if fixed else ", ".join([f"any number of {many}", *_ranges(metadata)])
    return ", ".join([_KINDS.get(annotation, str(annotation)), *_ranges(metadata)])


def _ranges(metadata: Iterable[object]) -> list[str]:
    said = []
    for each in (part for one in metadata for part in _parts(one)):
        match each:
            case bounds.Ge(low):
                said.append(f"at least {_number(low)}")
            case bounds.Gt(low):
                said.append(f"more than {_number(low)}")
            case bounds.Le(high):
                said.append(f"at most {_number(high)}")
            case bounds.Lt(high):
                said.append(f"less than {_number(high)}")
            case bounds.MultipleOf(step):
                said.append(f"a multiple of {_number(step)}")
            case bounds.MinLen(count):
                said.append("not empty" if count == 1 else f"at least {count} of them")
            case bounds.MaxLen(count):
                said.append(f"at most {count:,} of them")
    return said


def _parts(one: object) -> Iterable[object]:
    """A bound; or those of a whole `Field(…)` inside an annotation."""
    return getattr(one, "metadata", None) or [one]


def _number(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:g}"


def settings(fields: Mapping[str, FieldInfo], options: Mapping[str, str], anchor: str) -> str:
    """Fields as a list of definitions: name and option, then what it does, takes and is."""
    entries = []
    for name, field in fields.items():
        option = f" `{options[name]}`{{.option}}" if name in options else ""
        default = field.get_default(call_default_factory=True)
        takes = f"{kind(field)[:1].upper()}{kind(field)[1:]}. Default: `{value(default)}`."
        entries.append(
            f"[`{name}`]{{#{anchor}-{hyphened(name)}}}{option}\n"
            f": {plain(field.description or '')}\n\n  [{takes}]{{.takes}}"
        )
    return "```{container} settings\n" + "\n\n".join(entries) + "\n```\n" if entries else ""


def presets(settings: type[Settings]) -> str:
    """The presets of a technique with their settings."""
    entries = [
        f"`{name}`\n: " + "; ".join(f"`{key}` {plain(value(each))}" for key, each in chosen.items())
        for name, chosen in settings.presets.items()
    ]
    return "```{container} settings\n" + "\n\n".join(entries) + "\n```\n"
