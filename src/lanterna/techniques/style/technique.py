"""Declare style transfer, step by step and instant, each with its sheet and its film."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import BaseModel, Field, model_validator

from lanterna.devices import free_memory
from lanterna.errors import UsageError
from lanterna.images.prints import Print
from lanterna.techniques.derive import SHEET_SIDE, film_of, sheet_of, weighted_by_pixels
from lanterna.techniques.octaves import resized
from lanterna.techniques.style.algorithm import LONGEST, Stylize, steps_at, style, style_sizes
from lanterna.techniques.style.estimate import estimate_style, worth_estimating
from lanterna.techniques.style.film import InstantFilm, StyleFilm, instant_frames, style_frames
from lanterna.techniques.style.instant import Instant, instant
from lanterna.techniques.technique import Estimate, Input, Report, SheetCell, Technique, Work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from lanterna.techniques.execute import Job
    from lanterna.techniques.technique import Frame, Frames

_MAX_SHEET_STEPS = 12
_STRENGTHS_SIDE, _STRENGTHS_STEPS = 192, 16  # as on the sheets of 0.1.0, so that these are made again
_ONE_COLOUR = 0.02  # the range of every channel of a picture of one colour
# A sheet multiplies the requested strength and brush by these.
_STRENGTHS, _INSTANT_STRENGTHS = (0.3, 1.0, 3.0), (0.4, 0.7, 1.0)
_BRUSHES = (0.5, 1.0, 2.0)
_MEMORY = 3 * 2**30  # bytes that tiles may take, even if more is free


class _ForPrint(BaseModel):
    """Settings whose size may be set by the size of a print."""

    print: str | None = Field(
        default=None,
        description="The longer side on paper, such as 30cm@300dpi or 8in: sets the size and saves 16 bits.",
    )

    @model_validator(mode="before")
    @classmethod
    def _set_size(cls, settings: object) -> object:
        if not isinstance(settings, dict) or not isinstance(settings.get("print"), str):
            return settings
        paper = settings["print"]
        pixels = Print.read(paper).pixels
        if settings.get("size") not in (None, pixels, str(pixels)):
            raise UsageError(
                f"print: {paper} is {pixels} pixels, and size is {settings['size']}: leave one of them out"
            )
        return {**settings, "size": pixels}


class Painted(_ForPrint, Stylize):
    """Settings of a step-by-step style transfer, with a print size."""


class PresetSheet(Painted):
    """Settings of a sheet of all presets, so it has none itself."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    preset_help: ClassVar[dict[str, str]] = {}


class InstantlyPainted(_ForPrint, Instant):
    """Settings of an instant style transfer, with a print size."""


def _masks(job: Job, photo: Tensor) -> list[Tensor]:
    """Return the masks of the paintings; paintings without one share what the masks leave free.

    Errors: `UsageError` if there are more masks than paintings.
    """
    masks, count = job.pictures("mask"), job.count("style")
    if len(masks) > count:
        raise UsageError(f"mask: expected at most one for each painting, got {len(masks)} for {count}")
    if masks and len(masks) < count:
        sized = [resized(mask[None], tuple(photo.shape[1:]))[0].clamp(0, 1) for mask in masks]
        rest = (1 - torch.stack(sized).sum(0)).clamp(0, 1)
        masks = [*masks, *(rest,) * (count - len(masks))]
    return masks


def _style(job: Job) -> Work:
    settings: Painted = job.settings
    (photo,) = job.pictures("picture")
    paintings, masks = job.pictures("style"), _masks(job, photo)
    content_mask, start = job.picture("content-mask"), job.picture("start-from")
    frames = style(
        photo, settings, styles=paintings, masks=masks, content_mask=content_mask, start=start,
        network=job.network, **job.checkpointing,
    )  # fmt: skip
    sizes = style_sizes(photo.shape[1], photo.shape[2], settings)
    steps = [steps_at(index, len(sizes), settings) for index in range(len(sizes))]
    (height, width), longest = sizes[-1], max(photo.shape[1:])
    if min(photo.shape[1:]) * max(height, width) < (min(height, width) - 1) * longest:
        job.notify(
            f"the photograph is too narrow, {photo.shape[2]} × {photo.shape[1]} pixels: "
            f"it is stretched to {width} × {height}"
        )

    notes = [
        f"{name} has one colour: {what}"
        for name, pictures, what in (
            ("the photograph", [photo], "there is nothing to recognise in it"),
            ("a painting", paintings, "it has no strokes, so the loss says little"),
        )
        if any((each.amax((1, 2)) - each.amin((1, 2))).max() < _ONE_COLOUR for each in pictures)
    ]
    if any(mask.max() < _ONE_COLOUR for mask in masks):
        notes.append("a mask is black: the style of its painting goes nowhere")

    def report(_: Frame) -> Report:
        if settings.size or longest <= LONGEST:
            return Report(notes=notes)
        larger = min(2 * LONGEST, longest)
        return Report(notes=[*notes, f"the photograph is larger: use --size {larger} for more detail"])

    return Work(frames, fraction_done=weighted_by_pixels(sizes, steps), report=report)


