"""Drawings that grow from one cell: which cells live, what is learned, and the page against torch."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lanterna.errors import LanternaError, UsageError
from lanterna.images import open_picture, read_recipe, save_picture
from lanterna.images.film_reading import open_film
from lanterna.surfaces.cli import main, preview
from lanterna.techniques.execute import rerun_recipe
from lanterna.techniques.grow import shape, shape_technique
from lanterna.techniques.grow.rule import CHANNELS, First, Rule, changing, grown, open_rule
from lanterna.techniques.grow.saved import note_if_plain
from lanterna.techniques.grow.shape import (
    ShapeLearning,
    ShapeTraining,
    drawing_of,
    first_cell,
    learn_shape,
    lived,
    neighbours,
)
from lanterna.techniques.rerun import command_line

FIRST = First(24, 11, 12)
QUICK = ShapeLearning(training=30, detail=16)


@pytest.fixture
def rule():
    """A rule that grows over the whole plane: cells become red, with an alpha of 1.2."""
    made = Rule(3, FIRST)
    random = torch.Generator().manual_seed(0)
    made.act.data = (torch.rand(made.act.shape, generator=random) - 0.5) * 0.002
    made.see.data[:2] = made.bias.data[:2] = made.act.data[3] = 0
    made.see.data[:2, 3 * 4] = 1  # alpha
    made.see.data[0, 3 * 4 + 3] = 1  # and how much more is around it: the mean of the neighbours
    made.bias.data[1] = -0.8
    made.act.data[3, :2] = torch.tensor([0.5, -1.5])
    made.act.data[0, :2] = torch.tensor([0.5, -1.5])
    return made


@pytest.fixture(scope="module")
def ring():
    """A blue ring on yellowish paper, in a corner: 30 pixels wide."""
    place = torch.arange(60) - 19.5
    away = torch.hypot(place[:, None], place)
    inked = ((away < 15) & (away > 6)).float()
    paper, ink = (torch.tensor(colour)[:, None, None] for colour in ([0.96, 0.95, 0.9], [0.1, 0.2, 0.7]))
    return paper + (ink - paper) * inked


def expected_step(rule, cells, chosen):
    """Return what the article says of cells `(12, h, w)` of which some are chosen to change."""
    height, width = chosen.shape
    see, bias, act = (each.detach().double().numpy() for each in (rule.see, rule.bias, rule.act))
    across = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    around = np.array([[1, 2, 1], [2, -12, 2], [1, 2, 1]]) / 12
    itself = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    after = np.zeros_like(cells)
    for row, column in np.ndindex(height, width):
        near = cells[:, np.arange(row - 1, row + 2) % height][:, :, np.arange(column - 1, column + 2) % width]
        if near[3].max() > 0.1:
            after[:, row, column] = cells[:, row, column]
            if chosen[row, column]:
                sees = np.stack([(near * each).sum((1, 2)) for each in (itself, across, across.T, around)], 1)
                after[:, row, column] += act @ np.maximum(see @ sees.ravel() + bias, 0)
    return after


def test_cells_live_while_one_of_nine_is_there(rule, monkeypatch):
    monkeypatch.setenv("LANTERNA_PRECISION", "float32")
    random = np.random.default_rng(0)
    cells = random.normal(size=(CHANNELS, 7, 7)) * 0.1
    cells[3] = np.where(random.random((7, 7)) < 0.1, 0.5, 0.05)
    chosen = changing(0, 7, 7, 4, 0)[0, 0].numpy() == 1
    expected = expected_step(rule, cells, chosen)
    assert 0 < (expected == 0).all(0).mean() < 1
    given = torch.from_numpy(cells)[None].float()
    got = rule.step(given, torch.from_numpy(chosen)[None, None].float())
    assert np.allclose(got[0].detach().numpy(), expected, atol=1e-5)
    rule.advance(given, 4, 0)
    assert np.allclose(given[0].numpy(), expected, atol=1e-5)


def test_training_takes_the_steps_that_growing_takes(rule):
    """Only living, changing cells are computed in training: the same values and gradients."""
    random = torch.Generator().manual_seed(5)
    cells = torch.zeros(2, CHANNELS, 9, 9)
    cells[:, :, 3:6, 2:5] = torch.rand(2, CHANNELS, 3, 3, generator=random)
    got = lived(rule, cells, 4, neighbours(2, 9), torch.Generator().manual_seed(1))
    again, expected = torch.Generator().manual_seed(1), cells
    for _ in range(4):
        chosen = torch.rand(2 * 81, 1, generator=again) < 0.5
        expected = rule.step(expected, chosen.view(2, 1, 9, 9).float())
    assert (got != 0).any(1).sum() > (cells != 0).any(1).sum()
    assert torch.allclose(got, expected, atol=1e-5)
    weights = list(rule.parameters())
    gradients = (torch.autograd.grad(each.square().sum(), weights) for each in (got, expected))
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))


def test_the_drawing_is_cut_out_of_its_paper(ring):
    drawing = drawing_of(ring, 20)
    assert drawing.shape == (4, 28, 28)
    assert not drawing[:, :4].any()
    assert (drawing[3, 14, 4:24] > 0.5).sum() == 12  # 20 cells, of which the hole has 8
    assert drawing[3, 12:16, 12:16].max() == 0
    assert torch.allclose(drawing[:3, 14, 6], torch.tensor([0.1, 0.2, 0.7]), atol=0.01)
    first = first_cell(drawing)
    assert drawing[3, first.row, first.column] > 0.9
    assert abs(np.hypot(first.row - 13.5, first.column - 13.5) - 4.5) < 1
    white = ring.clone()
    white[:, 15:25, 15:25] = 1.0  # as light as the paper, and so as transparent
    assert drawing_of(white, 20)[3, 13:15, 13:15].max() < 0.3


def test_a_shape_grows_around_the_middle_of_any_plane(rule, tmp_path):
    rule.save(tmp_path / "a.safetensors")
    again = open_rule(tmp_path / "a.safetensors")
    assert again.first == FIRST
    (small,) = deque(grown(again, 24, 24, 2), maxlen=1)
    assert small[0, 3, 11, 12] > 0.1
    assert 1 < (small[0] != 0).any(0).sum() <= 25
    (large,) = deque(grown(again, 30, 20, 1), maxlen=1)
    assert (large[0] != 0).any(0).nonzero().float().mean(0).sub(torch.tensor([14.0, 10.0])).abs().max() < 1
    picture = again.picture(rule.beginning(24, 24))
    assert picture[:, 11, 12].tolist() == [0, 0, 0]
    assert picture.sum() == 3 * (24 * 24 - 1)


def test_training_comes_closer_to_the_drawing(ring, monkeypatch):
    monkeypatch.setattr(shape, "_SHORTEST", 16)
    monkeypatch.setattr(shape, "_LONGEST", 20)
    frames = list(learn_shape(ring, QUICK))
    assert frames[0].step == 1
    assert frames[-1].step == frames[-1].steps == QUICK.training
    assert frames[-1].picture.shape == (3, 24, 24)
    drawing = drawing_of(ring, 16)
    with torch.no_grad():
        (cells,) = deque(grown(frames[-1].rule, 24, 24, 18), maxlen=1)
    assert (cells[0, :4] - drawing).square().mean() < 0.8 * drawing.square().mean()


def test_resumed_learning_ends_with_the_rule_of_uninterrupted(ring, tmp_path):
    short = QUICK.changed({"training": 3})
    (whole,) = deque(learn_shape(ring, short), maxlen=1)
    checkpoint = tmp_path / "checkpoint.pt"
    stopped = learn_shape(ring, short, checkpoint=checkpoint)
    assert next(stopped).step == 1
    stopped.close()
    frames = list(learn_shape(ring, short, checkpoint=checkpoint, resume=True))
    for name, value in whole.rule.state_dict().items():
        assert torch.equal(frames[-1].rule.state_dict()[name], value)
    with pytest.raises(UsageError, match="another picture"):
        learn_shape(ring.flip(0), short, checkpoint=checkpoint, resume=True)


def test_damage_is_done_to_the_best_plane_and_the_worst_starts_again(ring, monkeypatch):
    training = ShapeTraining(drawing_of(ring, 16), QUICK)
    training.pool[:, :4] = training.drawing
    training.step = 1001
    seen = []

    def zero(rule):
        return 0 * sum(each.sum() for each in rule.parameters())

    monkeypatch.setattr(shape, "lived", lambda rule, cells, *_: seen.append(cells) or cells + zero(rule))
    training.pool[:, :4] *= torch.linspace(0.5, 1, 32).view(-1, 1, 1, 1)
    training.advance()
    ((worst, *others, best),) = seen
    assert torch.equal(worst[None], training.rule.beginning(24, 24))
    assert all((each[3] > 0).sum() == (training.drawing[3] > 0).sum() for each in others)
    assert 0 < (best[3] > 0).sum() < (training.drawing[3] > 0).sum()


@pytest.fixture
def quick(private_home, monkeypatch, tmp_path, ring):
    """An empty folder to be in, with a drawing."""
    del private_home
    monkeypatch.chdir(tmp_path)
    save_picture(ring, "ring.png")
    return tmp_path


def run(*words):
    return main(["grow", *words, "--quiet"])


LEARN = ("shape", "ring.png", "--training", "3", "--detail", "16")


def test_the_command_learns_once_and_its_rule_is_kept(quick, monkeypatch):
    assert run(*LEARN, "--size", "100", "--steps", "9") == 0
    picture = open_picture(quick / "shape.png")
    assert picture.shape == (3, 100, 100)
    assert open_rule(quick / "shape.safetensors").first.side == 24
    monkeypatch.setattr(shape_technique, "learn_shape", None)  # what was learned is on this machine
    again, _ = rerun_recipe(read_recipe(quick / "shape.png"))
    assert torch.equal((again * 255).round(), (picture * 255).round())
    assert run(*LEARN, "--film", "r.webp", "--frames", "6", "--speed", "1", "--size", "96") == 0
    assert open_film(quick / "r.webp").width == 96
    assert command_line(read_recipe(quick / "r.webp"), "b.webp") == (
        "lanterna grow shape ring.png --training=3 --detail=16 --size=96 --frames=6 --speed=1 --film b.webp"
    )


def test_the_film_shows_the_half_that_is_wiped(rule, monkeypatch, tmp_path):
    rule.save(tmp_path / "rule.safetensors")
    monkeypatch.setattr(
        shape_technique, "_learned", lambda _: SimpleNamespace(file=tmp_path / "rule.safetensors")
    )
    job = type("", (), {"settings": shape_technique.ShapeFilm(size=64, frames=8, speed=2)})()
    frames = [frame.picture for frame in shape_technique._film(job, 0)]
    assert len(frames) == 8
    ink = [(1 - frame).abs().sum((0, 1)) for frame in frames]  # of each column
    assert ink[0][32:].sum() > 0
    assert ink[3].sum() > ink[0].sum()
    assert ink[4][32:].sum() == 0 < ink[4][:32].sum()
    assert ink[6][32:].sum() > 0
    resumed = [frame.picture for frame in shape_technique._film(job, 5)]
    assert all(torch.equal(a, b) for a, b in zip(resumed, frames[5:], strict=True))
    rule.bias.data += 1e37
    rule.act.data += 1e37
    rule.save(tmp_path / "rule.safetensors")
    with pytest.raises(LanternaError, match="run away at step 2: give fewer --frames"):
        list(shape_technique._film(job, 0))


def test_stopped_learning_saves_the_shape_so_far_and_goes_on(quick, monkeypatch):
    @contextmanager
    def press_at_once():
        yield lambda: True

    with monkeypatch.context() as patched:
        patched.setattr(preview, "stoppable", press_at_once)
        assert run(*LEARN, "--steps", "3") == 130
    assert open_rule(quick / "shape.safetensors").act.abs().max() > 0
    assert run(*LEARN, "--steps", "3") == 2
    assert run(*LEARN, "--steps", "3", "--resume") == 0
    assert not (quick / "shape.unfinished").exists()


def test_growing_that_is_stopped_is_not_to_be_resumed(quick, monkeypatch, capsys):
    @contextmanager
    def press_when_learned():
        yield lambda: any((quick / "empty-home" / "networks").glob("*.safetensors"))

    words = ["grow", *LEARN, "--steps", "9"]
    with monkeypatch.context() as patched:
        patched.setattr(preview, "stoppable", press_when_learned)
        assert main(words) == 130
        said = capsys.readouterr().err
        assert "stopped after 1 of 9 steps of growing: what it learned is saved, and rerun makes all" in said
        assert not (quick / "shape.unfinished").exists()
        assert main([*words, "--resume"]) == 130
    said = capsys.readouterr().err
    assert "stopped after 1 of 9 steps, so rerun makes all steps" in said
    assert "since it was resumed" not in said
    assert main([*words, "--force"]) == 0


def test_a_rule_that_runs_away_is_not_kept(quick, monkeypatch, capsys):
    advance = ShapeTraining.advance

    def run_away(training):
        advance(training)
        training.rule.bias.data.fill_(torch.nan)

    monkeypatch.setattr(ShapeTraining, "advance", run_away)
    assert run(*LEARN) == 1
    assert "weights run away: learn it again with a lower --learning-rate" in capsys.readouterr().err
    assert not list((quick / "empty-home" / "networks").glob("*"))
    assert not (quick / "shape.unfinished").exists()


def test_a_rule_by_which_nothing_grows_is_noted(rule):
    (grown_cells,) = deque(grown(rule, 24, 24, 16), maxlen=1)
    assert note_if_plain(rule.picture(grown_cells)) == []
    assert note_if_plain(rule.picture(rule.beginning(24, 24))) == [
        "hardly anything grows by this rule yet: it has learned for too few steps"
    ]


@pytest.mark.parametrize(
    "first", [(0, 0, 0), (23, 9, 9), (300, 9, 9), (24, 24, 9), (24, 9, -1), (24, 9, True)]
)
def test_a_first_cell_that_is_nowhere_is_damage(first, tmp_path):
    Rule(0, First(*first)).save(tmp_path / "a.safetensors")
    with pytest.raises(LanternaError, match="is damaged: its first cell is nowhere"):
        open_rule(tmp_path / "a.safetensors")


def test_a_film_that_is_stopped_while_its_rule_is_learned_goes_on(quick, monkeypatch, capsys):
    learned, advance = [], ShapeTraining.advance

    def counted(training):
        learned.append(training.step)
        advance(training)

    @contextmanager
    def press_at_once():
        yield lambda: True

    monkeypatch.setattr(ShapeTraining, "advance", counted)
    words = ["grow", *LEARN, "--film", "r.webp", "--frames", "4", "--speed", "1", "--size", "64"]
    with monkeypatch.context() as patched:
        patched.setattr(preview, "stoppable", press_at_once)
        assert main(words) == 130
    said = capsys.readouterr().err
    assert "stopped after 1 of 3 steps of learning: add --resume to the same command to continue" in said
    assert not (quick / "r.webp").exists()
    assert main(words) == 2
    assert main([*words, "--resume"]) == 0
    assert learned == [0, 1, 2]
    assert "r.webp: 4 frames" in capsys.readouterr().err
    (rule,) = (quick / "empty-home" / "networks").iterdir()  # no checkpoint is left

    rule.rename(rule.with_suffix(".unfinished"))  # damaged: it is learned again
    assert main([*words, "--force"]) == 0
    assert learned == [0, 1, 2] * 2


def test_mistakes_are_explained_in_one_line(quick, rule, capsys):
    save_picture(torch.full((3, 40, 40), 0.5), "grey.png")
    save_picture(torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(0)), "noise.png")
    hair = torch.ones(3, 600, 600)
    hair[:, 20:580, 300] = hair[:, 300, 20:580] = 0
    save_picture(hair, "hair.png")
    rule.save(quick / "a b.safetensors")
    Rule(0).save(quick / "texture.safetensors")
    for words in (
        ["shape", "grey.png"], ["shape", "noise.png"], ["shape", "hair.png"],
        ["shape", "texture.safetensors"],
        ["shape", "ring.png", "--detail", "200"], ["wall", "a b.safetensors"],
        ["page", "a b.safetensors", "texture.safetensors"],
    ):  # fmt: skip
        assert run(*words) == 2
    errors = [line.partition(": ")[2] for line in capsys.readouterr().err.splitlines()]
    assert errors == [
        "expected a drawing on plain paper, got a picture of a single colour",
        "expected a drawing on plain paper, got a picture whose edge has many colours",
        "expected a drawing with thicker lines: these vanish at this detail",
        "texture.safetensors is not a picture, or too broken to read: give PNG, JPEG, WebP, AVIF, TIFF, GIF, "
        "BMP or HEIC",
        "--detail: expected at most 64, got '200'",
        "a b.safetensors is a shape, which fills no wall: use lanterna grow page 'a b.safetensors'",
        "expected one shape, or textures alone: a shape lives in a page of its own",
    ]


def test_the_page_computes_what_torch_does(quick, rule, browser, monkeypatch):
    """After 20 steps, to much less than one level of 255; then a tap plants a cell, and a stroke wipes."""
    rule.save(quick / "seed.safetensors")
    assert run("page", "seed.safetensors", "--steps", "2", "-o", "seed.html") == 0
    monkeypatch.setenv("LANTERNA_PRECISION", "float32")
    rounded, _ = rule.rounded()
    (cells,) = deque(grown(rounded, 72, 72, 20), maxlen=1)
    page = browser.new_page(viewport={"width": 390, "height": 844})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.add_init_script("requestAnimationFrame = () => 0")  # the steps are only those of the test
    page.goto((quick / "seed.html").as_uri())
    page.wait_for_selector("body.alive")
    read = "() => [...document.getElementById('cells').texture.read()]"
    page.evaluate("() => document.getElementById('cells').texture.step(20)")
    got = torch.tensor(page.evaluate(read)).view(72, 72, 4).permute(2, 0, 1)
    assert (got - cells[0, :4]).abs().mean() * 255 < 0.01
    assert (cells[0, 3] > 0.1).sum() > 9
    canvas = page.get_by_role("application")
    box = canvas.bounding_box()
    alpha = lambda: torch.tensor(page.evaluate(read)).view(72, 72, 4)[:, :, 3]  # noqa: E731
    page.mouse.click(box["x"] + box["width"] * 0.1, box["y"] + box["height"] * 0.9)
    planted = (alpha() - got[3]).nonzero().tolist()
    assert planted == [[63, 7]]
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.7)
    page.mouse.up()
    assert alpha()[34:38, 34:38].abs().max() == 0
    assert alpha()[63, 7] == 1
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert not problems
    page.close()
