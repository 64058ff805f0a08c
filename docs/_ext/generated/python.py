"""Generate the Python reference: every name of `lanterna`, with signature and docstring."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import lanterna
from generated.settings import anchor
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from sphinx.application import Sphinx


def python(_: Sphinx | None = None) -> str:
    """Return sections for functions, settings (as links) and classes."""
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
            f"## Settings\n\nThe settings of each technique: {links}.\n",
            "## Classes\n",
            *(_class(name, each) for name, each in others.items()),
        ]
    )


def _function(name: str, function: Callable[..., object]) -> str:
    signature = f"```python\n{_signature(name, function)}\n```"
    return f"(lanterna-{name.lower()})=\n### {name}\n\n{signature}\n\n{_docstring(function)}\n"


def _class(name: str, kind: type) -> str:
    docstrings = {
        each: inspect.getdoc(member) or ""
        for each, member in vars(kind).items()
        if not each.startswith("_") and (inspect.isroutine(member) or isinstance(member, property))
    }
    public = [
        f"`{each}`: " + text.split("\n\n")[0].replace("\n", " ") for each, text in docstrings.items() if text
    ]
    members = "\n".join(f"- {each}" for each in public)
    return f"(lanterna-{name.lower()}-class)=\n### {name}\n\n{_docstring(kind)}\n\n{members}\n"


def _signature(name: str, function: Callable[..., object]) -> str:
    """Return the signature, with one parameter per line if it is too long for one line."""
    signature = inspect.signature(function)
    parameters, keywords = [], False
    for each in signature.parameters.values():
        if each.kind is each.KEYWORD_ONLY and not keywords:
            parameters, keywords = [*parameters, "*"], True
        star = "*" if each.kind is each.VAR_POSITIONAL else ""
        default = "" if each.default is each.empty else f" = {each.default!r}"
        parameters.append(f"{star}{each.name}: {each.annotation}{default}")
    returns = f" -> {signature.return_annotation}"
    line = f"{name}({', '.join(parameters)}){returns}"
    if len(line) <= 70:
        return line
    return "\n".join([f"{name}(", *(f"    {each}," for each in parameters), f"){returns}"])


def _docstring(thing: object) -> str:
    """Return a docstring, which is Markdown."""
    return inspect.getdoc(thing) or ""
