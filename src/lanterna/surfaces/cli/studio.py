"""`lanterna studio`: everything live, in a browser on this machine."""

from typing import Annotated

from cyclopts import Parameter

from lanterna.surfaces.cli.common import Quiet, say, show


def studio(
    *,
    port: Annotated[int | None, Parameter(help="The port. [default: 8765, or a free one]")] = None,
    browser: Annotated[bool, Parameter(help="Open the page in a browser.")] = True,
    host: Annotated[
        str | None,
        Parameter(help="Another address to listen on, 0.0.0.0 for all; whoever has the token can use it."),
    ] = None,
    allow: Annotated[
        tuple[str, ...],
        Parameter(
            help="A site whose pages may use the studio with its token, such as http://localhost:8000.",
            negative="",
        ),
    ] = (),
    quiet: Quiet = False,
) -> None:
    """Open the studio: everything live, in your browser.

    Ctrl-C closes it; jobs resume when it is opened again. The address that it
    prints contains a token, without which nobody can use the studio.
    """
    from lanterna.files import private_umask
    from lanterna.surfaces.studio.server import open_address, open_browser, serve

    def opened(address: str) -> None:
        say("the studio is open; Ctrl-C closes it", quiet=quiet)
        if host is not None:
            say(
                "other machines reach it at this address; its token allows everything",
                quiet=quiet,
            )
        show(address)

    with private_umask() as umask:
        if (port, host, allow) == (None, None, ()) and (address := open_address()):
            say("the studio is open already:", quiet=quiet)
            show(address)
            if browser:
                open_browser(umask)
        else:
            show_page = (lambda: open_browser(umask)) if browser else None
            serve(port=port, host=host, allow=allow, browser=show_page, opened=opened)
