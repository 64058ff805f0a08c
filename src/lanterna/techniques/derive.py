"""Derive other techniques from a technique: a contact sheet, a film, and a film of its training."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lanterna.images.drawing import contact_sheet
from lanterna.techniques.execute import begin, last_frame
from lanterna.techniques.octaves import resized
from lanterna.techniques.technique import FilmFrames, Frame, Output, Report, Result, Technique, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor

    from lanterna.techniques.execute import Job
    from lanterna.techniques.learned import LearnedOnce
    from lanterna.techniques.technique import Frames, Settings, SheetCell

SHEET_SIDE = 320
"""Pixels along the longer side of a picture on a sheet to choose from."""

_MAX_PIXELS = 2**20  # of a frame of a film of training
_FPS, _HOLD = (
    12.0,
    1.5,
)  # of a film of training: frames per second, and seconds for which its last frame stays

FILM_STEPS = frozenset(round(1.1**power) for power in range(200))
"""Steps after which a film of training has a frame: each is a tenth more than the one before.

This shows both the quick changes of the beginning and the slow ones of the end.
"""


def weighted_by_pixels(sizes: Sequence[tuple[int, int]], steps: Sequence[int]) -> Callable[[Frame], float]:
    """Return `Work.fraction_done` for work at one size (height, width) after another, with their steps.

    A step is assumed to take time in proportion to its pixels.
    """
    costs = [float(height * width) for height, width in sizes]
    total = sum(cost * count for cost, count in zip(costs, steps, strict=True))

    def fraction_done(frame: Frame) -> float:
        done, before = 0.0, 0
        for cost, count in zip(costs, steps, strict=True):
            done += cost * min(count, max(0, frame.step - before))
            before += count
        return done / total

    return fraction_done


def sheet_of(
    technique: Technique,
    *,
    cells: Callable[[Any], Sequence[SheetCell]],
    small: Callable[[Any, Any], Settings],
    choose: Callable[[Job], Any] = lambda job: job.settings,
    learned: Callable[[Job], LearnedOnce[Any]] | None = None,
    columns: Callable[[Any, Sequence[SheetCell]], int],
    heading: Callable[[Job, Any], str] = lambda *_: "",
    notes: Callable[[Any], Sequence[str]] = lambda _: (),
    gap: int = 16,
    name: str,
    **declared: Any,
) -> Technique:
    """Return a technique that makes a contact sheet of small pictures to choose from.

    `choose` returns the settings of the sheet, naming everything that it shows; `cells` its pictures with
    these settings; and `small` turns the settings of the sheet and of a cell into those of its small picture.
    `learned` returns what is learned before the first picture, once. Fields in `declared` override those of
    the technique.
    """

    def run(job: Job) -> Work:
        settings = choose(job)
        sheet_cells = cells(settings)
        column_count = columns(settings, sheet_cells)
        first = learned(job) if learned else None

        def frames() -> Frames:
            done: list[tuple[Tensor, str]] = []
            for number, cell in enumerate(sheet_cells, start=1):
                frame = last_frame(begin(job.with_settings(small(settings, cell.settings)), technique).frames)
                assert frame.picture is not None
                done.append((frame.picture.cpu(), cell.label))
                _, height, width = done[0][0].shape
                sheet = contact_sheet(
                    done, columns=column_count, side=width, height=height, gap=gap,
                    places=len(sheet_cells), title=heading(job, settings),
                )  # fmt: skip
                yield Frame(number, len(sheet_cells), picture=sheet)

        def results(frame: Frame, _: Any) -> list[Result]:
            if first and frame.step <= first.steps:  # stopped while it learned
                return []
            assert frame.picture is not None
            chooser = derived.output_setting
            output = getattr(settings, chooser) if chooser else derived.outputs[0]
            return [Result(frame.picture, output, settings, cells=sheet_cells, columns=column_count, gap=gap)]

        if size := getattr(settings, "size", None):
            side = getattr(small(settings, sheet_cells[0].settings), "size", None)
            job.notify(f"--size {size} is for the commands: the pictures on a sheet have {side} pixels")
        work = first.then(frames, len(sheet_cells), "drawing") if first else frames()
        return Work(work, results, report=lambda _: Report(notes=list(notes(settings))))

    derived = replace(
        technique, name=name, file=name, run=run, output=Output.SHEET, live=(), cells=cells, resumes="",
        **{"estimate": lambda _: None, **declared},
    )  # fmt: skip
    return derived


def film_of(
    technique: Technique,
    *,
    frames: Callable[[Job, int], Frames],
    learned: Callable[[Job], LearnedOnce[Any]] | None = None,
    length: Callable[[Job], tuple[int, float]],
    name: str,
    **declared: Any,
) -> Technique:
    """Return a technique that makes a film, saving each frame when it is done, so that no work is lost.

    `frames` takes the job and the number of frames already done (they are in `job.frames`), and yields the
    remaining ones; `learned` returns what is learned before them, once; `length` returns the total number of
    frames and the frame rate. Fields in `declared` override those of the technique.
    """

    def run(job: Job) -> Work:
        count, fps = length(job)
        saved = job.frames
        first = learned(job) if learned and saved.done < count else None

        def work() -> Frames:
            if saved.done:
                yield Frame(saved.done, count, picture=saved[saved.done - 1])
            if saved.done < count:
                remaining = frames(job, saved.done)
                try:
                    for frame in remaining:
                        assert frame.picture is not None
                        saved.add(frame.picture)
                        yield frame
                finally:
                    remaining.close()

        def results(*_: Any) -> list[Result]:
            if not saved.done:  # stopped while it learned
                return []
            return [Result(saved[0], film=FilmFrames(saved, saved.done, fps))]

        return Work(first.then(work, count, "filming") if first else work(), results)

    return replace(
        technique, name=name, run=run, output=Output.FILM, live=(), reruns=False, saves_partial=True,
        resumes="", film_frames=frames,
        **{"estimate": lambda _: None, **declared},
    )  # fmt: skip


def film_of_training(
    technique: Technique,
    *,
    output: str,
    due: Callable[[Frame], bool] | None = None,
    name: str,
    **declared: Any,
) -> Technique:
    """Return a technique that also makes a film of the training, with a frame at each of `FILM_STEPS`.

    `due` selects other frames; `output` is the film's name in recipes. Fields in `declared` override those
    of the technique.
    """

    def run(job: Job) -> Work:
        job.extra_steps = FILM_STEPS
        work = begin(job, technique)
        film = _TrainingFilm(job, due or _is_due)

        def results(frame: Any, settings: Any) -> list[Result]:
            (result,) = work.results(frame, settings)
            pictures, count = film.complete(result.picture)
            film_frames = FilmFrames(pictures, count, _FPS, _HOLD)
            return [result, replace(result, output=output, sidecar=None, film=film_frames)]

        return replace(work, frames=film.recorded(work.frames), results=results)

    return replace(
        technique,
        name=name,
        run=run,
        reruns=False,
        outputs=(*technique.outputs, output),
        film_flag="film",
        **declared,
    )


def _is_due(frame: Frame) -> bool:
    return frame.step in FILM_STEPS and frame.step != frame.steps


class _TrainingFilm:
    """The frames recorded so far, in their folder; the last one is added by `complete`."""

    def __init__(self, job: Job, due: Callable[[Frame], bool]) -> None:
        self.due = due
        # Work that is resumed may have been started without a film.
        self.frames = job.frame_folder(resume=job.resume and job.has_frames())

    def recorded(self, frames: Frames) -> Frames:
        """Yield the same frames, saving those that are due."""
        recorded = self.frames.done > 0  # resumed work starts with the frame that it had reached
        sent = None
        try:
            frame = next(frames, None)
            while frame is not None:
                if frame.picture is not None and self.due(frame) and not recorded:
                    self.frames.add(self._resized(frame.picture))
                recorded = False
                sent = yield frame
                try:
                    frame = frames.send(sent)
                except StopIteration:
                    return
        finally:
            frames.close()

    def complete(self, last: Tensor) -> tuple[Iterable[Tensor], int]:
        """Return all frames of the film, which ends with `last`, and their number."""
        return itertools.chain(self.frames, [self._resized(last)]), self.frames.done + 1

    def _resized(self, picture: Tensor) -> Tensor:
        height, width = picture.shape[1:]
        if self.frames.done:
            return resized(picture, tuple(self.frames[0].shape[1:])).clamp(0, 1)
        scale = min(1.0, math.sqrt(_MAX_PIXELS / (height * width)))
        return resized(picture, (max(1, round(height * scale)), max(1, round(width * scale)))).clamp(0, 1)
