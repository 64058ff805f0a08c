"""Presets of dreams excite what they name, change a picture, and do not burn it out."""

from __future__ import annotations

import itertools
from collections import deque
from functools import cache

import pytest
import torch
from torch import Tensor

from lanterna import open_picture, shelf
from lanterna.networks import Network, open_network
from lanterna.probes import objectives
from lanterna.techniques.dream.algorithm import Dream, default_layers, dream
from lanterna.techniques.dream.tiles import match_channels
from lanterna.techniques.octaves import resized
from lanterna.techniques.train.technique import open_or_train

SIDE = 96  # two octaves: with one, presets have less effect than at the sizes for which they were chosen
NETWORKS = ("efficientnet-lite0", "efficientnet-lite2", "vgg19", "vgg16", "conv", "dense")
PHOTOGRAPHS = ("chelsea.png", "coffee.png", "rocket.jpg")

pytestmark = pytest.mark.usefixtures("trained")


@cache
def network_of(name: str) -> Network:
    return open_or_train(name) if name in ("conv", "dense") else open_network(name)


@cache
def photograph(name: str, side: int = SIDE) -> Tensor:
    """A photograph, resized to a square."""
    return resized(open_picture(shelf.need("photographs") / name), (side, side)).clamp(0, 1)


def dreamt(picture: Tensor, **values) -> Tensor:
    settings = Dream.checked({**values, "size": max(picture.shape)})
    (last,) = deque(dream(picture, settings, network=network_of(settings.network)), maxlen=1)
    return last.picture


@cache
def by_preset(preset: str, name: str, side: int = SIDE) -> Tensor:
    """A photograph dreamed with a preset, cached for several tests."""
    return dreamt(photograph(name, side), **Dream.presets[preset])


def burnt(picture: Tensor) -> float:
    """The fraction of values that are clipped to black or white."""
    return ((picture < 0.002) | (picture > 0.998)).float().mean().item()


def saturation(picture: Tensor) -> float:
    """How far apart red, green and blue are, on average."""
    return (picture.amax(0) - picture.amin(0)).mean().item()


def test_there_are_presets_to_choose_from_with_gentle_ones_among_them():
    assert 8 <= len(Dream.presets) <= 12
    assert {"engraving", "gentle", "crackle"} < set(Dream.presets)
    assert Dream.preset_help.keys() == Dream.presets.keys()


@pytest.mark.parametrize("name", Dream.presets)
def test_a_preset_excites_its_layers(name):
    settings = Dream.checked(Dream.presets[name])
    network = network_of(settings.network)
    for target in settings.targets(network):
        chosen = objectives.channels(target.layer, target.channels)
        objective = chosen if target.channels else objectives.energy(target.layer)
        before, after = (
            objective(network, match_channels(each[None], network)).item()
            for each in (photograph("chelsea.png"), by_preset(name, "chelsea.png"))
        )
        assert after > 1.2 * before, target


@pytest.mark.parametrize("name", Dream.presets)
def test_a_preset_changes_a_picture_and_does_not_burn_it_out(name):
    for photo in PHOTOGRAPHS:
        picture, dreamed = photograph(photo), by_preset(name, photo)
        assert (dreamed - picture).abs().mean() > 0.015
        assert burnt(dreamed) < burnt(picture) + 0.12
        assert saturation(dreamed) < 1.25 * saturation(picture) + 0.04
        assert abs(dreamed.mean() - picture.mean()) < 0.06
        # A picture that can still be recognised correlates with the original.
        both = torch.stack([dreamed.mean(0).flatten(), picture.mean(0).flatten()])
        assert torch.corrcoef(both)[0, 1] > 0.5


def test_presets_differ_from_each_other():
    dreams = {name: by_preset(name, "chelsea.png") for name in Dream.presets}
    for first, second in itertools.combinations(dreams, 2):
        assert (dreams[first] - dreams[second]).abs().mean() > 0.02, (first, second)


@pytest.mark.parametrize("name", ["facets", "crackle"])
def test_a_preset_is_reproducible(name):
    cup, dreamed = photograph("coffee.png"), by_preset(name, "coffee.png")
    assert torch.equal(dreamed, dreamt(cup, **Dream.presets[name]))
    assert not torch.equal(dreamed, dreamt(cup, **Dream.presets[name], seed=1))


def test_gentle_presets_change_a_portrait_little():
    portrait = photograph("astronaut.png", 128)
    default = (dreamt(portrait) - portrait).abs().mean()
    for name in ("engraving", "gentle"):
        change = (by_preset(name, "astronaut.png", 128) - portrait).abs().mean()
        assert 0.01 < change < 0.5 * default


@pytest.mark.parametrize(
    "name", ["efficientnet-lite0", "efficientnet-lite2", "vgg19", "vgg16", "conv", "dense"]
)
def test_every_network_has_a_default_layer_that_dreams_well(name):
    network, cat = network_of(name), photograph("chelsea.png", 64 if name.startswith("vgg") else SIDE)
    assert set(default_layers(network)) <= set(network.layers)
    dreamed = dreamt(cat, network=name)
    assert (dreamed - cat).abs().mean() > 0.03
    assert burnt(dreamed) < 0.25
    assert abs(dreamed.mean() - cat.mean()) < 0.06


def test_colours_are_as_in_photographs_unless_vivid():
    cat = photograph("chelsea.png")
    natural, vivid = dreamt(cat, vivid=0), dreamt(cat, vivid=1)

    def greens(picture: Tensor) -> float:  # from green to magenta, the least common variation in photographs
        return ((picture - cat)[1] - (picture - cat)[::2].mean(0)).std().item()

    assert greens(vivid) > 2 * greens(natural)
    assert saturation(vivid) > saturation(natural)
