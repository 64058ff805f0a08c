"""`lanterna style`: a photograph in the style of a painting."""

import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from lanterna.devices import free_memory
from lanterna.errors import UsageError
from lanterna.files import human_size
from lanterna.images import check_place, note_input, save_picture
from lanterna.images.pictures import check_print_place
from lanterna.networks.instant import STYLES
from lanterna.recipes.instant import Instant
from lanterna.recipes.recipe import Recipe
from lanterna.recipes.style import LONGEST, StyleFrame, Stylize
from lanterna.recipes.style_film import InstantFilm, StyleFilm
from lanterna.recipes.style_foreseen import style_foreseen, worth_foreseeing
from lanterna.surfaces.cli.common import (
    Device,
    Force,
    Json,
    Output,
    Quiet,
    Settings,
    about,
    emit_json,
    fetch_and_open,
    fetch_missing,
    given,
    say,
    show,
    tell_device,
)
from lanterna.surfaces.cli.filming import is_film, usual_place
from lanterna.surfaces.cli.preview import run_through, watching
from lanterna.surfaces.cli.style_film import film as style_film
from lanterna.surfaces.dreaming import preset_settings
from lanterna.surfaces.rerun import commands_of
from lanterna.surfaces.styling import (
    frames_of,
    open_pictures,
    sheet_frames,
    style_record,
)
from lanterna.techniques.execute import print_options
from lanterna.techniques.style.technique import InstantlyPainted, Painted

if TYPE_CHECKING:
    from lanterna.images import Input
    from lanterna.networks import Network
    from lanterna.recipes.recipe import Frame

_LONG = 60.0  # seconds; of longer work a person is told beforehand


class Styling(Painted):
    """All settings of both ways to paint, in the wider of their ranges; each recipe checks its own again."""

    strength: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="How much of the painting: 0.3 a touch, 5 hardly a photograph; at most 1 if --instant.",
    )
    size: int | None = Field(
        default=None, ge=16, le=16_384,
        description="Pixels along the longer side; the photograph's own, up to 512 unless --instant.",
    )  # fmt: skip
    built_in: tuple[int, ...] = Field(
        default=(), description=f"With --instant: styles learned by heart, 0 to {STYLES - 1}."
    )
    frame_steps: int = Field(
        default=10, ge=1, le=1000, description="In a film: steps of every frame but the first."
    )
    carry: float = Field(
        default=0.5, ge=0, le=1, description="In a film: how much each frame is drawn to the last."
    )


