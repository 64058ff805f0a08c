"""Networks: which there are; those that were trained here are renamed, deleted and had back."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from lanterna.errors import UsageError
from lanterna.settings import networks_folder
from lanterna.surfaces.studio.messages import Named, Network, NewName
from lanterna.surfaces.studio.routes.jobs import making_networks
from lanterna.surfaces.studio.routes.requests import Answer, Call, sent, studio_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response


async def networks(_: Request) -> Response:
    """The networks there are, and whether they are here."""

    def listed() -> list[dict[str, Any]]:
        from dataclasses import asdict

        from lanterna.networks.catalogue import networks as listings

        return [asdict(each) for each in listings()]

    return Answer(await asyncio.to_thread(listed))


async def rename_network(request: Request) -> Response:
    """Call a network that was trained here something else."""
    wanted = (await sent(request, NewName)).name
    kinds, choose_name = await asyncio.to_thread(_imported)  # from here on nothing else is done in between
    folder, there = _trained(request, kinds), networks_folder() / choose_name(wanted)
    folder.rename(there)
    return Answer({"name": there.name})


async def delete_network(request: Request) -> Response:
    """Delete a network that was trained here; the last of its name can be had back."""
    kinds, _ = await asyncio.to_thread(_imported)
    folder, aside = _trained(request, kinds), _aside(request)
    shutil.rmtree(aside, ignore_errors=True)
    aside.parent.mkdir(exist_ok=True)
    shutil.move(folder, aside)
    return Answer({"name": folder.name})


async def restore_network(request: Request) -> Response:
    """Have a deleted network back."""
    aside, (_, choose_name) = _aside(request), await asyncio.to_thread(_imported)
    if not aside.is_dir():  # from here on nothing else is done in between
        raise KeyError(aside.name)
    there = networks_folder() / choose_name(aside.name)
    with suppress(FileExistsError):
        networks_folder().mkdir(parents=True)
    shutil.move(aside, there)
    return Answer({"name": there.name})


def _imported() -> tuple[set[str], Callable[[str], str]]:
    """Which kinds of job make networks, and what checks a name: with torch, whose import takes its time."""
    from lanterna.networks.naming import choose_name

    return making_networks(), partial(choose_name, kind="conv")  # which may have a digit network's name


def _trained(request: Request, kinds: set[str]) -> Path:
    """The folder of the network in the address: one of those in the folder of networks, and nothing else."""
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


def _aside(request: Request) -> Path:
    """Where a deleted network waits."""
    name: str = request.path_params["name"]
    if not name.replace("-", "").replace("_", "").isalnum():
        raise KeyError(name)
    folder: Path = studio_of(request).folder
    return folder / "networks" / name


ROUTES = [
    Call("/api/networks", networks, answer=list[Network]),
    Call("/api/networks/{name}", rename_network, "PATCH", body=NewName, answer=Named),
    Call("/api/networks/{name}", delete_network, "DELETE", answer=Named),
    Call("/api/networks/{name}/restore", restore_network, "POST", answer=Named),
]
