"""`lanterna paint` from the command line to a painting, and from the painting to pictures and films."""

import io
import json
import math
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from lanterna import shelf
from lanterna.images import open_picture, read_recipe, save_picture
from lanterna.images.film_reading import open_film, read_film_recipe
from lanterna.surfaces.cli import main, run_picture
from lanterna.techniques.octaves import resized
from lanterna.techniques.paint.algorithm import Paint, paint
from lanterna.techniques.paint.painting import open_painting
from terminals import LARGE, run_in_terminal

QUICK = ["--steps", "60"]
FEW = ["--steps", "8"]


@pytest.fixture(scope="module")
def photographs(real_shelf, tmp_path_factory):
    """A folder with three small photographs, all of one shape, and in `small` the same, half as large."""
    del real_shelf
    folder = tmp_path_factory.mktemp("photographs")
    for name, source in ("a.png", "astronaut.png"), ("b.png", "chelsea.png"), ("c.png", "coffee.png"):
        picture = open_picture(shelf.need("photographs") / source, longest=400)
        save_picture(resized(picture[:, :260, :390], (48, 72)).clamp(0, 1), folder / name)
        save_picture(resized(picture[:, :260, :390], (24, 36)).clamp(0, 1), folder / "small" / name)
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, photographs):
    """An empty folder to be in, but for the photographs beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(photographs, target_is_directory=True)
    mask = Image.new("L", (30, 20))
    ImageDraw.Draw(mask).rectangle((15, 0, 29, 19), fill=255)
    mask.save("right.png")
    return tmp_path


def run(*words):
    return main(["paint", *words])


def psnr(one, other):
    return -10 * math.log10((one - other).square().mean().clamp_min(1e-12).item())


def same_numbers(one, other):
    numbers = [load_file(path) for path in (one, other)]
    return all(
        torch.equal(numbers[0][name], numbers[1][name]) for name in numbers[0].keys() | numbers[1].keys()
    )


def printed_text(capsys):
    return json.loads(capsys.readouterr().out)


# Learning


@pytest.mark.slow
@pytest.mark.parametrize("network", ["hash", "siren"])
def test_a_saved_painting_has_the_reported_psnr(network, capsys):
    assert run("photos/a.png", *QUICK, "--network", network, "-o", "one.png", "--json") == 0
    document = printed_text(capsys)
    original, saved = open_picture("photos/a.png"), open_picture("one.png")
    assert saved.shape == original.shape
    assert psnr(saved, original) == pytest.approx(document["psnr"], abs=0.1)
    assert document["psnr"] > 20
    assert document["bytes"] == Path("one.safetensors").stat().st_size
    painting = open_painting(Path("one.safetensors"))
    assert psnr(painting.render(), original) == pytest.approx(document["psnr"], abs=0.1)
    assert document["parameters"] == painting.parameters
    assert document["bytes"] < 2.2 * painting.parameters + 3000  # two bytes a number, and what it is
    assert (document["steps"], document["finished"], "held_out" in document) == (60, True, False)


@pytest.mark.slow
def test_rerun_reproduces_it_bit_for_bit(capsys):
    """By seconds too: the steps that seconds came to are in the recipe."""
    for name, words in {
        "seconds.png": ["--seconds", "0.2"],
        "keep.png": [*FEW, "--keep", "0.4", "--seed", "3"],
        "mask.png": [*FEW, "--mask", "right.png", "--network", "fourier"],
        "preset.png": ["--preset", "facets", *FEW, "--features", "x", "y", "radius"],
        "many.png": ["photos/b.png", *FEW],
    }.items():
        assert run("photos/small/a.png", *words, "-o", name, "--quiet") == 0
        assert main(["rerun", name, "-o", "again.png", "--force", "--quiet"]) == 0
        assert torch.equal(open_picture("again.png"), open_picture(name)), name
        capsys.readouterr()
        assert main(["recipe", name, "--json"]) == 0
        _, *by_hand = shlex.split(printed_text(capsys)["command"])
        assert main([*by_hand[:-1], f"hand-{name}"]) == 0
        assert torch.equal(open_picture(f"hand-{name}"), open_picture(name)), name


@pytest.mark.slow
def test_pixels_that_are_left_out_are_guessed_and_judged(capsys):
    assert run("photos/a.png", *QUICK, "--keep", "0.3", "-o", "some.png", "--json") == 0
    some = printed_text(capsys)
    assert some["psnr"] > some["held_out"] > 10
    assert run("photos/a.png", *QUICK, "--mask", "right.png", "-o", "half.png", "--json") == 0
    half = printed_text(capsys)
    saved, original = open_picture("half.png"), open_picture("photos/a.png")
    assert psnr(saved[..., :36], original[..., :36]) == pytest.approx(half["psnr"], abs=0.1)
    assert psnr(saved[..., 36:], original[..., 36:]) == pytest.approx(half["held_out"], abs=0.1)


def test_only_the_painting_and_standard_input(here, monkeypatch, capsys):
    data = (here / "photos" / "a.png").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert run("-", *FEW, "-o", "small.safetensors", "--json") == 0
    assert "picture" not in printed_text(capsys)
    assert not (here / "small.png").exists()
    assert run("photos/a.png", *FEW) == 0
    assert "paint.png, paint.safetensors" in capsys.readouterr().err
    assert same_numbers("paint.safetensors", "small.safetensors")


@pytest.mark.slow
def test_a_folder_is_learned_by_one_network(capsys):
    assert run("photos", "--steps", "100", "-o", "all.png", "--json") == 0
    assert printed_text(capsys)["pictures"] == 3
    for number, name in enumerate("abc"):
        assert main(["paint", "render", "all.safetensors", "--which", str(number), "-o", f"{name}.png"]) == 0
        right = psnr(open_picture(f"{name}.png"), open_picture(f"photos/{name}.png"))
        wrong = psnr(open_picture(f"{name}.png"), open_picture(f"photos/{'bca'[number]}.png"))
        assert right > 20 > wrong
    wall = open_picture("all.png")  # two and one
    assert wall.shape == (3, 96, 144)
    assert psnr(wall[:, 48:, :72], open_picture("c.png")) > 40
    assert [note.path for note in read_recipe("all.png").inputs] == [f"photos/{each}.png" for each in "abc"]


# The film of learning


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "words", "least"),
    [(".webp", QUICK, 15), (".gif", ["--seconds", "0.8"], 3)],  # a slow machine takes few steps in a second
)
def test_the_film_gets_better_and_ends_as_the_picture(suffix, words, least, capsys):
    film = f"film{suffix}"
    assert run("photos/a.png", *words, "-o", "one.png", "--film", film, "--json") == 0
    document = printed_text(capsys)
    original, saved = open_picture("photos/a.png"), open_picture("one.png")
    frames = list(open_film(film).frames())
    assert least <= len(frames) <= document["frames"]
    qualities = [psnr(frame, original) for frame in frames]
    assert qualities[0] < qualities[-1] - 3
    assert psnr(frames[-1], saved) > (28 if suffix == ".webp" else 22)
    with Image.open(film) as opened:
        durations = []
        for number in range(opened.n_frames):
            opened.seek(number)
            opened.load()
            durations.append(opened.info["duration"])
    assert durations[-1] > 1000 > max(durations[:-1])
    assert read_film_recipe(film).settings["steps"] == document["steps"]
    assert not list(Path().glob("*.frames"))


# Stopping, and going on


@pytest.mark.slow
def test_ctrl_c_saves_the_painting_and_resuming_gives_the_same_result(here):
    long = ["photos/small/a.png", "--steps", "60", "--network", "siren"]
    command = [sys.executable, "-m", "lanterna", "paint", *long, "-o", "one.png", "--film", "one.webp"]
    environment = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    message, code = run_in_terminal([*command, "--preview"], stop_at="▀".encode(), **LARGE, **environment)
    assert code == 130, message
    assert re.search(r"stopped after \d+ of 60 steps: add --resume", message)
    assert " dB, loss " in message
    assert "Traceback" not in message
    stopped = open_picture("one.png")
    assert psnr(open_painting(here / "one.safetensors").render(), stopped) > 40
    assert (here / "one.webp").exists()

    assert run(*long, "-o", "one.png") == 2  # not by mistake anew
    assert run(*long, "-o", "one.png", "--resume", "--film", "one.webp", "--quiet") == 0
    assert run(*long, "-o", "unbroken.png", "--quiet") == 0
    assert torch.equal(open_picture("one.png"), open_picture("unbroken.png"))
    assert same_numbers("one.safetensors", "unbroken.safetensors")
    assert not torch.equal(stopped, open_picture("one.png"))
    assert sorted(each.name for each in here.iterdir()) == [
        "one.png", "one.safetensors", "one.webp", "photos", "right.png", "unbroken.png",
        "unbroken.safetensors",
    ]  # fmt: skip


# Rendering


@pytest.fixture(scope="module")
def paintings(photographs, tmp_path_factory):
    """A painting of one photograph, and one of three."""
    folder = tmp_path_factory.mktemp("paintings")
    pictures = [open_picture(photographs / f"{name}.png") for name in "abc"]
    for name, learned in ("one", pictures[:1]), ("three", pictures):
        *_, last = paint(learned, Paint(steps=100))
        last.painting.save(folder / f"{name}.safetensors")
    return folder


@pytest.mark.slow
def test_rendered_larger_it_is_the_same_picture(paintings, capsys):
    one = str(paintings / "one.safetensors")
    assert run("render", one, "-o", "own.png") == 0
    assert run("render", one, "--size", "144x96", "-o", "twice.png", "--json") == 0
    assert (printed_text(capsys)["width"], open_picture("twice.png").shape) == (144, (3, 96, 144))
    own, twice = open_picture("own.png"), open_picture("twice.png")
    assert psnr(own, open_picture("photos/a.png")) > 25
    shrunk = torch.nn.functional.avg_pool2d(twice, 2)
    assert psnr(shrunk, own) > 28
    assert run("render", one, "--size", "144", "--beyond", "0.5", "-o", "beyond.png") == 0
    assert psnr(open_picture("beyond.png")[:, 24:72, 36:108], own) > 40
    assert (
        run("render", one, "--size", "72x48", "--zoom", "2", "--centre", "0.25", "0.25", "-o", "zoom.png")
        == 0
    )
    assert psnr(open_picture("zoom.png"), twice[:, :48, :72]) > 40
    assert run("render", one, "--size", "48x48", "--turn", "180", "-o", "turned.png") == 0
    assert run("render", one, "--size", "48x48", "-o", "square.png") == 0
    assert psnr(open_picture("turned.png").flip(1, 2), open_picture("square.png")) > 40
    assert main(["rerun", "zoom.png", "--quiet"]) == 0
    assert torch.equal(open_picture("zoom-again.png"), open_picture("zoom.png"))


@pytest.mark.slow
def test_a_print_has_sixteen_bits_and_its_size(paintings):
    one = str(paintings / "one.safetensors")
    assert run("render", one, "--print", "1in@200dpi", "-o", "print.png") == 0
    with Image.open("print.png") as file:
        assert (file.size, round(file.info["dpi"][0])) == ((200, 133), 200)
    assert Path("print.png").read_bytes()[24] == 16
    assert run("render", one, "--print", "1in", "--size", "200", "-o", "other.png") == 2


def test_the_grid_has_the_pictures_and_what_is_between(paintings, capsys):
    three = str(paintings / "three.safetensors")
    assert run("render", three, "--grid", "--between", "1", "-o", "grid.png") == 0
    grid = open_picture("grid.png")
    cells = [grid[:, 4:52, 4 + 76 * n : 76 + 76 * n] for n in range(5)]
    assert grid.shape == (3, 56, 5 * 76 + 4)
    for number, place in enumerate(("0", "0.5", "1", "1.5", "2")):
        assert run("render", three, "--which", place, "-o", f"{place}.png", "--quiet") == 0
        assert psnr(cells[number], open_picture(f"{place}.png")) > 45
    amber = np.array([245, 176, 65]) / 255
    assert np.allclose(grid[:, 1, 40].numpy(), amber, atol=0.01)  # around a picture
    assert not np.allclose(grid[:, 1, 116].numpy(), amber, atol=0.2)  # not around what is between
    assert main(["rerun", "grid.png", "--quiet"]) == 0
    assert torch.equal(open_picture("grid-again.png"), grid)
    capsys.readouterr()
    assert main(["recipe", "grid.png"]) == 0
    assert f"lanterna paint render {three} --grid --between=1 -o grid.png" in capsys.readouterr().out


@pytest.mark.slow
def test_the_morph_goes_through_the_pictures_and_back(paintings, capsys):
    three = str(paintings / "three.safetensors")
    assert run("render", three, "--morph", "morph.gif", "--frames", "8", "--json") == 0
    assert printed_text(capsys)["frames"] == 24
    frames = list(open_film("morph.gif").frames())
    pictures = [open_painting(paintings / "three.safetensors").render(which=n) for n in range(3)]
    assert len(frames) == 24
    nearest = [max(range(3), key=lambda n: psnr(frame, pictures[n])) for frame in frames]
    assert nearest[0] == nearest[1] == nearest[-1] == nearest[-2] == 0
    assert nearest[8] == 1
    assert nearest[16] == 2
    steps = [(a - b).abs().mean().item() for a, b in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert max(steps[0], steps[7], steps[8]) < 0.6 * max(steps[3], steps[4])  # slowly in and out
    assert read_film_recipe("morph.gif").output == "morph"


@pytest.mark.slow
def test_what_each_neuron_paints(paintings):
    assert run("neurons", str(paintings / "one.safetensors"), "-o", "neurons.png", "--rows", "2") == 0
    sheet = open_picture("neurons.png")
    assert psnr(resized(sheet[:, 24:168, 24:240], (48, 72)), open_picture("photos/a.png")) > 20
    assert main(["rerun", "neurons.png", "--quiet"]) == 0
    assert torch.equal(open_picture("neurons-again.png"), sheet)


# A race, and pictures without a picture


@pytest.mark.slow
def test_a_race_reports_the_psnr_of_each_network(capsys):
    words = ["--race", "--steps", "40", "--equal", "parameters", "--parameters", "6000"]
    assert run("photos/small/a.png", *words, "--film", "race.webp", "-o", "race.png", "--json") == 0
    document = printed_text(capsys)
    networks = document["networks"]
    assert set(networks) == {"hash", "siren", "fourier", "relu"}
    assert networks["hash"]["psnr"] > networks["relu"]["psnr"] > 10
    assert all(abs(each["parameters"] - 6000) < 600 for each in networks.values())
    frames = list(open_film("race.webp").frames())
    assert len(frames) <= document["frames"]
    assert psnr(frames[-1], open_picture("race.png")) > 25
    capsys.readouterr()
    assert main(["recipe", "race.png"]) == 0
    assert "lanterna paint photos/small/a.png --race --steps=40 --equal=parameters" in capsys.readouterr().out


@pytest.mark.slow
def test_pictures_without_a_picture(capsys):
    small = ["--width", "36", "--height", "24", "--samples", "1"]
    for name, words in {"seven.png": ["--seed", "7"], "eight.png": ["--seed", "8", "--mirror"]}.items():
        assert run("--random", *small, *words, "-o", name, "--quiet") == 0
        assert main(["rerun", name, "-o", "again.png", "--force", "--quiet"]) == 0
        assert psnr(open_picture("again.png"), open_picture(name)) > 50
        assert open_picture(name).std() > 0.05
    assert psnr(open_picture("seven.png"), open_picture("eight.png")) < 20
    assert psnr(open_picture("eight.png"), open_picture("eight.png").flip(2)) > 40
    assert run("random", *small, "--seed", "6", "--sheet", "3", "-o", "sheet.png", "--json") == 0
    command = printed_text(capsys)["sheet"][1]["command"]
    assert main([*shlex.split(command)[1:-1], "large.png", "--quiet"]) == 0
    assert psnr(open_picture("large.png"), open_picture("seven.png")) > 50
    assert run("--random", *small, "--loop", "loop.gif", "--frames", "12", "--seed", "7", "--quiet") == 0
    frames = list(open_film("loop.gif").frames())
    steps = [(a - b).abs().mean().item() for a, b in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert len(frames) == 12
    assert psnr(frames[0], open_picture("seven.png")) > 20
    assert steps[-1] < 2 * sum(steps) / len(steps)


# What goes wrong


@pytest.mark.parametrize(("words", "code", "message"), [
    ([], 2, "expected the picture to learn, or several: lanterna paint PICTURE"),
    (["nothing.png"], 2, "nothing.png"),
    (["right.png", "--steps", "5", "--seconds", "5"], 2, "leave one out"),
    (["right.png", "--steps", "0"], 2, "--steps"),
    (["right.png", "--preset", "lectur"], 2, "did you mean lecture?"),
    (["right.png", "--network", "dense"], 2, "--network"),
    (["right.png", "--size", "100000"], 2, "--size"),
    (["right.png", "--mask", "white.png"], 2, "no pixels are left to train on"),
    (["right.png", "--mask", "white.png", "right.png"], 2, "--mask: expected one, or one for each"),
    (["empty"], 2, "empty has no pictures in it"),
    (["crowd"], 2, "at most 100 pictures, got 101"),
    (["right.png", "-o", "right.txt"], 2, "does not save .txt"),
    (["right.png", "-o", "right.png"], 2, "--force"),
    (["right.png", "-o", "kept.png"], 2, "kept.safetensors already exists"),
    (["right.png", "--film", "film.xyz"], 2, ".xyz films"),
    (["right.png", "--resume"], 3, "nothing to resume at paint.unfinished"),
    (["-", "right.png"], 2, "standard input is a single picture"),
    (["render"], 2, "PAINTING"),
    (["render", "nothing.safetensors"], 3, "lanterna paint PICTURE"),
    (["render", "right.png"], 2, "is not a painting"),
    (["render", "ONE", "--which", "1"], 2, "only one picture"),
    (["render", "ONE", "--grid"], 2, "has only one picture"),
    (["render", "ONE", "--morph", "m.webp"], 2, "has only one picture"),
    (["render", "THREE", "--which", "2.5"], 2, "from 0 to 2"),
    (["render", "THREE", "--which", "1", "1"], 2, "expected 3 numbers"),
    (["render", "ONE", "--size", "0x5"], 2, "4000x3000"),
    (["render", "ONE", "--size", "99999x99999"], 2, "200,000,000"),
    (["render", "ONE", "--zoom", "0"], 2, "--zoom"),
    (["render", "ONE", "--frames", "9"], 2, "is for morph: add --morph film.webp"),
    (["render", "ONE", "--between", "9"], 2, "add --grid, or leave --between out"),
    (["render", "THREE", "--grid", "--which", "1"], 2, "--which does not go with --grid: leave one"),
    (["render", "THREE", "--grid", "--size", "16000"], 2, "expected a grid of at most"),
    (["render", "THREE", "--morph", "m.webp", "-o", "x.png"], 2, "leave -o out"),
    (["render", "ONE", "--resume"], 2, "for films"),
    (["render", "ONE", "--print", "30cm", "-o", "x.webp"], 2, "a print is saved as"),
    (["render", "ONE", "-o", "right.png"], 2, "--force"),
    (["neurons", "right.png"], 2, "is not a painting"),
    (["neurons", "THREE", "--which", "3"], 2, "from 0 to 2"),
    (["right.png", "white.png", "--race"], 2, "takes one picture"),
    (["right.png", "--race", "--network", "hash"], 2, "does not go with --race: leave one of them out"),
    (["right.png", "--race", "--mask", "white.png"], 2, "--mask is not for a race: leave it out"),
    (["right.png", "--equal", "parameters"], 2, "is for a race: add --race"),
    (["right.png", "--random"], 2, "--random takes no picture"),
    (["--random", "right.png"], 2, "right.png"),
    (["--random", "--frames", "5"], 2, "add --loop film.webp"),
    (["--random", "--sheet", "3", "--loop", "l.webp"], 2, "--sheet and --loop do not go together"),
    (["--random", "--width", "32768", "--height", "32768"], 2, "200,000,000"),
])  # fmt: skip
def test_errors_are_one_line_and_nothing_is_lost(words, code, message, here, paintings, capsys):
    Image.new("L", (30, 20), 255).save("white.png")
    (here / "empty").mkdir()
    (here / "crowd").mkdir()
    for number in range(101 if "crowd" in words else 0):
        (here / "crowd" / f"{number}.png").symlink_to(here / "right.png")
    (here / "kept.safetensors").write_bytes(b"mine")
    before = {each.name: each.read_bytes() for each in here.iterdir() if each.is_file()}
    names = {"ONE": str(paintings / "one.safetensors"), "THREE": str(paintings / "three.safetensors")}
    assert run(*(names.get(word, word) for word in words)) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"lanterna: [^\n]+\n", captured.err)
    assert message in captured.err
    assert {each.name: each.read_bytes() for each in here.iterdir() if each.is_file()} == before


def test_a_file_that_appears_while_it_paints_is_kept(monkeypatch, capsys):
    run_through = run_picture.run_through

    def and_meanwhile(*given, **named):
        Path("late.safetensors").write_text("of another process")
        return run_through(*given, **named)

    monkeypatch.setattr(run_picture, "run_through", and_meanwhile)
    assert run("photos/small/a.png", "--size", "32", "--steps", "2", "-o", "late.png") == 0
    assert Path("late.safetensors").read_text() == "of another process"
    assert not Path("late.png").exists()
    assert open_painting(Path("late-2.safetensors"))
    assert open_picture("late-2.png").shape == (3, 21, 32)
    message = capsys.readouterr().err
    assert "\nlate.safetensors exists by now: saving as late-2.png and late-2.safetensors\n" in message


def test_diverging_training_gives_advice(here, capsys):
    assert run("photos/a.png", "--network", "relu", "--optimiser", "sgd", "--rate", "10", *QUICK) == 1
    assert "--rate" in capsys.readouterr().err
    assert not (here / "paint.png").exists()
    assert not (here / "paint.unfinished").exists()


def test_settings_come_from_the_file_and_the_environment(here, monkeypatch, capsys):
    (here / "lanterna.toml").write_text('[paint]\nnetwork = "relu"\nneurons = 8\n')
    monkeypatch.setenv("LANTERNA_PAINT_NEURONS", "12")
    assert run("photos/a.png", "--steps", "5", "--json") == 0
    settings = printed_text(capsys)["settings"]
    assert (settings["network"], settings["neurons"]) == ("relu", 12)
