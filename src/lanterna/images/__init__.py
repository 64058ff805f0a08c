"""Input and output of pictures: files and data sets to float tensors in [0, 1], and back with a recipe."""

from __future__ import annotations

from lanterna.images.pictures import check_picture_path, open_picture, save_picture
from lanterna.images.recipe import (
    Recipe,
    RecipeInput,
    RecipeNetwork,
    make_recipe,
    make_recipe_input,
    read_recipe,
)

__all__ = [
    "Recipe",
    "RecipeInput",
    "RecipeNetwork",
    "check_picture_path",
    "make_recipe",
    "make_recipe_input",
    "open_picture",
    "read_recipe",
    "save_picture",
]
