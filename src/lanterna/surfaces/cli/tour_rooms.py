"""The tour: every room of Lanterna once, on real input, with its pictures laid out in a gallery.

A room is a function that does its work, saves its pictures into the gallery folder and says what came of it.
What is there already is used again: a network that was trained, data that was fetched.
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
from lanterna.files import replacing, working_folder
from lanterna.images.drawing import contact_sheet, signed_over
from lanterna.images.pictures import open_picture
from lanterna.networks import open_network, to_input
from lanterna.networks.trained import trained_folder
from lanterna.probes.neurons import neurons_sheet
from lanterna.probes.paths import heat, paths
from lanterna.surfaces.web.gallery import Exhibit, Room
from lanterna.surfaces.web.looking import look_page
from lanterna.techniques.classify.algorithm import Classify, classify
from lanterna.techniques.dream.technique import DREAM
from lanterna.techniques.execute import Job, begin, last_of, recipe_of, save_result
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

SHELF = ("mnist", "efficientnet-lite0", "imagenet-classes", "photographs", "vgg16", "instant-style")
SIDES = {"dream": 640, "at once": 448, "step by step": 320}
"""Pixels along the longer side of what is dreamed and painted."""

RACE = {"size": 256, "seconds": 4.0}
"""The race of the networks that paint: pixels along the longer side, and seconds for each."""

QUICK_SIDES = {"dream": 160, "at once": 160, "step by step": 96}
QUICK_RACE = {"size": 64, "seconds": 0.5}
"""Those of a quick tour."""

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
        (_save_exhibit(Result(picture), folder, "mistakes.png", "Its surest mistakes on the test digits."),),
        "lanterna train dense --hidden 64 32 --activation sigmoid -o mine",
        "Try the lecture's fully connected network, and change what you like.",
    )


def reading_room(folder: Path, _: Watch) -> Room:
    """Read a handwritten page with that network."""
    with _page() as page:
        reading = _run(READ, {"picture": page}, {"nearest": 0})
        exhibits = tuple(
            reading.hang(folder, f"{made}.png", words, made)
            for made, words in (
                ("page", "Each digit found, and what it was read as."),
                ("steps", "From the photograph to what the network sees, step by step."),
            )
        )
    text = reading.document["text"]
    found, rows = sum(map(str.isdigit, text)), len(text.splitlines())
    return Room(
        "read",
        "A handwritten page, read",
        "The light is evened out, the ink found, every digit cut out and brought to the size and place that "
        "the network knows.",
        (("digits found", str(found)), ("sure of", str(found - text.count("?"))), ("rows", str(rows))),
        exhibits,
        "lanterna read photo-of-your-page.jpg -o read.png --steps steps.png",
        "Write some digits, photograph them with your phone, and try your own.",
    )


def classifying_room(folder: Path, _: Watch) -> Room:
    """Say what is in three photographs."""
    kept = shelf.need("photographs")
    answers = list(classify([kept / name for name in PHOTOGRAPHS], Classify(top=3)))
    tiles = []
    for name, answer in zip(PHOTOGRAPHS, answers, strict=True):
        first = answer.answers[0]
        tiles.append(
            (_square(open_picture(kept / name, longest=800)), f"{first.name}, {first.probability:.0%}")
        )
    sheet = contact_sheet(tiles, columns=3, side=288)
    words = "Photographs from the shelf and their first answers."
    return Room(
        "classify",
        "Photographs, named",
        "Another network learned 1,000 kinds of things from a million photographs. Here is its first answer "
        "to each of these, and how sure it is.",
        tuple((caption.rpartition(",")[0], caption.rpartition(" ")[2]) for _, caption in tiles),
        (_save_exhibit(Result(sheet), folder, "classified.png", words),),
        "lanterna classify your-photo.jpg",
        "Show it your own photograph, or a whole folder.",
    )


def looking_room(folder: Path, _: Watch) -> Room:
    """Look inside both networks: a digit of the page and a photograph, each a page that opens from disk."""
    reader, namer = open_or_train("conv"), open_network("efficientnet-lite0")
    with _page() as page:
        readings = read(page, network=reader)
    chosen = next((reading for reading in readings if reading.digit == 4), readings[0])
    digit, digit_title = chosen.image, f"a {chosen.digit} from the page"
    cat = to_input(open_picture(shelf.need("photographs") / "chelsea.png", longest=800), namer.input_spec)
    exhibits, numbers = [], []
    for network, name, image, title, layer, words in (
        (reader, "conv", digit, digit_title, "relu1", "Open it, draw another digit, cut a map."),
        (namer, "efficientnet-lite0", cat, "a cat", "block14", "Open it, follow the light through it."),
    ):
        page_name = f"look-{name}.html"
        with replacing(folder / page_name) as temporary:
            text = look_page(network, image, name=name, title=title)
            temporary.write_text(text, encoding="utf-8")
        with torch.no_grad():
            answer = int(network(image.unsqueeze(0)).argmax())
        terms = paths(network, image, answer)
        picture = signed_over(image, heat(terms, layer), side=448)
        caption = (
            f"{title}: what in {layer} spoke for {network.classes[answer]}, amber, and against it, blue."
        )
        hung = _save_exhibit(
            Result(picture), folder, f"look-{name}.png", f"{caption[0].upper()}{caption[1:]} {words}"
        )
        exhibits.append(replace(hung, page=page_name))
        numbers += [
            (f"the answer, {network.classes[answer]}", f"{terms.value:.2f}"),
            (f"{layer} and the biases behind it", f"{terms.explained(layer):.2f}"),
        ]
    return Room(
        "look",
        "Inside both networks",
        "For one picture these networks are plain sums: what each unit contributed, and the biases behind "
        "it, add up to the answer at every layer. Click a picture to open its page.",
        tuple(numbers),
        tuple(exhibits),
        "lanterna look your-photo.jpg -o look.html",
        "Look at what your own picture does to a network.",
    )


def dreaming_room(folder: Path, _: Watch, *, quick: bool = False) -> Room:
    """Dream with the handwritten page and with a photograph."""
    side = (QUICK_SIDES if quick else SIDES)["dream"]
    numbers, exhibits = [], []
    with _page() as page:
        for what, source, layer, words in (
            ("page", page, "block5", "The page, as block5 sees it."),
            ("cat", _photograph("chelsea.png"), "block9", "A cat, as block9 does."),
        ):
            dream = _dreamed(source, layer, side)
            exhibits.append(dream.hang(folder, f"dream-{what}.png", words))
            numbers.append((f"times as excited by the {what}", f"{dream.last.numbers['energy']:.1f}"))
    return Room(
        "dream",
        "What it sees, and more of it",
        "The network that names photographs is asked how each pixel should change for one of its layers to "
        "be more excited. The picture is changed a little so, and again: grooves and nets, scales and eyes.",
        tuple(numbers),
        tuple(exhibits),
        "lanterna dream your-photo.jpg --sheet layers -o layers.png",
        "See what each layer makes of a picture of yours.",
    )


def styling_room(folder: Path, _: Watch, painting: Path | None = None, *, quick: bool = False) -> Room:
    """Paint a photograph in the style of a dream, and of a painting where there is one."""
    sides = QUICK_SIDES if quick else SIDES
    side, photo = sides["at once"], _photograph("chelsea.png")
    cup = _dreamed(_photograph("coffee.png"), "block2", side)
    hung = cup.hang(folder, "dream-cup.png", "A cup of coffee, dreamed.")
    exhibits, styles = [], [(hung, folder / hung.file, "dream")]
    if painting is not None:
        shown = Result(open_picture(painting, longest=side))
        styles.append((_save_exhibit(shown, folder, "painting.png", "Your painting."), painting, "painting"))
    seconds = {}
    for exhibit, style, name in styles:
        exhibits.append(exhibit)
        for how, technique, more in (
            ("at once", INSTANT, {}),
            ("step by step", STYLE, {"steps": 10, "strength": 2}),
        ):
            begun = time.perf_counter()
            painted = _run(technique, {"picture": photo, "style": style}, {"size": sides[how], **more})
            seconds[how] = time.perf_counter() - begun
            file = f"{name}-{how.replace(' ', '-')}.png"
            exhibits.append(painted.hang(folder, file, f"The cat like it, {how}."))
    return Room(
        "style",
        "A cat, painted",
        "What a photograph shows, with the strokes and colours of another picture: by a network that paints "
        "anything in one go, and by changing the picture step by step until its statistics are the other's.",
        tuple((f"seconds, {how}", f"{taken:.1f}") for how, taken in seconds.items()),
        tuple(exhibits),
        "lanterna style your-photo.jpg --style a-painting.jpg --sheet",
        "Choose a strength and a brush for your own; lanterna tour --painting a-painting.jpg hangs it here.",
    )


def painting_room(folder: Path, _: Watch, *, quick: bool = False) -> Room:
    """Let all four networks learn to paint the handwritten page, side by side, as a film."""
    words = (
        "The page by all four networks in as many seconds, how near each came, and each one's file beside "
        "the JPEG that is as good."
    )
    with _page() as page, working_folder("lanterna-tour-") as frames:
        given, settings = {"picture": page}, QUICK_RACE if quick else RACE
        race = _run(RACE_FILM, given, settings, film=frames / "race.webp")
        shown = race.hang(folder, "race.png", words)
        film = race.hang(folder, "race.webp", words, "race-film")
    sheet = neurons_sheet(race.last.runners["relu"].painting.network, rows=1)
    words = "What neurons of relu paint, the lecture's network: lines, then corners, then shapes."
    return Room(
        "paint",
        "A page, learned point by point",
        "A network is told a place in the picture and answers with a colour; it is shown the right one, and "
        "answers a little better. What it has learned is the picture, and can be painted at any size.",
        tuple((f"dB, {name}", f"{runner.psnr:.1f}") for name, runner in race.last.runners.items()),
        (replace(shown, film=film.file), _save_exhibit(Result(sheet), folder, "neurons.png", words)),
        "lanterna paint your-photo.jpg --race --film race.webp",
        "Race them on a picture of yours; without --race it is painted by the best of them.",
    )


def rooms(
    painting: Path | None = None, *, quick: bool = False
) -> Mapping[str, Callable[[Path, Watch], Room]]:
    """The rooms in order, by what is done in each; `painting` is one that the person gives.

    With `quick` pictures are small and the race is short.
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
    """The handwritten page."""
    return as_file(files("lanterna.surfaces.cli").joinpath("page.jpg"))


