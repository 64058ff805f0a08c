"""The API described for programs: OpenAPI 3.1, made from the routes, their docstrings and a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import lanterna
from lanterna.surfaces.studio.techniques import techniques

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.routing import Route

Schema = dict[str, Any]


def _object(**properties: Schema) -> Schema:
    """An object that has all of these."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _wishes(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """An object that may have these and nothing else."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _named(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT, _NUMBER, _YES, _COUNT = (
    {"type": "string"},
    {"type": "number"},
    {"type": "boolean"},
    {"type": "integer"},
)
_ID = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_STEP = {"type": "integer", "minimum": 0}
_NUMBERS = {"type": "object", "additionalProperties": _NUMBER}
_SETTINGS = {"type": "object", "description": "As the kind's schema in /api/recipes says."}
_PICTURE_BODY = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
_STATES = ["queued", "running", "paused", "stopped", "done", "failed"]

SCHEMAS: dict[str, Schema] = {
    "Error": _object(error=_TEXT),
    "Input": _object(role=_TEXT, picture=_ID),
    "Job": _object(
        id=_ID, kind=_TEXT, state={"enum": _STATES}, title=_TEXT, preset=_or_null(_TEXT),
        settings=_SETTINGS,
        inputs=_list(_named("Input")), parent=_or_null(_ID), made=_NUMBER, ended=_or_null(_NUMBER),
        step=_COUNT,
        steps=_COUNT, numbers=_NUMBERS, note=_TEXT, seconds_left=_or_null(_NUMBER), error=_or_null(_TEXT),
        picture=_or_null(_ID), preview=_COUNT, history=_list(_object(step=_COUNT)),
    ),
    "Picture": _object(
        id=_ID, kind=_TEXT, room=_TEXT, title=_TEXT, width=_COUNT, height=_COUNT, bytes=_COUNT, made=_NUMBER,
        media=_TEXT, job=_or_null(_ID),
        origin={"enum": ["made", "upload", "example"]}, starred=_YES, deleted=_YES,
        also=_or_null(_TEXT), recipe=_or_null({"type": "object"}),
    ),
    "Recipe": _object(
        kind=_TEXT, room=_TEXT, title=_TEXT, words=_TEXT, schema={"type": "object"},
        presets={"type": "object"}, thumbnails={"type": "object", "additionalProperties": _TEXT},
        inputs=_list(_object(role=_TEXT, words=_TEXT, required=_YES, many=_YES)), steers=_list(_TEXT),
        plain=_list(_TEXT), hidden=_list(_TEXT),
    ),
    "Reading": _object(
        digits=_list(
            _object(
                digit=_COUNT, chances=_list(_NUMBER), confidence=_NUMBER, box=_list(_NUMBER), row=_COUNT,
                note=_TEXT, seen=_list(_COUNT),
                why=_or_null(_object(rather_than=_COUNT, terms=_list({"type": "integer"}))),
            )
        ),
        text=_TEXT, notes=_list(_TEXT), width=_COUNT, height=_COUNT, milliseconds=_NUMBER,
    ),
    "Classes": _object(
        answers=_list(_object(**{"class": _COUNT, "name": _TEXT, "chance": _NUMBER})), milliseconds=_NUMBER
    ),
    "Lesson": _object(
        name=_TEXT, title=_TEXT, question=_TEXT, claim=_TEXT, where=_TEXT, quick=_YES, needs=_list(_TEXT),
        exercises=_list(
            _object(**{"try": _TEXT}, predict=_TEXT, explain=_TEXT, answer=_TEXT, choices=_list(_TEXT))
        ),
        settings={"type": "object"},
    ),
    "Outcome": _object(
        finding=_object(
            verdict={"enum": ["holds", "holds only when", "does not hold"]}, words=_TEXT,
            numbers={"type": "object", "additionalProperties": _or_null(_NUMBER)}, seeds=_list(_COUNT),
        ),
        charts=_list({"type": "object"}), rows=_list(_list(_TEXT)),
    ),
    "Network": _object(name=_TEXT, what=_TEXT, source=_TEXT, here=_YES, command=_TEXT),
    "Item": _object(name=_TEXT, what=_TEXT, licence=_TEXT, bytes=_COUNT, here=_YES),
    "Example": _object(name=_TEXT, title=_TEXT, licence=_TEXT, here=_YES),
}  # fmt: skip

