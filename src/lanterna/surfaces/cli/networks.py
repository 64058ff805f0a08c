"""`lanterna networks`: which networks there are, and what each is made of."""

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from lanterna.networks import networks as listed
from lanterna.networks import stages
from lanterna.surfaces.cli.common import Json, console, emit_json


def networks(
    name: Annotated[str | None, Parameter(help="A network, to see its stages.")] = None,
    /,
    *,
    json: Json = False,
) -> None:
    """List the networks; with a name, its stages in order with their shapes and parameter counts."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    if name is None:
        found = listed()
        if json:
            emit_json([asdict(listing) for listing in found])
            return
        for column in ("name", "what it is", "from", "here"):
            table.add_column(column)
        for listing in found:
            here = "yes" if listing.here else f"no: {listing.command}"
            table.add_row(listing.name, listing.what, listing.source, here)
        console(stdout=True).print(table)
        return
    network, found_stages = stages(name)
    total = sum(stage.parameters for stage in found_stages)
    if json:
        emit_json(
            {
                "name": network.name,
                "input": [network.eye.channels, network.eye.size, network.eye.size],
                "classes": len(network.classes),
                "parameters": total,
                "stages": [asdict(stage) for stage in found_stages],
            }
        )
        return
    for column in ("stage", "kind", "puts out"):
        table.add_column(column)
    table.add_column("parameters", justify="right")
    for stage in found_stages:
        shape = " × ".join(map(str, stage.shape))
        table.add_row(stage.name, stage.kind, shape, f"{stage.parameters:,}")
    table.add_row("", "", "in all", f"{total:,}")
    console(stdout=True).print(table)
