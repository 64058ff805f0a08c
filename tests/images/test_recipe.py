"""The recipe in a picture: saved in every format, read back safely, and enough to recreate the picture."""

import io
import json
import os
import re
import shlex
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import nn

import lanterna
from declared import clear_registry
from hostile import encoded, photograph
from lanterna.errors import UsageError
from lanterna.files import sha256
from lanterna.images import Recipe, make_recipe, open_picture, read_recipe, save_picture
from lanterna.images.recipe import MAX_RECIPE_BYTES, RecipeInput, RecipeNetwork, to_json, weights_sha256
from lanterna.surfaces.cli import main
from lanterna.surfaces.cli.dispatch import make_app
from lanterna.techniques import execute, registry, rerun
from lanterna.techniques import technique as declaring
from lanterna.techniques.dream.algorithm import Dream
from lanterna.techniques.technique import Frame, Settings, Technique

FORMATS = ["png", "jpg", "webp", "avif", "tiff"]


class Speckle(Settings):
    """A small technique for the tests: it adds specks, which depend on the seed, to its input."""

    verb = "speckle"
    strength: float = 0.1
    sizes: tuple[int, ...] = (1,)
    dark: bool = False


def speckled(job):
    settings, picture = job.settings, job.picture("picture")
    specks = (
        torch.randn(picture.shape, generator=torch.Generator().manual_seed(settings.seed)) * settings.strength
    )
    for other in (*job.pictures("guide"), *job.pictures("mask")):
        specks = specks * other
    yield Frame(1, 1, picture=picture + (-specks.abs() if settings.dark else specks))


SPECKLE = Technique(
    name="speckle", title="Speckle", help="Specks.", settings=Speckle, run=speckled, outputs=("specks",),
    inputs=(declaring.Input("picture", "to speckle", required=True), declaring.Input("guide", "more"),
            declaring.Input("mask", "where", many=True)),
)  # fmt: skip


def make_speckled(**files):
    """Return a speckled picture and its recipe, from files by input."""
    job = execute.Job(
        SPECKLE, Speckle(seed=7), {name: list(map(Path, paths)) for name, paths in files.items()}
    )
    (result,) = execute.begin(job).results(execute.last_frame(execute.begin(job).frames), job.settings)
    return result.picture, execute.recipe_of(job, result)


@pytest.fixture
def speckle(tmp_path, monkeypatch):
    """Change to a folder with `input.png` and `made.png`, the output of the tests' technique."""
    monkeypatch.setitem(registry.BUILT_IN, "speckle", f"{__name__}:SPECKLE")
    clear_registry()
    monkeypatch.chdir(tmp_path)
    photograph().save("input.png")
    picture, recipe = make_speckled(picture=["input.png"])
    save_picture(picture, "made.png", recipe=recipe)
    yield tmp_path
    clear_registry()


@pytest.fixture
def masked(speckle):
    """Add two masks, a guide, and `masked.png`, the output for them."""
    for number, name in enumerate(("guide.png", "left.png", "right half.png")):
        photograph().rotate(90 * number).save(name)
    masks = ["left.png", "right half.png"]
    picture, recipe = make_speckled(picture=["input.png"], guide=["guide.png"], mask=masks)
    save_picture(picture, "masked.png", recipe=recipe)
    return speckle


def a_recipe(**changes):
    settings = {
        "text": "quotes \" ' <b>&amp;</b> ]]> --> snow ☃ \U0001f40d",
        "sizes": [1, 2],
        "none": None,
        "seed": 3,
    }
    recipe = make_recipe(
        "dream", "page", settings, shelf_items=["mnist"], network=nn.Linear(3, 2), network_name="x"
    )
    return recipe.model_copy(update=changes)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_stores_the_recipe(tmp_path, suffix):
    recipe = a_recipe()
    path = tmp_path / f"picture.{suffix}"
    save_picture(torch.rand(3, 16, 16), path, recipe=recipe)
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes())):
        assert read_recipe(source) == recipe
    assert recipe.seed == 3
    assert recipe.lanterna == lanterna.__version__
    assert recipe.torch == torch.__version__
    assert len(recipe.shelf["mnist"]["mnist.safetensors"]) == 64


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_longest_recipe_fits_in_every_format(tmp_path, suffix):
    recipe = a_recipe()
    spare = MAX_RECIPE_BYTES - len(to_json(recipe)) - 20
    longest = a_recipe(settings={**recipe.settings, "long": "x" * spare})
    save_picture(torch.rand(3, 16, 16), tmp_path / f"picture.{suffix}", recipe=longest)
    assert read_recipe(tmp_path / f"picture.{suffix}") == longest
    with pytest.raises(UsageError, match="bytes long"):
        save_picture(
            torch.rand(3, 8, 8), tmp_path / "long.png", recipe=a_recipe(settings={"long": "☃" * 20_000})
        )
    assert not (tmp_path / "long.png").exists()


