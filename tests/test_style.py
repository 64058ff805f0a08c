"""Style transfer: what a style is, whether pictures take it on, and whether tiles leave no trace."""

from __future__ import annotations

import math
from collections import deque

import pytest
import torch
from torch.nn import functional as F

import lanterna
from lanterna.errors import UsageError
from lanterna.images.palette import with_colours, with_histogram, with_statistics
from lanterna.networks import open_network
from lanterna.probes.statistics import Moments, gram_distance, moments, wasserstein_distance
from lanterna.recipes.descent import Descent
from lanterna.recipes.style import STAGE_WEIGHTS, Stylize, style, style_sizes
from lanterna.recipes.style_loss import (
    Aim,
    Content,
    Loss,
    Style,
    Weights,
    features_of,
    loss_of,
    moments_of,
)

STAGES = tuple(STAGE_WEIGHTS)
QUICK = Stylize(size=96, steps=12)


@pytest.fixture(scope="module")
def vgg(session_home):
    """Untouched and in float32, to measure with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANTERNA_HOME", str(session_home))
        return open_network("vgg16", device="cpu")


@pytest.fixture(scope="module")
def photo(real_shelf):
    return resized(lanterna.open_picture(real_shelf / "photographs" / "astronaut.png"), 96, 96)


@pytest.fixture(scope="module")
def warm():
    y, x = grid()
    stripes = (torch.sin((x + 0.7 * y) / 3) > 0).float()
    return grainy(torch.stack([0.6 + 0.4 * stripes, 0.2 + 0.5 * stripes, 0.1 * stripes]))


@pytest.fixture(scope="module")
def cold():
    y, x = grid()
    field = ((x // 10 + y // 10) % 2).float()
    return grainy(torch.stack([0.1 + 0.1 * field, 0.2 + 0.3 * field, 0.4 + 0.6 * field]))


@pytest.fixture(scope="module")
def plain(vgg, photo, warm):
    """The photograph in the warm painting's style, with nothing else asked for."""
    return painted(photo, QUICK, styles=[warm], network=vgg)


def grid():
    return torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")


def grainy(picture):
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(1))
    return (picture + 0.1 * noise).clamp(0, 1)


def resized(picture, height, width):
    return F.interpolate(picture[None], (height, width), mode="bicubic", antialias=True)[0].clamp(0, 1)


def painted(photo, recipe=QUICK, **options):
    (last,) = deque(style(photo, recipe, **options), maxlen=1)
    return last.picture


def shuffled(picture):
    """The same pixels elsewhere, in blocks of 8."""
    blocks = picture.unfold(1, 8, 8).unfold(2, 8, 8).flatten(1, 2)
    order = torch.randperm(blocks.shape[1], generator=torch.Generator().manual_seed(2))
    side = picture.shape[1] // 8
    return blocks[:, order].unflatten(1, (side, side)).permute(0, 1, 3, 2, 4).reshape(picture.shape)


def grams(network, picture, mask=None):
    """Gatys's matrices, straight from their definition."""
    found = {}
    with torch.no_grad():
        for name, output in network.run(picture[None]):
            if name in STAGES:
                maps = output[0].flatten(1)
                where = torch.ones(1, maps.shape[1])
                if mask is not None:
                    where = F.interpolate(mask[None, None], output.shape[2:], mode="area").flatten(2)[0]
                found[name] = (maps * where) @ maps.T / where.sum()
    return found


def apart(ones, others):
    """How far Gram matrices are apart, 0 for the same, on average over stages."""
    return sum(
        ((ones[name] - others[name]).square().sum() / others[name].square().sum()).item() for name in ones
    ) / len(ones)


def content(network, picture):
    with torch.no_grad():
        return next(output for name, output in network.run(picture[None]) if name == "relu4_2")


# What a style is


def test_moments_are_sums_over_positions_that_a_mask_weighs():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])  # two channels at two positions
    found = moments(features)
    assert found.mean.tolist() == [1.5, 1.0]
    assert found.gram.tolist() == [[2.5, 0.5], [0.5, 5.0]]
    assert found.covariance.tolist() == [[0.25, -1.0], [-1.0, 4.0]]
    assert moments(features, torch.tensor([[0.0, 0.5]])).gram.tolist() == [[4.0, -2.0], [-2.0, 1.0]]
    assert gram_distance(found)(moments(torch.zeros(1, 2, 1, 2))).item() == pytest.approx(1)


