"""`lanterna dream`: a picture turned into what a network sees in it."""

import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from lanterna.devices import free_memory
from lanterna.errors import UsageError
from lanterna.files import human_size
from lanterna.images import check_place, note_input, save_picture
from lanterna.recipes.dream import Dream, DreamFrame
from lanterna.recipes.dream import dream as dreaming
from lanterna.recipes.dream_film import DreamFilm
from lanterna.recipes.foreseen import foreseen, worth_foreseeing
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
    given,
    say,
    show,
    tell_device,
)
from lanterna.surfaces.cli.dream_film import film as dream_film
from lanterna.surfaces.cli.filming import is_film, usual_place
from lanterna.surfaces.cli.preview import run_through, watching
from lanterna.surfaces.dreaming import (
    Kind,
    Sheet,
    choose,
    dream_record,
    open_pictures,
    preset_settings,
    sheet_frames,
)
from lanterna.surfaces.rerun import commands_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from lanterna.recipes.recipe import Frame

_NARROW = 256  # pixels along each side of the windows where memory is short
_LONG = 15.0  # seconds; of longer work a person is told beforehand


def dream(
    picture: Annotated[Path, Parameter(help="The picture to dream on; - for standard input.")],
    /,
    *,
    preset: Annotated[
        str | None, Parameter(help=f"Where settings start: {', '.join(Dream.presets)}.")
    ] = None,
    settings: Annotated[DreamFilm | None, Settings] = None,
    guide: Annotated[Path | None, Parameter(help="Another picture, whose features are dreamed.")] = None,
    mask: Annotated[
        list[Path] | None,
        Parameter(help="Grey pictures that say where to dream, and how much: white all, black nothing."),
    ] = None,
    sheet: Annotated[
        Kind | None,
        Parameter(
            help="A sheet of small dreams: of the network's stages, of a stage's channels, of presets."
        ),
    ] = None,
    film: Annotated[
        Path | None, Parameter(help="Make a film: an endless zoom into the picture, or your film, dreamed.")
    ] = None,
    preview: Annotated[
        bool, Parameter(negative="", help="Show the picture in the terminal as it changes.")
    ] = False,
    checkpoint: Annotated[Path | None, Parameter(help="Keep the state here, for --resume.")] = None,
    resume: Annotated[bool, Parameter(negative="", help="Go on with a dream that was stopped.")] = False,
    output: Output = None,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int | None:
    """Turn a picture into what a network sees in it (DeepDream).

    `lanterna dream cat.jpg --preset eyes`, `--stage block9:31,40`, `--class goldfish`, `--guide flowers.jpg`,
    `--sheet stages`. `--film zoom.webp` flies into the picture without end; a film in place of a picture is
    dreamed frame after frame.

    A stage is STAGE[:CHANNELS][*WEIGHT], its channels 31,40 or strongest4, weakest4, average4. Ctrl-C keeps
    the picture so far. Without -o it is written to dream.png.
    """
    wishes = given(settings)
    if guide is not None:
        wishes["guided"] = True
    if sheet and (checkpoint or resume):
        raise UsageError("a sheet is quickly made anew: leave --checkpoint and --resume out")
    if sheet == "presets" and preset is not None:
        raise UsageError(f"--sheet presets shows all of them: leave --preset {preset} out")
    start = {} if preset is None else preset_settings(preset)
    if film or is_film(picture):
        if sheet or mask or checkpoint or output:
            raise UsageError(
                "a film goes where --film says and keeps its own frames: leave --sheet, --mask, "
                "--checkpoint and -o out"
            )
        return dream_film(
            picture,
            DreamFilm.checked({**start, **wishes}),
            film or usual_place("dream"),
            guide=guide,
            watching=partial(watching, "dreaming", _told, shown=preview, quiet=quiet),
            resume=resume,
            device=device,
            force=force,
            json=json,
            quiet=quiet,
        )
    only = wishes.keys() - Dream.model_fields.keys()
    if only:
        raise UsageError(
            f"--{min(only).replace('_', '-')} is for films: add --film zoom.webp, or leave it out"
        )
    if resume and checkpoint is None:
        raise UsageError("--resume wants --checkpoint PATH, where the dream was kept when it was stopped")
    recipe = (Sheet if sheet else Dream).checked({**start, **wishes})
    place = output or Path(f"dream-{sheet}.png" if sheet else "dream.png")
    check_place(place, force=force or resume)
    if checkpoint and checkpoint.exists() and not (resume or force):
        raise UsageError(f"{checkpoint} has an unfinished dream: --resume goes on, --force starts anew")

    source = sys.stdin.buffer.read() if picture == Path("-") else picture
    pictures = open_pictures(source, guide, mask or ())  # a bad one is told before anything is fetched
    notes = [note_input(source)]
    notes += [note_input(guide, role="guide")] if guide else []
    notes += [note_input(path, role="mask") for path in mask or ()]
    network = fetch_and_open(recipe.network, device=device, quiet=quiet)
    frames: Generator[Frame, None, None]
    if isinstance(recipe, Sheet):
        assert sheet is not None
        recipe = choose(sheet, recipe, network, pictures.picture)
        frames = sheet_frames(sheet, recipe, network, pictures)
    else:
        begin = partial(
            dreaming, pictures.picture, network=network, guide=pictures.guide, masks=pictures.masks,
            checkpoint=checkpoint, resume=resume,
        )  # fmt: skip
        frames = begin(recipe)
        shape = (pictures.picture.shape[1], pictures.picture.shape[2])
        if worth_foreseeing(shape, recipe):
            ahead = foreseen(shape, recipe, network, len(pictures.masks))
            free = free_memory(network.get_buffer("mean").device)
            if free and ahead.memory > free and not ("tile" in wishes or checkpoint):
                recipe = recipe.changed({"tile": _NARROW})
                frames = begin(recipe)
                say(f"to keep to the memory, in windows of {_NARROW} pixels", quiet=quiet)
            if ahead.seconds > _LONG:
                say(f"{about(ahead.seconds)}, {human_size(ahead.memory)} of memory", quiet=quiet)
    tell_device(device, quiet=quiet)
    begun = time.perf_counter()
    frame = run_through(frames, "dreaming", _told, shown=preview, quiet=quiet)
    if frame is None:
        raise UsageError(f"the dream in {checkpoint} has nothing left to do: --force starts anew")
    made = frame.whole() if isinstance(frame, DreamFrame) else frame.picture
    assert made is not None
    record = dream_record(sheet or "dream", recipe, network, notes)
    save_picture(made, place, recipe=record, force=force or resume)
    finished = frame.step == frame.steps
    if finished and checkpoint:
        checkpoint.unlink(missing_ok=True)
    document: dict[str, Any] = {
        "picture": str(place),
        "finished": finished,
        "seconds": round(time.perf_counter() - begun, 2),
        **{name: round(value, 4) for name, value in frame.numbers.items()},
        "recipe": recipe.model_dump(mode="json"),
    }
    large = commands_of(record) if sheet else {}
    if sheet == "presets":
        for name in Dream.presets.keys() - large.keys():
            other = Dream.presets[name]["network"]
            say(
                f"left out: {name}, whose network is not here: lanterna networks tells how to get {other}",
                quiet=quiet,
            )
    if sheet:
        document["sheet"] = [{"label": name, "command": large[name]} for name in large]
    if json:
        emit_json(document)
    else:
        say(f"{place}: {document['seconds']:.1f} s{_told(frame)}", quiet=quiet)
        for command in large.values():
            show(command)
    if not finished:
        on = " --resume with the same words goes on" if checkpoint else " its recipe makes all of them"
        say(f"stopped after {frame.step} of {frame.steps} steps:{on}", quiet=quiet)
        return 130
    return None


def _told(frame: "Frame") -> str:
    energy = frame.numbers.get("energy")
    return "" if energy is None else f", energy {energy:.2f} times the start's"
