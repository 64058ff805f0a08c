"""Films: their frames are kept one by one in the job's folder, so that a film that was cut off goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lanterna.recipes.recipe import Frame
from lanterna.surfaces.frame_folder import FrameFolder
from lanterna.surfaces.studio.task import Doing, Film, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from lanterna.images import Record
    from lanterna.surfaces.studio.task import Task


def frames_of_film(task: Task) -> FrameFolder:
    """The frames of a task's film that there are already."""
    place = task.checkpoint.with_name("film.webp")
    begun = place.with_name(f"{place.name}.frames").exists()
    note = {"recipe": json.loads(task.recipe.model_dump_json())}
    return FrameFolder(place, note, resume=begun, force=True)


def filmed(
    task: Task,
    record: Record,
    work: Callable[[FrameFolder], Generator[Frame, None, None]],
    *,
    count: int,
    fps: float,
) -> Doing:
    """A film of `count` frames; `work` is given those that there are and makes the rest."""
    kept = frames_of_film(task)

    def frames() -> Generator[Frame, Any, None]:
        if kept.done:
            yield Frame(kept.done, count, picture=kept[kept.done - 1])
        if kept.done < count:
            rest = work(kept)
            try:
                for frame in rest:
                    assert frame.picture is not None
                    kept.add(frame.picture)
                    yield frame
            finally:
                rest.close()

    return Doing(frames(), lambda *_: [Result(kept[0], record, film=Film(kept, kept.done, fps))])
