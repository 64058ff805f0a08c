"""`lanterna read`: the digits on a page, in words, as JSON, and as pictures."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from lanterna.errors import UsageError
from lanterna.images.pictures import check_place, save_picture
from lanterna.images.record import make_record, note_input
from lanterna.networks.trained import is_trained
from lanterna.surfaces.cli.common import Device, Force, Json, Quiet, emit_json, fetch_missing, say, show
from lanterna.techniques.read.algorithm import Read, ReadPage
from lanterna.techniques.read.algorithm import read as read_page
from lanterna.techniques.read.technique import draw
from lanterna.techniques.train.results import open_or_train

if TYPE_CHECKING:
    from lanterna.networks.stages import Network

_NEAREST = 5


def read(
    photos: Annotated[list[Path], Parameter(help="Pictures of pages; - for standard input.")],
    /,
    *,
    network: Annotated[str, Parameter(help="Which trained network reads.")] = "conv",
    surface: Annotated[
        str,
        Parameter(
            help="page, on which ink is told from paper, or pad: light ink on black, as a pad gives it."
        ),
    ] = "page",
    cut: Annotated[bool, Parameter(help="Cut digits that touch apart.")] = True,
    output: Annotated[
        Path | None,
        Parameter(name=("--output", "-o"), help="Write the page with its readings (several: into a folder)."),
    ] = None,
    steps: Annotated[Path | None, Parameter(help="Write a picture of each clean-up step (likewise).")] = None,
    why: Annotated[
        bool, Parameter(negative="", help="Say the runner-up and the nearest training digits.")
    ] = False,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read the handwritten digits on a page, drawn or photographed.

    Finds every digit and reads it in reading order, a line for each row; a question mark follows a doubtful
    one. If nothing has been trained yet, the fast network is trained first.
    """
    recipe = Read.checked(
        {"network": network, "surface": surface, "cut": cut, "nearest": _NEAREST if why else 0}
    )
    if not photos:
        raise UsageError("expected at least one picture: lanterna read PHOTO")
    wanted = [
        {made: _place(given, photo, photos) for made, given in (("page", output), ("steps", steps)) if given}
        for photo in photos
    ]
    places = [place for pictures in wanted for place in pictures.values()]
    if len(set(places)) < len(places):
        raise UsageError("two pictures would be written to the same place: read them one by one")
    for place in places:
        check_place(place, force=force)
    sources = [_source(photo) for photo in photos]
    fetch_missing("mnist", quiet=quiet)
    opened = reader(recipe.network, device=device, quiet=quiet)
    documents = []
    for photo, source, pictures in zip(photos, sources, wanted, strict=True):
        page = read_page(source, recipe, network=opened)
        name = "standard input" if str(photo) == "-" else str(photo)
        documents.append(_document(name, page, why=why))
        note = [note_input(source)]
        for made, place in pictures.items():
            kind: Any = made
            record = make_record(
                "read", made, recipe, device=next(opened.parameters()).device, inputs=note, network=opened,
                network_name=recipe.network, shelf_items=["mnist"],
            )  # fmt: skip
            save_picture(draw(page, kind), place, recipe=record, force=force)
        if not json:
            _tell(name if len(photos) > 1 else "", page, quiet=quiet, why=why)
    if json:
        emit_json(documents)


def _place(given: Path, photo: Path, photos: list[Path]) -> Path:
    """Where a photo's picture goes: the file named, or a file in the folder named where there are several."""
    if len(photos) == 1:
        return given
    if given.suffix and not given.is_dir():
        raise UsageError(f"{given}: with several pictures, name a folder to write into")
    return given / f"{'page' if str(photo) == '-' else photo.stem}.png"


def _source(photo: Path) -> Path | bytes:
    return sys.stdin.buffer.read() if str(photo) == "-" else photo


def reader(name: str, *, device: str, quiet: bool) -> "Network":
    """The network that reads, trained first where there is none yet."""
    if name not in ("conv", "dense") or is_trained(name):
        return open_or_train(name, device=device)
    from lanterna.surfaces.cli.train import watching

    say(f"no network has been trained yet: training {name} first, once", quiet=quiet)
    with watching(quiet=quiet) as watch:
        return open_or_train(name, device=device, watch=watch)


def _document(name: str, page: ReadPage, *, why: bool) -> dict[str, Any]:
    digits = []
    for reading in page:
        digit: dict[str, Any] = {
            "digit": reading.digit,
            "probabilities": [round(value, 5) for value in reading.probabilities],
            "box": [round(value, 1) for value in reading.box],
            "row": reading.row,
            "confidence": round(reading.confidence, 4),
        }
        if reading.note:
            digit["note"] = reading.note
        if why:
            digit["runner_up"] = reading.runner_up
            digit["nearest"] = [
                {"index": n.index, "label": n.label, "distance": round(n.distance, 3)} for n in reading.why
            ]
        digits.append(digit)
    width, height = page.size
    notes = list(page.notes)
    return {
        "photo": name,
        "width": width,
        "height": height,
        "text": page.text,
        "notes": notes,
        "digits": digits,
    }


def _tell(name: str, page: ReadPage, *, quiet: bool, why: bool) -> None:
    if name:
        show(f"{name}:")
    if page.text:
        show(*page.text.splitlines())
    for note in page.notes:
        say(note, quiet=quiet)
    if why:
        for number, reading in enumerate(page, start=1):
            second = reading.runner_up
            nearest = " ".join(str(n.label) for n in reading.why)
            show(
                f"{number:3}  {reading.digit}  {reading.confidence:4.0%} sure; else {second} "
                f"({reading.probabilities[second]:.1%}); nearest training digits: {nearest}"
            )
