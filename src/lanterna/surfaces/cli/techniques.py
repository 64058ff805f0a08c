"""The commands of techniques, built from their declarations: `lanterna dream`, `lanterna paint render` ….

Techniques that share a command are chosen among by its flags. `frame.py` asks for a command by its verb,
which imports that verb's declarations and no others.
"""

from __future__ import annotations

import inspect
import re
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from pydantic import Field, create_model

from lanterna.errors import UsageError
from lanterna.files import human_size, refuse_to_overwrite
from lanterna.images import check_place
from lanterna.images.decoding import SUFFIXES, is_folder
from lanterna.images.film_reading import is_film
from lanterna.images.films import check_film_place, usual_film
from lanterna.images.pictures import check_print_place
from lanterna.surfaces.cli import answers
from lanterna.surfaces.cli.common import (
    Device,
    Force,
    Json,
    Output,
    Quiet,
    about,
    emit_json,
    fetch_missing,
    given,
    open_or_train,
    progress,
    say,
    show,
    tell_device,
)
from lanterna.surfaces.cli.common import Settings as Flattened
from lanterna.surfaces.cli.making_networks import make_network
from lanterna.surfaces.cli.preview import run_through
from lanterna.techniques import execute, registry
from lanterna.techniques import technique as declared
from lanterna.techniques.rerun import commands_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pydantic.fields import FieldInfo
    from torch import Tensor

    from lanterna.images import Record
    from lanterna.techniques.execute import File, Job
    from lanterna.techniques.technique import Estimate, Input, Result, Settings, Technique

_LONG = 15.0  # seconds; longer work is announced
_MOST = 100  # pictures that one piece of work takes
_RESUME = Annotated[bool, Parameter(negative="", help="Go on with work that was stopped.")]


def __getattr__(verb: str) -> App | Callable[..., int | None]:
    """The command of a verb, by which `frame.py` imports it."""
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
    run: Callable[[Asked, Mapping[str, Any]], int | None] | None = None,
) -> Callable[..., int | None]:
    """The function that cyclopts makes a command from: its parameters are those of the techniques.

    The options in `alone` are commands of their own, and are refused where anything stands before them.
    `run` runs what is asked for, where that is not the usual way.
    """
    makes_network = techniques[0].output is declared.Output.NETWORK
    running = run or (make_network if makes_network else make_pictures)
    parameters = [*_parameters(techniques), *map(_refused, alone)]
    usual = {each.name: each.default for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}

    def command(*args: Any, **options: Any) -> int | None:
        options = {**usual, **options}
        for option in alone:
            if options[option.lstrip("-")]:
                raise UsageError(f"{option} takes no picture: lanterna {techniques[0].verb} {option}")
        first = techniques[0].inputs[0] if techniques[0].inputs else None
        if first is not None:
            options[first.name] = list(args) if _several(techniques[0]) else args[0]
        elif args:
            options["arguments"] = args
        return running(asked(techniques, options), options)

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
        several, name = _several(main), "folder" if first.folder else first.name
        if first.folder:
            shown = Parameter(help=_sentence(first.folder))
        kind = inspect.Parameter.VAR_POSITIONAL if several else inspect.Parameter.POSITIONAL_ONLY
        yield inspect.Parameter(name, kind, annotation=Annotated[Path, shown])
    for name in main.arguments:
        annotation: Any = main.settings.model_fields[name].annotation
        yield inspect.Parameter(
            name, inspect.Parameter.POSITIONAL_ONLY, annotation=annotation | None, default=None
        )
    for each in inputs.values():
        kind_of = list[Path] if each.many else Path
        yield _keyword(
            _underscored(each.name), Annotated[kind_of | None, Parameter(help=_sentence(each.help))]
        )
    if main.presets:
        shown = Parameter(help=f"Where settings start: {', '.join(main.presets)}.")
        yield _keyword("preset", Annotated[str | None, shown], main.usual_preset or None)
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
        for made in main.makes:
            names = ("--output", "-o") if made == main.made else None
            shown = Parameter(name=names, help=f"Write the {made} as a picture (several: into a folder).")
            yield _keyword("output" if names else made, Annotated[Path | None, shown])
    else:
        yield from _of_a_picture(techniques)
    if main.on_device:
        yield _keyword("device", Device, default="auto")
    if main.options:
        yield _keyword("options", Annotated[main.options | None, Flattened])
    if main.makes:
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


