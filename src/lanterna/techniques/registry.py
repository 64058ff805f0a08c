"""The techniques there are: names and import paths, so that listing them imports nothing.

Those of others come from packages that are installed, by the entry-point group `lanterna.techniques`: the
entry's name is the verb, its value names a `Technique`, or several. A name in a stranger's recipe imports
nothing that is not in this table.
"""

from __future__ import annotations

import pkgutil
import re
from contextlib import suppress
from functools import cache
from importlib.metadata import distributions
from textwrap import shorten
from typing import TYPE_CHECKING

from lanterna.errors import LanternaError, escaped

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from lanterna.techniques.technique import Technique

GROUP = "lanterna.techniques"

# By verb, in the order of the studio's rooms; the first technique of each is what the verb does by itself.
BUILT_IN = {
    "learn": "lanterna.lessons.technique:TECHNIQUES",
    "read": "lanterna.techniques.read.technique:TECHNIQUES",
    "classify": "lanterna.techniques.classify.technique:TECHNIQUES",
    "train": "lanterna.techniques.train.technique:TECHNIQUES",
    "teach": "lanterna.techniques.teach.technique:TECHNIQUES",
    "feature": "lanterna.techniques.feature.technique:TECHNIQUES",
    "dream": "lanterna.techniques.dream.technique:TECHNIQUES",
    "style": "lanterna.techniques.style.technique:TECHNIQUES",
    "paint": "lanterna.techniques.paint.technique:TECHNIQUES",
}


RESERVED = {
    "doctor", "help", "look", "networks", "recipe", "render", "rerun", "shelf", "studio", "tour", "version",
}  # fmt: skip
"""Verbs of the command line that are no techniques."""

NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
"""What a technique can be called, as recipes take it."""


@cache
def entry_points() -> dict[str, EntryPoint]:
    """The techniques of other packages by their verbs; no package replaces what is built in."""
    found: dict[str, EntryPoint] = {}
    for package in distributions():
        with suppress(Exception):  # metadata that cannot be read: of a package that is no business of ours
            for entry in package.entry_points:
                if entry.group == GROUP and NAME.fullmatch(entry.name):
                    found.setdefault(entry.name, entry)
    return {verb: entry for verb, entry in found.items() if verb not in BUILT_IN.keys() | RESERVED}


@cache
def summaries() -> dict[str, str]:
    """The verbs of techniques from other packages, and what these packages say of themselves."""
    said = {}
    for verb, entry in entry_points().items():
        with suppress(Exception):
            said[verb] = shorten(escaped((entry.dist and entry.dist.metadata["Summary"]) or ""), 100)
    return {verb: said.get(verb) or f"From {escaped(entry.value)}." for verb, entry in entry_points().items()}


@cache
def techniques_for(verb: str) -> tuple[Technique, ...]:
    """The techniques of one verb, imported now; none where there is no such verb.

    Errors: `LanternaError` where somebody's package cannot be used.
    """
    if verb in BUILT_IN:
        found = pkgutil.resolve_name(BUILT_IN[verb])
        return found if isinstance(found, tuple) else (found,)
    if verb not in entry_points():
        return ()
    from lanterna.techniques.installed import load  # with torch, which a list of names does without

    return load(entry_points()[verb])


@cache
def _all() -> tuple[dict[str, Technique], dict[str, str]]:
    found: dict[str, Technique] = {}
    broken: dict[str, str] = {}
    for verb in (*BUILT_IN, *entry_points()):
        try:
            techniques = techniques_for(verb)
            if taken := [each.name for each in techniques if each.name in found]:
                raise LanternaError(f"the technique {verb} is wrong: there is a {taken[0]!r} already")
            found |= {each.name: each for each in techniques}
        except LanternaError as error:
            broken[verb] = str(error)
    return found, broken


def all_techniques() -> dict[str, Technique]:
    """Every technique that can be used, by its name; all are imported now."""
    return _all()[0]


def load_errors() -> dict[str, str]:
    """Why techniques of other packages cannot be used, by their verbs."""
    return _all()[1]


def find_technique(verb: str, output: str) -> Technique | None:
    """The technique that makes such a picture, or None where there is none that can be used."""
    with suppress(LanternaError):
        return next((each for each in techniques_for(verb) if output in each.outputs), None)
    return None
