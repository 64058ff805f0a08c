"""The kinds of job, and how the worker does each: thin over what the command line's verbs have.

A kind begins its work on a `Task` and gives a `Doing`: the generator of frames, what to show of a frame, and
what to keep when the work ends or is stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanterna.surfaces.studio.kinds import dream, fetch, learn, look, paint, random, style, teach, train

if TYPE_CHECKING:
    from lanterna.surfaces.studio.task import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for room in (learn, dream, style, paint, random, look, train, teach, fetch)
    for kind in room.KINDS
}
