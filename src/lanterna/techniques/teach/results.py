"""Testing a taught network: its accuracy on the held-out pictures, with a confidence interval."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lanterna.images import open_picture
from lanterna.images.drawing import contact_sheet, draw_confusion_matrix
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
_MAX_NAMED = 10  # unreadable pictures listed in warnings
_NOTABLE_IMBALANCE = 3  # ratio of the largest to the smallest class from which on a note points it out
_SMALL_TEST = 10  # test pictures per class
_MAX_CLASSES_LISTED = 20
_MAX_ROWS = 30  # classes in the picture of the confusion matrix
_SIDE = 160
_TABLE_WIDTH = 520  # minimum width of the confusion matrix in pixels, if there are few classes


@dataclass(frozen=True)
class LeftOut:
    """Pictures that were not used.

    `unreadable` holds an error for each unreadable file, `twice` is the number of duplicates within a class,
    and `contradictory` lists the files that are in two classes, byte for byte.
    """

    unreadable: tuple[str, ...] = ()
    twice: int = 0
    contradictory: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """The number of pictures."""
        return len(self.unreadable) + self.twice + len(self.contradictory)


@dataclass(frozen=True)
class Results:
    """Results on the held-out pictures, which played no part in training or in any choice.

    `correct` of `held_out` pictures were classified correctly; `interval` is the 95 % confidence interval of
    the accuracy. `balanced_accuracy` is the mean of the classes' accuracies, `baseline` the accuracy of
    always predicting the largest class. `confusion` `(C, C)` is the confusion matrix: true classes in rows,
    predicted ones in columns. `worst` are the held-out pictures whose true class the network found least
    likely, least likely first: `file`, `class`, `answer` (the predicted class), `confidence` (in the answer)
    and `likelihood` (of the true class). `training_counts` and `test_counts` count the pictures of each
    class. `strength` is the strength of the L2 penalty on the last layer. `accuracy_before_tuning` is the
    accuracy before fine-tuning, or None without fine-tuning.
    """

    classes: tuple[str, ...]
    held_out: int
    correct: int
    interval: tuple[float, float]
    balanced_accuracy: float
    baseline: float
    confusion: Tensor
    worst: tuple[Mapping[str, Any], ...]
    training_counts: tuple[int, ...]
    test_counts: tuple[int, ...]
    strength: float
    left_out: LeftOut
    accuracy_before_tuning: float | None = None

    @property
    def accuracy(self) -> float:
        """The accuracy on the held-out pictures."""
        return self.correct / self.held_out

    @property
    def imbalance(self) -> float:
        """The ratio of the largest to the smallest class in the training set."""
        return max(self.training_counts) / min(self.training_counts)

    @property
    def better_than_baseline(self) -> bool:
        """Whether the accuracy is significantly better than the baseline."""
        return self.interval[0] > self.baseline


def wilson_interval(correct: int, count: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a proportion, given `correct` of `count` (Wilson 1927).

    Unlike the normal approximation it is valid for few trials, and it stays within [0, 1].
    """
    z = 1.959964
    proportion, correction = correct / count, z**2 / count
    centre = (proportion + correction / 2) / (1 + correction)
    variance = proportion * (1 - proportion) / count + correction / (4 * count)
    half_width = z * math.sqrt(variance) / (1 + correction)
    return max(0.0, centre - half_width), min(1.0, centre + half_width)


def mistakes_picture(results: Results, folder: Path, network: Network) -> Tensor:
    """Draw the worst mistakes on held-out pictures as a contact sheet, `(3, H, W)`.

    Without mistakes, draw the pictures whose class the network was least certain of.
    """
    spec = InputSpec(3, _SIDE, (0.0,) * 3, (1.0,) * 3, network.input_spec.crop)
    wrong = results.held_out - results.correct
    cells = []
    for mistake in results.worst[: WORST_SHOWN if wrong > WORST_SHOWN else max(wrong, 6)]:
        if mistake["answer"] != mistake["class"]:
            caption = f"{mistake['class']}, taken for {mistake['answer']}"
        else:
            caption = f"{mistake['class']}, {mistake['likelihood']:.1%} sure"
        cells.append((to_input(open_picture(folder / mistake["file"], longest=LONGEST), spec), caption))
    title = f"{wrong or 'None'} of {results.held_out} held-out pictures misclassified, the worst first"
    return contact_sheet(cells, columns=6 if len(cells) > 4 else 4, side=_SIDE, title=title)


