"""Style transfer: what a viewer would expect of the picture, and the arithmetic against references."""

import math
from collections import deque

import pytest
import torch

from lanterna import shelf
from lanterna.errors import UsageError
from lanterna.images import open_picture
from lanterna.images.palette import match_histogram, match_statistics, transfer_colours
from lanterna.networks import open_network
from lanterna.networks.pooling import with_pooling
from lanterna.probes.look import look
from lanterna.probes.statistics import gram_distance, moments, wasserstein_distance
from lanterna.techniques.octaves import resized
from lanterna.techniques.style import algorithm, technique
from lanterna.techniques.style.algorithm import Stylize, style
from lanterna.techniques.style.descent import Descent
from lanterna.techniques.style.layers import STYLE_LAYERS, choose_layers
from lanterna.techniques.style.loss import Loss, compute_loss, compute_moments, receptive_radius

pytestmark = pytest.mark.usefixtures("real_shelf")
QUICK = {"size": 64, "steps": 5}
LAYERS = list(STYLE_LAYERS)
SHALLOW = {"content_layer": "relu2_2", "style_layers": ("relu1_1", "relu2_1", "relu3_1")}


@pytest.fixture(scope="module")
def vgg():
    return with_pooling(open_network("vgg19"), "average")


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
def default_cat(vgg, cat, bricks):
    """The cat painted like the bricks, with default settings."""
    return painted(cat, vgg, [bricks])


def painted(photo, network, styles, options=None, **settings):
    frames = style(
        photo, Stylize.checked({**QUICK, **settings}), styles=styles, network=network, **(options or {})
    )
    (last,) = deque(frames, maxlen=1)
    return last.picture


def style_distance(network, picture, painting, statistics=gram_distance):
    """The distance of a picture's statistics from a painting's, over all layers, in float32."""
    target = compute_moments(network, painting, LAYERS, 4096)
    actual = compute_moments(network, picture, LAYERS, 4096)
    weights = choose_layers(network)[1].layers
    return sum(weight * statistics(target[name])(actual[name]).item() for name, weight in weights.items())


def content_distance(network, one, other):
    first, second = (look(network, each[None], "relu4_2")["relu4_2"] for each in (one, other))
    return (first - second).square().mean().item()


def scrambled(picture, seed=0):
    """The same pixels in shuffled squares of 16: about the same style, but no recognisable content."""
    squares = picture.unfold(1, 16, 16).unfold(2, 16, 16)
    _, rows, columns, _, _ = squares.shape
    order = torch.randperm(rows * columns, generator=torch.Generator().manual_seed(seed))
    mixed = squares.flatten(1, 2)[:, order].unflatten(1, (rows, columns))
    return mixed.permute(0, 1, 3, 2, 4).reshape(3, rows * 16, columns * 16)


@pytest.mark.slow
@pytest.mark.parametrize("statistics", ["wasserstein", "gram"])
@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_the_style_approaches_the_paintings_and_the_content_stays(vgg, cat, bricks, statistics, optimiser):
    picture = painted(cat, vgg, [bricks], statistics=statistics, optimiser=optimiser, steps=60, strength=0.68)
    assert style_distance(vgg, picture, bricks) < 0.35 * style_distance(vgg, cat, bricks)
    assert content_distance(vgg, picture, cat) < 0.6 * content_distance(vgg, scrambled(cat), cat)
    assert picture.isfinite().all()
    assert 0 <= picture.min() <= picture.max() <= 1
    assert picture.std() > 0.08  # not a flat grey


@pytest.mark.slow
def test_strength_goes_from_the_photograph_to_the_painting(vgg, cat, bricks, default_cat):
    weak, strong = (painted(cat, vgg, [bricks], strength=each) for each in (0.05, 20))
    assert (
        content_distance(vgg, weak, cat)
        < content_distance(vgg, default_cat, cat)
        < content_distance(vgg, strong, cat)
    )
    assert style_distance(vgg, strong, bricks) < style_distance(vgg, weak, bricks)


@pytest.mark.slow
def test_less_detail_is_smoother(vgg, cat, bricks):
    fine, smooth = (
        painted(cat, vgg, [bricks], detail=each).diff(dim=2).square().mean() for each in (3, 0.05)
    )
    assert smooth < 0.8 * fine