@pytest.mark.parametrize(("height", "width"), [(45, 31), (5, 4), (32, 32)])
def test_moments_in_bfloat16_are_those_of_the_same_numbers_in_float32(height, width):
    features = torch.randn(1, 24, height, width, generator=torch.Generator().manual_seed(0)).bfloat16() + 0.5
    mask = torch.rand(height, width, generator=torch.Generator().manual_seed(1)).bfloat16().float()
    for where in (None, mask):
        quick, exact = moments(features, where), moments(features.float(), where)
        assert quick.second.dtype == torch.float32
        assert (quick.gram - exact.gram).abs().max() < 4e-3 * exact.gram.max()
        assert (quick.mean - exact.mean).abs().max() < 4e-3 * exact.mean.max()


@pytest.mark.parametrize("where", [None, torch.rand(5, 4, dtype=torch.float64)])
def test_the_slope_of_moments_is_that_of_finite_differences(where):
    features = torch.rand(1, 3, 5, 4, dtype=torch.float64, requires_grad=True)

    def sums(features):
        found = moments(features, where)
        return found.first, found.second

    assert torch.autograd.gradcheck(sums, features)


def diagonal(mean, deviations):
    """Moments of a distribution whose features know nothing of each other, from 10 positions."""
    mean, deviations = torch.tensor(mean), torch.tensor(deviations)
    second = torch.diag(deviations**2) + torch.outer(mean, mean)
    return Moments(10 * mean, 10 * second, torch.tensor(10.0))


def test_wasserstein_of_diagonal_covariances_is_that_of_means_and_deviations():
    one, other = diagonal([1.0, 2.0, 0.0], [1.0, 3.0, 0.5]), diagonal([0.0, 2.5, 1.0], [2.0, 1.0, 0.5])
    by_hand = (1 + 0.25 + 1) + (1 + 4 + 0)
    unit = (0 + 2.5**2 + 1) + (4 + 1 + 0.25)
    assert wasserstein_distance(other)(one).item() == pytest.approx(by_hand / unit, rel=1e-4)
    assert wasserstein_distance(other)(other).item() == pytest.approx(0, abs=1e-6)


def test_wasserstein_slope_is_that_of_finite_differences_even_without_rank():
    generator = torch.Generator().manual_seed(0)
    target = moments(torch.rand(1, 6, 8, 8, generator=generator, dtype=torch.float64))
    distance = wasserstein_distance(target)
    features = torch.rand(1, 6, 2, 2, generator=generator, dtype=torch.float64)  # rank 3 of 6
    assert torch.autograd.gradcheck(lambda x: distance(moments(x)), features.requires_grad_(), eps=1e-7)


# Tiles


@pytest.mark.parametrize("statistics", ["gram", "wasserstein"])
def test_a_tiled_picture_has_the_loss_and_the_slope_of_a_whole_one(vgg, photo, warm, statistics):
    size = (301, 278)  # odd sizes: pools leave a rest
    picture = resized(photo, *size)
    distance = gram_distance if statistics == "gram" else wasserstein_distance
    wanted = moments_of(vgg, warm, STAGES, 1024)
    ramp = torch.linspace(0, 1, size[1]).expand(1, *size)
    aim = Aim(
        Content("relu4_2", features_of(vgg, picture.flip(2), "relu4_2", 1024), 50.0, 1 - 0.5 * ramp),
        [
            Style(0.7, {name: distance(wanted[name]) for name in STAGES}, ramp),
            Style(0.3, {name: distance(wanted[name]) for name in STAGES}),
        ],
        Weights(STAGE_WEIGHTS, 0.1, 1.0),
    )
    whole, tiled = (loss_of(vgg, picture, aim, side) for side in (512, 256))
    assert tiled.total == pytest.approx(whole.total, rel=1e-5)
    assert (tiled.slope - whole.slope).norm() < 1e-4 * whole.slope.norm()
    assert torch.equal(
        features_of(vgg, picture, "relu4_2", 512).shape.numel() * torch.ones(1),
        features_of(vgg, picture, "relu4_2", 256).shape.numel() * torch.ones(1),
    )


# What comes out


