"""A dream excites its target, only inside its masks, and its recipe determines it."""

import copy
from itertools import islice

import pytest
import torch
from torch.nn import functional as F

from lanterna import shelf
from lanterna.errors import LanternaError, UsageError
from lanterna.images import open_picture
from lanterna.networks import class_index, open_network, to_input
from lanterna.networks.inference import optimize_for_inference
from lanterna.networks.pooling import with_pooling
from lanterna.networks.trained import open_trained
from lanterna.probes import objectives
from lanterna.probes.objectives import Objective
from lanterna.techniques.dream.algorithm import Dream, default_layers, dream
from lanterna.techniques.dream.targets import Target, build_objective, read_class
from lanterna.techniques.dream.tiles import Tiling, gradient
from lanterna.techniques.octaves import octave_sizes, resized, smoothed

SMALL = {"size": 128, "octaves": 2, "ratio": 1.25, "steps": 6}


@pytest.fixture(scope="module")
def lite0():
    return open_network("efficientnet-lite0")


@pytest.fixture(scope="module")
def cat():
    return photograph("chelsea.png")


@pytest.fixture
def conv(trained):
    return open_trained(trained / "networks" / "conv")


def photograph(name, longest=128):
    return open_picture(shelf.need("photographs") / name, longest=longest)


def dreamt(picture, network, arguments=None, **settings):
    """The last frame of a small dream."""
    *_, last = dream(picture, Dream(**SMALL | settings), network=network, **arguments or {})
    return last


@torch.no_grad()
def maps_of(network, picture, layer):
    """The output `(C, H, W)` of a layer of the original network for a picture."""
    return objectives.layer_outputs(network, picture[None], frozenset({layer}))[layer][0]


def energy(network, picture, layer, where=...):
    return maps_of(network, picture, layer)[where].square().mean().item()


# Targets are excited


@pytest.mark.slow
@pytest.mark.parametrize(("name", "layer"), [("efficientnet-lite0", "block9"), ("vgg16", "relu4_3")])
def test_the_target_layer_is_far_more_excited_than_at_the_start_and_than_by_random_steps(name, layer):
    network, cat = open_network(name), photograph("chelsea.png", 96)
    before = energy(network, cat, layer)
    settings = {"layer": layer, "size": 96, "octaves": 1, "steps": 12, "step_size": 4}
    dreamed = energy(network, dreamt(cat, network, **settings).picture, layer)
    generator = torch.Generator().manual_seed(0)

    def random_objective(images, _):
        return (images * torch.randn(images.shape, generator=generator)).flatten(1).sum(1)

    # The same number of steps, each of the same size, in directions drawn at random.
    control = dreamt(
        cat, network, {"objective": Objective(frozenset(), random_objective)}, **settings
    ).picture
    assert (control - cat).abs().mean() > 0.01
    assert dreamed > 1.8 * before
    assert dreamed > 2.5 * energy(network, control, layer)


@pytest.mark.slow
def test_a_dream_of_one_layer_excites_it_more_than_a_dream_of_another(lite0, cat):
    layers = ("block3", "block9")
    first, second = (dreamt(cat, lite0, layer=layer).picture for layer in layers)
    own = [energy(lite0, picture, layer) for picture, layer in zip((first, second), layers, strict=True)]
    swapped = [energy(lite0, picture, layer) for picture, layer in zip((second, first), layers, strict=True)]
    assert own[0] > 1.3 * swapped[0]
    assert own[1] > 1.3 * swapped[1]


def test_average_pooling_is_dreamed_as_with_a_network_that_averages(conv, cat):
    averaged = dreamt(cat, conv, pooling="average").picture
    assert torch.equal(averaged, dreamt(cat, with_pooling(conv, "average")).picture)
    assert not torch.equal(averaged, dreamt(cat, conv).picture)


def test_a_negative_weight_makes_a_layer_less_excited(lite0, cat):
    less = dreamt(cat, lite0, layer="block9*-1").picture
    assert energy(lite0, less, "block9") < 0.7 * energy(lite0, cat, "block9")


def test_chosen_channels_rise_above_all_others(lite0, cat):
    before = maps_of(lite0, cat, "block9").mean((1, 2))
    after = maps_of(lite0, dreamt(cat, lite0, layer="block9:31,40", vivid=1.0).picture, "block9").mean((1, 2))
    assert set((after - before).topk(2).indices.tolist()) == {31, 40}


