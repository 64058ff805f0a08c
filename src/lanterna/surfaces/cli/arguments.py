"""Parse the arguments of a technique's command into a checked request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanterna.errors import UsageError
from lanterna.images.decoding import describe_unread, is_folder, is_picture_name
from lanterna.images.film_reading import is_film
from lanterna.surfaces.cli.common import given_settings, say
from lanterna.techniques import registry
from lanterna.techniques import technique as declared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lanterna.techniques.technique import Input, Settings, Technique

_MAX_PICTURES = 100  # for one run


@dataclass(frozen=True)
class Request:
    """A technique to run, its settings, and the files of each input.

    `explicit` are the settings that the user gave; the others come from the preset or are defaults.
    """

    technique: Technique
    settings: Settings
    files: Mapping[str, Sequence[Path]]
    explicit: Mapping[str, Any]


def parse_command(words: Sequence[str], technique: Technique, *, film: bool = False) -> Request:
    """Parse a technique's command line, given without its verb and picture, and do not run it.

    With `film`, request a film. Errors: `UsageError`; cyclopts's own if an option is wrong.
    """
    from lanterna.surfaces.cli.dispatch import make_app

    picture = ["picture.png"] if technique.inputs else []
    flags = [f"--{flag}" for flag in technique.flags]
    tokens = [*technique.command, *(flags + picture if technique.takes_option else picture + flags), *words]
    tokens += ["--film", "film.webp"] if film else []
    _, bound, _ = make_app().parse_args(tokens, exit_on_error=False, print_error=False)
    options = dict(bound.arguments)
    for output in technique.outputs[1:] if technique.output is declared.Output.WORDS else ():
        if options.get(output):
            raise UsageError(f"--{output} does not work on many pictures: leave it out")
    if technique.arguments:
        options["arguments"] = [options.pop(name, None) for name in technique.arguments]
    sisters = [each for each in registry.techniques_for(technique.verb) if each.command == technique.command]
    return parse_request(sisters, options)


def parse_request(techniques: Sequence[Technique], options: Mapping[str, Any]) -> Request:
    """Choose one of a command's techniques by its options, and check the settings and files.

    Errors: `UsageError` if options conflict, or one is not valid.
    """
    all_flags = {flag for each in techniques for flag in each.flags}
    settings = {
        name: value
        for name, value in given_settings(options.get("settings")).items()
        if value is not None or name not in all_flags
    }
    for name, value in zip(techniques[0].arguments, options.get("arguments", ()), strict=False):
        if value is not None and settings.setdefault(name, value) != value:
            raise UsageError(
                f"{techniques[0].verb} {value} contradicts {_option(name)} {settings[name]}: give only one"
            )
    technique = _choose_technique(techniques, options, settings)
    for name, (_, implied) in technique.switches.items():
        settings |= implied if options.get(name) else {}
    for name in sorted(settings.keys() - technique.settings.model_fields.keys()):
        owner = next(each for each in techniques if name in each.settings.model_fields)
        raise UsageError(_describe_conflict(_option(name), owner, technique))
    for first, second in technique.exclusive:
        if settings.get(first) is not None and second in settings:
            raise UsageError(f"{_option(first)} and {_option(second)} exclude each other: leave one out")
    files = _collect_files(techniques, technique, options)
    counts = {name: len(paths) for name, paths in files.items()}
    if technique.inputs and technique.output is declared.Output.WORDS:  # each picture is a run of its own
        counts |= dict.fromkeys(counts.keys() & {technique.inputs[0].name}, 1)
    try:
        preset = technique.variant(options.get("preset"), settings)
        checked = technique.checked(preset, settings, counts)
    except UsageError as error:
        raise UsageError(name_option(str(error), technique.verb)) from error
    return Request(technique, checked, files, settings)


def _collect_files(
    techniques: Sequence[Technique], technique: Technique, options: Mapping[str, Any]
) -> dict[str, list[Path]]:
    """Return the files of each input. Errors: `UsageError` if one is missing or not accepted."""
    files: dict[str, list[Path]] = {}
    accepted = {each.name for each in technique.inputs}
    for name in {each.name: each for sister in techniques for each in sister.inputs}:
        value = options.get(name, options.get(underscored(name)))
        paths = [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
        if paths and name not in accepted:
            raise UsageError(f"{_option(name)} is not for {technique.title.lower()}: leave it out")
        if paths:
            files[name] = paths
    for each in technique.inputs:
        if each is technique.inputs[0] and takes_many(technique):
            files[each.name] = _expand_folders(files.get(each.name, []), technique)
        if each.required and not files.get(each.name):
            hint = f"{_option(each.name)} PATH{_suggest_alternative(each, technique, techniques)}"
            if each is technique.inputs[0] and not technique.takes_option:
                hint = f"lanterna {' '.join(technique.command)} {each.name.upper()}"
            raise UsageError(f"expected {each.help}: {hint}")
        if sum(path == Path("-") for path in files.get(each.name, ())) and len(files[each.name]) > 1:
            raise UsageError("standard input is a single picture: name files instead, or leave - out")
    return files


def _choose_technique(
    techniques: Sequence[Technique], options: Mapping[str, Any], settings: Mapping[str, Any]
) -> Technique:
    """Return the technique whose flags are exactly those that are set."""
    film_flags = {each.film_flag for each in techniques if each.film_flag}
    all_flags = {flag for each in techniques for flag in each.flags}
    flags = {flag for flag in all_flags if options.get(flag) or flag in settings}
    film = given = next((flag for flag in film_flags if options.get(flag)), "")
    source = options.get(techniques[0].inputs[0].name) if techniques[0].inputs else None
    if not film and isinstance(source, Path) and "film" in film_flags and is_film(source):
        film = "film"
    for each in techniques:
        if (set(each.flags), each.film_flag) == (flags, film):
            return each
    if film and not given:
        words = " and ".join(f"--{flag}" for flag in sorted(flags))
        raise UsageError(f"{source} is an animation: give one picture, or leave {words} out")
    words = " and ".join(f"--{flag}" for flag in (*sorted(flags), *([film] if film else [])))
    raise UsageError(f"{words} do not go together: leave one of them out")


def takes_many(technique: Technique) -> bool:
    """Whether the command takes several pictures: always if its output is words, which it prints for each."""
    first = technique.inputs[0]
    return (first.many and not first.folder) or technique.output is declared.Output.WORDS


def _expand_folders(paths: Sequence[Path], technique: Technique) -> list[Path]:
    """Return the paths in order, with each folder replaced by the pictures in it.

    Errors: `UsageError` for a folder without pictures, or more pictures than one run can use.
    """
    found: list[Path] = []
    for path in paths:
        names = sorted(each.name for each in path.iterdir()) if is_folder(path) else []
        inside = [path / name for name in names if is_picture_name(name)]
        unread = describe_unread(names)
        if is_folder(path) and not inside:
            expected = unread or "expected .png, .jpg, .jpeg, .webp or the like"
            raise UsageError(f"{path} has no pictures in it: {expected}")
        if unread:
            say(unread)
        found += inside or [path]
    if len(found) > _MAX_PICTURES and technique.output is not declared.Output.WORDS:
        raise UsageError(f"expected at most {_MAX_PICTURES} pictures, got {len(found)}: name fewer")
    return found


def _suggest_alternative(missing: Input, technique: Technique, techniques: Sequence[Technique]) -> str:
    """Suggest an option with which the missing input is not needed; an empty text if there is none."""
    for other in techniques:
        needs = any(each.required and each.name == missing.name for each in other.inputs)
        if not needs and (other.output, other.film_flag) == (technique.output, technique.film_flag):
            return f", or {_describe_switch(other, technique)}"
    return ""


def _describe_conflict(option: str, technique: Technique, current: Technique) -> str:
    """Describe how to resolve that an option is for another technique than the current one."""
    added, removed = _switch(technique, current)
    if added:
        return f"{option} is for {technique.title.lower()}: add {added}, or leave {option} out"
    return f"{option} does not go with {removed}: leave one of them out"


def _describe_switch(technique: Technique, current: Technique) -> str:
    """Describe which options to add or leave out to choose a technique instead of the current one."""
    added, removed = _switch(technique, current)
    return f"add {added}" if added else f"leave {removed} out"


def _switch(technique: Technique, current: Technique) -> tuple[str, str]:
    """Return the options to add to the current technique's, and to leave out, to choose another technique."""
    added = [f"--{flag}" for flag in technique.flags if flag not in current.flags]
    if technique.film_flag and technique.film_flag != current.film_flag:
        added.append(f"--{technique.film_flag} film.webp")
    removed = [f"--{flag}" for flag in current.flags if flag not in technique.flags]
    removed += [f"--{current.film_flag}"] if current.film_flag and not technique.film_flag else []
    return " ".join(added), " ".join(removed)


def name_option(message: str, verb: str) -> str:
    """Replace the setting or input at the start of an error's message by its option of the verb's command."""
    name, colon, rest = message.partition(": ")
    name = re.sub(r"\.[0-9.]+$", "", name)  # the place in a list
    if not colon or not re.fullmatch("[a-z_-]+", name) or verb == "learn":
        return message
    fields = {
        field.rstrip("_")
        for technique in registry.techniques_for(verb)
        for field in (*technique.settings.model_fields, *(each.name for each in technique.inputs[1:]))
    }
    return f"{_option(name)}: {rest}" if name.rstrip("_") in fields else message


def _option(name: str) -> str:
    return f"--{name.strip('_').replace('_', '-')}"


def underscored(name: str) -> str:
    """Return an input's name as a Python identifier."""
    return name.replace("-", "_")