def test_statistics_become_the_paintings_and_content_stays(vgg, photo, warm, plain):
    wanted = grams(vgg, warm)
    before = apart(grams(vgg, photo), wanted)
    assert apart(grams(vgg, plain), wanted) < 0.4 * before
    assert apart(grams(vgg, plain), wanted) < 0.4 * apart(grams(vgg, shuffled(photo)), wanted)
    here, true = content(vgg, plain), content(vgg, photo)
    control = content(vgg, shuffled(photo))
    assert (here - true).square().mean() < 0.6 * (here - control).square().mean()


def test_each_region_takes_its_own_painting(vgg, photo, warm, cold):
    left = (grid()[1] < 48).float()
    picture = painted(photo, styles=[warm, cold], masks=[left, 1 - left], network=vgg)
    for inside, own, other in ((left, warm, cold), (1 - left, cold, warm)):
        found = grams(vgg, picture, inside)
        assert apart(found, grams(vgg, own)) < 0.5 * apart(found, grams(vgg, other))


def test_a_content_mask_says_where_the_photograph_counts(vgg, photo, warm):
    left = (grid()[1] < 48).float()
    picture = painted(photo, QUICK.changed({"strength": 0.5}), styles=[warm], content_mask=left, network=vgg)
    apart = (content(vgg, picture) - content(vgg, photo)).square().mean(1)[0]
    assert apart[:, :5].mean() < 0.7 * apart[:, -5:].mean()


def test_strength_says_how_much_of_the_painting(vgg, photo, warm):
    wanted = grams(vgg, warm)
    some, much = (
        painted(photo, QUICK.changed({"strength": strength}), styles=[warm], network=vgg)
        for strength in (0.3, 5)
    )
    assert apart(grams(vgg, much), wanted) < 0.8 * apart(grams(vgg, some), wanted)
    true = content(vgg, photo)
    far, near = ((content(vgg, each) - true).square().mean() for each in (much, some))
    assert near < 0.7 * far


def test_detail_says_how_fine(vgg, photo, warm):
    smooth, fine = (
        painted(photo, QUICK.changed({"detail": detail}), styles=[warm], network=vgg) for detail in (0.3, 3)
    )
    rough = [each.diff(dim=2).square().mean() for each in (smooth, fine)]
    assert rough[0] < 0.9 * rough[1]


def test_light_keeps_the_photographs_colours_and_paints_its_light(vgg, photo, warm, plain):
    kept = painted(photo, QUICK.changed({"keep_colours": "light"}), styles=[warm], network=vgg)
    shares = [hues(each) for each in (photo, kept, plain)]
    assert (shares[1] - shares[0]).abs().sum() < 0.4 * (shares[2] - shares[0]).abs().sum()
    assert (light(kept) - light(plain)).abs().mean() < 0.5 * (light(kept) - light(photo)).abs().mean()


def test_palette_paints_in_the_photographs_palette(vgg, photo, warm, plain):
    kept = painted(photo, QUICK.changed({"keep_colours": "palette"}), styles=[warm], network=vgg)
    means = [each.mean((1, 2)) for each in (photo, kept, plain)]
    assert (means[1] - means[0]).norm() < 0.3 * (means[2] - means[0]).norm()


