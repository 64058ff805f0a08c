"""`lanterna class`: everybody draws on a phone, and the big screen reads."""

import contextlib
import datetime
import sqlite3
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lanterna.errors import MissingError, UsageError
from lanterna.surfaces.cli.common import say, show


def class_(
    file: Annotated[
        Path | None, Parameter(help="The class's file. [default: one a day, in Lanterna's own folder]")
    ] = None,
    /,
    *,
    open_: Annotated[
        bool, Parameter(name="--open", negative="", help="Look at a class that was held: the last, or FILE.")
    ] = False,
    forget: Annotated[
        bool, Parameter(negative="", help="Remove a class with everything in it: the last, or FILE.")
    ] = False,
    photo: Annotated[Path | None, Parameter(help="Your photograph, for the round Style.")] = None,
    names: Annotated[
        bool, Parameter(negative="", help="Ask for nicknames, and save those that may be saved.")
    ] = False,
    quiet: Annotated[
        bool, Parameter(negative="", help="Show a drawing only once you have chosen it.")
    ] = False,
    host: Annotated[
        str | None, Parameter(help="The address that phones reach. [default: all of this machine's]")
    ] = None,
    port: Annotated[int | None, Parameter(help="The port for phones. [default: 8770, or a free one]")] = None,
    browser: Annotated[bool, Parameter(help="Open the page for the big screen in a browser.")] = True,
) -> None:
    """Hold a class: everybody draws on a phone, the big screen reads.

    Phones scan a code and need no app and no account; what they send stays on
    this machine. The space key moves from round to round: draw, vote, train a
    network on the class's own digits, fool it, paint in two styles, hunt for
    digits that nobody wrote. The same command continues the same class.
    """
    if open_ and forget:
        raise UsageError("--open and --forget exclude each other: leave one out")
    given = {"--photo": photo, "--names": names, "--quiet": quiet, "--host": host, "--port": port}
    ignored = [name for name, value in given.items() if value is not None and value is not False]
    if (open_ or forget) and ignored:
        raise UsageError(f"{ignored[0]} has no effect with {'--open' if open_ else '--forget'}: leave it out")
    if forget:
        return _forget(file or _last())
    from lanterna.files import private_umask
    from lanterna.settings import classes_folder, networks_folder
    from lanterna.surfaces.classroom.class_file import ClassFile, not_saved, remove
    from lanterna.surfaces.classroom.room import Room
    from lanterna.surfaces.classroom.server import serve
    from lanterna.surfaces.studio.server import open_browser, write_link

    path = file or (_last() if open_ else classes_folder() / f"{datetime.date.today().isoformat()}.sqlite")
    if not open_:
        _prepare(photo)

    def opened(address: str) -> None:
        say(f"{path} is open; Ctrl-C closes it" + ("" if open_ else ", the same command continues it"))
        show(address)
        if not open_:
            where = host or "all addresses of this machine"
            say(f"phones join below, with the code {room.code}; listening at {where}")
            show(f"{room.address}/#{room.code}")
            if not any(networks_folder().glob("imagine-*.safetensors")):
                say("the round Hunt needs a network that draws digits: run `lanterna imagine` once before")
        if browser:
            write_link(link, address)
            open_browser(umask, link)

    new = not path.exists()
    with private_umask() as umask, contextlib.closing(ClassFile(path, create=not open_)) as saved:
        link = classes_folder() / "open.html"
        try:
            room = Room(saved, quiet=quiet, names=names, photo=photo, review=open_)
            serve(room, host=host, port=port, opened=opened)
        except (UsageError, sqlite3.Error) as error:
            if new and not saved.counts()["phones"]:
                saved.close()
                remove(path)
            raise not_saved(path, error) if isinstance(error, sqlite3.Error) else error from None
        finally:
            link.unlink(missing_ok=True)
        if not open_:
            drawings = "1 drawing is" if room.drawings == 1 else f"{room.drawings} drawings are"
            say(f"closed: {drawings} saved in {path}")
    return None


def _prepare(photo: Path | None) -> None:
    """Check the photograph, and train the network that reads, if there is none yet."""
    from lanterna.settings import networks_folder
    from lanterna.surfaces.cli.common import fetch_missing

    if photo is not None:
        from lanterna.images import open_picture

        open_picture(photo, longest=64)
    fetch_missing("mnist")
    # Otherwise this process imports no torch, so that an interrupted class is back sooner.
    if not (networks_folder() / "conv" / "weights.safetensors").is_file():
        from lanterna.surfaces.cli.digit_reader import open_or_train

        open_or_train("conv", device="cpu")


def _forget(path: Path) -> None:
    from lanterna.surfaces.classroom.class_file import forget

    def agreed(counts: dict[str, int]) -> bool:
        if not sys.stdin.isatty():
            return True
        say(f"Remove {_words(counts)} of {path}? [y/N]")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    counts = forget(path, agreed)
    show(f"removed {path}: {_words(counts)}" if counts else f"nothing was removed: {path} is still there")


def _words(counts: dict[str, int]) -> str:
    found = {"drawing": counts["drawings"], "vote": counts["votes"], "phone": counts["phones"]}
    return ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in found.items())


def _last() -> Path:
    """Return the class that was held last in Lanterna's own folder. Errors: `MissingError` if none was."""
    from lanterna.settings import classes_folder

    found = sorted(classes_folder().glob("*.sqlite"))
    if not found:
        raise MissingError("no class has been held yet: `lanterna class` begins one")
    return found[-1]
