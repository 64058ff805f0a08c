"""Work in a cell: frames as they come, with a count of steps, what to watch, and a button to stop."""

from __future__ import annotations

import atexit
import io
import tempfile
import threading
import time
from contextlib import ExitStack
from functools import cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from IPython.display import DisplayHandle, display
from PIL import Image
from torch import Tensor

from lanterna.errors import LanternaError, UsageError
from lanterna.files import refuse_to_overwrite, working_folder
from lanterna.images import open_picture
from lanterna.images.drawing import as_image
from lanterna.surfaces.cli.common import fetch_missing
from lanterna.surfaces.notebook.listing import find_technique
from lanterna.surfaces.notebook.mime import MimeBundle, mime_bundle
from lanterna.surfaces.web.page import asset
from lanterna.techniques.execute import Job, begin, recipe_of, save_result
from lanterna.techniques.technique import Output, Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lanterna.techniques.technique import Frame, Frames, Input, Report, Result

    Picture = Tensor | str | PathLike[str]

_EVERY = 0.15  # seconds between pictures that are sent, at least
_LONGEST = 640  # pixels of a picture on its way
_QUALITY = 85
_WAIT = 0.2  # seconds between looks at whether the work has ended, so that an interrupt is heard


class RunWidget(anywidget.AnyWidget):
    """Work under way: it goes on while the cell shows it, and `stop()`, or the button, ends it.

    `frame` waits for the end and is the last frame, `picture` is what was made, and `save` saves it. Where
    the kernel is interrupted while it waits, the work stops and the frame that it came to is kept.
    """

    _esm = asset("cell/work.js")
    _css = asset("cell/work.css")
    title = traitlets.Unicode("").tag(sync=True)
    jpeg = traitlets.Bytes(b"").tag(sync=True)
    size = traitlets.List(traitlets.Int(), [3, 2]).tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    steps = traitlets.Int(0).tag(sync=True)
    numbers: Any = traitlets.Dict().tag(sync=True)
    state = traitlets.Unicode("working").tag(sync=True)
    failure = traitlets.Unicode("").tag(sync=True)

    def __init__(self, work: Work, title: str, job: Job | None = None) -> None:
        super().__init__(title=title)
        self._work, self._job = work, job
        self._last: Frame | None = None
        self._results: Sequence[Result] = ()
        self._reports: list[Report] = []
        self._seen: Tensor | None = None  # the picture that was shown last
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._handle: DisplayHandle | None = None
        self._ended = threading.Event()
        self._showing = (
            threading.Lock()
        )  # so that work never ends between being shown and being seen to go on
        self.on_msg(self._told)
        threading.Thread(target=self._run, name=f"lanterna: {title}", daemon=True).start()

    def stop(self) -> None:
        """End the work after the step that it is at; what it came to is kept."""
        self._stop.set()

    @property
    def frame(self) -> Frame:
        """The last frame, once the work has ended.

        Errors: what the work failed with; `LanternaError` where it was stopped before its first frame.
        """
        try:
            while not self._ended.wait(_WAIT):
                pass
        except KeyboardInterrupt:
            self.stop()
            self._ended.wait()
        if self._error is not None:
            raise self._error
        if self._last is None:
            raise LanternaError(f"{self.title} was stopped before its first step: begin it again")
        return self._last

    @property
    def results(self) -> Sequence[Result]:
        """Everything that was made, once the work has ended. Errors: as those of `frame`."""
        _ = self.frame  # waits
        return self._results

    @property
    def picture(self) -> Tensor | None:
        """The picture that was made `(3, H, W)` in [0, 1], once the work has ended."""
        return self.results[0].picture if self.results else None

    @property
    def reports(self) -> Sequence[Report]:
        """What a technique of words says of each picture, as a `document` and in `lines`.

        Errors: as those of `frame`.
        """
        _ = self.frame  # waits
        return self._reports

    def save(self, path: str | PathLike[str], output: str = "", *, force: bool = False) -> None:
        """Save the picture, or the film, once the work has ended, and what belongs to it beside it.

        The recipe goes with it if `make` was given files, so that `lanterna rerun` makes it again.
        `output` says which one, if there are several: `steps` of a page that was read,
        `film` of a painting.

        Errors: those of `frame`; `UsageError` if nothing is called `output`, or the file exists and there is
        no `force`.
        """
        default = self._job.technique.default_output if self._job else "picture"
        found = {result.output or default: result for result in self.results}
        if not found or output not in ("", *found):
            there = ", ".join(found) or "nothing"
            raise UsageError(f"{self.title} has no {output or 'picture'!r} to save: it made {there}")
        result, place = found[output or next(iter(found))], Path(path)
        if result.also:
            suffix, write = result.also
            refuse_to_overwrite(place.with_suffix(suffix), force=force)
        save_result(result, place, recipe_of(self._job, result) if self._job else None, force=force)
        if result.also:
            write(place.with_suffix(suffix))

    def __repr__(self) -> str:
        of = f"step {self.step:,} of {self.steps:,}" if self.steps else "begun"
        words = self._results[0].words if self._results else ""
        lines = "".join(f"\n{line}" for report in self._reports for line in report.lines)
        return f"{self.title}: {self.state}, {of}{words and f'. {words}'}{lines}"

    def _run(self) -> None:
        try:
            try:
                self._watch()
                if self._last is not None:
                    settings = self._job.settings if self._job else None
                    self._results = list(self._work.results(self._last, settings))
            finally:
                self._work.frames.close()  # gives back what it holds
                if self._last is not None:
                    self._show(self._last)
        except BaseException as error:  # whatever it is, it belongs to whoever asks for the frame
            self._error = error
            self.failure = str(error)
        finally:
            early = self._stop.is_set() and self.step < self.steps
            self.state = "failed" if self._error else "stopped" if early else "done"
            with self._showing:
                self._keep()
                self._ended.set()

    def _watch(self) -> None:
        shown = 0.0
        for frame in self._work.frames:
            self._last = frame
            if self._job and self._job.technique.output is Output.WORDS:
                self._reports.append(self._work.report(frame))
            if time.monotonic() - shown > _EVERY:
                self._show(frame)
                shown = time.monotonic()
            if self._stop.is_set():
                break

    def _show(self, frame: Frame) -> None:
        """Show how far it has come; at the end, what was made."""
        self._seen = self._results[0].picture if self._results else self._work.shown(frame)
        with self.hold_sync():
            self.step, self.steps = frame.step, frame.steps
            self.numbers = {name: float(value) for name, value in frame.numbers.items()}
            if self._seen is not None:
                image = as_image(self._seen)
                image.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
                file = io.BytesIO()
                image.convert("RGB").save(file, "JPEG", quality=_QUALITY)
                self.size, self.jpeg = list(self._seen.shape[:0:-1]), file.getvalue()

    def _told(self, _: object, message: object, __: object) -> None:
        if message == "stop":
            self.stop()

    def _bundle(self) -> MimeBundle:
        return mime_bundle(self.model_id, repr(self), self._seen)

    def _ipython_display_(self) -> None:
        """Show the view, and where there is none the picture so far, which the last one will replace."""
        with self._showing:
            data, notes = self._bundle()
            self._handle = DisplayHandle()
            display(data, metadata=notes, raw=True, display_id=self._handle.display_id)
            if self._ended.is_set():
                self._keep()

    def _keep(self) -> None:
        """Put the last picture into the cell, so that it is there without a kernel too."""
        if self._handle is not None:
            data, notes = self._bundle()
            self._handle.update(data, metadata=notes, raw=True)