def _estimate(job: Job) -> Estimate | None:
    (photo,) = job.pictures("picture")
    shape = (photo.shape[1], photo.shape[2])
    if not worth_estimating(shape, job.settings):
        return None
    free = free_memory(job.network.get_buffer("mean").device)
    # A resumed run must have the same tiles, however much memory is free then.
    limit = min(_MEMORY, free) if free and not job.checkpoint else _MEMORY
    estimate = estimate_style(shape, job.settings, job.network, limit)
    changes = {"tile": estimate.tile} if estimate.tile < job.settings.tile else {}
    return Estimate(estimate.seconds, estimate.memory, changes)


def _describe(frame: Frame) -> str:
    loss, taken = frame.numbers.get("loss"), getattr(frame, "unchanged_after", None)
    stopped = "" if taken is None else f", unchanged after {taken} steps at this size"
    return "" if loss is None else f", loss {loss:.3f}{stopped}"


def _instant(job: Job) -> Frames:
    (photo,) = job.pictures("picture")
    paintings = job.pictures("style")
    job.fetch(*INSTANT.items(job.settings))
    return instant(photo, job.settings, styles=paintings, device=job.device)


def _check_styles(settings: Instant, counts: Mapping[str, int]) -> Instant:
    if bool(counts.get("style")) == bool(settings.built_in):
        raise UsageError("expected a painting as the style, or built-in styles, but not both")
    return settings


_PAINTINGS = Input("style", "a painting, or several", many=True, example="coffee")

STYLE = Technique(
    name="style", title="Style", help="Your photograph, painted in the style of a painting.",
    settings=Painted, run=_style,
    inputs=(
        Input("picture", "the photograph", required=True, example="chelsea"),
        Input("style", "a painting, or several", required=True, many=True, example="coffee"),
        Input(
            "mask", "a grey picture for each painting, in order: light where its style goes",
            many=True, grey=True, of="style",
        ),
        Input("content-mask", "a grey picture: light where the photograph's content counts", grey=True),
        Input("start-from", "a picture to start from"),
    ),
    shown_first=("strength", "brush", "detail", "keep_colours", "size"),
    live=("strength", "detail", "weights"),
    estimate=_estimate, describe=_describe, resumes="optional",
    manual="""Paint a photograph in the style of a painting.

    `lanterna style cat.jpg --style waves.jpg`, `--strength 2 --brush 0.7`, `--keep-colours light`; `--sheet`
    compares the presets, `--strengths` strengths and brushes. With --instant it takes seconds: `--instant
    --style waves.jpg` or `--instant --built-in 19`.

    Mix two paintings with `--weights 2 1`, or give each its place: `--style sky.jpg sea.jpg --mask
    sky-mask.png`. Give a film instead of the photograph to paint every frame: `--film out.mp4`.

    Ctrl-C saves the picture so far. Without -o it is written to style.png.
    """,
)  # fmt: skip

INSTANT = Technique(
    name="instant", title="Instant", help="Style transfer in a second or two.", verb="style",
    flags=("instant",), settings=InstantlyPainted, run=_instant, inputs=(STYLE.inputs[0], _PAINTINGS),
    shown_first=("strength", "brush", "built_in", "size"), check=_check_styles, describe=_describe,
    file="style", wall="built_in",
    items=lambda _: ("instant-style",),
)  # fmt: skip


# The sheets.


def _grid(settings: Any) -> list[list[Any]]:
    """Return the settings of a sheet: a row for each strength, a column for each brush, increasing."""
    is_instant = isinstance(settings, Instant)
    min_brush, max_brush = (0.5, 4.0) if is_instant else (0.2, 4.0)
    brushes = dict.fromkeys(min(max_brush, max(min_brush, settings.brush * share)) for share in _BRUSHES)
    strengths = dict.fromkeys(
        min(100.0, settings.strength * share) for share in (_INSTANT_STRENGTHS if is_instant else _STRENGTHS)
    )
    return [
        [settings.changed({"strength": round(strength, 3), "brush": round(brush, 3)}) for brush in brushes]
        for strength in strengths
    ]