@pytest.mark.slow
def test_a_class_becomes_probable(lite0, cat):
    goldfish = class_index("goldfish", lite0)
    picture = dreamt(cat, lite0, class_="goldfish", size=224, steps=16).picture
    with torch.no_grad():
        before, after = (
            lite0(to_input(each, lite0.input_spec)[None]).softmax(1)[0, goldfish] for each in (cat, picture)
        )
    assert before < 0.001
    assert after > 0.1


def test_a_guide_moves_features_towards_it(lite0, cat):
    cup = photograph("coffee.png", 224)
    target = F.normalize(maps_of(lite0, cup, "block5").flatten(1), dim=0)

    def similarity(picture):
        maps = F.normalize(maps_of(lite0, picture, "block5").flatten(1), dim=0)
        return (maps.mT @ target).amax(1).mean().item()

    guided = dreamt(cat, lite0, {"guide": cup}, layer="block5", guided=True).picture
    alone = dreamt(cat, lite0, layer="block5").picture
    assert similarity(guided) > similarity(cat) + 0.02
    assert similarity(guided) > similarity(alone) + 0.02


@pytest.mark.slow
def test_several_targets_are_balanced_by_their_weights(lite0, cat):
    """The activations of their layers have different orders of magnitude, which must not matter."""
    both = dreamt(cat, lite0, layer=("block2", "block9")).picture
    for layer, other in (("block2", "block9"), ("block9", "block2")):
        assert energy(lite0, both, layer) > 1.2 * energy(lite0, cat, layer)
        mostly = dreamt(cat, lite0, layer=(layer, f"{other}*0.05")).picture
        assert energy(lite0, mostly, other) < 0.95 * energy(lite0, both, other)


def test_any_objective_can_be_a_target(lite0, cat):
    dreamed = dreamt(cat, lite0, {"objective": objectives.channel("block5", 7)}).picture
    assert maps_of(lite0, dreamed, "block5")[7].mean() > maps_of(lite0, cat, "block5")[7].mean() + 0.5


# Masks and strength


def test_the_picture_is_unchanged_where_the_mask_is_black(lite0, cat):
    mask = torch.zeros(40, 60)
    mask[10:30, 15:45] = 1
    dreamed = dreamt(cat, lite0, {"masks": [mask]}, octaves=3, ratio=1.15).picture
    assert dreamed.shape == cat.shape
    height, width = cat.shape[1:]
    outside = torch.ones(height, width, dtype=torch.bool)
    outside[height * 9 // 40 : height * 31 // 40 + 1, width * 14 // 60 : width * 46 // 60 + 1] = False
    assert torch.equal(dreamed[:, outside], cat[:, outside])
    assert (dreamed - cat)[:, ~outside].abs().mean() > 0.03


def test_a_grey_mask_dreams_half_as_far(lite0, cat):
    far, half = (
        dreamt(cat, lite0, {"masks": [torch.full((8, 8), grey)]}, octaves=1, steps=1).picture - cat
        for grey in (1.0, 0.5)
    )
    clear = (cat > 0.2) & (cat < 0.8)
    torch.testing.assert_close(half[clear], far[clear] / 2)


def test_several_masks_each_have_their_own_target(lite0, cat):
    left = torch.zeros(8, 8)
    left[:, :4] = 1
    masks = {"masks": [left, 1 - left]}
    dreamed = dreamt(cat, lite0, masks, mask_layer=("block5:7", "block5:20")).picture
    rise = maps_of(lite0, dreamed, "block5") - maps_of(lite0, cat, "block5")
    middle = rise.shape[2] // 2
    for channel, own, other in ((7, slice(0, middle - 1), slice(middle + 1, None)),
                                (20, slice(middle + 1, None), slice(0, middle - 1))):  # fmt: skip
        assert rise[channel, :, own].mean() > 0.5
        assert rise[channel, :, own].mean() > 3 * rise[channel, :, other].mean()


def test_keep_colours_changes_brightness_only(lite0, cat):
    quiet = cat * 0.4 + 0.3
    change = dreamt(quiet, lite0, keep_colours=True, step_size=1).picture - quiet
    assert change.abs().mean() > 0.005
    assert (change - change.mean(0)).abs().max() < 1e-5
    free = dreamt(quiet, lite0, step_size=1).picture - quiet
    assert (free - free.mean(0)).abs().max() > 0.01


@pytest.mark.slow
def test_a_blend_is_between_the_picture_and_the_dream(lite0, cat):
    full, half, none = (dreamt(cat, lite0, blend=blend).picture for blend in (1.0, 0.5, 0.0))
    assert torch.equal(none, cat)
    torch.testing.assert_close(half, (cat + full) / 2)


@pytest.mark.slow
def test_smoothness_makes_neighbouring_pixels_more_similar(lite0, cat):
    rough, smooth = (dreamt(cat, lite0, smoothness=s).picture.diff(dim=2).abs().mean() for s in (0, 3))
    assert smooth < 0.9 * rough


# Reproducibility


@pytest.mark.slow
def test_the_seed_determines_the_dream(lite0, cat):
    first, same, other = (dreamt(cat, lite0, seed=seed, steps=3).picture for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 3, 4, 5, 8, 9])