_NEW_JOB = _wishes(
    ("kind",), kind={"enum": list(techniques())}, settings=_SETTINGS, preset=_or_null(_TEXT), title=_TEXT,
    parent=_or_null(_ID), inputs=_list(_wishes(("picture",), role=_TEXT, picture=_ID)), at=_COUNT,
)  # fmt: skip
_JOB_CHANGE = _wishes(
    settings=_SETTINGS,
    state={"enum": ["paused", "running", "stopped"]},
    before=_or_null(_ID),
    title=_TEXT,
    back=_COUNT,
)
_SOME = {"type": "string", "pattern": "^[0-9a-f]{32}(,[0-9a-f]{32}){0,499}$"}
_IDS = {"ids": (_SOME, "Ids with commas between.", True)}

# By method and path: what is sent, what may stand in the query, and what comes back.
_BODIES: dict[tuple[str, str], Schema] = {
    ("POST", "/api/jobs"): {"application/json": {"schema": _NEW_JOB}},
    ("PATCH", "/api/jobs/{id}"): {"application/json": {"schema": _JOB_CHANGE}},
    ("PATCH", "/api/networks/{name}"): {"application/json": {"schema": _wishes(("name",), name=_TEXT)}},
    ("PATCH", "/api/gallery/{id}"): {"application/json": {"schema": _wishes(starred=_YES, title=_TEXT)}},
    ("POST", "/api/pictures"): _PICTURE_BODY,
    ("POST", "/api/read"): _PICTURE_BODY,
    ("POST", "/api/read/steps"): _PICTURE_BODY,
    ("POST", "/api/classify"): _PICTURE_BODY,
    ("POST", "/api/lessons/{name}"): {"application/json": {"schema": _SETTINGS}},
    ("POST", "/api/lessons/{name}/check"): {
        "application/json": {
            "schema": _wishes(
                ("exercise", "answer"),
                exercise={"type": "integer", "minimum": 1},
                answer={"type": ["number", "string"]},
            )
        }
    },
}
_READING: dict[str, tuple[Schema, str, bool]] = {
    "network": ({"type": "string", "minLength": 1}, "Which trained network reads; conv.", False),
    "surface": ({"enum": ["page", "pad"]}, "pad: light ink on black, as a pad gives it.", False),
}
_QUERIES: dict[tuple[str, str], dict[str, tuple[Schema, str, bool]]] = {
    ("GET", "/api/jobs/{id}/preview"): {"n": (_COUNT, "The job's `preview`, so that none is kept.", False)},
    ("GET", "/api/jobs/{id}/numbers"): {
        "after": ({"type": "integer", "minimum": -1, "maximum": 2**53}, "Only of later steps.", False)
    },
    ("POST", "/api/pictures"): {"title": (_TEXT, "What it is called.", False)},
    ("POST", "/api/read"): {
        **_READING,
        "cut": (
            _TEXT,
            "0: digits that touch are not cut apart, which is quicker: while the pen moves.",
            False,
        ),
        "why": (_TEXT, "1: also which pixels speak for the answer, amber and blue, in hundredths.", False),
    },
    ("POST", "/api/read/steps"): _READING,
    ("POST", "/api/classify"): {
        "network": ({"type": "string", "minLength": 1}, "Which answers; efficientnet-lite0.", False),
        "top": ({"type": "integer", "minimum": 1, "maximum": 1000}, "At most so many answers; 5.", False),
    },
    ("GET", "/api/gallery"): {
        "words": (_TEXT, "Words, all of which it has.", False),
        "room": (_TEXT, "Only of this room.", False),
        "starred": (_TEXT, "1: only with a star.", False),
        "before": (_ID, "Only older than this one.", False),
        "limit": ({"type": "integer", "minimum": 1, "maximum": 500}, "At most so many; 60.", False),
    },
    ("GET", "/api/gallery/export.zip"): _IDS,
    ("GET", "/api/gallery/sheet.pdf"): _IDS,
    ("GET", "/api/look"): {
        "network": ({"type": "string", "minLength": 1}, "Which network looks; conv.", False),
        "picture": (_ID, "At what; a test digit.", False),
    },
    ("GET", "/api/events"): {"after": (_TEXT, "As the header Last-Event-ID.", False)},
}
_JPEG: Schema = {"image/jpeg": {}}
_ANSWERS: dict[tuple[str, str], Schema] = {
    ("GET", "/api/recipes"): _list(_named("Recipe")),
    ("GET", "/api/jobs"): _list(_named("Job")),
    ("GET", "/api/jobs/{id}/numbers"): _list(_object(step=_COUNT, numbers=_NUMBERS)),
    ("GET", "/api/examples"): _list(_named("Example")),
    ("POST", "/api/examples/{name}"): _named("Picture"),
    ("GET", "/api/shelf"): _list(_named("Item")),
    ("POST", "/api/shelf/{name}"): _named("Job"),
    ("GET", "/api/gallery"): _list(_named("Picture")),
    ("POST", "/api/read"): _named("Reading"),
    ("POST", "/api/classify"): _named("Classes"),
    ("GET", "/api/lessons"): _list(_named("Lesson")),
    ("POST", "/api/lessons/{name}"): _named("Outcome"),
    ("POST", "/api/lessons/{name}/check"): _object(right=_YES, words=_TEXT),
    ("GET", "/api/networks"): _list(_named("Network")),
    ("PATCH", "/api/networks/{name}"): _object(name=_TEXT),
    ("DELETE", "/api/networks/{name}"): _object(name=_TEXT),
    ("POST", "/api/networks/{name}/restore"): _object(name=_TEXT),
    ("GET", "/api/openapi.json"): {"type": "object"},
}
_OTHER_ANSWERS: dict[str, Schema] = {
    "/api/jobs/{id}/preview": _JPEG,
    "/api/jobs/{id}/history/{step}": _JPEG,
    "/api/pictures/{id}/file": {"image/*": {}},
    "/api/pictures/{id}/thumbnail": _JPEG,
    "/api/pictures/{id}/also": {"application/octet-stream": {}},
    "/api/examples/{name}/thumbnail": _JPEG,
    "/api/gallery/export.zip": {"application/zip": {}},
    "/api/gallery/sheet.pdf": {"application/pdf": {}},
    "/api/read/steps": {"image/png": {}},
    "/api/look": {"text/html": {}},
    "/api/events": {"text/event-stream": {}},
}
_CREATED = {
    ("POST", "/api/jobs"), ("POST", "/api/pictures"), ("POST", "/api/examples/{name}"),
    ("POST", "/api/shelf/{name}"),
}  # fmt: skip
_FAILURES = {
    "400": "It is no JSON.", "401": "The token is missing or wrong.", "403": "It comes from another site.",
    "404": "There is no such thing.", "408": "The body did not arrive in time.",
    "409": "The job is not in a state for that.", "413": "The body is too large.",
    "415": "The body is of another type.", "422": "A setting is wrong; the words say which.",
    "500": "The studio has failed.",
}  # fmt: skip


