"""The frames of a training film, one per snapshot, 1,280 × 720 pixels in the dark theme."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from PIL import Image, ImageDraw

from lanterna.images.drawing import AMBER, BLUE, DIM, LIGHT, NIGHT, SHADE, as_image, as_picture, font
from lanterna.images.films import save_film
from lanterna.techniques.train.film import class_corners

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from lanterna.images.drawing import Colour
    from lanterna.techniques.train.film import Snapshot, TrainingFilm

SIZE = (1280, 720)
FPS, HOLD = 10.0, 3.0
SHOWN_DIGIT = 4  # the digit whose maps the film shows; the page shows any of the ten
_MAP, _MAP_RADIUS = (640, 400), 228
_TABLE, _CELL = (952, 152), 28
_CURVE = (952, 520, 1232, 648)


def save_training_film(film: TrainingFilm, path: Path, *, force: bool = False) -> None:
    """Draw every snapshot and save them as a film. Errors: as `save_film`."""
    frames = film_frames(film)
    save_film(frames, path, count=len(film.snapshots), fps=FPS, hold=HOLD, quality=72, force=force)


def film_frames(film: TrainingFilm) -> Iterator[Tensor]:
    """Yield a frame for each snapshot, `(3, 720, 1280)` in [0, 1]."""
    for number in range(len(film.snapshots)):
        yield draw(film, number)


def draw(film: TrainingFilm, number: int) -> Tensor:
    """Draw a snapshot: kernels, maps of one digit, the map of 1,000 digits, confusion matrix and curve."""
    snapshot = film.snapshots[number]
    page = Image.new("RGB", SIZE, NIGHT)
    pen = ImageDraw.Draw(page)
    pen.text((48, 32), f"step {snapshot.step:,} of {film.settings.steps:,}", LIGHT, font(34))
    count = len(film.evaluated.labels)
    result = f"{snapshot.accuracy:.1%} of {count:,} {film.evaluated_on} digits classified correctly"
    pen.text((1232, 42), result, AMBER, font(22), anchor="ra")

    y = _kernels(page, snapshot, film.settings.network)
    _maps(page, film, snapshot, y)
    _dial(page, film, snapshot)
    _confusion(page, snapshot.confusion)
    _curve(page, film.snapshots, number)
    return as_picture(page)


def coloured(levels: Tensor, positive: Colour) -> Image.Image:
    """Colour packed levels `(h, w)`: zero as the page, above it towards `positive`, below towards blue."""
    share = (torch.arange(256).float() - 128) / 127
    ends = torch.where(share[:, None] < 0, torch.tensor(BLUE).float(), torch.tensor(positive).float())
    table = torch.lerp(torch.tensor(NIGHT).float(), ends, share.abs().clamp(max=1)[:, None])
    return as_image(table[levels.long()].permute(2, 0, 1) / 255)


def _kernels(page: Image.Image, snapshot: Snapshot, kind: str) -> int:
    """Draw the first layer's weights in rows, and return the y of the next item."""
    title = "kernels of the first layer" if kind == "conv" else "weights of the first units"
    ImageDraw.Draw(page).text((48, 104), title, DIM, font(15))
    columns, side = (8, 34) if kind == "conv" else (6, 48)
    for index, kernel in enumerate(snapshot.kernels):
        corner = (48 + index % columns * (side + 6), 132 + index // columns * (side + 6))
        page.paste(coloured(kernel, AMBER).resize((side, side), Image.Resampling.NEAREST), corner)
    return 132 + -(-len(snapshot.kernels) // columns) * (side + 6) + 20


def _maps(page: Image.Image, film: TrainingFilm, snapshot: Snapshot, y: int) -> None:
    """Draw one digit, and below it the activations of each layer."""
    pen = ImageDraw.Draw(page)
    pen.text((48, y), f"a {SHOWN_DIGIT}, and each layer's activations", DIM, font(15))
    digit = film.examples.images[SHOWN_DIGIT, 0].float() / 255
    page.paste(as_image(digit[None]).resize((48, 48), Image.Resampling.NEAREST), (48, y + 26))
    y += 84
    for name, maps in snapshot.maps.items():
        levels = maps[SHOWN_DIGIT]
        if levels.ndim == 1:  # units: one square each, 32 per row
            levels = torch.cat([levels, levels.new_full((-len(levels) % 32,), 128)]).view(-1, 32)
            cells, columns, side = [coloured(levels, LIGHT)], 1, 320
        else:
            cells, columns, side = [coloured(snapshot, LIGHT) for snapshot in levels], 6, 42
        cell_height = side if columns > 1 else 10 * levels.shape[0]
        rows = -(-len(cells) // columns)
        if y + 20 + rows * (cell_height + 6) > 720:  # no room for more layers: the page shows them all
            break
        pen.text((48, y - 2), name, DIM, font(13))
        for index, cell in enumerate(cells):
            corner = (48 + index % columns * (side + 6), y + 18 + index // columns * (cell_height + 6))
            page.paste(cell.resize((side, cell_height), Image.Resampling.NEAREST), corner)
        y += 22 + rows * (cell_height + 6)


def _dial(page: Image.Image, film: TrainingFilm, snapshot: Snapshot) -> None:
    """Draw 1,000 test digits as numerals, pulled towards the ten answers; misread ones are blue."""
    pen = ImageDraw.Draw(page)
    x, y = _MAP
    pen.text((x, 104), "1,000 test digits, pulled towards the ten answers", DIM, font(15), anchor="ma")
    r = _MAP_RADIUS
    pen.ellipse((x - r, y - r, x + r, y + r), outline=SHADE)
    for digit, (across, up) in enumerate(class_corners().tolist()):
        at = (x + across * (r + 20), y - up * (r + 20))
        pen.text(at, str(digit), AMBER if digit == SHOWN_DIGIT else LIGHT, font(20), anchor="mm")
    labels, answers = film.mapped.labels.tolist(), snapshot.answers.tolist()
    for (across, up), label, answer in zip(snapshot.places.tolist(), labels, answers, strict=True):
        colour = BLUE if label != answer else AMBER if label == SHOWN_DIGIT else DIM
        pen.text((x + across * r, y - up * r), str(label), colour, font(11), anchor="mm")
    pen.text((x, y + r + 52), f"amber: each {SHOWN_DIGIT}    blue: misread", DIM, font(13), anchor="ma")


def _confusion(page: Image.Image, counts: Tensor) -> None:
    """Draw the confusion matrix, labels in rows, answers in columns: right answers grey, mistakes amber."""
    pen = ImageDraw.Draw(page)
    left, top = _TABLE
    pen.text((left, 104), "label (rows), answer (columns)", DIM, font(15))
    shares = (counts / counts.sum(1, keepdim=True).clamp(min=1)).sqrt()
    for digit in range(10):
        middle = (digit + 0.5) * _CELL
        pen.text((left + middle, top - 11), str(digit), DIM, font(14), anchor="mm")
        pen.text((left - 12, top + middle), str(digit), DIM, font(14), anchor="mm")
        for column in range(10):
            x, y = left + column * _CELL, top + digit * _CELL
            share = float(shares[digit, column])
            end = LIGHT if digit == column else AMBER
            colour = tuple(round(a + (b - a) * share) for a, b in zip(SHADE, end, strict=True))
            pen.rectangle((x + 1, y + 1, x + _CELL - 2, y + _CELL - 2), colour)


def height(accuracy: float) -> float:
    """Map an accuracy to [0, 1] on the curve's axis: 0 %, 90 %, 99 % and 99.9 % are equally spaced."""
    return -math.log10(max(1 - accuracy, 1e-3)) / 3


def _curve(page: Image.Image, snapshots: Sequence[Snapshot], number: int) -> None:
    """Draw the accuracy so far: held-out digits amber, training digits grey."""
    pen = ImageDraw.Draw(page)
    left, top, right, bottom = _CURVE
    pen.text((left, top - 40), "accuracy: amber held out, grey training", DIM, font(15))
    for share, label in ((0.0, "0 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %")):
        y = bottom - height(share) * (bottom - top)
        pen.line((left, y, right, y), SHADE)
        pen.text((left - 8, y), label, DIM, font(12), anchor="rm")
    across = (right - left) / max(1, len(snapshots) - 1)
    for name, colour in (("training_accuracy", DIM), ("accuracy", AMBER)):
        line = [
            (left + i * across, bottom - height(getattr(snapshot, name)) * (bottom - top))
            for i, snapshot in enumerate(snapshots[: number + 1])
        ]
        pen.line(line, colour, width=2, joint="curve")
        x, y = line[-1]
        pen.ellipse((x - 4, y - 4, x + 4, y + 4), colour)
    for i in sorted({0, (len(snapshots) - 1) // 2, len(snapshots) - 1}):
        pen.text((left + i * across, bottom + 8), f"{snapshots[i].step:,}", DIM, font(12), anchor="ma")
    pen.text(((left + right) / 2, bottom + 28), "step", DIM, font(12), anchor="ma")
