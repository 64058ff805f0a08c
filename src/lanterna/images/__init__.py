"""Pictures in and out: files, drawings and data sets to float tensors in [0, 1], and back with a recipe."""

from __future__ import annotations

from lanterna.images.pictures import check_place, open_picture, save_picture
from lanterna.images.recipe import Input, Recipe, Weights, make_recipe, note_input, read_recipe

__all__ = [
    "Input",
    "Recipe",
    "Weights",
    "check_place",
    "make_recipe",
    "note_input",
    "open_picture",
    "read_recipe",
    "save_picture",
]
