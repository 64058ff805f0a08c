"""Style transfer as somebody who looks at the picture would judge it, and its arithmetic against oracles."""

import math
from collections import deque

import pytest
import torch

from lanterna import shelf
from lanterna.errors import UsageError
from lanterna.images import open_picture
from lanterna.images.palette import match_histogram, match_statistics, transfer_colours
from lanterna.networks import open_network
from lanterna.probes.look import look
from lanterna.probes.statistics import gram_distance, moments, wasserstein_distance
from lanterna.techniques.octaves import resized
from lanterna.techniques.style import algorithm as recipes
from lanterna.techniques.style.algorithm import Stylize, style
from lanterna.techniques.style.descent import Descent
from lanterna.techniques.style.layers import LAYER_WEIGHTS, layers_of
from lanterna.techniques.style.loss import Loss, loss_of, moments_of, reach

pytestmark = pytest.mark.usefixtures("real_shelf")
QUICK = {"size": 64, "steps": 5}
LAYERS = list(LAYER_WEIGHTS)
SHALLOW = {"content_layer": "relu2_2", "style_layers": ("relu1_1", "relu2_1", "relu3_1")}


@pytest.fixture(scope="module")
def vgg():
    return open_network("vgg16")


def photograph(name, height=32, width=64):
    return resized(open_picture(shelf.need("photographs") / name), (height, width)).clamp(0, 1)


@pytest.fixture(scope="module")
def cat():
    return photograph("chelsea.png")


@pytest.fixture(scope="module")
def bricks():
    return photograph("coffee.png")


@pytest.fixture(scope="module")
def left():
    """A mask of the left half."""
    mask = torch.zeros(32, 64)
    mask[:, :32] = 1
    return mask


@pytest.fixture(scope="module")
def usual(vgg, cat, bricks):
    """The cat painted like the bricks, with no other target."""
    return painted(cat, vgg, [bricks])


def painted(photo, network, styles, given=None, **settings):
    frames = style(
        photo, Stylize.checked({**QUICK, **settings}), styles=styles, network=network, **(given or {})
    )
    (last,) = deque(frames, maxlen=1)
    return last.picture


def apart(network, picture, painting, statistics=gram_distance):
    """How far a picture's statistics are from a painting's, over all layers, in float32."""
    wanted = moments_of(network, painting, LAYERS, 4096)
    found = moments_of(network, picture, LAYERS, 4096)
    return sum(
        weight * statistics(wanted[name])(found[name]).item() for name, weight in LAYER_WEIGHTS.items()
    )


def content(network, one, other):
    features = (look(network, each[None], "relu4_2")["relu4_2"] for each in (one, other))
    first, second = features
    return (first - second).square().mean().item()


def scrambled(picture, seed=0):
    """The same pixels in squares of 16, in another order: the same style, more or less, and nothing shown."""
    squares = picture.unfold(1, 16, 16).unfold(2, 16, 16)
    _, rows, columns, _, _ = squares.shape
    order = torch.randperm(rows * columns, generator=torch.Generator().manual_seed(seed))
    mixed = squares.flatten(1, 2)[:, order].unflatten(1, (rows, columns))
    return mixed.permute(0, 1, 3, 2, 4).reshape(3, rows * 16, columns * 16)


@pytest.mark.slow
@pytest.mark.parametrize("statistics", ["wasserstein", "gram"])
@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_the_style_becomes_the_paintings_and_the_content_stays(vgg, cat, bricks, statistics, optimiser):
    made = painted(cat, vgg, [bricks], statistics=statistics, optimiser=optimiser, steps=9)
    assert apart(vgg, made, bricks) < 0.35 * apart(vgg, cat, bricks)
    assert content(vgg, made, cat) < 0.6 * content(vgg, scrambled(cat), cat)
    assert made.isfinite().all()
    assert 0 <= made.min() <= made.max() <= 1
    assert made.std() > 0.08  # no grey mush


@pytest.mark.slow
def test_strength_goes_from_the_photograph_to_the_painting(vgg, cat, bricks, usual):
    weak, strong = (painted(cat, vgg, [bricks], strength=each) for each in (0.05, 20))
    assert content(vgg, weak, cat) < content(vgg, usual, cat) < content(vgg, strong, cat)
    assert apart(vgg, strong, bricks) < apart(vgg, weak, bricks)


@pytest.mark.slow
def test_less_detail_is_smoother(vgg, cat, bricks):
    fine, smooth = (
        painted(cat, vgg, [bricks], detail=each).diff(dim=2).square().mean() for each in (3, 0.05)
    )
    assert smooth < 0.8 * fine


@pytest.mark.slow
def test_each_region_is_in_its_own_style(vgg, cat, bricks, left):
    night = photograph("hubble_deep_field.jpg")
    made = painted(cat, vgg, [bricks, night], {"masks": [left, 1 - left]}, strength=2, steps=16)
    halves = made[:, :, :27], made[:, :, 37:]
    for half, own, other in ((halves[0], bricks, night), (halves[1], night, bricks)):
        assert apart(vgg, half, own) < 0.6 * apart(vgg, half, other)


