"""Imagined digits: the sampler against an exact solution, and what a viewer would expect of the digits."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections import deque
from contextlib import contextmanager, nullcontext

import pytest
import torch
from PIL import Image, ImageDraw

from lanterna.errors import LanternaError, UsageError
from lanterna.images import open_picture, read_recipe, save_picture
from lanterna.images.digits import Digits, mnist
from lanterna.images.film_reading import open_film
from lanterna.surfaces.cli import main, preview
from lanterna.techniques.execute import rerun_recipe
from lanterna.techniques.imagine import drawings, technique
from lanterna.techniques.imagine.algorithm import (
    Learning,
    LearningDrawings,
    Training,
    as_light,
    digit_row,
    draw,
    flow_loss,
    follow,
    guided,
    learn,
    noise_of,
    one_hot,
)
from lanterna.techniques.imagine.ink import own_digit
from lanterna.techniques.rerun import command_line

QUICK = Learning(
    epochs=12, batch_size=25, learning_rate=5e-3, average=0.9, width=64, blocks=1, channels=8, strokes=1
)


def last_frame(frames):
    (last,) = deque(frames, maxlen=1)
    return last


@pytest.fixture(scope="module")
def digits(real_shelf):
    """Zeros and ones."""
    del real_shelf
    train = mnist("train")
    kept = (train.labels < 2).nonzero().flatten()[:400]
    return Digits(train.images[kept], train.labels[kept])


@pytest.fixture(scope="module")
def frames(digits):
    return list(learn(digits, QUICK))


def nearest_class(drawn, digits):
    """Return the class whose mean training digit is the nearest to each drawn one."""
    means = torch.stack([digits.images[digits.labels == label].float().mean(0) / 255 for label in (0, 1)])
    return (drawn[:, None] - means).square().sum((2, 3, 4)).argmin(1)


def test_for_gaussian_data_the_sampler_ends_where_the_exact_solution_does():
    # Data of mean m and std s, mixed with noise, stay Gaussian: the velocity is a ratio of moments, and the
    # exact way from the noise x ends at m + s x.
    mean, std = 0.3, 0.5

    def velocity(x, t):
        variance = (1 - t) ** 2 + (t * std) ** 2
        return mean + (t * std**2 - (1 - t)) / variance * (x - t * mean)

    noise = torch.randn(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    errors = [
        (last_frame(follow(velocity, noise, steps)) - (mean + std * noise)).abs().max().item()
        for steps in (20, 40, 80)
    ]
    assert errors[0] < 0.01
    for coarse, fine in itertools.pairwise(errors):
        assert 3.5 < coarse / fine < 4.6  # of second order: half the step, a quarter of the error
    halfway = mean * 0.5 + noise * (0.25 + (0.5 * std) ** 2) ** 0.5  # on the exact way at t = 0.5
    ended = last_frame(follow(velocity, halfway, 80, begin=0.5))
    assert (ended - (mean + std * noise)).abs().max() < 1e-3


def test_a_network_that_knows_the_digit_has_no_loss_and_is_followed_to_it(digits):
    known = digits.images[:1].float() / 127.5 - 1
    loss = flow_loss(
        lambda mixed, *_: known.expand_as(mixed), known.expand(8, -1, -1, -1), torch.zeros(8, 10),
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert loss == 0
    velocity = guided(lambda mixed, *_: known.expand_as(mixed), torch.zeros(2, 10), 1.5)
    assert torch.allclose(
        last_frame(follow(velocity, noise_of(0, 2), 3)), known.expand(2, -1, -1, -1), atol=1e-5
    )


def test_guidance_goes_on_from_any_digit_to_the_class():
    def network(mixed, times, classes):
        del times
        return torch.zeros_like(mixed) + classes.sum(1)[:, None, None, None] / 5  # 0.2 for a class, or 0

    x = torch.zeros(3, 1, 28, 28)
    for guidance in (0.0, 1.0, 2.5, 5.0):
        velocity = guided(network, one_hot(torch.tensor([3, 5, 8])), guidance)(x, 0.5)
        assert torch.allclose(velocity, torch.full_like(x, 2 * guidance / 5))
    beyond = guided(network, one_hot(torch.tensor([3, 5, 8])), 10.0)(x, 0.5)
    assert torch.allclose(beyond, torch.full_like(x, 2.0))  # no digit is lighter than 1


@pytest.mark.slow
def test_the_loss_falls_and_digits_are_drawn_as_asked(frames, digits):
    losses = [frame.numbers["loss"] for frame in frames]
    assert losses[-1] < losses[0] / 4
    assert frames[-1].step == frames[-1].steps == 12 * 16
    assert frames[-1].picture.shape == (3, 112, 1120)
    asked = torch.arange(40) % 2
    drawn = draw(frames[-1].network, one_hot(asked), steps=8, guidance=4)
    assert (nearest_class(drawn, digits) == asked).float().mean() > 0.9
    any_digit = draw(frames[-1].network, one_hot(asked), steps=8, guidance=0)  # the class does not count
    assert torch.equal(any_digit[:2], draw(frames[-1].network, torch.zeros(2, 10), steps=8))
    assert 0.2 < nearest_class(any_digit, digits).float().mean() < 0.8


def test_what_is_almost_black_or_white_becomes_so_and_the_rest_stays_in_order():
    light = as_light(torch.arange(256) / 127.5 - 1)
    assert light[:17].max() == 0
    assert light[-14:].min() == 1
    assert torch.allclose(light[48:217], torch.arange(48, 217) / 255)  # as the network predicts it
    assert (light.diff() >= 0).all()


@pytest.mark.slow
def test_a_seed_draws_the_same_digits_and_another_seed_others(frames):
    network = frames[-1].network
    four = draw(network, one_hot(torch.tensor([0, 1, 1, 0])), seed=3, steps=4)
    assert torch.allclose(four[:2], draw(network, one_hot(torch.tensor([0, 1])), seed=3, steps=4), atol=0.02)
    assert (four[1] - four[2]).abs().mean() > 0.02
    assert (four - draw(network, one_hot(torch.tensor([0, 1, 1, 0])), seed=4, steps=4)).abs().mean() > 0.02


def test_resumed_learning_ends_with_the_weights_of_uninterrupted(digits, tmp_path):
    short = QUICK.changed({"epochs": 1})
    whole = last_frame(learn(digits, short)).network.state_dict()
    checkpoint = tmp_path / "checkpoint.pt"
    stopped = learn(digits, short, checkpoint=checkpoint)
    assert next(stopped).step < 16
    stopped.close()
    frames = list(learn(digits, short, checkpoint=checkpoint, resume=True))
    assert 0 < frames[0].step < frames[-1].step == 16
    assert all(torch.equal(whole[name], value) for name, value in frames[-1].network.state_dict().items())
    with pytest.raises(UsageError, match="other settings"):
        learn(digits, QUICK, checkpoint=checkpoint, resume=True)
    others = Digits(digits.images[1:], digits.labels[1:])
    with pytest.raises(UsageError, match="another picture"):
        learn(others, short, checkpoint=checkpoint, resume=True)
    checkpoint.write_bytes(b"PK\3\4 no checkpoint")
    with pytest.raises(LanternaError, match="damaged or no checkpoint"):
        learn(digits, short, checkpoint=checkpoint, resume=True)


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_imagined_digits_are_read_looked_into_and_dreamed_with(frames, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    drawn = draw(frames[-1].network, one_hot(torch.tensor([0, 1, 1, 0])), steps=8, guidance=4)
    save_picture(digit_row(drawn), "imagine.png")
    assert main(["read", "imagine.png", "--quiet"]) == 0
    assert "".join(capsys.readouterr().out.split()) == "0110"
    assert main(["look", "imagine.png", "--digit", "2", "--json"]) == 0
    looked = json.loads(capsys.readouterr().out)
    assert looked["read_as"] == "1"
    words = ["dream", "imagine.png", "--network", "conv", "--layer", "relu2", "--size", "112", "--steps", "2"]
    assert main([*words, "--octaves", "1", "--quiet"]) == 0
    assert (open_picture("dream.png") - open_picture("imagine.png", longest=112)).abs().mean() > 0.005


def slanted_line(*, thick=30):
    """A picture of a one that leans far to the right, in the corner of a sheet of paper."""
    page = Image.new("RGB", (400, 300), "white")
    ImageDraw.Draw(page).line((60, 190, 140, 40), fill="black", width=thick)
    return page


def test_an_own_digit_keeps_its_slant_and_is_centred(tmp_path):
    slanted_line().save(tmp_path / "one.png")
    digit = own_digit(open_picture(tmp_path / "one.png"), "one.png")
    assert digit.shape == (1, 28, 28)
    ink = digit[0] / digit.sum()
    rows, columns = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    assert abs((ink * rows).sum() - 13.5) < 0.6
    assert abs((ink * columns).sum() - 13.5) < 0.6
    top, bottom = (columns[part] * ink[part] for part in (slice(4, 9), slice(19, 24)))
    assert top.sum() / ink[4:9].sum() - bottom.sum() / ink[19:24].sum() > 5  # pixels of slant
    Image.new("RGB", (60, 60), "white").save(tmp_path / "empty.png")
    with pytest.raises(UsageError, match=r"empty\.png: expected a picture of a digit"):
        own_digit(open_picture(tmp_path / "empty.png"), "empty.png")


@pytest.fixture
def quick(private_home, monkeypatch, tmp_path, digits):
    """An empty folder to be in, with a small network that learns few digits."""
    del private_home
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(technique, "learning_of", lambda _: QUICK.changed({"epochs": 2}))
    monkeypatch.setattr(technique, "mnist", lambda _: digits)
    monkeypatch.setattr(technique, "_DIGITS", len(digits.labels))
    return tmp_path


def run(*words):
    return main(["imagine", *words, "--quiet"])


def test_the_command_learns_once_and_its_recipe_makes_the_picture_again(quick, monkeypatch, capsys):
    assert run("1001", "--seed", "5", "--steps", "4") == 0
    picture = open_picture(quick / "imagine.png")
    assert picture.shape == (3, 112, 448)
    assert not (quick / "imagine.unfinished").exists()
    monkeypatch.delattr(technique, "mnist")  # what was learned is on this machine
    recipe = read_recipe(quick / "imagine.png")
    again, _ = rerun_recipe(recipe)
    assert torch.equal((again * 255).round(), (picture * 255).round())
    command = command_line(recipe, "again.png")
    assert command == "lanterna imagine --seed=5 --steps=4 --digits=1001 -o again.png"
    assert main([*shlex.split(command)[1:], "--quiet"]) == 0
    assert torch.equal(open_picture(quick / "again.png"), picture)
    capsys.readouterr()

    assert run("10", "--between", "0", "1") == 2
    assert run("4x") == 2
    assert run("--between", "3", "12") == 2
    assert run("--like", "none.png") == 2
    errors = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in errors] == [
        "--digits does not go with --between: leave one of them out",
        "--digits: expected 1 to 400 digits from 0 to 9, such as 4096, got '4x'",
        "--between: expected two digits from 0 to 9, such as 3 8, got (3, 12)",
        "none.png does not exist: give the path of a picture file",
    ]
    (network,) = (quick / "empty-home" / "networks").glob("imagine-*.safetensors")
    network.write_bytes(network.read_bytes()[:-8])
    assert run("1", "-o", "other.png") == 1
    assert "is damaged: delete it, and the network learns again" in capsys.readouterr().err


@pytest.mark.slow
def test_between_like_sheet_and_film(quick):
    assert run("--between", "0", "1", "--pictures", "5", "--steps", "3") == 0
    way = open_picture(quick / "imagine-between.png")[0].unflatten(1, (5, 112))  # (112, 5, 112)
    gaps = (way.diff(dim=1)).abs().mean((0, 2))
    assert gaps.max() < (way[:, 0] - way[:, -1]).abs().mean()  # each is nearer to its neighbour

    slanted_line().save("mine.png")
    own = digit_row(own_digit(open_picture("mine.png"), "mine.png")[None])
    assert run("1", "--like", "mine.png", "--strength", "0.05", "--steps", "2") == 0
    alike = open_picture(quick / "imagine-like.png")
    assert torch.corrcoef(torch.stack([alike.flatten(), own.flatten()]))[0, 1] > 0.8
    recipe = read_recipe(quick / "imagine-like.png")
    assert command_line(recipe, "a.png") == (
        "lanterna imagine --like mine.png --steps=2 --digits=1 --strength=0.05 -o a.png"
    )

    assert run("01", "--sheet") == 0
    assert open_picture(quick / "imagine-sheet.png").shape[2] > 4 * 224
    assert run("01", "--film", "way.webp", "--frames", "5") == 0
    film = open_film(quick / "way.webp")
    first, *_, last = film.frames(0)
    assert film.count == 5
    assert first.std() > last.std() or not torch.equal(first, last)


def test_a_drawing_is_read_as_it_is_or_by_its_ink(tmp_path):
    ring = Image.new("L", (32, 32), 255)  # dark on light paper
    ImageDraw.Draw(ring).ellipse((4, 4, 27, 27), outline=0, width=4)
    ring.save(tmp_path / "ring.png")
    page = Image.new("RGB", (500, 400), "white")
    ImageDraw.Draw(page).ellipse((300, 60, 450, 210), outline="black", width=20)
    ImageDraw.Draw(page).line((375, 100, 375, 170), fill="black", width=16)
    page.save(tmp_path / "large.png")
    Image.new("L", (28, 28), 255).save(tmp_path / "empty.png")
    ring_file, large_file, empty_file = (tmp_path / name for name in ("ring.png", "large.png", "empty.png"))
    files = [ring_file, large_file, *[ring_file] * 198, *[empty_file] * 100]
    told, done = [], []
    read = drawings.read_drawings(files, lambda *at: done.append(at), told.append)
    assert read.shape == (200, 1, 28, 28)
    assert done[-1] == (300, 300)
    assert told == ["left out: 100 without ink: empty.png, empty.png, empty.png and others"]
    small, large = read[0, 0].float() / 255, read[1, 0].float() / 255
    assert small[0].max() == small[14, 14] == 0
    assert small[14].max() > 0.7
    rows = (large > 0.3).any(1).nonzero().flatten()
    assert 23 <= rows[-1] - rows[0] + 1 <= 25
    assert large[14, 14] > 0.3  # the line within the ring is part of the drawing
    with pytest.raises(UsageError, match="at least 200 drawings to learn from, found ink in 0"):
        drawings.read_drawings([empty_file] * 200, lambda *_: None, told.append)


def test_copies_are_told_from_new_drawings(digits):
    known = digits.images[:200].float() / 255
    moved = torch.roll(known[7:9], (2, -1), (2, 3))
    drawn = torch.cat([moved, moved.flip(3), torch.rand(1, 1, 28, 28)])
    found = drawings.compare(drawn, known, 2, mirror=False)
    assert found.copied.tolist() == [True, True, False, False, False]
    assert found.distances[:2].max() < 1e-3
    assert torch.allclose(found.nearest[:2], moved, atol=1e-6)
    assert drawings.compare(drawn, known, 2, mirror=True).copied.tolist() == [True] * 4 + [False]
    others = digits.images[200:300].float() / 255  # by others: as rarely copies as those are of each other
    assert drawings.compare(others, known, 2, mirror=False).copied.float().mean() < 0.2
    assert drawings.compare(torch.zeros(1, 1, 28, 28), known, 0, mirror=False).median > 0.1


def few_drawings(folder, digits, count):
    folder.mkdir()
    for number, image in enumerate(digits.images[:count, 0].numpy()):
        Image.fromarray(image).save(folder / f"{number:03}.png")


def test_a_network_learns_from_a_folder_of_drawings_and_says_what_it_copies(
    quick, digits, monkeypatch, capsys
):
    small = LearningDrawings(epochs=3, batch_size=50, average=0.9, width=32, blocks=1, channels=4, strokes=1)
    monkeypatch.setattr(
        technique, "learning_from", lambda settings, _: small.changed({"mirror": settings.mirror})
    )
    few_drawings(quick / "mine", digits, 200)
    (quick / "mine" / "notes.txt").write_text("no picture")
    words = ["imagine", "--of", "mine", "--samples", "6", "--steps", "3"]
    assert main(words) == 0
    assert re.search(r"\d of 6 are copies: nearer to one of your 200 drawings", capsys.readouterr().err)
    sheet = open_picture(quick / "imagine-own.png")
    assert sheet.shape[2] == 16 + 4 * (224 + 16)
    assert not (quick / "imagine-own.unfinished").exists()
    monkeypatch.setattr(technique, "learn", None)  # what was learned is on this machine
    assert main([*words, "--no-pairs", "--force", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0 <= found["copies"] <= 6
    assert 0 < found["distance"] < 1
    assert (found["width"], found["height"]) == (6 * 112, 112)
    assert len(list((quick / "empty-home" / "networks").glob("imagine-*.safetensors"))) == 1
    few_drawings(quick / "few", digits, 3)
    (quick / "none").mkdir()
    for folder in ("few", "none", "missing", "imagine-own.png"):
        assert main(["imagine", "--of", folder, "-o", "other.png", "--quiet"]) == 2
    assert main(["imagine", "4", "--of", "mine", "-o", "other.png", "--quiet"]) == 2
    errors = [line.partition(": ")[2] for line in capsys.readouterr().err.splitlines()]
    assert errors[-5:] == [
        "few: expected at least 200 drawings to learn from, got 3",
        "none has no pictures in it: expected .png, .jpg, .jpeg, .webp or the like",
        "missing does not exist: give a folder of at least 200 drawings",
        "imagine-own.png is a file: give a folder of at least 200 drawings",
        "--digits does not go with --of: leave one of them out",
    ]


def test_drawings_are_shifted_and_mirrored_in_training():
    image = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    image[0, 0, 14, 10] = 255
    random = torch.Generator().manual_seed(0)
    seen = LearningDrawings(shift=1, mirror=True).varied(image.expand(200, -1, -1, -1), random)
    places = {tuple(place) for place in (seen[:, 0] > 0).nonzero()[:, 1:].tolist()}
    assert places == {(row, column) for row in (13, 14, 15) for column in (9, 10, 11, 16, 17, 18)}
    assert torch.equal(LearningDrawings(shift=0).varied(image, random), image)
    assert technique.learning_from(technique.OwnDrawings(training=600), 300).epochs == 200


@contextmanager
def press_at_once():
    yield lambda: True


@pytest.mark.slow
def test_stopped_learning_saves_the_digits_so_far_and_goes_on(quick, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        patched.setattr(preview, "stoppable", press_at_once)
        assert main(["imagine", "10"]) == 130
    said = capsys.readouterr().err
    assert re.search(r"stopped after \d+ of 32 steps of learning: add --resume", said)
    assert "about" not in said  # half a second is not worth an estimate
    assert open_picture(quick / "imagine.png").shape == (3, 112, 224)
    assert run("10") == 2
    assert main(["imagine", "10", "--resume"]) == 0
    assert re.search(r"imagine\.png: .* s since it was resumed$", capsys.readouterr().err, re.MULTILINE)
    stopped, whole = quick / "imagine.png", quick / "whole.png"
    resumed = open_picture(stopped)
    for network in (quick / "empty-home" / "networks").glob("imagine-*.safetensors"):
        network.unlink()
    assert run("10", "-o", str(whole)) == 0
    assert torch.equal(open_picture(whole), resumed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "again", "doing", "count"),
    [
        (["--film", "way.webp", "--frames", "3"], "add --resume to the same command", "filming", 3),
        (["--sheet"], "give the same command", "drawing", 16),
    ],
)
def test_a_film_or_a_sheet_that_is_stopped_while_its_network_learns_goes_on(
    quick, monkeypatch, capsys, words, again, doing, count
):
    learned, advance = [], Training.advance

    def counted(training):
        learned.append(training.step)
        advance(training)

    monkeypatch.setattr(Training, "advance", counted)
    with monkeypatch.context() as patched:
        patched.setattr(preview, "stoppable", press_at_once)
        assert main(["imagine", "1", *words]) == 130
    said = capsys.readouterr().err
    assert f"stopped after 1 of 32 steps of learning: {again} to continue" in said
    assert not [*quick.glob("*.png"), *quick.glob("*.webp")]

    told = []
    monkeypatch.setattr(preview, "progress", lambda *_, **__: nullcontext(lambda *at: told.append(at)))
    assert main(["imagine", "1", *words, *["--resume"] * (doing == "filming")]) == 0
    assert learned == list(range(32))
    assert told[0][:2] == (1, 32)
    assert told[0][2].startswith("learning, ")
    assert [at[:2] for at in told if at[2].startswith(doing)][-1] == (count, count)
    (network,) = (quick / "empty-home" / "networks").iterdir()  # no checkpoint is left
    assert network.suffix == ".safetensors"


def test_what_is_counted_is_learning_and_then_drawing(quick, monkeypatch):
    del quick
    told = []
    monkeypatch.setattr(preview, "progress", lambda *_, **__: nullcontext(lambda *at: told.append(at)))
    words = ["imagine", "10", "--steps", "3"]
    assert main(words) == 0
    learned, drawn = ([at for at in told if at[2].startswith(part)] for part in ("learning", "drawing"))
    assert learned[-1][:2] == (32, 32)
    assert [at[:2] for at in drawn] == [(1, 3), (2, 3), (3, 3)]
    told.clear()
    assert main([*words, "--force"]) == 0  # what was learned is not counted again
    assert [at[:2] for at in told] == [(1, 3), (2, 3), (3, 3)]
    assert not told[0][2].startswith("drawing")


@pytest.mark.parametrize("own", [False, True])
def test_how_long_learning_takes_is_said_before(quick, digits, monkeypatch, capsys, own):
    long = QUICK.changed({"epochs": 900})
    monkeypatch.setattr(technique, "learning_of", lambda _: long)
    monkeypatch.setattr(technique, "learning_from", lambda *_: LearningDrawings.checked(
        {**long.model_dump(), "epochs": 90_000}
    ))  # fmt: skip
    monkeypatch.setattr(preview, "stoppable", press_at_once)
    few_drawings(quick / "mine", digits, 200)
    assert main(["imagine", "--of", "mine"] if own else ["imagine"]) == 130
    assert re.match(r"about \d[^,\n]*, .*\ncomputing on", capsys.readouterr().err)


@pytest.mark.usefixtures("quick")
def test_a_network_that_learned_for_fewer_epochs_is_named(monkeypatch, capsys):
    there = technique.network_file(Learning(epochs=2))
    there.parent.mkdir()
    there.touch()
    monkeypatch.setattr(preview, "stoppable", press_at_once)
    assert main(["imagine"]) == 130
    assert "a network that learned with --epochs 2 is there: add that to use it" in capsys.readouterr().err
