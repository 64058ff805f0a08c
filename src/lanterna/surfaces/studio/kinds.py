"""The kinds of job, and how the worker does each: thin over what the command line's verbs have.

A kind begins its work on a `Task` and gives a `Doing`: the generator of frames, what to show of a frame, and
what to keep when the work ends or is stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lanterna import shelf
from lanterna.errors import UsageError
from lanterna.networks.digits import DIGIT_EYE
from lanterna.recipes.cppn import Cppn, random_picture
from lanterna.recipes.dream import LONGEST, STEERED, Dream, DreamFrame, dream
from lanterna.recipes.feature import Feature, FeatureFrame, feature
from lanterna.recipes.octaves import octave_sizes
from lanterna.recipes.paint import Paint, PaintFrame
from lanterna.recipes.recipe import Frame, Recipe
from lanterna.recipes.rendering import wall
from lanterna.recipes.style import StyleFrame, steps_at, style_sizes
from lanterna.surfaces import dreaming, featuring, inventing, painting, styling
from lanterna.surfaces.studio.learning import TRAIN
from lanterna.surfaces.studio.task import Doing, Kind, Result, Role, Task, Tile, by_pixels

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from torch import Tensor

_WALL = 2**17  # pixels of several paintings shown together


# Dream.

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


# Style.

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


def _some_style(recipe: styling.InstantlyPainted, counts: Mapping[str, int]) -> styling.InstantlyPainted:
    if bool(counts.get("style")) == bool(recipe.built_in):
        raise UsageError("instant: expected a painting as the style, or built_in styles, and not both")
    return recipe


# Paint.


def _begin_paint(task: Task) -> Doing:
    recipe: Paint = task.recipe
    frames = painting.frames_of(
        task.all("picture"), task.all("mask"), recipe, checkpoint=task.checkpoint, resume=task.resume
    )

    def results(frame: PaintFrame, steered: Paint) -> list[Result]:
        made = frame.recipe.changed({"rate": steered.rate})
        record = painting.paint_record("paint", made, task.notes, "auto")
        return [Result(painting.whole(frame), record, also=(".safetensors", frame.painting.save))]

    def shown(frame: PaintFrame) -> Tensor | None:
        return wall(frame.painting, _WALL) if frame.painting.pictures > 1 else frame.picture

    def share(frame: PaintFrame) -> float:
        return frame.step / frame.steps if frame.steps else frame.numbers["seconds"] / recipe.seconds

    return Doing(frames, results, shown, share)


def _masks_fit(recipe: Paint, counts: Mapping[str, int]) -> Paint:
    masks, pictures = counts.get("mask", 0), counts["picture"]
    if masks not in (0, 1, pictures):
        raise UsageError(f"paint takes one mask for all pictures or one for each, got {masks} for {pictures}")
    return recipe


# Pictures without a picture.


def _begin_random(task: Task) -> Doing:
    recipe: Cppn = task.recipe

    def frames() -> Generator[Frame, None, None]:
        yield Frame(1, 1, picture=random_picture(recipe))

    return Doing(
        frames(), lambda frame, _: [Result(frame.picture, inventing.random_record("random", recipe))]
    )


def _begin_random_sheet(task: Task) -> Doing:
    recipe: inventing.RandomSheet = task.recipe
    record = inventing.random_record("random-sheet", recipe)
    tiles = [
        Tile(str(seed), "random", recipe.only(Cppn).changed({"seed": seed}))
        for seed in range(recipe.seed, recipe.seed + recipe.sheet)
    ]

    def results(frame: Frame, _: Recipe) -> list[Result]:
        assert frame.picture is not None
        return [Result(frame.picture, record, tiles=tiles, columns=4, gap=12)]

    return Doing(inventing.sheet_frames(recipe), results)


def _fits_memory(recipe: Cppn, _: Mapping[str, int]) -> Cppn:
    inventing.check_size(recipe)
    return recipe


# What a network wants to see.


def _begin_feature(task: Task) -> Doing:
    recipe: Feature = task.recipe
    network = task.network(recipe.network)
    if recipe.sheet:
        task.fetch("mnist" if network.eye == DIGIT_EYE else "photographs")

    def results(frame: FeatureFrame, _: Feature) -> list[Result]:
        picture = featuring.sheet(recipe, frame, network)[0] if recipe.sheet else frame.picture
        assert picture is not None
        return [Result(picture, featuring.feature_record(recipe, network))]

    return Doing(feature(recipe, network=network), results)


def _wishes_something(recipe: Feature, _: Mapping[str, int]) -> Feature:
    recipe.check_wish()
    return recipe


# What the shelf does not have yet.


class Fetch(Recipe):
    """Fetch something to the shelf."""

    verb: ClassVar[str] = "fetch"

    item: str = Field(
        default="mnist", description="What to fetch.", json_schema_extra={"enum": list(shelf.ITEMS)}
    )


def _on_the_shelf(recipe: Fetch, _: Mapping[str, int]) -> Fetch:
    if recipe.item not in shelf.ITEMS:
        raise UsageError(f"the shelf has no {recipe.item[:60]!r}: it has {', '.join(shelf.ITEMS)}")
    return recipe


def _begin_fetch(task: Task) -> Doing:
    task.fetch(task.recipe.item)
    return Doing((frame for frame in [Frame(1, 1)]), lambda *_: [])


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "dream", "dream", "Dream", "More of what a network sees in your picture.", Dream, _begin_dream,
            inputs=(_PICTURE, _GUIDE, _MASK),
            steers=tuple(sorted(STEERED - {"mask_stage"})),
            plain=("stage", "steps", "step_size", "octaves", "size"),
            hidden=("guided",), presets=Dream.presets, check=_guided,
        ),
        Kind(
            "dream-sheet", "dream", "A sheet of dreams", "Small dreams side by side, to choose from.",
            DreamSheet, _begin_dream_sheet, inputs=(_PICTURE, _GUIDE, _MASK), plain=("sheet", "stage"),
            hidden=("guided", "shown"), presets=Dream.presets, check=_guided,
        ),
        Kind(
            "style", "style", "Style", "Your photograph, painted in the style of a painting.",
            styling.Painted, _begin_style, inputs=_STYLE_ROLES, steers=("strength", "detail", "weights"),
            plain=("strength", "brush", "detail", "keep_colours", "size"),
            presets=styling.Painted.presets,
        ),
        Kind(
            "style-sheet", "style", "A sheet of strengths and brushes", "Small pictures, to choose from.",
            styling.Painted, _begin_style_sheet, inputs=_STYLE_ROLES,
            plain=("strength", "brush", "detail", "keep_colours"), presets=styling.Painted.presets,
        ),
        Kind(
            "instant", "style", "Instant style", "The same in a second or two.",
            styling.InstantlyPainted, _begin_instant,
            inputs=(_STYLE_ROLES[0], Role("style", "a painting, or several", many=True)),
            plain=("strength", "brush", "built_in", "size"), check=_some_style,
        ),
        Kind(
            "paint", "paint", "Paint", "A network learns to paint your picture, pixel by pixel.", Paint,
            _begin_paint,
            inputs=(
                Role("picture", "the picture to learn, or several", required=True, many=True),
                Role("mask", "a grey picture: light where the network must guess", many=True),
            ),
            steers=("rate",), plain=("network", "seconds", "size", "keep"), presets=Paint.presets,
            check=_masks_fit,
        ),
        Kind(
            "random", "paint", "Random", "What a network paints that has learned nothing.", Cppn,
            _begin_random, plain=("seed", "layers", "spread", "zoom", "mirror", "repeats", "colours"),
            presets=Cppn.presets, check=_fits_memory,
        ),
        Kind(
            "random-sheet", "paint", "A sheet of random pictures", "Seeds side by side, to choose from.",
            inventing.RandomSheet, _begin_random_sheet, plain=("seed", "sheet", "layers", "spread"),
            presets=Cppn.presets, check=_fits_memory,
        ),
        Kind(
            "feature", "look", "Feature", "What a channel, unit or class of a network wants to see.", Feature,
            _begin_feature, plain=("network", "stage", "channel", "class_", "steps"), check=_wishes_something,
        ),
        TRAIN,
        Kind(
            "fetch", "shelf", "Fetch", "Fetch data or weights to the shelf.", Fetch, _begin_fetch,
            check=_on_the_shelf,
        ),
    )
}  # fmt: skip
