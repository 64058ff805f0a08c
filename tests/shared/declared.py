"""Techniques that only tests have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lanterna.techniques import registry
from places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from lanterna.techniques.technique import Settings


def forget_techniques() -> None:
    """Let the registry be read anew, after a technique was added to it or taken away."""
    for remembered in (registry.entry_points, registry.summaries, registry.techniques_for, registry._all):
        remembered.cache_clear()


def with_the_example(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the example's technique be found, as if it were installed: an entry point in that folder."""
    metadata = folder / "lanterna_strokes-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: lanterna-strokes\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{registry.GROUP}]\nstrokes = add_technique:STROKES\n")
    for each in (ROOT / "examples", folder):
        patch.syspath_prepend(each)
    forget_techniques()


def with_presets(
    patch: pytest.MonkeyPatch, settings: type[Settings], presets: dict[str, dict[str, Any]]
) -> None:
    """Let settings have other presets."""
    for name in reversed(list(settings.presets)):  # undone from the last on, so that they stand as they stood
        patch.delitem(settings.presets, name)  # type: ignore[arg-type]
    for name, preset in presets.items():
        patch.setitem(settings.presets, name, preset)  # type: ignore[arg-type]
