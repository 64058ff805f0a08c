"""`lanterna networks`: the networks, and the layers of each."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from lanterna.errors import one_line
from lanterna.networks import layers as layers_of
from lanterna.networks import networks as list_networks
from lanterna.networks import note_on
from lanterna.surfaces.cli.common import Json, console, emit_json, say

_WIDE = 130  # columns of a terminal that has room for the descriptions beside the sizes


def networks(
    name: Annotated[str | None, Parameter(help="The network whose layers to list.")] = None,
    /,
    *,
    json: Json = False,
) -> None:
    """List the networks; or the layers of one, with shapes and parameter counts."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    out = console(stdout=True)
    if name is None:
        found = list_networks()
        if json:
            emit_json([asdict(listing) for listing in found])
            return
        for column in ("name", "available", "input"):
            table.add_column(column, no_wrap=True)
        for column in ("layers", "parameters"):
            table.add_column(column, justify="right")
        descriptions = Table(box=None, pad_edge=False, show_header=False)  # below, if there is no room beside
        if out.width >= _WIDE:
            table.add_column("description")
        for listing in found:
            name, what = one_line(listing.name), one_line(listing.what)
            table.add_row(
                name,
                "yes" if listing.here else "no",
                _shape(listing.input or ()),
                str(listing.layers or ""),
                f"{listing.parameters:,}" if listing.parameters else "",
                *([what] if out.width >= _WIDE else []),
            )
            descriptions.add_row(name, what)
        out.print(table)
        if out.width < _WIDE:
            out.print()
            out.print(descriptions)
        for listing in found:
            if not listing.here:
                say(f"to get {listing.name}: {listing.command}")
        return
    network, layers = layers_of(name)
    total = sum(parameter.numel() for parameter in network.parameters())
    if json:
        emit_json(
            {
                "name": network.name,
                "input": [network.input_spec.channels, network.input_spec.size, network.input_spec.size],
                "classes": len(network.classes),
                "parameters": total,
                "layers": [asdict(layer) for layer in layers],
            }
        )
        return
    for column in ("layer", "kind", "output"):
        table.add_column(column)
    table.add_column("parameters", justify="right")
    for layer in layers:
        table.add_row(one_line(layer.name), layer.kind, _shape(layer.shape), f"{layer.parameters:,}")
    table.add_row("", "", "total", f"{total:,}")
    out.print(table)
    if note := note_on(name, network):
        say(note)


def _shape(sides: Sequence[int]) -> str:
    return " × ".join(map(str, sides))
