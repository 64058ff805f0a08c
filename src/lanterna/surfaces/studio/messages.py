"""The request and response types of the studio's API; the OpenAPI description is generated from them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic.functional_validators import ModelWrapValidatorHandler, model_validator
from typing_extensions import TypedDict

from lanterna.errors import UsageError, join_lines

Id = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{32}$"})
]  # the id itself is validated by the routes
Numbers = dict[str, float]
Settings = Annotated[
    dict[str, Any], Field(description="Settings that match the kind's schema in /api/techniques.")
]
_MAX_TAGS = 20


def title_of(text: str) -> str:
    """Return a title as it is stored: one line of printable characters."""
    return "".join(c for c in join_lines(text) if c.isprintable())[:120]


Title = Annotated[str, AfterValidator(title_of)]


def _tag(text: str) -> str:
    """Return a tag as it is stored: in small letters, without # and spaces around it."""
    return " ".join(title_of(text).lower().split()).strip(" #")[:40].strip()


Tag = Annotated[str, AfterValidator(_tag)]


class Body(BaseModel):
    """A request body: only declared fields, strictly typed. `model_fields_set` are those that were sent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="wrap")
    @classmethod
    def _in_one_line(cls, sent: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:  # noqa: ANN401
        """Validate the body. Errors: `UsageError` for an unknown field or a wrong type."""
        try:
            return handler(sent)
        except ValidationError as error:
            first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        names, name = ", ".join(cls.model_fields), ".".join(map(str, first["loc"][:1]))
        expected = first.get("ctx", {}).get("expected", "").replace("'", "").replace(" or ", ", ")
        words = {
            "model_type": f"expected an {cls.__name__.lower()} as {{{names}}}",
            "extra_forbidden": f"unknown field {name[:40]!r}: expected {names}",
            "missing": f"{name} is missing: expected {names}",
            "literal_error": f"{name}: expected {expected}, got {str(first['input'])[:40]!r}",
        }
        limits, sent = cls.model_json_schema()["properties"].get(name, {}), first["input"]
        if first["type"] in ("greater_than_equal", "less_than_equal") and "minimum" in limits:
            between = f"from {limits['minimum']:,} to {limits['maximum']:,}"
            raise UsageError(f"{name}: expected a number {between}, got {sent}")
        if first["type"] == "string_too_long" and "maxLength" in limits:
            most = f"{limits['maxLength']:,}"
            raise UsageError(f"{name}: expected at most {most} characters, got {len(sent):,}")
        raise UsageError(words.get(first["type"], f"{name} has the wrong type"))


class Input(Body):
    """An input picture of a job."""

    role: str = "picture"
    picture: Id


class NewJob(Body):
    """A new job; with `at`, a branch that starts at that step of its parent, with the parent's kind."""

    kind: str = ""
    settings: Settings = {}
    preset: str | None = None
    inputs: list[Input] = []
    title: Title = ""
    parent: Id | None = None
    at: int = 0


class JobChange(Body):
    """Changes to a job."""

    settings: Settings = {}
    state: Literal["paused", "running", "stopped"] = "running"
    before: Id | None = None
    title: Title = ""
    back: int = 0


class NewName(Body):
    """A network's new name."""

    name: str


class PictureChange(Body):
    """Changes to a picture."""

    starred: bool = False
    title: Title = ""
    tags: Annotated[list[Tag], AfterValidator(lambda tags: sorted({*tags} - {""})[:_MAX_TAGS])] = []


class Noise(Body):
    """A place in a plane of noise, and the digit to draw from it."""

    digit: int = Field(ge=0, le=9)
    across: float = Field(default=0.0, ge=-100, le=100)
    down: float = Field(default=0.0, ge=-100, le=100)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    guidance: float = Field(default=2.0, ge=0, le=10)
    steps: int = Field(default=4, ge=1, le=20)


class Attempt(Body):
    """An answer to the exercise with that number."""

    exercise: Annotated[Any, WithJsonSchema({"type": "integer", "minimum": 1})]
    answer: Annotated[Any, WithJsonSchema({"type": ["number", "string"]})]


class Explanation(Body):
    """What a student wrote about the exercise with that number."""

    exercise: Annotated[Any, WithJsonSchema({"type": "integer", "minimum": 1})]
    words: Annotated[str, Field(max_length=5000)]