def _preset_cells(settings: Painted) -> list[SheetCell]:
    """Return a cell for each preset, with the settings that the person changed.

    Presets with a size of their own look like others, and are left out.
    """
    defaults = Painted().model_dump()
    own = {name: value for name, value in settings.model_dump().items() if value != defaults[name]}
    return [
        SheetCell(name, "style", Painted.checked({**preset, **own}), name)
        for name, preset in Painted.presets.items()
        if "size" not in preset
    ]


def _cells(settings: Any) -> list[SheetCell]:
    technique = "instant" if isinstance(settings, Instant) else "style"
    return [
        SheetCell(f"{cell.strength:g}, {cell.brush:g}", technique, cell)
        for row in _grid(settings)
        for cell in row
    ]


def _small(large: Any, side: int, steps: int) -> Any:
    changes: dict[str, Any] = {"size": side, "print": None}
    if isinstance(large, Stylize):
        changes["steps"] = min(large.steps, steps)
    return large.changed(changes)


_SHEET: dict[str, Any] = {
    "cells": _cells, "small": lambda _, large: _small(large, _STRENGTHS_SIDE, _STRENGTHS_STEPS),
    "columns": lambda settings, _: len(_grid(settings)[0]),
    "heading": lambda *_: "Strength, brush",
}  # fmt: skip

PRESET_SHEET = sheet_of(
    STYLE, name="style-presets", title="A sheet", help="Small pictures with each preset, to choose from.",
    verb="style", flags=("sheet",), outputs=("presets",), settings=PresetSheet, presets={},
    shown_first=("strength", "brush", "detail", "keep_colours"),
    cells=_preset_cells, small=lambda _, large: _small(large, SHEET_SIDE, _MAX_SHEET_STEPS),
    columns=lambda *_: 4, heading=lambda *_: "Presets",
)  # fmt: skip

STYLE_SHEET = sheet_of(
    STYLE, name="style-sheet", title="Strengths",
    help="Small pictures with different strengths and brushes, to choose from.", verb="style",
    flags=("strengths",), outputs=("sheet",), shown_first=("strength", "brush", "detail", "keep_colours"),
    **_SHEET,
)  # fmt: skip

INSTANT_SHEET = sheet_of(
    INSTANT, name="instant-sheet", title="An instant sheet",
    help="Small pictures with different settings, to choose from.",
    flags=("instant", "sheet"), outputs=("instant-sheet",), shown_first=("strength", "brush", "built_in"),
    **_SHEET,
)  # fmt: skip


# The films.


def _film(job: Job, done: int) -> Frames:
    assert job.input_film is not None
    originals = job.input_film.frames(max(0, done - 1))
    last = job.frames[done - 1] if done else None
    paintings, count = job.pictures("style"), job.input_film.count
    if isinstance(job.settings, InstantFilm):
        job.fetch(*INSTANT.items(job.settings))
        return instant_frames(
            originals, job.settings, styles=paintings, count=count, device=job.device, done=done, last=last
        )
    return style_frames(
        originals, job.settings, styles=paintings, count=count, network=job.network, done=done, last=last
    )


def _length(job: Job) -> tuple[int, float]:
    if job.input_film is None:
        raise UsageError(
            f"{job.display_name('picture')} is a still picture: expected a film, an animation "
            "or a folder of frames"
        )
    job.pictures("style")
    return job.input_film.count, job.input_film.fps


_ANIMATION = Input("picture", "an animation: a film made by Lanterna, or a GIF", required=True)

STYLE_FILM = film_of(
    STYLE, name="style-film", title="A film", help="An animation, every frame painted step by step.",
    settings=StyleFilm, film_flag="film", outputs=("film",), inputs=(_ANIMATION, STYLE.inputs[1]),
    shown_first=("strength", "brush", "frame_steps", "carry", "size"), frames=_film, length=_length,
)  # fmt: skip

INSTANT_FILM = film_of(
    INSTANT, name="instant-film", title="An instant film",
    help="An animation, every frame painted in the style of a painting.",
    settings=InstantFilm, film_flag="film", outputs=("instant-film",), inputs=(_ANIMATION, _PAINTINGS),
    shown_first=("strength", "brush", "built_in", "carry"), frames=_film, length=_length,
)  # fmt: skip

TECHNIQUES = (STYLE, PRESET_SHEET, STYLE_SHEET, INSTANT, INSTANT_SHEET, INSTANT_FILM, STYLE_FILM)