def understood(words: Sequence[str], technique: Technique, *, film: bool = False) -> Asked:
    """What a command asks for that begins with a technique's words and a picture, without running it.

    With `film`, it is asked to make a film. Errors: `UsageError`; cyclopts's own where an option is wrong.
    """
    from lanterna.surfaces.cli.frame import make_app

    about = ["picture.png"] if technique.inputs else []
    tokens = [*technique.command, *about, *(f"--{flag}" for flag in technique.flags), *words]
    tokens += ["--film", "film.webp"] if film else []
    _, bound, _ = make_app().parse_args(tokens, exit_on_error=False, print_error=False)
    options = dict(bound.arguments)
    for made in technique.makes[1:] if technique.output is declared.Output.WORDS else ():
        if options.get(made):
            raise UsageError(f"--{made} is not for many pictures: leave it out")
    if technique.arguments:
        options["arguments"] = [options.pop(name, None) for name in technique.arguments]
    sisters = [each for each in registry.of_verb(technique.verb) if each.command == technique.command]
    return asked(sisters, options)


@dataclass(frozen=True)
class Asked:
    """What a command line asks for: a technique, its settings, and files by input.

    `given` are the settings that a person gave; the others are the preset's, or defaults.
    """

    technique: Technique
    settings: Settings
    files: Mapping[str, Sequence[Path]]
    given: Mapping[str, Any]


