"""Make the pictures in docs/dream.md: presets, layers, and DeepDream with the default settings.

`python examples/dream_sheets.py FOLDER`, with a full shelf and a trained `conv` network.
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
    """Draw a house under the sun, in ink on white paper."""
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
    """Open a photograph from the shelf, cropped to its centre square."""
    picture = open_picture(shelf.need("photographs") / name)
    height, width = picture.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[:, top : top + side, left : left + side]


def run_dream(picture: Tensor, settings: Dream) -> Tensor:
    """Return the dream's last picture."""
    (last,) = deque(dream(picture, settings.changed({"size": 448})), maxlen=1)
    assert last.picture is not None
    return last.picture


def main(folder: Path) -> None:
    """Run all dreams and lay them out."""
    cup, cat = photograph("coffee.png"), photograph("chelsea.png")
    presets = [(run_dream(cup, Dream.checked(settings)), name) for name, settings in Dream.presets.items()]
    layers = [(run_dream(cat, Dream(layer=(layer,))), layer) for layer in LAYERS]
    defaults = [(run_dream(photograph(name), Dream()), caption) for caption, name in PICTURES.items()]
    defaults.append((run_dream(drawing(), Dream()), "a drawing"))
    for name, cells, columns, side in (
        ("dream-presets.jpg", presets, 4, 200),
        ("dream-layers.jpg", layers, 9, 128),
        ("dream.jpg", defaults, 3, 240),
    ):
        sheet = contact_sheet(cells, columns=columns, side=side, gap=12)
        save_picture(sheet, folder / name, quality=80, force=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
