"""What a taught network is worth: how it does on the pictures held out, with how far so few can tell."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lanterna.images import open_picture
from lanterna.images.drawing import contact_sheet, table_of_answers
from lanterna.networks.catalogue import shelf_items
from lanterna.networks.network import InputSpec
from lanterna.networks.preprocessing import to_input
from lanterna.networks.taught import TaughtPlan
from lanterna.techniques.classify.algorithm import LONGEST
from lanterna.techniques.evaluation import confusion_matrix, save_results

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from lanterna.networks.network import Network
    from lanterna.techniques.evaluation import Predictions
    from lanterna.techniques.teach.settings import Teach

WORST_SHOWN = 24
_NAMED = 10  # pictures that are left out and named, at most
_UNEVEN = 3  # times as many pictures in the largest class as in the smallest: it is said
_FEW = 10  # pictures to test with
_CLASSES_SAID = 20
_ROWS_SHOWN = 30  # classes of the confusion picture, at most
_SIDE = 160
_TABLE = 520  # pixels of the confusion picture's table, at least


@dataclass(frozen=True)
class LeftOut:
    """Pictures that were not used: `unreadable`, each with why; `twice`, how many were copies within their
    class; and `contradictory`, the files whose very bytes are in two classes.
    """

    unreadable: tuple[str, ...] = ()
    twice: int = 0
    contradictory: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many pictures these are."""
        return len(self.unreadable) + self.twice + len(self.contradictory)


@dataclass(frozen=True)
class Results:
    """How a network does on the held-out pictures, which nothing was chosen by.

    `right` of `held_out` pictures were named right; `interval` is where the share that would be right of all
    such pictures lies, 95 % confident. `even_accuracy` is the mean of the classes' own accuracies, `guessing`
    what always naming the largest class would get. `confusion` `(C, C)` counts held-out pictures by their
    class (rows) and the answer (columns). `worst` are the held-out pictures whose own class the network found
    least likely, the least likely first: `file`, `class`, `answer`, `confidence` (in the answer) and
    `likelihood` (of its class). `learned_from` and `tested_with` count the pictures of each class. `strength`
    is how strongly the last layer's weights were pulled to zero. `before_tuning` is the share that was right
    before the last blocks learned too, or None where they did not.
    """

    classes: tuple[str, ...]
    held_out: int
    right: int
    interval: tuple[float, float]
    even_accuracy: float
    guessing: float
    confusion: Tensor
    worst: tuple[Mapping[str, Any], ...]
    learned_from: tuple[int, ...]
    tested_with: tuple[int, ...]
    strength: float
    left_out: LeftOut
    before_tuning: float | None = None

    @property
    def accuracy(self) -> float:
        """The share of the held-out pictures that were named right."""
        return self.right / self.held_out

    @property
    def uneven(self) -> float:
        """How many times more pictures the largest class has to learn from than the smallest."""
        return max(self.learned_from) / min(self.learned_from)

    @property
    def better_than_guessing(self) -> bool:
        """Whether the held-out pictures are enough to tell that it is."""
        return self.interval[0] > self.guessing


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of which `right` of `count` were seen (Wilson 1927).

    Unlike the usual plus or minus it holds for few trials, and stays within [0, 1] for none or all right.
    """
    z = 1.959964
    share, spread = right / count, z**2 / count
    middle = (share + spread / 2) / (1 + spread)
    reach = z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def mistakes_picture(results: Results, folder: Path, network: Network) -> Tensor:
    """The most mistaken held-out pictures as a contact sheet, `(3, H, W)`; without any, the least sure."""
    spec = InputSpec(3, _SIDE, (0.0,) * 3, (1.0,) * 3, network.input_spec.crop)
    wrong = results.held_out - results.right
    tiles = []
    for each in results.worst[: WORST_SHOWN if wrong > WORST_SHOWN else max(wrong, 6)]:
        if each["answer"] != each["class"]:
            words = f"{each['class']}, named {each['answer']}"
        else:
            words = f"{each['class']}, {each['likelihood']:.1%} sure"
        tiles.append((to_input(open_picture(folder / each["file"], longest=LONGEST), spec), words))
    misread = f"{wrong} of {results.held_out}" if wrong else f"None of {results.held_out}"
    title = f"{misread} held-out pictures misnamed; the least sure of its class first"
    return contact_sheet(tiles, columns=6 if len(tiles) > 4 else 4, side=_SIDE, title=title)


def confusion_picture(results: Results) -> Tensor:
    """What held-out pictures are against what they were named, `(3, H, W)`.

    Of many classes only those most often mixed up are shown.
    """
    counts, names = results.confusion, results.classes
    title = f"{results.right} of {results.held_out} held-out pictures named right"
    if len(names) > _ROWS_SHOWN:
        mixed = counts.sum(0) + counts.sum(1) - 2 * counts.diagonal()
        chosen = mixed.topk(_ROWS_SHOWN).indices.sort().values
        counts, names = counts[chosen][:, chosen], tuple(names[i] for i in chosen.tolist())
        title += f"; the {_ROWS_SHOWN} classes most mixed up, of {len(results.classes)}"
    cell = max(52, min(104, _TABLE // len(names)))  # a few classes have room for their names
    return table_of_answers(counts, names, title, cell, words=("is", "named"))


def keep_taught(
    folder: Path,
    network: Network,
    settings: Teach,
    results: Results,
    seconds: float,
    pictures: Mapping[str, Tensor],
) -> dict[str, Any]:
    """Write a taught network's folder, the weights last, and give back what `results.json` says."""
    rows = zip(results.classes, results.learned_from, results.tested_with, results.confusion, strict=True)
    summary = {
        "accuracy": round(results.accuracy, 6),
        "interval": [round(bound, 4) for bound in results.interval],
        "right": results.right,
        "held_out": results.held_out,
        "even_accuracy": round(results.even_accuracy, 6),
        "guessing": round(results.guessing, 6),
        "before_tuning": results.before_tuning,
        "strength": results.strength,
        "classes": [
            {"name": name, "learned_from": learned, "tested_with": tested, "right": int(row[number])}
            for number, (name, learned, tested, row) in enumerate(rows)
        ],
        "confusion": results.confusion.tolist() if len(results.classes) <= 100 else None,
        "most_mistaken": results.worst,
        "left_out": asdict(results.left_out),
    }
    plan = TaughtPlan(network=settings.network, classes=results.classes)
    return save_results(
        folder, network, settings, plan, summary, pictures, seconds, shelf_items(settings.network)
    )


