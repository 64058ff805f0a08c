"""Declare a technique: its settings, its inputs, the function that runs it, and its results.

A technique is declared once, as a `Technique`. Its command with options and help, its form in the studio, its
function in notebooks, its tasks in `render`, and the recipes that `rerun` reads are all derived from that
declaration. `examples/add_technique.py` is a complete one in forty lines.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Callable, Container, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lanterna.documents import check_document
from lanterna.errors import UsageError, describe_invalid, field_name
from lanterna.renamed import current_name, current_settings

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from lanterna.networks import Network
    from lanterna.techniques.execute import File, Job


Base = TypeVar("Base", bound="Settings")


class Settings(BaseModel):
    """The settings of a technique. Subclasses add fields, each with a default, a range and a line of help."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    verb: ClassVar[str] = "this technique"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    preset_help: ClassVar[Mapping[str, str]] = {}  # what a preset is for, in a few words
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="The random seed: the same seed, the same result."
    )

    @model_validator(mode="before")
    @classmethod
    def _one_or_many(cls, values: object) -> object:
        """Take a single value where several may be given: `sides=14` for `sides=(14,)`."""
        if not isinstance(values, dict):
            return values
        return {
            name: (value,) if isinstance(value, str | int | float) and cls._takes_many(name) else value
            for name, value in values.items()
        }

    @classmethod
    def _takes_many(cls, name: str) -> bool:
        kind = cls.model_fields[name].annotation if name in cls.model_fields else None
        return get_origin(kind) is tuple and get_args(kind)[-1] is Ellipsis

    @classmethod
    def checked(cls, settings: Mapping[str, Any]) -> Self:
        """Validate plain values, such as those of a JSON document; numbers may be given as text.

        Errors: `UsageError`, one line with the setting, what was expected and what was given.
        """
        settings = {
            f"{name}_" if f"{name}_" in cls.model_fields else name: value for name, value in settings.items()
        }  # `class` is a keyword in Python
        unknown = sorted(name for name in settings if current_name(cls.verb, name) not in cls.model_fields)
        if unknown:
            known = ", ".join(sorted(name.rstrip("_") for name in cls.model_fields))
            raise UsageError(f"{cls.verb} has no setting {unknown[0]!r}: it has {known}")
        current = current_settings(cls.verb, settings)
        check_document(current)
        try:
            return cls.model_validate(current)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = field_name(first).rstrip("_") or cls.verb
            given = _short_repr(first["input"])
            raise UsageError(f"{name}: {describe_invalid(first)}, got {given}") from error

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """Return a copy with some settings changed, validated again. Errors: as `checked`."""
        return type(self).checked({**self.model_dump(), **changes})

    def as_base(self, base: type[Base]) -> Base:
        """Return the settings that a base class of this one declares."""
        return base.checked({name: getattr(self, name) for name in base.model_fields})


class Count(NamedTuple):
    """How far work is: `step` of `steps`, of all of it or of the part that `part` names ("learning")."""

    part: str
    step: int
    steps: int

    def __str__(self) -> str:
        return f"{self.part} {self.step:,} of {self.steps:,}".lstrip()


@dataclass(frozen=True)
class Frame:
    """The state of a run after a step.

    `step` counts from 1 to `steps`. `numbers` are metrics to watch, by name: loss, accuracy, PSNR. `picture`
    is `(3, H, W)` in [0, 1], or None if the technique paints none. `part` counts the steps of a part, if the
    run has parts whose steps differ.
    """

    step: int
    steps: int
    numbers: Mapping[str, float] = field(default_factory=dict)
    picture: Tensor | None = None
    part: Count | None = None

    @property
    def count(self) -> Count:
        """How far the work is: its part, if it has parts."""
        return self.part or Count("", self.step, self.steps)

    def full_size(self) -> Tensor | None:
        """Return the picture at its final size; before the last frame, `picture` may be smaller."""
        return self.picture

    def _repr_png_(self) -> bytes | None:
        """Return the picture as a PNG file, for notebooks."""
        if self.picture is None:
            return None
        from lanterna.images.drawing import as_image

        file = io.BytesIO()
        as_image(self.picture).save(file, "PNG")
        return file.getvalue()


