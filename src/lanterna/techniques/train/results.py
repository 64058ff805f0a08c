"""What a trained digit network is worth: its test accuracy, its mistakes, and how sure it may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lanterna.images.digits import Digits, mnist
from lanterna.images.drawing import contact_sheet, table_of_answers
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
    """How a network does on the 10,000 test digits, which nothing was chosen by.

    `confusion` `(10, 10)` counts digits by what was written (rows) and read (columns); `mistakes` lists what
    was misread, the surest mistake first: `written`, `read`, `confidence`, and its `index` among the test
    digits. `calibration_error` is the expected calibration error in 15 bins (Guo et al. 2017, equation 3).
    """

    accuracy: float
    confusion: Tensor
    mistakes: tuple[Mapping[str, float], ...]
    calibration_error: float
    temperature: float


def unseen_digits(settings: Train) -> Digits:
    """The test digits, scattered where the settings train on scattered ones."""
    digits = mnist("test")
    return digits if settings.normalised else Digits(scatter(digits.images, settings.seed + 1), digits.labels)


def examine(network: Network, settings: Train) -> Results:
    """Calibrate the network in place on the held-out digits, then test it."""
    temperature = calibrate(network, training_digits(settings)[1]) if settings.hold_out else 1.0
    digits = unseen_digits(settings)
    found = collect_predictions([(logits_of(network, digits.images), digits.labels)])
    wrong = (found.answers != digits.labels).nonzero().flatten()
    surest = wrong[found.confidence[wrong].argsort(descending=True)]
    columns = (surest, digits.labels[surest], found.answers[surest], found.confidence[surest])
    return Results(
        accuracy=1 - len(wrong) / len(digits.labels),
        confusion=confusion_matrix(digits.labels, found.answers, 10),
        mistakes=tuple(
            {"index": index, "written": written, "read": read, "confidence": round(confidence, 4)}
            for index, written, read, confidence in zip(*(each.tolist() for each in columns), strict=True)
        ),
        calibration_error=expected_calibration_error(found.confidence, found.answers == digits.labels),
        temperature=temperature,
    )


def calibrate(network: Network, held_out: Digits) -> float:
    """Make the network as sure as it is right: divide its last layer by a temperature, and give that back.

    The temperature minimises the cross-entropy of the held-out digits (Guo et al. 2017, section 4.2), by
    golden-section search on its logarithm. The paper keeps it beside the network; here it goes into the last
    layer's weights and biases, so that the softmax of the logits is the probability. No answer changes.
    """
    logits = logits_of(network, held_out.images).cpu()

    def cost(log_temperature: float) -> float:
        return F.cross_entropy(logits / math.exp(log_temperature), held_out.labels).item()

    low, high, golden = math.log(0.05), math.log(20.0), (math.sqrt(5) - 1) / 2
    while high - low > 1e-3:
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if cost(left) < cost(right) else (left, high)
    temperature = math.exp((low + high) / 2)
    output = network.layer("output")
    assert isinstance(output, nn.Linear)
    with torch.no_grad():
        for parameter in output.parameters():
            parameter.div_(temperature)
    return temperature


def expected_calibration_error(confidence: Tensor, right: Tensor, bins: int = 15) -> float:
    """The mean gap between how sure and how right answers are, over equal bins of confidence, `(N,)` each."""
    place = (confidence * bins).long().clamp_(max=bins - 1)
    gap = torch.zeros(bins).index_add_(0, place, confidence.float() - right.float())
    return (gap.abs().sum() / len(confidence)).item()


def mistakes_picture(results: Results, settings: Train) -> Tensor:
    """The worst mistakes as a contact sheet, `(3, H, W)`."""
    images = in_unit_range(unseen_digits(settings).images)
    tiles = [
        (images[int(m["index"])], f"{m['written']} read as {m['read']}, {m['confidence']:.0%}")
        for m in results.mistakes[:WORST_SHOWN]
    ]
    title = f"{len(results.mistakes)} of 10,000 test digits misread, the surest first"
    return contact_sheet(tiles, columns=8, side=112, title=title)


def confusion_picture(results: Results) -> Tensor:
    """What was written against what was read, `(3, H, W)`."""
    names = [str(digit) for digit in range(10)]
    return table_of_answers(
        results.confusion, names, f"{results.accuracy:.2%} of 10,000 test digits read right"
    )


def keep(
    folder: Path,
    network: Network,
    settings: Train,
    results: Results,
    history: Sequence[Mapping[str, float]],
    seconds: float,
    pictures: Mapping[str, Tensor],
) -> dict[str, Any]:
    """Write a trained network's folder, the weights last, and give back what `results.json` says."""
    summary = {
        "test_accuracy": round(results.accuracy, 6),
        "calibration_error": round(results.calibration_error, 5),
        "temperature": round(results.temperature, 4),
        "history": list(history),
        "confusion": results.confusion.tolist(),
        "mistakes": results.mistakes,
    }
    return save_results(folder, network, settings, settings, summary, pictures, seconds, ["mnist"])
