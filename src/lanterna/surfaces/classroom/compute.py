"""What a class computes, in child processes: reading drawings, learning from them, painting, imagining."""

from __future__ import annotations

import io
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from lanterna.errors import MissingError, UsageError
from lanterna.surfaces.classroom.rounds import PICTURES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import torch
    from torch import Tensor

    from lanterna.networks.network import Network
    from lanterna.surfaces.classroom.class_file import Strokes
    from lanterna.techniques.few_digits import FewFrame

_NETWORK = "conv"
_STYLES_ITEM = "instant-style"
_LONGEST = 720  # pixels of the photograph


def warm_up() -> None:
    """Open the network, and read a stroke, so that the first drawing need not wait."""
    read([[[100, 40, 120, 200]]], None)


def read(drawings: Sequence[Strokes], own: bytes | None) -> list[dict[str, Any]]:
    """Read drawings as one batch; with the network of the class (`own`) too, if there is one."""
    images = _images(drawings)
    found: list[dict[str, Any]] = [{"chances": each} for each in _chances(_network(), images)]
    if own is not None:
        for reading, chances in zip(found, _chances(_opened(own), images), strict=True):
            reading["own"] = chances
    return found


def _chances(network: Network, images: Tensor) -> list[list[float]]:
    """Return the probabilities of the ten digits for each of `images` `(N, 1, 28, 28)`."""
    import torch

    with torch.inference_mode():
        found: list[list[float]] = network(images).softmax(1).tolist()
    return [[round(chance, 4) for chance in each] for each in found]


def _images(drawings: Sequence[Strokes]) -> Tensor:
    """Return drawings as a digit network sees them, `(N, 1, 28, 28)`."""
    from lanterna.images.normalise import normalised_images
    from lanterna.images.strokes import draw_strokes

    return normalised_images([draw_strokes(each) for each in drawings])


@cache
def _network() -> Network:
    from lanterna.networks.trained import open_trained

    return open_trained(_NETWORK)


@lru_cache(maxsize=1)
def _opened(weights: bytes) -> Network:
    from safetensors import SafetensorError

    from lanterna.techniques.few_digits import open_few

    try:
        return open_few(weights)
    except (SafetensorError, RuntimeError) as error:
        raise UsageError("the network of this class is damaged: begin another round Train") from error


def look(strokes: Strokes, title: str) -> str:
    """Return the look page of a drawing in the network that read it."""
    from lanterna.surfaces.web.look_page import look_page

    return look_page(_network(), _images([strokes])[0], name=_NETWORK, title=title)


# Questions.


def questions() -> list[dict[str, Any]]:
    """Return what can be voted on: the lessons' claims, and exercises with a choice of answers."""
    from lanterna.lessons import LESSONS
    from lanterna.lessons.exercises import EXERCISES
    from lanterna.lessons.lesson import LABELS

    found: list[dict[str, Any]] = []
    for name, lesson in LESSONS.items():
        found.append(
            {"lesson": name, "title": lesson.title, "text": lesson.claim, "choices": list(LABELS.values())}
        )
        for number, exercise in enumerate(EXERCISES.get(name, ()), 1):
            if 2 <= len(exercise.choices) <= PICTURES:
                found.append(
                    {
                        "lesson": name, "title": lesson.title, "exercise": number,
                        "text": f"{exercise.try_} {exercise.predict}", "choices": list(exercise.choices),
                    }
                )  # fmt: skip
    return found


def truth(question: dict[str, Any]) -> dict[str, Any]:
    """Return which choice of a lesson's question is right, and why.

    Errors: `UsageError` if no lesson asks this, for instance as Lanterna has been updated since.
    """
    from lanterna.lessons import LESSONS
    from lanterna.lessons.exercises import find_exercise
    from lanterna.lessons.measured import measured

    if question not in questions():
        raise UsageError("no lesson asks this question: go back, and choose another")
    lesson = LESSONS[question["lesson"]]
    if "exercise" in question:
        exercise = find_exercise(question["lesson"], question["exercise"])
        return {"right": question["choices"].index(exercise.answer()), "words": exercise.explain}
    found = measured(lesson)
    finding = (found.outcome if found else lesson.experiment(lesson.settings())).finding
    return {"right": question["choices"].index(finding.label), "words": finding.words}


