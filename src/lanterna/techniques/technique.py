"""What a technique is: settings, inputs, frames on the way, and results.

A technique is declared once, as a `Technique`. Its command with options and help, its form in the studio, its
signature in a notebook, what `render` and `rerun` do with it, and the recipe in a saved picture are all made
from that declaration.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Callable, Container, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lanterna.documents import check_document
from lanterna.errors import UsageError, describe_invalid
from lanterna.renamed import current_settings

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from lanterna.networks import Network
    from lanterna.techniques.execute import File, Job


Kind = TypeVar("Kind", bound="Settings")


class Settings(BaseModel):
    """Every setting of one technique. Subclasses add fields with a default, a range and a line of help."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    verb: ClassVar[str] = "this technique"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="Where all randomness starts: same seed, same result."
    )

    @classmethod
    def checked(cls, settings: Mapping[str, Any]) -> Self:
        """Make settings from plain values (text is read as numbers where numbers are wanted).

        Errors: `UsageError`, one line that names the setting, what was expected and what came.
        """
        settings = current_settings(cls.verb, settings)
        unknown = sorted(set(settings) - set(cls.model_fields))
        if unknown:
            known = ", ".join(sorted(cls.model_fields))
            raise UsageError(f"{cls.verb} has no setting {unknown[0]!r}: it has {known}")
        check_document(dict(settings))
        try:
            return cls.model_validate(dict(settings))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"]) or cls.verb
            raise UsageError(f"{name}: {describe_invalid(first)}, got {_short(first['input'])}") from error

    def changed(self, assignments: Mapping[str, Any]) -> Self:
        """The same settings with some changed, checked again."""
        return type(self).checked({**self.model_dump(), **assignments})

    def only(self, kind: type[Kind]) -> Kind:
        """The part that is of `kind`, to which this class adds settings."""
        return kind.checked({name: getattr(self, name) for name in kind.model_fields})


@dataclass(frozen=True)
class Frame:
    """How far a piece of work has come.

    `picture` is `(3, H, W)` in [0, 1] or None where a technique paints none; `numbers` are what to watch
    (loss, accuracy, PSNR), by name.
    """

    step: int
    steps: int
    numbers: Mapping[str, float] = field(default_factory=dict)
    picture: Tensor | None = None

    def full_size(self) -> Tensor | None:
        """The picture at its final size, where `picture` may be smaller until the last frame."""
        return self.picture

    def _repr_png_(self) -> bytes | None:
        """The picture, as a notebook asks for it."""
        if self.picture is None:
            return None
        from lanterna.images.drawing import as_image

        file = io.BytesIO()
        as_image(self.picture).save(file, "PNG")
        return file.getvalue()


Frames = Generator[Frame, Any, None]


class Output(StrEnum):
    """What a technique makes."""

    PICTURE = "picture"
    FILM = "film"
    SHEET = "sheet"
    WORDS = "words"
    NETWORK = "network"


@dataclass(frozen=True)
class Input:
    """A file that a technique takes: what it is for, whether it is needed, and how many there may be.

    A `grey` one is a mask, of which only lightness counts; where there is one for each file of another input,
    that is `of`. One with a `suffix` is no picture, but a file of that kind that belongs to a picture made
    here. `example` is the picture of the shelf that the studio begins with. A folder may be given in place of
    many files where `folder` says what is in it.
    """

    name: str
    help: str
    required: bool = False
    many: bool = False
    grey: bool = False
    of: str = ""
    suffix: str = ""
    example: str = ""
    folder: str = ""


@dataclass(frozen=True)
class SheetCell:
    """A picture on a contact sheet: what is written beneath it, and the technique and settings that make it
    large; `preset` is what those settings begin with."""

    label: str
    technique: str
    settings: Settings
    preset: str | None = None


@dataclass(frozen=True)
class Film:
    """The frames of a film, `(3, H, W)` each, how many they are, how many a second, and how many seconds the
    last one stands."""

    frames: Iterable[Tensor]
    count: int
    fps: float
    hold: float = 0.0


@dataclass(frozen=True)
class Result:
    """A picture to save. Where it is a `film`, the picture stands for it.

    `output` says which of the technique's pictures it is (the first, if it is empty), `settings` what it was
    made with where that is not what was asked for, `network` with which network where that was not the
    job's. `also` writes a file that belongs to it, with that suffix. `words` say what it shows, where it
    shows a finding. `cells` are the pictures of a contact sheet, in so many `columns`, `gap` pixels apart.
    """

    picture: Tensor
    output: str = ""
    settings: Settings | None = None
    network: Network | None = None
    also: tuple[str, Callable[[Path], object]] | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    cells: Sequence[SheetCell] = ()
    columns: int = 1
    gap: int = 16
    film: Film | None = None
    words: str = ""


