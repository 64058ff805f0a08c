"""`lanterna networks`: which networks there are, and what each is made of."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from lanterna.errors import one_line
from lanterna.networks import networks as listed
from lanterna.networks import stages
from lanterna.networks.tracing import ForeignNetwork
from lanterna.surfaces.cli.common import Json, console, emit_json, say


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
        for column in ("name", "here", "input"):
            table.add_column(column, no_wrap=True)
        for column in ("stages", "parameters"):
            table.add_column(column, justify="right")
        table.add_column("what it does")
        for listing in found:
            table.add_row(
                one_line(listing.name),
                "yes" if listing.here else "no",
                _shape(listing.input or ()),
                str(listing.stages or ""),
                f"{listing.parameters:,}" if listing.parameters else "",
                one_line(listing.what),
            )
        console(stdout=True).print(table)
        for listing in found:
            if not listing.here:
                say(f"{listing.name} is not here yet: {listing.command}")
        return
    network, found_stages = stages(name)
    total = sum(parameter.numel() for parameter in network.parameters())
    if json:
        emit_json(
            {
                "name": network.name,
                "input": [network.input_spec.channels, network.input_spec.size, network.input_spec.size],
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
        table.add_row(one_line(stage.name), stage.kind, _shape(stage.shape), f"{stage.parameters:,}")
    table.add_row("", "", "in all", f"{total:,}")
    console(stdout=True).print(table)
    if isinstance(network, ForeignNetwork):
        say(f"{name}: {network.note}")


def _shape(sides: Sequence[int]) -> str:
    return " × ".join(map(str, sides))
