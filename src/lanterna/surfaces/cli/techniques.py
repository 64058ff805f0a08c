"""Build the commands of techniques from their declarations: `lanterna dream`, `lanterna paint render` ….

If techniques share a command, its flags choose one of them. `dispatch.py` imports a command by its verb,
which imports that verb's declarations only.
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
from lanterna.surfaces.cli.common import Settings as AsOptions
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
    """Return a verb's command: `dispatch.py` imports it by this name."""
    techniques = registry.techniques_for(verb)
    if not techniques:
        raise AttributeError(verb)
    commands: dict[tuple[str, ...], list[Technique]] = {}
    for technique in techniques:
        commands.setdefault(technique.command, []).append(technique)
    if len(commands) == 1:
        return command_of(techniques)
    app = App(name=verb)
    for words, group in commands.items():
        if words == (verb,):
            app.default(command_of(group, [words[1] for words in commands if words[-1].startswith("--")]))
        else:
            names = (words[1].lstrip("-"), words[1]) if words[1].startswith("-") else (words[1],)
            app.command(command_of(group), name=names)
    return app


def command_of(
    techniques: Sequence[Technique],
    alone: Sequence[str] = (),
    run: Callable[[Request, Mapping[str, Any]], int | None] | None = None,
) -> Callable[..., int | None]:
    """Return the function that cyclopts makes a command from, with the techniques' parameters.

    The options in `alone` are commands of their own, which take no picture. `run` runs the request, if not in
    the default way.
    """
    run = run or _RUN.get(techniques[0].output, run_picture)
    parameters = [*_parameters(techniques), *map(_hidden_flag, alone)]
    defaults = {each.name: each.default for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}

    def command(*args: Any, **options: Any) -> int | None:
        options = {**defaults, **options}
        for option in alone:
            if options[option.lstrip("-")]:
                raise UsageError(f"{option} takes no picture: lanterna {techniques[0].verb} {option}")
        first = techniques[0].inputs[0] if techniques[0].inputs else None
        if first is not None:
            options[first.name] = list(args) if takes_many(techniques[0]) else args[0]
        elif args:
            options["arguments"] = args
        return run(parse_request(techniques, options), options)

    command.__name__ = techniques[0].command[-1].lstrip("-")
    command.__doc__ = _reflow(techniques[0].manual or techniques[0].help)
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def _reflow(text: str) -> str:
    """Join the lines of each paragraph, so that help wraps at the terminal's width."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _parameters(techniques: Sequence[Technique]) -> Iterator[inspect.Parameter]:
    """Yield the parameters of a command: its pictures or arguments, then its options."""
    main = techniques[0]
    inputs: dict[str, Input] = {}
    for technique in techniques:
        inputs |= {each.name: each for each in technique.inputs if each.name not in inputs}
    if main.inputs:
        first = inputs.pop(main.inputs[0].name)
        required = main.output is declared.Output.WORDS and first.required
        shown = Parameter(
            required=required or None, help=f"{_sentence(first.help)[:-1]}; - for standard input."
        )
        if first.suffix:
            shown = Parameter(help=f"A {first.suffix} file written by `lanterna {main.verb}`.")
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
        described = main.settings.preset_help
        presets = [f"{name} ({described[name]})" if name in described else name for name in main.presets]
        shown = Parameter(help=f"A named set of settings: {', '.join(presets)}.")
        yield _keyword("preset", Annotated[str | None, shown], main.default_preset or None)
    yield _keyword("settings", Annotated[_union(techniques) | None, AsOptions])
    names = {*main.settings.model_fields, *inputs}
    for technique in techniques:
        for flag in technique.flags:
            if flag not in names and flag not in technique.settings.model_fields:
                yield _keyword(
                    flag, Annotated[bool, Parameter(negative="", help=technique.help)], default=False
                )
            names.add(flag)
        if technique.film_flag and technique.film_flag not in names:
            names.add(technique.film_flag)
            yield _keyword(technique.film_flag, Annotated[Path | None, Parameter(help=technique.help)])
    for name, (text, _) in main.switches.items():
        yield _keyword(name, Annotated[bool, Parameter(negative="", help=text)], default=False)
    yield from _output_options(techniques)


def _output_options(techniques: Sequence[Technique]) -> Iterator[inspect.Parameter]:
    """Yield the options of output files, previews and devices."""
    main = techniques[0]
    if main.output is declared.Output.NETWORK:
        yield from _network_options(main)
    elif main.output is declared.Output.WORDS:
        for output in main.outputs:
            names = ("--output", "-o") if output == main.default_output else None
            shown = Parameter(name=names, help=f"Save the {output} as a picture; of several, in a folder.")
            yield _keyword("output" if names else output, Annotated[Path | None, shown])
    else:
        yield from _picture_options(techniques)
    if main.on_device:
        yield _keyword("device", Device, default="auto")
    if main.options:
        yield _keyword("options", Annotated[main.options | None, AsOptions])
    if main.outputs:
        yield _keyword("force", Force, default=False)
    for name, annotation in (("json", Json), ("quiet", Quiet)):
        yield _keyword(name, annotation, default=False)


def _picture_options(techniques: Sequence[Technique]) -> Iterator[inspect.Parameter]:
    """Yield the options of a command that makes a picture or a film."""
    main = techniques[0]
    shown = Parameter(negative="", help="Show the picture in the terminal as it changes.")
    yield _keyword("preview", Annotated[bool, shown], default=False)
    if main.resumes:
        shown = Parameter(help="Save checkpoints to this file, for --resume.")
        yield _keyword("checkpoint", Annotated[Path | None, shown])
    if main.resumes or any(each.film_flag for each in techniques):
        yield _keyword("resume", _RESUME, default=False)
    yield _keyword("output", Output)


def _network_options(technique: Technique) -> Iterator[inspect.Parameter]:
    """Yield the options of a command that trains a network."""
    default = " [default: FOLDER's]" if technique.inputs else ""
    shown = Parameter(name=("--output", "-o", "--name"), help=f"The network's name, or a folder.{default}")
    yield _keyword("output", Annotated[str | None, shown])
    yield _keyword("resume", _RESUME, default=False)
    if technique.films_training:
        shown = Parameter(
            consume_multiple=True, negative="",
            help="Film the training, as film.html and film.webp in the network's folder or as the given "
            "files (.html, .webp, .mp4, .gif).",
        )  # fmt: skip
        yield _keyword("film", Annotated[list[Path] | None, shown])


def _keyword(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    """Return a keyword-only parameter."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _hidden_flag(name: str) -> inspect.Parameter:
    annotation = Annotated[bool, Parameter(negative="", show=False)]
    return _keyword(name.lstrip("-"), annotation, default=False)


