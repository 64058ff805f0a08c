"""A contact sheet, and a film, of any technique: one function each."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lanterna.errors import UsageError
from lanterna.images.drawing import contact_sheet
from lanterna.techniques.execute import begin, last_frame
from lanterna.techniques.octaves import resized
from lanterna.techniques.technique import FilmFrames, Frame, Output, Report, Result, Technique, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor

    from lanterna.techniques.execute import Job
    from lanterna.techniques.technique import Frames, Settings, SheetCell

_FILMED_PIXELS = 2**20  # of a frame of a film of learning, at most
_FPS, _HOLD = 12.0, 1.5  # of a film of learning: frames a second, and seconds that its last frame stands

FILM_STEPS = frozenset(round(1.1**power) for power in range(200))
"""Steps after which a film of learning has a frame: a tenth more from one to the next.

So the quick changes of the beginning and the slow ones of the end are both seen.
"""


def weighted_by_pixels(sizes: Sequence[tuple[int, int]], steps: Sequence[int]) -> Callable[[Frame], float]:
    """The share of the work that is done where sizes (height, width) follow each other, with their steps."""
    costs = [float(height * width) for height, width in sizes]
    whole = sum(cost * count for cost, count in zip(costs, steps, strict=True))

    def share(frame: Frame) -> float:
        done, before = 0.0, 0
        for cost, count in zip(costs, steps, strict=True):
            done += cost * min(count, max(0, frame.step - before))
            before += count
        return done / whole

    return share


def sheet_of(
    technique: Technique,
    *,
    cells: Callable[[Any], Sequence[SheetCell]],
    small: Callable[[Any], Settings],
    choose: Callable[[Job], Any] = lambda job: job.settings,
    columns: Callable[[Any, Sequence[SheetCell]], int],
    heading: Callable[[Job, Any], str] = lambda *_: "",
    notes: Callable[[Any], Sequence[str]] = lambda _: (),
    gap: int = 16,
    name: str,
    **declared: Any,
) -> Technique:
    """A contact sheet of small pictures by which a person chooses, as a technique of its own.

    `choose` names all that the sheet shows in its settings, `cells` are its pictures by these settings, and
    `small` makes the settings of one quick enough. What else is `declared` takes the place of the
    technique's own.
    """

    def run(job: Job) -> Work:
        settings = choose(job)
        shown = cells(settings)
        wide = columns(settings, shown)

        def frames() -> Frames:
            done: list[tuple[Tensor, str]] = []
            for number, cell in enumerate(shown, start=1):
                frame = last_frame(begin(job.with_settings(small(cell.settings)), technique).frames)
                assert frame.picture is not None
                done.append((frame.picture.cpu(), cell.label))
                _, height, width = done[0][0].shape
                page = contact_sheet(
                    done, columns=wide, side=width, height=height, gap=gap,
                    places=len(shown), title=heading(job, settings),
                )  # fmt: skip
                yield Frame(number, len(shown), picture=page)

        def results(frame: Frame, _: Any) -> list[Result]:
            assert frame.picture is not None
            chosen = derived.output_setting
            output = getattr(settings, chosen) if chosen else derived.outputs[0]
            return [Result(frame.picture, output, settings, cells=shown, columns=wide, gap=gap)]

        return Work(frames(), results, report=lambda _: Report(notes=notes(settings)))

    derived = replace(
        technique, name=name, file=name, run=run, output=Output.SHEET, live=(), cells=cells, resumes="",
        **{"estimate": lambda _: None, **declared},
    )  # fmt: skip
    return derived


def film_of(
    technique: Technique,
    *,
    frames: Callable[[Job, int], Frames],
    length: Callable[[Job], tuple[int, float]],
    name: str,
    **declared: Any,
) -> Technique:
    """A film, as a technique of its own; each frame is saved as it comes, so that no work is lost.

    `frames` is given the job and how many frames there are already (`job.frames` has them) and makes the
    rest; `length` is how many there will be, and how many a second.
    """

    def run(job: Job) -> Work:
        count, fps = length(job)
        saved = job.frames

        def work() -> Frames:
            if saved.done:
                yield Frame(saved.done, count, picture=saved[saved.done - 1])
            if saved.done < count:
                rest = frames(job, saved.done)
                try:
                    for frame in rest:
                        assert frame.picture is not None
                        saved.add(frame.picture)
                        yield frame
                finally:
                    rest.close()

        def results(*_: Any) -> list[Result]:
            if not saved.done:
                raise UsageError("expected a film with pictures to make it from, got none")
            return [Result(saved[0], film=FilmFrames(saved, saved.done, fps))]

        return Work(work(), results)

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
    """The same work, with a film of it beside its picture: a frame after each of the steps in `FILM_STEPS`.

    `due` says otherwise which frames of the work are the film's; `output` is what a recipe calls the film.
    """

    def run(job: Job) -> Work:
        job.extra_steps = FILM_STEPS
        work = begin(job, technique)
        film = _LearningFilm(job, due or _is_due)

        def results(frame: Any, settings: Any) -> list[Result]:
            (result,) = work.results(frame, settings)
            pictures, count = film.whole(result.picture)
            its_film = FilmFrames(pictures, count, _FPS, _HOLD)
            return [result, replace(result, output=output, sidecar=None, film=its_film)]

        return replace(work, frames=film.watched(work.frames), results=results)

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


class _LearningFilm:
    """The frames of work on the way, in their folder; the last one is added when the film is whole."""

    def __init__(self, job: Job, due: Callable[[Frame], bool]) -> None:
        self.due = due
        self.frames = job.frame_folder(
            resume=job.resume and job.has_frames()
        )  # a film may be asked for later

    def watched(self, frames: Frames) -> Frames:
        """The same frames, saved where it is time for another of the film."""
        there = self.frames.done > 0  # work that is resumed begins with the frame it had come to
        sent = None
        try:
            frame = next(frames, None)
            while frame is not None:
                if frame.picture is not None and self.due(frame) and not there:
                    self.frames.add(self._fitted(frame.picture))
                there = False
                sent = yield frame
                try:
                    frame = frames.send(sent)
                except StopIteration:
                    return
        finally:
            frames.close()

    def whole(self, last: Tensor) -> tuple[Iterable[Tensor], int]:
        """All frames of the film that ends with `last`, and how many they are."""
        return itertools.chain(self.frames, [self._fitted(last)]), self.frames.done + 1

    def _fitted(self, picture: Tensor) -> Tensor:
        height, width = picture.shape[1:]
        if self.frames.done:
            return resized(picture, tuple(self.frames[0].shape[1:])).clamp(0, 1)
        share = min(1.0, math.sqrt(_FILMED_PIXELS / (height * width)))
        return resized(picture, (max(1, round(height * share)), max(1, round(width * share)))).clamp(0, 1)
