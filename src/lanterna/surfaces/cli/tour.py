"""`lanterna tour`: a tour of what Lanterna does."""

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lanterna.surfaces.cli.common import Quiet, fetch_missing, say


def tour(
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="The gallery's folder.")] = Path(
        "gallery"
    ),
    painting: Annotated[Path | None, Parameter(help="Your own painting, for one room's style.")] = None,
    quick: Annotated[
        bool, Parameter(negative="", help="Use small pictures and a short race, to test that it all works.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train, read, classify, look inside, dream and paint: a gallery in one go.

    Writes a page, index.html, with all the results. Networks that are already trained are reused.
    """
    begun = time.perf_counter()
    say("fetching data and weights, if any are missing", quiet=quiet)
    from lanterna.images import open_picture
    from lanterna.surfaces.cli.digit_reader import watching
    from lanterna.surfaces.cli.tour_rooms import SHELF, all_rooms
    from lanterna.surfaces.web.gallery import begin_gallery, check_gallery, write_gallery

    if painting is not None:
        open_picture(painting, longest=64)  # raises before anything is fetched
    check_gallery(output)
    fetch_missing(*SHELF, quiet=quiet)
    begin_gallery(output)
    rooms, finished = all_rooms(painting, quick=quick), []
    for number, (name, create_room) in enumerate(rooms.items(), start=1):
        say(f"room {number} of {len(rooms)}: {name}", quiet=quiet)
        with watching(quiet=quiet) as watch:
            finished.append(create_room(output, watch))
    index = write_gallery(output, finished)
    say("", quiet=quiet)
    say(f"The gallery is ready, after {time.perf_counter() - begun:.0f} s:", quiet=quiet)
    for room in finished:
        numbers = ", ".join(f"{label} {value}" for label, value in room.numbers)
        say(f"  {room.title}: {numbers}", quiet=quiet)
    say(f"Open {index}. Then try:", quiet=quiet)
    for room in finished:
        say(f"  {room.command}", quiet=quiet)
    say("Or do it all by hand, in your browser:", quiet=quiet)
    say("  lanterna studio", quiet=quiet)
