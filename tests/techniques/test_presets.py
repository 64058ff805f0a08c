"""Presets of dreams: they name what is there, they change a picture, and they do not burn it out."""

from __future__ import annotations

from collections import deque
from functools import cache

import pytest
import torch
from torch import Tensor

from lanterna import open_picture, shelf
from lanterna.networks import Network, open_network
from lanterna.techniques.dream.algorithm import Dream, dream, first_layer
from lanterna.techniques.octaves import resized
from lanterna.techniques.train.technique import open_or_train

SIDE = 96  # two octaves: with one alone, presets do less than they do at the sizes they were made for
PHOTOGRAPHS = ("chelsea.png", "coffee.png", "rocket.jpg")

pytestmark = pytest.mark.usefixtures("trained")


@cache
def network_of(name: str) -> Network:
    return open_or_train(name) if name in ("conv", "dense") else open_network(name)


@cache
def photograph(name: str, side: int = SIDE) -> Tensor:
    """A square of it, however wide it was."""
    return resized(open_picture(shelf.need("photographs") / name), (side, side)).clamp(0, 1)


def dreamt(picture: Tensor, **values) -> Tensor:
    settings = Dream.checked({**values, "size": max(picture.shape)})
    (last,) = deque(dream(picture, settings, network=network_of(settings.network)), maxlen=1)
    return last.picture


@cache
def by_preset(preset: str, name: str, side: int = SIDE) -> Tensor:
    """What a preset makes of a photograph: made once, and looked at by several tests."""
    return dreamt(photograph(name, side), **Dream.presets[preset])


def burnt(picture: Tensor) -> float:
    """The share of values that are as dark or as light as can be."""
    return ((picture < 0.002) | (picture > 0.998)).float().mean().item()


def saturation(picture: Tensor) -> float:
    """How far apart red, green and blue are, on average."""
    return (picture.amax(0) - picture.amin(0)).mean().item()


def test_there_are_presets_to_choose_from_with_gentle_ones_among_them():
    assert 8 <= len(Dream.presets) <= 12
    assert {"engraving", "gentle", "crackle"} < set(Dream.presets)


@pytest.mark.parametrize("name", Dream.presets)
def test_a_preset_changes_a_picture_and_does_not_burn_it_out(name):
    for photo in PHOTOGRAPHS:
        picture, made = photograph(photo), by_preset(name, photo)
        assert (made - picture).abs().mean() > 0.015
        assert burnt(made) < burnt(picture) + 0.12
        assert saturation(made) < 1.25 * saturation(picture) + 0.04
        assert abs(made.mean() - picture.mean()) < 0.06
        # What is still to be recognised correlates with what was there.
        both = torch.stack([made.mean(0).flatten(), picture.mean(0).flatten()])
        assert torch.corrcoef(both)[0, 1] > 0.5


def test_presets_differ_from_each_other():
    made = {name: by_preset(name, "chelsea.png") for name in Dream.presets}
    names = list(made)
    for place, one in enumerate(names):
        for other in names[:place]:
            assert (made[one] - made[other]).abs().mean() > 0.02, (one, other)


@pytest.mark.parametrize("name", ["eyes", "crackle"])
def test_a_preset_gives_the_same_picture_again(name):
    cup, made = photograph("coffee.png"), by_preset(name, "coffee.png")
    assert torch.equal(made, dreamt(cup, **Dream.presets[name]))
    assert not torch.equal(made, dreamt(cup, **Dream.presets[name], seed=1))


def test_the_gentle_ones_leave_most_of_a_portrait():
    portrait = photograph("astronaut.png", 128)
    usual = (dreamt(portrait) - portrait).abs().mean()
    for name in ("engraving", "gentle"):
        change = (by_preset(name, "astronaut.png", 128) - portrait).abs().mean()
        assert 0.01 < change < 0.5 * usual


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite2", "vgg16", "conv", "dense"])
def test_every_network_dreams_with_a_layer_of_its_own_that_is_worth_it(name):
    network, cat = network_of(name), photograph("chelsea.png", 64 if name == "vgg16" else SIDE)
    assert first_layer(network) in network.layers
    made = dreamt(cat, network=name)
    assert (made - cat).abs().mean() > 0.03
    assert burnt(made) < 0.25
    assert abs(made.mean() - cat.mean()) < 0.06


def test_colours_stay_those_of_photographs_unless_vivid_ones_are_asked_for():
    cat = photograph("chelsea.png")
    quiet, loud = dreamt(cat, vivid=0), dreamt(cat, vivid=1)

    def greens(picture: Tensor) -> float:  # green to magenta, which photographs hardly vary along
        return ((picture - cat)[1] - (picture - cat)[::2].mean(0)).std().item()

    assert greens(loud) > 2 * greens(quiet)
    assert saturation(loud) > saturation(quiet)
