"""The commands of techniques, built from their declarations: `lanterna dream`, `lanterna paint render` ….

Techniques that share a command are chosen among by its flags. `dispatch.py` asks for a command by its verb,
which imports that verb's declarations and no others.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from pydantic import Field, create_model

from lanterna.errors import UsageError
from lanterna.surfaces.cli.arguments import parse_request, takes_many, underscored
from lanterna.surfaces.cli.common import (
    Device,
    Force,
    Json,
    Output,
    Quiet,
)
from lanterna.surfaces.cli.common import Settings as Flattened
from lanterna.surfaces.cli.print_words import print_words
from lanterna.surfaces.cli.run_network import run_network
from lanterna.surfaces.cli.run_picture import run_picture
from lanterna.techniques import registry
from lanterna.techniques import technique as declared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pydantic.fields import FieldInfo

    from lanterna.surfaces.cli.arguments import Request
    from lanterna.techniques.technique import Input, Settings, Technique

_RUN = {declared.Output.WORDS: print_words, declared.Output.NETWORK: run_network}
_RESUME = Annotated[bool, Parameter(negative="", help="Resume work that was stopped.")]


def __getattr__(verb: str) -> App | Callable[..., int | None]:
    """The command of a verb, by which `dispatch.py` imports it."""
    techniques = registry.of_verb(verb)
    if not techniques:
        raise AttributeError(verb)
    commands: dict[tuple[str, ...], list[Technique]] = {}
    for technique in techniques:
        commands.setdefault(technique.command, []).append(technique)
    if len(commands) == 1:
        return command_of(techniques)
    app = App(name=verb)
    for words, those in commands.items():
        if words == (verb,):
            app.default(command_of(those, [words[1] for words in commands if words[-1].startswith("--")]))
        else:
            names = (words[1].lstrip("-"), words[1]) if words[1].startswith("-") else (words[1],)
            app.command(command_of(those), name=names)
    return app


def command_of(
    techniques: Sequence[Technique],
    alone: Sequence[str] = (),
    run: Callable[[Request, Mapping[str, Any]], int | None] | None = None,
) -> Callable[..., int | None]:
    """The function that cyclopts makes a command from: its parameters are those of the techniques.

    The options in `alone` are commands of their own, and are refused where anything stands before them.
    `run` runs what is asked for, where that is not the usual way.
    """
    running = run or _RUN.get(techniques[0].output, run_picture)
    parameters = [*_parameters(techniques), *map(_refused, alone)]
    usual = {each.name: each.default for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}

    def command(*args: Any, **options: Any) -> int | None:
        options = {**usual, **options}
        for option in alone:
            if options[option.lstrip("-")]:
                raise UsageError(f"{option} takes no picture: lanterna {techniques[0].verb} {option}")
        first = techniques[0].inputs[0] if techniques[0].inputs else None
        if first is not None:
            options[first.name] = list(args) if takes_many(techniques[0]) else args[0]
        elif args:
            options["arguments"] = args
        return running(parse_request(techniques, options), options)

    command.__name__ = techniques[0].command[-1].lstrip("-")
    command.__doc__ = techniques[0].manual or techniques[0].help
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def _parameters(techniques: Sequence[Technique]) -> Iterator[inspect.Parameter]:
    """The parameters of a command: what it is about, then options."""
    main = techniques[0]
    inputs: dict[str, Input] = {}
    for technique in techniques:
        inputs |= {each.name: each for each in technique.inputs if each.name not in inputs}
    if main.inputs:
        first = inputs.pop(main.inputs[0].name)
        needed = main.output is declared.Output.WORDS and first.required
        shown = Parameter(
            required=needed or None, help=f"{_sentence(first.help)[:-1]}; - for standard input."
        )
        if first.suffix:
            shown = Parameter(help=f"A file that `lanterna {main.verb}` wrote, {first.suffix}.")
        many, name = takes_many(main), "folder" if first.folder else first.name
        if first.folder:
            shown = Parameter(help=_sentence(first.folder))
        kind = inspect.Parameter.VAR_POSITIONAL if many else inspect.Parameter.POSITIONAL_ONLY
        yield inspect.Parameter(name, kind, annotation=Annotated[Path, shown])
    for name in main.arguments:
        annotation: Any = main.settings.model_fields[name].annotation
        yield inspect.Parameter(
            name, inspect.Parameter.POSITIONAL_ONLY, annotation=annotation | None, default=None
        )
    for each in inputs.values():
        kind_of = list[Path] if each.many else Path
        yield _keyword(
            underscored(each.name), Annotated[kind_of | None, Parameter(help=_sentence(each.help))]
        )
    if main.presets:
        shown = Parameter(help=f"Where settings start: {', '.join(main.presets)}.")
        yield _keyword("preset", Annotated[str | None, shown], main.default_preset or None)
    yield _keyword("settings", Annotated[_union(techniques) | None, Flattened])
    seen = set(main.settings.model_fields)
    for technique in techniques:
        for flag in technique.flags:
            if flag not in seen and flag not in technique.settings.model_fields:
                yield _keyword(
                    flag, Annotated[bool, Parameter(negative="", help=technique.help)], default=False
                )
            seen.add(flag)
        if technique.film_flag and technique.film_flag not in seen:
            seen.add(technique.film_flag)
            yield _keyword(technique.film_flag, Annotated[Path | None, Parameter(help=technique.help)])
    for name, (words, _) in main.switches.items():
        yield _keyword(name, Annotated[bool, Parameter(negative="", help=words)], default=False)
    yield from _about_the_result(techniques)


def _about_the_result(techniques: Sequence[Technique]) -> Iterator[inspect.Parameter]:
    """The options that say where the result goes, how it is shown on the way, and what computes it."""
    main = techniques[0]
    if main.output is declared.Output.NETWORK:
        yield from _of_a_network(main)
    elif main.output is declared.Output.WORDS:
        for output in main.outputs:
            names = ("--output", "-o") if output == main.default_output else None
            shown = Parameter(name=names, help=f"Write the {output} as a picture (several: into a folder).")
            yield _keyword("output" if names else output, Annotated[Path | None, shown])
    else:
        yield from _of_a_picture(techniques)
    if main.on_device:
        yield _keyword("device", Device, default="auto")
    if main.options:
        yield _keyword("options", Annotated[main.options | None, Flattened])
    if main.outputs:
        yield _keyword("force", Force, default=False)
    for name, annotation in (("json", Json), ("quiet", Quiet)):
        yield _keyword(name, annotation, default=False)


def _of_a_picture(techniques: Sequence[Technique]) -> Iterator[inspect.Parameter]:
    """The options of a command that makes a picture or a film."""
    main = techniques[0]
    shown = Parameter(negative="", help="Show the picture in the terminal as it changes.")
    yield _keyword("preview", Annotated[bool, shown], default=False)
    if main.resumes:
        shown = Parameter(help="Save the state here, for --resume.")
        yield _keyword("checkpoint", Annotated[Path | None, shown])
    if main.resumes or any(each.film_flag for each in techniques):
        yield _keyword("resume", _RESUME, default=False)
    yield _keyword("output", Output)


def _of_a_network(technique: Technique) -> Iterator[inspect.Parameter]:
    """The options of a command that makes a network."""
    usual = " [default: FOLDER's]" if technique.inputs else ""
    named = Parameter(name=("--output", "-o", "--name"), help=f"A name for the network, or a folder.{usual}")
    yield _keyword("output", Annotated[str | None, named])
    yield _keyword("resume", _RESUME, default=False)
    if technique.filmed:
        shown = Parameter(
            consume_multiple=True, negative="",
            help="Film it as it learns: film.html and film.webp in its folder, or the files named here "
            "(.html, .webp, .mp4, .gif).",
        )  # fmt: skip
        yield _keyword("film", Annotated[list[Path] | None, shown])


def _keyword(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    """A parameter that is given by its name alone."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _refused(name: str) -> inspect.Parameter:
    annotation = Annotated[bool, Parameter(negative="", show=False)]
    return _keyword(name.lstrip("-"), annotation, default=False)