@pytest.mark.slow
def test_outside_of_all_masks_the_photograph_stays(vgg, cat, bricks, left):
    made = painted(cat, vgg, [bricks], {"masks": [left]})
    torch.testing.assert_close(made[:, :, 36:], cat[:, :, 36:])
    assert (made[:, :, :28] - cat[:, :, :28]).abs().mean() > 0.03


@pytest.mark.slow
def test_content_counts_where_its_mask_is_light(vgg, cat, bricks, left):
    made = painted(cat, vgg, [bricks], {"content_mask": left}, strength=2)
    changed = [content(vgg, made[:, :, part], cat[:, :, part]) for part in (slice(0, 32), slice(32, 64))]
    assert changed[0] < 0.7 * changed[1]


@pytest.mark.slow
def test_weights_decide_between_paintings(vgg, cat, bricks, usual):
    night = photograph("hubble_deep_field.jpg")
    mostly, hardly = (painted(cat, vgg, [bricks, night], weights=each) for each in ((9, 1), (1, 9)))
    assert apart(vgg, mostly, bricks) < apart(vgg, hardly, bricks)
    assert apart(vgg, mostly, night) > apart(vgg, hardly, night)
    alone = painted(cat, vgg, [bricks, night], weights=(1, 0))
    assert (alone - usual).abs().mean() < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", Stylize.presets)
def test_a_preset_paints_a_picture(vgg, cat, bricks, name):
    made = painted(cat, vgg, [bricks], **{**Stylize.presets[name], "size": 64, "steps": 3})
    assert made.shape == cat.shape
    assert (made - cat).abs().mean() > 0.01
    assert made.std() > 0.08


def hue(picture):
    """How much of each of twelve hues there is, by how colourful it is."""
    red, green, blue = picture
    across, up = red - (green + blue) / 2, math.sqrt(0.75) * (green - blue)
    turned = torch.atan2(up, across) / (2 * math.pi) % 1
    counts = torch.zeros(12).index_add_(
        0, (turned * 12).long().clamp_max(11).flatten(), across.hypot(up).flatten()
    )
    return counts / counts.sum()


@pytest.mark.slow
def test_colours_are_kept_where_asked(vgg, cat, bricks):
    far = 1 - bricks  # blue, which the cat is nowhere
    kept, palette, lost = (painted(cat, vgg, [far], keep_colours=each) for each in ("light", "palette", "no"))
    own = hue(cat)
    away = (hue(lost) - own).abs().sum()
    assert (hue(kept) - own).abs().sum() < 0.25 * away
    assert (hue(palette) - own).abs().sum() < 0.6 * away


@pytest.mark.slow
def test_only_the_seed_decides(vgg, cat, bricks):
    first, again, other = (
        painted(cat, vgg, [bricks], start="noise", steps=3, seed=each) for each in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.slow
def test_it_can_be_changed_while_it_runs(vgg, cat, bricks):
    def work(changed):
        settings = Stylize.checked({**QUICK, "strength": 0.05})
        frames = style(cat, settings, styles=[bricks], network=vgg)
        frame = next(frames)
        while frame.step < frame.steps:
            frame = frames.send(changed if frame.step == 3 else None)
        return frame.picture

    left, changed = work(None), work(Stylize(strength=20))
    assert apart(vgg, changed, bricks) < apart(vgg, left, bricks)


def test_it_begins_with_the_picture_it_is_given(vgg, cat, bricks):
    start = torch.full_like(cat, 0.25)
    frames = style(
        cat, Stylize.checked({**QUICK, "steps": 1, "ratio": 4}), styles=[bricks], network=vgg, start=start
    )
    assert (next(frames).picture - 0.25).abs().mean() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statistics", "size", "layers"),
    [
        ("wasserstein", (29, 149), {}),
        ("gram", (149, 29), {}),
        ("wasserstein", (149, 29), SHALLOW),
        ("gram", (29, 149), SHALLOW),
    ],
)
def test_in_tiles_it_is_what_it_is_whole(vgg, bricks, statistics, size, layers):
    """To within rounding, with masks, for any size: the sums are over the same positions."""
    photo = photograph("chelsea.png", *size)
    settings = Stylize(statistics=statistics, **layers)
    content_layer, weights = layers_of(vgg, settings.content_layer, settings.style_layers)
    left = torch.linspace(0, 1, size[1]).expand(size)
    content_part, painted_part = recipes._aims(
        settings, vgg, photo, [bricks, 1 - bricks], [left, 1 - left], left, content_layer, list(weights),
        settings.tile,
    )  # fmt: skip
    aim = recipes._aim(settings, content_part, painted_part, weights)
    noisy = (photo + 0.1 * torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    whole, tiled = (loss_of(vgg, noisy, aim, tile) for tile in (4096, 64))
    assert tiled.total == pytest.approx(whole.total, rel=1e-4)
    worst = (tiled.slope - whole.slope).abs().max() / whole.slope.abs().max()
    assert worst < 2e-3


def test_how_far_vgg_looks_is_known(vgg):
    """By poking: a pixel just within reach of a position of relu5_1 moves it, one just outside does not."""
    assert reach(vgg, frozenset({"relu5_1"})) == 66
    wide = torch.rand(1, 3, 16, 400, generator=torch.Generator().manual_seed(0)).requires_grad_()
    look(vgg, wide, "relu4_1")  # a warm-up that costs nothing to read
    outputs = dict(vgg.run(wide))["relu5_1"]
    (slope,) = torch.autograd.grad(outputs[0, :, 0, 12].sum(), wide)
    moved = slope[0].abs().sum((0, 1)).nonzero()
    middle = 12 * 16 + 7.5
    assert (moved - middle).abs().max() <= 66


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


# Statistics and colours, by hand


def test_moments_are_sums_over_positions():
    features = torch.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]]).reshape(1, 2, 1, 3)
    found = moments(features, torch.tensor([[1.0, 1.0, 0.5]]))
    torch.testing.assert_close(found.mean, torch.tensor([4.5, 0.5]) / 2.5)
    torch.testing.assert_close(found.gram, torch.tensor([[9.5, 0.5], [0.5, 1.5]]) / 2.5)
    alone = moments(features[..., 1:2], torch.tensor([[0.25]]))  # one position, and it hardly counts
    torch.testing.assert_close(alone.second, torch.tensor([[4.0, 2.0], [2.0, 1.0]]) / 4)
    torch.testing.assert_close(alone.mean, torch.tensor([2.0, 1.0]))
    parts = moments(features[..., :2]) + moments(features[..., 2:])
    torch.testing.assert_close(parts.second, moments(features).second)


