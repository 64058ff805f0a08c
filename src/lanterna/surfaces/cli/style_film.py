"""`lanterna style --film`: somebody's film in the style of a painting, optimised or instant."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lanterna.errors import UsageError
from lanterna.images import open_picture
from lanterna.images.film_reading import open_film
from lanterna.images.films import check_film_place
from lanterna.networks import shelf_items
from lanterna.recipes.style_film import InstantFilm, StyleFilm, instant_frames, style_frames
from lanterna.surfaces.cli.common import fetch_and_open, fetch_missing, tell_device
from lanterna.surfaces.cli.filming import film_record, filming, is_film, mark

if TYPE_CHECKING:
    from collections.abc import Generator

    from lanterna.recipes.recipe import Frame
    from lanterna.surfaces.cli.filming import Watching
    from lanterna.techniques.frame_folder import FrameFolder


def film(
    source: Path,
    recipe: StyleFilm | InstantFilm,
    place: Path,
    *,
    styles: Sequence[Path],
    watching: "Watching",
    resume: bool,
    device: str,
    force: bool,
    json: bool,
    quiet: bool,
) -> int | None:
    """Paint a film: in one go for each frame with an `InstantFilm`, optimised with a `StyleFilm`.

    `styles` are paintings, none where an `InstantFilm` names built-in styles.
    """
    check_film_place(place, force=force or resume)
    if not is_film(source):
        raise UsageError(f"{source} is a picture: --film wants a film to paint, or a folder of its frames")
    given = open_film(source)
    paintings = [open_picture(each) for each in styles]
    if isinstance(recipe, InstantFilm):
        fetch_missing("instant-style", quiet=quiet)
        network = None
    else:
        network = fetch_and_open(recipe.network, device=device, quiet=quiet)

    def work(frames: "FrameFolder") -> "Generator[Frame, None, None]":
        tell_device(device, quiet=quiet)
        done = frames.done
        last = frames[done - 1] if done else None
        originals = given.frames(max(0, done - 1))
        if isinstance(recipe, InstantFilm):
            return instant_frames(
                originals, recipe, styles=paintings, count=given.count, device=device, done=done, last=last
            )
        return style_frames(
            originals, recipe, styles=paintings, count=given.count, network=network, done=done, last=last
        )

    return filming(
        place,
        recipe,
        work,
        made_from={"source": mark(source), "styles": [mark(each) for each in styles]},
        count=given.count,
        fps=given.fps,
        record=film_record(
            "style",
            "film" if network else "instant-film",
            recipe,
            source,
            network,
            ["instant-style"] if isinstance(recipe, InstantFilm) else shelf_items(recipe.network),
            style=styles,
        ),
        watching=watching,
        resume=resume,
        force=force,
        json=json,
        quiet=quiet,
    )