def test_a_resumed_dream_ends_as_an_uninterrupted_one(lite0, cat, tmp_path, stop):
    """At the first step, the last of an octave, the first of the next, the last but one, and the last."""
    settings = Dream(size=112, octaves=3, ratio=1.07, steps=3)
    mask = torch.linspace(0, 1, 50).expand(40, 50)
    frames = dream(cat, settings, network=lite0, masks=[mask], checkpoint=tmp_path / "state")
    *_, stopped = islice(frames, stop)
    frames.close()
    *_, resumed = dream(
        cat, settings, network=lite0, masks=[mask], checkpoint=tmp_path / "state", resume=True
    )
    *_, uninterrupted = dream(cat, settings, network=lite0, masks=[mask])
    assert stopped.step == stop
    assert resumed.step == uninterrupted.step == 9
    assert torch.equal(resumed.picture, uninterrupted.picture)


@pytest.mark.slow
def test_settings_that_were_sent_in_apply_after_resuming(lite0, cat, tmp_path):
    settings = Dream(size=96, octaves=1, steps=6)
    other = settings.changed({"step_size": 6.0, "layer": ["block5"]})

    def started(**arguments):
        frames = dream(cat, settings, network=lite0, **arguments)
        next(frames)
        frames.send(other)
        return frames

    *_, uninterrupted = started()
    frames = started(checkpoint=tmp_path / "state")
    next(frames)
    frames.close()
    first, *_, resumed = dream(cat, settings, network=lite0, checkpoint=tmp_path / "state", resume=True)
    assert first.step == 3
    assert torch.equal(resumed.picture, uninterrupted.picture)


def test_a_checkpoint_of_another_picture_is_refused(lite0, cat, tmp_path):
    settings = Dream(size=64, octaves=1, steps=2)
    frames = dream(cat, settings, network=lite0, checkpoint=tmp_path / "state")
    next(frames)
    frames.close()
    with pytest.raises(UsageError, match="another picture"):
        dream(cat.flip(2), settings, network=lite0, checkpoint=tmp_path / "state", resume=True)
    other = settings.changed({"steps": 3})
    with pytest.raises(UsageError, match="other settings"):
        dream(cat, other, network=lite0, checkpoint=tmp_path / "state", resume=True)


def test_there_is_a_frame_after_each_step_with_a_full_size_picture(lite0, cat):
    frames = list(dream(cat, Dream(size=128, octaves=2, ratio=1.25, steps=2), network=lite0))
    assert [(f.step, f.steps, f.numbers["octave"]) for f in frames] == [
        (1, 4, 1), (2, 4, 1), (3, 4, 2), (4, 4, 2)
    ]  # fmt: skip
    for frame in frames:
        assert frame.full_size().shape == cat.shape
        assert 0 <= frame.full_size().min() <= frame.full_size().max() <= 1
    assert frames[0].picture.shape[1:] != cat.shape[1:]
    # Detail that the small octave lacks comes from the original picture, not from enlarging.
    blurred = resized(resized(cat, tuple(frames[0].picture.shape[1:])), tuple(cat.shape[1:]))
    assert (frames[0].full_size() - cat).abs().mean() < (blurred - cat).abs().mean() + 0.03
    assert frames[-1].numbers["energy"] > 1.2


