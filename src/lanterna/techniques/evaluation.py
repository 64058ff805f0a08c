"""Evaluate trained and taught networks: predictions, confusion matrix, and the folder of results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from lanterna.files import atomic_write
from lanterna.images import make_recipe, save_picture
from lanterna.networks.trained import save_trained

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from lanterna.networks.network import Network
    from lanterna.networks.plan import Plan
    from lanterna.networks.taught import TaughtPlan
    from lanterna.techniques.teach.settings import Teach
    from lanterna.techniques.train.settings import Train


class Predictions(NamedTuple):
    """Predictions for pictures, `(N,)` each: the likeliest class, its probability, and the true class's."""

    classes: Tensor
    confidence: Tensor
    likelihood: Tensor


def collect_predictions(chunks: Iterable[tuple[Tensor, Tensor]]) -> Predictions:
    """Collect the predictions from chunks of logits `(n, C)` with true classes `(n,)`."""
    parts = []
    for logits, labels in chunks:
        probabilities = logits.cpu().float().softmax(1)
        confidence, answers = probabilities.max(1)
        parts.append((answers, confidence, probabilities.gather(1, labels[:, None])[:, 0]))
    return Predictions(*(torch.cat(part) for part in zip(*parts, strict=True)))


def confusion_matrix(labels: Tensor, answers: Tensor, count: int) -> Tensor:
    """Return the confusion matrix `(C, C)`: labels `(N,)` in rows, answers `(N,)` in columns."""
    return torch.bincount(labels * count + answers, minlength=count**2).view(count, count)


def save_results(
    folder: Path,
    network: Network,
    settings: Train | Teach,
    plan: Plan | TaughtPlan,
    summary: Mapping[str, Any],
    pictures: Mapping[str, Tensor],
    seconds: float,
    items: Sequence[str],
) -> dict[str, Any]:
    """Write the folder of a network, the weights last, and return the content of `results.json`."""
    device = next(network.eval().parameters()).device
    summary = {
        "network": settings.network,
        **summary,
        "seconds": round(seconds, 2),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "device": str(device),
    }
    texts = {"recipe": settings.model_dump_json(indent=2), "results": json.dumps(summary, indent=1)}
    for name, text in texts.items():
        with atomic_write(folder / f"{name}.json") as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    for name, picture in pictures.items():
        recipe = make_recipe(settings.verb, name, settings, device=device, network=network, shelf_items=items)
        save_picture(picture, folder / f"{name}.png", recipe=recipe, force=True)
    save_trained(network, plan, folder)
    return summary