@dataclass(frozen=True)
class Report:
    """What a command says of finished work beside its pictures: fields of its JSON document, lines of the
    result, notes for the person, and warnings, which those who want quiet get as well."""

    document: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[str] = ()
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Estimate:
    """How long work will take, in seconds, and the most memory it will fill, in bytes.

    `narrower` are settings with which it keeps to the memory there is, empty where it does anyway.
    """

    seconds: float
    memory: int
    narrower: Mapping[str, Any] = field(default_factory=dict)


def evenly(frame: Frame) -> float:
    """The share of the work that is done where every step is as much work; 0 where steps are not known."""
    return frame.step / frame.steps if frame.steps else 0.0


def _last_picture(frame: Frame, _: Any) -> Sequence[Result]:
    picture = frame.full_size()
    return [] if picture is None else [Result(picture)]


@dataclass(frozen=True)
class Work:
    """Work under way: its frames, what it has made at a frame, what to show of one, how much of it is done.

    Settings that are sent into `frames` count from the next frame on. `results` is given a frame and the
    settings as they are by then, and may make each when it is asked for; a network is saved by it. `report`
    is for the command line. `film` is what a film of a network as it learns is made from, where it is filmed.
    """

    frames: Frames
    results: Callable[[Any, Any], Iterable[Result]] = _last_picture
    shown: Callable[[Any], Tensor | None] = lambda frame: frame.picture
    share: Callable[[Any], float] = evenly
    report: Callable[[Any], Report] = lambda _: Report()
    film: Any = None


def _its_network(settings: Any) -> tuple[str, ...]:
    name = getattr(settings, "network", None)
    return (name,) if isinstance(name, str) else ()


