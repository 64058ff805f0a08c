"""The API's description for programs: OpenAPI 3.1, generated from the routes, docstrings and messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, create_model

import lanterna
from lanterna.surfaces.studio.messages import Error, Id
from lanterna.surfaces.studio.techniques import techniques

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lanterna.surfaces.studio.routes.requests import ApiRoute

Schema = dict[str, Any]

_TEXT = {"type": "string"}
_IN_PATHS = {"id": TypeAdapter(Id).json_schema(), "step": {"type": "integer", "minimum": 0}}
_FILE = {"schema": {"type": "string", "format": "binary"}}
_FAILURES = {
    400: "The body is not a JSON object.", 401: "The token is missing or wrong.",
    403: "The request comes from another site.",
    404: "Not found.", 408: "The body did not arrive in time.",
    409: "The job's state does not allow it.", 413: "The body is too large.",
    415: "The body has the wrong media type.", 422: "A value is wrong; the error says which.",
    500: "Internal error.",
}  # fmt: skip


def description(routes: Iterable[ApiRoute]) -> Schema:
    """Return the complete description of these routes."""
    calls, paths = list(routes), dict[str, Schema]()
    types = [(f"{call.name} {part}", kind) for call in calls for part, kind in call.messages.items()]
    schemas, shared = TypeAdapter.json_schemas(
        [(name, "validation", TypeAdapter(kind)) for name, kind in [*types, ("error", Error)]],
        ref_template="#/components/schemas/{model}",
    )
    for model in shared["$defs"].values():
        for field in model["properties"].values():
            field.pop("default", None)  # an omitted field changes nothing
    shared["$defs"]["NewJob"]["properties"]["kind"]["enum"] = list(techniques())
    failure = {"application/json": {"schema": schemas["error", "validation"]}}
    failures = {status: {"description": text, "content": failure} for status, text in _FAILURES.items()}
    for call in calls:
        path = re.sub(r":\w+}", "}", call.path)
        query = create_model("Query", **call.query).model_json_schema()
        found: Schema = {
            part: {"application/json": {"schema": schemas[f"{call.name} {part}", "validation"]}}
            for part in call.messages
        }
        content = found.get("answer", {call.answer: {}} if call.answer else {})
        success = {"description": "Success.", "content": content}
        paths.setdefault(path, {})[call.method.lower()] = operation = {
            "operationId": call.name,
            "summary": (call.endpoint.__doc__ or "").strip().split("\n")[0],
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": _IN_PATHS.get(name, _TEXT)}
                for name in call.param_convertors
            ] + [
                {"name": name, "in": "query", "required": name in query.get("required", ()),
                 "description": schema["description"], "schema": schema}
                for name, schema in query["properties"].items()
            ],
            "responses": {call.status: success, **failures},
        }  # fmt: skip
        if call.body:
            operation["requestBody"] = {"required": True, "content": found.get("body", {call.body: _FILE})}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lanterna's studio",
            "version": lanterna.__version__,
            "description": "Everything the studio's page does. Each request sends the token that "
            "`lanterna studio` prints, as `Authorization: Bearer TOKEN`.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": shared["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
