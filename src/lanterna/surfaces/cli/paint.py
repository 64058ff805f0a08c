"""`lanterna paint`: a network learns to paint a picture. `paint_render.py` shows what it has learned."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from pydantic import Field

from lanterna.errors import LanternaError, UsageError
from lanterna.files import human_size, refuse_to_overwrite
from lanterna.images import check_place, note_input, save_picture
from lanterna.images.films import check_film_place
from lanterna.recipes.paint import Paint, PaintFrame
from lanterna.recipes.paint_race import Race
from lanterna.recipes.recipe import Recipe
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
    tell_device,
)
from lanterna.surfaces.cli.paint_neurons import neurons
from lanterna.surfaces.cli.paint_race import paint_race
from lanterna.surfaces.cli.paint_random import random as random_command
from lanterna.surfaces.cli.paint_render import render
from lanterna.surfaces.cli.preview import run_through
from lanterna.surfaces.dreaming import preset_settings
from lanterna.surfaces.painting import (
    LearningFilm,
    frames_of,
    paint_record,
    picture_files,
    shown_together,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from lanterna.recipes.recipe import Frame

paint = App(name="paint")
paint.command(render)
paint.command(neurons)
paint.command(random_command, name=("random", "--random"))

PAINTING = ".safetensors"


class Learning(Paint):
    """All settings of a painting and of a race; each recipe checks its own again."""

    equal: Literal["seconds", "parameters"] = Field(
        default="seconds", description="With --race: what all networks have as much of."
    )
    parameters: int = Field(
        default=50_000, description="With --race --equal parameters: how many numbers each learns."
    )


@paint.default
def learn(
    *pictures: Annotated[
        Path, Parameter(help="The picture to learn, or several, or a folder of them; - for standard input.")
    ],
    preset: Annotated[
        str | None, Parameter(help=f"Where settings start: {', '.join(Paint.presets)}.")
    ] = None,
    settings: Annotated[Learning | None, Settings] = None,
    mask: Annotated[
        list[Path] | None,
        Parameter(help="A grey picture, white where the network must guess; one for all or one for each."),
    ] = None,
    random: Annotated[
        bool, Parameter(negative="", show=False)
    ] = False,  # after a picture, for `paint --random`
    race: Annotated[
        bool, Parameter(negative="", help="Let all four networks paint the picture, side by side.")
    ] = False,
    film: Annotated[Path | None, Parameter(help="Save a film of how it learned.")] = None,
    preview: Annotated[
        bool, Parameter(negative="", help="Show the painting in the terminal as it changes.")
    ] = False,
    resume: Annotated[bool, Parameter(negative="", help="Go on with a painting that was stopped.")] = False,
    output: Output = None,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int | None:
    """Let a network learn to paint a picture.

    `lanterna paint cat.jpg`, `--network siren`, `--seconds 60`, `--preset lecture`; `--keep 0.05` learns from
    5 % of the pixels and guesses the rest. `lanterna paint a.jpg b.jpg c.jpg` teaches one network all three.

    Beside the picture (paint.png, or -o) the painting is written, a small .safetensors file:
    `lanterna paint render paint.safetensors --size 4000x3000` paints it at any size. Ctrl-C keeps what there
    is, and --resume goes on.

    `lanterna paint cat.jpg --race` sets all four networks against each other. `lanterna paint --random` needs
    no picture.
    """
    if random:
        raise UsageError(
            "--random is painted without a picture: lanterna paint --random, and then its options"
        )
    wishes = given(settings)
    if wishes.get("steps") is not None and "seconds" in wishes:
        raise UsageError("--steps and --seconds both say how long to learn: leave one of them out")
    _refuse_others(wishes, Race if race else Paint)
    if race:
        if mask or resume or preset:
            raise UsageError(
                "a race has one picture and all networks: leave --mask, --preset and --resume out"
            )
        return paint_race(
            pictures, Race.checked(wishes), film, preview=preview, output=output, device=device, force=force,
            json=json, quiet=quiet,
        )  # fmt: skip
    start = {} if preset is None else preset_settings(preset, Paint)
    recipe = Paint.checked({**start, **wishes})
    place = output or Path("paint.png")
    painting_place, unfinished = place.with_suffix(PAINTING), place.with_suffix(".unfinished")
    saves_picture = place.suffix.lower() != PAINTING
    if saves_picture:
        check_place(place, force=force or resume)
    refuse_to_overwrite(painting_place, force=force or resume)
    if film:
        check_film_place(film, force=force or resume)
    if unfinished.exists() and not (resume or force):
        raise UsageError(f"{unfinished} has an unfinished painting: --resume goes on, --force starts anew")

    files = picture_files(pictures)
    if Path("-") in files and len(files) > 1:
        raise UsageError("standard input is one picture: name the others, or leave - out")
    sources = [sys.stdin.buffer.read() if file == Path("-") else file for file in files]
    frames = frames_of(
        sources, mask or (), recipe, device=device, checkpoint=unfinished, resume=resume, filmed=bool(film)
    )  # what is wrong with a picture is told here
    notes = [note_input(source) for source in sources]
    notes += [note_input(path, role="mask") for path in mask or ()]
    shown: Generator[PaintFrame, None, None] = shown_together(frames) if film or preview else frames
    learning = None
    if film:
        made_from = {"recipe": recipe.model_dump(mode="json"), "from": [note.sha256 for note in notes]}
        learning = LearningFilm(film, made_from, resume=resume, force=force)
        shown = learning.watched(shown)
    tell_device(device, quiet=quiet)
    frame = run_through(shown, "painting", _told, shown=preview, quiet=quiet)
    if frame is None:
        raise UsageError(f"the painting in {unfinished} has nothing left to do: --force starts anew")
    assert isinstance(frame, PaintFrame)
    finished = frame.step == frame.steps
    if not math.isfinite(frame.numbers["psnr"]):
        unfinished.unlink(missing_ok=True)
        raise LanternaError(f"the network has lost its way: --rate with less than {frame.numbers['rate']:g}")

    picture, painting = whole(frame), frame.painting
    painting.save(painting_place)
    document: dict[str, Any] = {"picture": str(place)} if saves_picture else {}
    document |= {"painting": str(painting_place), "finished": finished}
    if saves_picture:
        record = paint_record("paint", frame.recipe, notes, device)
        save_picture(picture, place, recipe=record, force=force or resume)
    if film and learning:
        record = paint_record("film", frame.recipe, notes, device)
        document |= {"film": str(film), "frames": learning.save(picture, record, finished=finished)}
    if finished:
        unfinished.unlink(missing_ok=True)
    height, width = painting.size
    document |= {
        "pictures": painting.pictures,
        "width": width,
        "height": height,
        "steps": frame.step,
        **{name: round(value, 5) for name, value in frame.numbers.items() if name != "rate"},
        "parameters": painting.parameters,
        "bytes": painting_place.stat().st_size,
        "recipe": frame.recipe.model_dump(mode="json"),
    }
    if json:
        emit_json(document)
    else:
        made = f"{place}, {painting_place}" if saves_picture else f"{painting_place}"
        size = f"{human_size(document['bytes'])} for {painting.parameters:,} parameters"
        say(f"{made}: {frame.numbers['seconds']:.1f} s{_told(frame)}, {size}", quiet=quiet)
        if film:
            say(f"{film}: {document['frames']} frames", quiet=quiet)
    if not finished:
        say(
            f"stopped after {frame.step} of {frame.steps} steps: --resume with the same words goes on",
            quiet=quiet,
        )
        return 130
    return None


def _refuse_others(wishes: dict[str, Any], kind: type[Recipe]) -> None:
    """Refuse a setting that only one of painting and racing has."""
    for name in sorted(wishes.keys() - kind.model_fields.keys()):
        option = f"--{name.replace('_', '-')}"
        if kind is Race:
            raise UsageError(f"{option} is for one network: leave it or --race out")
        raise UsageError(f"{option} is for a race: add --race, or leave {option} out")


def _told(frame: "Frame") -> str:
    numbers = frame.numbers
    guessed = f", {numbers['held_out']:.1f} dB where it guesses" if "held_out" in numbers else ""
    return f", {numbers['psnr']:.1f} dB{guessed}, loss {numbers['loss']:.3g}"
