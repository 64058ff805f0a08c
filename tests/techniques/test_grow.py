"""Textures that grow: the rule against arithmetic by hand, and what a viewer would expect of them."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lanterna.errors import LanternaError, UsageError
from lanterna.images import open_picture, read_recipe, save_picture
from lanterna.images.film_reading import open_film
from lanterna.networks import open_network
from lanterna.surfaces.cli import main, preview
from lanterna.techniques.execute import rerun_recipe
from lanterna.techniques.grow import rule as rules
from lanterna.techniques.grow import technique
from lanterna.techniques.grow.algorithm import Learning, Training, example_of, learn
from lanterna.techniques.grow.estimate import estimate_growth, seconds_to_learn
from lanterna.techniques.grow.page import texture_page
from lanterna.techniques.grow.rule import CHANNELS, Rule, changing, grown, grown_picture, open_rule
from lanterna.techniques.grow.saved import rule_file
from lanterna.techniques.learned import LearnedOnce, unfinished
from lanterna.techniques.rerun import command_line

QUICK = Learning(training=20, side=32, detail=32, learning_rate=3e-4)


@pytest.fixture
def rule():
    """A rule that does something, but does not run away."""
    made = Rule(3)
    random = torch.Generator().manual_seed(0)
    made.act.data = (torch.rand(made.act.shape, generator=random) - 0.5) * 0.05
    return made


@pytest.fixture(scope="module")
def stripes():
    """A rusty red with soft stripes."""
    wave = 0.1 * torch.sin(torch.arange(48) * 2 * torch.pi / 8)
    return torch.stack([0.7 + wave, 0.4 + wave, 0.3 - wave])[:, None].expand(3, 48, 48).contiguous()


@pytest.fixture(scope="module")
def learned(stripes):
    """The frames of learning them."""
    return list(learn(stripes, QUICK, open_network("vgg19")))


def test_a_step_is_what_one_computes_by_hand(rule):
    random = np.random.default_rng(0)
    cells = random.normal(size=(CHANNELS, 5, 7))
    chosen = random.random((5, 7)) < 0.5
    see, bias, act = (each.detach().double().numpy() for each in (rule.see, rule.bias, rule.act))
    expected = cells.copy()
    for row, column in np.argwhere(chosen):
        near = {(i, j): cells[:, (row + i) % 5, (column + j) % 7] for i in (-1, 0, 1) for j in (-1, 0, 1)}
        left, right = (near[-1, j] + 2 * near[0, j] + near[1, j] for j in (-1, 1))
        top, bottom = (near[i, -1] + 2 * near[i, 0] + near[i, 1] for i in (-1, 1))
        corners = near[-1, -1] + near[-1, 1] + near[1, -1] + near[1, 1]
        sides = near[-1, 0] + near[1, 0] + near[0, -1] + near[0, 1]
        sees = [
            near[0, 0],
            (right - left) / 8,
            (bottom - top) / 8,
            (corners + 2 * sides - 12 * near[0, 0]) / 12,
        ]
        hidden = np.maximum(see @ np.stack(sees, 1).ravel() + bias, 0)
        expected[:, row, column] += act @ hidden
    given = torch.from_numpy(cells)[None].float()
    got = rule.step(given, torch.from_numpy(chosen)[None, None].float())
    assert np.allclose(got[0].detach().numpy(), expected, atol=1e-5)


def test_one_step_changes_nothing_beyond_the_neighbours_and_about_half_of_the_cells(rule):
    cells = rules.nothing(33, 40)
    touched = cells.clone()
    touched[0, 0, 0, 39] = 1.0  # in a corner: the plane is a torus
    rule.advance(cells, 4, 0)
    rule.advance(touched, 4, 0)
    rows, columns = (cells != touched)[0].any(0).nonzero().T
    assert set(rows.tolist()) <= {32, 0, 1}
    assert set(columns.tolist()) <= {38, 39, 0}
    assert len(rows) > 3
    first, second = (changing(0, 200, 300, number, 7) for number in (0, 1))
    assert 0.48 < first.float().mean() < 0.52
    assert 0.48 < (first == second).float().mean() < 0.52
    assert torch.equal(changing(50, 60, 300, 0, 7), first[:, :, 50:60])


def test_rows_are_computed_in_parts_without_a_trace(rule, monkeypatch):
    monkeypatch.setenv("LANTERNA_PRECISION", "float32")
    whole = grown_picture(rule, 40, 12, seed=5)
    monkeypatch.setattr(rules, "_BAND", 7 * 40)
    assert torch.allclose(grown_picture(rule, 40, 12, seed=5), whole, atol=1e-6)
    assert (grown_picture(rule, 40, 12, seed=6) - whole).abs().max() > 1e-3


@pytest.mark.slow
def test_a_rule_learns_the_colours_of_its_picture(learned):
    assert learned[0].step == 1
    assert learned[-1].step == learned[-1].steps == QUICK.training
    red, _, blue = grown_picture(learned[-1].rule, 32, 40).mean((1, 2))
    assert red - blue > 0.15
    assert learned[-1].picture.shape == (3, 160, 160)


@pytest.mark.slow
def test_resumed_learning_ends_with_the_rule_of_uninterrupted(stripes, tmp_path):
    short, network = QUICK.changed({"training": 4}), open_network("vgg19")
    (whole,) = deque(learn(stripes, short, network), maxlen=1)
    checkpoint = tmp_path / "checkpoint.pt"
    stopped = learn(stripes, short, network, checkpoint=checkpoint)
    assert next(stopped).step == 1
    stopped.close()
    frames = list(learn(stripes, short, network, checkpoint=checkpoint, resume=True))
    assert frames[0].step == 1
    for name, value in whole.rule.state_dict().items():
        assert torch.equal(frames[-1].rule.state_dict()[name], value)
    with pytest.raises(UsageError, match="other settings"):
        learn(stripes, QUICK, network, checkpoint=checkpoint, resume=True)
    with pytest.raises(UsageError, match="another picture"):
        learn(stripes.flip(0), short, network, checkpoint=checkpoint, resume=True)


@pytest.fixture
def quick(private_home, monkeypatch, tmp_path, stripes):
    """An empty folder to be in, with a picture of stripes."""
    del private_home
    monkeypatch.chdir(tmp_path)
    save_picture(stripes, "stripes.png")
    return tmp_path


def run(*words):
    return main(["grow", *words, "--quiet"])


LEARN = ("--training", "3", "--side", "32", "--detail", "32")


def test_the_command_learns_once_and_its_rule_grows_at_any_size(quick, monkeypatch):
    assert run("stripes.png", *LEARN, "--size", "40", "--steps", "9") == 0
    picture = open_picture(quick / "grow.png")
    assert picture.shape == (3, 40, 40)
    monkeypatch.setattr(technique, "learn", None)  # what was learned is on this machine
    recipe = read_recipe(quick / "grow.png")
    again, _ = rerun_recipe(recipe)
    assert torch.equal((again * 255).round(), (picture * 255).round())
    assert command_line(recipe, "a.png") == (
        "lanterna grow stripes.png --training=3 --detail=32 --side=32 --size=40 --steps=9 -o a.png"
    )
    assert run("wall", "grow.safetensors", "--size", "40", "--steps", "9") == 0
    assert torch.equal(open_picture(quick / "wall.png"), picture)
    assert (
        run("stripes.png", *LEARN, "--size", "24", "--steps", "4", "--film", "s.webp", "--frames", "6") == 0
    )
    film = open_film(quick / "s.webp")
    assert film.count == 6


@pytest.mark.usefixtures("quick")
def test_learning_is_estimated_until_the_rule_is_there(monkeypatch, capsys):
    def seconds(training):
        return 100.0 * training.settings.training

    monkeypatch.setattr(technique, "SHORT", 0)
    monkeypatch.setattr(technique, "seconds_to_learn", seconds)
    words = ["grow", "stripes.png", *LEARN, "--size", "40", "--steps", "3"]
    assert main(words) == 0
    assert "about 5 minutes, 6" in capsys.readouterr().err  # MB of memory
    assert main([*words, "--force"]) == 0
    assert "about" not in capsys.readouterr().err
    settings = Learning(training=10, side=32, detail=32)
    example = example_of(open_picture("stripes.png"), 32)
    assert seconds_to_learn(Training(example, settings, open_network("vgg19"), torch.device("cpu"))) > 0
    large, small = (estimate_growth(side, 10) for side in (2048, 64))
    assert large.memory - small.memory == 2 * 48 * (2048**2 - 64**2)


@pytest.mark.slow
def test_stopped_learning_saves_the_texture_so_far_and_goes_on(quick, monkeypatch):
    @contextmanager
    def press_at_once():
        yield lambda: True

    words = ("stripes.png", *LEARN, "--size", "24", "--steps", "3")
    with monkeypatch.context() as patched:
        patched.setattr(preview, "stoppable", press_at_once)
        assert run(*words) == 130
    stopped = open_picture(quick / "grow.png")
    assert open_rule(quick / "grow.safetensors").act.abs().max() > 0
    assert run(*words) == 2
    assert run(*words, "--resume") == 0
    assert (open_picture(quick / "grow.png") - stopped).abs().max() > 0
    assert not (quick / "grow.unfinished").exists()


def test_a_damaged_rule_is_named_and_a_picture_not_replaced_by_one(quick, private_home, capsys):
    words = ["--training", "3", "--side", "32", "--detail", "32", "-o", "x.png"]
    (quick / "stripes.png").rename("x.safetensors")
    assert main(["grow", "x.safetensors", *words, "--force"]) == 2
    assert "x.safetensors is what the result is made from" in capsys.readouterr().err
    (quick / "x.safetensors").rename("stripes.png")
    learning = Learning(training=3, side=32, detail=32)
    (private_home / "networks").mkdir()
    rule_file(example_of(open_picture("stripes.png"), 32), learning).touch()
    assert main(["grow", "stripes.png", *words]) == 1
    assert "is damaged: delete it, and the rule is learned again" in capsys.readouterr().err


def test_learning_that_cannot_be_resumed_begins_again_and_says_so(tmp_path):
    said = []
    job = SimpleNamespace(technique=SimpleNamespace(resumes=False), checkpoint=None, notify=said.append)
    unfinished(tmp_path / "rule").write_bytes(b"half of it")

    def begin(options):
        if options.get("resume"):
            raise LanternaError("damaged")
        return (each for each in ()), 3

    assert LearnedOnce(job, tmp_path / "rule", begin, save=None).steps == 3
    assert said == ["what was learned so far could not be read: learning begins again"]
    assert not unfinished(tmp_path / "rule").exists()


def test_a_film_ends_where_it_begins(rule, monkeypatch, tmp_path):
    rule.save(tmp_path / "rule.safetensors")
    monkeypatch.setattr(technique, "_learned", lambda _: SimpleNamespace(file=tmp_path / "rule.safetensors"))
    settings = technique.Film(size=48, steps=30, frames=24, speed=1)
    job = type("", (), {"settings": settings})()
    frames = [frame.picture for frame in technique._film(job, 0)]
    assert len(frames) == 24
    gaps = [(a - b).abs().mean() for a, b in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert gaps[-1] < 2 * max(gaps[:-1])
    assert (frames[0] - frames[12]).abs().mean() > gaps[-1]
    resumed = [frame.picture for frame in technique._film(job, 20)]
    assert all(torch.equal(a, b) for a, b in zip(resumed, frames[20:], strict=True))


def test_mistakes_are_explained_in_one_line(quick, rule, capsys):
    save_picture(torch.full((3, 40, 40), 0.5), "grey.png")
    save_picture(torch.rand(3, 20, 40), "small.png")
    rule.save(quick / "rule.safetensors")
    (quick / "no.safetensors").write_bytes(b"no rule")
    assert run("grey.png") == 2
    assert run("small.png") == 2
    assert run("stripes.png", "--size", "9000") == 2
    assert run("wall", "none.safetensors") == 3
    assert run("wall", "no.safetensors") == 2
    assert run("page", "rule.safetensors", "rule.safetensors", "rule.safetensors") == 2
    errors = [line.partition(": ")[2] for line in capsys.readouterr().err.splitlines()]
    assert errors == [
        "expected a picture with a texture, got one of a single colour",
        "expected a picture of at least 32 × 32 pixels, got 40 × 20",
        "--size: expected at most 8,192, got 9000",
        "no texture at none.safetensors: create one with lanterna grow PICTURE",
        "no.safetensors is not a texture: expected a .safetensors file that lanterna grow wrote",
        "expected one texture or two that meet, got 3",
    ]
    rule.bias.data[0] = torch.nan
    rule.save(quick / "nan.safetensors")
    with pytest.raises(LanternaError, match="not finite"):
        open_rule(quick / "nan.safetensors")
    whole = {name: each.nan_to_num().long() for name, each in load_file(quick / "nan.safetensors").items()}
    save_file(whole, quick / "whole.safetensors", {"lanterna": '{"kind": "lanterna texture 1"}'})
    assert run("wall", "whole.safetensors") == 2
    assert "whole.safetensors is not a texture" in capsys.readouterr().err


def test_values_that_run_away_are_explained_in_one_line(quick, rule, capsys):
    rule.save(quick / "tame.safetensors")
    rule.bias.data += 1e37
    rule.act.data += 1e37
    rule.save(quick / "wild.safetensors")
    assert run("wall", "wild.safetensors", "--size", "32") == 1
    assert run("page", "wild.safetensors") == 1
    assert run("page", "tame.safetensors", "wild.safetensors") == 1
    away = (
        "the cells' values run away at step 1: give fewer --steps, or learn again with a lower "
        "--learning-rate"
    )
    assert [line.partition(": ")[2] for line in capsys.readouterr().err.splitlines()] == [away] * 3
    assert not list(quick.glob("*.html")) + list(quick.glob("wall.png"))


def test_a_page_is_described_by_its_size_in_bytes(quick, rule, capsys):
    rule.save(quick / "bark.safetensors")
    assert main(["grow", "page", str(quick / "bark.safetensors"), "--steps", "1", "-o", "bark.html"]) == 0
    assert "<h1>bark</h1>" in (quick / "bark.html").read_text()
    said = capsys.readouterr().err
    assert "bark.html, " in said
    assert " kB" in said
    assert "pixels" not in said


def test_the_page_computes_what_torch_does(quick, rule, browser, monkeypatch):
    """After 50 steps from nothing, to much less than one level of 255: only the order of sums differs."""
    rule.save(quick / "bark.safetensors")
    assert run("page", "bark.safetensors", "bark.safetensors", "--steps", "2", "-o", "bark.html") == 0
    assert (quick / "bark.html").stat().st_size < 100_000
    monkeypatch.setenv("LANTERNA_PRECISION", "float32")
    rounded, _ = rule.rounded()
    assert (
        max((a - b).abs().max() for a, b in zip(rule.parameters(), rounded.parameters(), strict=True)) < 2e-3
    )
    (cells,) = deque(grown(rounded, 32, 32, 50), maxlen=1)
    page = browser.new_page(viewport={"width": 390, "height": 844})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.add_init_script("requestAnimationFrame = () => 0")  # the steps are only those of the test
    page.goto((quick / "bark.html").as_uri())
    page.wait_for_selector("body.alive")
    take = "t.resize(32); t.step(50); const all = [...t.read()];"
    wipe = "t.dab(t.now, 16, 16, 8, [0, 0, 0, 0]); const wiped = t.read()[4 * (16 * 32 + 16)]; t.step(1);"
    values, wiped = page.evaluate(
        f"() => {{ const t = document.getElementById('cells').texture; {take} {wipe} return [all, wiped]; }}"
    )
    got = torch.tensor(values).view(32, 32, 4)[:, :, :3].permute(2, 0, 1)
    assert (got - cells[0, :3]).abs().mean() * 255 < 0.01
    assert wiped == 0
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert not problems
    page.close()


def test_without_webgl_the_page_is_a_picture_and_a_line(rule, browser, tmp_path):
    (tmp_path / "p.html").write_text(texture_page([rule], ["<bark>"], grown_picture(rule, 32, 3)))
    page = browser.new_page()
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto((tmp_path / "p.html").as_uri())
    assert page.get_by_role("img", name="<bark>").is_visible()
    assert page.get_by_text("This is a picture").is_visible()
    assert not page.get_by_role("button").count()
    page.close()
