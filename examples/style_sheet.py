"""Make the picture in docs/style.md: photographs in the styles of computed paintings.

`python examples/style_sheet.py FOLDER`, with a full shelf.
"""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFilter

from lanterna import Dream, Instant, Stylize, dream, instant, open_picture, save_picture, shelf, style
from lanterna.images.drawing import as_picture, contact_sheet
from lanterna.techniques.octaves import resized

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 320
INKS = ((24, 60, 92), (46, 112, 138), (214, 160, 72), (236, 214, 160), (178, 74, 52), (30, 34, 48))


def photograph(name: str) -> Tensor:
    """Open a photograph from the shelf, cropped to its centre square."""
    picture = open_picture(shelf.need("photographs") / name)
    height, width = picture.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[:, top : top + side, left : left + side]
    return resized(square, (SIZE, SIZE)).clamp(0, 1)


def strokes(seed: int = 3) -> Tensor:
    """Paint broad, slightly curved strokes in six colours, one over the other."""
    random = Random(seed)
    image = Image.new("RGB", (1024, 1024), INKS[0])
    draw = ImageDraw.Draw(image)
    for number in range(900):
        x, y, curvature = random.uniform(-60, 1084), random.uniform(-60, 1084), random.uniform(-0.5, 0.5)
        ink = tuple(min(255, max(0, level + random.randint(-18, 18))) for level in random.choice(INKS))
        length, width = random.uniform(60, 200), random.uniform(8, 30) * (1 - number / 1400)
        points = [(x + step * length / 8, y + curvature * length * (step / 8) ** 2) for step in range(9)]
        draw.line(points, fill=ink, width=round(width), joint="curve")
        for hair in range(3):  # bristles
            offset = (hair - 1) * width / 3
            highlight = tuple(min(255, level + 26) for level in ink)
            draw.line([(a, b + offset) for a, b in points], fill=highlight, width=2)
    image = image.filter(ImageFilter.GaussianBlur(1.2))
    return as_picture(image.resize((512, 512), Image.Resampling.LANCZOS))


def hatching(seed: int = 5) -> Tensor:
    """Draw patches of hatching in ink, each in its own direction."""
    random = Random(seed)
    image = Image.new("RGB", (1024, 1024), (240, 232, 216))
    draw = ImageDraw.Draw(image)
    for _ in range(260):
        x, y, reach = random.uniform(0, 1024), random.uniform(0, 1024), random.uniform(40, 120)
        run, rise = random.choice(((1, 1), (1, -1), (1, 0.2), (0.2, 1)))
        for line in range(int(reach / random.choice((6, 9, 14)))):
            shift = line * reach / 9 - reach / 2
            start = (x + shift - run * reach / 2, y - rise * reach / 2)
            end = (x + shift + run * reach / 2 + random.uniform(-9, 9), y + rise * reach / 2)
            draw.line([start, end], fill=(38, 34, 40), width=3)
    return as_picture(image.resize((512, 512), Image.Resampling.LANCZOS))


def run_dream(name: str, preset: str) -> Tensor:
    """Dream on a photograph."""
    settings = Dream.checked({**Dream.presets[preset], "size": SIZE})
    (last,) = deque(dream(photograph(name), settings), maxlen=1)
    assert last.picture is not None
    return last.picture


def main(folder: Path) -> None:
    """Make all pictures and lay them out, a row for each painting."""
    photographs = {
        "painting": (photograph("chelsea.png"), Stylize(size=SIZE)),
        # Her face is small: the preset for portraits leaves it itself.
        "portrait": (
            photograph("astronaut.png"),
            Stylize.checked({**Stylize.presets["portrait"], "size": SIZE}),
        ),
    }
    paintings = {
        "strokes": strokes(),
        "hatching": hatching(),
        "a dream": run_dream("coffee.png", "mosaic"),
    }
    cells = []
    for name, painting in paintings.items():
        cells.append((painting, name))
        for label, (photo, settings) in photographs.items():
            (last,) = deque(style(photo, settings, styles=[painting]), maxlen=1)
            assert last.picture is not None
            cells.append((last.picture, label))
        (last,) = deque(instant(photographs["painting"][0], Instant(size=SIZE), styles=[painting]), maxlen=1)
        assert last.picture is not None
        cells.append((last.picture, "instant"))
    sheet = contact_sheet(cells, columns=4, side=232)
    save_picture(sheet, folder / "style.jpg", quality=66, force=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
