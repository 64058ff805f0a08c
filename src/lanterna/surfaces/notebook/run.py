"""Run a technique in a cell: live frames with step count and numbers, and a button to stop."""

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

from lanterna.errors import LanternaError, UsageError, explain_blamed_networks
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

_MIN_INTERVAL = 0.15  # seconds between two pictures that are sent
_MAX_SIDE = 640  # pixels of a picture that is sent before the end
_QUALITY = 85
_POLL = 0.2  # seconds to wait at a time for the end, so that the kernel can be interrupted


class RunWidget(anywidget.AnyWidget):
    """A run in the background, which the cell shows live; `stop()` or the button stops it.

    `frame` waits for the end and returns the last frame, `picture` is the result, and `save` saves it. If the
    kernel is interrupted while waiting, the run stops and its last frame remains.
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
        self._displayed: Tensor | None = None  # the last picture
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._handle: DisplayHandle | None = None
        self._ended = threading.Event()
        # Or the run could end after it is displayed and before the display is registered.
        self._display_lock = threading.Lock()
        self.on_msg(self._handle_message)
        threading.Thread(target=self._run, name=f"lanterna: {title}", daemon=True).start()

    def stop(self) -> None:
        """Stop after the current step; the result so far remains."""
        self._stop.set()

    @property
    def frame(self) -> Frame:
        """The last frame. Waits for the end.

        Errors: the run's own; `LanternaError` if it was stopped before its first frame.
        """
        try:
            while not self._ended.wait(_POLL):
                pass
        except KeyboardInterrupt:
            self.stop()
            self._ended.wait()
        if self._error is not None:
            raise self._error
        if self._last is None:
            raise LanternaError(f"{self.title} was stopped before its first step: run it again")
        return self._last

    @property
    def results(self) -> Sequence[Result]:
        """All results. Waits for the end. Errors: those of `frame`."""
        _ = self.frame  # waits
        return self._results

    @property
    def picture(self) -> Tensor | None:
        """The picture `(3, H, W)` in [0, 1], if there is one. Waits for the end."""
        return self.results[0].picture if self.results else None

    @property
    def reports(self) -> Sequence[Report]:
        """For each picture the report of a technique whose output is words. Waits for the end.

        Errors: those of `frame`.
        """
        _ = self.frame  # waits
        return self._reports

    def save(self, path: str | PathLike[str], output: str = "", *, force: bool = False) -> None:
        """Save the picture or film, and any file that belongs to it, after waiting for the end.

        If `make` was given files, the recipe is saved with it, so that `lanterna rerun` can make it again.
        `output` chooses one of several results: `steps` of a page that was read, `film` of a painting.

        Errors: those of `frame`; `UsageError` if there is no such output, or the file exists and `force` is
        not set.
        """
        default = self._job.technique.default_output if self._job else "picture"
        results = {result.output or default: result for result in self.results}
        if not results or output not in ("", *results):
            available = ", ".join(results) or "none"
            raise UsageError(f"{self.title} has no output {output or 'picture'!r}: it has {available}")
        result, place = results[output or next(iter(results))], Path(path)
        if result.sidecar:
            suffix, write = result.sidecar
            refuse_to_overwrite(place.with_suffix(suffix), force=force)
        save_result(result, place, recipe_of(self._job, result) if self._job else None, force=force)
        if result.sidecar:
            write(place.with_suffix(suffix))

    def __repr__(self) -> str:
        progress = f"step {self.step:,} of {self.steps:,}" if self.steps else "started"
        words = self._results[0].words if self._results else ""
        lines = "".join(f"\n{line}" for report in self._reports for line in report.lines)
        return f"{self.title}: {self.state}, {progress}{words and f'. {words}'}{lines}"

    def _run(self) -> None:
        try:
            try:
                with explain_blamed_networks():
                    self._watch()
                    if self._last is not None:
                        settings = self._job.settings if self._job else None
                        self._results = list(self._work.results(self._last, settings))
            finally:
                self._work.frames.close()  # releases its resources
                if self._last is not None:
                    self._show(self._last)
        except BaseException as error:  # raised where the frame is used
            self._error = error
            self.failure = str(error)
        finally:
            early = self._stop.is_set() and self.step < self.steps
            self.state = "failed" if self._error else "stopped" if early else "done"
            with self._display_lock:
                self._update_output()
                self._ended.set()

    def _watch(self) -> None:
        last = 0.0
        for frame in self._work.frames:
            self._last = frame
            if self._job and self._job.technique.output is Output.WORDS:
                self._reports.append(self._work.report(frame))
            if time.monotonic() - last > _MIN_INTERVAL:
                self._show(frame)
                last = time.monotonic()
            if self._stop.is_set():
                break

    def _show(self, frame: Frame) -> None:
        """Send a frame's progress and picture to the view; at the end, the result."""
        self._displayed = self._results[0].picture if self._results else self._work.preview(frame)
        with self.hold_sync():
            self.step, self.steps = frame.step, frame.steps
            self.numbers = {name: float(value) for name, value in frame.numbers.items()}
            if self._displayed is not None:
                image = as_image(self._displayed)
                image.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.LANCZOS)
                file = io.BytesIO()
                image.convert("RGB").save(file, "JPEG", quality=_QUALITY)
                self.size, self.jpeg = list(self._displayed.shape[:0:-1]), file.getvalue()

    def _handle_message(self, _: object, message: object, __: object) -> None:
        if message == "stop":
            self.stop()

    def _bundle(self) -> MimeBundle:
        return mime_bundle(self.model_id, repr(self), self._displayed)

    def _ipython_display_(self) -> None:
        """Display the view, with the picture so far for pages without widgets."""
        with self._display_lock:
            data, metadata = self._bundle()
            self._handle = DisplayHandle()
            display(data, metadata=metadata, raw=True, display_id=self._handle.display_id)
            if self._ended.is_set():
                self._update_output()

    def _update_output(self) -> None:
        """Store the last picture in the cell's output, for when there is no kernel."""
        if self._handle is not None:
            data, metadata = self._bundle()
            self._handle.update(data, metadata=metadata, raw=True)


