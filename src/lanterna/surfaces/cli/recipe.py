"""`lanterna recipe` and `lanterna rerun`: print a picture's recipe, and make the picture again."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lanterna.errors import UsageError
from lanterna.files import refuse_to_replace
from lanterna.images import Recipe, check_picture_path, read_recipe, save_picture
from lanterna.images.film_reading import read_film_recipe
from lanterna.images.recipe import printable
from lanterna.surfaces.cli.common import (
    Changes,
    Force,
    Json,
    Output,
    Quiet,
    emit_json,
    parse_assignments,
    say,
    show,
)
from lanterna.techniques.execute import print_options
from lanterna.techniques.rerun import (
    cell_commands,
    check_reruns,
    command_line,
    differences,
    locate_inputs,
    rerun_recipe,
    with_overrides,
)


def recipe(picture: Path, /, *, changes: Changes = None, json: Json = False) -> None:
    """Print how a picture was made: verb, settings, inputs, network and seed.

    Every picture and film that Lanterna saves carries this recipe. The pixels are
    not read.

    Parameters
    ----------
    picture
        A picture that Lanterna saved, or - for standard input.
    """
    recipe = with_overrides(_read(picture), parse_assignments(changes))
    command, cells = command_line(recipe, str(picture)), cell_commands(recipe)
    if json:
        commands = {"commands": list(cells.values())} if cells else {}
        emit_json({**recipe.model_dump(mode="json"), "command": command, **commands})
    else:
        show(*_describe(recipe, command))
        if cells:
            show("", "commands for its pictures:", *(f"  {line}" for line in cells.values()))


def rerun(
    picture: Path,
    /,
    *,
    changes: Changes = None,
    output: Output = None,
    force: Force = False,
    trust: Annotated[
        bool, Parameter(negative="", help="Allow the recipe to run a network's code (module:function).")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a picture again from its recipe, or vary it with --set.

    On the same machine, device and version the result is the same bit for bit.
    Without -o it is saved next to the picture under a new name.

    Parameters
    ----------
    picture
        A picture that Lanterna saved, or - for standard input.
    """
    old = _read(picture)
    assigned = parse_assignments(changes)
    recipe = with_overrides(old, assigned)
    check_reruns(recipe, output)
    path = output or _free_name(picture)
    check_picture_path(path, force=force)
    recipe = locate_inputs(recipe, None if picture == Path("-") else picture.parent)
    refuse_to_replace(path, [Path(each.path) for each in recipe.inputs])
    result, new = rerun_recipe(recipe, trust=trust)
    save_picture(result, path, recipe=new, force=force, **print_options(new, path))
    reasons = [] if assigned else differences(old, new)
    if json:
        emit_json({"picture": str(path), "changed": sorted(assigned), "may_differ": reasons})
    elif reasons and not quiet:
        say(f"it may not be the same bit for bit: {'; '.join(reasons)}")
    say(f"{printable(str(path))}: made again{' and varied' if assigned else ''}", quiet=quiet or json)


def _read(picture: Path) -> "Recipe":
    return read_recipe(sys.stdin.buffer) if picture == Path("-") else read_film_recipe(picture)


def _free_name(picture: Path) -> Path:
    if picture == Path("-"):
        raise UsageError("expected -o FILE: a picture from standard input has no name to derive one from")
    suffixes = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff")
    suffix = picture.suffix if picture.suffix.lower() in suffixes else ".png"
    name, number = f"{picture.stem}-again", 2
    while picture.with_name(f"{name}{suffix}").exists():
        name, number = f"{picture.stem}-again-{number}", number + 1
    return picture.with_name(f"{name}{suffix}")


def _describe(recipe: Recipe, command: str) -> list[str]:
    rows = [
        ("picture", recipe.verb if recipe.output == recipe.verb else f"{recipe.output} of {recipe.verb}"),
        ("made with", f"Lanterna {recipe.lanterna}, torch {recipe.torch}"),
        ("made on", f"{recipe.machine}, {recipe.device}, threads: {recipe.threads}"),
        *((note.role or "from", f"{note.path} (sha256 {note.sha256[:12]})") for note in recipe.inputs),
    ]
    if recipe.network:
        weights = recipe.network.sha256
        rows.append(
            ("network", f"{recipe.network.name} ({f'sha256 {weights[:12]}' if weights else 'no weights'})")
        )
    rows += [("shelf", ", ".join(recipe.shelf))] if recipe.shelf else []
    rows += [("seed", str(recipe.seed))]
    rows += [(name.rstrip("_"), _plain(value)) for name, value in recipe.settings.items() if name != "seed"]
    width = max(len(printable(name, 60)) for name, _ in rows)
    lines = [f"{printable(name, 60):<{width}}  {printable(value)}" for name, value in rows]
    return [*lines, "", "command:", f"  {command}"]


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(_plain, value)) or "none"
    return "none" if value is None else str(value)
