"""Make a picture again from its recipe, perhaps with changes, and write the command that makes it."""

from __future__ import annotations

import functools
import json
import math
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from lanterna.documents import is_unicode, runs_code
from lanterna.errors import UsageError, describe_invalid, field_name
from lanterna.files import is_network_path, sha256
from lanterna.images.decoding import BYTE_LIMIT
from lanterna.images.recipe import Recipe, RecipeInput, RecipeNetwork, make_recipe_input, printable
from lanterna.renamed import current_name
from lanterna.techniques import execute
from lanterna.techniques.execute import networks_in, recipe_settings
from lanterna.techniques.registry import find_technique, techniques_for
from lanterna.techniques.technique import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue
    from torch import Tensor

    from lanterna.techniques.technique import Technique


def rerun_recipe(recipe: Recipe, *, trust: bool = False) -> tuple[Tensor, Recipe]:
    """Make the picture of a recipe again, after `locate_inputs`; return it with its new recipe.

    Errors: those of `execute.rerun_recipe` and of `check_reruns`.
    """
    check_reruns(recipe)
    return execute.rerun_recipe(recipe, trust=trust)


def check_reruns(recipe: Recipe, output: Path | None = None) -> None:
    """Raise `UsageError`, with the command, if only that can make this again: a film, for example."""
    technique = find_technique(recipe.verb, recipe.output)
    if technique is not None and not technique.reruns:
        command = command_line(recipe, str(output or "again.webp"))
        raise UsageError(f"only its command makes this {technique.output.value} again: {command}")


def differences(then: Recipe, now: Recipe) -> list[str]:
    """Explain why a picture that was made again may differ in some bits; empty if it must be identical."""
    reasons = [
        f"{what} {printable(str(before))} then, {after} now"
        for what, before, after in (
            ("Lanterna", then.lanterna, now.lanterna),
            ("torch", then.torch, now.torch),
            ("machine", then.machine, now.machine),
            ("device", then.device, now.device),
            ("threads", then.threads, now.threads),
        )
        if before != after
    ]
    if then.network and now.network and then.network.sha256 != now.network.sha256:
        reasons.append(f"the network {printable(then.network.name)} has other weights than then")
    changed = sorted(item for item in then.shelf if then.shelf[item] != now.shelf.get(item, then.shelf[item]))
    if changed:
        reasons.append(f"the shelf holds another {printable(', '.join(changed))}")
    if then.changes:
        reasons.append("settings were changed while it was made then, now the final ones apply throughout")
    return reasons


def with_overrides(recipe: Recipe, assignments: Mapping[str, str]) -> Recipe:
    """Return the recipe with some values replaced.

    They are settings, `seed`, `device`, `network`, `input` (a path), or the inputs of a role by its name
    (`guide`, `mask`). Values are parsed by `parse_value`. Errors: `UsageError` that lists what can be set, or
    names what is wrong.
    """
    if not assignments:
        return recipe  # perhaps of another version, but it can still be shown
    settings, fields = dict(recipe.settings), dict[str, Any]()
    roles = {note.role.replace("-", "_"): note.role for note in recipe.inputs}
    for key, text in assignments.items():
        if not is_unicode(text):
            raise UsageError(f"{printable(key)}: expected text in UTF-8, got {text!r}")
        key = current_name(recipe.verb, key)
        if f"{key}_" in settings:  # `class` is a keyword in Python
            key = f"{key}_"
        if key in ("input", "inputs"):
            fields["inputs"] = _inputs_of("", text, fields.get("inputs", recipe.inputs))
        elif key == "device":
            fields["device"] = text
        elif key in settings:
            settings[key] = parse_value(text, settings[key])
        elif key == "network" and recipe.network:
            fields["network"] = RecipeNetwork(name=text, sha256=None)
        elif key in roles and key:
            fields["inputs"] = _inputs_of(roles[key], text, fields.get("inputs", recipe.inputs))
        elif key != "seed":
            known = sorted({*settings, "seed", "device", *(["network"] if recipe.network else [])})
            known += [role or "input" for role in roles.values()]
            raise UsageError(
                f"the recipe has no setting {printable(key)!r}: it has {printable(', '.join(known), 900)}"
            )
        if key == "seed":
            fields["seed"] = parse_value(text, 0)
    try:
        varied = Recipe.model_validate({**dict(recipe), **fields, "settings": settings})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = printable(field_name(first))
        given = printable(repr(first["input"]), 60)
        raise UsageError(f"{place}: {describe_invalid(first)}, got {given}") from error
    return _checked(varied)


