"""What the photographs that lessons work on show: their files are called otherwise."""

from __future__ import annotations

SUBJECTS = {"chelsea": "cat", "coffee": "cup", "astronaut": "astronaut"}
"""By the name of the file."""