Frames = Generator[Frame, Any, None]
"""Yields a frame after each step; settings sent into it take effect from the next step."""


class Output(StrEnum):
    """The kind of thing that a technique produces."""

    PICTURE = "picture"
    FILM = "film"
    SHEET = "sheet"
    WORDS = "words"
    NETWORK = "network"


@dataclass(frozen=True)
class Input:
    """A file that a technique takes as input."""

    name: str
    help: str
    required: bool = False
    many: bool = False
    """Whether several files may be given."""
    grey: bool = False
    """Whether it is a mask: a picture of which only the lightness is used."""
    of: str = ""
    """For masks that belong one to one to the files of another input: the name of that input."""
    suffix: str = ""
    """For a file that is no picture but a picture's sidecar (`Technique.sidecar`): its suffix."""
    example: str = ""
    """The photograph on the shelf that the studio's form starts with; "-" if none fits."""
    folder: str = ""
    """If a folder may be given instead of files: what it must contain, as help text."""


@dataclass(frozen=True)
class SheetCell:
    """A picture on a contact sheet: its caption, and the technique and settings that make it at full size.

    `preset` is the preset that these settings start from.
    """

    label: str
    technique: str
    settings: Settings
    preset: str | None = None


@dataclass(frozen=True)
class FilmFrames:
    """The frames of a film, `(3, H, W)` each, with their count, the frame rate, and the seconds for which the
    last frame stays."""

    frames: Iterable[Tensor]
    count: int
    fps: float
    hold: float = 0.0