def test_the_same_seed_gives_the_same_picture(vgg, photo, warm):
    recipe = Stylize(size=64, steps=3, start="noise")
    one, again, other = (
        painted(photo, recipe.changed({"seed": seed}), styles=[warm], network=vgg) for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_recipe_that_is_sent_takes_over(vgg, photo, warm, cold):
    recipe = Stylize(size=64, steps=20, weights=(1, 0))
    work = style(photo, recipe, styles=[warm, cold], network=vgg)
    for _ in range(6):
        frame = next(work)
    frame = work.send(recipe.changed({"weights": (0, 1)}))
    assert frame.step == 7
    (last,) = deque(work, maxlen=1)
    found = grams(vgg, last.picture)
    assert apart(found, grams(vgg, cold)) < 0.5 * apart(found, grams(vgg, warm))


def test_a_picture_can_be_begun_with(vgg, photo, warm, cold):
    first = next(style(photo, Stylize(size=64), styles=[warm], start=cold, network=vgg))
    assert (first.picture - resized(cold, 64, 64)).abs().max() < 0.02


def test_a_picture_is_as_large_as_was_asked_for_and_grows(vgg, photo, warm):
    wide = resized(photo, 24, 96)
    frames = list(style(wide, Stylize(size=226, steps=1), styles=[warm], network=vgg))
    assert [tuple(frame.picture.shape[1:]) for frame in frames][-1] == (56, 226)
    assert style_sizes(24, 96, Stylize(size=226)) == [(40, 160), (56, 226)]
    assert frames[0].whole().shape == (3, 56, 226)
    assert [frame.step for frame in frames] == list(range(1, frames[0].steps + 1))
    for frame in frames:
        assert frame.picture.min() >= 0
        assert frame.picture.max() <= 1


# Going down


def test_a_step_that_went_wrong_is_taken_back():
    bowl = torch.full((3, 8, 8), 2.0)
    descent = Descent(bowl, "lbfgs")
    seen = []

    def measure(picture):
        broken = len(seen) in (4, 7)
        value = math.nan if broken else picture.square().sum().item()
        seen.append(value)
        return Loss(value, value, 0.0, 2 * picture)

    losses = [descent.step(measure).total for _ in range(12)]
    assert all(math.isfinite(each) for each in losses)
    assert losses[-1] < 1e-3 * losses[0]
    assert descent.picture.isfinite().all()


# Colours


def test_light_is_one_pictures_and_colour_the_others():
    one, other = (0.3 + 0.4 * torch.rand(3, 9, 7, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    both = with_colours(one, 0.5 * other + 0.25)
    assert torch.allclose(light(both), light(one), atol=1e-3)
    gaps = [each - light(each) for each in (both, 0.5 * other + 0.25)]
    assert torch.allclose(gaps[0], gaps[1], atol=2e-3)


def test_statistics_of_colours_become_the_others():
    one, other = (torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    other = torch.stack([other[0], 0.5 * other[0] + 0.3 * other[1], other[2] / 3]) * 0.3 + 0.3
    matched = with_statistics(0.4 + 0.2 * one, other)
    assert torch.allclose(matched.mean((1, 2)), other.mean((1, 2)), atol=1e-4)
    assert torch.allclose(matched.flatten(1).cov(), other.flatten(1).cov(), atol=1e-4)


def test_histograms_become_the_others():
    one, other = (torch.rand(3, 50, 40, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    other = other**2 * 0.7
    matched = with_histogram(one, resized(other, 30, 60))
    for quantile in (0.1, 0.5, 0.9):
        for channel in range(3):
            wanted = resized(other, 30, 60)[channel].quantile(quantile)
            assert matched[channel].quantile(quantile).item() == pytest.approx(wanted.item(), abs=0.02)


def hues(picture):
    """How much of a picture's colour is of which hue: shares of 12 parts of the circle."""
    red, green, blue = picture
    angle = torch.atan2(math.sqrt(3) * (green - blue), 2 * red - green - blue)
    strength = picture.amax(0) - picture.amin(0)
    parts = ((angle / (2 * math.pi) + 0.5) * 12).long().clamp(0, 11).flatten()
    return torch.zeros(12).index_add(0, parts, strength.flatten()) / strength.sum()


def light(picture):
    return (picture * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(0)


# Errors


@pytest.mark.parametrize(
    ("recipe", "options", "said"),
    [
        ({}, {"styles": 0}, "at least one painting"),
        ({"weights": (1, 2)}, {"styles": 1}, "expected 1 weights"),
        ({}, {"styles": 2, "masks": 1}, "expected 2 masks"),
        ({"style_stages": ("relu9_9",)}, {"styles": 1}, "no stage 'relu9_9'"),
        ({"content_stage": "block9"}, {"styles": 1}, "no stage 'block9'"),
    ],
)
def test_errors_are_one_line_and_come_before_the_first_step(vgg, photo, warm, recipe, options, said):
    options = {name: [warm if name == "styles" else warm[0]] * count for name, count in options.items()}
    with pytest.raises(UsageError, match=said) as error:
        style(photo, QUICK.changed(recipe), network=vgg, **options)
    assert "\n" not in str(error.value)


def test_weights_that_are_nothing_are_an_error():
    with pytest.raises(UsageError, match="weights"):
        Stylize.checked({"weights": (0, 0)})
