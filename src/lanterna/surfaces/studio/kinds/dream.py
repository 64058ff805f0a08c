"""Dreams: one picture, a sheet of small ones, a film."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lanterna.images import make_record, open_picture
from lanterna.images.film_reading import open_film
from lanterna.networks import shelf_items
from lanterna.recipes.dream import LONGEST, STEERED, Dream, DreamFrame, dream
from lanterna.recipes.dream_film import DreamFilm, dream_frames, dream_zoom
from lanterna.recipes.octaves import octave_sizes
from lanterna.surfaces import dreaming
from lanterna.surfaces.studio.kinds.filmed import filmed
from lanterna.surfaces.studio.task import Doing, Kind, Result, Role, Task, Tile, by_pixels, is_animated

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from lanterna.recipes.recipe import Frame
    from lanterna.surfaces.frame_folder import FrameFolder

_PICTURE = Role("picture", "the picture to dream on", required=True)
_GUIDE = Role("guide", "another picture, whose features are dreamed")
_MASK = Role("mask", "a grey picture: light where to dream", many=True)


class DreamSheet(dreaming.Sheet):
    """A sheet of small dreams to choose from."""

    sheet: Literal["stages", "channels", "presets"] = Field(
        default="presets", description="What differs from one to the next."
    )


def _guided(recipe: Dream, counts: Mapping[str, int]) -> Dream:
    return recipe.changed({"guided": bool(counts.get("guide"))})


def _begin_dream(task: Task) -> Doing:
    recipe: Dream = task.recipe
    source = task.one("picture")
    assert source is not None
    pictures = dreaming.open_pictures(source, task.one("guide"), task.all("mask"))
    network = task.network(recipe.network)
    frames = dream(
        pictures.picture, recipe, network=network, guide=pictures.guide, masks=pictures.masks,
        checkpoint=task.checkpoint, resume=task.resume,
    )  # fmt: skip
    height, width = pictures.picture.shape[1:]
    longest = recipe.size or min(max(height, width), LONGEST)
    sizes = octave_sizes(height, width, longest, recipe.octaves, recipe.ratio)

    def results(frame: DreamFrame, steered: Dream) -> list[Result]:
        return [Result(frame.whole(), dreaming.dream_record("dream", steered, network, task.notes))]

    return Doing(frames, results, share=by_pixels(sizes, [recipe.steps] * len(sizes)))


def _begin_dream_sheet(task: Task) -> Doing:
    kind: dreaming.Kind = task.recipe.sheet
    source = task.one("picture")
    assert source is not None
    pictures = dreaming.open_pictures(source, task.one("guide"), task.all("mask"))
    network = task.network(task.recipe.network)
    recipe = dreaming.choose(kind, task.recipe.only(dreaming.Sheet), network, pictures.picture)
    frames = dreaming.sheet_frames(kind, recipe, network, pictures)
    record = dreaming.dream_record(kind, recipe, network, task.notes)
    tiles = [
        Tile(dreaming.label(name), "dream", dreaming.large_recipe(kind, recipe, name))
        for name in recipe.shown
    ]
    columns = dreaming.columns_for(len(tiles))
    return Doing(frames, lambda frame, _: [Result(frame.picture, record, tiles=tiles, columns=columns)])


def _begin_dream_film(task: Task) -> Doing:
    """The endless zoom into a picture, or an animation dreamed frame after frame."""
    recipe: DreamFilm = task.recipe
    source, guided = task.one("picture"), task.one("guide")
    assert source is not None
    guide = None if guided is None else open_picture(guided)
    network = task.network(recipe.network)
    record = make_record(
        "dream", "film", recipe, inputs=task.notes, network=network, network_name=recipe.network,
        device=network.get_buffer("mean").device, shelf_items=shelf_items(recipe.network),
    )  # fmt: skip
    film = open_film(source) if is_animated(source) else None

    def work(kept: FrameFolder) -> Generator[Frame, None, None]:
        done, last = kept.done, kept[kept.done - 1] if kept.done else None
        if film is not None:
            originals = film.frames(max(0, done - 1))
            return dream_frames(
                originals, recipe, count=film.count, network=network, guide=guide, done=done, last=last
            )
        first = kept[0] if done else None
        still = open_picture(source)
        return dream_zoom(still, recipe, network=network, guide=guide, done=done, first=first, last=last)

    count, fps = (recipe.frames, recipe.fps) if film is None else (film.count, film.fps)
    return filmed(task, record, work, count=count, fps=fps)


KINDS = (
    Kind(
        "dream", "dream", "Dream", "More of what a network sees in your picture.", Dream, _begin_dream,
        inputs=(_PICTURE, _GUIDE, _MASK),
        steers=tuple(sorted(STEERED - {"mask_stage"})),
        plain=("stage", "steps", "step_size", "octaves", "size"),
        hidden=("guided",), presets=Dream.presets, check=_guided,
    ),
    Kind(
        "dream-sheet", "dream", "A sheet", "Small dreams side by side, to choose from.",
        DreamSheet, _begin_dream_sheet, inputs=(_PICTURE, _GUIDE, _MASK), plain=("sheet", "stage"),
        hidden=("guided", "shown"), presets=Dream.presets, check=_guided,
    ),
    Kind(
        "dream-film", "dream", "A film", "An endless zoom into a dream, or an animation that is dreamed.",
        DreamFilm, _begin_dream_film,
        inputs=(Role("picture", "the picture to zoom into, or an animation", required=True), _GUIDE),
        plain=("stage", "frames", "zoom", "turn", "loop"), hidden=("guided",), presets=Dream.presets,
        check=_guided,
    ),
)  # fmt: skip
