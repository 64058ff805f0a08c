"""What `import lanterna` gives: every name with its signature and its docstring."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import lanterna
from lanterna.techniques.technique import Settings
from made.settings import anchor

if TYPE_CHECKING:
    from collections.abc import Callable

    from sphinx.application import Sphinx


def python(_: Sphinx | None = None) -> str:
    """Functions first, then classes, then where the settings of each technique are described."""
    found = {name: getattr(lanterna, name) for name in lanterna.__all__}
    functions = {name: each for name, each in found.items() if inspect.isfunction(each)}
    classes = {name: each for name, each in found.items() if isinstance(each, type)}
    kinds = {
        name: each for name, each in classes.items() if issubclass(each, Settings) and each is not Settings
    }
    others = {name: each for name, each in classes.items() if name not in kinds}
    links = ", ".join(f"[`{name}`](settings.md#{anchor(each)})" for name, each in kinds.items())
    return "\n".join(
        [
            "## Functions\n",
            *(_function(name, each) for name, each in functions.items()),
            f"## Settings\n\nThey are arguments, by name: {links}.\n",
            "## Classes\n",
            *(_class(name, each) for name, each in others.items()),
        ]
    )


def _function(name: str, function: Callable[..., object]) -> str:
    signature = f"```python\n{_signature(name, function)}\n```"
    return f"(lanterna-{name.lower()})=\n### {name}\n\n{signature}\n\n{_told(function)}\n"


def _class(name: str, kind: type) -> str:
    shown = {
        each: inspect.getdoc(member) or ""
        for each, member in vars(kind).items()
        if not each.startswith("_") and (inspect.isroutine(member) or isinstance(member, property))
    }
    public = [
        f"`{each}`: " + told.split("\n\n")[0].replace("\n", " ") for each, told in shown.items() if told
    ]
    members = "\n".join(f"- {each}" for each in public)
    return f"(lanterna-{name.lower()}-class)=\n### {name}\n\n{_told(kind)}\n\n{members}\n"


def _signature(name: str, function: Callable[..., object]) -> str:
    """The signature, one parameter on each line where they do not fit on one."""
    signature = inspect.signature(function)
    told, keywords = [], False
    for each in signature.parameters.values():
        if each.kind is each.KEYWORD_ONLY and not keywords:
            told, keywords = [*told, "*"], True
        star = "*" if each.kind is each.VAR_POSITIONAL else ""
        default = "" if each.default is each.empty else f" = {each.default!r}"
        told.append(f"{star}{each.name}: {each.annotation}{default}")
    gives = f" -> {signature.return_annotation}"
    line = f"{name}({', '.join(told)}){gives}"
    if len(line) <= 70:
        return line
    return "\n".join([f"{name}(", *(f"    {each}," for each in told), f"){gives}"])


def _told(thing: object) -> str:
    """A docstring; it is written in Markdown."""
    return inspect.getdoc(thing) or ""