def confusion_picture(results: Results) -> Tensor:
    """Draw the confusion matrix, `(3, H, W)`; if there are many classes, only those confused most often."""
    counts, names = results.confusion, results.classes
    title = f"{results.correct} of {results.held_out} held-out pictures classified correctly"
    if len(names) > _MAX_ROWS:
        confused = counts.sum(0) + counts.sum(1) - 2 * counts.diagonal()
        chosen = confused.topk(_MAX_ROWS).indices.sort().values
        counts, names = counts[chosen][:, chosen], tuple(names[i] for i in chosen.tolist())
        title += f"; the {_MAX_ROWS} of {len(results.classes)} classes that are confused most"
    cell = max(52, min(104, _TABLE_WIDTH // len(names)))  # with few classes there is room for their names
    return draw_confusion_matrix(counts, names, title, cell, words=("is", "taken for"))


def save_taught(
    folder: Path,
    network: Network,
    settings: Teach,
    results: Results,
    seconds: float,
    pictures: Mapping[str, Tensor],
) -> dict[str, Any]:
    """Save a taught network's folder, the weights last, and return the content of `results.json`."""
    rows = zip(results.classes, results.training_counts, results.test_counts, results.confusion, strict=True)
    summary = {
        "accuracy": round(results.accuracy, 6),
        "interval": [round(bound, 4) for bound in results.interval],
        "right": results.correct,
        "held_out": results.held_out,
        "even_accuracy": round(results.balanced_accuracy, 6),
        "guessing": round(results.baseline, 6),
        "before_tuning": results.accuracy_before_tuning,
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


def summarise(
    predictions: Predictions,
    labels: Tensor,
    files: Sequence[str],
    training_counts: Sequence[int],
    *,
    classes: tuple[str, ...],
    strength: float,
    left_out: LeftOut,
    accuracy_before_tuning: float | None = None,
) -> Results:
    """Summarise the predictions for the held-out pictures, whose true classes are `labels` `(N,)`."""
    count, correct = len(classes), int((predictions.classes == labels).sum())
    confusion = confusion_matrix(labels, predictions.classes, count)
    tested = confusion.sum(1)
    largest = max(range(count), key=lambda number: training_counts[number])
    least_likely = predictions.likelihood.argsort(stable=True)[: WORST_SHOWN * 4]
    wrong_first = sorted(least_likely.tolist(), key=lambda i: bool(predictions.classes[i] == labels[i]))
    return Results(
        classes=classes,
        held_out=len(labels),
        correct=correct,
        interval=wilson_interval(correct, len(labels)),
        balanced_accuracy=float((confusion.diagonal() / tested).mean()),
        baseline=float(tested[largest] / tested.sum()),
        confusion=confusion,
        worst=tuple(
            {
                "file": files[i],
                "class": classes[int(labels[i])],
                "answer": classes[int(predictions.classes[i])],
                "confidence": round(float(predictions.confidence[i]), 4),
                "likelihood": round(float(predictions.likelihood[i]), 4),
            }
            for i in wrong_first[:WORST_SHOWN]
        ),
        training_counts=tuple(training_counts),
        test_counts=tuple(tested.tolist()),
        strength=strength,
        left_out=left_out,
        accuracy_before_tuning=accuracy_before_tuning,
    )


def warnings_for(left_out: LeftOut) -> list[str]:
    """Return warnings about unreadable pictures, which are printed with --quiet too."""
    more = len(left_out.unreadable) - _MAX_NAMED
    lines = [f"lanterna: left out: {error}" for error in left_out.unreadable[:_MAX_NAMED]]
    return (
        [*lines, f"lanterna: and {more} more unreadable pictures; results.json lists all"]
        if more > 0
        else lines
    )


def notes_for(results: Results, seconds: float) -> Iterator[str]:
    """Describe the results: what was left out, how certain the accuracy is, and how each class did."""
    if files := results.left_out.contradictory:
        shown = ", ".join(files[:4]) + (" …" if len(files) > 4 else "")
        yield f"left out: {len(files)} files that are in two classes: {shown}"
    if count := results.left_out.twice:
        yield f"left out: {count} {'duplicate' if count == 1 else 'duplicates'} within a class"
    low, high = results.interval
    yield (
        f"{results.correct} of {results.held_out} held-out pictures are classified correctly "
        f"({results.accuracy:.1%}), after {seconds:.1f} s"
    )
    is_small = results.held_out < _SMALL_TEST * len(results.classes)
    yield (
        f"expect {low:.0%} to {high:.0%} of other pictures to be classified correctly (95 % confidence)"
        f"{'; with more test pictures the range would be narrower' if is_small else ''}"
    )
    if not results.better_than_baseline:
        yield (
            f"that may be no better than always answering the largest class, {results.baseline:.0%}: "
            "add pictures, or choose classes that differ more"
        )
    if results.accuracy_before_tuning is not None:
        yield f"before fine-tuning: {results.accuracy_before_tuning:.1%}"
    if results.imbalance >= _NOTABLE_IMBALANCE:
        yield (
            f"the largest class has {results.imbalance:.0f} times as many pictures as the smallest; "
            f"averaged over classes, the accuracy is {results.balanced_accuracy:.1%}"
        )
    for number, label in enumerate(results.classes[:_MAX_CLASSES_LISTED]):
        others = results.confusion[number].clone()
        correct, others[number] = int(others[number]), 0
        mostly = (
            f", otherwise mostly taken for {results.classes[int(others.argmax())]}" if others.any() else ""
        )
        yield f"  {label}: {correct} of {results.test_counts[number]}{mostly}"
