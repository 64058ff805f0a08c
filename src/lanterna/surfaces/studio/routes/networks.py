"""Networks: listing them all; renaming, deleting and restoring those that were trained here."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from lanterna.errors import UsageError
from lanterna.settings import networks_folder
from lanterna.surfaces.studio.messages import Network, NetworkLayers, NetworkName, NewName
from lanterna.surfaces.studio.routes.jobs import network_kinds
from lanterna.surfaces.studio.routes.requests import ApiResponse, ApiRoute, parsed_body, studio_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response


async def networks(_: Request) -> Response:
    """Return all networks, and whether each is available on this machine."""

    def listed() -> list[dict[str, Any]]:
        from dataclasses import asdict

        from lanterna.networks.catalogue import networks as listings

        return [asdict(each) for each in listings()]

    return ApiResponse(await asyncio.to_thread(listed))


async def network_layers(request: Request) -> Response:
    """Return a network's layers in order, with what each sees, and its classes."""
    return ApiResponse(await studio_of(request).looker.run(_layers, request.path_params["name"]))


def _layers(name: str) -> NetworkLayers:
    from lanterna.surfaces.studio.layers import network_layers

    return network_layers(name)


async def rename_network(request: Request) -> Response:
    """Rename a network that was trained here."""
    requested = (await parsed_body(request, NewName)).name
    kinds, choose_name = await asyncio.to_thread(_import_checks)  # no await from here on
    folder, target = _trained(request, kinds), networks_folder() / choose_name(requested)
    folder.rename(target)
    return ApiResponse({"name": target.name})


async def delete_network(request: Request) -> Response:
    """Delete a network that was trained here; the last one of each name can be restored."""
    kinds, _ = await asyncio.to_thread(_import_checks)
    folder, trash = _trained(request, kinds), _trash_folder(request)
    shutil.rmtree(trash, ignore_errors=True)
    trash.parent.mkdir(exist_ok=True)
    shutil.move(folder, trash)
    return ApiResponse({"name": folder.name})


async def restore_network(request: Request) -> Response:
    """Restore a deleted network."""
    trash, (_, choose_name) = _trash_folder(request), await asyncio.to_thread(_import_checks)
    if not trash.is_dir():  # no await from here on
        raise KeyError(trash.name)
    target = networks_folder() / choose_name(trash.name)
    with suppress(FileExistsError):
        networks_folder().mkdir(parents=True)
    shutil.move(trash, target)
    return ApiResponse({"name": target.name})


def _import_checks() -> tuple[set[str], Callable[[str], str]]:
    """Return the kinds of job that train networks, and the name check. Imports torch the first time."""
    from lanterna.networks.naming import choose_name

    return network_kinds(), partial(choose_name, kind="conv")  # a digit network's name is allowed


def _trained(request: Request, kinds: set[str]) -> Path:
    """Return the folder of the network in the URL: only a direct child of the networks folder."""
    name: str = request.path_params["name"]
    root: Path = networks_folder()
    if not root.is_dir() or name not in {each.name for each in root.iterdir() if each.is_dir()}:
        raise KeyError(name)
    if any(
        job["kind"] in kinds and job["title"] == name and job["state"] in ("running", "paused")
        for job in studio_of(request).store.jobs()
    ):
        raise UsageError(f"{name} is being trained: stop that first")
    return root / name


def _trash_folder(request: Request) -> Path:
    """Return the folder of a deleted network."""
    name: str = request.path_params["name"]
    if not name.replace("-", "").replace("_", "").isalnum():
        raise KeyError(name)
    folder: Path = studio_of(request).folder
    return folder / "networks" / name


ROUTES = [
    ApiRoute("/api/networks", networks, answer=list[Network]),
    ApiRoute("/api/networks/{name}/layers", network_layers, answer=NetworkLayers),
    ApiRoute("/api/networks/{name}", rename_network, "PATCH", body=NewName, answer=NetworkName),
    ApiRoute("/api/networks/{name}", delete_network, "DELETE", answer=NetworkName),
    ApiRoute("/api/networks/{name}/restore", restore_network, "POST", answer=NetworkName),
]
