"""`lanterna studio`: everything, live, in a browser on this machine."""

from typing import Annotated

from cyclopts import Parameter

from lanterna.surfaces.cli.common import Quiet, say


def studio(
    *,
    port: Annotated[int | None, Parameter(help="The port; 8765, or any that is free.")] = None,
    browser: Annotated[bool, Parameter(help="Open the page in the browser.")] = True,
    host: Annotated[
        str | None,
        Parameter(help="Another address to listen at, 0.0.0.0 for all: whoever has the token can use it."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Open the studio: all of it live, in a browser on this machine.

    Ctrl-C closes it. Jobs that are under way go on when it is opened again. The address that it prints holds
    a token that is new each time; without it nothing can be changed.
    """
    from lanterna.surfaces.studio.server import serve

    def opened(address: str) -> None:
        say("the studio is open; Ctrl-C closes it", quiet=quiet)
        if host is not None:
            say(
                "others reach it at this machine's address, with the token: keep it to yourselves",
                quiet=quiet,
            )
        print(address, flush=True)

    serve(port=port, host=host, browser=browser, opened=opened)
