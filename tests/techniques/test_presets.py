"""Presets of dreams: they name what is there, they change a picture, and they do not burn it out."""

from __future__ import annotations

from collections import deque

import pytest
import torch
from torch import Tensor

from lanterna import open_picture, shelf
from lanterna.networks import Network, open_network
from lanterna.recipes.dream import Dream, dream, first_stage
from lanterna.recipes.results import open_or_train

SMALL = {"size": 192}


pytestmark = pytest.mark.usefixtures("trained")


def network_of(name: str) -> Network:
    return open_or_train(name) if name in ("conv", "dense") else open_network(name)


def photograph(name: str) -> Tensor:
    return open_picture(shelf.need("photographs") / name, longest=192)


def dreamt(picture: Tensor, **settings) -> Tensor:
    recipe = Dream.checked({**settings, **SMALL})
    (last,) = deque(dream(picture, recipe, network=network_of(recipe.network)), maxlen=1)
    return last.picture


def burnt(picture: Tensor) -> float:
    """The share of values that are as dark or as light as can be."""
    return ((picture < 0.002) | (picture > 0.998)).float().mean().item()


def saturation(picture: Tensor) -> float:
    """How far apart red, green and blue are, on average."""
    return (picture.amax(0) - picture.amin(0)).mean().item()


@pytest.fixture(scope="module")
def pictures() -> dict[str, Tensor]:
    return {name: photograph(name) for name in ("chelsea.png", "coffee.png", "rocket.jpg")}


def test_there_are_presets_to_choose_from_with_gentle_ones_among_them():
    assert 8 <= len(Dream.presets) <= 12
    assert {"engraving", "gentle", "crackle"} < set(Dream.presets)


@pytest.mark.parametrize("name", Dream.presets)
def test_a_preset_changes_a_picture_and_does_not_burn_it_out(name, pictures):
    for picture in pictures.values():
        made = dreamt(picture, **Dream.presets[name])
        assert (made - picture).abs().mean() > 0.015
        assert burnt(made) < burnt(picture) + 0.12
        assert saturation(made) < 1.25 * saturation(picture) + 0.04
        assert abs(made.mean() - picture.mean()) < 0.06
        # What is still to be recognised correlates with what was there.
        both = torch.stack([made.mean(0).flatten(), picture.mean(0).flatten()])
        assert torch.corrcoef(both)[0, 1] > 0.5


def test_presets_differ_from_each_other(pictures):
    cat = pictures["chelsea.png"]
    made = {name: dreamt(cat, **settings) for name, settings in Dream.presets.items()}
    names = list(made)
    for place, one in enumerate(names):
        for other in names[:place]:
            assert (made[one] - made[other]).abs().mean() > 0.02, (one, other)


@pytest.mark.parametrize("name", ["eyes", "crackle"])
def test_a_preset_gives_the_same_picture_again(name, pictures):
    cup = pictures["coffee.png"]
    one, other = (dreamt(cup, **Dream.presets[name]) for _ in range(2))
    assert torch.equal(one, other)
    assert not torch.equal(one, dreamt(cup, **Dream.presets[name], seed=1))


@pytest.mark.parametrize("name", ["engraving", "gentle"])
def test_the_gentle_ones_leave_most_of_a_portrait(name):
    portrait = photograph("astronaut.png")
    change = (dreamt(portrait, **Dream.presets[name]) - portrait).abs().mean()
    assert 0.01 < change < 0.5 * (dreamt(portrait) - portrait).abs().mean()


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite2", "vgg16", "conv", "dense"])
def test_every_network_dreams_with_a_stage_of_its_own_that_is_worth_it(name, pictures):
    network = network_of(name)
    assert first_stage(network) in network.stages
    made = dreamt(pictures["chelsea.png"], network=name)
    assert (made - pictures["chelsea.png"]).abs().mean() > 0.03
    assert burnt(made) < 0.25
    assert abs(made.mean() - pictures["chelsea.png"].mean()) < 0.06


def test_colours_stay_those_of_photographs_unless_vivid_ones_are_asked_for(pictures):
    cat = pictures["chelsea.png"]
    quiet, loud = dreamt(cat, vivid=0), dreamt(cat, vivid=1)

    def greens(picture: Tensor) -> float:  # green to magenta, which photographs hardly vary along
        return ((picture - cat)[1] - (picture - cat)[::2].mean(0)).std().item()

    assert greens(loud) > 2 * greens(quiet)
    assert saturation(loud) > saturation(quiet)
