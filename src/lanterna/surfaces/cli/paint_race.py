"""`lanterna paint PICTURE --race`: all four networks paint one picture, side by side."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanterna.errors import UsageError
from lanterna.files import human_size
from lanterna.images import check_place, note_input, open_picture, save_picture
from lanterna.images.films import check_film_place
from lanterna.recipes.paint_race import Race, RaceFrame, race
from lanterna.surfaces.cli.common import emit_json, say, show, tell_device
from lanterna.surfaces.cli.preview import run_through
from lanterna.surfaces.painting import LearningFilm, race_record

if TYPE_CHECKING:
    from lanterna.recipes.recipe import Frame


def paint_race(
    pictures: Sequence[Path],
    recipe: Race,
    film: Path | None,
    *,
    preview: bool,
    output: Path | None,
    device: str,
    force: bool,
    json: bool,
    quiet: bool,
) -> int | None:
    """Run the race, and save it as it ends, or as it is at Ctrl-C."""
    if len(pictures) != 1:
        raise UsageError(f"a race is about one picture, got {len(pictures)}: lanterna paint PICTURE --race")
    place = output or Path("race.png")
    check_place(place, force=force)
    if film:
        check_film_place(film, force=force)
    source = sys.stdin.buffer.read() if pictures[0] == Path("-") else pictures[0]
    frames = race(open_picture(source), recipe, device=device)
    note = note_input(source)
    filmed = None
    if film:
        made_from = {"recipe": recipe.model_dump(mode="json"), "from": note.sha256}
        filmed = LearningFilm(film, made_from, resume=False, force=force)
        frames = filmed.watched(frames)
    tell_device(device, quiet=quiet)
    frame = run_through(frames, "racing", _told, shown=preview, quiet=quiet)
    assert isinstance(frame, RaceFrame)
    assert frame.picture is not None
    save_picture(frame.picture, place, recipe=race_record("race", recipe, [note], device), force=force)
    document: dict[str, Any] = {"picture": str(place), "finished": frame.finished}
    if film and filmed:
        record = race_record("race-film", recipe, [note], device)
        document |= {"film": str(film), "frames": filmed.save(frame.picture, record, finished=True)}
    document["networks"] = {
        name: {
            "psnr": round(runner.psnr, 3),
            "seconds": round(runner.seconds, 3),
            "parameters": runner.parameters,
            "bytes": runner.bytes,
            "jpeg_bytes": runner.jpeg.bytes if runner.jpeg else None,
        }
        for name, runner in frame.runners.items()
    }
    document["recipe"] = recipe.model_dump(mode="json")
    if json:
        emit_json(document)
    else:
        for name, runner in sorted(frame.runners.items(), key=lambda each: -each[1].psnr):
            beside = f", a JPEG as good {human_size(runner.jpeg.bytes)}" if runner.jpeg else ""
            size = f"{runner.parameters:,} parameters, {human_size(runner.bytes)}"
            show(f"{name:<8} {runner.psnr:5.1f} dB in {runner.seconds:.1f} s, {size}{beside}")
        say(f"{place}: the race", quiet=quiet)
        if film:
            say(f"{film}: {document['frames']} frames", quiet=quiet)
    if not frame.finished:
        say("stopped before the end", quiet=quiet)
        return 130
    return None


def _told(frame: "Frame") -> str:
    return (
        "".join(f", {name} {value:.1f}" for name, value in frame.numbers.items() if name != "seconds") + " dB"
    )