def watch(frames: Iterable[Frame], title: str = "Work") -> RunWidget:
    """Watch any work in a cell: `watch(lanterna.dream(cat))`, `watch(lanterna.train())`."""

    def each() -> Frames:
        yield from frames

    return RunWidget(Work(each()), title)


def make(
    name: str,
    /,
    *inputs: Picture | Sequence[Picture] | None,
    preset: str | None = None,
    device: str = "auto",
    title: str = "",
    **settings: object,
) -> RunWidget:
    """Run a technique in a cell: `make("dream", "cat.jpg", layer="block9")`.

    `techniques()` lists every technique, `techniques("dream")` the inputs, presets and settings of one.

    Inputs come in their order or by name, with `_` for `-`; a list is several, where there may be several:
    `make("style", "cat.jpg", style=["waves.jpg", "stars.jpg"], content_mask="face.png")`. Each is a file or
    an open picture `(3, H, W)` in [0, 1], a grey one `(H, W)` as well. Everything else is a setting, but for
    `preset`, which names settings to begin with, `device`, and `title`, the name of a network that is made.

    What is missing on the shelf is fetched first. The work shows itself; its `frame` and `picture` wait for
    the end, and `save(path)` saves what was made with its recipe.

    Errors: `UsageError` for a technique, an input or a setting that is not there or cannot be used,
    `MissingError` for absent weights.
    """
    technique = find_technique(name)
    slots = {each.name.replace("-", "_"): each for each in technique.inputs}
    if len(inputs) > len(slots):
        there = ", ".join(slots) or "none"
        raise UsageError(f"{name} has {len(slots)} inputs ({there}), got {len(inputs)}")
    given: dict[str, object] = dict(zip(slots, inputs, strict=False))
    for key in settings.keys() & slots.keys():
        if key in given:
            raise UsageError(f"{name} got its {key} twice: by its place and by its name")
        given[key] = settings.pop(key)
    known = technique.settings.model_fields
    settings = {f"{key}_" if f"{key}_" in known else key: value for key, value in settings.items()}
    if unknown := sorted(settings.keys() - known.keys()):
        there = f"its inputs are {', '.join(slots) or 'none'}, its settings {', '.join(known)}"
        raise UsageError(f"{name} has no input or setting {unknown[0]!r}: {there}")
    files, opened = _sorted_out(given, slots)
    counts = {name: len(found) for name, found in (files | opened).items()}
    checked = technique.checked(preset, settings, counts)
    title = technique.title_of(title, checked, files)
    folder = Path(tempfile.mkdtemp(dir=_scratch()))
    checkpoint = folder / "checkpoint.pt" if technique.output is Output.NETWORK else None
    job = Job(
        technique, checked, files, device=device, checkpoint=checkpoint, force=True,
        film=folder / "film.webp", title=title, fetch_item=fetch_missing, pictures_given=opened,
    )  # fmt: skip
    work = begin(job)
    _ = job.notes  # of the files as they are now: they may be others by the time that the picture is saved
    return RunWidget(work, f"{technique.title} {title}".rstrip(), job)


