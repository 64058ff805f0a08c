"""What every technique has in common: a recipe says what to do, frames say how far it has come.

A recipe is a frozen pydantic model. The command line's options, the studio's controls and the record in
a saved picture are all made from its fields, so every setting is defined once, with its range and help.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lanterna.documents import check_document
from lanterna.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


Kind = TypeVar("Kind", bound="Recipe")


class Recipe(BaseModel):
    """Every setting of one technique. Subclasses add fields with a default, a range and a line of help."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    verb: ClassVar[str]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="Where all randomness starts: same seed, same result."
    )

    @classmethod
    def checked(cls, settings: Mapping[str, Any]) -> Self:
        """Make a recipe from plain values (text is read as numbers where numbers are wanted).

        Errors: `UsageError`, one line that names the setting, what was expected and what came.
        """
        unknown = sorted(set(settings) - set(cls.model_fields))
        if unknown:
            known = ", ".join(sorted(cls.model_fields))
            raise UsageError(f"{cls.verb} has no setting {unknown[0]!r}: it has {known}")
        check_document(dict(settings))
        try:
            return cls.model_validate(dict(settings))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"]) or cls.verb
            message = first["msg"].removeprefix("Value error, ")
            raise UsageError(f"{name}: {message}, got {_short(first['input'])}") from error

    def changed(self, assignments: Mapping[str, Any]) -> Self:
        """The same recipe with some settings changed, checked again."""
        return type(self).checked({**self.model_dump(), **assignments})

    def only(self, kind: type[Kind]) -> Kind:
        """What is of `kind`, the recipe that this one adds settings to."""
        return kind.checked({name: getattr(self, name) for name in kind.model_fields})


@dataclass(frozen=True)
class Frame:
    """How far a piece of work has come.

    `picture` is `(3, H, W)` in [0, 1] or None where a technique paints none; `numbers` are what to watch
    (loss, accuracy, PSNR), by name.
    """

    step: int
    steps: int
    numbers: Mapping[str, float] = field(default_factory=dict)
    picture: Tensor | None = None

    def _repr_png_(self) -> bytes | None:
        """The picture, as a notebook asks for it."""
        if self.picture is None:
            return None
        from lanterna.images.drawing import as_image

        file = io.BytesIO()
        as_image(self.picture).save(file, "PNG")
        return file.getvalue()


def _short(value: object, most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"