Error = TypedDict("Error", {"error": str})
Forecast = TypedDict("Forecast", {"seconds": int | None, "smaller": int | None})
Step = TypedDict("Step", {"step": int})
StepNumbers = TypedDict("StepNumbers", {"step": int, "numbers": Numbers})
Job = TypedDict("Job", {
    "id": Id, "kind": str, "state": Literal["queued", "running", "paused", "stopped", "done", "failed"],
    "title": str, "preset": str | None, "settings": Settings, "inputs": list[Input], "parent": Id | None,
    "created": float, "ended": float | None, "step": int, "steps": int, "numbers": Numbers, "note": str,
    "seconds_left": float | None, "error": str | None, "picture": Id | None, "preview": int,
    "history": list[Step],
})  # fmt: skip
Picture = TypedDict("Picture", {
    "id": Id, "kind": str, "room": str, "title": str, "width": int, "height": int, "bytes": int,
    "created": float, "media": str, "file": str, "note": str, "job": Id | None,
    "origin": Literal["made", "upload", "example"], "starred": bool, "deleted": bool, "also": str | None,
    "tags": list[str],
    "recipe": dict[str, Any] | None,
})  # fmt: skip
TagCount = TypedDict("TagCount", {"tag": str, "pictures": int})
Role = TypedDict("Role", {
    "role": str, "words": str, "required": bool, "many": bool, "grey": bool, "of": str, "suffix": str,
    "example": str,
})  # fmt: skip
TechniqueDescription = TypedDict("TechniqueDescription", {
    "kind": str, "room": str, "title": str, "words": str, "schema": dict[str, Any],
    "example": Settings, "presets": dict[str, dict[str, Any]], "preset_help": dict[str, str],
    "thumbnails": dict[str, str], "inputs": list[Role], "live": list[str], "plain": list[str],
    "hidden": list[str], "makes": str, "wall": str, "exclusive": list[list[str]],
})  # fmt: skip
LayerOf = TypedDict("LayerOf", {
    "name": str, "shape": list[int], "field": int | None, "sees": str, "minor": bool,
})  # fmt: skip
NetworkLayers = TypedDict("NetworkLayers", {
    "side": int, "layers": list[LayerOf], "default": str, "classes": list[str],
})  # fmt: skip
Channels = TypedDict("Channels", {
    "channels": list[int], "side": int, "columns": int, "picture": str | None,
})  # fmt: skip
Room = TypedDict("Room", {"name": str, "title": str, "own": bool, "first": str})
Place = TypedDict("Place", {"label": str, "room": str, "kind": str, "role": str, "suffix": str})
Techniques = TypedDict("Techniques", {
    "rooms": list[Room], "places": list[Place], "techniques": list[TechniqueDescription],
    "glossary": dict[str, str],
})  # fmt: skip
Why = TypedDict("Why", {"rather_than": int, "terms": list[int]})
Digit = TypedDict("Digit", {
    "digit": int, "chances": list[float], "confidence": float, "box": list[float], "row": int, "note": str,
    "input": list[int], "why": Why | None,
})  # fmt: skip
Reading = TypedDict("Reading", {
    "digits": list[Digit], "text": str, "notes": list[str], "width": int, "height": int,
    "milliseconds": float,
})  # fmt: skip
Imagined = TypedDict("Imagined", {"levels": list[int], "milliseconds": float})
Class = TypedDict("Class", {"class": int, "name": str, "chance": float})
Classes = TypedDict("Classes", {"answers": list[Class], "milliseconds": float})
Exercise = TypedDict(
    "Exercise", {"try": str, "predict": str, "explain": str, "answer": str, "choices": list[str]}
)
Quote = TypedDict("Quote", {"line": str, "author": str, "url": str})
Brief = TypedDict("Brief", {"make": str, "look_for": str})
Lesson = TypedDict("Lesson", {
    "name": str, "title": str, "question": str, "claim": str, "quote": Quote | None,
    "explanation": list[str], "seen": str, "program": str, "where": str, "quick": bool, "needs": list[str],
    "exercises": list[Exercise], "brief": Brief | None, "settings": dict[str, Any],
})  # fmt: skip
Finding = TypedDict("Finding", {
    "verdict": Literal["holds", "holds only when", "does not hold"], "words": str,
    "numbers": dict[str, float | None], "seeds": list[int],
})  # fmt: skip
Outcome = TypedDict("Outcome", {"finding": Finding, "charts": list[dict[str, Any]], "rows": list[list[str]]})
Measured = TypedDict("Measured", {
    "finding": Finding, "charts": list[dict[str, Any]], "rows": list[list[str]], "seconds": int,
    "took": str,
})  # fmt: skip
SavedAnswer = TypedDict(
    "SavedAnswer", {"answer": float | str, "right": bool, "tries": int, "explanation": str}, total=False
)
Reply = TypedDict("Reply", {"right": bool, "words": str})
Network = TypedDict("Network", {"name": str, "what": str, "source": str, "here": bool, "command": str})
NetworkName = TypedDict("NetworkName", {"name": str})
Item = TypedDict("Item", {"name": str, "what": str, "licence": str, "bytes": int, "here": bool})
Example = TypedDict("Example", {"name": str, "title": str, "licence": str, "here": bool})
