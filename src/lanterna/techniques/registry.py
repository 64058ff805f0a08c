"""List the techniques by name and import path, so that listing them imports nothing.

Other packages add techniques with the entry-point group `lanterna.techniques`: the name of an entry point is
the verb, its value names a `Technique` or a tuple of them. A name in a stranger's recipe imports nothing that
is not listed here.
"""

from __future__ import annotations

import pkgutil
import re
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import distributions
from textwrap import shorten
from typing import TYPE_CHECKING

from lanterna.errors import LanternaError, escape

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from lanterna.techniques.technique import Technique

GROUP = "lanterna.techniques"

# By verb, in the order of the studio's rooms. The first technique of a verb runs if no flag chooses another.
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
    "imagine": "lanterna.techniques.imagine.technique:TECHNIQUES",
    "grow": "lanterna.techniques.grow.technique:TECHNIQUES",
}


RESERVED = {
    "doctor", "help", "look", "networks", "recipe", "render", "rerun", "shelf", "studio", "tour", "version",
}  # fmt: skip
"""Verbs of the command line that are not techniques."""

NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
"""The pattern of names that recipes accept."""


@cache
def entry_points() -> dict[str, EntryPoint]:
    """Return the entry points of other packages by verb; they cannot replace built-in verbs."""
    entries: dict[str, EntryPoint] = {}
    for package in distributions():
        with suppress(Exception):  # unreadable metadata of an unrelated package
            for entry in package.entry_points:
                if entry.group == GROUP and NAME.fullmatch(entry.name):
                    entries.setdefault(entry.name, entry)
    return {verb: entry for verb, entry in entries.items() if verb not in BUILT_IN.keys() | RESERVED}


@cache
def summaries() -> dict[str, str]:
    """Return the verbs of other packages, with the summary of the package."""
    texts = {}
    for verb, entry in entry_points().items():
        with suppress(Exception):
            texts[verb] = shorten(escape((entry.dist and entry.dist.metadata["Summary"]) or ""), 100)
    return {verb: texts.get(verb) or f"From {escape(entry.value)}." for verb, entry in entry_points().items()}


def summary(verb: str) -> str:
    """Return the first line of the package that declares a built-in verb; it imports nothing else."""
    package = BUILT_IN[verb].partition(":")[0].rpartition(".")[0]
    return (import_module(package).__doc__ or "").partition("\n")[0]


@cache
def techniques_for(verb: str) -> tuple[Technique, ...]:
    """Import and return the techniques of a verb; an empty tuple if there is no such verb.

    Errors: `LanternaError` if they are in another package that cannot be used.
    """
    if verb in BUILT_IN:
        value = pkgutil.resolve_name(BUILT_IN[verb])
        return value if isinstance(value, tuple) else (value,)
    if verb not in entry_points():
        return ()
    from lanterna.techniques.installed import load  # imports torch, which a list of names does without

    return load(entry_points()[verb])


@cache
def _all() -> tuple[dict[str, Technique], dict[str, str]]:
    by_name: dict[str, Technique] = {}
    errors: dict[str, str] = {}
    for verb in (*BUILT_IN, *entry_points()):
        try:
            techniques = techniques_for(verb)
            if taken := [each.name for each in techniques if each.name in by_name]:
                raise LanternaError(f"the technique {verb} is wrong: there is already a {taken[0]!r}")
            by_name |= {each.name: each for each in techniques}
        except LanternaError as error:
            errors[verb] = str(error)
    return by_name, errors


def all_techniques() -> dict[str, Technique]:
    """Import and return all usable techniques by name."""
    return _all()[0]


def load_errors() -> dict[str, str]:
    """Return why techniques of other packages cannot be used, by verb."""
    return _all()[1]


def find_technique(verb: str, output: str) -> Technique | None:
    """Return the technique with this output, or None if no usable one has it."""
    with suppress(LanternaError):
        return next((each for each in techniques_for(verb) if output in each.outputs), None)
    return None
