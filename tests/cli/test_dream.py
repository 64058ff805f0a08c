"""`lanterna dream` from the command line to a file, and back from the file to the command line."""

import io
import json
import re
import shlex
import shutil

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from declared import replace_presets
from lanterna.images import open_picture, read_recipe, save_picture
from lanterna.images.drawing import as_image
from lanterna.networks import open_network
from lanterna.networks.trained import open_trained
from lanterna.probes import objectives
from lanterna.surfaces.cli import main
from lanterna.techniques.dream import technique
from lanterna.techniques.dream.algorithm import Dream, DreamFrame
from lanterna.techniques.dream.technique import dreamable_layers
from lanterna.techniques.octaves import resized
from terminals import LARGE, call_in_terminal, decode_blocks, drawings

SMALL = ["--size", "144", "--octaves", "2", "--steps", "2"]  # less would have one octave
FEW = [*SMALL[:-1], "1"]
STRONG = ["--step-size", "8"]

pytestmark = pytest.mark.usefixtures("cached_networks")


@pytest.fixture(scope="module")
def pictures(real_shelf, tmp_path_factory):
    """A folder with the cat, another picture, and two masks of other shapes."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, source in ("cat.png", "chelsea.png"), ("coffee.png", "coffee.png"):
        save_picture(open_picture(real_shelf / "photographs" / source, longest=200), folder / name)
    for name, box in ("left.png", (0, 0, 15, 39)), ("right half.png", (15, 0, 29, 39)):
        mask = Image.new("L", (30, 40))
        ImageDraw.Draw(mask).rectangle(box, fill=255)
        mask.save(folder / name)
    return folder


@pytest.fixture(autouse=True)
def here(pictures, tmp_path, monkeypatch):
    """A folder to work in, with copies of the pictures; two presets."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)
    presets = {
        "thread": {"layer": ("block2",), "step_size": 3.0},
        "fur": {"layer": ("block5",), "octaves": 1},
    }
    replace_presets(monkeypatch, Dream, presets)
    return tmp_path


def dream(*words):
    return main(["dream", *words])


def pixels(path):
    return open_picture(path)


