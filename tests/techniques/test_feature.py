"""Generated pictures excite their target, more than real pictures do and more than other channels."""

import json
import math
import signal

import pytest
import torch
from torch.nn import functional as F

import lanterna
from interrupts import ctrl_c_when
from lanterna import shelf
from lanterna.errors import UsageError
from lanterna.images import open_picture, read_recipe, save_picture
from lanterna.images.digits import Digits, mnist
from lanterna.networks import class_index, open_network
from lanterna.networks.pooling import with_pooling
from lanterna.networks.trained import open_trained
from lanterna.probes import kernels, objectives
from lanterna.surfaces.cli import main
from lanterna.techniques.classify.algorithm import Classify, classify
from lanterna.techniques.feature import examples
from lanterna.techniques.feature.algorithm import Feature, feature, target_layer
from lanterna.techniques.feature.examples import best_examples
from lanterna.techniques.fourier_image import COLOURS, FourierImage, colour_axes, random_transform
from lanterna.techniques.technique import Frame


def generated(network, **settings):
    """The last frame of a feature visualisation."""
    *_, last = feature(Feature(**settings), network=network)
    return last


@pytest.fixture(scope="module")
def lite0():
    return open_network("efficientnet-lite0")


@pytest.fixture
def conv(trained):
    return open_trained(trained / "networks" / "conv")


@pytest.fixture
def few_digits(monkeypatch):
    """Real examples from 2,000 training digits only, which is faster."""
    few = Digits(*(part[:2000] for part in mnist("train")))
    monkeypatch.setattr(examples, "mnist", lambda _: few)


@pytest.mark.slow
@pytest.mark.parametrize(("layer", "index"), [("block5", 1), ("block9", 31)])
def test_a_generated_picture_excites_its_channel_more_than_real_ones(lite0, layer, index):
    last = generated(lite0, layer=layer, channel=index, size=96, steps=30)
    objective = objectives.channel(layer, index)
    with torch.no_grad():
        activation = objective(lite0, last.pictures).item()
        noise = objective(lite0, torch.rand(4, 3, 96, 96)).max().item()
        outputs = objectives.layer_outputs(lite0, last.pictures, frozenset({layer}))[layer].mean((2, 3))[0]
    (real,) = best_examples(lite0, layer, [index], 96)
    assert activation > 1.5 * real.activation > 0
    assert activation > 1.5 * abs(noise)
    assert outputs.argmax() == index
    assert activation > 3 * outputs.median()
    assert last.numbers["activation"] == pytest.approx(activation, rel=1e-3)


def test_average_pooling_paints_as_with_a_network_that_averages(conv):
    averaged = generated(conv, class_="3", steps=5, pooling="average").pictures
    assert torch.equal(averaged, generated(with_pooling(conv, "average"), class_="3", steps=5).pictures)
    assert not torch.equal(averaged, generated(conv, class_="3", steps=5).pictures)


@pytest.mark.slow
def test_the_best_example_is_the_best(lite0):
    (found,) = best_examples(lite0, "block5", [1], 128)
    objective = objectives.channel("block5", 1)
    with torch.no_grad():
        assert objective(lite0, found.picture[None]).item() == pytest.approx(found.activation, rel=1e-4)
        for name in ("chelsea.png", "astronaut.png", "rocket.jpg", "coffee.png"):
            photograph = open_picture(shelf.need("photographs") / name, longest=512)
            crops = photograph.unfold(1, 128, 96).unfold(2, 128, 96).flatten(1, 2).transpose(0, 1)
            assert objective(lite0, crops).max() < found.activation + 0.5


@pytest.mark.slow
def test_the_picture_of_a_class_is_classified_as_it(lite0, tmp_path):
    last = generated(lite0, class_="goldfish", size=128, steps=60)
    save_picture(last.picture, tmp_path / "goldfish.png")
    (found,) = classify([tmp_path / "goldfish.png"], Classify(top=1))
    assert found.answers[0].name == "goldfish"
    assert found.answers[0].probability > 0.9


