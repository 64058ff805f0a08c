"""Photographs in the style of paintings: optimised, as a sheet, instant, and as a film."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanterna.errors import UsageError
from lanterna.images import make_record, open_picture
from lanterna.images.film_reading import open_film
from lanterna.recipes.style import StyleFrame, steps_at, style_sizes
from lanterna.recipes.style_film import InstantFilm, instant_frames
from lanterna.surfaces import styling
from lanterna.surfaces.studio.kinds.filmed import filmed
from lanterna.surfaces.studio.task import Doing, Kind, Result, Role, Task, Tile, by_pixels, is_animated

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from lanterna.recipes.instant import Instant
    from lanterna.recipes.recipe import Frame
    from lanterna.surfaces.frame_folder import FrameFolder

_STYLE_ROLES = (
    Role("picture", "the photograph", required=True),
    Role("style", "a painting, or several", required=True, many=True),
    Role("mask", "a grey picture for each painting: light where its style goes", many=True),
    Role("content-mask", "a grey picture: light where the photograph counts"),
    Role("start-from", "a picture to begin with"),
)


def _painted(task: Task) -> styling.Pictures:
    photo = task.one("picture")
    assert photo is not None
    return styling.open_pictures(
        photo, task.all("style"), task.all("mask"), task.one("content-mask"), task.one("start-from")
    )


def _begin_style(task: Task) -> Doing:
    recipe: styling.Painted = task.recipe
    pictures = _painted(task)
    network = task.network(recipe.network)
    frames = styling.frames_of(
        recipe, pictures, network=network, checkpoint=task.checkpoint, resume=task.resume
    )
    sizes = style_sizes(pictures.photo.shape[1], pictures.photo.shape[2], recipe)
    steps = [steps_at(number, len(sizes), recipe) for number in range(len(sizes))]

    def results(frame: StyleFrame, steered: styling.Painted) -> list[Result]:
        return [Result(frame.whole(), styling.style_record(steered, task.notes, network=network))]

    return Doing(frames, results, share=by_pixels(sizes, steps))


def _begin_instant(task: Task) -> Doing:
    recipe: styling.InstantlyPainted = task.recipe
    task.fetch("instant-style")
    frames = styling.frames_of(recipe, _painted(task))
    return Doing(frames, lambda frame, _: [Result(frame.picture, styling.style_record(recipe, task.notes))])


def _begin_style_sheet(task: Task) -> Doing:
    recipe: styling.Painted = task.recipe
    pictures = _painted(task)
    network = task.network(recipe.network)
    frames = styling.sheet_frames(recipe, pictures, network=network)
    record = styling.style_record(recipe, task.notes, sheet=True, network=network)
    rows = styling.grid(recipe)
    tiles = [Tile(styling.label(one), "style", one) for row in rows for one in row]
    columns = len(rows[0])
    return Doing(frames, lambda frame, _: [Result(frame.picture, record, tiles=tiles, columns=columns)])


def _some_style(recipe: Instant, counts: Mapping[str, int]) -> Instant:
    if bool(counts.get("style")) == bool(recipe.built_in):
        raise UsageError("instant: expected a painting as the style, or built_in styles, and not both")
    return recipe


def _begin_instant_film(task: Task) -> Doing:
    recipe: InstantFilm = task.recipe
    task.fetch("instant-style")
    source = task.one("picture")
    assert source is not None
    if not is_animated(source):
        raise UsageError("a film wants an animation (WebP, GIF) to paint, such as a film made here")
    film, paintings = open_film(source), [open_picture(each) for each in task.all("style")]
    record = make_record("style", "instant-film", recipe, inputs=task.notes, shelf_items=["instant-style"])

    def work(kept: FrameFolder) -> Generator[Frame, None, None]:
        done, last = kept.done, kept[kept.done - 1] if kept.done else None
        originals = film.frames(max(0, done - 1))
        return instant_frames(originals, recipe, styles=paintings, count=film.count, done=done, last=last)

    return filmed(task, record, work, count=film.count, fps=film.fps)


KINDS = (
    Kind(
        "style", "style", "Style", "Your photograph, painted in the style of a painting.",
        styling.Painted, _begin_style, inputs=_STYLE_ROLES, steers=("strength", "detail", "weights"),
        plain=("strength", "brush", "detail", "keep_colours", "size"),
        presets=styling.Painted.presets,
    ),
    Kind(
        "style-sheet", "style", "A sheet", "Small pictures, to choose from.",
        styling.Painted, _begin_style_sheet, inputs=_STYLE_ROLES,
        plain=("strength", "brush", "detail", "keep_colours"), presets=styling.Painted.presets,
    ),
    Kind(
        "instant", "style", "Instant", "The same in a second or two.",
        styling.InstantlyPainted, _begin_instant,
        inputs=(_STYLE_ROLES[0], Role("style", "a painting, or several", many=True)),
        plain=("strength", "brush", "built_in", "size"), check=_some_style,
    ),
    Kind(
        "instant-film", "style", "A film", "An animation, every frame painted in the style of a painting.",
        InstantFilm, _begin_instant_film,
        inputs=(
            Role("picture", "an animation: a film made here, or a GIF", required=True),
            Role("style", "a painting, or several", many=True),
        ),
        plain=("strength", "brush", "built_in", "carry"), check=_some_style,
    ),
)  # fmt: skip