@dataclass(frozen=True)
class Result:
    """A picture or a film to save, with what its recipe needs."""

    picture: Tensor
    """`(3, H, W)` in [0, 1]; of a film, its poster."""
    output: str = ""
    """Which of `Technique.outputs` it is; the first if empty."""
    settings: Settings | None = None
    """The settings for its recipe, if they are not the job's."""
    network: Network | None = None
    """The network for its recipe, if it is not the job's."""
    sidecar: tuple[str, Callable[[Path], object]] | None = None
    """The suffix of a file that belongs to the picture, and the function that writes it."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    cells: Sequence[SheetCell] = ()
    """The pictures of a contact sheet, in `columns`, `gap` pixels apart."""
    columns: int = 1
    gap: int = 16
    film: FilmFrames | None = None
    words: str = ""
    """What the picture shows, in a sentence, if it shows a finding."""


@dataclass(frozen=True)
class Report:
    """What a command prints about finished work, in addition to where it saved the results.

    `document` are fields of its `--json` document, `lines` the result in words, `notes` remarks that
    `--quiet` suppresses, and `warnings` remarks that it does not.
    """

    document: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[str] = ()
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Estimate:
    """The expected duration of a run in seconds, and its peak memory in bytes.

    `fallback` are settings with which it fits into the free memory; empty if it fits anyway.
    """

    seconds: float
    memory: int
    fallback: Mapping[str, Any] = field(default_factory=dict)


def fraction_of_steps(frame: Frame) -> float:
    """Return the fraction of the work that is done if all steps take equally long; 0 without steps."""
    return frame.step / frame.steps if frame.steps else 0.0


def _last_picture(frame: Frame, _: Any) -> Sequence[Result]:
    picture = frame.full_size()
    return [] if picture is None else [Result(picture)]


@dataclass(frozen=True)
class Work:
    """A run in progress: its frames, and functions of a frame."""

    frames: Frames
    results: Callable[[Any, Any], Iterable[Result]] = _last_picture
    """The results at a frame, from the frame and the current settings. Saves the network, if it trains one.
    May be a generator that computes one result after another."""
    preview: Callable[[Any], Tensor | None] = lambda frame: frame.picture
    """The picture to show while it runs."""
    fraction_done: Callable[[Any], float] = fraction_of_steps
    report: Callable[[Any], Report] = lambda _: Report()
    """What the command line prints at the end."""
    film: Any = None
    """The recording of a network as it is trained, if the job asks for one."""


def _named_network(settings: Any) -> tuple[str, ...]:
    name = getattr(settings, "network", None)
    return (name,) if isinstance(name, str) else ()


@dataclass(frozen=True, kw_only=True)
class Technique:
    """The declaration of a technique.

    Functions take plain arguments and are called with validated settings. Names of settings are those of the
    fields of `settings`; names of outputs and presets consist of small letters, digits and dashes.
    """

    name: str
    """Unique among all techniques."""
    title: str
    help: str
    settings: type[Settings]
    run: Callable[[Job], Work | Frames]
    """Starts the work. May return only the frames, if the result is the picture of the last one."""

    # Inputs and outputs.
    inputs: tuple[Input, ...] = ()
    """The first is the one that the technique is about; it must be required."""
    output: Output = Output.PICTURE
    """With `WORDS`, `Work.report` returns the answer at each frame, or raises why there is none. If the first
    input is `many`, there is one frame for each of its files."""
    outputs: tuple[str, ...] = ()
    """The names of its pictures in recipes; `(name,)` if empty. With `WORDS`, pictures drawn on request:
    the first with `-o`, each other with an option of its name."""
    output_setting: str = ""
    """The setting that chooses among `outputs`."""
    sidecar: tuple[str, str] | None = None
    """The name and the suffix of a file that is written next to the picture."""
    records_inputs: bool = True
    """Whether recipes list the input files."""
    reruns: bool = True
    """Whether `rerun` can make its pictures again; if not, only its command can."""
    on_device: bool = True
    """Whether it computes on the job's device; if not, on the CPU."""

    # Settings.
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings to start from, by name; those of `settings` if empty."""
    default_preset: str = ""
    check: Callable[[Any, Mapping[str, int]], Any] = lambda settings, _: settings
    """Checks settings together with the number of files of each input; returns the settings to use."""
    networks: Callable[[Any], tuple[str, ...]] = _named_network
    """The networks that these settings need."""
    items: Callable[[Any], tuple[str, ...]] = lambda _: ()
    """The items of the shelf that these settings need, in addition to the networks'."""
    shown_first: tuple[str, ...] = ()
    """Settings that a form shows before the others."""
    hidden: tuple[str, ...] = ()
    """Settings that forms leave out, because nobody sets them by hand."""
    live: tuple[str, ...] = ()
    """Settings that may change while it runs."""

    # The command line.
    verb: str = ""
    """The first word of its command; `name` if empty."""
    command: tuple[str, ...] = ()
    """All words of its command; `(verb,)` if empty."""
    flags: tuple[str, ...] = ()
    """Options that select it among the techniques of one command. One may be the name of the first input,
    which it then takes: `--like PICTURE`."""
    film_flag: str = ""
    """The option that selects it, and takes the path of its film."""
    manual: str = ""
    """The help of the command; `help` if empty."""
    arguments: tuple[str, ...] = ()
    """Settings that may be given as positional arguments."""
    exclusive: tuple[tuple[str, str], ...] = ()
    """Pairs of settings of which only one may be given."""
    switches: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    """Options that stand for several settings: by name, their help and these settings."""
    options: type[BaseModel] | None = None
    """Options that change how it runs but not its results; they are in `Job.options`."""
    file: str = ""
    """The stem of the default output file; `name` if empty."""
    resumes: Literal["", "optional", "always"] = ""
    """Whether its state is saved for `--resume`: never, with `--checkpoint`, or always."""
    saves_partial: bool = True
    """Whether there is a result to save if the run is stopped."""
    log_lines: Callable[[Any], Sequence[str]] = lambda _: ()
    """Lines to print at a frame."""

    # The studio.
    room: str = ""
    """The room that it is in; `verb` if empty."""
    example: Mapping[str, Any] = field(default_factory=dict)
    """Settings that its form starts with, if the defaults alone name nothing to make."""
    wall: str = ""
    """A setting whose values, 0 and up, the studio shows as pictures: the person's own in each style."""
    estimate: Callable[[Job], Estimate | None] = lambda _: None
    """The expected time and memory; None if it is too short to matter."""
    learns_once: bool = False
    """Whether the first run learns what others use, so that how long one took says nothing of the next."""
    describe: Callable[[Any], str] = lambda _: ""
    """The numbers of a frame in words, to follow the number of the step."""

    # Contact sheets, films and networks.
    cells: Callable[[Any], Sequence[SheetCell]] | None = None
    """The pictures of a contact sheet with these settings."""
    film_frames: Callable[[Job, int], Frames] | None = None
    """The remaining frames of a film, given how many are done."""
    films_training: bool = False
    """Whether its command can film the network while it is trained."""
    default_name: Callable[[Any, Mapping[str, Sequence[File]]], str] = lambda *_: ""
    """For networks: a name derived from the settings and the files of each input, if none is given."""

    def __post_init__(self) -> None:
        verb = self.verb or self.name
        defaults = {
            "verb": verb, "file": self.name, "command": (verb,), "room": verb,
            "outputs": () if self.output is Output.WORDS else (self.name,), "presets": self.settings.presets,
        }  # fmt: skip
        for name, value in defaults.items():
            if not getattr(self, name):
                object.__setattr__(self, name, value)

    @property
    def takes_option(self) -> bool:
        """Whether the first input is given as an option instead of first on the command line."""
        return bool(self.inputs) and self.inputs[0].name in self.flags

    @property
    def default_output(self) -> str:
        """The name of its main output in recipes."""
        return next(iter(self.outputs), self.name)

    def checked(self, preset: str | None, given: Mapping[str, Any], counts: Mapping[str, int]) -> Settings:
        """Return the settings of a preset, overridden by those `given`, for `counts` files of each input.

        Errors: `UsageError`, in one line.
        """
        inputs = {each.name: each for each in self.inputs}
        for name, count in counts.items():
            if name not in inputs:
                known = ", ".join(inputs) or "none"
                raise UsageError(f"{self.name} takes no picture as {name[:40]!r}: it takes {known}")
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
        """Return the settings of a preset. Errors: `UsageError` that lists the presets."""
        if not self.presets:
            raise UsageError(f"{self.title.lower()} has no presets: leave {name[:60]!r} out")
        if name not in self.presets:
            close = difflib.get_close_matches(name, self.presets, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(self.presets)}"
            raise UsageError(f"{self.verb} has no preset {name[:60]!r}: {hint}")
        return dict(self.presets[name])

    def variant(self, preset: str | None, given: Mapping[str, Any]) -> str | None:
        """Return the variant of a preset for the arguments given: `fast-dense` is `fast` for a dense network.

        Errors: `UsageError` if there is no such variant.
        """
        for name in self.arguments if preset in self.presets else ():
            expected = self.presets[str(preset)].get(name)
            if expected is not None and given.get(name, expected) != expected:
                variant = f"{preset}-{given[name]}"
                if variant not in self.presets:
                    raise UsageError(f"the preset {preset!r} is made for {expected}, not for {given[name]!r}")
                return variant
        return preset

    def run_options(self, given: BaseModel | None) -> dict[str, Any]:
        """Return `Job.options`: those given, or their defaults."""
        return (given or self.options()).model_dump() if self.options else {}

    def job_title(
        self,
        title: str,
        settings: Any,
        files: Mapping[str, Sequence[File]] | None = None,
        taken: Container[str] = (),
    ) -> str:
        """Return the title of a job; if it trains a network, the name of that network.

        Errors: `UsageError` if the name is invalid, or one of those `taken`.
        """
        if self.output is not Output.NETWORK:
            return title
        from lanterna.networks.naming import choose_name

        default = "" if title else self.default_name(settings, files or {})
        return choose_name(title, default, kind=getattr(settings, "network", ""), taken=taken)

    def role(self, name: str) -> str:
        """Return the role of an input in recipes: its name, but "" for the first input."""
        return "" if self.inputs and name == self.inputs[0].name else name


def _short_repr(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