def _checked(recipe: Recipe) -> Recipe:
    """Return the recipe with its settings validated, if its technique is known."""
    technique = find_technique(recipe.verb, recipe.output)
    if technique is None:
        return recipe
    settings = technique.settings.checked(recipe_settings(recipe, technique))
    return recipe.model_copy(update={"settings": settings.model_dump(mode="json")})


def locate_inputs(recipe: Recipe, folder: Path | None) -> Recipe:
    """Return the recipe with the current paths of its inputs: the recorded ones, or in `folder`.

    `folder` is that of the picture. Errors: `UsageError` if an input is missing or has changed.
    """
    located = []
    digest_of = functools.cache(_digest)  # a recipe may name one file hundreds of times
    for note in recipe.inputs:
        recorded = Path(note.path)
        places = [] if is_network_path(note.path) else [recorded, _expanded(note.path)]
        if folder:
            places += [folder / recorded, folder / recorded.name] if places else [folder / recorded.name]
        existing = [place for place in dict.fromkeys(places) if note.path != "-" and digest_of(place)]
        path = next((place for place in existing if digest_of(place) == note.sha256), None)
        shown, option = printable(note.path), f"--set {note.role or 'input'}=PATH"
        if path is None and existing:
            raise UsageError(
                f"{shown} has changed since the picture was made: {option} takes another file, "
                "or this one as it is now"
            )
        if path is None:
            raise UsageError(f"{shown}, which the picture was made from, is not there: give {option}")
        located.append(note if path == Path(note.path) else note.model_copy(update={"path": str(path)}))
    return recipe.model_copy(update={"inputs": tuple(located)})


def command_line(recipe: Recipe, picture: str, *, preset: str | None = None) -> str:
    """Return the command that makes the picture of a recipe from scratch, quoted for a shell.

    Settings are relative to those of `preset`, if given. A recipe may come from a stranger: no value in it
    becomes an option, and if its network runs code, the result is a comment that explains this.
    """
    if code := next(filter(runs_code, networks_in(recipe)), None):
        return (
            f"# no command: the network {shlex.quote(printable(code))} runs Python code from outside "
            f"Lanterna; if you know that code: lanterna rerun --trust {_in_shell(picture)}"
        )
    technique = find_technique(recipe.verb, recipe.output)
    if technique is None:
        return f"lanterna rerun {_in_shell(picture)}"
    try:
        settings = technique.settings.checked(recipe_settings(recipe, technique))
    except UsageError:  # of another version: `rerun` reports what is wrong
        return f"lanterna rerun {_in_shell(picture)}"
    kind = technique.settings
    start = kind.model_construct() if preset is None else kind.checked(technique.preset(preset))
    defaults = start.model_dump(mode="json")
    roles = {technique.role(each.name): each for each in technique.inputs}
    words = _command(technique, [_in_shell(note.path) for note in recipe.inputs if not note.role])
    words += [] if preset is None else [f"--preset={shlex.quote(preset)}"]
    for name, value in settings.model_dump(mode="json").items():
        if name in technique.hidden or (value == defaults[name] and name not in technique.flags):
            continue
        option = name.strip("_").replace("_", "-")  # class_ is --class
        if technique.verb == "learn":
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            change = f"{name.rstrip('_')}={text}"
            words.append(f"--set {shlex.quote(printable(change))}")
        elif isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        elif value is not None:
            values = value if isinstance(value, list) else [value]
            # A pair of numbers follows one option; texts could start with a dash, so each has its own.
            separator = f" --{option}=" if any(isinstance(each, str) for each in values) else " "
            text = separator.join(shlex.quote(printable(str(each))) for each in values)
            words.append(f"--{option}={text}" if values else f"--{option}")
    if recipe.network and "network" not in recipe.settings and recipe.network.name:
        words.append(f"--network={shlex.quote(printable(recipe.network.name))}")
    for note in recipe.inputs:
        if note.role and note.role in roles:  # a stranger's recipe adds no other option to the command
            words += [f"--{note.role}", _in_shell(note.path)]
    if technique.output is not Output.NETWORK:
        words += [_output_option(technique, recipe.output), _in_shell(picture)]
    return " ".join(words)