@pytest.mark.parametrize("digit", [3, 8])
def test_a_generated_digit_is_classified_as_it(conv, digit, tmp_path):
    last = generated(conv, class_=str(digit))
    assert last.pictures.shape == (1, 1, 28, 28)
    assert last.numbers["probability"] > 0.95
    assert last.pictures.mean() < 0.3  # strokes on black
    save_picture(last.picture, tmp_path / "digit.png")
    (found,) = classify([tmp_path / "digit.png"], network=conv)
    assert found.answers[0].name == str(digit)
    assert found.answers[0].probability > 0.9


def test_against_a_class_or_between_two_channels(conv):
    plain = generated(conv, class_="4")
    against = generated(conv, class_="4", against="9")
    with torch.no_grad():
        margin = [
            (logits[4] - logits[9]).item() for logits in (conv(f.pictures)[0] for f in (plain, against))
        ]
    assert margin[1] > margin[0]
    between = generated(conv, layer="norm3", direction=(0, 3))
    single = generated(conv, layer="norm3", channel=0)
    maps = [
        objectives.layer_outputs(conv, f.pictures, frozenset({"norm3"}))["norm3"].mean((2, 3))[0]
        for f in (single, between)
    ]
    assert maps[1][3] > maps[0][3]
    assert maps[1][0] > 0


def test_a_unit_is_excited_in_the_middle_only(conv):
    last = generated(conv, layer="conv1", channel=5, unit=True, ink=20, robustness=0)
    ink = last.pictures[0, 0]
    assert ink[10:19, 10:19].sum() > 0.5 * ink.sum()  # its receptive field is 5 × 5 pixels


@pytest.mark.slow
def test_a_channel_that_does_not_fire_at_the_start_can_be_excited():
    """This channel of vgg16 does not fire on grey noise, so the gradient of its ReLU is 0 at the start."""
    vgg = open_network("vgg16")
    last = generated(vgg, layer="relu5_1", channel=33, size=64, steps=40)
    objective = objectives.channel("relu5_1", 33)
    with torch.no_grad():
        noise = 0.5 + 0.01 * torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        assert objective(vgg, noise).max() < 0.05 * objective(vgg, last.pictures)
    assert target_layer(Feature(layer="relu5_1", channel=0), vgg) == "conv5_1"
    assert {p.dtype for p in vgg.parameters()} == {torch.float32}  # the given network is not modified


def gram_similarity(network, layer, pictures):
    """The mean cosine between the Gram matrices of different pictures."""
    maps = objectives.layer_outputs(network, pictures, frozenset({layer}))[layer].flatten(2)
    gram = F.normalize((maps @ maps.mT).flatten(1), dim=1)
    cosines = gram @ gram.T
    return ((cosines.sum() - len(gram)) / (len(gram) * (len(gram) - 1))).item()


@pytest.mark.slow
def test_the_difference_setting_makes_pictures_differ(lite0):
    settings = {"layer": "block5", "channel": 1, "size": 64, "steps": 40, "diversity": 3}
    diverse = generated(lite0, **settings)
    similar = generated(lite0, **settings, difference=0.0)
    assert diverse.pictures.shape == (3, 3, 64, 64)
    assert diverse.picture.shape == (3, 64, 3 * 64 + 2 * 8)
    assert (
        gram_similarity(lite0, "block5", diverse.pictures)
        < gram_similarity(lite0, "block5", similar.pictures) - 0.1
    )
    assert diverse.numbers["activation"] > 0.3 * similar.numbers["activation"]