def test_other_programs_can_read_it_too(tmp_path):
    """From the PNG text and the XMP packet."""
    recipe = a_recipe()
    save_picture(torch.rand(3, 8, 8), tmp_path / "a.png", recipe=recipe)
    with Image.open(tmp_path / "a.png") as image:
        assert json.loads(image.text["lanterna"])["settings"] == recipe.settings
    save_picture(torch.rand(3, 8, 8), tmp_path / "a.jpg", recipe=recipe)
    with Image.open(tmp_path / "a.jpg") as image:
        root = ElementTree.fromstring(image.info["xmp"].decode())
    assert json.loads(root.findtext(".//{urn:lanterna:1}record"))["settings"] == recipe.settings


def test_an_input_is_recorded_by_its_hash_and_without_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "pictures").mkdir()
    path = tmp_path / "pictures" / "page.png"
    photograph().save(path)
    (note,) = make_recipe("read", "page", {}, inputs=[path]).inputs
    assert note.path == "~/pictures/page.png"
    assert note.sha256 == sha256(path)
    monkeypatch.chdir(tmp_path / "pictures")
    assert make_recipe("read", "page", {}, inputs=[path]).inputs[0].path == "page.png"
    with pytest.raises(UsageError, match="cannot be read"):
        make_recipe("read", "page", {}, inputs=["gone.png"])


def test_the_hash_of_weights_depends_on_their_values():
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    second.load_state_dict(first.state_dict())
    assert weights_sha256(first) == weights_sha256(second)
    with torch.no_grad():
        second.weight[0, 0] += 1e-6
    assert weights_sha256(first) != weights_sha256(second)


def hostile_texts():
    good = json.loads(to_json(a_recipe()))
    return {
        "nothing": "",
        "text": "not JSON",
        "a list": "[1, 2]",
        "deep": "[" * 50_000,
        "deep settings": json.dumps({**good, "settings": {}})[:-1]
        + ', "settings": '
        + '{"a":' * 9000
        + "}" * 9001,
        "long": json.dumps({**good, "settings": {"a": "x" * MAX_RECIPE_BYTES}}),
        "huge number": json.dumps(good)[:-1] + ', "threads": ' + "9" * 5000 + "}",
        "no threads": json.dumps({**good, "threads": 0}),
        "many threads": json.dumps({**good, "threads": 10**9}),
        "unknown field": json.dumps({**good, "run": "rm"}),
        "no verb": json.dumps({key: good[key] for key in good if key != "verb"}),
        "verb with a path": json.dumps({**good, "verb": "../../evil"}),
        "verb that escapes": json.dumps({**good, "verb": "\x1b[2J"}),
        "bad hash": json.dumps({**good, "inputs": [{"path": "a", "sha256": "zz"}]}),
        "bad role": json.dumps({**good, "inputs": [{"path": "a", "sha256": "0" * 64, "role": "a b"}]}),
        "negative seed": json.dumps({**good, "seed": -1}),
        "newer": json.dumps({**good, "format": 2}),
        "pickle": "\x80\x04cos\nsystem\n",
    }