@pytest.mark.slow
def test_each_region_is_in_its_own_style(vgg, cat, bricks, left):
    night = photograph("hubble_deep_field.jpg")
    picture = painted(cat, vgg, [bricks, night], {"masks": [left, 1 - left]}, strength=2, steps=16)
    halves = picture[:, :, :27], picture[:, :, 37:]
    for half, own, other in ((halves[0], bricks, night), (halves[1], night, bricks)):
        assert style_distance(vgg, half, own) < 0.6 * style_distance(vgg, half, other)


@pytest.mark.slow
def test_outside_of_all_masks_the_photograph_stays(vgg, cat, bricks, left):
    picture = painted(cat, vgg, [bricks], {"masks": [left]})
    torch.testing.assert_close(picture[:, :, 36:], cat[:, :, 36:])
    assert (picture[:, :, :28] - cat[:, :, :28]).abs().mean() > 0.03


@pytest.mark.slow
def test_content_counts_where_its_mask_is_light(vgg, cat, bricks, left):
    picture = painted(cat, vgg, [bricks], {"content_mask": left}, steps=20)
    changed = [
        content_distance(vgg, picture[:, :, part], cat[:, :, part]) for part in (slice(0, 32), slice(32, 64))
    ]
    assert changed[0] < 0.7 * changed[1]


@pytest.mark.slow
def test_weights_decide_between_paintings(vgg, cat, bricks, default_cat):
    night = photograph("hubble_deep_field.jpg")
    mostly, hardly = (painted(cat, vgg, [bricks, night], weights=each) for each in ((9, 1), (1, 9)))
    assert style_distance(vgg, mostly, bricks) < style_distance(vgg, hardly, bricks)
    assert style_distance(vgg, mostly, night) > style_distance(vgg, hardly, night)
    alone = painted(cat, vgg, [bricks, night], weights=(1, 0))
    assert (alone - default_cat).abs().mean() < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", Stylize.presets)
def test_a_preset_paints_a_picture(vgg, cat, bricks, name):
    picture = painted(cat, vgg, [bricks], **{**Stylize.presets[name], "size": 64, "steps": 3})
    assert picture.shape == cat.shape
    assert (picture - cat).abs().mean() > 0.01
    assert picture.std() > 0.08


def hue(picture):
    """The share of each of twelve hues, weighted by chroma."""
    red, green, blue = picture
    across, up = red - (green + blue) / 2, math.sqrt(0.75) * (green - blue)
    turned = torch.atan2(up, across) / (2 * math.pi) % 1
    counts = torch.zeros(12).index_add_(
        0, (turned * 12).long().clamp_max(11).flatten(), across.hypot(up).flatten()
    )
    return counts / counts.sum()


@pytest.mark.slow
def test_colours_are_kept_if_requested(vgg, cat, bricks):
    blue = 1 - bricks  # no part of the cat is blue
    light, palette, none = (
        painted(cat, vgg, [blue], keep_colours=each) for each in ("light", "palette", "no")
    )
    own = hue(cat)
    shift = (hue(none) - own).abs().sum()
    assert (hue(light) - own).abs().sum() < 0.25 * shift
    assert (hue(palette) - own).abs().sum() < 0.6 * shift


