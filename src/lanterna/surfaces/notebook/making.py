"""Work in a cell: frames as they come, with a count of steps, what to watch, and a button to stop."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from IPython.display import DisplayHandle, display
from PIL import Image
from torch import Tensor

from lanterna.errors import LanternaError, UsageError
from lanterna.images import open_picture
from lanterna.images.drawing import as_image
from lanterna.networks import shelf_items
from lanterna.recipes.dream import Dream
from lanterna.recipes.dream import dream as dream_frames
from lanterna.recipes.paint import Paint
from lanterna.recipes.paint import paint as paint_frames
from lanterna.recipes.style import Stylize
from lanterna.recipes.style import style as style_frames
from lanterna.surfaces.cli.common import fetch_missing
from lanterna.surfaces.notebook.bundle import Bundle, bundle
from lanterna.surfaces.page import asset

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lanterna.recipes.recipe import Frame

    Picture = Tensor | str | PathLike[str]

_EVERY = 0.15  # seconds between pictures that are sent, at least
_LONGEST = 640  # pixels of a picture on its way
_QUALITY = 85
_WAIT = 0.2  # seconds between looks at whether the work has ended, so that an interrupt is heard


class Work(anywidget.AnyWidget):
    """Work under way: it goes on while the cell shows it, and `stop()`, or the button, ends it.

    `frame` waits for the end and is the last frame, `picture` its picture. Where the kernel is interrupted
    while it waits, the work stops and the frame that it came to is kept.
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

    def __init__(self, frames: Iterable[Frame], title: str = "Work") -> None:
        super().__init__(title=title)
        self._frames = frames
        self._last: Frame | None = None
        self._error: BaseException | None = None
        self._wish = threading.Event()
        self._handle: DisplayHandle | None = None
        self._ended = threading.Event()
        self._showing = (
            threading.Lock()
        )  # so that work never ends between being shown and being seen to go on
        self.on_msg(self._told)
        threading.Thread(target=self._run, name=f"lanterna: {title}", daemon=True).start()

    def stop(self) -> None:
        """End the work after the step that it is at; what it came to is kept."""
        self._wish.set()

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
    def picture(self) -> Tensor | None:
        """The last picture `(3, H, W)` in [0, 1], once the work has ended."""
        return self.frame.picture

    def __repr__(self) -> str:
        of = f"step {self.step:,} of {self.steps:,}" if self.steps else "begun"
        return f"{self.title}: {self.state}, {of}"

    def _run(self) -> None:
        shown = 0.0
        try:
            for frame in self._frames:
                self._last = frame
                if time.monotonic() - shown > _EVERY:
                    self._show(frame)
                    shown = time.monotonic()
                if self._wish.is_set():
                    break
        except BaseException as error:  # whatever it is, it belongs to whoever asks for the frame
            self._error = error
            self.failure = str(error)
        finally:
            with contextlib.suppress(AttributeError):
                self._frames.close()  # type: ignore[attr-defined]  # a generator gives back what it holds
            if self._last is not None:
                self._show(self._last)
            early = self._wish.is_set() and self.step < self.steps
            self.state = "failed" if self._error else "stopped" if early else "done"
            with self._showing:
                self._keep()
                self._ended.set()

    def _show(self, frame: Frame) -> None:
        with self.hold_sync():
            self.step, self.steps = frame.step, frame.steps
            self.numbers = {name: float(value) for name, value in frame.numbers.items()}
            if frame.picture is not None:
                image = as_image(frame.picture)
                image.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
                file = io.BytesIO()
                image.convert("RGB").save(file, "JPEG", quality=_QUALITY)
                self.size, self.jpeg = list(frame.picture.shape[:0:-1]), file.getvalue()

    def _told(self, _: object, message: object, __: object) -> None:
        if message == "stop":
            self.stop()

    def _bundle(self) -> Bundle:
        picture = self._last.picture if self._last is not None else None
        return bundle(self.model_id, repr(self), picture)

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


def watch(frames: Iterable[Frame], title: str = "Work") -> Work:
    """Watch any work in a cell: `watch(lanterna.dream(cat))`, `watch(lanterna.train())`."""
    return Work(frames, title)


def dream(picture: Picture, **settings: object) -> Work:
    """Dream in a cell: `dream("cat.jpg", stage="block9")`, with any setting of `lanterna dream`.

    Errors: `UsageError` for a setting or picture that cannot be used, `MissingError` for absent weights.
    """
    recipe = Dream.checked(settings)
    fetch_missing(*shelf_items(recipe.network))
    return watch(dream_frames(_opened(picture), recipe), "Dream")


def style(picture: Picture, *styles: Picture, **settings: object) -> Work:
    """Paint a picture in the style of another, or of several, in a cell; settings as of `lanterna style`.

    Errors: as those of `dream`.
    """
    recipe = Stylize.checked(settings)
    fetch_missing(*shelf_items(recipe.network))
    several = styles if isinstance(styles, list | tuple) else [styles]
    return watch(style_frames(_opened(picture), recipe, styles=[_opened(each) for each in several]), "Style")


def paint(picture: Picture, **settings: object) -> Work:
    """Let a network learn to paint a picture, in a cell; settings as of `lanterna paint`.

    Errors: `UsageError` for a setting or picture that cannot be used.
    """
    return watch(paint_frames(_opened(picture), Paint.checked(settings)), "Painting")


def _opened(picture: Picture) -> Tensor:
    """A picture that was given, or that of a file."""
    if isinstance(picture, str | PathLike):
        return open_picture(Path(picture))
    if isinstance(picture, Tensor):
        return picture
    raise UsageError(f"picture: expected a file or a picture (3, H, W), got {type(picture).__name__}")
