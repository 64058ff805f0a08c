"""`lanterna page`: a website for a class that needs no installation."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lanterna.errors import UsageError
from lanterna.files import format_size
from lanterna.images import open_picture
from lanterna.networks.trained import is_trained
from lanterna.surfaces.cli.common import (
    Force,
    Json,
    Quiet,
    emit_json,
    fetch_missing,
    format_duration,
    progress,
    say,
    show,
)
from lanterna.surfaces.cli.digit_reader import open_or_train
from lanterna.surfaces.web.class_site import Contents, check_site, write_site
from lanterna.techniques.grow.rule import open_rule
from lanterna.techniques.train.estimate import estimate_training
from lanterna.techniques.train.technique import fast_settings

_NETWORKS = ("conv", "dense")


def page(
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="The folder to write.")] = Path(
        "class-site"
    ),
    texture: Annotated[
        tuple[Path, ...],
        Parameter(negative="", help="One or two textures that lanterna grow saved (.safetensors)."),
    ] = (),
    picture: Annotated[tuple[Path, ...], Parameter(negative="", help="Pictures for the wall.")] = (),
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a website for a class: draw, train and learn, without installation.

    Any web server can serve the folder, and a double click on its index.html
    opens it, also without a network and on a phone: a digit that you draw goes
    through your networks with all its paths, a network is trained in the page
    on ten digits that you draw, and each lesson has its figure to try. If no
    digit network has been trained yet, the fast ones are trained first.

    The networks are in it with their weights, but no picture of a data set.
    Of your own pictures it has only those that you give.
    """
    check_site(output, force=force)
    if len(texture) > 2:
        raise UsageError(f"--texture: expected one texture or two that meet, got {len(texture)}")
    for file in texture:
        open_rule(file)
    for file in picture:
        open_picture(file, longest=64)  # raises before anything is trained
    missing = [name for name in _NETWORKS if not is_trained(name)]
    if missing:
        fetch_missing("mnist", quiet=quiet)
        estimates = [estimate_training(fast_settings(name), "cpu") for name in missing]
        seconds = sum(each.seconds for each in estimates if each)
        say(f"training takes {format_duration(seconds)}, once", quiet=quiet)
    networks = {name: open_or_train(name, device="cpu", quiet=quiet, chosen=False) for name in _NETWORKS}
    contents = Contents(networks=networks, textures=texture, pictures=picture)
    with progress("writing", quiet=quiet) as update:
        size = write_site(output, contents, force=force, watch=update)
    files = [file for file in output.rglob("*") if file.is_file()]
    total = sum(file.stat().st_size for file in files)
    if json:
        emit_json({"folder": str(output), "files": len(files), "bytes": total, "first_page_bytes": size})
        return
    show(str(output / "index.html"))
    say(f"{len(files)} files, {format_size(total)}; the first page {format_size(size)}", quiet=quiet)
    say("Open it with a double click, or copy the folder to a web server", quiet=quiet)
