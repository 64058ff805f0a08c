"""`lanterna paint neurons`: what each neuron of a painting paints."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pydantic import Field

from lanterna.images import check_place, note_input, save_picture
from lanterna.surfaces.cli.common import Device, Force, Json, Output, Quiet, Settings, emit_json, given, say
from lanterna.surfaces.painting import neurons_of, opened_on, render_record
from lanterna.techniques.paint.technique import Neurons


class _Neurons(Neurons):
    seed: Annotated[int, Parameter(show=False)] = Field(default=0)  # nothing here is drawn at random


def neurons(
    file: Annotated[Path, Parameter(help="The painting that `lanterna paint` wrote, a .safetensors file.")],
    /,
    *,
    settings: Annotated[_Neurons | None, Settings] = None,
    output: Output = None,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what each neuron of a painting paints, layer by layer.

    Amber is above zero, blue below it. Without -o it is written to neurons.png.
    """
    recipe = Neurons.checked(given(settings))
    place = output or Path("neurons.png")
    check_place(place, force=force)
    painting = opened_on(device, file)
    sheet = neurons_of(painting, recipe)
    record = render_record("neurons", recipe, note_input(file), painting)
    save_picture(sheet, place, recipe=record, force=force)
    if json:
        emit_json({"picture": str(place), "recipe": recipe.model_dump(mode="json")})
    else:
        say(f"{place}: what each neuron paints", quiet=quiet)
