"""Generate the reference of the studio's API, from its OpenAPI description."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from generated.formatting import plain
from lanterna.surfaces.studio.openapi import description
from lanterna.surfaces.studio.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

Schema = dict[str, Any]
_KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}


def studio(_: Sphinx | None = None) -> str:
    """Return all calls, grouped by the first part of the path, and all schemas."""
    api = description(ROUTES)
    areas: dict[str, list[str]] = {}
    for path, methods in api["paths"].items():
        areas.setdefault(path.split("/")[2].removesuffix(".json"), []).extend(
            _call(method.upper(), path, operation) for method, operation in methods.items()
        )
    lines = [f"## {area.capitalize()}\n\n" + "\n".join(calls) for area, calls in areas.items()]
    objects = [
        f"(api-{name.lower()})=\n### {name}\n\n{_settings(_properties(schema))}"
        for name, schema in api["components"]["schemas"].items()
    ]
    return "\n".join([*lines, "## Objects\n", *objects])


def _call(method: str, path: str, operation: Schema) -> str:
    parameters = [
        (
            f"{each['name']}{'' if each['required'] else '?'}",
            _kind(each["schema"]),
            each.get("description", ""),
        )
        for each in operation["parameters"]
    ]
    request = operation.get("requestBody", {}).get("content", {})
    bodies = [f"The body is `{media}`: {_kind(body['schema'])}.\n" for media, body in request.items()]
    status, response = next(iter(operation["responses"].items()))
    result = " or ".join(
        _kind(content["schema"]) if "schema" in content else f"`{media}`"
        for media, content in response.get("content", {}).items()
    )
    return "\n".join(
        [
            f"### {method} `{path}`\n",
            f"{plain(operation['summary'])}\n",
            _settings(parameters),
            *bodies,
            f"{{.takes}}\n{status}: {result or 'no content'}\n",
        ]
    )


def _properties(schema: Schema) -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        yield f"{name}{'' if name in required else '?'}", _kind(each), each.get("description", "")


def _kind(schema: Schema) -> str:
    """Describe the type of a value."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#api-{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(f"`{each}`" for each in schema["enum"])
    match schema.get("type"):
        case "array":
            return f"a list, each item {_kind(schema['items'])}"
        case "object":
            return "an object"
        case "null":
            return "null"
        case "string" if schema.get("format") == "binary":
            return "a file"
        case "string" if "pattern" in schema:
            return "ids separated by commas" if "," in schema["pattern"] else "an id"
        case [*kinds]:
            return " or ".join(_KINDS[kind] for kind in kinds)
        case kind:
            return _KINDS.get(str(kind), str(kind)) + _range(schema)


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    return "".join(
        [f", at least {low:,}" if low is not None else "", f", at most {high:,}" if high is not None else ""]
    )


def _settings(entries: Any) -> str:  # noqa: ANN401  # triples of name, type and description
    lines = [
        f"`{name}`\n: {plain(text) + ' ' if text else ''}[{kind[:1].upper()}{kind[1:]}.]{{.takes}}"
        for name, kind, text in entries
    ]
    return "```{container} settings\n" + "\n\n".join(lines) + "\n```\n" if lines else ""
