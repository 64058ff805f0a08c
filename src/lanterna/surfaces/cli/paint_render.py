"""`lanterna paint render`: a painting at any size, past its frame, and between its pictures."""

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from lanterna.errors import UsageError
from lanterna.images import check_place, note_input, save_picture
from lanterna.images.films import check_film_place
from lanterna.images.pictures import check_print_place
from lanterna.recipes.rendering import Grid, Morph, Render, View, morph
from lanterna.surfaces.cli.common import (
    Device,
    Force,
    Json,
    Output,
    Quiet,
    Settings,
    emit_json,
    given,
    say,
)
from lanterna.surfaces.cli.filming import filming, mark
from lanterna.surfaces.cli.preview import run_through, watching
from lanterna.surfaces.painting import opened_on, render_record, rendered
from lanterna.techniques.execute import print_options

if TYPE_CHECKING:
    from collections.abc import Generator

    from lanterna.recipes.recipe import Frame
    from lanterna.techniques.frame_folder import FrameFolder


class Rendering(Render, Grid, Morph):
    """All settings of the three ways to render."""

    seed: Annotated[int, Parameter(show=False)] = Field(default=0)  # nothing here is drawn at random


def render(
    file: Annotated[Path, Parameter(help="The painting that `lanterna paint` wrote, a .safetensors file.")],
    /,
    *,
    settings: Annotated[Rendering | None, Settings] = None,
    sheet: Annotated[
        bool, Parameter(name="--grid", negative="", help="A sheet of what is between its pictures.")
    ] = False,
    film: Annotated[
        Path | None, Parameter(name="--morph", help="A film from picture to picture, saved here.")
    ] = None,
    resume: Annotated[bool, Parameter(negative="", help="Go on with a film that was stopped.")] = False,
    output: Output = None,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int | None:
    """Paint a painting again, at any size.

    `lanterna paint render paint.safetensors --size 4000x3000`, `--print 30cm@300dpi`, `--beyond 0.3` past its
    frame, `--zoom 4 --centre 0.3 0.6` into it. Of several pictures: `--which 1.5`, `--grid`, `--morph
    between.webp`.

    Without -o it is written to render.png.
    """
    kind: type[View] = Morph if film else Grid if sheet else Render
    wishes = given(settings)
    _refuse_others(wishes, kind)
    if film and (sheet or output):
        raise UsageError("a film goes where --morph says: leave --grid and -o out")
    if resume and not film:
        raise UsageError("--resume is for films: add --morph between.webp, or leave it out")
    recipe = kind.checked(wishes)
    place = film or output or Path("grid.png" if sheet else "render.png")
    if film:
        check_film_place(film, force=force or resume)
    else:
        check_place(place, force=force)
    if isinstance(recipe, Render) and recipe.print:
        check_print_place(place)
    painting = opened_on(device, file)
    record = render_record(
        "morph" if film else "grid" if sheet else "render", recipe, note_input(file), painting
    )

    if isinstance(recipe, Morph):

        def work(frames: "FrameFolder") -> "Generator[Frame, None, None]":
            return morph(painting, recipe, done=frames.done)

        count, _ = recipe.count(painting), recipe.pixels(painting)  # before a folder of frames is begun
        return filming(
            place, recipe, work, made_from={"source": mark(file)}, count=count, fps=recipe.fps, record=record,
            watching=partial(watching, "painting", _told, shown=False, quiet=quiet),
            resume=resume, force=force, json=json, quiet=quiet,
        )  # fmt: skip
    begun = time.perf_counter()
    frame = run_through(rendered(painting, recipe), "painting", _told, shown=False, quiet=quiet)
    if frame is None or frame.picture is None or frame.step < frame.steps:
        raise KeyboardInterrupt  # half of it would be no picture
    picture = frame.picture
    save_picture(picture, place, recipe=record, force=force, **print_options(record, place))
    document: dict[str, Any] = {
        "picture": str(place),
        "width": picture.shape[2],
        "height": picture.shape[1],
        "seconds": round(time.perf_counter() - begun, 2),
        "recipe": recipe.model_dump(mode="json"),
    }
    if json:
        emit_json(document)
    else:
        size = f"{document['width']:,} × {document['height']:,} pixels"
        say(f"{place}: {size}, {document['seconds']:.1f} s", quiet=quiet)
    return None


def _refuse_others(wishes: dict[str, Any], kind: type[View]) -> None:
    """Refuse a setting that only another way to render has."""
    for name in sorted(wishes.keys() - kind.model_fields.keys()):
        option = f"--{name.replace('_', '-')}"
        if name in Morph.model_fields:
            raise UsageError(f"{option} is for films: add --morph between.webp, or leave {option} out")
        if name in Grid.model_fields:
            raise UsageError(f"{option} is for grids: add --grid, or leave {option} out")
        raise UsageError(
            f"{option} is for single pictures: leave it or {'--morph' if kind is Morph else '--grid'} out"
        )


def _told(_: "Frame") -> str:
    return ""
