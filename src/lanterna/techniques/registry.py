"""The techniques there are: names and import paths, so that listing them imports nothing.

Those of others come from packages that are installed, by the entry-point group `lanterna.techniques`: the
entry's name is the verb, its value names a `Technique`, or several. A name in a stranger's recipe imports
nothing that is not in this table.
"""

from __future__ import annotations

import pkgutil
from contextlib import suppress
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from lanterna.errors import LanternaError

if TYPE_CHECKING:
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


@cache
def paths() -> dict[str, str]:
    """Where each verb's techniques are declared. No package replaces what is built in."""
    others = {entry.name: entry.value for entry in entry_points(group=GROUP)}
    return {**BUILT_IN, **{verb: path for verb, path in others.items() if verb not in BUILT_IN}}


@cache
def others() -> dict[str, str]:
    """The verbs of techniques from other packages, and what these packages say of themselves."""
    return {
        entry.name: (entry.dist.metadata["Summary"] if entry.dist else None) or f"From {entry.value}."
        for entry in entry_points(group=GROUP)
        if entry.name not in BUILT_IN
    }


@cache
def of_verb(verb: str) -> tuple[Technique, ...]:
    """The techniques of one verb, imported now; none where there is no such verb.

    Errors: `LanternaError` where somebody's package cannot be imported.
    """
    if verb not in paths():
        return ()
    try:
        found = pkgutil.resolve_name(paths()[verb])
    except Exception as error:
        if verb in BUILT_IN:
            raise
        raise LanternaError(f"the technique {verb} at {paths()[verb]} cannot be imported: {error}") from error
    return found if isinstance(found, tuple) else (found,)


@cache
def all_techniques() -> dict[str, Technique]:
    """Every technique that can be imported, by its name; all are imported now."""
    found: dict[str, Technique] = {}
    for verb in paths():
        with suppress(LanternaError):
            found |= {each.name: each for each in of_verb(verb) if each.name not in found}
    return found


def technique_of(verb: str, made: str) -> Technique | None:
    """The technique that makes such a picture, or None where there is none."""
    return next((each for each in of_verb(verb) if made in each.makes), None)