def style(
    photo: Annotated[Path, Parameter(help="The photograph; - for standard input.")],
    /,
    *,
    style: Annotated[list[Path] | None, Parameter(help="The painting, or several.")] = None,
    mask: Annotated[
        list[Path] | None,
        Parameter(
            help="Grey pictures that say where each painting's style goes, in the order of --style: white "
            "there, black not. Paintings without one share what the masks leave."
        ),
    ] = None,
    content_mask: Annotated[
        Path | None, Parameter(help="A grey picture: white where the photograph counts, black where not.")
    ] = None,
    start_from: Annotated[Path | None, Parameter(help="A picture to begin with.")] = None,
    preset: Annotated[str | None, Parameter(help="Where settings start.")] = None,
    settings: Annotated[Styling | None, Settings] = None,
    instant: Annotated[
        bool, Parameter(negative="", help="Paint in one go, in a second or two, instead of step by step.")
    ] = False,
    sheet: Annotated[
        bool, Parameter(negative="", help="A sheet of small pictures to choose strength and brush from.")
    ] = False,
    film: Annotated[
        Path | None, Parameter(help="Paint your film, frame after frame, and save it here.")
    ] = None,
    preview: Annotated[
        bool, Parameter(negative="", help="Show the picture in the terminal as it changes.")
    ] = False,
    checkpoint: Annotated[Path | None, Parameter(help="Keep the state here, for --resume.")] = None,
    resume: Annotated[bool, Parameter(negative="", help="Go on with a picture that was stopped.")] = False,
    output: Output = None,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int | None:
    """Paint a photograph in the style of a painting.

    `lanterna style cat.jpg --style waves.jpg`, `--strength 2 --brush 0.7`, `--keep-colours light`, `--sheet`
    to choose. With --instant it takes seconds: `--instant --style waves.jpg` or `--instant --built-in 19`.

    Two paintings are mixed, by `--weights 2 1`, or each has its place: `--style sky.jpg sea.jpg --mask
    sky-mask.png`. A film in place of the photograph is painted frame after frame: `--film out.mp4`.

    Ctrl-C keeps the picture so far. Without -o it is written to style.png.
    """
    kind: type[Recipe] = InstantlyPainted if instant else Painted
    if film or is_film(photo):
        kind = InstantFilm if instant else StyleFilm
    wishes = given(settings)
    if not instant:
        wishes = {name: value for name, value in wishes.items() if name != "built_in" or value}
    _refuse_others(wishes, kind)
    if instant:
        slow = {
            "--mask": mask, "--content-mask": content_mask, "--start-from": start_from, "--preset": preset,
            "--checkpoint": checkpoint,
        }  # fmt: skip
        for option, wish in slow.items():
            if wish:
                raise UsageError(f"{option} is for painting step by step: leave it or --instant out")
    if sheet and (checkpoint or resume):
        raise UsageError("a sheet is quickly made anew: leave --checkpoint and --resume out")
    start = preset_settings(preset, Stylize) if preset is not None else {}
    recipe = kind.checked({**start, **wishes})
    if not style and not (isinstance(recipe, Instant) and recipe.built_in):
        raise UsageError(
            "expected a painting: --style PAINTING, or --instant --built-in 19 for a known style"
        )
    if isinstance(recipe, StyleFilm | InstantFilm):
        if sheet or mask or content_mask or start_from or checkpoint or output:
            raise UsageError(
                "a film goes where --film says and keeps its own frames: leave --sheet, --mask, "
                "--content-mask, --start-from, --checkpoint and -o out"
            )
        return style_film(
            photo, recipe, film or usual_place("style"), styles=style or (),
            watching=partial(watching, "painting", _told, shown=preview, quiet=quiet), resume=resume,
            device=device, force=force, json=json, quiet=quiet,
        )  # fmt: skip
    assert isinstance(recipe, Painted | InstantlyPainted)
    if resume and checkpoint is None:
        raise UsageError("--resume wants --checkpoint PATH, where the work was kept when it was stopped")
    place = output or Path("style-sheet.png" if sheet else "style.png")
    check_place(place, force=force or resume)
    if recipe.print and not sheet:
        check_print_place(place)
    if checkpoint and checkpoint.exists() and not (resume or force):
        raise UsageError(f"{checkpoint} has unfinished work: --resume goes on, --force starts anew")

    source = sys.stdin.buffer.read() if photo == Path("-") else photo
    pictures = open_pictures(source, style or (), mask or (), content_mask, start_from)
    notes: list[Input] = [note_input(source)]
    for role, paths in (
        ("style", style or ()),
        ("mask", mask or ()),
        ("content-mask", [content_mask] if content_mask else ()),
        ("start-from", [start_from] if start_from else ()),
    ):
        notes += [note_input(path, role=role) for path in paths]
    network: Network | None = None
    if isinstance(recipe, Instant):
        fetch_missing("instant-style", quiet=quiet)
    else:
        network = fetch_and_open(recipe.network, device=device, quiet=quiet)
        shape = (pictures.photo.shape[1], pictures.photo.shape[2])
        if not sheet and worth_foreseeing(shape, recipe):
            free = free_memory(network.get_buffer("mean").device)
            most = 3 * 2**30
            if free and not checkpoint:  # what is taken up later must have the same tiles
                most = min(most, free)
            ahead = style_foreseen(shape, recipe, network, most)
            if "tile" not in wishes and ahead.tile < recipe.tile:
                recipe = recipe.changed({"tile": ahead.tile})
                say(f"to keep to the memory, in tiles of {ahead.tile} pixels", quiet=quiet)
            if ahead.seconds > _LONG:
                say(f"{about(ahead.seconds)}, {human_size(ahead.memory)} of memory", quiet=quiet)
    if sheet:
        frames = sheet_frames(recipe, pictures, network=network, device=device)
    else:
        frames = frames_of(
            recipe, pictures, network=network, device=device, checkpoint=checkpoint, resume=resume
        )
    tell_device(device, quiet=quiet)
    begun = time.perf_counter()
    frame = run_through(frames, "painting", _told, shown=preview, quiet=quiet)
    if frame is None:
        raise UsageError(f"the work in {checkpoint} has nothing left to do: --force starts anew")
    made = frame.whole() if isinstance(frame, StyleFrame) else frame.picture
    assert made is not None
    record = style_record(recipe, notes, sheet=sheet, network=network, device=device)
    save_picture(made, place, recipe=record, force=force or resume, **print_options(record, place))
    finished = frame.step == frame.steps
    if finished and checkpoint:
        checkpoint.unlink(missing_ok=True)
    document: dict[str, Any] = {
        "picture": str(place),
        "finished": finished,
        "seconds": round(time.perf_counter() - begun, 2),
        "width": made.shape[2],
        "height": made.shape[1],
        **{name: round(value, 5) for name, value in frame.numbers.items()},
        "recipe": recipe.model_dump(mode="json"),
    }
    large = commands_of(record) if sheet else {}
    if sheet:
        document["sheet"] = [{"label": name, "command": command} for name, command in large.items()]
    if json:
        emit_json(document)
    else:
        size = f"{document['width']:,} × {document['height']:,} pixels"
        say(f"{place}: {size}, {document['seconds']:.1f} s{_told(frame)}", quiet=quiet)
        longest = max(pictures.photo.shape[1:])
        if not (sheet or recipe.size or instant) and longest > LONGEST:
            larger = min(2 * LONGEST, longest)
            say(f"the photograph is larger: --size {larger} paints more of it", quiet=quiet)
        for command in large.values():
            show(command)
    if not finished:
        on = " --resume with the same words goes on" if checkpoint else " its recipe makes all of them"
        say(f"stopped after {frame.step} of {frame.steps} steps:{on}", quiet=quiet)
        return 130
    return None


def _refuse_others(wishes: dict[str, Any], kind: type[Recipe]) -> None:
    """Refuse a setting that only another way to paint has."""
    others = wishes.keys() - kind.model_fields.keys()
    if not others:
        return
    name = min(others)
    option = f"--{name.replace('_', '-')}"
    if name in ("carry", "frame_steps") and not issubclass(kind, StyleFilm | InstantFilm):
        raise UsageError(f"{option} is for films: add --film painted.mp4, or leave {option} out")
    if name == "print":
        raise UsageError("--print is for pictures: leave it or --film out")
    if issubclass(kind, Instant):
        raise UsageError(f"{option} is for painting step by step: leave it or --instant out")
    raise UsageError(f"{option} is for --instant: add it, or leave {option} out")


def _told(frame: "Frame") -> str:
    loss = frame.numbers.get("loss")
    return "" if loss is None else f", loss {loss:.3f}"
