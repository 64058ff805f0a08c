"""Lesson 12. Paths: follow one digit through a network, cut paths, and watch the answer.

For one picture the answer of a network of ReLUs is an exact sum of what each connection brings
(`lanterna.probes.paths`). If that is the truth about the network, then cutting the connections that bring the
most must take the answer away, far sooner than cutting others: the largest weights, or any at random.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field

from lanterna.images.digits import mnist
from lanterna.images.drawing import overlay_signed
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Picture
from lanterna.lessons.progress import told
from lanterna.probes.ablation import ablation
from lanterna.probes.paths import heat, paths
from lanterna.probes.running import INPUT, weights_of
from lanterna.techniques.technique import Settings
from lanterna.techniques.train.algorithm import in_unit_range, logits_of
from lanterna.techniques.train.technique import open_or_train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lanterna.lessons.lesson import Verdict
    from lanterna.networks.network import Network
    from lanterna.probes.ablation import By
    from lanterna.probes.paths import Paths

_WAYS: tuple[tuple[By, str], ...] = (
    ("for", "what brings the most"), ("weight", "the largest weights"), ("random", "any, at random"),
)  # fmt: skip
_GAP = 1e-4  # of the answer, or of 1: what rounding may leave
_MARGIN = 0.2  # of the answer: how much sooner it must go
_SHARES = (0.0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)


class FollowPaths(Settings):
    """Follow a digit through a network, and cut what brought the answer."""

    verb: ClassVar[str] = "learn paths"

    network: Literal["conv", "dense"] = Field(default="conv", description="Which network reads the digit.")
    digit: int = Field(default=0, ge=0, le=9999, description="Which test digit is followed.")
    cut: float = Field(
        default=0.003,
        gt=0,
        le=0.5,
        description="The share of all connections that is cut, to see what is read then.",
    )
    digits: int = Field(default=20, ge=1, le=500, description="Test digits over which cutting is averaged.")


def opened(name: str) -> Network:
    """The network, trained first where there is none."""
    return open_or_train(name, device="cpu")


def left(network: Network, images: Tensor, answers: Sequence[int], by: By, seed: int) -> list[float]:
    """How much of the answer is left when more and more connections are cut, of 1, the mean over digits."""
    shares = torch.stack([
        ablation(network, image, answer, by, _SHARES, seed=seed)
        for image, answer in zip(images, answers, strict=True)
    ])  # fmt: skip
    return (shares / shares[:, :1]).mean(0).tolist()


def without(network: Network, found: Paths, share: float) -> Network:
    """The network with that share of its connections cut, those that brought the answer the most."""
    cut = deepcopy(network)
    weights = weights_of(cut)
    ranked = torch.cat([each.flatten() for each in found.connections.values()]).sort(descending=True).values
    least = ranked[max(1, round(share * len(ranked))) - 1]
    with torch.no_grad():
        for layer, weight in weights.items():
            weight[found.connections[layer] >= least] = 0.0
    return cut


def strongest(found: Paths) -> list[tuple[str, str, str, str]]:
    """The unit of each layer that brought the most, and what all units and all later offsets add up to."""
    rows = []
    for layer, contributions in found.contributions.items():
        if layer not in found.complete_layers:
            continue
        by_map = contributions.flatten(1).sum(1) if contributions.dim() == 3 else contributions.flatten()
        best = int(by_map.argmax())
        what = "the picture" if layer == INPUT else f"{'map' if contributions.dim() == 3 else 'unit'} {best}"
        rows.append((layer, what, f"{by_map[best]:+.2f}", f"{found.explained(layer):.4f}"))
    return rows


def experiment(settings: FollowPaths) -> Outcome:
    """The paths of one digit, and what is left of answers as connections are cut in three ways."""
    network = opened(settings.network)
    test = mnist("test")
    image = in_unit_range(test.images[settings.digit])
    before = logits_of(network, test.images[settings.digit][None])[0]
    answer = int(before.argmax())
    found = paths(network, image, answer)

    shown = in_unit_range(test.images[: settings.digits])
    answers = logits_of(network, test.images[: settings.digits]).argmax(1).tolist()
    fallen = {
        words: left(network, shown, answers, by, settings.seed)
        for by, words in told(_WAYS, "cutting connections")
    }
    after = logits_of(without(network, found, settings.cut), test.images[settings.digit][None])[0]
    verdict, words, numbers = _said(settings, found, after, fallen, int(test.labels[settings.digit]))
    ten = range(len(before))
    percent = [100 * share for share in _SHARES]
    charts: list[Chart | Picture] = [
        Picture(
            f"Which ink speaks for {answer}", overlay_signed(image, heat(found), 448),
            f"the digit, amber where a pixel speaks for {answer}, blue where it speaks against it",
        ),
        Chart(f"Ten answers, {settings.cut:.2%} of connections cut", "answer", "logit",
              [Line("as it is", ten, before.tolist(), "marks"), Line("cut", ten, after.tolist(), "marks")],
              whole_across=True),
        Chart(f"Mean of {settings.digits} test digits", "percent of connections cut", "left of the answer",
              [Line(words, percent[1:], values[1:]) for words, values in fallen.items()], log_across=True),
    ]  # fmt: skip
    head = ("layer", "brings the most", "how much", "all of it, and what comes after")
    return Outcome(Finding(verdict, words, numbers, (settings.seed,)), charts, [head, *strongest(found)])


def _said(
    settings: FollowPaths, found: Paths, after: Tensor, fallen: dict[str, list[float]], label: int
) -> tuple[Verdict, str, dict[str, float]]:
    """Whether the sums hold, and whether the answer goes with the paths; in words, and the numbers."""
    place = min(range(len(_SHARES)), key=lambda each: abs(_SHARES[each] - settings.cut))
    paths_left, weights_left, random_left = (values[place] for values in fallen.values())
    adds_up = found.error <= _GAP * max(1.0, abs(found.value))
    goes = paths_left < min(weights_left, random_left) - _MARGIN
    reads = int(after.argmax())
    changed = f"it reads {reads}" if reads != found.answer else f"it still reads {reads}"
    words = (
        f"Test digit {settings.digit}, a {label}, is read as {found.answer} with {found.value:.2f}; at every "
        f"layer the parts add up to that, to within {found.error:.0e}. With {settings.cut:.2%} of the "
        f"connections cut, those that bring the most, {changed}. Over {settings.digits} digits, cutting "
        f"the {_SHARES[place]:.2%} that matter most leaves {paths_left:.0%} of the answer; as many of the "
        f"largest weights "
        f"{weights_left:.0%}, at random {random_left:.0%}."
    )
    numbers = {
        "gap of the sums": found.error, "answer": found.value, "left, paths": paths_left,
        "left, weights": weights_left, "left, random": random_left,
        "logit after the cut": float(after[found.answer]),
    }  # fmt: skip
    verdict: Verdict = "holds" if adds_up and goes else "holds only when" if adds_up else "does not hold"
    if adds_up and not goes:
        words += (
            " So much is cut here that it hardly matters what."
            if place >= len(_SHARES) - 2
            else (" The paths are no better a guide here than the others.")
        )
    return verdict, words, numbers


LESSON = Lesson(
    "paths", "Paths", "Which part of the network made the answer?",
    "The picture flows through the layers along paths, and each part contributes to the answer; cut those "
    "paths, and the answer goes.",
    "src/lanterna/probes/paths.py", FollowPaths, experiment, needs=("mnist",),
)  # fmt: skip
