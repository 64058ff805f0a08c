"""What trained and taught networks are tested by alike: their answers, counted, and the folder of results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from lanterna.files import replacing
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
    """The answers to pictures, `(N,)` each: the likeliest class, how likely it and the true class were."""

    answers: Tensor
    confidence: Tensor
    likelihood: Tensor


def collect_predictions(chunks: Iterable[tuple[Tensor, Tensor]]) -> Predictions:
    """What logits (n, C) and true classes (n,), a chunk at a time, come to."""
    parts = []
    for logits, labels in chunks:
        shares = logits.cpu().float().softmax(1)
        confidence, answers = shares.max(1)
        parts.append((answers, confidence, shares.gather(1, labels[:, None])[:, 0]))
    return Predictions(*(torch.cat(part) for part in zip(*parts, strict=True)))


def confusion_matrix(labels: Tensor, answers: Tensor, count: int) -> Tensor:
    """Count `(C, C)` how often each of `count` classes (rows) was given each answer (columns), of `(N,)`."""
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
    """Write a network's folder, the weights last, and give back what `results.json` says."""
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
        with replacing(folder / f"{name}.json") as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    for made, picture in pictures.items():
        recipe = make_recipe(settings.verb, made, settings, device=device, network=network, shelf_items=items)
        save_picture(picture, folder / f"{made}.png", recipe=recipe, force=True)
    save_trained(network, plan, folder)
    return summary
