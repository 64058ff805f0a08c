"""The studio's secrets: the token for programs, and the session of the user's own browser.

They are saved in the studio's folder, which only this user can read: so a page that is open, a bookmark and a
program work on when the studio is started again. Deleting the file makes all of them ask for the new link.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lanterna.files import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

FILE = "access.json"
_Secret = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,100}$")]


def _secret() -> str:
    return secrets.token_urlsafe(24)


class Access(BaseModel):
    """The token, and the path and the cookie of the session; new ones unless given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: _Secret = Field(default_factory=_secret)
    path: _Secret = Field(default_factory=_secret)
    cookie: _Secret = Field(default_factory=_secret)


def saved_access(folder: Path) -> Access:
    """Return the secrets saved in the studio's folder, or save new ones."""
    file = folder / FILE
    try:
        access = Access.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        access = Access()
    with atomic_write(file) as temporary:  # again, so that it is private and complete
        temporary.write_text(access.model_dump_json(), encoding="ascii")
    return access
