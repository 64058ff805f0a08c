"""Networks that paint: one that learns a picture, a race of four, and what a painting has in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lanterna.errors import UsageError
from lanterna.images import note_input, open_picture
from lanterna.recipes.paint import Paint, PaintFrame
from lanterna.recipes.paint_race import Race, RaceFrame, race
from lanterna.recipes.recipe import Frame, Recipe
from lanterna.recipes.rendering import Grid, Morph, Render, View, morph, wall
from lanterna.surfaces import painting
from lanterna.surfaces.studio.kinds.filmed import filmed
from lanterna.surfaces.studio.task import Doing, Film, Kind, Result, Role, Task

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from torch import Tensor

    from lanterna.images import Record
    from lanterna.recipes.painting import Painting
    from lanterna.surfaces.frame_folder import FrameFolder

_WALL = 2**17  # pixels of several paintings shown together


def _begin_paint(task: Task) -> Doing:
    recipe: Paint = task.recipe
    frames = painting.frames_of(
        task.all("picture"), task.all("mask"), recipe, checkpoint=task.checkpoint, resume=task.resume
    )

    def results(frame: PaintFrame, steered: Paint) -> list[Result]:
        made = frame.recipe.changed({"rate": steered.rate})
        record = painting.paint_record("paint", made, task.notes, "auto")
        return [Result(painting.whole(frame), record, also=(".safetensors", frame.painting.save))]

    return Doing(frames, results, _shown, share=lambda frame: _share(frame, recipe))


def _shown(frame: PaintFrame) -> Tensor | None:
    return wall(frame.painting, _WALL) if frame.painting.pictures > 1 else frame.picture


def _share(frame: PaintFrame, recipe: Paint) -> float:
    return frame.step / frame.steps if frame.steps else frame.numbers["seconds"] / recipe.seconds


def _masks_fit(recipe: Paint, counts: Mapping[str, int]) -> Paint:
    masks, pictures = counts.get("mask", 0), counts["picture"]
    if masks not in (0, 1, pictures):
        raise UsageError(f"paint takes one mask for all pictures or one for each, got {masks} for {pictures}")
    return recipe


def _begin_paint_film(task: Task) -> Doing:
    """A painting, and the film of how it was learned."""
    recipe: Paint = task.recipe
    note = {"recipe": recipe.model_dump(mode="json")}
    film = painting.LearningFilm(
        task.checkpoint.with_name("film.webp"), note, resume=task.resume, force=not task.resume
    )
    frames = film.watched(
        painting.frames_of(
            task.all("picture"), task.all("mask"), recipe, checkpoint=task.checkpoint, resume=task.resume,
            filmed=True,
        )
    )  # fmt: skip

    def results(frame: PaintFrame, steered: Paint) -> list[Result]:
        made = frame.recipe.changed({"rate": steered.rate})
        last = painting.whole(frame)
        pictures, count = film.whole(last)
        return [
            Result(last, painting.paint_record("paint", made, task.notes, "auto"),
                   also=(".safetensors", frame.painting.save)),
            Result(last, painting.paint_record("film", made, task.notes, "auto"),
                   film=Film(pictures, count, painting.FPS, painting.HOLD)),
        ]  # fmt: skip

    return Doing(frames, results, _shown, share=lambda frame: _share(frame, recipe))


def _begin_race(task: Task) -> Doing:
    recipe: Race = task.recipe
    source = task.one("picture")
    assert source is not None

    def results(frame: RaceFrame, _: Race) -> list[Result]:
        assert frame.picture is not None
        return [Result(frame.picture, painting.race_record("race", recipe, task.notes, "auto"))]

    return Doing(race(open_picture(source), recipe), results)


_LEARNED = (
    Role("picture", "the picture to learn, or several", required=True, many=True),
    Role("mask", "a grey picture: light where the network must guess", many=True),
)
_PAINTING = Role("painting", "a picture that Paint has made here", required=True)


def _opened(task: Task) -> tuple[Painting, Path]:
    """The painting beside a picture, and its file."""
    picture = task.one("painting")
    assert picture is not None
    file = picture.with_suffix(".safetensors")
    if not file.is_file():
        raise UsageError("there is no painting in this picture: choose one that Paint has made here")
    return painting.opened_on("auto", file), file


def _record(made: str, recipe: Recipe, opened: Painting, file: Path) -> Record:
    return painting.render_record(made, recipe, note_input(file, name="paint.safetensors"), opened)


def _begin_render(task: Task) -> Doing:
    recipe: View = task.recipe
    opened, file = _opened(task)
    record = _record("grid" if isinstance(recipe, Grid) else "render", recipe, opened, file)
    return Doing(painting.rendered(opened, recipe), lambda frame, _: [Result(frame.picture, record)])


def _begin_morph(task: Task) -> Doing:
    recipe: Morph = task.recipe
    opened, file = _opened(task)
    recipe.pixels(opened)

    def work(kept: FrameFolder) -> Generator[Frame, None, None]:
        return morph(opened, recipe, done=kept.done)

    record = _record("morph", recipe, opened, file)
    return filmed(task, record, work, count=recipe.count(opened), fps=recipe.fps)


def _begin_neurons(task: Task) -> Doing:
    recipe: painting.Neurons = task.recipe
    opened, file = _opened(task)
    record = _record("neurons", recipe, opened, file)

    def frames() -> Generator[Frame, Any, None]:
        yield Frame(1, 1, picture=painting.neurons_of(opened, recipe))

    return Doing(frames(), lambda frame, _: [Result(frame.picture, record)])


KINDS = (
    Kind(
        "paint", "paint", "Paint", "A network learns to paint your picture, pixel by pixel.", Paint,
        _begin_paint,
        inputs=_LEARNED,
        steers=("rate",), plain=("network", "seconds", "size", "keep"), presets=Paint.presets,
        check=_masks_fit,
    ),
    Kind(
        "paint-film", "paint", "A film", "The same, and a film of how it was learned.", Paint,
        _begin_paint_film, inputs=_LEARNED, steers=("rate",), plain=("network", "seconds", "size"),
        presets=Paint.presets, check=_masks_fit,
    ),
    Kind(
        "race", "paint", "A race", "Four networks learn one picture side by side.", Race, _begin_race,
        inputs=(Role("picture", "the picture that all learn", required=True),),
        plain=("seconds", "equal", "parameters", "size"),
    ),
    Kind(
        "render", "paint", "Large", "A painting again, at any size: for the wall, nearer, or past its frame.",
        Render, _begin_render, inputs=(_PAINTING,), plain=("size", "print", "zoom", "beyond", "turn"),
    ),
    Kind(
        "grid", "paint", "In between", "What a painting of several pictures has between them, on a sheet.",
        Grid, _begin_render, inputs=(_PAINTING,), plain=("between", "size"),
    ),
    Kind(
        "morph", "paint", "Morph", "A film from picture to picture, of a painting of several.", Morph,
        _begin_morph, inputs=(_PAINTING,), plain=("frames", "fps", "size"),
    ),
    Kind(
        "neurons", "paint", "Neurons", "What each neuron of a painting paints.", painting.Neurons,
        _begin_neurons, inputs=(_PAINTING,), plain=("columns", "rows", "side"),
    ),
)  # fmt: skip