def description(routes: Iterable[Route]) -> Schema:
    """The whole description, of these routes."""
    paths: dict[str, Schema] = {}
    for route in routes:
        for method in sorted(route.methods or ()):
            if method != "HEAD":
                path = route.path.replace(":id", "").replace(":int", "")
                paths.setdefault(path, {})[method.lower()] = _operation(method, path, route)
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
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(method: str, path: str, route: Route) -> Schema:
    key = (method, path)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"id": _ID, "step": _STEP}.get(name, _TEXT)}
        for name in re.findall(r"{(\w+)}", path)
    ]
    parameters += [
        {"name": name, "in": "query", "required": required, "description": words, "schema": schema}
        for name, (schema, words, required) in _QUERIES.get(key, {}).items()
    ]
    operation: Schema = {
        "operationId": route.name,
        "summary": (route.endpoint.__doc__ or "").strip().split("\n")[0],
        "parameters": parameters,
        "responses": {**_success(key), **{status: _failure(words) for status, words in _FAILURES.items()}},
    }
    if key in _BODIES:
        operation["requestBody"] = {"required": True, "content": _BODIES[key]}
    return operation


def _success(key: tuple[str, str]) -> Schema:
    path = key[1]
    if key == ("DELETE", "/api/jobs/{id}"):
        return {"204": {"description": "It is gone."}}
    usual = _named("Job") if path.startswith("/api/jobs") else _named("Picture")
    content = _OTHER_ANSWERS.get(path, {"application/json": {"schema": _ANSWERS.get(key, usual)}})
    return {"201" if key in _CREATED else "200": {"description": "It went well.", "content": content}}


def _failure(words: str) -> Schema:
    return {"description": words, "content": {"application/json": {"schema": _named("Error")}}}