def watch(frames: Iterable[Frame], title: str = "Work") -> RunWidget:
    """Show any frames in a cell: `watch(lanterna.dream(cat))`, `watch(lanterna.train())`."""

    def generate() -> Frames:
        yield from frames

    return RunWidget(Work(generate()), title)


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

    `techniques()` lists all techniques, `techniques("dream")` the inputs, presets and settings of one.

    Inputs are given in order or by name, with `_` for `-`; several of one input as a list:
    `make("style", "cat.jpg", style=["waves.jpg", "stars.jpg"], content_mask="face.png")`. Each is a file or
    a picture `(3, H, W)` in [0, 1]; a grey one may be `(H, W)`. All other arguments are settings, except
    `preset` (the settings to start from), `device`, and `title` (the name of a trained network).

    Missing data and weights are fetched first. The cell shows the run; its `frame` and `picture` wait for the
    end, and `save(path)` saves the result with its recipe.

    Errors: `UsageError` for an unknown technique, or an input or setting that is not valid; `MissingError`
    for missing weights.
    """
    technique = find_technique(name)
    slots = {each.name.replace("-", "_"): each for each in technique.inputs}
    if len(inputs) > len(slots):
        names = ", ".join(slots) or "none"
        raise UsageError(f"{name} has {len(slots)} inputs ({names}), got {len(inputs)}")
    given: dict[str, object] = dict(zip(slots, inputs, strict=False))
    for key in settings.keys() & slots.keys():
        if key in given:
            raise UsageError(f"{name} got {key} twice: by position and by name")
        given[key] = settings.pop(key)
    known = technique.settings.model_fields
    settings = {f"{key}_" if f"{key}_" in known else key: value for key, value in settings.items()}
    if unknown := sorted(settings.keys() - known.keys()):
        names = f"its inputs are {', '.join(slots) or 'none'}, its settings {', '.join(known)}"
        raise UsageError(f"{name} has no input or setting {unknown[0]!r}: {names}")
    files, opened = _split_inputs(given, slots)
    counts = {name: len(values) for name, values in (files | opened).items()}
    checked = technique.checked(preset, settings, counts)
    title = technique.job_title(title, checked, files)
    folder = Path(tempfile.mkdtemp(dir=_scratch_folder()))
    checkpoint = folder / "checkpoint.pt" if technique.output is Output.NETWORK else None
    job = Job(
        technique, checked, files, device=device, checkpoint=checkpoint, force=True,
        film=folder / "film.webp", title=title, fetch_item=fetch_missing, open_pictures=opened,
    )  # fmt: skip
    with explain_blamed_networks():
        work = begin(job)
    _ = job.input_notes  # hash the files now: they may have changed when the picture is saved
    return RunWidget(work, f"{technique.title} {title}".rstrip(), job)


@cache
def _scratch_folder() -> Path:
    """Create a folder for temporary files such as films' frames, removed when the kernel exits."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(working_folder("lanterna-cell-"))


def _split_inputs(
    given: Mapping[str, object], slots: Mapping[str, Input]
) -> tuple[dict[str, list[Path | bytes]], dict[str, list[Tensor]]]:
    """Split the inputs into files and open pictures, by the input's name."""
    files: dict[str, list[Path | bytes]] = {}
    opened: dict[str, list[Tensor]] = {}
    for key, value in given.items():
        values = [] if value is None else value if isinstance(value, list | tuple) else [value]
        # Absolute, as the current folder may change before the run opens them.
        paths = [Path(each).absolute() for each in values if isinstance(each, str | PathLike)]
        if len(paths) == len(values):
            files[slots[key].name] = [*paths]
        else:
            opened[slots[key].name] = [_as_tensor(each, slots[key]) for each in values]
    return files, opened


def _as_tensor(value: object, slot: Input) -> Tensor:
    """Return a picture, value as a tensor or a file; of a grey input its lightness `(H, W)`."""
    if isinstance(value, str | PathLike):
        value = open_picture(Path(value))
    if isinstance(value, Tensor) and value.is_floating_point():
        if value.dim() == 3 and value.shape[0] == 3:
            return value.mean(0) if slot.grey else value
        if value.dim() == 2 and slot.grey:
            return value
    shape = f" {value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else ""
    raise UsageError(
        f"{slot.name}: expected a file or a picture of floats (3, height, width), "
        f"got {type(value).__name__}{shape}"
    )
