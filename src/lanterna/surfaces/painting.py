"""What `lanterna paint` opens and saves: pictures to learn, paintings, their records, films of learning."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from lanterna.devices import choose_device
from lanterna.errors import UsageError
from lanterna.images import make_record, open_picture
from lanterna.images.films import save_film
from lanterna.probes.neurons import neurons_sheet
from lanterna.recipes.octaves import resized
from lanterna.recipes.paint import Paint, PaintFrame, paint
from lanterna.recipes.paint_race import Race, RaceFrame
from lanterna.recipes.painting import Painting, open_painting
from lanterna.recipes.pixels import LONGEST
from lanterna.recipes.recipe import Frame, Recipe
from lanterna.recipes.rendering import Grid, Render, grid, render, wall
from lanterna.techniques.frame_folder import FrameFolder

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from lanterna.images import Input, Record
    from lanterna.images.decoding import Source
    from lanterna.recipes.rendering import View
    from lanterna.techniques.paint.technique import Neurons

Kind = TypeVar("Kind", bound=Frame)

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".gif", ".heic", ".heif", ".bmp")
_MOST = 100  # pictures that one network learns
_ON_THE_WAY, _AT_THE_END = 2**17, 2**22  # pixels of several pictures shown together
_FILMED_PIXELS = 2**20  # of a frame of a film of learning, at most
FPS, HOLD = 12.0, 1.5
"""Of a film of learning: frames a second, and seconds that its last frame stands."""

FILMED = frozenset(round(1.1**power) for power in range(200))
"""Steps after which a film of learning has a frame: a tenth more from one to the next.

So the quick changes of the beginning and the slow ones of the end are both seen.
"""


def picture_files(paths: Iterable[Path]) -> list[Path]:
    """The files that are meant by paths of pictures and of folders of them, in order.

    Errors: `UsageError` for a folder without pictures, no pictures, or too many.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(
            each for each in path.iterdir() if each.suffix.lower() in _PICTURES and each.is_file()
        )
        if not inside:
            raise UsageError(f"{path} has no pictures in it: expected {', '.join(_PICTURES[:4])} or the like")
        found += inside
    if not found:
        raise UsageError("expected a picture to learn: lanterna paint PICTURE")
    if len(found) > _MOST:
        raise UsageError(f"one network learns up to {_MOST} pictures, got {len(found)}: name fewer")
    return found


def frames_of(
    pictures: Sequence[Source],
    masks: Sequence[Source],
    recipe: Paint,
    *,
    device: str = "auto",
    checkpoint: Path | None = None,
    resume: bool = False,
    filmed: bool = False,
) -> Generator[PaintFrame, Any, None]:
    """Open what is to be learned, and learn it. Errors: those of `open_picture` and `paint`."""
    # Of a hundred photographs no more is kept than what they are made smaller from.
    longest = 4 * (recipe.size or LONGEST) if len(pictures) > 1 else None
    return paint(
        [open_picture(picture, longest=longest) for picture in pictures],
        recipe,
        masks=[open_picture(mask).mean(0) for mask in masks],
        device=device,
        checkpoint=checkpoint,
        resume=resume,
        also_at=FILMED if filmed else (),
    )


def whole(frame: PaintFrame) -> Tensor:
    """The painting of a frame at its own size, several pictures on one wall."""
    painting, picture = frame.painting, frame.picture
    if painting.pictures == 1 and picture is not None and tuple(picture.shape[1:]) == painting.size:
        return picture
    return wall(painting, _AT_THE_END)


def shown_together(frames: Generator[PaintFrame, Any, None]) -> Generator[PaintFrame, None, None]:
    """The same frames; those of several pictures show all of them."""
    try:
        for frame in frames:
            several = frame.painting.pictures > 1
            yield replace(frame, picture=wall(frame.painting, _ON_THE_WAY)) if several else frame
    finally:
        frames.close()