def test_wasserstein_of_independent_channels_is_that_of_their_means_and_deviations():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 4000, generator=generator, dtype=torch.float64)
    noise = torch.linalg.solve(
        torch.linalg.cholesky(torch.cov(noise, correction=0)), noise - noise.mean(1, True)
    )
    one = (noise * torch.tensor([[1.0], [2.0]]) + torch.tensor([[0.5], [0.0]])).reshape(1, 2, 40, 100)
    other = (noise * torch.tensor([[3.0], [1.5]]) + torch.tensor([[0.0], [1.0]])).reshape(1, 2, 40, 100)
    target = moments(other)
    by_hand = (0.5**2 + 1) + (1 - 3) ** 2 + (2 - 1.5) ** 2
    unit = 9 + 1.5**2 + 1
    assert wasserstein_distance(target)(moments(one)).item() == pytest.approx(by_hand / unit, rel=1e-3)
    assert wasserstein_distance(target)(target).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("distance", [gram_distance, wasserstein_distance])
def test_slopes_of_distances_are_those_of_finite_differences(distance):
    generator = torch.Generator().manual_seed(0)
    target = moments(torch.rand(1, 4, 6, 6, generator=generator, dtype=torch.float64))
    features = torch.rand(1, 4, 5, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    measure = distance(target)
    assert torch.autograd.gradcheck(lambda x: measure(moments(x)), features, eps=1e-5, atol=1e-5)


def test_palettes_are_moved_as_they_say(cat, bricks):
    moved = match_statistics(cat * 0.5 + 0.25, bricks * 0.5 + 0.25)  # nothing is cut off
    torch.testing.assert_close(moved.mean((1, 2)), (bricks * 0.5 + 0.25).mean((1, 2)), atol=0.01, rtol=0)
    wanted, found = (torch.cov(each.flatten(1)) for each in (bricks * 0.5 + 0.25, moved))
    torch.testing.assert_close(found, wanted, atol=0.003, rtol=0)
    matched = match_histogram(cat, bricks)
    for channel, wanted_channel in zip(matched, bricks, strict=True):
        steps = torch.linspace(0.02, 0.98, 25)
        assert (
            channel.flatten().quantile(steps) - wanted_channel.flatten().quantile(steps)
        ).abs().max() < 0.06
    light = torch.tensor([0.299, 0.587, 0.114])
    kept = transfer_colours(bricks * 0.2 + 0.4, cat * 0.2 + 0.4)
    torch.testing.assert_close(
        torch.einsum("c,chw->hw", light, kept),
        torch.einsum("c,chw->hw", light, bricks * 0.2 + 0.4),
        atol=1e-4, rtol=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "given", "told"),
    [
        ({}, {"styles": []}, "at least one painting"),
        ({"weights": (1, 2, 3)}, {}, "expected 1 weights"),
        ({}, {"masks": [None, None]}, "expected 1 masks"),
        ({"content_layer": "relu9_9"}, {}, "has no layer 'relu9_9'"),
        ({"weights": (0.0,)}, {}, "not all 0"),
    ],
)
def test_bad_wishes_are_told_before_the_work(vgg, cat, bricks, settings, given, told):
    with pytest.raises(UsageError, match=told):
        style(cat, Stylize.checked(settings), **{"styles": [bricks], "network": vgg, **given})
