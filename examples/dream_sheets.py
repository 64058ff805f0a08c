"""The pictures in docs/dream.md: presets, layers, and what DeepDream does where nothing is asked for.

`python examples/dream_sheets.py FOLDER`, with the shelf filled and a `conv` network trained.
"""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from lanterna import Dream, dream, open_picture, save_picture, shelf
from lanterna.images.drawing import as_picture, contact_sheet

if TYPE_CHECKING:
    from torch import Tensor

LAYERS = ("block2", "block3", "block5", "block7", "block9", "block11", "block12", "block14", "block16")
PICTURES = {
    "a cat": "chelsea.png", "a cup": "coffee.png", "a rocket": "rocket.jpg",
    "galaxies": "hubble_deep_field.jpg", "an astronaut": "astronaut.png",
}  # fmt: skip


def drawing() -> Tensor:
    """A house under the sun, in ink on white paper."""
    image = Image.new("RGB", (1024, 1024), "white")
    draw = ImageDraw.Draw(image)
    for line in (
        [(80, 900), (944, 900)], [(240, 900), (240, 500), (720, 500), (720, 900)],
        [(180, 520), (480, 260), (780, 520)], [(430, 900), (430, 700), (550, 700), (550, 900)],
        [(300, 570), (390, 570), (390, 660), (300, 660), (300, 570)],
        [(620, 370), (620, 260), (680, 260), (680, 430)],
    ):  # fmt: skip
        draw.line(line, fill=(25, 25, 30), width=12, joint="curve")
    draw.ellipse((800, 90, 930, 220), outline=(25, 25, 30), width=12)
    return as_picture(image.resize((512, 512), Image.Resampling.LANCZOS))


def photograph(name: str) -> Tensor:
    """The square in the middle of a photograph from the shelf."""
    picture = open_picture(shelf.need("photographs") / name)
    height, width = picture.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[:, top : top + side, left : left + side]


def dreamed(picture: Tensor, settings: Dream) -> Tensor:
    """The dream's last picture."""
    (last,) = deque(dream(picture, settings.changed({"size": 448})), maxlen=1)
    assert last.picture is not None
    return last.picture


def main(folder: Path) -> None:
    """Dream them all, and lay them out."""
    cup, cat = photograph("coffee.png"), photograph("chelsea.png")
    presets = [(dreamed(cup, Dream.checked(settings)), name) for name, settings in Dream.presets.items()]
    layers = [(dreamed(cat, Dream(layer=(layer,))), layer) for layer in LAYERS]
    usual = [(dreamed(photograph(name), Dream()), words) for words, name in PICTURES.items()]
    usual.append((dreamed(drawing(), Dream()), "a drawing"))
    for name, tiles, columns, side in (
        ("dream-presets.jpg", presets, 4, 200),
        ("dream-layers.jpg", layers, 9, 128),
        ("dream.jpg", usual, 3, 240),
    ):
        sheet = contact_sheet(tiles, columns=columns, side=side, gap=12)
        save_picture(sheet, folder / name, quality=80, force=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
