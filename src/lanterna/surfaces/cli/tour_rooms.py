"""The rooms of the tour: each runs one technique on real input, and saves its pictures in the gallery.

A room is a function that does its work, saves its pictures in the gallery's folder, and returns a
description. Trained networks and fetched data are used again.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

import torch

from lanterna import shelf
from lanterna.files import atomic_write, working_folder
from lanterna.images.drawing import contact_sheet, overlay_signed
from lanterna.images.pictures import open_picture
from lanterna.networks import open_network, to_input
from lanterna.networks.trained import trained_folder
from lanterna.probes.neurons import neurons_sheet
from lanterna.probes.paths import heat, paths
from lanterna.surfaces.web.gallery import Exhibit, Room
from lanterna.surfaces.web.look_page import look_page
from lanterna.techniques.classify.algorithm import Classify, classify
from lanterna.techniques.dream.technique import DREAM
from lanterna.techniques.execute import Job, begin, last_frame, recipe_of, save_result
from lanterna.techniques.paint.technique import RACE_FILM
from lanterna.techniques.read.algorithm import read
from lanterna.techniques.read.technique import READ
from lanterna.techniques.style.technique import INSTANT, STYLE
from lanterna.techniques.technique import Result
from lanterna.techniques.train.technique import open_or_train

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from torch import Tensor

    from lanterna.images.recipe import Recipe
    from lanterna.techniques.technique import Technique
    from lanterna.techniques.train.algorithm import TrainFrame

    Watch = Callable[[TrainFrame], None]

SHELF = ("mnist", "efficientnet-lite0", "imagenet-classes", "photographs", "vgg19", "instant-style")
SIDES = {"dream": 640, "at once": 448, "step by step": 320}
"""Pixels along the longer side of each picture, by technique."""

RACE = {"size": 256, "seconds": 4.0}
"""The race between the painting networks: pixels along the longer side, and seconds for each."""

QUICK_SIDES = {"dream": 160, "at once": 160, "step by step": 96}
QUICK_RACE = {"size": 64, "seconds": 0.5}
"""The same for a quick tour."""

PHOTOGRAPHS = ("chelsea.png", "coffee.png", "rocket.jpg")


def training_room(folder: Path, watch: Watch) -> Room:
    """Train the convolutional network, unless there is one already."""
    open_or_train("conv", watch=watch)
    trained = trained_folder("conv")
    results = json.loads((trained / "results.json").read_text(encoding="utf-8"))
    picture = open_picture(trained / "mistakes.png")
    wrong = len(results["mistakes"])
    return Room(
        "train",
        "A network that learned to read",
        "A convolutional network learned from 50,000 handwritten digits, and was then tested on 10,000 that "
        "it had never seen. These are the ones it got wrong, the most confident mistakes first.",
        (
            ("test digits read right", f"{results['test_accuracy']:.2%}"),
            ("misread, of 10,000", str(wrong)),
            ("seconds to train", f"{results['seconds']:.0f}"),
            ("weights and biases", f"{results['parameters']:,}"),
        ),
        (_save_exhibit(Result(picture), folder, "mistakes.png", "The most confident mistakes."),),
        "lanterna train dense --hidden 64 32 --activation sigmoid -o mine",
        "Try the lecture's fully connected network, and change what you like.",
    )


def reading_room(folder: Path, _: Watch) -> Room:
    """Read a handwritten page with the trained network."""
    with _page() as page:
        run = _run(READ, {"picture": page}, {"nearest": 0})
        exhibits = tuple(
            run.save(folder, f"{output}.png", caption, output)
            for output, caption in (
                ("page", "Each digit that was found, and what it was read as."),
                ("steps", "From the photograph to the network's input, step by step."),
            )
        )
    text = run.document["text"]
    digits, rows = sum(map(str.isdigit, text)), len(text.splitlines())
    return Room(
        "read",
        "A handwritten page, read",
        "The light is evened out, the ink is found, and every digit is cut out, scaled and centred like "
        "those that the network learned from.",
        (("digits found", str(digits)), ("sure of", str(digits - text.count("?"))), ("rows", str(rows))),
        exhibits,
        "lanterna read photo-of-your-page.jpg -o read.png --steps steps.png",
        "Write some digits, photograph them with your phone, and read your own page.",
    )


def classifying_room(folder: Path, _: Watch) -> Room:
    """Classify three photographs."""
    photographs = [_photograph(name) for name in PHOTOGRAPHS]
    answers = list(classify(photographs, Classify(top=3)))
    tiles = []
    for path, answer in zip(photographs, answers, strict=True):
        best = answer.answers[0]
        tiles.append((_square(open_picture(path, longest=800)), f"{best.name}, {best.probability:.0%}"))
    sheet = contact_sheet(tiles, columns=3, side=288)
    caption = "Three photographs and the likeliest class of each."
    return Room(
        "classify",
        "Photographs, named",
        "Another network learned 1,000 classes from a million photographs. Here is its likeliest answer for "
        "each of these, and how sure it is.",
        tuple((label.rpartition(",")[0], label.rpartition(" ")[2]) for _, label in tiles),
        (_save_exhibit(Result(sheet), folder, "classified.png", caption),),
        "lanterna classify your-photo.jpg",
        "Classify your own photograph, or a whole folder.",
    )


def looking_room(folder: Path, _: Watch) -> Room:
    """Look inside both networks, at a digit and at a photograph: each a page that opens from disk."""
    reader, classifier = open_or_train("conv"), open_network("efficientnet-lite0")
    with _page() as page:
        readings = read(page, network=reader)
    chosen = next((reading for reading in readings if reading.digit == 4), readings[0])
    digit, digit_title = chosen.image, f"a {chosen.digit} from the page"
    cat = to_input(open_picture(_photograph("chelsea.png"), longest=800), classifier.input_spec)
    exhibits, numbers = [], []
    for network, name, image, title, layer, invitation in (
        (reader, "conv", digit, digit_title, "relu1", "Open it, draw another digit, switch a channel off."),
        (classifier, "efficientnet-lite0", cat, "a cat", "block14", "Open it, follow the paths through it."),
    ):
        page_name = f"look-{name}.html"
        with atomic_write(folder / page_name) as temporary:
            text = look_page(network, image, name=name, title=title)
            temporary.write_text(text, encoding="utf-8")
        with torch.no_grad():
            answer = int(network(image.unsqueeze(0)).argmax())
        terms = paths(network, image, answer)
        picture = overlay_signed(image, heat(terms, layer), side=448)
        caption = (
            f"{title}: the evidence in {layer} for {network.classes[answer]} (amber) and against it (blue)."
        )
        exhibit = _save_exhibit(
            Result(picture), folder, f"look-{name}.png", f"{caption[0].upper()}{caption[1:]} {invitation}"
        )
        exhibits.append(replace(exhibit, page=page_name))
        numbers += [
            (f"the answer, {network.classes[answer]}", f"{terms.value:.2f}"),
            (f"{layer} plus the biases after it", f"{terms.explained(layer):.2f}"),
        ]
    return Room(
        "look",
        "Inside both networks",
        "For a given picture these networks are plain sums: at every layer, the contributions of the units "
        "and the biases after them add up to the answer. Click a picture to open its page.",
        tuple(numbers),
        tuple(exhibits),
        "lanterna look your-photo.jpg -o look.html",
        "See what happens to your own picture inside a network.",
    )


def dreaming_room(folder: Path, _: Watch, *, quick: bool = False) -> Room:
    """Dream with the handwritten page and with a photograph."""
    side = (QUICK_SIDES if quick else SIDES)["dream"]
    numbers, exhibits = [], []
    with _page() as page:
        for name, source, layer, caption in (
            ("page", page, "block5", "The page, dreamed with block5."),
            ("cat", _photograph("chelsea.png"), "block9", "A cat, dreamed with block9."),
        ):
            dream = _dream(source, layer, side)
            exhibits.append(dream.save(folder, f"dream-{name}.png", caption))
            numbers.append((f"times the activation, {name}", f"{dream.last.numbers['energy']:.1f}"))
    return Room(
        "dream",
        "What it sees, and more of it",
        "How should each pixel change so that one layer of the network responds more strongly? The picture "
        "is changed a little that way, again and again: grooves and nets appear, then scales and eyes.",
        tuple(numbers),
        tuple(exhibits),
        "lanterna dream your-photo.jpg --sheet layers -o layers.png",
        "See what each layer makes of your own picture.",
    )


def styling_room(folder: Path, _: Watch, painting: Path | None = None, *, quick: bool = False) -> Room:
    """Paint a photograph in the style of a dream, and of the painting if one is given."""
    sides = QUICK_SIDES if quick else SIDES
    side, photo = sides["at once"], _photograph("chelsea.png")
    dream = _dream(_photograph("coffee.png"), "block2", side)
    exhibit = dream.save(folder, "dream-cup.png", "A cup of coffee, dreamed.")
    exhibits, styles = [], [(exhibit, folder / exhibit.file, "dream")]
    if painting is not None:
        result = Result(open_picture(painting, longest=side))
        exhibit = _save_exhibit(result, folder, "painting.png", "Your painting.")
        styles.append((exhibit, painting, "painting"))
    seconds = {}
    for exhibit, style, name in styles:
        exhibits.append(exhibit)
        for how, technique, more in (
            ("at once", INSTANT, {}),
            ("step by step", STYLE, {"steps": 16}),
        ):
            begun = time.perf_counter()
            run = _run(technique, {"picture": photo, "style": style}, {"size": sides[how], **more})
            seconds[how] = time.perf_counter() - begun
            file = f"{name}-{how.replace(' ', '-')}.png"
            exhibits.append(run.save(folder, file, f"The cat in its style, {how}."))
    return Room(
        "style",
        "A cat, painted",
        "A photograph with the strokes and colours of another picture: painted by a network in a single "
        "pass, or optimised step by step until its feature statistics match.",
        tuple((f"seconds, {how}", f"{taken:.1f}") for how, taken in seconds.items()),
        tuple(exhibits),
        "lanterna style your-photo.jpg --style a-painting.jpg --sheet",
        "Choose a strength and a brush; `lanterna tour --painting a-painting.jpg` adds yours to this room.",
    )


def painting_room(folder: Path, _: Watch, *, quick: bool = False) -> Room:
    """Let all four networks learn the handwritten page, side by side, as a film."""
    caption = (
        "The page as painted by all four networks in the same time, with the PSNR of each, and its file size "
        "next to a JPEG of equal PSNR."
    )
    with _page() as page, working_folder("lanterna-tour-") as frames:
        inputs, settings = {"picture": page}, QUICK_RACE if quick else RACE
        race = _run(RACE_FILM, inputs, settings, film=frames / "race.webp")
        exhibit = race.save(folder, "race.png", caption)
        film = race.save(folder, "race.webp", caption, "race-film")
    sheet = neurons_sheet(race.last.runners["relu"].painting.network, rows=1)
    caption = "What the neurons of relu, the lecture's network, paint: lines, then corners, then shapes."
    return Room(
        "paint",
        "A page, learned point by point",
        "A network gets a position in the picture and outputs a colour; training brings it closer to the "
        "right one. In the end the network contains the picture, and can paint it at any size.",
        tuple((f"dB, {name}", f"{runner.psnr:.1f}") for name, runner in race.last.runners.items()),
        (replace(exhibit, film=film.file), _save_exhibit(Result(sheet), folder, "neurons.png", caption)),
        "lanterna paint your-photo.jpg --race --film race.webp",
        "Race them on your own picture; without --race only the best of them paints it.",
    )


def all_rooms(
    painting: Path | None = None, *, quick: bool = False
) -> Mapping[str, Callable[[Path, Watch], Room]]:
    """Return the rooms in order, by name; `painting` is the user's own, if given.

    With `quick`, use small pictures and a short race.
    """
    return {
        "training": training_room,
        "reading a page": reading_room,
        "classifying": classifying_room,
        "looking inside": looking_room,
        "dreaming": partial(dreaming_room, quick=quick),
        "painting in a style": partial(styling_room, painting=painting, quick=quick),
        "learning to paint": partial(painting_room, quick=quick),
    }


def _photograph(name: str) -> Path:
    return shelf.need("photographs") / name


def _page() -> AbstractContextManager[Path]:
    """Open the handwritten page as a file."""
    return as_file(files("lanterna.surfaces.cli").joinpath("page.jpg"))


@dataclass(frozen=True)
class _Run:
    """A finished run of a technique: its last frame, its report and its results."""

    job: Job
    last: Any
    document: Mapping[str, Any]
    results: Sequence[Result]

    def save(self, folder: Path, name: str, caption: str, output: str = "") -> Exhibit:
        """Save one of the results in the gallery's folder, with its recipe."""
        result = next(each for each in self.results if each.output == output)
        return _save_exhibit(result, folder, name, caption, recipe_of(self.job, result))


def _run(
    technique: Technique, inputs: Mapping[str, Path], settings: Mapping[str, Any], film: Path | None = None
) -> _Run:
    """Run a technique with a file for each input; the frames of a film are saved next to `film`."""
    checked = technique.checked(None, settings, dict.fromkeys(inputs, 1))
    job = Job(technique, checked, {name: [file] for name, file in inputs.items()}, film=film)
    work = begin(job)
    last = last_frame(work.frames)
    return _Run(job, last, work.report(last).document, list(work.results(last, checked)))


def _dream(source: Path, layer: str, side: int) -> _Run:
    """Dream a picture."""
    return _run(DREAM, {"picture": source}, {"layer": layer, "size": side, "octaves": 3, "steps": 8})


def _save_exhibit(
    result: Result, folder: Path, name: str, caption: str, recipe: Recipe | None = None
) -> Exhibit:
    """Save a picture in the gallery's folder."""
    save_result(result, folder / name, recipe, force=True)
    return Exhibit(name, result.picture.shape[2], result.picture.shape[1], caption)


def _square(picture: Tensor) -> Tensor:
    """Crop the square in the middle of a picture."""
    height, width = picture.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[:, top : top + side, left : left + side]
