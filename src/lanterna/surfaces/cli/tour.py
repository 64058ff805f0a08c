"""`lanterna tour`: see what Lanterna does, in one go."""

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lanterna.surfaces.cli.common import Quiet, fetch_missing, say


def tour(
    *,
    output: Annotated[
        Path, Parameter(name=("--output", "-o"), help="The folder that the gallery goes into.")
    ] = Path("gallery"),
    painting: Annotated[
        Path | None, Parameter(help="A painting of yours, whose style a room uses too.")
    ] = None,
    quick: Annotated[
        bool, Parameter(negative="", help="Small pictures and a short race: does all of it work here?")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Fetch, train, read a page, classify photographs, look inside, dream and paint: the gallery in one go.

    Writes a page, index.html, with everything that was made. What is there already is used again.
    """
    begun = time.perf_counter()
    say("first what is needed from the shelf", quiet=quiet)
    from lanterna.images import open_picture
    from lanterna.surfaces.cli.digit_reader import watching
    from lanterna.surfaces.cli.tour_rooms import SHELF, rooms
    from lanterna.surfaces.web.gallery import begin_gallery, check_gallery, write_gallery

    if painting is not None:
        open_picture(painting, longest=64)  # one that cannot be read is told before anything is fetched
    check_gallery(output)
    fetch_missing(*SHELF, quiet=quiet)
    begin_gallery(output)
    to_see, seen = rooms(painting, quick=quick), []
    for number, (name, room) in enumerate(to_see.items(), start=1):
        say(f"room {number} of {len(to_see)}: {name}", quiet=quiet)
        with watching(quiet=quiet) as watch:
            seen.append(room(output, watch))
    index = write_gallery(output, seen)
    say("", quiet=quiet)
    say(f"The gallery is open, after {time.perf_counter() - begun:.0f} s:", quiet=quiet)
    for made in seen:
        numbers = ", ".join(f"{what} {value}" for what, value in made.numbers)
        say(f"  {made.title}: {numbers}", quiet=quiet)
    say(f"Look at {index}. Then try:", quiet=quiet)
    for made in seen:
        say(f"  {made.command}", quiet=quiet)
    say("Or do it by hand, in your browser:", quiet=quiet)
    say("  lanterna studio", quiet=quiet)
