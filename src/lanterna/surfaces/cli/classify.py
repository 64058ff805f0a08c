"""`lanterna classify`: what is in a photograph, or in a folder of them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from lanterna.errors import UsageError, one_line
from lanterna.images.decoding import SUFFIXES, is_folder
from lanterna.surfaces.cli.common import (
    Device,
    Json,
    Quiet,
    Settings,
    console,
    emit_json,
    fetch_and_open,
    given,
    progress,
    say,
)
from lanterna.techniques.classify import Classified, Classify
from lanterna.techniques.classify import classify as classified

_BAR = 24


def classify(
    photos: Annotated[list[Path], Parameter(help="Photographs or folders of them; - for standard input.")],
    /,
    *,
    settings: Annotated[Classify | None, Settings] = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Say what is in photographs: the likeliest classes, and how likely.

    A folder is classified as a whole; a picture in it that cannot be read is named, and the rest is done.
    """
    recipe = Classify.checked(given(settings))
    if not photos:
        raise UsageError("expected at least one picture or folder: lanterna classify PHOTO")
    paths = list(_pictures(photos))
    network = fetch_and_open(recipe.network, device=device, quiet=quiet)
    failed = 0
    documents: list[dict[str, Any]] = []
    sources = (sys.stdin.buffer.read() if str(path) == "-" else path for path in paths)
    with progress("classifying", quiet=quiet) as update:
        for path, outcome in zip(paths, classified(sources, recipe, network=network), strict=True):
            name = "standard input" if str(path) == "-" else str(path)
            update(len(documents) + failed + 1, len(paths), name)
            if outcome.error is not None:
                if len(paths) == 1:
                    raise outcome.error
                failed += 1
                say(f"lanterna: {outcome.error}")
            else:
                documents.append(_document(name, outcome))
                if not json:
                    _tell(name, outcome)
    if json:
        emit_json(documents)
    if failed:
        say(f"lanterna: {failed} of {len(paths)} pictures could not be read")
    return 1 if failed else 0


def _pictures(photos: list[Path]) -> Iterator[Path]:
    """The pictures named, and those in the folders named, by name."""
    for photo in photos:
        if not is_folder(photo):
            yield photo
            continue
        inside = sorted(path for path in photo.iterdir() if path.suffix.lower() in SUFFIXES)
        if not inside:
            raise UsageError(f"{photo}: expected a folder with pictures in it, found none")
        yield from inside


def _document(name: str, outcome: Classified) -> dict[str, Any]:
    answers = [
        {"index": answer.index, "class": answer.name, "probability": round(answer.probability, 5)}
        for answer in outcome.answers
    ]
    return {"photo": name, "answers": answers}


def _tell(name: str, outcome: Classified) -> None:
    out = console(stdout=True)
    out.print(one_line(name))
    for answer in outcome.answers:
        bar = "█" * max(1, round(answer.probability * _BAR))
        out.print(f"  {answer.probability:6.1%}  {bar:<{_BAR}}  {one_line(answer.name)}")