def results_of(
    found: Predictions,
    labels: Tensor,
    files: Sequence[str],
    learned_from: Sequence[int],
    *,
    classes: tuple[str, ...],
    strength: float,
    left_out: LeftOut,
    before_tuning: float | None = None,
) -> Results:
    """What the answers to the held-out pictures `(N,)`, of classes `labels`, say about a network."""
    count, right = len(classes), int((found.answers == labels).sum())
    confusion = confusion_matrix(labels, found.answers, count)
    tested = confusion.sum(1)
    largest = max(range(count), key=lambda number: learned_from[number])
    least = found.likelihood.argsort(stable=True)[: WORST_SHOWN * 4]
    wrong_first = sorted(least.tolist(), key=lambda i: bool(found.answers[i] == labels[i]))
    return Results(
        classes=classes,
        held_out=len(labels),
        right=right,
        interval=wilson(right, len(labels)),
        even_accuracy=float((confusion.diagonal() / tested).mean()),
        guessing=float(tested[largest] / tested.sum()),
        confusion=confusion,
        worst=tuple(
            {
                "file": files[i],
                "class": classes[int(labels[i])],
                "answer": classes[int(found.answers[i])],
                "confidence": round(float(found.confidence[i]), 4),
                "likelihood": round(float(found.likelihood[i]), 4),
            }
            for i in wrong_first[:WORST_SHOWN]
        ),
        learned_from=tuple(learned_from),
        tested_with=tuple(tested.tolist()),
        strength=strength,
        left_out=left_out,
        before_tuning=before_tuning,
    )


def warnings_of(left_out: LeftOut) -> list[str]:
    """Which pictures could not be read, in words, for those who want quiet too."""
    more = len(left_out.unreadable) - _NAMED
    lines = [f"lanterna: left out: {error}" for error in left_out.unreadable[:_NAMED]]
    return (
        [*lines, f"lanterna: and {more} more that cannot be read; results.json names all"]
        if more > 0
        else lines
    )


def notes_on(results: Results, seconds: float) -> Iterator[str]:
    """What the results say, in words: what was left out, how sure they are, and how each class did."""
    if twice := results.left_out.contradictory:
        shown = ", ".join(twice[:4]) + (" …" if len(twice) > 4 else "")
        yield f"left out: {len(twice)} files whose very bytes are in two classes: {shown}"
    if results.left_out.twice:
        yield f"left out: {results.left_out.twice} copies of pictures within their class"
    low, high = results.interval
    yield (
        f"{results.right} of {results.held_out} pictures held out are named right ({results.accuracy:.1%}), "
        f"after {seconds:.1f} s"
    )
    few = results.held_out < _FEW * len(results.classes)
    yield (
        f"of all such pictures that is {low:.0%} to {high:.0%}, 95 % confident"
        f"{'; so few pictures can tell no more than that' if few else ''}"
    )
    if not results.better_than_guessing:
        yield (
            f"that may be no better than always saying the largest class, {results.guessing:.0%}: "
            "give more pictures, or classes that can be told apart"
        )
    if results.before_tuning is not None:
        yield f"before fine-tuning it was {results.before_tuning:.1%}"
    if results.uneven >= _UNEVEN:
        yield (
            f"the largest class has {results.uneven:.0f} times the pictures of the smallest; "
            f"with all classes counted the same {results.even_accuracy:.1%} are right"
        )
    for number, label in enumerate(results.classes[:_CLASSES_SAID]):
        others = results.confusion[number].clone()
        right, others[number] = int(others[number]), 0
        mostly = f", otherwise mostly named {results.classes[int(others.argmax())]}" if others.any() else ""
        yield f"  {label}: {right} of {results.tested_with[number]}{mostly}"
