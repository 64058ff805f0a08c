"""Paths in the repository that several tests use."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
SCREENSHOTS = ROOT / "artifacts" / "screenshots"