@pytest.mark.slow
def test_the_given_network_is_not_modified(cat):
    vgg = open_network("vgg16")
    before = copy.deepcopy(vgg.state_dict())
    dreamt(cat, vgg, size=64, octaves=1, steps=1)
    assert list(vgg.state_dict()) == list(before)
    assert all(torch.equal(vgg.state_dict()[name], before[name]) for name in before)
    assert {p.dtype for p in vgg.parameters()} == {torch.float32}


# Digit networks, and networks from elsewhere


@pytest.mark.parametrize(("name", "layer"), [("conv", "relu2"), ("dense", "relu1")])
def test_digit_networks_dream_of_pages(name, layer, trained):
    network = open_trained(trained / "networks" / name)
    page = torch.ones(3, 60, 90)
    page[:, 10:50, 30:36] = 0.1
    settings = {"layer": layer, "size": 90, "octaves": 1, "steps": 16, "step_size": 5}
    light, dark = (dreamt(each, network, **settings) for each in (page, 1 - page))
    torch.testing.assert_close(light.picture, 1 - dark.picture)  # its input is white ink on black for both
    torch.testing.assert_close(light.base, page)
    objective, tiling = objectives.energy(layer), Tiling(28, margin=0, exact=True)
    before, after = (
        gradient(network, each, objective, tiling, (0, 0))[1] for each in (1 - page, dark.picture)
    )
    assert after > 1.2 * before


def test_a_digit_network_dreams_of_its_classes(conv):
    generator = torch.Generator().manual_seed(0)
    page = 0.2 * torch.rand(3, 28, 28, generator=generator)
    dreamed = dreamt(page, conv, class_="3", size=32, octaves=1, steps=20, step_size=8).picture
    with torch.no_grad():
        assert conv(to_input(dreamed, conv.input_spec)[None]).argmax() == 3


NETS = """
import torch
from torch import nn

def strided():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )
"""


def test_a_network_from_a_file_dreams(cat, tmp_path, monkeypatch):
    (tmp_path / "dream_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    network = open_network("dream_nets:strided")
    (layer,) = default_layers(network)
    dreamed = dreamt(cat, network).picture
    assert energy(network, dreamed, layer) > 1.5 * energy(network, cat, layer)


# Parsing targets


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("block9", Target("block9")),
        ("block9:31,40*0.5", Target("block9", (31, 40), weight=0.5)),
        ("blocks.0.conv1*-2", Target("blocks.0.conv1", weight=-2.0)),
        ("relu4_3:strongest4", Target("relu4_3", rank="strongest", count=4)),
        ("relu4_3:weakest*.5", Target("relu4_3", rank="weakest", weight=0.5)),
        (" pool:average2 ", Target("pool", rank="average", count=2)),
    ],
)
def test_targets_are_parsed(text, target):
    assert Target.read(text) == target


@pytest.mark.parametrize("text", ["", "block9:", "block9:a", "block9*", "block9*x", "a b", "block9:1,", ":3"])
def test_a_bad_target_is_one_line(text):
    for settings in ({"layer": text}, {"mask_layer": (text,)}):
        with pytest.raises(LanternaError, match="expected a target such as block9") as caught:
            Dream.checked(settings)
        assert "\n" not in str(caught.value)


def test_classes_are_parsed_with_their_weights():
    assert read_class("goldfish") == ("goldfish", 1.0)
    assert read_class("great white shark*2") == ("great white shark", 2.0)
    assert read_class("3*-.5") == ("3", -0.5)
    with pytest.raises(UsageError, match="expected a class"):
        read_class(" ")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layer": "block99"}, "no layer 'block99'"),
        ({"layer": "block9:5000"}, "channels 0 to"),
        ({"class_": "goldfishes and other nonsense"}, "goldfishes"),
        ({"guided": True}, "needs a guide picture"),
        ({"mask_layer": ("block5",)}, "mask_layer: expected at most one for each mask, got 1 for 0"),
    ],
)
def test_invalid_settings_are_refused_before_the_first_step(lite0, cat, settings, words):
    with pytest.raises(UsageError, match=words) as caught:
        dream(cat, Dream(**settings), network=lite0)
    assert "\n" not in str(caught.value)


def test_each_target_is_normalised_by_its_value_at_the_start(lite0, cat):
    objective = build_objective(lite0, [Target("block2"), Target("block9", weight=2.0)], [], cat[None])
    with torch.no_grad():
        assert objective(lite0, cat[None]).item() == pytest.approx(3, rel=1e-4)


