"""Testing a trained digit network: its accuracy, its mistakes and its calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lanterna.images.digits import Digits, mnist
from lanterna.images.drawing import contact_sheet, draw_confusion_matrix
from lanterna.techniques.evaluation import collect_predictions, confusion_matrix, save_results
from lanterna.techniques.train.algorithm import in_unit_range, logits_of, scatter, training_digits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lanterna.networks.network import Network
    from lanterna.techniques.train.settings import Train

WORST_SHOWN = 40


@dataclass(frozen=True)
class Results:
    """Results on the 10,000 test digits, which played no part in training or in any choice.

    `confusion` `(10, 10)` is the confusion matrix: true digits in rows, predicted ones in columns. `mistakes`
    lists the misread digits, the most confident mistake first: `written`, `read`, `confidence`, and the
    `index` among the test digits. `calibration_error` is the expected calibration error with 15 bins (Guo et
    al. 2017, equation 3).
    """

    accuracy: float
    confusion: Tensor
    mistakes: tuple[Mapping[str, float], ...]
    calibration_error: float
    temperature: float


def load_test_digits(settings: Train) -> Digits:
    """Load the test digits, scattered if the network was trained on scattered digits."""
    digits = mnist("test")
    return digits if settings.normalised else Digits(scatter(digits.images, settings.seed + 1), digits.labels)


def evaluate(network: Network, settings: Train) -> Results:
    """Calibrate the network in place on the validation digits, then test it."""
    temperature = calibrate(network, training_digits(settings)[1]) if settings.hold_out else 1.0
    digits = load_test_digits(settings)
    predictions = collect_predictions([(logits_of(network, digits.images), digits.labels)])
    wrong = (predictions.classes != digits.labels).nonzero().flatten()
    most_confident = wrong[predictions.confidence[wrong].argsort(descending=True)]
    columns = (
        most_confident,
        digits.labels[most_confident],
        predictions.classes[most_confident],
        predictions.confidence[most_confident],
    )
    return Results(
        accuracy=1 - len(wrong) / len(digits.labels),
        confusion=confusion_matrix(digits.labels, predictions.classes, 10),
        mistakes=tuple(
            {"index": index, "written": written, "read": read, "confidence": round(confidence, 4)}
            for index, written, read, confidence in zip(*(each.tolist() for each in columns), strict=True)
        ),
        calibration_error=expected_calibration_error(
            predictions.confidence, predictions.classes == digits.labels
        ),
        temperature=temperature,
    )


def calibrate(network: Network, held_out: Digits) -> float:
    """Calibrate the network's confidence by temperature scaling, in place, and return the temperature.

    The temperature minimises the cross-entropy on the validation digits (Guo et al. 2017, section 4.2), found
    by golden-section search on its logarithm. Unlike in the paper, the last layer's weights and biases are
    divided by it, so that the softmax of the logits is already calibrated. No prediction changes.
    """
    logits = logits_of(network, held_out.images).cpu()

    def loss(log_temperature: float) -> float:
        return F.cross_entropy(logits / math.exp(log_temperature), held_out.labels).item()

    low, high, golden = math.log(0.05), math.log(20.0), (math.sqrt(5) - 1) / 2
    while high - low > 1e-3:
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    temperature = math.exp((low + high) / 2)
    output = network.layer("output")
    assert isinstance(output, nn.Linear)
    with torch.no_grad():
        for parameter in output.parameters():
            parameter.div_(temperature)
    return temperature


def expected_calibration_error(confidence: Tensor, correct: Tensor, bins: int = 15) -> float:
    """Return the mean gap between confidence and accuracy `(N,)` over equal-width bins of confidence."""
    index = (confidence * bins).long().clamp_(max=bins - 1)
    gap = torch.zeros(bins).index_add_(0, index, confidence.float() - correct.float())
    return (gap.abs().sum() / len(confidence)).item()


def mistakes_picture(results: Results, settings: Train) -> Tensor:
    """Draw the worst mistakes as a contact sheet, `(3, H, W)`."""
    images = in_unit_range(load_test_digits(settings).images)
    tiles = [
        (images[int(m["index"])], f"{m['written']} read as {m['read']}, {m['confidence']:.0%}")
        for m in results.mistakes[:WORST_SHOWN]
    ]
    title = f"{len(results.mistakes)} of 10,000 test digits misread, the most confident first"
    return contact_sheet(tiles, columns=8, side=112, title=title)


def confusion_picture(results: Results) -> Tensor:
    """Draw the confusion matrix, `(3, H, W)`."""
    names = [str(digit) for digit in range(10)]
    return draw_confusion_matrix(
        results.confusion, names, f"{results.accuracy:.2%} of 10,000 test digits read correctly"
    )


def save_training(
    folder: Path,
    network: Network,
    settings: Train,
    results: Results,
    history: Sequence[Mapping[str, float]],
    seconds: float,
    pictures: Mapping[str, Tensor],
) -> dict[str, Any]:
    """Save a trained network's folder, the weights last, and return the content of `results.json`."""
    summary = {
        "test_accuracy": round(results.accuracy, 6),
        "calibration_error": round(results.calibration_error, 5),
        "temperature": round(results.temperature, 4),
        "history": list(history),
        "confusion": results.confusion.tolist(),
        "mistakes": results.mistakes,
    }
    return save_results(folder, network, settings, settings, summary, pictures, seconds, ["mnist"])
