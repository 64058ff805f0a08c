"""`lanterna recipe` and `lanterna rerun`: how a picture was made, and making it again."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lanterna.errors import UsageError
from lanterna.images import Recipe, check_place, read_recipe, save_picture
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
    changed,
    command_line,
    commands_of,
    differences,
    make_again,
    with_inputs_found,
)


def recipe(picture: Path, /, *, changes: Changes = None, json: Json = False) -> None:
    """Print how a picture was made: with which verb, settings, inputs, network and seed.

    Every picture and film that Lanterna saves carries this. The pixels are not looked at.

    Parameters
    ----------
    picture
        A picture that Lanterna saved, or - for standard input.
    """
    recipe = changed(_recipe_of(picture), parse_assignments(changes))
    command, large = command_line(recipe, str(picture)), commands_of(recipe)
    if json:
        each = {"commands": list(large.values())} if large else {}
        emit_json({**recipe.model_dump(mode="json"), "command": command, **each})
    else:
        show(*_described(recipe, command))
        if large:
            show("", "each of it large:", *(f"  {line}" for line in large.values()))


def rerun(
    picture: Path,
    /,
    *,
    changes: Changes = None,
    output: Output = None,
    force: Force = False,
    trust: Annotated[
        bool, Parameter(negative="", help="Run the code of a recipe's own network (module:function).")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a picture again from the recipe it carries: bit for bit on the same machine, device and version.

    With --set it is varied. Without -o the result is put beside it, under a name that is free.

    Parameters
    ----------
    picture
        A picture that Lanterna saved, or - for standard input.
    """
    then = _recipe_of(picture)
    place = output or _free_name(picture)
    check_place(place, force=force)
    assigned = parse_assignments(changes)
    recipe = changed(then, assigned)
    recipe = with_inputs_found(recipe, None if picture == Path("-") else picture.parent)
    made, now = make_again(recipe, trust=trust)
    save_picture(made, place, recipe=now, force=force, **print_options(now, place))
    reasons = [] if assigned else differences(then, now)
    if json:
        emit_json({"picture": str(place), "changed": sorted(assigned), "may_differ": reasons})
    elif reasons and not quiet:
        say(f"this may not be the same bit for bit: {'; '.join(reasons)}")
    say(f"{printable(str(place))}: made again{' and varied' if assigned else ''}", quiet=quiet or json)


def _recipe_of(picture: Path) -> "Recipe":
    return read_recipe(sys.stdin.buffer) if picture == Path("-") else read_film_recipe(picture)


def _free_name(picture: Path) -> Path:
    if picture == Path("-"):
        raise UsageError("-o is needed to say where to write a picture that came from standard input")
    kept = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff")
    suffix = picture.suffix if picture.suffix.lower() in kept else ".png"
    name, number = f"{picture.stem}-again", 2
    while picture.with_name(f"{name}{suffix}").exists():
        name, number = f"{picture.stem}-again-{number}", number + 1
    return picture.with_name(f"{name}{suffix}")


def _described(recipe: Recipe, command: str) -> list[str]:
    rows = [
        ("picture", f"{recipe.output} of {recipe.verb}"),
        ("made with", f"Lanterna {recipe.lanterna}, torch {recipe.torch}"),
        ("made on", f"{recipe.machine}, {recipe.device}, {recipe.threads} threads"),
        *((note.role or "from", f"{note.path} (sha256 {note.sha256[:12]})") for note in recipe.inputs),
    ]
    if recipe.network:
        weights = recipe.network.sha256
        rows.append(
            ("network", f"{recipe.network.name} ({f'sha256 {weights[:12]}' if weights else 'as it is'})")
        )
    rows += [("shelf", ", ".join(recipe.shelf))] if recipe.shelf else []
    rows += [("seed", str(recipe.seed))]
    rows += [(name, _plain(value)) for name, value in recipe.settings.items() if name != "seed"]
    width = max(len(printable(name, 60)) for name, _ in rows)
    lines = [f"{printable(name, 60):<{width}}  {printable(value)}" for name, value in rows]
    return [*lines, "", "by hand:", f"  {command}"]


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(_plain(one) for one in value) or "none"
    return "none" if value is None else str(value)
