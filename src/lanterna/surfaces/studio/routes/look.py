"""What runs a picture through a network: the page for the frame in the room Look, and a layer's channels.

And the page in which a texture lives. The pages are those that commands write, with inline scripts. The guard
serves them with their own content security policy, in a sandbox: their scripts run, but cannot reach the
studio.
"""

from __future__ import annotations

import re
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from starlette.responses import HTMLResponse

from lanterna.errors import LanternaError, MissingError, display_names
from lanterna.surfaces.studio.messages import Channels, Id
from lanterna.surfaces.studio.routes.requests import ApiResponse, ApiRoute, parameter, studio_of
from lanterna.surfaces.studio.store import checked_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from lanterna.surfaces.studio.studio import Studio

_Result = TypeVar("_Result")

PATH = "/api/look"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


async def look(request: Request) -> Response:
    """Return the look page of a picture (by default the first test digit) in a network."""
    studio, query = studio_of(request), request.query_params
    store = studio.store
    picture = store.picture(checked_id(query["picture"])) if "picture" in query else None
    name, file = query.get("network", "conv"), None if picture is None else store.file(picture)
    title = "a test digit" if picture is None else picture["title"] or "a picture"
    page = await _in_looker(studio, name, _titled_page, name, file, title)
    return HTMLResponse(page, headers={"cache-control": "no-store"})


async def texture(request: Request) -> Response:
    """Return the page in which a picture that was grown lives."""
    studio = studio_of(request)
    picture = studio.store.picture(checked_id(request.query_params["picture"]))
    file = studio.store.file(picture)
    title, rule = picture["title"] or "A texture", file.with_suffix(".safetensors")
    page = await _in_looker(studio, "the texture", _living_page, rule, file, title)
    return HTMLResponse(page, headers={"cache-control": "no-store"})


async def channels(request: Request) -> Response:
    """Return a layer's channels on a picture (by default an example), the most active first."""
    studio, query = studio_of(request), request.query_params
    store = studio.store
    file = store.file(store.picture(checked_id(query["picture"]))) if "picture" in query else None
    name, layer = query.get("network", "conv"), query.get("layer", "")
    return ApiResponse(await _in_looker(studio, name, _titled_channels, name, layer, file))


async def _in_looker(studio: Studio, name: str, function: Callable[..., _Result], *args: object) -> _Result:
    """Call a function in a process of its own, so that a large network cannot take the page along."""
    try:
        return await studio.looker.run(function, *args)
    except BrokenProcessPool:
        raise LanternaError(
            f"{name} took too much memory or time, and was stopped: try a smaller network"
        ) from None


def _titled_page(name: str, file: Path | None, title: str) -> str:
    with display_names({} if file is None else {file: title}):
        return _page(name, file, title, _last_trained(name))


def _living_page(rule: Path, picture: Path, title: str) -> str:
    from lanterna.images import open_picture
    from lanterna.techniques.grow.page import texture_page
    from lanterna.techniques.grow.rule import open_rule

    with display_names({rule: title}):
        return texture_page([open_rule(rule)], [title], open_picture(picture))


def _last_trained(name: str) -> float:
    """Return when a network trained here was last trained, or 0 for any other."""
    from lanterna.networks.trained import WEIGHTS, trained_folder

    weights = trained_folder(name) / WEIGHTS if NAME.fullmatch(name) else None
    return weights.stat().st_mtime if weights is not None and weights.is_file() else 0.0


def _titled_channels(name: str, layer: str, file: Path | None) -> Channels:
    with display_names({} if file is None else {file: "the picture"}):
        return _channels(name, layer, file, _last_trained(name))


@lru_cache(maxsize=16)  # for layers that are compared
def _channels(name: str, layer: str, file: Path | None, _: float) -> Channels:
    from lanterna.surfaces.studio.layers import channels

    return channels(name, layer, file)


@lru_cache(maxsize=2)  # the room first checks for an error, then loads the frame
def _page(name: str, file: Path | None, title: str, _: float) -> str:
    from lanterna.surfaces.studio.layers import network_input, open_here
    from lanterna.surfaces.web.look_page import look_page

    network = open_here(name)
    if file is None and not network.input_spec.is_of_digits:
        raise MissingError(f"choose a picture for {name}")
    return look_page(network, network_input(network, file), name=name, title=title)


ROUTES = [
    ApiRoute(PATH, look, answer="text/html", query={
        "network": parameter("The network; default conv.", min_length=1),
        "picture": parameter("The picture's id; default a test digit.", Id),
    }),
    ApiRoute(f"{PATH}/texture", texture, answer="text/html", query={
        "picture": parameter("A picture that was grown.", Id),
    }),
    ApiRoute("/api/channels", channels, answer=Channels, query={
        "network": parameter("The network; default conv.", min_length=1),
        "layer": parameter("The layer.", min_length=1),
        "picture": parameter("The picture's id; default a test digit or an example.", Id),
    }),
]  # fmt: skip
