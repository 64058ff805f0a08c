"""Pictures without a picture: what a network paints that has learned nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanterna.recipes.cppn import Cppn, random_loop, random_picture
from lanterna.recipes.recipe import Frame, Recipe
from lanterna.surfaces import inventing
from lanterna.surfaces.studio.kinds.filmed import filmed
from lanterna.surfaces.studio.task import Doing, Kind, Result, Task, Tile

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from lanterna.surfaces.frame_folder import FrameFolder


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


def _begin_random_loop(task: Task) -> Doing:
    recipe: inventing.RandomLoop = task.recipe
    still = recipe.only(Cppn)

    def work(kept: FrameFolder) -> Generator[Frame, None, None]:
        return random_loop(still, recipe.frames, done=kept.done)

    record = inventing.random_record("random-loop", recipe)
    return filmed(task, record, work, count=recipe.frames, fps=recipe.fps)


KINDS = (
    Kind(
        "random", "paint", "Random", "What a network paints that has learned nothing.", Cppn,
        _begin_random, plain=("seed", "layers", "spread", "zoom", "mirror", "repeats", "colours"),
        presets=Cppn.presets, check=_fits_memory,
    ),
    Kind(
        "random-sheet", "paint", "Random sheet", "Seeds side by side, to choose from.",
        inventing.RandomSheet, _begin_random_sheet, plain=("seed", "sheet", "layers", "spread"),
        presets=Cppn.presets, check=_fits_memory,
    ),
    Kind(
        "random-loop", "paint", "Random loop", "A film through the weights, and back to where it began.",
        inventing.RandomLoop, _begin_random_loop, plain=("seed", "frames", "layers", "spread", "colours"),
        presets=Cppn.presets, check=_fits_memory,
    ),
)  # fmt: skip
