"""What a network wants to see, what its first layer looks for, and what it reads on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lanterna.networks.digits import DIGIT_EYE
from lanterna.probes.kernels import first_kernels
from lanterna.recipes.feature import Feature, FeatureFrame, Kernels, feature
from lanterna.recipes.read import Read, read
from lanterna.recipes.recipe import Frame
from lanterna.recipes.results import open_or_train
from lanterna.surfaces import featuring, reading
from lanterna.surfaces.studio.task import Doing, Kind, Result, Role, Task

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping


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


def _begin_kernels(task: Task) -> Doing:
    recipe: Kernels = task.recipe
    network = task.network(recipe.network)
    record = featuring.kernels_record(recipe, network)

    def frames() -> Generator[Frame, Any, None]:
        yield Frame(1, 1, picture=featuring.kernels_sheet(first_kernels(network), network.name))

    return Doing(frames(), lambda frame, _: [Result(frame.picture, record)])


def _begin_read(task: Task) -> Doing:
    recipe: Read = task.recipe
    source = task.one("picture")
    assert source is not None
    task.fetch("mnist")
    network = open_or_train(recipe.network, device="auto")
    page = read(source, recipe, network=network)

    def frames() -> Generator[Frame, Any, None]:
        yield Frame(1, 1, picture=reading.draw(page, "page"))

    def results(*_: object) -> list[Result]:
        made: tuple[reading.Made, ...] = ("page", "steps")
        return [
            Result(reading.draw(page, each), reading.record_of(each, recipe, network, task.notes))
            for each in made
        ]

    return Doing(frames(), results)


KINDS = (
    Kind(
        "feature", "look", "Feature", "What a channel, unit or class of a network wants to see.", Feature,
        _begin_feature, plain=("network", "stage", "channel", "class_", "steps"), check=_wishes_something,
    ),
    Kind(
        "kernels", "look", "First kernels", "What the first layer looks for: edges, bars, blobs, or neither.",
        Kernels, _begin_kernels, plain=("network",),
    ),
    Kind(
        "read", "read", "Read", "A page with what was read on it, and every step that led there.", Read,
        _begin_read, inputs=(Role("picture", "the page to read", required=True),), plain=("network",),
    ),
)  # fmt: skip