def _union(techniques: Sequence[Technique]) -> type[Settings]:
    """Return one class with the settings of all techniques of a command.

    A setting whose range differs between techniques has no range here; the chosen technique checks its own.
    """
    main = techniques[0].settings
    fields: dict[str, Any] = {}
    known: dict[str, FieldInfo] = dict(main.model_fields)
    for technique in techniques:
        for name, info in technique.settings.model_fields.items():
            annotation: Any = info.annotation
            owners = [each for each in techniques if name in each.settings.model_fields]
            if all(name in each.hidden for each in owners):
                # Commands in old recipes may have a seed even if nothing is random.
                hidden = Annotated[annotation, Parameter(show=False, parse=name == "seed")]
                fields[name] = (hidden, Field(default=info.default))
            elif name in technique.flags:
                fields[name] = (annotation | None, Field(default=None, description=info.description))
            elif name not in known:
                fields[name] = (annotation, Field(default=info.default, description=_only_with(owners, info)))
            elif (known[name].annotation, known[name].metadata) != (annotation, info.metadata):
                wider = Field(default=known[name].default, description=known[name].description)
                fields[name] = (known[name].annotation, wider)
            known.setdefault(name, info)
    union: type[Settings] = create_model(f"{main.__name__}Options", __base__=main, **fields)
    return union


def _only_with(owners: Sequence[Technique], info: FieldInfo) -> str:
    """Return the help of a setting that only some techniques have, with the option that chooses them."""
    flags = [set(each.flags) | ({each.film_flag} if each.film_flag else set()) for each in owners]
    common = sorted(set.intersection(*flags))
    text = info.description or ""
    if isinstance(info.json_schema_extra, dict) and isinstance(
        names := info.json_schema_extra.get("names"), list
    ):
        text = f"{text[:-1]}: {', '.join(f'{number} {name}' for number, name in enumerate(names))}."
    return f"With --{common[0]}: {text[:1].lower()}{text[1:]}" if common else text


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
