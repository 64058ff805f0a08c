"""Random pictures: a seed gives one picture at any size, loops close, no picture is flat or grey."""

import colorsys
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from lanterna.errors import UsageError
from lanterna.techniques.execute import Job, begin, last_frame
from lanterna.techniques.paint.random_picture import (
    PRESETS,
    RandomPicture,
    random_frames,
    random_loop,
    random_picture,
)
from lanterna.techniques.paint.technique import RANDOM_SHEET, RandomSheet

SMALL = {"width": 96, "height": 96}


def difference(one, other):
    return (one - other).abs().mean().item()


@pytest.mark.slow
def test_seeds_give_different_pictures():
    small = {"width": 48, "height": 48}
    pictures = [random_picture(RandomPicture(seed=seed, **small)) for seed in range(6)]
    assert torch.equal(pictures[3], random_picture(RandomPicture(seed=3, **small)))
    for index, one in enumerate(pictures):
        assert one.shape == (3, 48, 48)
        assert 0 <= one.min() <= one.max() <= 1
        assert all(difference(one, other) > 0.08 for other in pictures[:index])


@pytest.mark.parametrize("preset", [None, *PRESETS])
def test_no_picture_is_flat_or_grey(preset):
    for seed in range(4):
        settings = RandomPicture.checked({**PRESETS.get(preset, {}), "seed": seed, **SMALL, "samples": 1})
        picture = random_picture(settings)
        light = picture.mean(0)
        assert light.std() > 0.08
        saturations = [colorsys.rgb_to_hsv(*pixel)[1] for pixel in picture.flatten(1).T[::37].tolist()]
        mean = sum(saturations) / len(saturations)
        assert mean < 0.02 if preset == "ink" else mean > 0.12


@pytest.mark.slow
def test_twice_the_size_shrunk_is_the_same():
    small = random_picture(RandomPicture(seed=5, width=72, height=48, samples=4))
    large = random_picture(RandomPicture(seed=5, width=144, height=96, samples=4))
    errors = (F.avg_pool2d(large, 2) - small).abs()
    assert errors.mean() < 0.003
    assert errors.flatten().quantile(0.99) < 0.03
    assert difference(small, random_picture(RandomPicture(seed=6, width=72, height=48))) > 0.08


def test_a_picture_is_first_coarse_then_sharp():
    settings = RandomPicture(seed=7, width=480, height=400, samples=1)
    frames, pictures = [], []
    for frame in random_frames(settings):
        frames.append(frame)
        pictures.append(frame.picture.clone())
    whole = random_picture(settings)
    assert [frame.step for frame in frames] == list(range(1, frames[0].steps + 1))
    assert torch.equal(pictures[-1], whole)
    assert difference(pictures[0], whole) < 0.03 < difference(whole, whole.mean((1, 2), keepdim=True))
    errors = [difference(each, whole) for each in pictures]
    assert errors == sorted(errors, reverse=True)  # it only becomes more like the result
    assert len(set(errors)) == len(errors)


@pytest.mark.slow
def test_a_zoom_shows_the_middle():
    wide = random_picture(RandomPicture(seed=5, samples=4, **SMALL))
    near = random_picture(RandomPicture(seed=5, samples=4, zoom=2, **SMALL))
    assert difference(F.avg_pool2d(near, 2), wide[:, 24:72, 24:72]) < 0.01


@pytest.mark.slow
def test_a_loop_closes_and_moves_smoothly():
    settings = RandomPicture(seed=3, width=32, height=32, samples=2)
    pictures = [frame.picture for frame in random_loop(settings, 60)]
    assert len(pictures) == 60
    assert torch.allclose(pictures[0], random_picture(settings))
    steps = [
        difference(one, other) for one, other in zip(pictures, [*pictures[1:], pictures[0]], strict=True)
    ]
    opposite = difference(pictures[0], pictures[30])
    assert opposite > 0.04
    assert max(steps) < 0.4 * opposite
    assert min(steps) > 0.02 * opposite
    # The step from the last to the first is like the others.
    assert min(steps[:-1]) * 0.5 <= steps[-1] <= max(steps[:-1]) * 1.5


@pytest.mark.slow
def test_a_mirror_and_a_rosette_are_symmetric():
    mirrored = random_picture(RandomPicture(seed=2, mirror=True, **SMALL))
    assert torch.allclose(mirrored, mirrored.flip(2), atol=1e-3)
    fourfold = random_picture(RandomPicture(seed=2, repeats=4, **SMALL))
    assert difference(fourfold, fourfold.rot90(1, (1, 2))) < 0.01
    plain = random_picture(RandomPicture(seed=2, **SMALL))
    assert difference(plain, plain.flip(2)) > 0.05


@pytest.mark.slow
def test_each_latent_number_changes_the_picture_in_its_own_way():
    plain = random_picture(RandomPicture(seed=4, **SMALL))
    assert torch.equal(plain, random_picture(RandomPicture(seed=4, latent=(0, 0), **SMALL)))
    one, other = (
        random_picture(RandomPicture(seed=4, latent=each, **SMALL)) for each in ((0.5, 0), (0, 0.5))
    )
    assert min(difference(plain, one), difference(plain, other), difference(one, other)) > 0.01
    slight = random_picture(RandomPicture(seed=4, latent=(0.01,), **SMALL))
    assert difference(plain, slight) < 0.3 * difference(plain, one)


def test_the_hue_has_the_requested_value():
    def share(hue, channel):
        picture = random_picture(RandomPicture(seed=0, hue=hue, width=48, height=48)).flatten(1).mean(1)
        return (picture[channel] / picture.sum()).item()

    assert share(265, 2) > share(85, 2) + 0.05


def test_a_sheet_shows_each_seed():
    settings = RandomSheet(width=60, height=40, samples=1, seed=4, sheet=3)
    last = last_frame(begin(Job(RANDOM_SHEET, settings)).frames)
    alone = random_picture(settings.as_base(RandomPicture).changed({"seed": 5}), size=(160, 240))
    cell = last.picture[:, 12 + 44 : 12 + 44 + 160, 12 + 252 : 12 + 252 + 240]
    assert (last.step, last.steps) == (3, 3)
    assert torch.allclose(cell, alone, atol=1 / 200)


@pytest.mark.slow
def test_a_large_picture_takes_little_extra_memory():
    code = (
        "import resource; from lanterna.techniques.paint.random_picture import *;"
        "random_picture(RandomPicture(width=64, height=64));"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "random_picture(RandomPicture(width=1600, height=800, samples=1, layers=3));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    unit = 1024 if sys.platform != "darwin" else 1
    # One layer of all pixels at once takes 49 MB.
    assert int(done.stdout) * unit < 1600 * 800 * 12 + 40 * 2**20


def test_invalid_settings_are_refused():
    with pytest.raises(UsageError, match="activations"):
        RandomPicture.checked({"activations": ["step"]})
    with pytest.raises(UsageError, match="width"):
        RandomPicture.checked({"width": 0})
