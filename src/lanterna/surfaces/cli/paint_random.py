"""`lanterna paint --random`: what a network paints that has learned nothing."""

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from lanterna.errors import UsageError
from lanterna.images import check_place, save_picture
from lanterna.images.films import check_film_place
from lanterna.recipes.cppn import Cppn, random_loop, random_picture
from lanterna.surfaces.cli.common import Force, Json, Output, Quiet, Settings, emit_json, given, say, show
from lanterna.surfaces.cli.filming import filming
from lanterna.surfaces.cli.preview import run_through, watching
from lanterna.surfaces.dreaming import preset_settings
from lanterna.surfaces.inventing import (
    check_size,
    random_record,
    sheet_frames,
)
from lanterna.surfaces.rerun import commands_of
from lanterna.techniques.paint.technique import RandomLoop, RandomSheet

if TYPE_CHECKING:
    from collections.abc import Generator

    from lanterna.recipes.recipe import Frame
    from lanterna.techniques.frame_folder import FrameFolder


class Inventing(RandomLoop):
    """All settings of a random picture, of a sheet and of a loop."""

    sheet: int | None = Field(
        default=None, ge=1, le=400, description="A sheet of so many seeds, to choose from."
    )


def random(
    *,
    preset: Annotated[str | None, Parameter(help=f"Where settings start: {', '.join(Cppn.presets)}.")] = None,
    settings: Annotated[Inventing | None, Settings] = None,
    loop: Annotated[
        Path | None, Parameter(help="A film through pictures near this one and back, without end.")
    ] = None,
    resume: Annotated[bool, Parameter(negative="", help="Go on with a film that was stopped.")] = False,
    output: Output = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int | None:
    """Paint without a picture: a network that has learned nothing, its weights drawn by --seed.

    `lanterna paint --random --seed 7`, `--sheet 16` to choose from, `--preset rosette`, `--loop loop.webp`.

    Without -o it is written to random.png.
    """
    start = {} if preset is None else preset_settings(preset, Cppn)
    wishes = {**start, **{name: value for name, value in given(settings).items() if value is not None}}
    kind: type[Cppn] = RandomLoop if loop else RandomSheet if "sheet" in wishes else Cppn
    for name in sorted(wishes.keys() - kind.model_fields.keys()):
        where = "a sheet: leave it or --loop out" if name == "sheet" else "films: add --loop loop.webp"
        raise UsageError(f"--{name} is for {where}")
    if loop and output:
        raise UsageError("a film goes where --loop says: leave -o out")
    if resume and not loop:
        raise UsageError("--resume is for films: add --loop loop.webp, or leave it out")
    recipe = kind.checked(wishes)
    check_size(recipe)
    if isinstance(recipe, RandomLoop):
        assert loop is not None
        check_film_place(loop, force=force or resume)
        still, count = recipe.only(Cppn), recipe.frames

        def work(frames: "FrameFolder") -> "Generator[Frame, None, None]":
            return random_loop(still, count, done=frames.done)

        return filming(
            loop, recipe, work, made_from={}, count=count, fps=recipe.fps,
            record=random_record("random-loop", recipe),
            watching=partial(watching, "painting", _told, shown=False, quiet=quiet),
            resume=resume, force=force, json=json, quiet=quiet,
        )  # fmt: skip
    place = output or Path("random-sheet.png" if isinstance(recipe, RandomSheet) else "random.png")
    check_place(place, force=force)
    begun = time.perf_counter()
    if isinstance(recipe, RandomSheet):
        frame = run_through(sheet_frames(recipe), "painting", _told, shown=False, quiet=quiet)
        if frame is None or frame.picture is None or frame.step < frame.steps:
            raise KeyboardInterrupt  # half of it would be another sheet
        picture, record = frame.picture, random_record("random-sheet", recipe)
    else:
        picture, record = random_picture(recipe), random_record("random", recipe)
    save_picture(picture, place, recipe=record, force=force)
    large = commands_of(record) if isinstance(recipe, RandomSheet) else {}
    document: dict[str, Any] = {
        "picture": str(place),
        "seconds": round(time.perf_counter() - begun, 2),
        "recipe": recipe.model_dump(mode="json"),
    }
    if large:
        document["sheet"] = [{"label": seed, "command": command} for seed, command in large.items()]
    if json:
        emit_json(document)
    else:
        say(f"{place}: {document['seconds']:.1f} s", quiet=quiet)
        for command in large.values():
            show(command)
    return None


def _told(_: "Frame") -> str:
    return ""