@cache
def _scratch() -> Path:
    """A folder for the frames of films and the like, until the kernel ends."""
    folder = ExitStack()
    atexit.register(folder.close)
    return folder.enter_context(working_folder("lanterna-cell-"))


def _sorted_out(
    given: Mapping[str, object], slots: Mapping[str, Input]
) -> tuple[dict[str, list[Path | bytes]], dict[str, list[Tensor]]]:
    """What is given for each input, as files or as open pictures."""
    files: dict[str, list[Path | bytes]] = {}
    opened: dict[str, list[Tensor]] = {}
    for key, value in given.items():
        several = [] if value is None else value if isinstance(value, list | tuple) else [value]
        # The work opens them in its own time, and the folder may be another by then.
        paths = [Path(each).absolute() for each in several if isinstance(each, str | PathLike)]
        if len(paths) == len(several):
            files[slots[key].name] = [*paths]
        else:
            opened[slots[key].name] = [_opened(each, slots[key]) for each in several]
    return files, opened


def _opened(given: object, wanted: Input) -> Tensor:
    """A picture that was given, or that of a file; of a grey one its lightness `(H, W)`."""
    if isinstance(given, str | PathLike):
        given = open_picture(Path(given))
    if isinstance(given, Tensor) and given.is_floating_point():
        if given.dim() == 3 and given.shape[0] == 3:
            return given.mean(0) if wanted.grey else given
        if given.dim() == 2 and wanted.grey:
            return given
    shape = f" {given.dtype} {tuple(given.shape)}" if isinstance(given, Tensor) else ""
    raise UsageError(
        f"{wanted.name}: expected a file or a picture of floats (3, height, width), "
        f"got {type(given).__name__}{shape}"
    )