def paint_record(made: str, recipe: Paint, inputs: Iterable[Input], device: str) -> Record:
    """How a painting was learned. Steps, where they are known, take the place of seconds."""
    if recipe.steps:
        recipe = recipe.model_copy(update={"seconds": Paint.model_fields["seconds"].default})
    return make_record("paint", made, recipe, device=choose_device(device), inputs=inputs)


def opened_on(device: str, file: Path) -> Painting:
    """The painting in a file, on a device. Errors: those of `open_painting` and `choose_device`."""
    chosen = choose_device(device)
    painting = open_painting(file)
    painting.network.to(chosen)
    return painting


def render_record(made: str, recipe: Recipe, note: Input, painting: Painting) -> Record:
    """How a painting was rendered."""
    return make_record("paint", made, recipe, device=painting.network.output.weight.device, inputs=[note])


def neurons_of(painting: Painting, recipe: Neurons) -> Tensor:
    """Draw the sheet of what each neuron paints. Errors: `UsageError` for a `which` that is not there."""
    mixture = painting.mixture(recipe.which)
    return neurons_sheet(
        painting.network, which=mixture, columns=recipe.columns, rows=recipe.rows, side=recipe.side
    )


def race_record(made: str, recipe: Race, inputs: Iterable[Input], device: str) -> Record:
    """How a race was run. On another day it goes a little differently: its clock is a real one."""
    return make_record("paint", made, recipe, device=choose_device(device), inputs=inputs)


def rendered(painting: Painting, recipe: View) -> Generator[Frame, None, None]:
    """Render a painting, or a grid of what is between its pictures."""
    if isinstance(recipe, Grid):
        return grid(painting, recipe)
    assert isinstance(recipe, Render)
    return render(painting, recipe)


class LearningFilm:
    """The film of a painting being learned, with a frame after each of the steps in `FILMED`; a race, of all.

    The frames are kept beside the film until it is whole, as `FrameFolder` does, whose errors are its errors.
    """

    def __init__(self, place: Path, note: Mapping[str, object], *, resume: bool, force: bool) -> None:
        self.place, self.force = place, force or resume
        begun = place.with_name(f"{place.name}.frames").exists()  # a film may be asked for on the way
        self.frames = FrameFolder(place, note, resume=resume and begun, force=force)

    def watched(self, frames: Generator[Kind, None, None]) -> Generator[Kind, None, None]:
        """The same frames, kept where it is time for another of the film."""
        there = self.frames.done > 0  # work that is taken up begins with the frame it had come to
        try:
            for frame in frames:
                due = isinstance(frame, RaceFrame) or self._is_due(frame)
                if frame.picture is not None and due and not there:
                    self.frames.add(self._fitted(frame.picture))
                there = False
                yield frame
        finally:
            frames.close()

    def _is_due(self, frame: Frame) -> bool:
        return frame.step in FILMED and frame.step != frame.steps

    def save(self, last: Tensor, record: Record, *, finished: bool) -> int:
        """Save the film, which ends with `last`, and give the number of its frames."""
        frames, count = self.whole(last)
        save_film(frames, self.place, count=count, fps=FPS, hold=HOLD, recipe=record, force=self.force)
        if finished:
            self.frames.remove()
        return count

    def whole(self, last: Tensor) -> tuple[Iterable[Tensor], int]:
        """All frames of the film that ends with `last`, and how many they are."""
        return itertools.chain(self.frames, [self._fitted(last)]), self.frames.done + 1

    def _fitted(self, picture: Tensor) -> Tensor:
        height, width = picture.shape[1:]
        if self.frames.done:
            return resized(picture, tuple(self.frames[0].shape[1:])).clamp(0, 1)
        share = min(1.0, math.sqrt(_FILMED_PIXELS / (height * width)))
        return resized(picture, (max(1, round(height * share)), max(1, round(width * share)))).clamp(0, 1)