# From the command line to a file and back


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ([*STRONG], {"layer": []}),
        (
            [*STRONG, "--layer", "block5:3,4", "block9:weakest*-1", "--mask", "left.png"],
            {"layer": ["block5:3,4", "block9:weakest*-1"]},
        ),
        (
            [*STRONG, "--class", "goldfish", "volcano*0.5", "--keep-colours", "--blend", "0.5", "--seed=4"],
            {"class_": ["goldfish", "volcano*0.5"], "blend": 0.5, "seed": 4},
        ),
        ([*STRONG, "--guide", "coffee.png"], {"guided": True}),
        (
            [*STRONG, "--mask", "left.png", "right half.png", "--mask-layer", "block2", "block5:1"],
            {"mask_layer": ["block2", "block5:1"]},
        ),
        (["--preset", "thread"], {"layer": ["block2"], "step_size": 3.0}),
        (["--preset", "thread", "--layer", "block3"], {"layer": ["block3"], "step_size": 3.0}),
        ([*STRONG, "--network", "vgg16", "--layer", "relu1_2"], {"network": "vgg16"}),
    ],
)  # fmt: skip
def test_rerun_reproduces_it_bit_for_bit(words, kept, capsys):
    assert dream("cat.png", *FEW, *words, "-o", "one.png", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["picture"] == "one.png"
    assert document["finished"] is True
    assert document["settings"] == read_recipe("one.png").settings
    assert {name: document["settings"][name] for name in kept} == kept
    assert pixels("one.png").shape == (3, 96, 144)
    assert (pixels("one.png") - resized(pixels("cat.png"), (96, 144))).abs().mean() > 0.01

    assert main(["rerun", "one.png", "-o", "two.png"]) == 0
    assert torch.equal(pixels("one.png"), pixels("two.png"))
    assert main(["recipe", "one.png", "--json"]) == 0
    _, *by_hand = shlex.split(json.loads(capsys.readouterr().out)["command"])
    assert main([*by_hand[:-1], "three.png"]) == 0
    assert torch.equal(pixels("one.png"), pixels("three.png"))


@pytest.mark.usefixtures("trained")
def test_digits_dream_with_a_network_trained_here(capsys):
    assert dream("left.png", "--network", "conv", *FEW, "-o", "one.png") == 0
    assert "one.png" in capsys.readouterr().err
    assert main(["rerun", "one.png"]) == 0
    assert torch.equal(pixels("one.png"), pixels("one-again.png"))


@pytest.mark.slow
def test_the_requested_target_is_dreamed():
    """A guide, a class and a preset each give another picture; a mask leaves the rest as it was."""
    made = {}
    for name, words in {
        "plain": [],
        "class": ["--class", "goldfish"],
        "guided": ["--guide", "coffee.png"],
        "preset": ["--preset", "thread"],
        "masked": ["--mask", "left.png", "--step-size", "4"],
    }.items():
        assert dream("cat.png", *SMALL, *words, "-o", f"{name}.png", "--quiet") == 0
        made[name] = pixels(f"{name}.png")
    for name in list(made)[1:]:
        assert not torch.equal(made[name], made["plain"]), name
    before = resized(pixels("cat.png"), (96, 144)).clamp(0, 1)
    change = (made["masked"] - before).abs()
    assert change[:, :, 84:].max() < 0.003  # black there; a file has 255 levels
    assert change[:, :, :60].mean() > 0.02
    network = open_network("efficientnet-lite0")
    with torch.no_grad():
        goldfish = [objectives.logit(1)(network, made[name][None]).item() for name in ("plain", "class")]
    assert goldfish[1] > goldfish[0] + 1


@pytest.mark.slow
def test_the_recipe_lists_inputs_which_can_be_changed(capsys):
    words = ["--guide", "coffee.png", "--mask", "left.png", "--mask", "right half.png"]
    assert dream("cat.png", *FEW, *words, "-o", "one.png") == 0
    inputs = [(note.path, note.role) for note in read_recipe("one.png").inputs]
    assert inputs == [
        ("cat.png", ""), ("coffee.png", "guide"), ("left.png", "mask"), ("right half.png", "mask"),
    ]  # fmt: skip
    assert main(["rerun", "one.png", "--set", "guide=cat.png", "-o", "two.png"]) == 0
    assert not torch.equal(pixels("one.png"), pixels("two.png"))
    assert main(["rerun", "one.png", "--set", "mask=left.png", "-o", "three.png"]) == 2
    assert "mask: expected as many files as in the recipe, got 1 for 2" in capsys.readouterr().err
    assert main(["rerun", "one.png", "-o", "coffee.png", "--force"]) == 2
    assert "coffee.png is what the result is made from" in capsys.readouterr().err


@pytest.mark.slow
def test_standard_input_and_the_default_path(here, monkeypatch, capsys):
    data = (here / "cat.png").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert dream("-", *FEW) == 0
    assert read_recipe("dream.png").inputs[0].path == "-"
    assert dream("cat.png", *FEW, "-o", "file.png") == 0
    assert torch.equal(pixels("dream.png"), pixels("file.png"))
    assert main(["rerun", "dream.png", "--set", "input=cat.png"]) == 0
    assert torch.equal(pixels("dream.png"), pixels("dream-again.png"))
    capsys.readouterr()
    assert dream("cat.png", *FEW) == 2
    assert "--force" in capsys.readouterr().err
    assert dream("cat.png", *FEW, "--force", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


# Stopping, and going on


@pytest.mark.slow
def test_ctrl_c_saves_the_picture_and_resuming_gives_the_same_result(here):
    long = ["cat.png", "--size", "144", "--octaves", "2", "--steps", "3"]
    words = [*long, "-o", "stopped.png", "--checkpoint", "kept.pt", "--preview"]
    environment = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    message, code = call_in_terminal(lambda: dream(*words), stop_at="▀".encode(), **LARGE, **environment)
    assert code == 130, message
    assert "stopped after" in message
    assert "Traceback" not in message
    stopped = pixels("stopped.png")
    assert stopped.shape == (3, 96, 144)  # the whole size, though only the first octave had begun
    assert (here / "kept.pt").exists()

    assert dream(*long, "--checkpoint", "kept.pt", "-o", "other.png") == 2  # not by mistake anew
    assert dream(*long, "--checkpoint", "kept.pt", "-o", "stopped.png", "--resume", "--quiet") == 0
    assert not (here / "kept.pt").exists()
    assert dream(*long, "-o", "unbroken.png", "--quiet") == 0
    assert torch.equal(pixels("stopped.png"), pixels("unbroken.png"))
    assert not torch.equal(stopped, pixels("unbroken.png"))


# Sheets


def on_sheet(path, number, count, columns, size, words=28):
    """The picture at a place of a sheet, `(3, H, W)`: sheets have gaps of 16, a title of 44, and `words`."""
    width, height = size
    sheet = open_picture(path)
    rows, each = -(-count // columns), height + words + 16
    assert sheet.shape == (3, 60 + rows * each, 16 + columns * (width + 16))
    y, x = 60 + number // columns * each, 16 + number % columns * (width + 16)
    return sheet[:, y : y + height, x : x + width]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "words", "labels", "columns"),
    [
        ("layers", ["--layer", "block2", "block5", "block9:31"], ["block2", "block5", "31"], 2),
        ("presets", [], ["thread", "fur"], 2),
    ],
)
def test_a_sheets_pictures_are_what_its_commands_make(kind, words, labels, columns, capsys):
    assert dream("cat.png", *FEW, *words, "--sheet", kind, "--side", "144", "-o", "sheet.png", "--json") == 0
    shown = json.loads(capsys.readouterr().out)["sheet"]
    assert [each["label"] for each in shown] == labels
    for number, each in enumerate(shown):
        program, *by_hand = shlex.split(each["command"])
        assert program == "lanterna"
        assert main(by_hand) == 0
        made = pixels(by_hand[-1])
        on = on_sheet("sheet.png", number, len(labels), columns, (144, 96))
        assert torch.equal(on, made), by_hand

    capsys.readouterr()
    assert main(["recipe", "sheet.png", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["commands"] == [each["command"] for each in shown]
    assert main(["recipe", "sheet.png"]) == 0
    assert shown[-1]["command"] in capsys.readouterr().out
    assert main(["rerun", "sheet.png"]) == 0
    assert torch.equal(pixels("sheet.png"), pixels("sheet-again.png"))
    _, *by_hand = shlex.split(document["command"])
    assert main([*by_hand[:-1], "by-hand.png"]) == 0
    assert torch.equal(pixels("sheet.png"), pixels("by-hand.png"))


@pytest.mark.slow
def test_a_sheet_of_channels_shows_the_strongest_of_this_picture(capsys):
    words = ["--size", "64", "--side", "64", "--octaves", "1", "--steps", "1", "--layer", "block9"]
    assert dream("cat.png", *words, "--sheet", "channels") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 24
    channels = [int(line.split("block9:")[1].split()[0]) for line in lines]
    assert lines[0].endswith(f"-o dream-{channels[0]}.png")
    network = open_network("efficientnet-lite0")
    image = resized(pixels("cat.png"), (224, 224)).clamp(0, 1)[None]
    with torch.no_grad():
        means = objectives.layer_outputs(network, image, frozenset({"block9"}))["block9"].mean((0, 2, 3))
    assert set(channels) == set(means.topk(24).indices.tolist())
    assert channels[0] == means.argmax()
    assert on_sheet("dream-channels.png", 0, 24, 6, (64, 43), words=23).std() > 0.1


def test_every_sensible_layer_is_on_a_sheet_in_order(trained):
    lite0 = dreamable_layers(open_network("efficientnet-lite0"))
    assert lite0 == ["stem", *(f"block{number}" for number in range(1, 17)), "head"]
    vgg = dreamable_layers(open_network("vgg16"))
    assert vgg[0] == "relu1_1"
    assert vgg[-1] == "relu5_3"
    assert len(vgg) == 13
    assert dreamable_layers(open_trained(trained / "networks" / "conv")) == ["relu1", "relu2", "relu3"]


# In a terminal


@pytest.mark.slow
def test_the_preview_ends_with_the_picture_that_is_saved(here):
    words = ["cat.png", "--size", "144", "--octaves", "2", "--steps", "4", "-o", "one.png", "--preview"]
    message, code = call_in_terminal(lambda: dream(*words), TERM="xterm", COLORTERM="truecolor")
    assert code == 0, message
    rows = int(re.findall(r"\x1b\[(\d+)A", message)[-1])
    last = drawings(message, rows)[-1]
    assert "8 of 8" in last
    shown = decode_blocks(last[: last.index("8 of 8")].removesuffix("\n"))
    assert shown.shape[0] == 2 * rows == 44
    assert shown.shape[1] == pytest.approx(44 * 1.5, abs=1)
    saved = as_image(pixels("one.png")).resize(shown.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(shown - np.asarray(saved).astype(int)).mean() < 1
    assert (here / "one.png").exists()


@pytest.mark.slow
def test_without_a_terminal_there_is_no_preview_and_a_reason(capsys):
    assert dream("cat.png", *FEW, "--preview") == 0
    captured = capsys.readouterr()
    assert "no preview: standard error is not a terminal" in captured.err
    assert "\x1b" not in captured.err + captured.out
    words = ["cat.png", *FEW, "-o", "two.png", "--preview"]
    message, code = call_in_terminal(lambda: dream(*words), NO_COLOR="1", TERM="xterm")
    assert code == 0
    assert "no preview: NO_COLOR is set" in message
    assert "▀" not in message


# What cannot be done


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone.png"], "gone.png"),
        (["cat.png", "--layer", "block99"], "block16"),
        (["cat.png", "--layer", "block9:9999"], "0 to 111"),
        (["cat.png", "--layer", "block9:"], "expected a target"),
        (["cat.png", "--class", "goldfsh"], "did you mean goldfish"),
        (["cat.png", "--preset", "thred"], "did you mean thread"),
        (["cat.png", "--preset", "nothing like it"], "there are thread, fur"),
        (["cat.png", "--guide", "gone.png"], "gone.png"),
        (["cat.png", "--guided"], "unknown option --guided"),
        (["cat.png", "--mask", "gone.png"], "gone.png"),
        (["cat.png", "--mask-layer", "block2"], "--mask-layer: expected at most one for each mask"),
        (["cat.png", "--mask", "left.png", "--mask-layer", "block2", "block3"], "for each mask, got 2 for 1"),
        (["cat.png", "--network", "vgg16", "--class", "goldfish"], "no classes"),
        (["cat.png", "--network", "nobody"], "there is no network"),
        (["cat.png", "--octaves", "0"], "octaves"),
        (["cat.png", "--resume"], "--checkpoint"),
        (["cat.png", "--sheet", "everything"], "sheet"),
        (["cat.png", "--sheet", "layers", "--checkpoint", "kept.pt"], "--checkpoint"),
        (["cat.png", "--sheet", "presets", "--preset", "fur"], "--preset"),
        (["cat.png", "--sheet", "channels", "--layer", "block9", "block5"], "one layer"),
        (["cat.png", "--sheet", "channels", "--layer", "block9:3"], "one layer"),
        (["cat.png", "--sheet", "layers", "--mask", "left.png", "--mask-layer", "block2"], "--mask-layer"),
        (["cat.png", "-o", "dream.gif"], ".gif"),
    ],
)  # fmt: skip
def test_errors_are_one_line(words, message, here, capsys):
    before = sorted(here.iterdir())
    assert dream(*words) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
    assert sorted(here.iterdir()) == before


def test_nothing_to_resume_is_missing(capsys):
    assert dream("cat.png", *SMALL, "--checkpoint", "gone.pt", "--resume") == 3
    assert "gone.pt" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["cat.png", "notes.txt", "out.png"])
def test_no_file_but_a_checkpoint_is_replaced_by_one(here, capsys, name):
    (here / "notes.txt").write_text("mine")
    before = {file: file.read_bytes() for file in (here / "cat.png", here / "notes.txt")}
    assert dream("cat.png", *SMALL, "-o", "out.png", "--checkpoint", name, "--force") == 2
    assert "checkpoint" in capsys.readouterr().err
    assert before == {file: file.read_bytes() for file in before}


@pytest.mark.usefixtures("trained")
def test_sheets_of_a_network_without_positions(tmp_path, capsys):
    picture = torch.rand(3, 28, 28, generator=torch.Generator().manual_seed(0))
    save_picture(picture, tmp_path / "noise.png")
    words = ["dream", str(tmp_path / "noise.png"), "--network", "dense", *FEW, "--json"]
    assert main([*words, "--sheet", "layers", "-o", str(tmp_path / "layers.png")]) == 0
    cells = json.loads(capsys.readouterr().out)["sheet"]
    assert [cell["label"] for cell in cells] == ["hidden1", "relu1", "output"]
    assert main([*words, "--sheet", "channels", "--layer", "output", "-o", str(tmp_path / "units.png")]) == 0
    assert len(json.loads(capsys.readouterr().out)["sheet"]) == 10
    assert main([*words, "--sheet", "presets", "-o", str(tmp_path / "presets.png")]) == 2
    assert "leave --network dense out" in capsys.readouterr().err


def test_rerunning_a_film_names_its_command_whatever_the_output(tmp_path, capsys):
    film, picture = tmp_path / "two  spaces.webp", tmp_path / "a  b.png"
    save_picture(torch.rand(3, 32, 32), picture)
    words = ["--size", "32", "--steps", "1", "--octaves", "1", "--frames", "2"]
    assert main(["dream", str(picture), *words, "--film", str(film)]) == 0
    assert main(["rerun", str(film), "-o", str(tmp_path / "again.mp4")]) == 2
    error = capsys.readouterr().err
    assert "only its command makes this film again: lanterna dream" in error
    assert "a  b.png" in error
    assert "again.mp4" in error


def test_pictures_on_a_sheet_are_large_whatever_the_size(capsys):
    words = ["--size", "64", "--octaves", "1", "--steps", "1", "--layer", "block2"]
    assert dream("cat.png", *words, "--sheet", "layers") == 0
    said = capsys.readouterr()
    assert "--size=64" in said.out
    assert "--size 64 is for the commands: the pictures on a sheet have 320 pixels" in said.err
    assert pixels("dream-layers.png").shape[2] == 320 + 2 * 16


@pytest.mark.parametrize(
    ("energy", "words", "remarked"),
    [(0.9, [], True), (1.1, [], False), (0.9, ["--class", "goldfish"], False)],
)
def test_a_dream_with_less_energy_than_its_picture_is_remarked_on(
    energy, words, remarked, monkeypatch, capsys
):
    def ends(picture, *_, **__):
        yield DreamFrame(1, 1, {"energy": energy}, picture, base=picture)

    monkeypatch.setattr(technique, "dream", ends)
    assert dream("cat.png", *SMALL, *words) == 0
    assert ("less energy than the picture had" in capsys.readouterr().err) == remarked
