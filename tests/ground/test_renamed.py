"""Files saved when settings and weights had other names still open, resume and run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

from lanterna.errors import UsageError
from lanterna.images.recipe import make_recipe, weights_sha256
from lanterna.lessons.layers import Layers
from lanterna.lessons.neuron import Neuron
from lanterna.networks import open_network
from lanterna.networks.digits import build
from lanterna.networks.plan import Plan
from lanterna.networks.trained import save_trained
from lanterna.renamed import current_document
from lanterna.surfaces.cli import main
from lanterna.surfaces.render.folder import Folder
from lanterna.techniques.checkpoint import read_state, write_state
from lanterna.techniques.dream.algorithm import Dream
from lanterna.techniques.feature.algorithm import Feature
from lanterna.techniques.frame_folder import FrameFolder
from lanterna.techniques.rerun import with_overrides
from lanterna.techniques.style.algorithm import Stylize

if TYPE_CHECKING:
    from pathlib import Path


def test_weights_with_old_names_are_opened(tmp_path: Path) -> None:
    plan = Plan(network="dense", hidden=(8,))
    network = build(plan).eval()
    folder = tmp_path / "old"
    folder.mkdir()
    save_trained(network, plan, folder)
    weights = load_file(folder / "weights.safetensors")
    old = {name.replace("layers.", "stages.", 1): values for name, values in weights.items()}
    assert old.keys() != weights.keys()
    save_file(old, folder / "weights.safetensors")
    opened = open_network(str(folder))
    picture = torch.rand(1, 1, 28, 28)
    assert torch.equal(opened(picture), network(picture))


def test_checksums_use_the_old_names() -> None:
    """As in 0.1.0, so that an old recipe still matches the network."""
    torch.manual_seed(0)
    module = torch.nn.Module()
    module.layers = torch.nn.ModuleDict({"output": torch.nn.Linear(1, 1)})
    old = torch.nn.Module()
    old.stages = module.layers
    assert weights_sha256(module) == weights_sha256(old)


def test_a_checkpoint_of_an_old_style_transfer_is_resumed(tmp_path: Path) -> None:
    """It ran with pooling by maximum, and to the last step."""
    settings = Stylize(network="vgg16", pooling="maximum", tolerance=0)
    old = settings.model_dump(mode="json")
    del old["pooling"], old["tolerance"]
    write_state(tmp_path / "state.pt", {"settings": json.dumps(old), "step": 1})
    assert read_state(tmp_path / "state.pt", settings, {"step"})["step"] == 1
    with pytest.raises(UsageError, match="other settings"):
        read_state(tmp_path / "state.pt", Stylize(network="vgg16"), {"step"})


def test_a_checkpoint_with_old_settings_is_resumed(tmp_path: Path) -> None:
    settings = Dream(layer=("block9",))
    old = settings.model_dump(mode="json")
    old["stage"], old["mask_stage"] = old.pop("layer"), old.pop("mask_layer")
    write_state(tmp_path / "state.pt", {"recipe": json.dumps(old), "steered": 1})
    assert read_state(tmp_path / "state.pt", settings, {"live"})["live"] == 1


@pytest.mark.parametrize(
    ("given", "layer"),
    [
        ({}, ["block9"]),  # efficientnet-lite0, whose default layers are others now
        ({"network": "vgg16"}, []),
        ({"class_": ["goldfish"]}, []),
        ({"class_": ["goldfish"], "guided": True}, ["block9"]),
        ({"layer": ["block5"]}, ["block5"]),
    ],
)
def test_an_old_dream_without_a_layer_is_rerun_with_the_old_one(given: dict, layer: list[str]) -> None:
    old = {**Dream().model_dump(mode="json"), **given}
    del old["pooling"]
    assert current_document("dream", {"settings": old})["settings"] == {
        **old, "layer": layer, "pooling": "maximum",
    }  # fmt: skip
    assert Dream.checked({"octaves": 2}).layer == ()


def test_an_old_feature_pools_as_it_did() -> None:
    old = Feature(channel=1).model_dump(mode="json")
    del old["pooling"]
    assert current_document("feature", {"settings": old})["settings"] == {**old, "pooling": "maximum"}


def test_a_lesson_with_an_old_setting_is_rerun() -> None:
    assert Layers.checked({"bend": "tanh"}) == Layers(activation="tanh")
    assert Neuron.checked({"weight": 1.5}) == Neuron(weights=(1.5,))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dream", "cat.png", "--stage", "block9"], "--stage is now called --layer"),
        (["dream", "cat.png", "--mask-stage=block9"], "--mask-stage is now called --mask-layer"),
        (
            ["style", "cat.png", "cat.png", "--style-stages", "x"],
            "--style-stages is now called --style-layers",
        ),
    ],
)
def test_an_old_option_is_refused_with_its_new_name(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err == f"lanterna: {message}\n"


def test_an_old_variable_says_what_it_is_called_now(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LANTERNA_DREAM_MASK_STAGE", "block9")
    assert main(["dream", "cat.png"]) == 2
    message = "LANTERNA_DREAM_MASK_STAGE is now called LANTERNA_DREAM_MASK_LAYER"
    assert capsys.readouterr().err == f"lanterna: {message}\n"


def test_a_recipe_is_varied_by_an_old_name() -> None:
    recipe = make_recipe("dream", "dream", Dream(layer=("block9",)), network_name="efficientnet-lite0")
    assert with_overrides(recipe, {"stage": "block2"}).settings["layer"] == ["block2"]


def test_frames_of_a_film_with_old_settings_are_continued(tmp_path: Path) -> None:
    settings = Dream(layer=("block9",)).model_dump(mode="json")
    old = {**settings, "stage": settings["layer"], "mask_stage": []}
    del old["layer"], old["mask_layer"]
    folder = tmp_path / "film.webp.frames"
    folder.mkdir()
    (folder / "film.json").write_text(json.dumps({"settings": old}, indent=2, sort_keys=True))
    frames = FrameFolder(tmp_path / "film.webp", "dream", {"settings": settings}, resume=True)
    assert frames.done == 0


def test_a_render_folder_with_old_settings_is_continued(tmp_path: Path) -> None:
    plan = {"verb": "dream", "settings": [{"layer": ["block5"]}]}
    old = {"verb": "dream", "settings": [{"stage": ["block5"]}], "suffix": ".png"}
    (tmp_path / "render.json").write_text(json.dumps(old, indent=2, sort_keys=True) + "\n")
    Folder(tmp_path, plan, ".png")
    assert json.loads((tmp_path / "render.json").read_text()) == {**plan, "suffix": ".png"}
    with pytest.raises(UsageError):
        Folder(tmp_path, {**plan, "settings": [{"layer": ["block6"]}]}, ".png")


def test_a_saved_command_has_the_current_options() -> None:
    recipe = {"command": "lanterna dream a.png --stage=block5 --sheet=stages --title stages", "steered": []}
    assert current_document("dream", recipe) == {
        "command": "lanterna dream a.png --layer=block5 --sheet=layers --title stages",
        "changes": [],
    }