def usage(technique: Technique) -> list[str]:
    """Return the command lines of a technique, one for each of its outputs, without settings."""
    first = [technique.inputs[0].name.upper()] if technique.inputs else []
    lines = []
    for output in technique.outputs or ("",):
        chosen = [f"--{technique.output_setting}={output}"] if technique.output_setting else []
        saved = output and technique.output is not Output.NETWORK
        option = [_output_option(technique, output), "RESULT"] if saved else []
        lines.append(" ".join([*_command(technique, first), *chosen, *option]))
    return list(dict.fromkeys(lines))


def _command(technique: Technique, inputs: list[str]) -> list[str]:
    if technique.inputs and not technique.records_inputs:
        inputs = ["FOLDER"]  # too many pictures to list in a recipe
    flags = [f"--{flag}" for flag in technique.flags if flag not in technique.settings.model_fields]
    last = [*flags, *inputs] if technique.takes_option else [*inputs, *flags]
    return ["lanterna", *technique.command, *last]


def _output_option(technique: Technique, output: str) -> str:
    """Return the option for the path of an output."""
    if technique.film_flag and output == technique.outputs[-1]:
        return f"--{technique.film_flag}"
    return f"--{output}" if technique.output is Output.WORDS and output != technique.outputs[0] else "-o"


def _in_shell(path: str) -> str:
    """Quote a path for a shell, except a leading `~`, so that it is not taken for an option."""
    text = printable(path)
    if text.startswith("~/"):
        return f"~/{shlex.quote(text[2:])}" if text != "~/" else text
    return shlex.quote(f"./{text}" if text.startswith("-") and text != "-" else text)


def cell_commands(recipe: Recipe) -> dict[str, str]:
    """Return the commands that make the cells of a contact sheet at full size, by their labels."""
    technique = find_technique(recipe.verb, recipe.output)
    if technique is None or technique.cells is None or any(map(runs_code, networks_in(recipe))):
        return {}
    commands: dict[str, str] = {}
    with suppress(UsageError):  # settings of another version
        for cell in technique.cells(technique.settings.checked(recipe_settings(recipe, technique))):
            shown = next(each for each in techniques_for(technique.verb) if each.name == cell.technique)
            output, settings = shown.default_output, cell.settings.model_dump(mode="json")
            varied = recipe.model_copy(update={"output": output, "settings": settings})
            file = re.sub(r"[^a-z0-9_.]+", "-", f"{cell.technique}-{cell.label}".lower()).strip("-")
            commands[cell.label] = command_line(varied, f"{file}.png", preset=cell.preset)
    return commands


def parse_value(text: str, before: JsonValue) -> JsonValue:
    """Parse what a person wrote after `KEY=`.

    It is read as JSON if possible (`0.5`, `true`, `[128, 64]`), else as text. If the value `before` is a
    list, `128,64` and `128 64` are lists too.
    """
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        if isinstance(before, list):
            return [parse_value(part, None) for part in text.replace(",", " ").split()]
        return text
    return text if isinstance(value, float) and not math.isfinite(value) else value


def _inputs_of(role: str, text: str, inputs: tuple[RecipeInput, ...]) -> tuple[RecipeInput, ...]:
    """Return the inputs with those of one role replaced by as many files, which `text` names."""
    listed = parse_value(text, None)
    if isinstance(listed, list) and all(isinstance(path, str) for path in listed):
        paths = [str(path) for path in listed]
    else:
        paths = [text]
    count = sum(note.role == role for note in inputs)
    if len(paths) != count:
        raise UsageError(
            f"{role or 'input'}: expected as many files as in the recipe, got {len(paths)} for {count}"
        )
    new = iter(paths)
    return tuple(make_recipe_input(next(new), role=role) if note.role == role else note for note in inputs)


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # the ~ of a user who does not exist on this machine
        return Path(path)


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file; None if it does not exist, is no file, or is too large for a picture."""
    try:
        return sha256(path, max_bytes=BYTE_LIMIT)
    except (OSError, ValueError):
        return None