def _union(techniques: Sequence[Technique]) -> type[Settings]:
    """All settings of the techniques of one command; where two differ, in the wider of their ranges.

    The one that is chosen checks its own again.
    """
    main = techniques[0].settings
    fields: dict[str, Any] = {}
    found: dict[str, FieldInfo] = dict(main.model_fields)
    for technique in techniques:
        for name, info in technique.settings.model_fields.items():
            annotation: Any = info.annotation
            owners = [each for each in techniques if name in each.settings.model_fields]
            if all(name in each.hidden for each in owners):
                # Old commands may give a seed where nothing is drawn at random.
                hidden = Annotated[annotation, Parameter(show=False, parse=name == "seed")]
                fields[name] = (hidden, Field(default=info.default))
            elif name in technique.flags:
                fields[name] = (annotation | None, Field(default=None, description=info.description))
            elif name not in found:
                fields[name] = (annotation, Field(default=info.default, description=_only_with(owners, info)))
            elif (found[name].annotation, found[name].metadata) != (annotation, info.metadata):
                wider = Field(default=found[name].default, description=found[name].description)
                fields[name] = (found[name].annotation, wider)
            found.setdefault(name, info)
    union: type[Settings] = create_model(f"{main.__name__}Options", __base__=main, **fields)
    return union


def _only_with(owners: Sequence[Technique], info: FieldInfo) -> str:
    """What a setting is, that only some techniques of a command have: with the option that chooses them."""
    flags = [set(each.flags) | ({each.film_flag} if each.film_flag else set()) for each in owners]
    common = sorted(set.intersection(*flags))
    words = info.description or ""
    return f"With --{common[0]}: {words[:1].lower()}{words[1:]}" if common else words


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
