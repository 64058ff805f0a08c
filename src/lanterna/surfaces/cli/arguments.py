"""What a command line asks for: a technique, its settings and its files, or what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanterna.errors import UsageError
from lanterna.images.decoding import SUFFIXES, is_folder
from lanterna.images.film_reading import is_film
from lanterna.surfaces.cli.common import given_settings
from lanterna.techniques import registry
from lanterna.techniques import technique as declared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lanterna.techniques.technique import Input, Settings, Technique

_MAX_PICTURES = 100  # pictures that one piece of work takes


@dataclass(frozen=True)
class Request:
    """What a command line asks for: a technique, its settings, and files by input.

    `given` are the settings that a person gave; the others are the preset's, or defaults.
    """

    technique: Technique
    settings: Settings
    files: Mapping[str, Sequence[Path]]
    explicit: Mapping[str, Any]


def parse_command(words: Sequence[str], technique: Technique, *, film: bool = False) -> Request:
    """What a command asks for that begins with a technique's words and a picture, without running it.

    With `film`, it is asked to make a film. Errors: `UsageError`; cyclopts's own where an option is wrong.
    """
    from lanterna.surfaces.cli.dispatch import make_app

    about = ["picture.png"] if technique.inputs else []
    tokens = [*technique.command, *about, *(f"--{flag}" for flag in technique.flags), *words]
    tokens += ["--film", "film.webp"] if film else []
    _, bound, _ = make_app().parse_args(tokens, exit_on_error=False, print_error=False)
    options = dict(bound.arguments)
    for output in technique.outputs[1:] if technique.output is declared.Output.WORDS else ():
        if options.get(output):
            raise UsageError(f"--{output} is not for many pictures: leave it out")
    if technique.arguments:
        options["arguments"] = [options.pop(name, None) for name in technique.arguments]
    sisters = [each for each in registry.of_verb(technique.verb) if each.command == technique.command]
    return parse_request(sisters, options)


def parse_request(techniques: Sequence[Technique], options: Mapping[str, Any]) -> Request:
    """Choose the technique that the options ask for, and check its settings.

    Errors: `UsageError` where options do not go together, or one cannot be used.
    """
    settings = {
        name: value
        for name, value in given_settings(options.get("settings")).items()
        if value is not None or name not in {flag for each in techniques for flag in each.flags}
    }
    for name, value in zip(techniques[0].arguments, options.get("arguments", ()), strict=False):
        if value is not None and settings.setdefault(name, value) != value:
            raise UsageError(
                f"{techniques[0].verb} {value} with {_option(name)} {settings[name]}: say it once"
            )
    technique = _choose_technique(techniques, options, settings)
    for name, (_, meant) in technique.switches.items():
        settings |= meant if options.get(name) else {}
    for name in sorted(settings.keys() - technique.settings.model_fields.keys()):
        owner = next(each for each in techniques if name in each.settings.model_fields)
        option, how = _option(name), _describe_switch(owner, technique)
        raise UsageError(f"{option} is for {owner.title.lower()}: {how}, or leave {option} out")
    for one, other in technique.instead:
        if settings.get(one) is not None and other in settings:
            raise UsageError(f"{_option(one)} is in place of {_option(other)}: leave one of them out")
    files: dict[str, list[Path]] = {}
    for each in {each.name: each for one in techniques for each in one.inputs}.values():
        value = options.get(each.name, options.get(underscored(each.name)))
        paths = [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
        if paths and each.name not in {one.name for one in technique.inputs}:
            raise UsageError(f"{_option(each.name)} is not for {technique.title.lower()}: leave it out")
        if paths:
            files[each.name] = paths
    for each in technique.inputs:
        if each is technique.inputs[0] and takes_many(technique):
            files[each.name] = _expand_folders(files.get(each.name, []), technique)
        if each.required and not files.get(each.name):
            how = f"{_option(each.name)} PATH{_suggest_alternative(each, technique, techniques)}"
            if each is technique.inputs[0]:
                how = f"lanterna {' '.join(technique.command)} {each.name.upper()}"
            raise UsageError(f"expected {each.help}: {how}")
        if sum(path == Path("-") for path in files.get(each.name, ())) and len(files[each.name]) > 1:
            raise UsageError("standard input is one picture: name the others, or leave - out")
    counts = {name: len(paths) for name, paths in files.items()}
    if technique.inputs and technique.output is declared.Output.WORDS:  # each is a piece of work of its own
        counts |= dict.fromkeys(counts.keys() & {technique.inputs[0].name}, 1)
    try:
        preset = technique.variant(options.get("preset"), settings)
        checked = technique.checked(preset, settings, counts)
    except UsageError as error:
        raise UsageError(_name_option(str(error), technique)) from error
    return Request(technique, checked, files, settings)


def _choose_technique(
    techniques: Sequence[Technique], options: Mapping[str, Any], settings: Mapping[str, Any]
) -> Technique:
    """The technique whose flags are exactly those that are given."""
    films = {each.film_flag for each in techniques if each.film_flag}
    all_flags = {flag for each in techniques for flag in each.flags}
    flags = {flag for flag in all_flags if options.get(flag) or flag in settings}
    film = next((flag for flag in films if options.get(flag)), "")
    about = options.get(techniques[0].inputs[0].name) if techniques[0].inputs else None
    if not film and isinstance(about, Path) and "film" in films and is_film(about):
        film = "film"
    for each in techniques:
        if (set(each.flags), each.film_flag) == (flags, film):
            return each
    words = " and ".join(f"--{flag}" for flag in (*sorted(flags), *([film] if film else [])))
    raise UsageError(f"{words} do not go together: leave one of them out")


def takes_many(technique: Technique) -> bool:
    """Whether its command takes several of what it is about: one of words has an answer to each."""
    first = technique.inputs[0]
    return (first.many and not first.folder) or technique.output is declared.Output.WORDS


def _expand_folders(paths: Sequence[Path], technique: Technique) -> list[Path]:
    """The files that are meant by paths of pictures and of folders of them, in order.

    Errors: `UsageError` for a folder without pictures, or too many for one picture to be made of.
    """
    found: list[Path] = []
    for path in paths:
        inside = (
            sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES)
            if is_folder(path)
            else []
        )
        if is_folder(path) and not inside:
            raise UsageError(f"{path} has no pictures in it: expected .png, .jpg, .jpeg, .webp or the like")
        found += inside or [path]
    if len(found) > _MAX_PICTURES and technique.output is not declared.Output.WORDS:
        raise UsageError(f"expected up to {_MAX_PICTURES} pictures, got {len(found)}: name fewer")
    return found


def _suggest_alternative(missing: Input, technique: Technique, techniques: Sequence[Technique]) -> str:
    """Which option does without an input that is missing, in words; nothing where none does."""
    for other in techniques:
        needs = any(each.required and each.name == missing.name for each in other.inputs)
        if not needs and (other.output, other.film_flag) == (technique.output, technique.film_flag):
            return f", or {_describe_switch(other, technique)}"
    return ""


def _describe_switch(technique: Technique, instead_of: Technique) -> str:
    """Which options choose a technique in place of another of its command."""
    more = [f"--{flag}" for flag in technique.flags if flag not in instead_of.flags]
    if technique.film_flag and technique.film_flag != instead_of.film_flag:
        more.append(f"--{technique.film_flag} film.webp")
    less = [f"--{flag}" for flag in instead_of.flags if flag not in technique.flags]
    less += [f"--{instead_of.film_flag}"] if instead_of.film_flag and not technique.film_flag else []
    return f"add {' '.join(more)}" if more else f"leave {' '.join(less)} out"


def _name_option(message: str, technique: Technique) -> str:
    """An error about a setting, which begins with its name, as one about the option."""
    match = re.match(r"([a-z_]+)(?:\.[0-9.]+)?: ", message)
    if match and match[1] in technique.settings.model_fields:
        return f"{_option(match[1])}: {message[match.end() :]}"
    return message


def _option(name: str) -> str:
    return f"--{name.strip('_').replace('_', '-')}"


def underscored(name: str) -> str:
    """The name of an input as Python's own."""
    return name.replace("-", "_")
