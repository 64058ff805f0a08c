"""Format settings as Markdown: their type, range and default."""

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
    """Escape text for Markdown; text in backticks stays code."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_{}\[\]<>$|])", r"\\\1", part) for part in parts
    )


def hyphened(name: str) -> str:
    """Return a setting's name with hyphens, as in its option and its anchor."""
    return name.rstrip("_").replace("_", "-")


def value(default: object) -> str:
    """Format a default."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, list | tuple):
        return " ".join(map(value, default)) or "none"
    if isinstance(default, dict):
        return ", ".join(f"{name} {value(each)}" for name, each in default.items()) or "empty"
    return "none" if default in (None, "") else str(default)


def changed(settings: type[Settings], name: str) -> str:
    """Return `name=value` with a valid value other than the default."""
    default = getattr(settings(), name)
    choices = get_args(settings.model_fields[name].annotation)
    others = [each for each in choices if isinstance(each, str) and each != default]
    if isinstance(default, int | float):
        others = [default // 2, default * 2] if isinstance(default, int) else [default / 2, default * 2]
    for each in others:
        with contextlib.suppress(UsageError):
            settings.checked({name: each})
            return f"{name}={each}"
    text = ",".join(map(value, default)) if isinstance(default, list | tuple) else value(default)
    return shlex.quote(f"{name}={text}")


def kind(field: FieldInfo) -> str:
    """Describe a field's type and range."""
    return _kind(field.annotation, field.metadata)


def _kind(annotation: Any, metadata: Iterable[object] = ()) -> str:  # noqa: ANN401  # any annotation
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inside[0], (*inside[1:], *metadata))
    if origin is Literal:
        return "one of " + ", ".join(f"`{each}`" for each in inside)
    if origin in (Union, types.UnionType):
        kinds = [_kind(each, metadata) for each in inside if each is not types.NoneType]
        return " or ".join(kinds) + (", or none" if types.NoneType in inside else "")
    if origin in (tuple, list):
        item, comma, limits = _kind(inside[0]).partition(", ")
        many = _MANY.get(item, item) + (f" (each {limits})" if comma else "")
        fixed = origin is tuple and inside[-1] is not Ellipsis
        return f"{len(inside)} {many}" if fixed else ", ".join([f"any number of {many}", *_ranges(metadata)])
    return ", ".join([_KINDS.get(annotation, str(annotation)), *_ranges(metadata)])


def _ranges(metadata: Iterable[object]) -> list[str]:
    limits = []
    for each in (bound for item in metadata for bound in _bounds(item)):
        match each:
            case bounds.Ge(low):
                limits.append(f"at least {_number(low)}")
            case bounds.Gt(low):
                limits.append(f"more than {_number(low)}")
            case bounds.Le(high):
                limits.append(f"at most {_number(high)}")
            case bounds.Lt(high):
                limits.append(f"less than {_number(high)}")
            case bounds.MultipleOf(step):
                limits.append(f"a multiple of {_number(step)}")
            case bounds.MinLen(count):
                limits.append("not empty" if count == 1 else f"at least {count} of them")
            case bounds.MaxLen(count):
                limits.append(f"at most {count:,} of them")
    return limits


def _bounds(item: object) -> Iterable[object]:
    """Return the bounds in an item of metadata, which may be a `Field(…)`."""
    return getattr(item, "metadata", None) or [item]


def _number(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:g}"


def settings(fields: Mapping[str, FieldInfo], options: Mapping[str, str], anchor: str) -> str:
    """Return a definition list of fields: name and option, then description, type and default."""
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
    """Return a list of a technique's presets, with their settings."""
    entries = [
        f"`{name}`\n: " + "; ".join(f"`{key}` {plain(value(each))}" for key, each in chosen.items())
        for name, chosen in settings.presets.items()
    ]
    return "```{container} settings\n" + "\n\n".join(entries) + "\n```\n"