@pytest.mark.parametrize(
    ("rank", "positions"), [("strongest", [0, 1]), ("weakest", [-1, -2]), ("average", None)]
)
def test_ranked_channels_are_those_of_this_picture(lite0, cat, rank, positions):
    order = maps_of(lite0, cat, "block5").mean((1, 2)).argsort(descending=True).tolist()
    middle = (len(order) - 2) // 2
    chosen = [order[position] for position in positions or (middle, middle + 1)]
    ranked = build_objective(lite0, [Target("block5", rank=rank, count=2)], [], cat[None])
    named = build_objective(lite0, [Target("block5", tuple(chosen))], [], cat[None])
    with torch.no_grad():
        torch.testing.assert_close(ranked(lite0, cat[None]), named(lite0, cat[None]))


# Octaves and smoothing


def test_octaves_grow_by_the_ratio_and_none_is_too_small():
    assert octave_sizes(300, 400, 800, 3, 2.0) == [(150, 200), (300, 400), (600, 800)]
    assert octave_sizes(300, 400, 800, 9, 2.0)[0] == (75, 100)
    assert octave_sizes(10, 20, 40, 5, 1.4) == [(20, 40)]
    assert octave_sizes(2000, 70, 2000, 4, 1.4) == [(2000, 70)]


@pytest.mark.parametrize("size", [(64, 64), (75, 131), (9, 40), (5, 5)])
def test_smoothing_reweighs_scales(size):
    noise = torch.randn(3, *size, generator=torch.Generator().manual_seed(0))
    copy = noise.clone()
    assert smoothed(noise, "none") is noise
    for how in ("gaussian", "laplacian"):
        assert smoothed(noise, how).shape == noise.shape
    assert torch.equal(noise, copy)
    if min(size) >= 16:
        results = [smoothed(noise, how) for how in ("none", "laplacian", "gaussian")]
        roughness = [(each.diff(dim=2).square().mean() / each.square().mean()).item() for each in results]
        assert roughness[0] > roughness[1]
        assert roughness[0] > roughness[2]


# The network optimised for inference


OPTIMISED = [
    ("efficientnet-lite0", "block9", 1e-4),
    ("efficientnet-lite2", "block5", 1e-4),
    ("vgg16", "relu4_3", 0.03),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "last", "tolerance"), OPTIMISED)
def test_an_optimised_network_has_the_outputs_of_the_network(name, last, tolerance):
    network = open_network(name)
    names = list(network.layers)
    for layers in ({last}, {names[0], names[3], last}, set(names[: names.index(last) + 1])):
        check_optimised(network, layers, photograph("coffee.png", 96), tolerance)


@pytest.mark.parametrize("name", ["conv", "dense"])
def test_an_optimised_digit_network_has_the_outputs_of_the_network(name, trained):
    network = open_trained(trained / "networks" / name)
    digit = torch.rand(1, 28, 28, generator=torch.Generator().manual_seed(0))
    for layers in ({"output"}, {next(iter(network.layers)), "relu2" if name == "conv" else "relu1"}, None):
        check_optimised(network, layers, digit, 1e-4)


def check_optimised(network, layers, picture, tolerance):
    """Compare outputs and gradients of the optimised network with the network's, relative to their size."""
    optimised = optimize_for_inference(network, layers)
    read, gradients = [], []
    for each in (network, optimised):
        images = picture[None].clone().requires_grad_()
        outputs = objectives.layer_outputs(each, images, frozenset(layers or network.layers))
        total = sum(out.square().sum() / out.detach().square().sum() for out in outputs.values())
        gradients += torch.autograd.grad(total, images)
        read.append({layer: out.detach() for layer, out in outputs.items()})
    for layer, expected in read[0].items():
        assert (read[1][layer] - expected).norm() < tolerance * expected.norm()
    assert F.cosine_similarity(*(each.flatten() for each in gradients), dim=0) > 1 - tolerance


def test_layers_after_the_last_target_are_removed(lite0):
    assert list(optimize_for_inference(lite0, {"block2"}).layers) == ["stem", "block1", "block2"]
    assert list(lite0.layers)[-1] == "output"
    assert len(optimize_for_inference(lite0).layers) == len(lite0.layers)
    with pytest.raises(UsageError, match="no layer 'block77'"):
        optimize_for_inference(lite0, {"block77"})