def test_the_seed_determines_the_pictures(conv):
    first, same, other = (generated(conv, class_="2", steps=20, seed=seed).pictures for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_there_is_a_frame_after_each_step_which_notebooks_can_show(conv):
    frames = list(lanterna.feature(lanterna.Feature(layer="relu2", sheet=10, steps=3), network=conv))
    assert [(f.step, f.steps) for f in frames] == [(n, 6) for n in range(1, 7)]  # eight together, then two
    assert [len(f.pictures) for f in frames] == [8, 8, 8, 10, 10, 10]
    assert frames[0]._repr_png_().startswith(b"\x89PNG")
    assert Frame(1, 1)._repr_png_() is None


# The Fourier image


def test_colours_are_those_of_the_photographs():
    names = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
    pictures = [open_picture(shelf.need("photographs") / name, longest=512) for name in names]
    axes = colour_axes(pictures)
    signs = (axes * torch.tensor(COLOURS)).sum(0).sign()
    torch.testing.assert_close(axes * signs, torch.tensor(COLOURS), atol=2e-3, rtol=0)


def test_the_initial_noise_has_the_spectrum_of_photographs():
    image = FourierImage(8, 1, 64, 64, torch.Generator().manual_seed(0), fall=1.0, start=0.05)
    pictures = image().detach()
    assert abs(pictures.mean() - 0.5) < 0.02
    power = torch.fft.rfft2(pictures - 0.5).abs().square().mean((0, 1))
    along = power[0, 2:30].log()  # power falls as 1 / frequency²
    steps = torch.arange(2.0, 30.0).log()
    slope = torch.linalg.lstsq(torch.stack([steps, torch.ones(28)], 1), along[:, None]).solution[0].item()
    assert slope == pytest.approx(-2, abs=0.4)


def test_transforms_move_pictures_and_change_nothing_else():
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(4, 3, 20, 30, generator=generator)
    torch.testing.assert_close(random_transform(pictures, generator, 0.0), pictures, atol=1e-5, rtol=0)
    flat = torch.full((4, 3, 20, 30), 0.3)
    torch.testing.assert_close(random_transform(flat, generator, 3.0), flat)  # there is no border
    assert (random_transform(pictures, generator) - pictures).abs().flatten(1).mean(1).min() > 0.05


# First kernels


def gabor(angle, phase, size=5):
    along = torch.arange(size) - (size - 1) / 2
    y, x = torch.meshgrid(along, along, indexing="ij")
    u = x * math.cos(angle) + y * math.sin(angle)
    return torch.exp(-(x.square() + y.square()) / 3) * torch.cos(1.5 * u + phase)


def test_known_patterns_are_found_and_noise_is_not():
    generator = torch.Generator().manual_seed(7)
    edges = [gabor(angle, math.pi / 2) for angle in (0.1, 0.9, 2.3)]
    bars = [gabor(angle, 0) for angle in (0.2, 1.3, 2.6)]
    blobs = [
        torch.exp(-((torch.arange(5) - c)[:, None] ** 2 + (torch.arange(5) - 2) ** 2) / 2.2) for c in (2, 2.4)
    ]
    patterned = torch.stack([*edges, *bars, *blobs])[:, None]
    patterned = patterned + 0.05 * torch.randn(patterned.shape, generator=generator)
    found = kernels.fit_kernels(patterned).found
    assert found[:3] == ("edge",) * 3
    assert found[3:6] == ("bar",) * 3
    assert found[6:] == ("blob",) * 2
    noise = kernels.fit_kernels(torch.randn(400, 1, 5, 5, generator=generator))
    assert sum(each is not None for each in noise.found) < 14  # 4 expected
    coloured = patterned * torch.tensor([1.0, -0.5, 0.2]).view(1, 3, 1, 1)  # only the pattern matters
    assert kernels.fit_kernels(coloured).found == found


def test_the_explained_share_is_that_of_least_squares():
    weights = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(3))
    patterns, _ = kernels.templates(5)
    explained, _ = kernels.fit_templates(weights)
    flat = weights[0].flatten(1)
    best = 0.0
    for pattern in patterns:
        fitted = torch.outer(flat @ pattern, pattern)
        best = max(best, 1 - ((flat - fitted).square().sum() / flat.square().sum()).item())
    assert explained[0].item() == pytest.approx(best, abs=1e-5)


def test_networks_for_photographs_have_edges_in_the_first_layer(trained):
    for name, minimum in (("efficientnet-lite0", 20), ("vgg16", 45)):
        measured = kernels.first_kernels(open_network(name))
        assert sum(found is not None for found in measured.found) > minimum
    with pytest.raises(UsageError, match="convolution"):
        kernels.first_kernels(open_trained(trained / "networks" / "dense"))


# The command