def asked(techniques: Sequence[Technique], options: Mapping[str, Any]) -> Asked:
    """Choose the technique that the options ask for, and check its settings.

    Errors: `UsageError` where options do not go together, or one cannot be used.
    """
    settings = {
        name: value
        for name, value in given(options.get("settings")).items()
        if value is not None or name not in {flag for each in techniques for flag in each.flags}
    }
    for name, value in zip(techniques[0].arguments, options.get("arguments", ()), strict=False):
        if value is not None and settings.setdefault(name, value) != value:
            raise UsageError(
                f"{techniques[0].verb} {value} with {_option(name)} {settings[name]}: say it once"
            )
    technique = _chosen(techniques, options, settings)
    for name, (_, meant) in technique.switches.items():
        settings |= meant if options.get(name) else {}
    for name in sorted(settings.keys() - technique.settings.model_fields.keys()):
        owner = next(each for each in techniques if name in each.settings.model_fields)
        option, how = _option(name), _how(owner, technique)
        raise UsageError(f"{option} is for {owner.title.lower()}: {how}, or leave {option} out")
    for one, other in technique.instead:
        if settings.get(one) is not None and other in settings:
            raise UsageError(f"{_option(one)} is in place of {_option(other)}: leave one of them out")
    files: dict[str, list[Path]] = {}
    for each in {each.name: each for one in techniques for each in one.inputs}.values():
        value = options.get(each.name, options.get(_underscored(each.name)))
        paths = [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
        if paths and each.name not in {one.name for one in technique.inputs}:
            raise UsageError(f"{_option(each.name)} is not for {technique.title.lower()}: leave it out")
        if paths:
            files[each.name] = paths
    for each in technique.inputs:
        if each is technique.inputs[0] and _several(technique):
            files[each.name] = _in_folders(files.get(each.name, []), technique)
        if each.required and not files.get(each.name):
            how = f"{_option(each.name)} PATH{_instead(each, technique, techniques)}"
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
        raise UsageError(_as_option(str(error), technique)) from error
    return Asked(technique, checked, files, settings)


def _chosen(
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


def _several(technique: Technique) -> bool:
    """Whether its command takes several of what it is about: one of words has an answer to each."""
    first = technique.inputs[0]
    return (first.many and not first.folder) or technique.output is declared.Output.WORDS


def make_pictures(what: Asked, options: Mapping[str, Any]) -> int | None:
    """Run what is asked for, show how far it is, and save what it made."""
    technique, quiet, json = what.technique, options["quiet"], options["json"]
    if technique.output is declared.Output.WORDS:
        wanted = answers.check_places(what, options)
        return answers.run(_job(what, options), wanted, options)
    overwrite = options["force"] or options.get("resume", False)
    places = _Places(what, options)
    places.check(overwrite=overwrite)
    checkpoint = _checkpoint(technique, options, places)
    job = _job(what, options, places.film, checkpoint)
    ahead = _estimate(job, what.given)
    begun = time.perf_counter()
    work = execute.begin(job)  # what is wrong is said here, alone
    for line in ahead:
        say(line, quiet=quiet)
    if technique.resumes or job.opened_network:
        tell_device(job.device, quiet=quiet)
    frame = run_through(
        work.frames, technique.title.lower(), technique.describe, shown=options["preview"], quiet=quiet
    )
    if frame is None:
        raise UsageError(f"the work in {checkpoint} has nothing left to do: --force starts anew")
    finished = frame.step == frame.steps
    if not finished and not technique.partial:
        raise KeyboardInterrupt  # half of it would be no picture
    document: dict[str, Any] = {}
    report = work.report(frame)
    for result in work.results(frame, job.settings):
        record = execute.record_of(job, result)
        document |= places.save(result, record, overwrite=overwrite, quiet=quiet)
    if finished:
        execute.finish(job)
    seconds = round(time.perf_counter() - begun, 2)
    numbers = {name: round(value, 5) for name, value in frame.numbers.items()}
    document = {
        **document, **numbers, "finished": finished, "seconds": seconds,
        "recipe": job.settings.model_dump(mode="json"), **report.document,
    }  # fmt: skip
    finished = document["finished"]
    large = {} if record is None else commands_of(record)
    if large:
        document["sheet"] = [{"label": name, "command": command} for name, command in large.items()]
    if json:
        emit_json(document)
    else:
        show(*report.lines, *large.values()) if report.lines or large else None
        say(f"{places.said(document)}, {seconds:.1f} s{technique.describe(frame)}", quiet=quiet)
    for note in report.notes:
        say(note, quiet=quiet or json)
    if not finished:
        where = "frames" if places.film and technique.output is declared.Output.FILM else "steps"
        again = checkpoint or technique.output is declared.Output.FILM
        on = ": --resume with the same words goes on" if again else "; its recipe makes all of them"
        say(f"stopped after {frame.step} of {frame.steps} {where}{on}", quiet=quiet)
        return 130
    return None


def _job(
    what: Asked, options: Mapping[str, Any], film: Path | None = None, checkpoint: Path | None = None
) -> Job:
    """The job that is asked for. What is wrong with a picture is said before anything is fetched."""
    quiet = options["quiet"]
    files: dict[str, list[File]] = {
        name: [sys.stdin.buffer.read() if path == Path("-") else path for path in paths]
        for name, paths in what.files.items()
    }
    job = execute.Job(
        what.technique, what.settings, files, device=options.get("device", "auto"), checkpoint=checkpoint,
        resume=options.get("resume", False), force=options.get("force", False), film=film,
        options=what.technique.run_with(options.get("options")),
        say=lambda text: say(text, quiet=quiet), fetch_item=lambda item: fetch_missing(item, quiet=quiet),
        open_reader=partial(open_or_train, quiet=quiet),
    )  # fmt: skip
    for each in what.technique.inputs[1:]:
        job.pictures(each.name)
    return job


def _checkpoint(technique: Technique, options: Mapping[str, Any], places: _Places) -> Path | None:
    """Where the state of the work is saved. Errors: `UsageError` where unfinished work would be lost."""
    force, resume = options["force"], options.get("resume", False)
    if technique.output is declared.Output.FILM:
        if options.get("checkpoint"):
            raise UsageError("a film saves its own frames: leave --checkpoint out")
        return None
    place: Path | None = options.get("checkpoint")
    if place is not None and not technique.resumes:
        raise UsageError(f"{technique.title.lower()} is quickly made anew: leave --checkpoint out")
    if technique.resumes == "always" and place is None:
        place = places.output.with_suffix(".unfinished")
    if resume and not technique.resumes:
        raise UsageError("--resume is for films and for work that saves its state: leave it out")
    if resume and place is None:
        raise UsageError("--resume wants --checkpoint PATH, where the work was saved when it was stopped")
    if place is not None and place.exists() and not (resume or force):
        raise UsageError(f"{place} has unfinished work: --resume goes on, --force starts anew")
    return place


class _Places:
    """Where a command's pictures go."""

    def __init__(self, what: Asked, options: Mapping[str, Any]) -> None:
        self.technique = technique = what.technique
        self.settings = what.settings
        self.film: Path | None = None
        if technique.film_flag:
            self.film = options.get(technique.film_flag) or usual_film(technique.verb)
        if technique.output is declared.Output.FILM and options.get("output"):
            raise UsageError(f"a film goes where --{technique.film_flag} says: leave -o out")
        made = f"{technique.verb}-{getattr(what.settings, technique.made_by)}" if technique.made_by else ""
        self.output: Path = options.get("output") or Path(f"{made or technique.file}.png")
        self.beside = self.output.with_suffix(technique.beside[1]) if technique.beside else None
        self.has_picture = technique.output is not declared.Output.FILM and self.output != self.beside

    def check(self, *, overwrite: bool) -> None:
        """Refuse what cannot be written, before the work begins. Errors: `UsageError`."""
        if self.film:
            check_film_place(self.film, force=overwrite)
        if self.has_picture:
            check_place(self.output, force=overwrite)
        if self.beside:
            refuse_to_overwrite(self.beside, force=overwrite)
        if getattr(self.settings, "print", None) and self.technique.output is declared.Output.PICTURE:
            check_print_place(self.output)

    def save(self, result: Result, record: Record | None, *, overwrite: bool, quiet: bool) -> dict[str, Any]:
        """Save one result, and say where in the document of `--json`."""
        document: dict[str, Any] = {}
        if result.film is not None:
            assert self.film is not None
            with progress("saving", quiet=quiet) as update:

                def counted(frames: Iterable[Tensor], count: int) -> Iterator[Tensor]:
                    for number, picture in enumerate(frames, start=1):
                        update(number, count)
                        yield picture

                film = replace(result.film, frames=counted(result.film.frames, result.film.count))
                execute.save_result(replace(result, film=film), self.film, record, force=overwrite)
            return {"film": str(self.film), "frames": result.film.count}
        if self.has_picture:
            execute.save_result(result, self.output, record, force=overwrite)
            document["picture"] = str(self.output)
        if result.also is not None and self.beside is not None and self.technique.beside is not None:
            result.also[1](self.beside)
            document |= {self.technique.beside[0]: str(self.beside), "bytes": self.beside.stat().st_size}
        return {**document, "width": result.picture.shape[2], "height": result.picture.shape[1]}

    def said(self, document: Mapping[str, Any]) -> str:
        """What was written, in words."""
        names = [self.technique.beside[0]] if self.technique.beside else []
        written = ", ".join(document[name] for name in ("picture", *names, "film") if name in document)
        if "frames" in document:
            return f"{written}: {document['frames']} frames"
        size = f", {human_size(document['bytes'])}" if "bytes" in document else ""
        return f"{written}: {document['width']:,} × {document['height']:,} pixels{size}"


def _estimate(job: Job, given: Mapping[str, Any]) -> list[str]:
    """How long it will take where that is long, in words; settings are changed to keep to the memory."""
    estimate: Estimate | None = job.technique.estimate(job)
    if estimate is None:
        return []
    said = []
    if estimate.narrower and not estimate.narrower.keys() & given.keys():
        job.settings = job.settings.changed(estimate.narrower)
        side = next(iter(estimate.narrower.values()))
        said.append(f"to keep to the memory, in tiles of {side} pixels")
    if estimate.seconds > _LONG:
        said.append(f"{about(estimate.seconds)}, {human_size(estimate.memory)} of memory")
    return said


def _in_folders(paths: Sequence[Path], technique: Technique) -> list[Path]:
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
    if len(found) > _MOST and technique.output is not declared.Output.WORDS:
        raise UsageError(f"expected up to {_MOST} pictures, got {len(found)}: name fewer")
    return found


def _instead(missing: Input, technique: Technique, techniques: Sequence[Technique]) -> str:
    """Which option does without an input that is missing, in words; nothing where none does."""
    for other in techniques:
        needs = any(each.required and each.name == missing.name for each in other.inputs)
        if not needs and (other.output, other.film_flag) == (technique.output, technique.film_flag):
            return f", or {_how(other, technique)}"
    return ""


def _how(technique: Technique, instead_of: Technique) -> str:
    """Which options choose a technique in place of another of its command."""
    more = [f"--{flag}" for flag in technique.flags if flag not in instead_of.flags]
    if technique.film_flag and technique.film_flag != instead_of.film_flag:
        more.append(f"--{technique.film_flag} film.webp")
    less = [f"--{flag}" for flag in instead_of.flags if flag not in technique.flags]
    less += [f"--{instead_of.film_flag}"] if instead_of.film_flag and not technique.film_flag else []
    return f"add {' '.join(more)}" if more else f"leave {' '.join(less)} out"


def _as_option(message: str, technique: Technique) -> str:
    """An error about a setting, which begins with its name, as one about the option."""
    match = re.match(r"([a-z_]+)(?:\.[0-9.]+)?: ", message)
    if match and match[1] in technique.settings.model_fields:
        return f"{_option(match[1])}: {message[match.end() :]}"
    return message


def _option(name: str) -> str:
    return f"--{name.strip('_').replace('_', '-')}"


def _underscored(name: str) -> str:
    return name.replace("-", "_")


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
