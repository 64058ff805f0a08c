"""Lessons that show pictures: findings hold with a margin, and fail if their mechanism is broken."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lanterna.errors import UsageError
from lanterna.images.digits import mnist
from lanterna.lessons import LESSONS, Picture, digit, dream, painting, parts, paths, quickstart, style
from lanterna.lessons.digit import DigitNetwork
from lanterna.lessons.loop import descend
from lanterna.lessons.painting import PaintingSteps
from lanterna.lessons.parts import Parts
from lanterna.techniques.paint.pixels import psnr


def outcome(name: str, **settings):
    lesson = LESSONS[name]
    return lesson.experiment(lesson.settings.checked(settings))


def test_the_loop_finds_the_minimum():
    x = torch.tensor([3.0, -2.0], requires_grad=True)
    losses = descend([x], lambda _: (x - torch.tensor([1.0, 4.0])).square().sum(), 400, 0.1)
    assert x.tolist() == pytest.approx([1.0, 4.0], abs=1e-3)
    assert losses[0] == 40.0
    assert losses[-1] < 1e-6


@pytest.mark.slow
@pytest.mark.usefixtures("real_shelf")
def test_fewer_pixels_are_worth_it_until_they_are_too_few():
    found = outcome("digit", sides=[28, 14, 4], runs=1).finding
    numbers = found.numbers
    assert numbers["white on black, 28"] > 0.85
    assert numbers["white on black, 28"] - numbers["white on black, 14"] < 0.04
    assert numbers["white on black, 28"] - numbers["white on black, 4"] > 0.15
    assert numbers["weights, fewest worthwhile pixels"] <= numbers["weights, most pixels"] / 4
    # Accuracy is lower in grey, in which some pens are as light as their paper.
    assert numbers["in colour, 28"] > numbers["in grey, 28"] + 0.01
    assert numbers["roughness of the weights, before to after"] > 1.5  # from noise to pictures
    assert found.verdict == "holds only when"
    assert numbers["in grey, pen barely lighter"] < 0.1  # such a pen is light on dark in grey, as no other
    assert numbers["in colour, pen barely lighter"] > 0.5
    assert "above all where the pen is barely lighter than its paper" in found.words


@pytest.mark.slow
@pytest.mark.usefixtures("real_shelf")
def test_grey_costs_nothing_if_pens_are_grey(monkeypatch):
    def grey(images, seed):
        del seed
        return images.expand(-1, 3, -1, -1)

    monkeypatch.setattr(digit, "coloured", grey)
    assert outcome("digit", sides=[28, 14], digits=6000, epochs=4, runs=1).finding.verdict == "holds"


@pytest.mark.slow
@pytest.mark.usefixtures("real_shelf")
def test_a_hidden_unit_is_the_sum_of_its_pixels_and_its_bias(monkeypatch):
    first, network, before, correct = digit.trained(
        DigitNetwork(digits=500, epochs=1), "white on black", 14, 0
    )
    assert network[0] is first
    assert before.shape == (36, 196)
    assert 0.2 < correct.float().mean() < 0.95
    pixels = torch.rand(196)
    terms, sums = digit.weighted_sums(first, pixels)
    assert torch.allclose(sums, first(pixels), atol=1e-5)
    assert torch.allclose(terms[5, 7], first.weight[5, 7] * pixels[7])
    # Without its bias it is not.
    monkeypatch.setattr(
        digit,
        "weighted_sums",
        lambda first, pixels: (first.weight.detach() * pixels, first.weight.detach() @ pixels),
    )
    assert outcome("digit", digits=500, epochs=1, sides=[14], runs=1).finding.verdict == "does not hold"


@pytest.mark.usefixtures("real_shelf")
def test_pens_differ_from_their_papers():
    images = mnist("test").images[:200].float() / 255
    result = digit.coloured(images, 0)
    ink, paper = result[images.expand(-1, 3, -1, -1) == 1], result[images.expand(-1, 3, -1, -1) == 0]
    assert paper.max() <= 0.4 + 1e-6  # negative: papers are light
    assert ink.std() > 0.2


def test_invalid_sides_are_refused():
    for sides in ([1], [29], [28, 0]):
        with pytest.raises(UsageError, match="sides: expected 2 to 28 pixels"):
            DigitNetwork(sides=sides)


@pytest.fixture
def reader(trained):
    """A home with a trained network."""
    return trained


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("first", [0, 7])
def test_cut_paths_take_the_answer_away(first):
    result = outcome("paths", network="dense", digit=first, digits=10)
    numbers = result.finding.numbers
    assert result.finding.verdict == "holds"
    assert numbers["remaining, by contribution"] < 0.3
    assert numbers["remaining, by weight"] > 0.7
    assert numbers["remaining, at random"] > 0.95  # other connections for each digit, so few that matter
    assert numbers["logit after the cut"] < numbers["answer"] - 2
    rows = result.rows[1:]
    assert rows[0][0] == "input"
    assert all(float(row[3]) == pytest.approx(numbers["answer"], abs=1e-3) for row in rows)
    # The two series of ten logits are the network's, before and after cutting.
    network = paths.opened("dense")
    image = mnist("test").images[first].float() / 255
    (before, after) = result.charts[1].lines
    with torch.no_grad():
        assert list(before.ys) == pytest.approx(network.eval()(image[None])[0].tolist(), abs=1e-4)
    assert after.ys != before.ys


@pytest.mark.usefixtures("reader")
def test_cutting_at_random_does_not_hold(monkeypatch):
    right = paths.remaining
    monkeypatch.setattr(
        paths, "remaining",
        lambda network, images, answers, by, seed: right(
            network, images, answers, "random" if by == "for" else by, seed
        ),
    )  # fmt: skip
    assert outcome("paths", network="dense", digits=5).finding.verdict == "holds only when"


@pytest.mark.slow
@pytest.mark.usefixtures("real_shelf")
def test_the_quickstart_runs_and_shows_its_own_lines():
    result = outcome("quickstart", digits=6400, epochs=2)
    head, *rows = result.rows
    assert head == ("in the original", "in torch", "what it does", "measured")
    by_line = {row[0]: row for row in rows}
    assert by_line["Dense(128)"][1] == "hidden = nn.Linear(784, settings.units)"
    assert by_line["Dense(128)"][3] == "100,352 weights and 128 biases"
    assert by_line["Sequential([...])"][3] == "101,770 parameters to learn"  # as in the original's summary
    assert "loss.backward()" in by_line["fit(x_train, y_train, epochs=2)"][1]
    assert by_line["Dropout(0.2)"][3].endswith("the others multiplied by 1.25")
    numbers = result.finding.numbers
    assert numbers["untrained loss"] == pytest.approx(math.log(10), abs=0.15)
    assert 0.88 < numbers["accuracy"] < 0.95
    assert numbers["during training"] < numbers["accuracy"]
    assert result.finding.verdict == "holds only when"  # about 98 % is for five epochs of all of them


@pytest.mark.usefixtures("real_shelf")
def test_a_quickstart_that_steps_uphill_reads_nothing(monkeypatch):
    right = quickstart.without_dynamo

    def uphill(optimiser):
        return lambda parameters, **settings: right(optimiser)(parameters, maximize=True, **settings)

    monkeypatch.setattr(quickstart, "without_dynamo", uphill)
    assert outcome("quickstart", digits=3200, epochs=1).finding.numbers["accuracy"] < 0.3


SOON = {"size": 48, "steps": 150, "neurons": 48, "runs": 1}


@pytest.mark.slow
@pytest.mark.usefixtures("real_shelf")
def test_each_change_gets_closer_to_the_painting():
    result = outcome("painting", **SOON)
    db = [result.finding.numbers[f"dB, {name}"] for name in painting._CHANGES]
    in_colour = db[2:]
    assert in_colour[0] < in_colour[2] < in_colour[3]
    assert in_colour[3] > max(22, in_colour[0] + 6, in_colour[2] + 2)
    # Each number is the PSNR of the left half of a picture, compared with the right half.
    for number, chart in zip(db, result.charts[1:], strict=True):
        shown = chart.picture[:, ::7, ::7]
        left, right = shown[..., :48], shown[..., 50:]
        assert psnr((left - right).square().mean().item()) == pytest.approx(number, abs=0.01)
    grey, colour = (chart.picture[..., 350:] for chart in result.charts[2:4])
    assert torch.equal(grey[0], grey[1])  # and compared with grey, not with the colours
    assert not torch.equal(colour[0], colour[1])
    # The chart ends where the words do.
    ends = [line.ys[-1] for line in result.charts[0].lines[1:]]
    assert ends == pytest.approx(db, abs=1.5)


@pytest.mark.slow
@pytest.mark.usefixtures("real_shelf")
def test_without_waves_or_activations_it_stays_a_blur(monkeypatch):
    monkeypatch.setattr(painting, "as_waves", lambda x, count, *_: x.repeat(1, count))
    result = outcome("painting", **SOON)
    assert result.finding.numbers["dB, 6. positions as waves"] < 22
    monkeypatch.setattr(nn.ReLU, "forward", lambda _, x: x)
    assert outcome("painting", **SOON).finding.verdict != "holds"


def test_waves_are_sines_of_positions():
    at = painting.positions(8)
    assert at[0].tolist() == [-0.875, -0.875]
    assert at[1].tolist() == [-0.625, -0.875]  # x first
    waves = painting.as_waves(at, 5, 48, 0)
    assert waves.shape == (64, 10)
    assert torch.allclose(waves[:, :5].square() + waves[:, 5:].square(), torch.ones(64, 5), atol=1e-5)
    network = painting.network(2, [7, 7], 3, nn.ReLU)
    assert [type(each) for each in network] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert PaintingSteps().photograph == "coffee"


BRIEF = {"size": 64, "steps": 25, "training": 60, "layer": "relu3_1"}


@pytest.mark.slow
@pytest.mark.usefixtures("real_shelf")
def test_one_loop_makes_four_results(monkeypatch):
    result = outcome("parts", **BRIEF)
    numbers = result.finding.numbers
    assert numbers["training, before"] < 0.3 < 0.9 < numbers["training, after"]
    assert numbers["class, before"] < 0.5 < 0.95 < numbers["class, after"]
    assert numbers["dream, after"] > 2
    assert numbers["style, after"] < numbers["style, before"] / 2
    assert [type(each) for each in result.charts] == [Picture] * 4
    begin = parts.photograph("chelsea", 64)
    dream, style = (each.picture for each in result.charts[2:])
    assert 0.05 < (dream - begin).abs().mean() < 0.4
    assert 0.02 < (style - begin).abs().mean() < 0.4
    # Nothing changes if the loop takes no steps.
    monkeypatch.setattr(parts, "descend", lambda _, loss, *__: [loss(0).item()])
    assert outcome("parts", **BRIEF).finding.verdict == "does not hold"


@pytest.mark.usefixtures("real_shelf")
def test_a_photograph_is_unchanged_at_first():
    begin = parts.photograph("coffee", 64)[None]
    canvas = parts._canvas(begin, torch.Generator().manual_seed(0))
    assert (parts._over(begin, canvas) - begin).abs().max() < 0.02
    assert Parts().class_ == 3


SMALL_DREAM = {"photographs": ["coffee"], "size": 96, "octaves": 2, "steps": 3}


@pytest.mark.slow
@pytest.mark.usefixtures("real_shelf")
def test_a_dream_climbs_and_octaves_add_longer_waves(monkeypatch):
    monkeypatch.setattr(dream, "LAYERS", ("block5", "block9"))
    result = outcome("dream", **SMALL_DREAM)
    numbers = result.finding.numbers
    assert numbers["cup, times as strong"] > 1.1
    assert numbers["cup, wavelength, 2 octaves"] > 1.1 * numbers["cup, wavelength, 1 octave"]
    assert [type(each) for each in result.charts[:3]] == [Picture] * 3
    uphill = dream.gradient
    monkeypatch.setattr(dream, "gradient", lambda *of: -uphill(*of))
    assert outcome("dream", **SMALL_DREAM).finding.verdict == "does not hold"


@pytest.mark.parametrize("length", [4, 16])
def test_the_wavelength_of_a_wave_is_its_length(length):
    wave = torch.sin(2 * math.pi * torch.arange(64) / length).expand(3, 64, 64)
    assert dream.wavelength(wave + 7) == pytest.approx(length, rel=1e-3)


def test_a_shuffled_painting_has_the_same_squares_elsewhere():
    picture = torch.rand(3, 32, 32)
    mixed = style.shuffled(picture, 0)
    assert mixed.shape == picture.shape
    assert not torch.equal(mixed, picture)
    before, after = (
        sorted(square.sum().item() for row in each.split(8, 1) for square in row.split(8, 2))
        for each in (picture, mixed)
    )
    assert after == pytest.approx(before)
    assert style.difference(picture, picture) == 0
    assert style.difference(torch.tensor([1.0, 0]), torch.tensor([0, 3.0])) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("real_shelf")
def test_a_style_is_in_the_gram_matrices_and_content_is_not(monkeypatch):
    result = outcome("style", size=64, steps=5)
    numbers = result.finding.numbers
    for name in style.PAINTINGS:
        assert 10 * numbers[f"{name}, style, shuffled"] < numbers[f"{name}, style, another"]
        assert 10 * numbers[f"{name}, style, shuffled"] < numbers[f"{name}, content, shuffled"]
    assert numbers["times closer"] > 1.1
    assert numbers["content, with content"] < numbers["content, texture"]
    monkeypatch.setattr(style, "descended", lambda *_: (torch.rand(3, 64, 64), [1.0] * 5))
    assert outcome("style", size=64, steps=5).finding.verdict == "holds only when"  # shuffling is as it was
    monkeypatch.setattr(style, "shuffled", lambda picture, _: torch.rand_like(picture))
    assert outcome("style", size=64, steps=5).finding.verdict == "does not hold"