@pytest.mark.parametrize(
    "arguments",
    [
        ["--class", "8", "--steps", "5"],
        ["relu3", "--sheet", "3", "--steps", "5"],
        ["relu3", "2", "--diversity", "2", "--steps", "5", "--seed", "9"],
        ["--kernels"],
    ],
)
@pytest.mark.usefixtures("conv", "few_digits")
def test_pictures_are_reproducible_bit_for_bit(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["feature", *arguments, "--network", "conv", "-o", "one.png", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["picture"] == "one.png"
    assert main(["rerun", "one.png", "-o", "two.png"]) == 0
    assert torch.equal(open_picture("one.png"), open_picture("two.png"))
    assert main(["recipe", "one.png"]) == 0
    by_hand = capsys.readouterr().out.splitlines()[-1].split()[1:]
    by_hand[-1] = "three.png"
    assert main(by_hand) == 0
    assert torch.equal(open_picture("one.png"), open_picture("three.png"))
    assert read_recipe("one.png").verb == "feature"


@pytest.mark.usefixtures("conv", "few_digits")
def test_a_sheet_compares_generated_and_real_pictures(tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    assert main(["feature", "relu3", "--sheet", "8", "--network", "conv", "-o", str(sheet), "--json"]) == 0
    channels = json.loads(capsys.readouterr().out)["channels"]
    assert [each["channel"] for each in channels] == list(range(8))
    # Most excite their channel more than any digit does. Which ones do depends on the training run.
    ratios = [each["generated"] / each["real"] for each in channels]
    assert sum(ratios) / 8 > 1
    assert min(ratios) > 0.6
    assert all(each["source"].startswith("a ") for each in channels)


@pytest.mark.usefixtures("conv")
def test_ctrl_c_saves_the_picture_so_far(tmp_path, capsys):
    place = tmp_path / "stopped.png"
    before = signal.getsignal(signal.SIGINT)
    with ctrl_c_when(lambda: signal.getsignal(signal.SIGINT) != before):  # as soon as there is a handler
        code = main(["feature", "--network", "conv", "--class", "3", "--steps", "10000", "-o", str(place)])
    assert code == 130
    assert open_picture(place).shape == (3, 224, 224)
    assert "stopped after" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected a channel"),
        (["block9"], "expected a channel"),
        (["block99", "1"], "block16"),
        (["block9", "9999"], "0 to 111"),
        (["--class", "goldfsh"], "did you mean goldfish"),
        (["--class", "1000"], "1000"),
        (["block9", "1", "--class", "goldfish"], "exclude each other: leave one out"),
        (["block9", "--sheet", "4", "--diversity", "2"], "diversity"),
        (["block9", "1", "--against", "goldfish"], "against"),
        (["block9", "1", "--steps", "0"], "steps"),
        (["--network", "vgg16", "--class", "goldfish"], "no classes"),
        (["--network", "conv", "--class", "1", "--size", "64"], "--size"),
        (["--kernels", "block9", "1"], "--kernels"),
        (["block9", "1", "-o", "picture.xyz"], ".xyz"),
        (["block9", "1", "--channel", "2"], "give only one"),
    ],
)
@pytest.mark.usefixtures("conv")
def test_invalid_options_are_reported_in_one_line(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["feature", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
    assert not list(tmp_path.iterdir())


def test_classes_are_found_by_name_or_number(lite0):
    assert class_index("Goldfish", lite0) == class_index("1", lite0) == 1
    assert lite0.classes[class_index("volcano", lite0)] == "volcano"


@pytest.mark.usefixtures("conv")
def test_a_relu_has_no_negative_activation(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for layer, least in (("relu2", 0.0), ("norm2", -math.inf)):
        words = [layer, "1", "--network", "conv", "--steps", "1", "-o", f"{layer}.png", "--json"]
        assert main(["feature", *words]) == 0
        assert json.loads(capsys.readouterr().out)["activation"] >= least
    images = [open_picture(f"{layer}.png") for layer in ("relu2", "norm2")]
    assert torch.equal(*images)  # what is maximised is the same


def test_a_target_is_suggested_that_the_network_has():
    for network, target in (
        ("vgg19", "relu5_1 31"),
        ("efficientnet-lite0", "block9 31"),
        ("conv", "LAYER 31"),
    ):
        with pytest.raises(UsageError, match=target):
            lanterna.Feature(network=network).check_target()
