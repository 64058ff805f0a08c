"""Pictures created by 0.1.0, from our own drawings, are reproduced: the names in recipes remain valid."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from lanterna import open_picture
from lanterna.images import Recipe
from lanterna.images.film_reading import read_film_recipe
from lanterna.surfaces.cli import main
from lanterna.techniques.paint.pixels import psnr
from lanterna.techniques.registry import find_technique
from lanterna.techniques.rerun import command_line

MADE = Path(__file__).parent / "made-by-0.1.0"
PICTURES = (
    "dream",
    "style",
    "instant",
    "paint",
    "render",
    "neurons",
    "random",
    "random-sheet",
    "feature",
    "presets",
)
RECIPES = json.loads((MADE / "recipes.json").read_text(encoding="utf-8"))
COMMANDS = {
    "channels": "lanterna dream drawing.png --layer=block5 --size=64 --octaves=1 --steps=1 --sheet=channels",
    "instant-sheet": "lanterna style drawing.png --instant --sheet --built-in=3 --size=64",
    "kernels": "lanterna feature --kernels",
    "gates": "lanterna learn gates",
    "read": "lanterna read page.png",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with the pictures and their inputs."""
    monkeypatch.chdir(shutil.copytree(MADE, tmp_path / "made"))
    return Path.cwd()


@pytest.mark.slow
@pytest.mark.usefixtures("real_shelf", "here")
@pytest.mark.parametrize("name", PICTURES)
def test_an_old_picture_is_reproduced(name: str) -> None:
    assert main(["rerun", f"{name}.png", "-o", "again.png", "--quiet"]) == 0
    old, new = open_picture(f"{name}.png"), open_picture("again.png")
    assert old.shape == new.shape
    if name == "neurons":  # the words between its pictures, which are grey, may change
        coloured = torch.stack([old, new]).diff(dim=1).abs().amax((0, 1)) > 0.1
        old, new = old[:, coloured], new[:, coloured]
    # Another machine rounds differently, and two steps of a dream or a style amplify that.
    assert psnr((old - new).square().mean().item()) > 30


@pytest.mark.parametrize("name", RECIPES)
def test_every_old_recipe_is_recognised_and_has_its_command(name: str) -> None:
    recipe = Recipe.model_validate(RECIPES[name])
    assert find_technique(recipe.verb, recipe.output) is not None
    assert command_line(recipe, "x.png").startswith(COMMANDS[name])


@pytest.mark.usefixtures("here")
def test_an_old_film_has_its_command() -> None:
    command = command_line(read_film_recipe(Path("zoom.webp")), "zoom.webp")
    settings = "--layer=block9 --size=64 --octaves=1 --steps=1 --frames=3"
    assert command == f"lanterna dream drawing.png {settings} --film zoom.webp"
