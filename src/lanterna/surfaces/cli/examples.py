"""`lanterna examples`: pictures to begin with, saved where the user is."""

import shlex
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lanterna import shelf
from lanterna.files import atomic_write, refuse_to_overwrite
from lanterna.images import open_picture, save_picture
from lanterna.shelf.table import ITEMS
from lanterna.surfaces.cli.common import Force, Json, Quiet, emit_json, fetch_missing, say, show

PHOTOGRAPHS = {
    "cat.jpg": ("chelsea.png", "a cat"),
    "cup.jpg": ("coffee.png", "a cup of coffee"),
    "rocket.jpg": ("rocket.jpg", "a rocket before its launch"),
    "stones.jpg": ("gravel.png", "gravel from above, a texture for styles"),
}
"""The files to write: each photograph's name on the shelf, and what it shows."""
PAGE = ("page.jpg", "a handwritten page")


def examples(
    folder: Annotated[Path, Parameter(help="The folder to save them in.")] = Path(),
    /,
    *,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Save example pictures in this folder: a handwritten page and photographs.

    All may be used freely; the photographs are from the shelf.
    """
    names = (PAGE[0], *PHOTOGRAPHS)
    for name in names:
        refuse_to_overwrite(folder / name, force=force, instead="choose another folder")
    fetch_missing("photographs", quiet=quiet)
    source = shelf.need("photographs")
    licences = {each.filename: each.licence for each in ITEMS["photographs"].members}
    rows = [(*PAGE, "MIT, as Lanterna itself")]
    missing = [folder / name for name in names if not (folder / name).exists()]
    try:
        with atomic_write(folder / PAGE[0]) as place:
            place.write_bytes(files("lanterna.surfaces.cli").joinpath("page.jpg").read_bytes())
        for name, (photograph, what) in PHOTOGRAPHS.items():
            save_picture(open_picture(source / photograph), folder / name, force=force)
            rows.append((name, what, licences[photograph]))
    except BaseException:
        for file in missing:  # all or none, so that the same command can be tried again
            file.unlink(missing_ok=True)
        raise
    if json:
        emit_json(
            [{"file": str(folder / name), "what": what, "licence": licence} for name, what, licence in rows]
        )
        return
    show(*(f"{name:<12}{what}: {licence}" for name, what, licence in rows))
    say(f"Try: lanterna classify {shlex.quote(str(folder / 'cat.jpg'))}", quiet=quiet)
