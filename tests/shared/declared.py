"""Change the registered techniques and presets for a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lanterna.techniques import registry
from places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from lanterna.techniques.technique import Settings


def clear_registry() -> None:
    """Clear the registry's caches, after a technique was added or removed."""
    for cached in (registry.entry_points, registry.summaries, registry.techniques_for, registry._all):
        cached.cache_clear()


def register_example(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Register the example's technique as if it were installed, by an entry point in `folder`."""
    metadata = folder / "lanterna_strokes-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: lanterna-strokes\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{registry.GROUP}]\nstrokes = add_technique:STROKES\n")
    for path in (ROOT / "examples", folder):
        patch.syspath_prepend(path)
    clear_registry()


def replace_presets(
    patch: pytest.MonkeyPatch, settings: type[Settings], presets: dict[str, dict[str, Any]]
) -> None:
    """Replace the presets of settings."""
    for name in reversed(list(settings.presets)):  # undoing restores them in the original order
        patch.delitem(settings.presets, name)  # type: ignore[arg-type]
    for name, preset in presets.items():
        patch.setitem(settings.presets, name, preset)  # type: ignore[arg-type]