@pytest.mark.slow
def test_equal_seeds_give_equal_pictures(vgg, cat, bricks):
    first, again, other = (
        painted(cat, vgg, [bricks], start="noise", steps=3, seed=each) for each in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.slow
def test_settings_can_change_during_a_run(vgg, cat, bricks):
    def run(changed):
        settings = Stylize.checked({**QUICK, "strength": 0.05, "tolerance": 0})
        frames = style(cat, settings, styles=[bricks], network=vgg)
        frame = next(frames)
        while frame.step < frame.steps:
            frame = frames.send(changed if frame.step == 3 else None)
        return frame.picture

    unchanged, changed = run(None), run(Stylize(strength=20))
    assert style_distance(vgg, changed, bricks) < style_distance(vgg, unchanged, bricks)


def test_it_starts_from_the_given_picture(vgg, cat, bricks):
    start = torch.full_like(cat, 0.25)
    frames = style(
        cat, Stylize.checked({**QUICK, "steps": 1, "ratio": 4}), styles=[bricks], network=vgg, start=start
    )
    assert (next(frames).picture - 0.25).abs().mean() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statistics", "size", "layers", "pooling"),
    [
        ("wasserstein", (37, 121), {}, "average"),
        ("gram", (121, 37), {}, "maximum"),
        ("wasserstein", (121, 37), SHALLOW, "maximum"),
        ("gram", (37, 121), SHALLOW, "average"),
    ],
)
def test_tiles_give_the_loss_of_the_whole_picture(bricks, statistics, size, layers, pooling):
    """To within rounding, with masks, for any size: the sums are over the same positions."""
    photo, vgg = photograph("chelsea.png", *size), with_pooling(open_network("vgg19"), pooling)
    settings = Stylize(statistics=statistics, **layers)
    content_layer, balance = choose_layers(vgg, settings.content_layer, settings.style_layers)
    left = torch.linspace(0, 1, size[1]).expand(size)
    content, styles = algorithm._compute_targets(
        settings, vgg, photo, [bricks, 1 - bricks], [left, 1 - left], left, content_layer,
        list(balance.layers), settings.tile,
    )  # fmt: skip
    target = algorithm._weighted_target(settings, content, styles, balance)
    noisy = (photo + 0.1 * torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    whole, tiled = (compute_loss(vgg, noisy, target, tile) for tile in (4096, 64))
    assert tiled.total == pytest.approx(whole.total, rel=1e-4)
    worst = (tiled.gradient - whole.gradient).abs().max() / whole.gradient.abs().max()
    assert worst < 2e-3


def test_the_receptive_radius_of_vgg_is_known(vgg):
    """The gradient of one position of relu5_1 is zero outside its receptive field."""
    assert receptive_radius(vgg, frozenset({"relu5_1"})) == 78
    wide = torch.rand(1, 3, 16, 400, generator=torch.Generator().manual_seed(0)).requires_grad_()
    look(vgg, wide, "relu4_1")  # a warm-up
    outputs = dict(vgg.run(wide))["relu5_1"]
    (gradient,) = torch.autograd.grad(outputs[0, :, 0, 12].sum(), wide)
    columns = gradient[0].abs().sum((0, 1)).nonzero()
    centre = 12 * 16 + 7.5
    assert (columns - centre).abs().max() <= 78


@pytest.mark.slow
def test_the_colours_become_the_paintings(vgg, cat, bricks):
    """Their means, and as much light and contrast as the painting has."""
    picture = painted(cat, vgg, [bricks], steps=20)
    means = [each.mean((1, 2)) for each in (picture, bricks, cat)]
    assert (means[0] - means[1]).abs().max() < 0.3 * (means[2] - means[1]).abs().max()
    spreads = [each.std((1, 2)) for each in (picture, bricks)]
    assert (spreads[0] / spreads[1] > 0.8).all()


@pytest.mark.slow
def test_a_size_ends_when_the_picture_no_longer_changes(vgg, cat, bricks):
    frames = list(
        style(cat, Stylize(size=64, steps=60, tolerance=2.0, **SHALLOW), styles=[bricks], network=vgg)
    )
    last = frames[-1]
    assert last.step == last.steps == 60
    assert last.unchanged_after == len(frames) < 60
    assert [frame.unchanged_after for frame in frames[:-1]] == [None] * (len(frames) - 1)
    before, after = (frame.picture for frame in frames[-2:])
    assert 255 * (after - before).abs().mean() < 2.1


def test_a_bad_step_is_undone():
    start = torch.full((3, 8, 8), 2.0)
    descent = Descent(start, "lbfgs")
    values = []

    def evaluate(picture):
        broken = len(values) in (4, 7)
        value = math.nan if broken else picture.square().sum().item()
        values.append(value)
        return Loss(value, value, 0.0, 2 * picture)

    losses = [descent.step(evaluate).total for _ in range(12)]
    assert all(math.isfinite(each) for each in losses)
    assert losses[-1] < 1e-3 * losses[0]
    assert descent.picture.isfinite().all()


# Statistics and colours


def test_moments_are_sums_over_positions():
    features = torch.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]]).reshape(1, 2, 1, 3)
    sums = moments(features, torch.tensor([[1.0, 1.0, 0.5]]))
    torch.testing.assert_close(sums.mean, torch.tensor([4.5, 0.5]) / 2.5)
    torch.testing.assert_close(sums.gram, torch.tensor([[9.5, 0.5], [0.5, 1.5]]) / 2.5)
    alone = moments(features[..., 1:2], torch.tensor([[0.25]]))  # one position with a small weight
    torch.testing.assert_close(alone.second, torch.tensor([[4.0, 2.0], [2.0, 1.0]]) / 4)
    torch.testing.assert_close(alone.mean, torch.tensor([2.0, 1.0]))
    parts = moments(features[..., :2]) + moments(features[..., 2:])
    torch.testing.assert_close(parts.second, moments(features).second)


