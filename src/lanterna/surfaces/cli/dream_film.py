"""`lanterna dream --film`: the endless zoom into a picture, or a film dreamed frame after frame."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lanterna.images import open_picture
from lanterna.images.film_reading import open_film
from lanterna.images.films import check_film_place
from lanterna.networks import shelf_items
from lanterna.recipes.dream_film import DreamFilm, dream_frames, dream_zoom
from lanterna.surfaces.cli.common import fetch_and_open, tell_device
from lanterna.surfaces.cli.filming import film_record, filming, is_film, mark

if TYPE_CHECKING:
    from collections.abc import Generator

    from lanterna.recipes.recipe import Frame
    from lanterna.surfaces.cli.filming import Watching
    from lanterna.techniques.frame_folder import FrameFolder


def film(
    source: Path,
    recipe: DreamFilm,
    place: Path,
    *,
    guide: Path | None,
    watching: "Watching",
    resume: bool,
    device: str,
    force: bool,
    json: bool,
    quiet: bool,
) -> int | None:
    """Make the film: of a picture or of a film, by what `source` is."""
    check_film_place(place, force=force or resume)
    given = open_film(source) if is_film(source) else None
    taken = sys.stdin.buffer.read() if source == Path("-") else source
    still = None if given else open_picture(taken)
    matched = None if guide is None else open_picture(guide)
    network = fetch_and_open(recipe.network, device=device, quiet=quiet)

    def work(frames: "FrameFolder") -> "Generator[Frame, None, None]":
        tell_device(device, quiet=quiet)
        done = frames.done
        last = frames[done - 1] if done else None
        if given:
            originals = given.frames(max(0, done - 1))
            return dream_frames(
                originals, recipe, count=given.count, network=network, guide=matched, done=done, last=last
            )
        assert still is not None
        first = frames[0] if done else None
        return dream_zoom(still, recipe, network=network, guide=matched, done=done, first=first, last=last)

    return filming(
        place,
        recipe,
        work,
        made_from={"source": mark(taken), "guide": mark(guide)},
        count=given.count if given else recipe.frames,
        fps=given.fps if given else recipe.fps,
        record=film_record("dream", "film", recipe, taken, network, shelf_items(recipe.network), guide=guide),
        watching=watching,
        resume=resume,
        force=force,
        json=json,
        quiet=quiet,
    )
