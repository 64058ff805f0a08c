"""Make the pictures in docs/paint.md: a race, neurons, inpainting, interpolation and random pictures.

`python examples/paint_sheets.py FOLDER`, with a full shelf. It takes about two minutes.
"""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lanterna import Paint, open_picture, paint, save_picture, shelf
from lanterna.images.drawing import contact_sheet
from lanterna.probes.neurons import neurons_sheet
from lanterna.techniques.octaves import resized
from lanterna.techniques.paint.race import Race, race
from lanterna.techniques.paint.random_picture import RandomPicture, random_picture
from lanterna.techniques.paint.rendering import Grid, grid

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.techniques.paint.painting import Painting


def photograph(name: str, side: int = 320) -> Tensor:
    """Open a photograph from the shelf, cropped to its centre square."""
    picture = open_picture(shelf.need("photographs") / name)
    height, width = picture.shape[1:]
    square = min(height, width)
    top, left = (height - square) // 2, (width - square) // 2
    picture = picture[:, top : top + square, left : left + square]
    return resized(picture, (side, side)).clamp(0, 1)


def train_painting(pictures: Tensor | list[Tensor], **settings: Any) -> tuple[Painting, dict[str, float]]:  # noqa: ANN401
    """Train a painting on pictures; return it with its metrics."""
    (last,) = deque(paint(pictures, Paint.checked(settings)), maxlen=1)
    return last.painting, dict(last.numbers)


def inpaint(cat: Tensor) -> Tensor:
    """Inpaint a picture from a twentieth of its pixels with three networks, and extend it with four."""
    height, width = cat.shape[1:]
    mask = torch.rand(height, width, generator=torch.Generator().manual_seed(0)) < 0.05
    cells = [(cat * mask, "5 % of the pixels")]
    for name, settings in (
        ("siren", {"preset": "guess"}),
        ("fourier", {"network": "fourier", "frequency": 4.0}),
        ("hash", {}),
    ):
        settings = {**Paint.presets.get(settings.pop("preset", ""), {}), **settings, "keep": 0.05}
        painting, numbers = train_painting(cat, size=cat.shape[2], seconds=8, **settings)
        cells.append((painting.render(), f"{name}, {numbers['held_out']:.1f} dB unseen"))
    for network in ("hash", "siren", "fourier", "relu"):
        painting, _ = train_painting(cat, size=cat.shape[2], seconds=6, network=network)
        cells.append((painting.render((256, 256), beyond=0.3), f"{network}, past its frame"))
    return contact_sheet(cells, columns=4, side=256, gap=12)


def main(folder: Path) -> None:
    """Make all pictures."""
    astronaut, cat = photograph("astronaut.png"), photograph("chelsea.png", 256)
    (last,) = deque(race(astronaut, Race(size=256, seconds=6)), maxlen=1)
    assert last.picture is not None
    save_picture(last.picture, folder / "paint-race.jpg", quality=85, force=True)
    relu, _ = train_painting(astronaut, size=192, seconds=15, network="relu")
    save_picture(neurons_sheet(relu.network, rows=2), folder / "paint-neurons.jpg", quality=80, force=True)
    save_picture(inpaint(cat), folder / "paint-guess.jpg", quality=85, force=True)
    cup, rocket = photograph("coffee.png", 128), photograph("rocket.jpg", 128)
    of_four, _ = train_painting(
        [photograph("astronaut.png", 128), cup, photograph("chelsea.png", 128), rocket],
        network="siren", seconds=15,
    )  # fmt: skip
    (sheet,) = deque(grid(of_four, Grid(size="160", between=3)), maxlen=1)
    assert sheet.picture is not None
    save_picture(sheet.picture, folder / "paint-between.jpg", quality=80, force=True)
    cells = []
    for preset, seeds in (
        ("", (7, 15, 22, 103)),
        ("glass", (2, 113)),
        ("mask", (1, 13)),
        ("rosette", (109, 114)),
    ):
        for seed in seeds:
            settings = RandomPicture.checked(
                {**RandomPicture.presets.get(preset, {}), "seed": seed, "width": 320, "height": 320}
            )
            cells.append((random_picture(settings), f"{preset} {seed}".strip()))
    save_picture(
        contact_sheet(cells, columns=5, side=232, gap=12), folder / "paint-random.jpg", quality=80, force=True
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