def test_wasserstein_of_independent_channels_is_that_of_their_means_and_stds():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 4000, generator=generator, dtype=torch.float64)
    noise = torch.linalg.solve(
        torch.linalg.cholesky(torch.cov(noise, correction=0)), noise - noise.mean(1, True)
    )
    one = (noise * torch.tensor([[1.0], [2.0]]) + torch.tensor([[0.5], [0.0]])).reshape(1, 2, 40, 100)
    other = (noise * torch.tensor([[3.0], [1.5]]) + torch.tensor([[0.0], [1.0]])).reshape(1, 2, 40, 100)
    target = moments(other)
    expected = (0.5**2 + 1) + (1 - 3) ** 2 + (2 - 1.5) ** 2
    unit = 9 + 1.5**2 + 1
    assert wasserstein_distance(target)(moments(one)).item() == pytest.approx(expected / unit, rel=1e-3)
    assert wasserstein_distance(target)(target).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("distance", [gram_distance, wasserstein_distance])
def test_gradients_of_distances_match_finite_differences(distance):
    generator = torch.Generator().manual_seed(0)
    target = moments(torch.rand(1, 4, 6, 6, generator=generator, dtype=torch.float64))
    features = torch.rand(1, 4, 5, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    measure = distance(target)
    assert torch.autograd.gradcheck(lambda x: measure(moments(x)), features, eps=1e-5, atol=1e-5)


def test_palettes_match_the_targets_statistics(cat, bricks):
    moved = match_statistics(cat * 0.5 + 0.25, bricks * 0.5 + 0.25)  # nothing is clipped
    torch.testing.assert_close(moved.mean((1, 2)), (bricks * 0.5 + 0.25).mean((1, 2)), atol=0.01, rtol=0)
    expected, actual = (torch.cov(each.flatten(1)) for each in (bricks * 0.5 + 0.25, moved))
    torch.testing.assert_close(actual, expected, atol=0.003, rtol=0)
    matched = match_histogram(cat, bricks)
    for channel, target in zip(matched, bricks, strict=True):
        steps = torch.linspace(0.02, 0.98, 25)
        assert (channel.flatten().quantile(steps) - target.flatten().quantile(steps)).abs().max() < 0.06
    light = torch.tensor([0.299, 0.587, 0.114])
    recoloured = transfer_colours(bricks * 0.2 + 0.4, cat * 0.2 + 0.4)
    torch.testing.assert_close(
        torch.einsum("c,chw->hw", light, recoloured),
        torch.einsum("c,chw->hw", light, bricks * 0.2 + 0.4),
        atol=1e-4, rtol=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({}, {"styles": []}, "at least one painting"),
        ({"weights": (1, 2, 3)}, {}, "weights: expected one for each painting, got 3 for 1"),
        ({}, {"masks": [None, None]}, "masks: expected one for each painting, got 2 for 1"),
        ({"content_layer": "relu9_9"}, {}, "has no layer 'relu9_9'"),
        ({"weights": (0.0,)}, {}, "not all 0"),
    ],
)
def test_bad_arguments_are_refused_before_the_first_step(vgg, cat, bricks, settings, options, message):
    with pytest.raises(UsageError, match=message):
        style(cat, Stylize.checked(settings), **{"styles": [bricks], "network": vgg, **options})


def test_a_sheet_of_presets_keeps_what_was_changed():
    cells = technique._preset_cells(technique.PresetSheet.checked({"strength": 0.7}))
    assert {cell.settings.strength for cell in cells} == {0.7}
    unchanged = technique._preset_cells(technique.PresetSheet())
    assert {cell.label: cell.settings.strength for cell in unchanged}["wild"] == 2
    names = [name for name, preset in Stylize.presets.items() if "size" not in preset]
    assert [cell.label for cell in cells] == [cell.label for cell in unchanged] == names


def test_a_larger_size_gets_the_photographs_detail(cat):
    """What was painted stays, and what only the larger photograph shows is added."""
    small = resized(cat, (16, 32))
    torch.testing.assert_close(algorithm._enlarge(small, cat, (32, 64)), cat)
    darker = algorithm._enlarge(small / 2, cat, (32, 64))
    torch.testing.assert_close(darker, cat - resized(small, (32, 64)) / 2)
