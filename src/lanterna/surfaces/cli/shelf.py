"""`lanterna shelf`: the data and weights, where they come from, and whether they are here."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from lanterna import settings
from lanterna import shelf as the_shelf
from lanterna.errors import UsageError
from lanterna.files import format_size
from lanterna.surfaces.cli.common import (
    Force,
    Json,
    Quiet,
    console,
    emit_json,
    fetch_missing,
    say,
)

shelf = App(name="shelf", help="The data and weights that Lanterna uses: list, fetch, verify, clear.")


@shelf.default
def listed(*, json: Json = False) -> None:
    """The data and weights that Lanterna uses: what each is, its licence, its source, and whether it is here.

    They come from the Python package index, are checked by sha256, and are kept in a cache on this machine.
    """
    if json:
        emit_json(
            {"folder": str(settings.shelf_folder()), "items": [_described(name) for name in the_shelf.ITEMS]}
        )
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("here", no_wrap=True)
    table.add_column("to fetch", justify="right", no_wrap=True)
    table.add_column("what it is, licence, source", overflow="fold")
    for name, item in the_shelf.ITEMS.items():
        here = format_size(the_shelf.size_on_disk(name)) if the_shelf.is_fetched(name) else "no"
        source = f"{item.what}\n{item.licence}\n{item.project} {item.version}"
        table.add_row(name, here, format_size(item.size), source)
    console(stdout=True).print(table)
    absent = [name for name in the_shelf.ITEMS if not the_shelf.is_fetched(name)]
    say(f"in {settings.shelf_folder()}")
    if absent:
        say(f"to get what is not here: lanterna shelf fetch {' '.join(absent)}")


@shelf.command
def fetch(
    *names: str,
    everything: Annotated[bool, Parameter(name="--all", negative="", help="All of the shelf.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fetch what is named and is not here yet.

    Parameters
    ----------
    names
        Which items; `lanterna shelf` lists them.
    """
    if everything == bool(names):
        raise UsageError(f"name what to fetch, or give --all: {', '.join(the_shelf.ITEMS)}")
    wanted = list(the_shelf.ITEMS) if everything else _known(names)
    for name in wanted:
        fetch_missing(name, quiet=quiet)
        the_shelf.need(name)
        if not json:
            say(f"{name}: here ({format_size(the_shelf.size_on_disk(name))})", quiet=quiet)
    if json:
        emit_json([_described(name) for name in wanted])


@shelf.command(name="import")
def import_wheel(
    wheels: Annotated[list[Path], Parameter(negative="")], /, *, json: Json = False, quiet: Quiet = False
) -> None:
    """Take wheels that were fetched some other way; each is known by its sha256.

    Parameters
    ----------
    wheels
        The wheels' files.
    """
    names = []
    for wheel in wheels:
        names.append(the_shelf.import_wheel(wheel))
        if not json:
            say(f"{names[-1]}: here ({format_size(the_shelf.size_on_disk(names[-1]))})", quiet=quiet)
    if json:
        emit_json([_described(name) for name in names])


@shelf.command
def verify(*names: str, json: Json = False, quiet: Quiet = False) -> int:
    """Check every file that is here against its sha256. A wrong one is removed, and the exit code is 1.

    Parameters
    ----------
    names
        Which items; without names, all that are here.
    """
    here = [name for name in the_shelf.ITEMS if (settings.shelf_folder() / name).exists()]
    damage = {name: the_shelf.verify(name) for name in (_known(names) if names else here)}
    if json:
        emit_json([{"name": name, "right": wrong is None, "wrong": wrong} for name, wrong in damage.items()])
    else:
        for name, wrong in damage.items():
            if wrong is None:
                say(f"{name}: right", quiet=quiet)
            else:
                say(f"{name}: {wrong}, so it was removed: run `lanterna shelf fetch {name}`")
        if not damage:
            say("nothing is here yet: run `lanterna shelf fetch --all`", quiet=quiet)
    return 1 if any(damage.values()) else 0


@shelf.command
def clear(*names: str, force: Force = False, json: Json = False, quiet: Quiet = False) -> None:
    """Remove what is named, or everything. It is a cache: whatever is needed is fetched again.

    Parameters
    ----------
    names
        Which items; without names, all.
    force
        Clear it although LANTERNA_OFFLINE keeps it from being fetched again.
    """
    if settings.offline() and not force:
        raise UsageError(
            "LANTERNA_OFFLINE is set, so what is cleared could not be fetched again: give --force"
        )
    freed = the_shelf.clear(_known(names) if names else None)
    if json:
        emit_json({"freed_bytes": sum(freed.values()), "removed": list(freed)})
        return
    for name, size in freed.items():
        say(f"{name}: removed, {format_size(size)} freed", quiet=quiet)
    if not freed:
        say("there was nothing to remove", quiet=quiet)


def _known(names: tuple[str, ...]) -> list[str]:
    for name in names:
        if name not in the_shelf.ITEMS:
            raise UsageError(f"the shelf has no {name!r}: it has {', '.join(the_shelf.ITEMS)}")
    return list(dict.fromkeys(names))


def _described(name: str) -> dict[str, object]:
    item = the_shelf.ITEMS[name]
    return {
        "name": name,
        "what": item.what,
        "licence": item.licence,
        "source": f"{item.project} {item.version}",
        "wheel": item.wheel,
        "wheel_sha256": item.sha256,
        "wheel_bytes": item.size,
        "here": the_shelf.is_fetched(name),
        "bytes_here": the_shelf.size_on_disk(name),
        "folder": str(settings.shelf_folder() / name),
        "files": [
            {"name": member.filename, "from": member.path, "sha256": member.sha256}
            | ({"licence": member.licence} if member.licence else {})
            for member in item.members
        ],
    }
