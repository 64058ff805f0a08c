"""Techniques that only tests have."""

from __future__ import annotations

from lanterna.techniques import registry


def forget_techniques() -> None:
    """Let the registry be read anew, after a technique was added to it or taken away."""
    for remembered in (registry.paths, registry.of_verb, registry.all_techniques):
        remembered.cache_clear()