@dataclass(frozen=True)
class Technique:
    """A technique, declared once.

    What it is: `name` is unlike that of any other technique; `title` and `help` say what it does, `manual` is
    the help of its command. `run` is given a `Job` and gives the work, or only its frames where the last
    one's picture is the result. Where the output is words, `report` gives them for the frame of each picture,
    or raises why there are none; where the first input is `many`, there is a frame for each of its files.

    Its command: `command` are its words, `verb` the first of them (`name`, if it is empty). Among techniques
    of one command the options in `flags` choose it, or `film_flag`, which names the film to write.
    `arguments` are settings that may be given without their options, `instead` pairs of settings of which
    only one can be given, `switches` options that stand for settings, by name, with their help. It starts
    from `default_preset`. `file` is the name of its picture, `beside` the name and the suffix of a file that
    is written next to it. Work that `resumes` saves its state where it is asked to, or always; where it
    has no `partial` result, nothing is saved of work that was stopped. `options` are how it is run, which
    changes nothing of what it makes: they are options of the command, and in the job. `rows` are lines that
    are said of a frame as it comes.

    Its settings: `settings` with `presets`, those `shown_first` in a form, those that are `hidden` because
    nobody sets them by hand, and those that are `live`: they may change while it runs. `check` is given the
    settings and how many files each input has, and gives settings.

    What goes in and comes out: `inputs`, the first of which it is about, are written into the recipe where
    they are `noted`; `networks` and `items` of the shelf are what settings need. `outputs` names its
    pictures in recipes, and `output_setting` the setting that chooses one of them; a technique of words makes
    only those that it names, the first with `-o` and another with an option of its name. `cells` are the
    pictures of a contact sheet, `film_frames` the frames of a film from a given one on. If `again` is False,
    only its command makes a picture again; if it is not `on_device`, it is computed on the processor.

    One that makes a network saves it under the title of its job. `default_name` is what it is called where
    nobody gives a name, by the settings and the files of each input; one that is `filmed` can be shown
    as it learns.

    In the studio: `room` is its place. `estimate` says how long it will take and how much memory it will
    fill; `describe` puts the numbers of a frame into words.
    """

    name: str
    title: str
    help: str
    settings: type[Settings]
    run: Callable[[Job], Work | Frames]
    verb: str = ""
    flags: tuple[str, ...] = ()
    film_flag: str = ""
    command: tuple[str, ...] = ()
    room: str = ""
    inputs: tuple[Input, ...] = ()
    output: Output = Output.PICTURE
    outputs: tuple[str, ...] = ()
    output_setting: str = ""
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # those of the settings, if empty
    shown_first: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    live: tuple[str, ...] = ()
    check: Callable[[Any, Mapping[str, int]], Any] = lambda settings, _: settings
    networks: Callable[[Any], tuple[str, ...]] = _its_network
    items: Callable[[Any], tuple[str, ...]] = lambda _: ()
    default_name: Callable[[Any, Mapping[str, Sequence[File]]], str] = lambda *_: ""
    filmed: bool = False
    estimate: Callable[[Job], Estimate | None] = lambda _: None
    describe: Callable[[Any], str] = lambda _: ""
    rows: Callable[[Any], Sequence[str]] = lambda _: ()
    options: type[BaseModel] | None = None
    cells: Callable[[Any], Sequence[SheetCell]] | None = None
    film_frames: Callable[[Job, int], Frames] | None = None
    manual: str = ""
    default_preset: str = ""
    arguments: tuple[str, ...] = ()
    instead: tuple[tuple[str, str], ...] = ()
    switches: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    file: str = ""
    beside: tuple[str, str] | None = None
    resumes: Literal["", "asked", "always"] = ""
    partial: bool = True
    again: bool = True
    on_device: bool = True
    noted: bool = True

    def __post_init__(self) -> None:
        verb = self.verb or self.name
        usual = {
            "verb": verb, "file": self.name, "command": (verb,), "room": verb,
            "outputs": () if self.output is Output.WORDS else (self.name,), "presets": self.settings.presets,
        }  # fmt: skip
        for name, value in usual.items():
            if not getattr(self, name):
                object.__setattr__(self, name, value)

    @property
    def default_output(self) -> str:
        """What its usual picture is called in a recipe."""
        return next(iter(self.outputs), self.name)

    def checked(self, preset: str | None, given: Mapping[str, Any], counts: Mapping[str, int]) -> Settings:
        """The settings of a preset and what is given beside it, with so many files for each input.

        Errors: `UsageError`, in one line.
        """
        inputs = {each.name: each for each in self.inputs}
        for name, count in counts.items():
            if name not in inputs:
                there = ", ".join(inputs) or "none"
                raise UsageError(f"{self.name} takes no picture as {name[:40]!r}: it takes {there}")
            if count > 1 and not inputs[name].many:
                raise UsageError(f"{self.name} takes one picture as {name}, got {count}")
        for each in self.inputs:
            if each.required and not counts.get(each.name):
                raise UsageError(f"{self.name} needs a picture: {each.help}")
        start = {} if preset is None else self.preset(preset)
        settings: Settings = self.check(self.settings.checked({**start, **given}), counts)
        if preset is not None and getattr(settings, self.output_setting or "seed") == "presets":
            raise UsageError(f"a sheet of presets shows all of them: leave --preset {preset} out")
        return settings

    def preset(self, name: str) -> dict[str, Any]:
        """The settings of a preset. Errors: `UsageError` that lists the presets there are."""
        if not self.presets:
            raise UsageError(f"{self.title.lower()} has no presets: leave {name[:60]!r} out")
        if name not in self.presets:
            close = difflib.get_close_matches(name, self.presets, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(self.presets)}"
            raise UsageError(f"{self.verb} has no preset {name[:60]!r}: {hint}")
        return dict(self.presets[name])

    def variant(self, preset: str | None, given: Mapping[str, Any]) -> str | None:
        """The preset of that name for the arguments that are given: `fast-dense` is that of `fast` for dense.

        Errors: `UsageError` where there is none for them.
        """
        for name in self.arguments if preset in self.presets else ():
            made_for = self.presets[str(preset)].get(name)
            if made_for is not None and given.get(name, made_for) != made_for:
                variant = f"{preset}-{given[name]}"
                if variant not in self.presets:
                    raise UsageError(f"the preset {preset!r} is made for {made_for}, not for {given[name]!r}")
                return variant
        return preset

    def run_with(self, given: BaseModel | None) -> dict[str, Any]:
        """How it is run, by the name of each option."""
        return (given or self.options()).model_dump() if self.options else {}

    def title_of(
        self,
        wanted: str,
        settings: Any,
        files: Mapping[str, Sequence[File]] | None = None,
        taken: Container[str] = (),
    ) -> str:
        """The title of a job with these files: of one that makes a network its name.

        Errors: `UsageError` for what is no name, and for one that is taken.
        """
        if self.output is not Output.NETWORK:
            return wanted
        from lanterna.networks.naming import new_name

        usual = "" if wanted else self.default_name(settings, files or {})
        return new_name(wanted, usual, kind=getattr(settings, "network", ""), taken=taken)

    def role(self, name: str) -> str:
        """What a recipe calls an input: nothing where it is the first, which the picture was made from."""
        return "" if self.inputs and name == self.inputs[0].name else name


def _short(value: object, most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"