@pytest.mark.parametrize("name", hostile_texts())
def test_hostile_recipes_are_refused_in_one_line(tmp_path, name, capsys):
    notes = PngInfo()
    notes.add_itxt("lanterna", hostile_texts()[name], zip=True)
    path = tmp_path / "hostile.png"
    photograph().save(path, pnginfo=notes)
    assert main(["recipe", str(path)]) == 2
    assert main(["rerun", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 2
    assert all("hostile.png" in line and len(line) < 600 and "\x1b" not in line for line in lines)
    assert ("update Lanterna" in err) == (name == "newer")


def test_a_hostile_packet_is_not_parsed_as_xml():
    entities = b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    bomb = entities + b"<lanterna:record>&b;</lanterna:record>"
    for packet in (bomb, b"</lanterna:record><lanterna:record>", b"<lanterna:record>", b"\xff" * 50):
        with pytest.raises(UsageError):
            read_recipe(encoded(photograph(), "JPEG", xmp=packet))


def test_a_picture_without_a_recipe(tmp_path, capsys):
    photograph().save(tmp_path / "plain.png")
    assert main(["recipe", str(tmp_path / "plain.png")]) == 2
    assert "carries no recipe" in capsys.readouterr().err


def test_a_recipe_prints_no_control_characters(tmp_path, capsys):
    evil = "\x1b]0;evil\x07\u202e\n$(reboot); `reboot` 'reboot'"
    recipe = a_recipe(settings={evil: evil, "seed": 0}, machine=evil, torch=evil)
    save_picture(torch.rand(3, 8, 8), tmp_path / "evil.png", recipe=recipe)
    assert main(["recipe", str(tmp_path / "evil.png")]) == 0
    out = capsys.readouterr().out
    assert all(char.isprintable() or char == "\n" for char in out)
    assert "\n$(reboot)" not in out


# ------------------------------------------------------------------------------------------ recipe, rerun


@pytest.mark.usefixtures("speckle")
def test_recipe_prints_it_and_the_command(capsys):
    assert main(["recipe", "made.png"]) == 0
    out = capsys.readouterr().out
    for words in (
        "specks of speckle",
        "input.png",
        "strength",
        "0.1",
        "torch 2",
        "lanterna speckle input.png",
    ):
        assert words in out
    assert (
        main(
            [
                "recipe",
                "made.png",
                "--json",
                "--set",
                "strength=0.5",
                "--set",
                "sizes=3 4",
                "--set",
                "dark=true",
            ]
        )
        == 0
    )
    document = json.loads(capsys.readouterr().out)
    assert document["settings"] == {"seed": 7, "strength": 0.5, "sizes": [3, 4], "dark": True}
    assert document["command"] == (
        "lanterna speckle input.png --seed=7 --strength=0.5 --sizes=3 4 --dark -o made.png"
    )


def test_rerun_reproduces_the_file_next_to_it_and_never_over_another(speckle, capsys):
    assert main(["rerun", "made.png"]) == 0
    assert main(["rerun", "made.png"]) == 0
    captured = capsys.readouterr()
    assert "may not" not in captured.err
    made = (speckle / "made.png").read_bytes()
    assert (speckle / "made-again.png").read_bytes() == made
    assert (speckle / "made-again-2.png").read_bytes() == made
    assert main(["rerun", "made.png", "-o", "made-again.png"]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["rerun", "made.png", "-o", "made-again.png", "--force", "--set", "seed=8"]) == 0
    assert (speckle / "made-again.png").read_bytes() != made
    varied = read_recipe(speckle / "made-again.png")
    assert (varied.seed, varied.settings["seed"], varied.settings["strength"]) == (8, 8, 0.1)
    assert main(["rerun", "made-again.png", "--set", "seed=7", "-o", "back.png"]) == 0
    assert (speckle / "back.png").read_bytes() == made


def test_a_moved_input_is_found_next_to_the_picture_and_a_changed_one_is_refused(speckle, capsys):
    elsewhere = speckle / "elsewhere"
    elsewhere.mkdir()
    for name in ("input.png", "made.png"):
        (speckle / name).rename(elsewhere / name)
    assert main(["rerun", "elsewhere/made.png"]) == 0
    assert torch.equal(open_picture(elsewhere / "made.png"), open_picture(elsewhere / "made-again.png"))

    (elsewhere / "input.png").rename(elsewhere / "other.png")
    assert main(["rerun", "elsewhere/made.png"]) == 2
    assert "input.png, which the picture was made from, is not there" in capsys.readouterr().err
    assert main(["rerun", "elsewhere/made.png", "--set", "input=elsewhere/other.png", "-o", "found.png"]) == 0
    assert torch.equal(open_picture(elsewhere / "made.png"), open_picture("found.png"))

    photograph().rotate(90).save("input.png")
    assert main(["rerun", "elsewhere/made.png"]) == 2
    assert "has changed since" in capsys.readouterr().err


@pytest.mark.parametrize(
    "path", ["pipe", "endless", "/proc/self/pagemap", "/proc/kmsg", "/dev/zero", "secret"]
)
def test_a_recipe_with_a_pipe_or_device_as_input_does_not_block(speckle, capsys, path):
    os.mkfifo("pipe")
    Path("secret").touch(0o000)
    with Path("huge").open("wb") as file:
        file.truncate(2**31 + 1)
    recipe = read_recipe("made.png")
    inputs = tuple(note.model_copy(update={"path": path}) for note in recipe.inputs)
    save_picture(open_picture("made.png"), "odd.png", recipe=recipe.model_copy(update={"inputs": inputs}))
    assert main(["rerun", "odd.png"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert path in err
    assert speckle.exists()


@pytest.mark.usefixtures("speckle")
def test_an_input_set_on_the_command_line_must_be_a_file(capsys):
    os.mkfifo("pipe")
    for path in ("pipe", "/dev/zero", "."):
        assert main(["rerun", "made.png", "--set", f"input={path}"]) == 2
        assert "it is not a file" in capsys.readouterr().err


@pytest.mark.usefixtures("speckle")
def test_an_empty_role_is_not_saved():
    text = Image.open("made.png").text["lanterna"]
    (note,) = json.loads(text)["inputs"]
    assert set(note) == {"path", "sha256"}
    assert read_recipe("made.png").inputs[0].role == ""


def test_inputs_have_their_roles(masked, capsys):
    assert main(["recipe", "masked.png", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [note.get("role") for note in document["inputs"]] == [None, "guide", "mask", "mask"]
    assert document["command"] == (
        "lanterna speckle input.png --seed=7 --guide guide.png --mask left.png --mask 'right half.png' "
        "-o masked.png"
    )
    assert main(["recipe", "masked.png"]) == 0
    assert re.search(r"^guide +guide\.png .*\nmask +left\.png", capsys.readouterr().out, re.M)

    elsewhere = masked / "elsewhere"
    elsewhere.mkdir()
    for name in ("input.png", "guide.png", "left.png", "right half.png", "masked.png"):
        (masked / name).rename(elsewhere / name)
    assert main(["rerun", "elsewhere/masked.png"]) == 0
    assert torch.equal(open_picture(elsewhere / "masked.png"), open_picture(elsewhere / "masked-again.png"))
    again = read_recipe(elsewhere / "masked-again.png").inputs
    assert [(note.path, note.role) for note in again[1:3]] == [
        ("elsewhere/guide.png", "guide"),
        ("elsewhere/left.png", "mask"),
    ]

    (elsewhere / "left.png").unlink()
    assert main(["rerun", "elsewhere/masked.png"]) == 2
    assert "left.png, which the picture was made from, is not there: give --set mask=PATH" in (
        capsys.readouterr().err
    )


@pytest.mark.usefixtures("masked")
def test_the_inputs_of_a_role_can_be_set(capsys):
    rerun_with = ["rerun", "masked.png", "-o", "set.png", "--force", "--set"]
    assert main([*rerun_with, "mask=left.png, guide.png"]) == 2  # a path may hold commas and blanks
    assert "mask: expected as many files as in the recipe, got 1 for 2" in capsys.readouterr().err
    assert main([*rerun_with, 'mask=["left.png", "guide.png"]']) == 0
    roles = [(note.path, note.role) for note in read_recipe("set.png").inputs]
    assert roles == [("input.png", ""), ("guide.png", "guide"), ("left.png", "mask"), ("guide.png", "mask")]
    assert not torch.equal(open_picture("set.png"), open_picture("masked.png"))
    assert main([*rerun_with, "input=left.png", "--set", "guide=input.png"]) == 0
    roles = [(note.path, note.role) for note in read_recipe("set.png").inputs]
    assert roles[:2] == [("left.png", ""), ("input.png", "guide")]
    assert main([*rerun_with, "style=left.png"]) == 2
    assert capsys.readouterr().err.rstrip().endswith("input, guide, mask")
    assert main(["rerun", "made.png", "--set", "mask=left.png"]) == 2
    assert "no setting 'mask'" in capsys.readouterr().err


@pytest.mark.usefixtures("masked")
def test_an_untrusted_role_adds_no_option_to_the_command(capsys):
    recipe = read_recipe("masked.png")
    notes = [note.model_copy(update={"role": "output" if note.role else ""}) for note in recipe.inputs]
    evil = recipe.model_copy(update={"inputs": tuple(notes)})
    save_picture(open_picture("masked.png"), "evil.png", recipe=evil)
    assert main(["recipe", "evil.png", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["command"] == (
        "lanterna speckle input.png --seed=7 -o evil.png"
    )


@pytest.mark.parametrize(
    ("path", "written"),
    [("~/a b.png", "~/'a b.png'"), ("--force", "./--force"), ("a;reboot", "'a;reboot'"), ("-", "-")],
)
@pytest.mark.usefixtures("speckle")
def test_a_path_is_quoted_for_the_shell(path, written):
    recipe = read_recipe("made.png")
    moved = recipe.model_copy(update={"inputs": (recipe.inputs[0].model_copy(update={"path": path}),)})
    assert rerun.command_line(moved, "made.png") == f"lanterna speckle {written} --seed=7 -o made.png"


def written(recipe, name="a.png"):
    """Return the command shown for a picture with a recipe, and its words."""
    command = rerun.command_line(recipe, name)
    return command, shlex.split(command, comments=True)


def test_an_untrusted_value_becomes_no_option():
    hostile = ["block5", "--network", "-o", "~/.bashrc", "$(reboot)", "`id`", "a;b", "--force"]
    settings = Dream(layer=tuple(hostile)).model_dump(mode="json")
    inputs = [RecipeInput(path="--force", sha256="0" * 64)]
    recipe = a_recipe(output="dream", settings=settings, inputs=inputs, network=None)
    _, words = written(recipe)
    _, bound, _ = make_app().parse_args(words[1:], print_error=False, exit_on_error=False)
    assert bound.arguments["settings"].layer == tuple(hostile)
    assert bound.arguments["settings"].model_fields_set == {"layer"}
    assert bound.arguments["output"] == Path("a.png")
    assert not bound.arguments.get("force")


@pytest.mark.parametrize("name", ["evil.py:go", "evil:go", "a b/evil.py:go", "$(reboot).py:go"])
def test_an_untrusted_network_that_runs_code_has_no_command(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    settings = Dream().model_dump(mode="json")
    for recipe in (
        a_recipe(output="dream", settings=settings | {"network": name}, network=None),
        a_recipe(output="layers", settings=settings | {"network": name, "shown": ["block1"]}, network=None),
        a_recipe(output="dream", settings=settings, network=RecipeNetwork(name=name, sha256=None)),
    ):
        command, words = written(recipe)
        assert words == []  # all of it is a comment
        assert "runs Python code" in command
        save_picture(torch.rand(3, 8, 8), "evil.png", recipe=recipe, force=True)
        assert main(["recipe", "evil.png"]) == 0
        out = capsys.readouterr().out
        assert command.replace("a.png", "evil.png") in out
        assert "lanterna dream" not in out


def test_invalid_untrusted_settings_are_not_in_the_command():
    settings = Dream().model_dump(mode="json")
    injected = ["block5", "--network", "evil.py:go"]
    for odd in ({"layer": injected}, {"steps": "--force"}, {"size": ["1", "-o"]}, {"nonsense": "x"}):
        recipe = a_recipe(output="dream", settings=settings | odd, network=None)
        assert written(recipe, "-a.png")[1] == ["lanterna", "rerun", "./-a.png"]
        assert rerun.cell_commands(recipe.model_copy(update={"output": "layers"})) == {}


@pytest.mark.usefixtures("speckle")
def test_another_version_or_machine_causes_a_warning(capsys):
    recipe = read_recipe("made.png").model_copy(update={"torch": "1.13", "machine": "Abacus"})
    save_picture(open_picture("made.png"), "old.png", recipe=recipe)
    assert main(["rerun", "old.png"]) == 0
    err = capsys.readouterr().err
    assert "may not be the same" in err
    assert "torch 1.13 then" in err
    assert "Abacus" in err
    assert main(["rerun", "old.png", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["may_differ"]) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("strenght=1", "no setting 'strenght': it has"),
        ("strength=much", "strength: .*got 'much'"),
        ("seed=-1", "seed: "),
        ("seed=1.5", "seed: "),
        ("dark=perhaps", "dark: "),
        ("device=abacus", "abacus"),
        ("sizes=[[[[", "sizes"),
        ("strength", "KEY=VALUE"),
        ("input=gone.png", "gone.png cannot be read"),
        ("strength=\udcff", "UTF-8"),
    ],
)
def test_invalid_changes_are_reported_in_one_line(speckle, capsys, change, words):
    before = sorted(path.name for path in speckle.iterdir())
    for verb in ("rerun", "recipe"):
        code = main([verb, "made.png", "--set", change])
        err = capsys.readouterr().err
        assert code == 2, err
        assert len(err.splitlines()) == 1
        assert re.search(words, err), err
    assert sorted(path.name for path in speckle.iterdir()) == before


@pytest.mark.usefixtures("speckle")
def test_an_untrusted_picture_runs_no_code(capsys, monkeypatch):
    ran = []
    monkeypatch.setattr(subprocess, "getoutput", ran.append)
    network = {"name": "subprocess:getoutput", "sha256": "0" * 64}
    recipe = Recipe.model_validate({**dict(read_recipe("made.png")), "network": network})
    save_picture(open_picture("made.png"), "evil.png", recipe=recipe)
    assert main(["rerun", "evil.png"]) == 2
    assert "--trust" in capsys.readouterr().err
    assert main(["rerun", "evil.png", "--set", "network=conv"]) == 0
    assert not ran


def test_a_recipe_of_an_unknown_technique_can_be_shown_but_not_rerun(tmp_path, capsys):
    save_picture(torch.rand(3, 8, 8), tmp_path / "future.png", recipe=a_recipe(verb="levitate"))
    assert main(["recipe", str(tmp_path / "future.png")]) == 0
    assert "levitate" in capsys.readouterr().out
    assert main(["rerun", str(tmp_path / "future.png")]) == 2
    assert "the technique 'levitate' is not installed here" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["future.png"]


def test_standard_input(speckle, monkeypatch):
    data = (speckle / "made.png").read_bytes()
    for argv, code in (["recipe", "-"], 0), (["rerun", "-"], 2), (["rerun", "-", "-o", "out.png"], 0):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert main(argv) == code
    assert (speckle / "out.png").read_bytes() == data


@pytest.mark.slow
def test_the_rerun_of_a_training_and_of_a_reading_is_the_same_file(tmp_path, capsys):
    quick = ["--fraction", "0.02", "--epochs", "1", "--channels", "4", "8"]
    assert main(["train", "conv", *quick, "-o", str(tmp_path / "net"), "--quiet"]) == 0
    picture = tmp_path / "net" / "mistakes.png"
    assert main(["rerun", str(picture), "-o", str(tmp_path / "again.png")]) == 0
    assert (tmp_path / "again.png").read_bytes() == picture.read_bytes()
    assert main(["recipe", str(picture), "--json"]) == 0
    command = json.loads(capsys.readouterr().out)["command"]
    assert command.startswith("lanterna train --channels=4 8")
    assert "--fraction=0.02" in command

    page = tmp_path / "input.png"
    photograph(120, 90).save(page)
    for option, made in ("-o", "page.png"), ("--steps", "steps.png"):
        read = ["read", str(page), f"--network={tmp_path / 'net'}", option, str(tmp_path / made)]
        assert main(read) == 0
        capsys.readouterr()
        assert main(["rerun", str(tmp_path / made)]) == 0
        assert "may not" not in capsys.readouterr().err
        assert (tmp_path / made.replace(".", "-again.")).read_bytes() == (tmp_path / made).read_bytes()
        assert main(["recipe", str(tmp_path / made), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["command"] == f"lanterna {' '.join(read)}"


@pytest.mark.slow
def test_a_setting_named_like_a_python_keyword_is_set_without_its_underscore(private_home, tmp_path):
    assert private_home
    picture, made = tmp_path / "input.png", tmp_path / "made.png"
    photograph(32, 24).save(picture)
    quick = ["--size", "32", "--steps", "1", "--octaves", "1", "-q"]
    assert main(["dream", str(picture), "--class", "goldfish", *quick, "-o", str(made)]) == 0
    assert main(["rerun", str(made), "--set", "class=tick", "-o", str(tmp_path / "again.png"), "-q"]) == 0
    assert read_recipe(tmp_path / "again.png").settings["class_"] == ["tick"]


@pytest.mark.usefixtures("trained")
def test_a_recipe_says_class_and_names_what_is_wrong(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--class", "3", "--network", "conv", "--steps", "1", "-o", "three.png"]
    assert main(["feature", *words]) == 0
    assert main(["recipe", "three.png"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["picture", "feature"] in lines
    assert ["class", "3"] in lines
    assert main(["rerun", "three.png", "--set", "seed=-1"]) == 2
    assert capsys.readouterr().err == "lanterna: seed: expected at least 0, got -1\n"