@dataclass(frozen=True)
class _Run:
    """A technique that was run to its end: the last frame, what is said of it, and what was made."""

    job: Job
    last: Any
    document: Mapping[str, Any]
    results: Sequence[Result]

    def hang(self, folder: Path, name: str, words: str, output: str = "") -> Exhibit:
        """Save one of the pictures into the gallery folder, with its recipe."""
        result = next(each for each in self.results if each.output == output)
        return _save_exhibit(result, folder, name, words, recipe_of(self.job, result))


def _run(
    technique: Technique, given: Mapping[str, Path], settings: Mapping[str, Any], film: Path | None = None
) -> _Run:
    """Run a technique, with a file for each input; the frames of a film go beside `film`."""
    checked = technique.checked(None, settings, dict.fromkeys(given, 1))
    job = Job(technique, checked, {name: [file] for name, file in given.items()}, film=film)
    work = begin(job)
    last = last_of(work.frames)
    return _Run(job, last, work.report(last).document, list(work.results(last, checked)))


def _dreamed(source: Path, layer: str, side: int) -> _Run:
    """Dream with a picture."""
    return _run(DREAM, {"picture": source}, {"layer": layer, "size": side, "octaves": 3, "steps": 8})


def _save_exhibit(
    result: Result, folder: Path, name: str, words: str, recipe: Recipe | None = None
) -> Exhibit:
    """Save a picture into the gallery folder."""
    save_result(result, folder / name, recipe, force=True)
    return Exhibit(name, result.picture.shape[2], result.picture.shape[1], words)


def _square(picture: Tensor) -> Tensor:
    """The square in the middle of a picture."""
    height, width = picture.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[:, top : top + side, left : left + side]
