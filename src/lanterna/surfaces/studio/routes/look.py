"""The look page of a picture in a network, for the frame in the room Look.

It is the page that `lanterna look` writes, with inline scripts. The guard serves it with its own content
security policy, in a sandbox: its scripts run, but cannot reach the studio.
"""

from __future__ import annotations

import re
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

from lanterna.errors import LanternaError, MissingError, display_names
from lanterna.surfaces.studio.messages import Id
from lanterna.surfaces.studio.routes.requests import ApiRoute, parameter, studio_of
from lanterna.surfaces.studio.store import checked_id

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

PATH = "/api/look"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


async def look(request: Request) -> Response:
    """Return the look page of a picture (by default the first test digit) in a network."""
    studio, query = studio_of(request), request.query_params
    store = studio.store
    picture = store.picture(checked_id(query["picture"])) if "picture" in query else None
    name, file = query.get("network", "conv"), None if picture is None else store.file(picture)
    title = "a test digit" if picture is None else picture["title"] or "a picture"
    try:  # in a process of its own, so that a large network cannot take the page along
        page = await studio.looker.run(_titled_page, name, file, title)
    except BrokenProcessPool:
        raise LanternaError(
            f"{name} took too much memory or time, and was stopped: try a smaller network"
        ) from None
    return HTMLResponse(page, headers={"cache-control": "no-store"})


def _titled_page(name: str, file: Path | None, title: str) -> str:
    with display_names({} if file is None else {file: title}):
        return _page(name, file, title, _last_trained(name))


def _last_trained(name: str) -> float:
    """Return when a network trained here was last trained, or 0 for any other."""
    from lanterna.networks.trained import WEIGHTS, trained_folder

    weights = trained_folder(name) / WEIGHTS if NAME.fullmatch(name) else None
    return weights.stat().st_mtime if weights is not None and weights.is_file() else 0.0


@lru_cache(maxsize=2)  # the room first checks for an error, then loads the frame
def _page(name: str, file: Path | None, title: str, _: float) -> str:
    from lanterna.images import open_picture
    from lanterna.images.digits import mnist
    from lanterna.networks import open_network, shelf_items, to_input
    from lanterna.shelf import is_fetched
    from lanterna.surfaces.studio.techniques import check_network
    from lanterna.surfaces.web.look_page import look_page
    from lanterna.techniques.classify.algorithm import LONGEST
    from lanterna.techniques.read.algorithm import read

    check_network(name)
    missing = [item for item in shelf_items(name) if not is_fetched(item)]
    if missing:
        raise MissingError(f"{name} has not been fetched yet: lanterna shelf fetch {' '.join(missing)}")
    network = open_network(name, device="cpu", trust=False)
    digits = network.input_spec.is_of_digits
    if file is None:
        if not digits:
            raise MissingError(f"choose a picture for {name}")
        image = mnist("test").images[:1].float().view(1, 28, 28) / 255
    elif digits and (page := read(file, network=network)):
        image = page[0].image
    else:
        image = to_input(open_picture(file, longest=LONGEST), network.input_spec)
    return look_page(network, image, name=name, title=title)


ROUTES = [
    ApiRoute(PATH, look, answer="text/html", query={
        "network": parameter("The network; default conv.", min_length=1),
        "picture": parameter("The picture's id; default a test digit.", Id),
    }),
]  # fmt: skip