# Training. The frames are generated in this process, and asked for one after another.

_learning: Iterator[FewFrame] | None = None
_seen: Tensor


def begin_to_learn(drawings: Sequence[Strokes], labels: Sequence[int]) -> None:
    """Begin to train a network on the class's digits."""
    import torch

    from lanterna.techniques.few_digits import train_few

    global _learning, _seen
    _seen = _images(drawings)
    _learning = train_few(_seen, torch.tensor(labels))


def go_on_learning() -> dict[str, Any] | None:
    """Return the next frame: its `step`, `steps` and numbers, `reads` of each drawing, `weights`; or None."""
    assert _learning is not None
    frame = next(_learning, None)
    if frame is None:
        return None
    return {
        "step": frame.step,
        "steps": frame.steps,
        **frame.numbers,
        "reads": frame.reads,
        "weights": frame.weights,
    }


# Style.


def photograph(given: Path | None) -> bytes:
    """Return the teacher's photograph as a JPEG; without one, the shelf's.

    Errors: `MissingError` if neither is there, `UsageError` if it is not a picture.
    """
    from lanterna import shelf
    from lanterna.images import open_picture

    if given is None and not shelf.is_fetched("photographs"):
        raise MissingError("there is no photograph yet: lanterna class --photo FILE")
    path = given or shelf.need("photographs") / "chelsea.png"
    return _jpeg(open_picture(path, longest=_LONGEST))


def paint(photo: bytes, styles: tuple[int, ...], size: int | None = None) -> bytes:
    """Paint the photograph in built-in styles, mixed if there are several, as a JPEG, or smaller.

    Errors: `MissingError` if the networks have not been fetched.
    """
    from lanterna import shelf
    from lanterna.images import open_picture
    from lanterna.techniques.style.instant import Instant, instant

    if not shelf.is_fetched(_STYLES_ITEM):
        raise MissingError(f"{_STYLES_ITEM} has not been fetched yet: lanterna shelf fetch {_STYLES_ITEM}")
    # A thumbnail's strokes are a little broader, as on the studio's wall of styles.
    settings = Instant.checked({"built_in": styles, "size": size, "brush": 1.5 if size else 1})
    *_, last = instant(open_picture(photo), settings, device="cpu")
    assert last.picture is not None
    return _jpeg(last.picture)


def style_names() -> list[str]:
    """Return the names of the built-in styles."""
    from lanterna.techniques.style.instant import STYLE_NAMES

    return [name.replace("-", " ") for name in STYLE_NAMES]


def _jpeg(picture: Tensor) -> bytes:
    from lanterna.images.drawing import as_image

    file = io.BytesIO()
    as_image(picture).save(file, "JPEG", quality=90)
    return file.getvalue()


# Hunt.


def hunt(seed: int) -> dict[str, Any]:
    """Return twelve digits of 28 × 28 levels, half of them imagined, and which.

    Errors: `MissingError` if no network has learned to draw digits.
    """
    import torch

    from lanterna.images.digits import mnist
    from lanterna.techniques.imagine.algorithm import draw, one_hot
    from lanterna.techniques.imagine.settings import Imagine
    from lanterna.techniques.imagine.technique import learning_of, network_file, open_flow

    learning = learning_of(Imagine())
    if not network_file(learning).is_file():
        raise MissingError("no network has learned to draw digits yet: lanterna imagine")
    randomness = torch.Generator().manual_seed(seed)
    half, test = PICTURES // 2, mnist("test")
    real = torch.randint(len(test.labels), (half,), generator=randomness)
    imagined = draw(open_flow(learning), one_hot(test.labels[real]), seed=seed)
    digits = torch.cat([test.images[real].float() / 255, imagined])
    order = torch.randperm(PICTURES, generator=randomness)
    return {"digits": _levels(digits[order]), "imagined": (order >= half).nonzero().flatten().tolist()}


def _levels(digits: torch.Tensor) -> list[list[int]]:
    found: list[list[int]] = digits.mul(255).round().int().flatten(1).tolist()
    return found
